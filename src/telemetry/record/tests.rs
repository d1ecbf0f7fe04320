use super::*;
use crate::{
    image::{Platform, Unresolved, UnresolvedKind},
    policy::{Enforcement, Excepted, Fact, Finding, FindingKind, Verdict, fixtures},
    telemetry::{
        DECISION,
        log::{self, Format, tests::Lines},
    },
    workload::ImageUse,
};
use serde_json::{Value, json};
use std::sync::Arc;

fn request(user: &str) -> Request {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u1", "operation": "CREATE", "namespace": "shop", "name": "web",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "userInfo": { "username": user },
            "object": {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": "web", "ownerReferences": [
                    { "kind": "Tenant", "name": "acme" },
                    { "kind": "ReplicaSet", "name": "web-5d9c", "controller": true },
                ] },
                "spec": { "containers": [{
                    "name": "app", "image": "registry.test/app:1",
                    "env": [{ "name": "PASSWORD", "value": "hunter2" }],
                }] },
            },
        },
    });
    Request::parse(review.to_string().as_bytes()).unwrap()
}

fn finding(message: &str) -> Finding {
    Finding {
        image: "registry.test/app:1".to_owned(),
        found: "user 0".to_owned(),
        wanted: "a user that is not root".to_owned(),
        message: message.to_owned(),
        ..fixtures::finding()
    }
}

fn review(request: &Request, findings: Vec<Finding>) -> Review {
    let usage = request.workload.as_ref().unwrap().uses[0].clone();
    let unresolved = Unresolved {
        kind: UnresolvedKind::RateLimited { retry_after_seconds: Some(7) },
        host: None,
        status: Some(429),
        detail: "too many requests".to_owned(),
    };
    Review {
        verdict: Verdict { findings, ..Verdict::default() },
        facts: vec![Fact { usage, image: Some(Err(unresolved)) }],
        resolving: Duration::from_micros(2500),
        judging: Duration::from_micros(40),
    }
}

/// What is logged at `filter`, and the metrics; of plain admits, none are in the sample.
fn recorded(filter: &str, user: &str, findings: Option<Vec<Finding>>, mode: Mode) -> (String, String) {
    let request = request(user);
    let review = findings.map(|findings| review(&request, findings));
    told(Format::Json, filter, Sample::of(0.0), &request, review.as_ref(), mode)
}

fn told(
    format: Format,
    filter: &str,
    sample: Sample,
    request: &Request,
    review: Option<&Review>,
    mode: Mode,
) -> (String, String) {
    let answer = match review {
        Some(review) => crate::admission::respond(request, &review.verdict, &review.facts, mode),
        None => crate::admission::allow_unjudged(request, "nothing to judge"),
    };
    let outcome = Outcome {
        request,
        review,
        answer: &answer,
        mode,
        reading: Duration::from_micros(400),
        elapsed: Duration::from_millis(3),
    };
    let (lines, metrics) = (Lines::default(), Metrics::new("test"));
    let writer = lines.clone();
    let subscriber = log::subscriber(format, filter, false, move || writer.clone(), None).unwrap();
    tracing::subscriber::with_default(subscriber, || record(&metrics, sample, &outcome));
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    (text, metrics.exposition())
}

#[test]
fn a_refusal_is_one_line_with_everything_and_no_secret() {
    let (text, metrics) = recorded("info", "jane", Some(vec![finding("app runs as root")]), Mode::Enforce);
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: Value = serde_json::from_str(&text).unwrap();
    for (field, value) in [
        ("message", json!("review")),
        ("target", json!(DECISION)),
        ("log_version", json!(1)),
        ("request.uid", json!("u1")),
        ("request.namespace", json!("shop")),
        ("request.name", json!("web")),
        ("request.operation", json!("CREATE")),
        ("request.user", json!("jane")),
        ("request.owner", json!("ReplicaSet/web-5d9c")),
        ("request.dry_run", json!(false)),
        ("verdict", json!("deny")),
        ("would_be", json!("deny")),
        ("if_enforced", json!("deny")),
        ("mode", json!("enforce")),
        ("code", json!(403)),
        ("duration_ms", json!(3.0)),
        ("reading_ms", json!(0.4)),
        ("resolving_ms", json!(2.5)),
        ("judging_ms", json!(0.04)),
        (
            "images",
            json!([{ "name": "registry.test/app:1", "containers": ["app"], "from": "unresolved",
                "reason": "RateLimited", "detail": "too many requests" }]),
        ),
        (
            "findings",
            json!([{ "policy": "non-root", "rule": "user", "kind": "violation", "action": "deny",
                "if_enforced": "deny", "container": "app", "field": "spec.containers[0].image",
                "image": "registry.test/app:1", "found": "user 0", "wanted": "a user that is not root",
                "message": "app runs as root" }]),
        ),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    for wanted in [
        r#"hullmark_reviews_total{verdict="deny",would_be="deny",mode="enforce",operation="CREATE",code="403",if_enforced="deny"} 1"#,
        r#"hullmark_findings_total{policy="non-root",rule="user",kind="violation",action="deny"} 1"#,
        r#"hullmark_images_unresolved_total{kind="RateLimited"} 1"#,
        r#"hullmark_review_duration_seconds_count{stage="judging"} 1"#,
    ] {
        assert!(metrics.contains(wanted), "{wanted}");
    }
}

#[test]
fn plain_admits_are_sampled_and_whatever_was_found_is_told() {
    let root = |enforcement| Some(vec![Finding { enforcement, ..finding("root") }]);
    for (name, findings, mode, logged) in [
        ("allowed", Some(vec![]), Mode::Enforce, false),
        ("unjudged", None, Mode::Enforce, false),
        ("refused", root(Enforcement::Deny), Mode::Enforce, true),
        ("would be refused", root(Enforcement::Deny), Mode::Audit, true),
        ("warned about", root(Enforcement::Warn), Mode::Enforce, true),
        ("recorded", root(Enforcement::Record), Mode::Enforce, true),
        ("let through", Some(vec![]), Mode::BreakGlass, true),
    ] {
        let (text, _) = recorded("info", "jane", findings.clone(), mode);
        assert_eq!(!text.is_empty(), logged, "{name}: {text}");
        let (text, _) = recorded("debug", "jane", findings.clone(), mode);
        assert_eq!(text.lines().count(), 1, "{name}: {text}");
        // All of them, and then one line still.
        let request = request("jane");
        let review = findings.map(|findings| review(&request, findings));
        let all = Sample::of(1.0);
        let (text, _) = told(Format::Json, "info", all, &request, review.as_ref(), mode);
        let line: Value = serde_json::from_str(&text).unwrap();
        let is_plain = ["allowed", "unjudged", "let through"].contains(&name);
        assert_eq!(line["sampled"], if is_plain { json!(1.0) } else { Value::Null }, "{name}: {text}");
    }
    let (_, metrics) = recorded("info", "jane", None, Mode::Enforce);
    assert!(metrics.contains(r#"verdict="unjudged""#), "{metrics}");
}

#[test]
fn what_exceptions_let_pass_is_told() {
    let request = request("jane");
    let excepted = vec![Excepted { exception: "shop/legacy".to_owned(), finding: finding("root") }];
    let excepted =
        Review { verdict: Verdict { excepted, ..Verdict::default() }, ..review(&request, Vec::new()) };
    let (text, _) = told(Format::Json, "info", Sample::of(0.0), &request, Some(&excepted), Mode::Enforce);
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&line["verdict"], &line["if_enforced"]), (&json!("allow"), &json!("allow")), "{line}");
    assert_eq!(line["excepted"][0]["exception"], "shop/legacy");
    assert_eq!(line["excepted"][0]["policy"], "non-root");
}

#[test]
fn sizes_are_bounded_and_nothing_can_forge_a_line() {
    // Each of them twice as long in JSON, and longer than it may be.
    let long = "\"\u{1b}\n".repeat(500);
    let hostile = |n: usize| Finding {
        policy: format!("{n}{long}"),
        rule: long.clone(),
        container: long.clone(),
        field_path: long.clone(),
        image: long.clone(),
        platforms: vec![Platform::new(&long, &long, None, None); 20],
        found: long.clone(),
        wanted: long.clone(),
        message: long.clone(),
        kind: FindingKind::Unresolved(UnresolvedKind::NotFound),
        ..finding("")
    };
    let request = Request {
        uid: long.clone(),
        kind: long.clone(),
        namespace: Some(long.clone()),
        name: long.clone(),
        sub_resource: long.clone(),
        ..request(&long)
    };
    let mut review = review(&request, (0..100).map(hostile).collect());
    let (usage, image) = (review.facts[0].usage.clone(), review.facts[0].image.clone());
    review.facts = (0..100)
        .map(|n| ImageUse {
            name: long.clone(),
            image: format!("{n}{long}"),
            reference: "NOT VALID".parse(),
            ..ImageUse::clone(&usage)
        })
        .map(|usage| Fact { usage: Arc::new(usage), image: image.clone() })
        .collect();
    review.verdict.excepted =
        (0..100).map(|n| Excepted { exception: long.clone(), finding: hostile(n) }).collect();
    let sample = Sample::default();
    let (text, _) = told(Format::Json, "info", sample, &request, Some(&review), Mode::Enforce);
    assert_eq!(text.lines().count(), 1);
    assert!(text.len() <= MAX_LINE, "{}", text.len());
    let line: Value = serde_json::from_str(&text).unwrap();
    for list in ["findings", "images", "excepted"] {
        let list = line[list].as_array().unwrap();
        let (more, shown) = list.split_last().unwrap();
        assert_eq!(more, &json!({ "more": 100 - shown.len() }));
    }
    assert!(line["findings"][0]["policy"].is_string() && line["images"][0]["name"].is_string(), "one each");
    assert_eq!(line["findings"][0]["platforms"][8], json!({ "more": 12 }));
    assert!(!line["request.user"].as_str().unwrap().contains('\n'));

    let (text, _) = told(Format::Text, "info", sample, &request, Some(&review), Mode::Enforce);
    assert!(text.lines().count() == 1 && text.len() <= MAX_LINE, "{}: {text}", text.len());
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_person_reads_a_sentence() {
    for (findings, mode, words) in [
        (
            vec![finding("app runs as root")],
            Mode::Enforce,
            "deny Pod shop/web of ReplicaSet/web-5d9c (CREATE by jane, enforce, 403, 3.0 ms) | app runs as root [non-root/user: deny] | registry.test/app:1 unresolved",
        ),
        (vec![finding("app runs as root")], Mode::Audit, "allow, would be deny Pod shop/web"),
        (
            vec![Finding { enforcement: Enforcement::Record, ..finding("app runs as root") }],
            Mode::Enforce,
            "allow, if enforced deny Pod shop/web",
        ),
    ] {
        let request = request("jane");
        let review = review(&request, findings);
        let (text, _) = told(Format::Text, "info", Sample::default(), &request, Some(&review), mode);
        assert!(text.trim_end().ends_with(words) || text.contains(words), "{words}\n{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
