mod modes;

use super::*;
use crate::{
    image::{AuthKind, Freshness, MediaType, ResolvedImage, Unresolved},
    policy::{Finding, fixtures},
    workload::Workload,
};
use serde_json::{Value, json};
use std::sync::Arc;

fn request(kind: &str) -> Request {
    let spec = json!({ "containers": [{ "name": "app", "image": "nginx" }] });
    let (group, version, object) = match kind {
        "Pod" => ("", "v1", json!({ "spec": spec })),
        _ => ("apps", "v1", json!({ "spec": { "template": { "spec": spec } } })),
    };
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "operation": "CREATE", "name": "web", "namespace": "shop", "object": object,
            "kind": { "group": group, "version": version, "kind": kind },
        },
    });
    Request::parse(&serde_json::to_vec(&review).unwrap()).unwrap()
}

fn finding(enforcement: Enforcement, kind: FindingKind, message: &str) -> Finding {
    Finding {
        policy: "baseline".to_owned(),
        kind,
        enforcement,
        image: "nginx".to_owned(),
        message: message.to_owned(),
        ..fixtures::finding()
    }
}

fn deny(message: &str) -> Finding {
    finding(Enforcement::Deny, FindingKind::Violation, message)
}

fn warn(message: &str) -> Finding {
    finding(Enforcement::Warn, FindingKind::Violation, message)
}

fn unresolved(kind: UnresolvedKind) -> Finding {
    finding(
        Enforcement::Deny,
        FindingKind::Unresolved(kind),
        "container app: image nginx could not be looked at",
    )
}

fn verdict(findings: Vec<Finding>) -> Verdict {
    Verdict { findings, ..Verdict::default() }
}

fn fact(image: Option<Result<Arc<ResolvedImage>, Unresolved>>) -> Fact {
    let workload: Workload = request("Pod").workload.unwrap();
    Fact { usage: workload.uses[0].clone(), image }
}

fn resolved() -> Arc<ResolvedImage> {
    Arc::new(ResolvedImage {
        reference: "nginx".parse().unwrap(),
        digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
        media_type: MediaType::OciIndex,
        index_annotations: crate::image::TextMap::default(),
        available: Vec::new(),
        platforms: Vec::new(),
        freshness: Freshness::Fetched,
        auth: AuthKind::Anonymous,
    })
}

/// The response inside an answer, after the checks that hold for every answer.
fn body(answer: &Answer) -> Value {
    let review: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(review["kind"], "AdmissionReview");
    let response = review["response"].clone();
    assert_eq!(response["uid"], "u-1");
    assert_eq!(response["allowed"], answer.allowed);
    assert!(response.get("patch").is_none() && response.get("patchType").is_none());
    let warnings: Vec<&str> =
        response["warnings"].as_array().into_iter().flatten().map(|w| w.as_str().unwrap()).collect();
    assert!(warnings.len() <= 6, "{}", warnings.len());
    assert!(warnings.iter().map(|w| w.chars().count()).sum::<usize>() <= 4096);
    for warning in &warnings {
        assert!(warning.chars().count() <= 500 && !warning.chars().any(char::is_control), "{warning:?}");
    }
    for (key, value) in response["auditAnnotations"].as_object().into_iter().flatten() {
        assert!(annotations::is_legal(key), "{key:?}");
        assert!(value.as_str().unwrap().len() <= 10 * 1024, "{key}");
    }
    if answer.allowed {
        assert_eq!((response.get("status"), answer.code), (None, 200));
        assert_ne!(answer.decision, Decision::Deny);
    } else {
        assert_eq!(response["status"]["status"], "Failure");
        assert_eq!(response["status"]["code"], answer.code);
        assert!(response["status"]["message"].as_str().unwrap().len() <= 4096);
        assert_eq!(answer.decision, Decision::Deny);
    }
    response
}

#[test]
fn decisions_by_mode_and_kind() {
    use Decision::{Allow, Deny, Warn};
    use Mode::{Audit, Enforce};
    let nothing = || verdict(vec![]);
    let recorded = || verdict(vec![finding(Enforcement::Record, FindingKind::Violation, "r")]);
    let warned = || verdict(vec![warn("w")]);
    let denied = || verdict(vec![deny("d")]);
    let both = || verdict(vec![deny("d"), warn("w")]);
    for (case, kind, verdict, mode, decision, would_be, warnings) in [
        ("nothing found", "Pod", nothing(), Enforce, Allow, Allow, vec![]),
        ("only recorded", "Pod", recorded(), Enforce, Allow, Allow, vec![]),
        ("warned", "Pod", warned(), Enforce, Warn, Warn, vec!["w [policy baseline, user]"]),
        ("denied", "Pod", denied(), Enforce, Deny, Deny, vec![]),
        ("denied and warned", "Pod", both(), Enforce, Deny, Deny, vec!["w [policy baseline, user]"]),
        ("audit: warned", "Pod", warned(), Audit, Warn, Warn, vec!["w [policy baseline, user]"]),
        ("audit: denied", "Pod", denied(), Audit, Allow, Deny, vec![]),
        ("audit: denied and warned", "Pod", both(), Audit, Warn, Deny, vec!["w [policy baseline, user]"]),
        (
            "template: denied",
            "Deployment",
            denied(),
            Enforce,
            Warn,
            Warn,
            vec!["would be refused as a Pod: d [policy baseline, user]"],
        ),
        ("template, audit: denied", "Deployment", denied(), Audit, Allow, Warn, vec![]),
        ("template: nothing", "Deployment", nothing(), Enforce, Allow, Allow, vec![]),
    ] {
        let answer = respond(&request(kind), &verdict, &[], mode);
        let response = body(&answer);
        assert_eq!((answer.decision, answer.would_be), (decision, would_be), "{case}");
        assert_eq!(response.get("warnings").cloned().unwrap_or(json!([])), json!(warnings), "{case}");
        let word = Decision::as_str;
        assert_eq!(response["auditAnnotations"]["verdict"], word(decision), "{case}");
        // Every finding here would deny; a template is never refused.
        let most = match (kind, verdict.findings.is_empty()) {
            (_, true) => Allow,
            ("Deployment", _) => Warn,
            _ => Deny,
        };
        assert_eq!(answer.if_enforced, most, "{case}");
        let if_enforced = (most != would_be).then(|| word(most));
        assert_eq!(response["auditAnnotations"]["if-enforced"].as_str(), if_enforced, "{case}");
        assert_eq!(response["auditAnnotations"]["request-uid"], "u-1", "{case}");
        let would_be = (mode == Audit).then(|| word(would_be));
        assert_eq!(response["auditAnnotations"]["would-be"].as_str(), would_be, "{case}");
    }
}

#[test]
fn codes_tell_a_violation_from_an_image_that_could_not_be_looked_at() {
    use UnresolvedKind::{NotFound, RateLimited, ServerError, Timeout, Unreachable};
    let limited = |seconds| unresolved(RateLimited { retry_after_seconds: seconds });
    let failed = finding(Enforcement::Deny, FindingKind::EvaluationError, "e");
    for (case, findings, code, reason, retry) in [
        ("violation", vec![deny("d")], 403, "Forbidden", None),
        ("expression failed", vec![failed], 403, "Forbidden", None),
        ("violation and unresolved", vec![deny("d"), unresolved(Timeout)], 403, "Forbidden", None),
        ("not found", vec![unresolved(NotFound)], 503, "ServiceUnavailable", None),
        ("unreachable", vec![unresolved(Unreachable)], 503, "ServiceUnavailable", None),
        ("out of time", vec![unresolved(Timeout), unresolved(Timeout)], 504, "Timeout", None),
        (
            "out of time and unreachable",
            vec![unresolved(Timeout), unresolved(Unreachable)],
            503,
            "ServiceUnavailable",
            None,
        ),
        ("rate limited", vec![limited(Some(7))], 503, "ServiceUnavailable", Some(7)),
        (
            "the longest wait",
            vec![limited(Some(7)), limited(Some(9)), limited(None)],
            503,
            "ServiceUnavailable",
            Some(9),
        ),
        (
            "a wait among failures that pass",
            vec![limited(Some(7)), unresolved(ServerError)],
            503,
            "ServiceUnavailable",
            Some(7),
        ),
        (
            "waiting does not help the other",
            vec![limited(Some(7)), unresolved(NotFound)],
            503,
            "ServiceUnavailable",
            None,
        ),
        ("waiting does not help a violation", vec![limited(Some(7)), deny("d")], 403, "Forbidden", None),
        ("too long for a terminal", vec![limited(Some(3600))], 503, "ServiceUnavailable", None),
        ("no wait at all", vec![limited(Some(0))], 503, "ServiceUnavailable", None),
    ] {
        let answer = respond(&request("Pod"), &verdict(findings), &[], Mode::Enforce);
        let response = body(&answer);
        assert_eq!(answer.code, code, "{case}");
        assert_eq!(response["status"]["reason"], reason, "{case}");
        let found = response["status"]["details"].get("retryAfterSeconds").and_then(Value::as_u64);
        assert_eq!(found, retry, "{case}");
    }
}

#[test]
fn one_finding_reads_as_one_sentence() {
    let message = "container app runs as root: image nginx sets no USER";
    let answer = respond(&request("Pod"), &verdict(vec![deny(message)]), &[], Mode::Enforce);
    let status = &body(&answer)["status"];
    assert_eq!(
        status["message"],
        "Pod shop/web: container app runs as root: image nginx sets no USER [policy baseline, user]"
    );
    assert_eq!(
        status["details"],
        json!({ "name": "web", "kind": "Pod", "causes": [{
            "reason": "ImagePolicyViolation",
            "message": "container app runs as root: image nginx sets no USER [policy baseline, user]",
            "field": "spec.containers[0].image",
        }] })
    );
}

#[test]
fn several_findings_are_counted_then_listed() {
    let findings = vec![
        deny("first"),
        deny("second"),
        unresolved(UnresolvedKind::NotFound),
        Finding { policy: "owned".to_owned(), ..unresolved(UnresolvedKind::NotFound) },
        finding(Enforcement::Deny, FindingKind::EvaluationError, "last"),
    ];
    let answer = respond(&request("Pod"), &verdict(findings), &[], Mode::Enforce);
    assert_eq!(
        body(&answer)["status"]["message"],
        "Pod shop/web has 2 violations, 1 image that could not be checked, 1 expression that failed:\n\
         - first [policy baseline, user]\n\
         - second [policy baseline, user]\n\
         - container app: image nginx could not be looked at [policies baseline and owned, user]\n\
         - last [policy baseline, user]"
    );
}

#[test]
fn hostile_findings_stay_within_every_limit() {
    let texts = [
        ("long", "x".repeat(100_000)),
        ("long beyond ASCII", "😀".repeat(50_000)),
        ("line breaks", "a\nb\r\n\u{1b}[2J\u{0}\u{202e}c".repeat(500)),
        ("quotes, which JSON doubles", "\"\\".repeat(5_000)),
    ];
    for (case, text) in &texts {
        for count in [1, 2, 7, 1_000] {
            for enforcement in [Enforcement::Deny, Enforcement::Warn] {
                for kind in ["Pod", "Deployment"] {
                    let findings = (0..count)
                        .map(|i| Finding {
                            policy: format!("{i}{text}"),
                            image: text.clone(),
                            ..finding(enforcement, FindingKind::Violation, &format!("{i} {text}"))
                        })
                        .collect();
                    let request = Request { name: text.clone(), ..request(kind) };
                    let answer = respond(&request, &verdict(findings), &[], Mode::Enforce);
                    let response = body(&answer);
                    assert!(answer.body.len() < 64 * 1024, "{case}, {count}: {}", answer.body.len());
                    let listed = response["auditAnnotations"]["violations"].as_str().unwrap();
                    let listed: Vec<Value> = serde_json::from_str(listed).unwrap();
                    let omitted = listed.last().and_then(|last| last["omitted"].as_u64()).unwrap_or(0);
                    let shown = listed.iter().filter(|item| item.get("omitted").is_none()).count() as u64;
                    assert_eq!(shown + omitted, count, "{case}, {count}");
                    if let Some(message) = response["status"]["message"].as_str() {
                        assert!(!message.chars().any(|c| c.is_control() && c != '\n'), "{case}, {count}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_long_list_ends_with_how_many_are_left() {
    let findings: Vec<Finding> = (0..100).map(|i| deny(&format!("{i} {}", "x".repeat(200)))).collect();
    let answer = respond(&request("Pod"), &verdict(findings), &[], Mode::Enforce);
    let response = body(&answer);
    let message = response["status"]["message"].as_str().unwrap();
    let shown = message.matches("\n- ").count() - 1;
    assert!(message.ends_with(&format!("\n- … and {} more", 100 - shown)), "{message}");
    assert!(message.len() > 3500, "the room is used: {}", message.len());
    assert_eq!(response["status"]["details"]["causes"].as_array().unwrap().len(), 16);
}

#[test]
fn warnings_are_few_distinct_and_name_the_policy() {
    let mut findings: Vec<Finding> = (0..9).map(|i| warn(&format!("warning {i}"))).collect();
    findings.push(warn("warning 0"));
    let response = body(&respond(&request("Pod"), &verdict(findings), &[], Mode::Enforce));
    let warnings = response["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 6);
    assert_eq!(warnings[0], "warning 0 [policy baseline, user]");
    assert_eq!(warnings[5], "… and 4 more warnings");

    let response =
        body(&respond(&request("Pod"), &verdict(vec![warn(&"x".repeat(500))]), &[], Mode::Enforce));
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(warning.ends_with("x… [policy baseline, user]"), "{warning}");
    assert_eq!(warning.chars().count(), 500);
}

#[test]
fn audit_annotations_hold_findings_images_and_what_policies_add() {
    let audit_annotations = [
        ("image-team", "shop"),
        ("a/b", "no slash"),
        ("-a", "no such start"),
        ("", "no empty key"),
        ("verdict", "never ours"),
        ("lines", "a\nb"),
    ];
    let audit_annotations =
        audit_annotations.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let verdict = Verdict { audit_annotations, ..verdict(vec![deny("d")]) };
    let unreachable =
        Unresolved { kind: UnresolvedKind::Unreachable, host: None, status: None, detail: String::new() };
    let facts = [fact(Some(Ok(resolved()))), fact(Some(Err(unreachable))), fact(None)];
    let response = body(&respond(&request("Pod"), &verdict, &facts, Mode::Audit));
    let annotations = response["auditAnnotations"].as_object().unwrap();
    let keys: Vec<&str> = annotations.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["image-team", "images", "lines", "mode", "request-uid", "verdict", "violations", "would-be"]
    );
    assert_eq!((&annotations["verdict"], &annotations["would-be"]), (&json!("allow"), &json!("deny")));
    assert_eq!((&annotations["image-team"], &annotations["lines"]), (&json!("shop"), &json!("a b")));
    assert_eq!(
        serde_json::from_str::<Value>(annotations["violations"].as_str().unwrap()).unwrap(),
        json!([{
            "policy": "baseline", "rule": "user", "kind": "Violation", "action": "Deny",
            "field": "spec.containers[0].image", "image": "nginx", "message": "d",
        }])
    );
    assert_eq!(
        serde_json::from_str::<Value>(annotations["images"].as_str().unwrap()).unwrap(),
        json!([{ "image": "nginx", "digest": format!("sha256:{}", "a".repeat(64)) }])
    );
}

#[test]
fn values_of_policies_are_bounded() {
    let audit_annotations = BTreeMap::from([("big".to_owned(), "日".repeat(10_000))]);
    let verdict = Verdict { audit_annotations, ..Verdict::default() };
    let response = body(&respond(&request("Pod"), &verdict, &[], Mode::Enforce));
    assert!(response["auditAnnotations"]["big"].as_str().unwrap().ends_with('…'));
}

#[test]
fn what_is_not_judged_is_admitted_and_says_why() {
    let answer = allow_unjudged(&request("Pod"), "a deletion\nadds no image");
    let response = body(&answer);
    assert_eq!((answer.decision, answer.would_be, answer.code), (Decision::Allow, Decision::Allow, 200));
    assert_eq!(
        response["auditAnnotations"],
        json!({ "verdict": "allow", "not-judged": "a deletion adds no image", "request-uid": "u-1" })
    );
}

#[test]
fn our_own_failure_refuses_pods_only_when_enforcing() {
    use Decision::{Deny, Warn};
    for (case, kind, mode, decision, would_be, code) in [
        ("Pod", "Pod", Mode::Enforce, Deny, Deny, 500),
        ("Pod in audit mode", "Pod", Mode::Audit, Warn, Deny, 200),
        ("template", "Deployment", Mode::Enforce, Warn, Warn, 200),
    ] {
        let answer = respond_failure(&request(kind), "it\npanicked", mode);
        let response = body(&answer);
        assert_eq!((answer.decision, answer.would_be, answer.code), (decision, would_be, code), "{case}");
        let text = response["status"]["message"].as_str().or(response["warnings"][0].as_str()).unwrap();
        assert!(text.contains("shop/web was not judged: hullmark failed (it panicked)"), "{case}: {text}");
        assert_eq!(response["auditAnnotations"]["failure"], "it panicked", "{case}");
    }
}
