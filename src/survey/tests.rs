use super::*;
use crate::{
    image::UnresolvedKind,
    policy::{Excepted, fixtures},
    workload::Workload,
};
use serde_json::json;
use std::sync::Arc;

/// A Pod (or a template) that one policy judged, with these findings.
fn surveyed(name: &str, is_template: bool, findings: Vec<Finding>) -> Surveyed {
    let kind = if is_template { "Deployment" } else { "Pod" };
    Surveyed {
        object: ObjectRef {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: Some("shop".to_owned()),
            name: name.to_owned(),
            uid: None,
        },
        owners: Vec::new(),
        is_template,
        created: None,
        never_judged: false,
        verdict: Verdict { findings, policies: vec!["non-root".into()], ..Verdict::default() },
        facts: Vec::new(),
        running: Vec::new(),
    }
}

fn finding(kind: FindingKind, enforcement: Enforcement) -> Finding {
    Finding { kind, enforcement, ..fixtures::finding() }
}

fn survey(objects: Vec<Surveyed>) -> Survey {
    Survey {
        at: Timestamp::UNIX_EPOCH,
        cluster: "https://a.test".to_owned(),
        policy_source: "cluster".to_owned(),
        policies: vec![Policy { name: "non-root".to_owned(), actions: vec!["Audit"] }],
        objects,
        exempt: 2,
        notes: vec!["cronjobs cannot be listed".to_owned()],
    }
}

#[test]
fn compliance_is_what_was_found_and_the_outcome_what_follows() {
    use FindingKind::{EvaluationError, Stale, Unresolved, Violation};
    let gone = UnresolvedKind::NotFound;
    for (name, findings, compliance, outcome) in [
        ("nothing", vec![], Compliance::Compliant, Outcome::Clean),
        ("denied", vec![(Violation, Enforcement::Deny)], Compliance::Violating, Outcome::Denied),
        ("warned", vec![(Violation, Enforcement::Warn)], Compliance::Violating, Outcome::Warned),
        ("audited", vec![(Violation, Enforcement::Record)], Compliance::Violating, Outcome::Clean),
        (
            "unresolved",
            vec![(Unresolved(gone), Enforcement::Deny)],
            Compliance::NotChecked,
            Outcome::NotChecked,
        ),
        ("failed", vec![(EvaluationError, Enforcement::Record)], Compliance::NotChecked, Outcome::Clean),
        ("stale", vec![(Stale(gone), Enforcement::Warn)], Compliance::Compliant, Outcome::Warned),
        (
            "the worst counts",
            vec![(Unresolved(gone), Enforcement::Deny), (Violation, Enforcement::Record)],
            Compliance::Violating,
            Outcome::NotChecked,
        ),
    ] {
        let findings = findings.into_iter().map(|(kind, enforcement)| finding(kind, enforcement)).collect();
        let one = surveyed("web", false, findings);
        assert_eq!((one.compliance(), one.outcome()), (compliance, outcome), "{name}");
    }
    let mut excepted = surveyed("web", false, Vec::new());
    let by = "shop/legacy".to_owned();
    excepted.verdict.excepted.push(Excepted { exception: by, finding: fixtures::finding() });
    assert_eq!(excepted.compliance(), Compliance::Compliant, "an exception lets it pass");
    excepted.verdict.policies.clear();
    assert_eq!(excepted.compliance(), Compliance::Unmatched);
}

#[test]
fn pods_are_counted_and_templates_beside_them() {
    let violation = || finding(FindingKind::Violation, Enforcement::Record);
    let unresolved = finding(FindingKind::Unresolved(UnresolvedKind::Timeout), Enforcement::Deny);
    let mut unmatched = surveyed("other", false, Vec::new());
    unmatched.verdict.policies.clear();
    let mut old = surveyed("old", false, vec![violation(), violation()]);
    old.never_judged = true;
    let summary = survey(vec![
        surveyed("web", true, vec![violation()]),
        surveyed("good", false, Vec::new()),
        surveyed("gone", false, vec![unresolved]),
        unmatched,
        old,
    ])
    .summary();
    let policies =
        [("non-root".to_owned(), PolicyCount { compliant: 1, violating: 1, not_checked: 1 })].into();
    let expected = Summary {
        pods: 4,
        templates: 1,
        images: 0,
        compliant: 1,
        violating: 1,
        not_checked: 1,
        unmatched: 1,
        denied: 1,
        drifted: 0,
        never_judged: 1,
        policies,
    };
    assert_eq!(summary, expected);
}

#[test]
fn only_a_tag_that_is_known_drifts() {
    let hex = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let image = Arc::new(fixtures::image_of(&json!({ "User": "1000" })));
    let known = image.digest.to_string();
    let manifest = image.platforms[1].manifest_digest.to_string();
    let image = || Ok(Arc::clone(&image));
    let nobody = Err(fixtures::unresolved(UnresolvedKind::NotFound, ""));
    for (name, written, image, runs, drifted) in [
        ("the index", "nginx:1", image(), Some(known), false),
        ("a manifest of it", "nginx:1", image(), Some(manifest), false),
        ("another", "nginx:1", image(), Some(hex("b")), true),
        ("not started", "nginx:1", image(), None, false),
        ("a digest cannot move", &format!("nginx@{}", hex("a")), image(), Some(hex("b")), false),
        ("not known", "nginx:1", nobody, Some(hex("b")), false),
    ] {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" },
            "spec": { "containers": [{ "name": "app", "image": written }] },
            "status": { "containerStatuses": [{ "name": "app", "imageID": runs.unwrap_or_default() }] },
        });
        let workload = Workload::from_object(&pod).unwrap().unwrap();
        let fact = Fact { usage: workload.uses[0].clone(), image: Some(image) };
        let one = Surveyed { running: running(&pod), ..surveyed("web", false, Vec::new()) };
        assert_eq!(one.has_drifted(&fact), drifted, "{name}");
    }
}

#[test]
fn people_read_what_is_worst_first() {
    let violation = |message: &str| Finding { message: message.to_owned(), ..fixtures::finding() };
    let owner = ObjectRef { kind: "Deployment".to_owned(), ..surveyed("web", false, Vec::new()).object };
    let pod =
        |name: &str, findings| Surveyed { owners: vec![owner.clone()], ..surveyed(name, false, findings) };
    let unresolved = Finding {
        kind: FindingKind::Unresolved(UnresolvedKind::Timeout),
        ..violation("container \"app\": image x could not be checked")
    };
    let text = table::text(&survey(vec![
        surveyed("gone", false, vec![unresolved]),
        pod("web-1", vec![violation("runs as root")]),
        pod("web-2", vec![violation("runs as root"), violation("odd\u{1b}[31m")]),
        surveyed("good", false, Vec::new()),
    ]));
    let expected = "\
POLICY    ACTIONS       COMPLIANT  VIOLATING  NOT CHECKED
non-root  Audit                 1          2            1

NAMESPACE          PODS  COMPLIANT  VIOLATING  NOT CHECKED
shop                  4          1          2            1

violating    Pods of Deployment shop/web  2 Pods
    deny   odd [31m [policy non-root, user] (1 of them)
    deny   runs as root [policy non-root, user]
not checked  Pod shop/gone
    deny   container \"app\": image x could not be checked [policy non-root, user]

note: cronjobs cannot be listed
4 Pods, 0 templates, 0 images: 1 of 4 judged Pods comply; 2 violating, 1 not checked
3 Pods would be refused if they were created now
2 objects in exempt namespaces passed over
";
    assert_eq!(text, expected);
}
