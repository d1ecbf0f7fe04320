use super::*;
use crate::{
    image::{Unresolved, UnresolvedKind},
    policy::{Enforcement, Fact, Finding, FindingKind, Verdict},
    telemetry::log::{self, Format, tests::Lines},
    workload::UseKind,
};

fn request(user: &str) -> Request {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u1", "operation": "CREATE", "namespace": "shop", "name": "web",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "userInfo": { "username": user },
            "object": {
                "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" },
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
        policy: "non-root".to_owned(),
        rule: "user".to_owned(),
        kind: FindingKind::Violation,
        enforcement: Enforcement::Deny,
        audit: false,
        use_kind: UseKind::Container,
        container: "app".to_owned(),
        field_path: "spec.containers[0].image".to_owned(),
        image: "registry.test/app:1".to_owned(),
        platforms: Vec::new(),
        found: String::new(),
        wanted: String::new(),
        message: message.to_owned(),
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

/// What is logged at `filter`, and the metrics.
fn recorded(filter: &str, user: &str, findings: Option<Vec<Finding>>, mode: Mode) -> (String, String) {
    let request = request(user);
    let review = findings.map(|findings| review(&request, findings));
    let answer = match &review {
        Some(review) => crate::admission::respond(&request, &review.verdict, &review.facts, mode),
        None => crate::admission::allow_unjudged(&request, "nothing to judge"),
    };
    let outcome = Outcome {
        request: &request,
        review: review.as_ref(),
        answer: &answer,
        mode,
        elapsed: Duration::from_millis(3),
    };
    let (lines, metrics) = (Lines::default(), Metrics::new("test"));
    let writer = lines.clone();
    let subscriber = log::subscriber(Format::Json, filter, false, move || writer.clone(), None).unwrap();
    tracing::subscriber::with_default(subscriber, || record(&metrics, &outcome));
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
        ("request.uid", json!("u1")),
        ("request.namespace", json!("shop")),
        ("request.name", json!("web")),
        ("request.operation", json!("CREATE")),
        ("request.user", json!("jane")),
        ("request.dry_run", json!(false)),
        ("verdict", json!("deny")),
        ("would_be", json!("deny")),
        ("mode", json!("enforce")),
        ("code", json!(403)),
        ("duration_ms", json!(3.0)),
        ("resolving_ms", json!(2.5)),
        ("images", json!({})),
        (
            "findings",
            json!([{ "policy": "non-root", "rule": "user", "kind": "violation", "action": "deny",
                "container": "app", "message": "app runs as root" }]),
        ),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    for wanted in [
        r#"hullmark_reviews_total{verdict="deny",would_be="deny",mode="enforce",operation="CREATE",code="403"} 1"#,
        r#"hullmark_findings_total{policy="non-root",rule="user",kind="violation"} 1"#,
        r#"hullmark_images_unresolved_total{kind="RateLimited"} 1"#,
        r#"hullmark_review_duration_seconds_count{stage="judging"} 1"#,
    ] {
        assert!(metrics.contains(wanted), "{wanted}");
    }
}

#[test]
fn plain_admits_are_quiet_and_what_would_have_been_refused_is_not() {
    let root = || Some(vec![finding("root")]);
    for (name, findings, mode, logged) in [
        ("allowed", Some(vec![]), Mode::Enforce, false),
        ("unjudged", None, Mode::Enforce, false),
        ("refused", root(), Mode::Enforce, true),
        ("would be refused", root(), Mode::Audit, true),
    ] {
        let (text, _) = recorded("info", "jane", findings.clone(), mode);
        assert_eq!(!text.is_empty(), logged, "{name}: {text}");
        let (text, _) = recorded("debug", "jane", findings, mode);
        assert_eq!(text.lines().count(), 1, "{name}: {text}");
    }
    let (_, metrics) = recorded("info", "jane", None, Mode::Enforce);
    assert!(metrics.contains(r#"verdict="unjudged""#), "{metrics}");
}

#[test]
fn sizes_are_bounded_and_nothing_can_forge_a_line() {
    let findings = vec![finding(&"x\n\u{1b}".repeat(4000)); 500];
    let user = format!("eve\n{{\"verdict\":\"allow\"}}{}", "y".repeat(100_000));
    let (text, _) = recorded("info", &user, Some(findings), Mode::Enforce);
    assert_eq!(text.lines().count(), 1);
    assert!(text.len() < 20_000, "{}", text.len());
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["findings"].as_array().unwrap().len(), 21);
    assert_eq!(line["findings"][20], json!({ "more": 480 }));
    assert!(!line["request.user"].as_str().unwrap().contains('\n'));
}
