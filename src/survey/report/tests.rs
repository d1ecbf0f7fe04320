use super::*;
use crate::{
    image::{Freshness, MediaType, ResolvedImage, UnresolvedKind},
    policy::{Excepted, Verdict, fixtures},
    workload::Workload,
};
use serde_json::{Value, json};
use std::sync::Arc;

const ALL: Extent = Extent { max_results: 100, passes: false };

fn at(second: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + second, 5).unwrap()
}

fn object(kind: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
        uid: Some(format!("uid-of-{name}")),
    }
}

fn finding(rule: &str, kind: FindingKind) -> Finding {
    Finding {
        rule: rule.to_owned(),
        kind,
        enforcement: Enforcement::Warn,
        platforms: vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()],
        found: format!("{rule} is wrong"),
        wanted: "a better one".to_owned(),
        message: format!("container \"app\": {rule} is wrong"),
        ..fixtures::finding()
    }
}

/// What was found on an object with these owners.
fn surveyed(object: ObjectRef, owners: &[ObjectRef], findings: &[Finding]) -> Surveyed {
    Surveyed {
        is_template: object.kind != "Pod",
        object,
        owners: owners.to_vec(),
        created: None,
        never_judged: false,
        verdict: Verdict {
            findings: findings.to_vec(),
            policies: vec!["non-root".into(), "owned".into()],
            ..Verdict::default()
        },
        facts: Vec::new(),
        running: Vec::new(),
    }
}

fn survey(second: i64, objects: Vec<Surveyed>) -> Survey {
    Survey {
        at: at(second),
        cluster: "test".to_owned(),
        policy_source: "cluster".to_owned(),
        policies: Vec::new(),
        objects,
        exempt: 0,
        notes: Vec::new(),
    }
}

fn reported(objects: Vec<Surveyed>) -> Vec<Report> {
    reports(&survey(0, objects), ALL)
}

/// `Deployment/web: fail user 2, error resolution 1`, with the number of Pods.
fn lines(reports: &[Report]) -> Vec<String> {
    let entry = |entry: &Entry| {
        let rule = entry.rule.as_deref().unwrap_or("-");
        format!("{} {rule} {}", entry.grade.as_str(), entry.properties["pods"])
    };
    reports
        .iter()
        .map(|report| {
            let entries: Vec<String> = report.entries.iter().map(entry).collect();
            format!("{}/{}: {}", report.scope.kind, report.scope.name, entries.join(", "))
        })
        .collect()
}

#[test]
fn there_is_one_for_each_object_that_a_person_wrote() {
    let user = || finding("user", FindingKind::Violation);
    let (deployment, set) = (object("Deployment", "web"), object("ReplicaSet", "web-1"));
    let above = [set.clone(), deployment.clone()];
    let node = ObjectRef { uid: None, ..object("Node", "n1") };
    let rows: Vec<(&str, Vec<Surveyed>, Vec<&str>)> = vec![
        ("nothing", vec![], vec![]),
        ("what complies has none", vec![surveyed(object("Pod", "a"), &[], &[])], vec![]),
        ("a Pod of nobody", vec![surveyed(object("Pod", "a"), &[], &[user()])], vec!["Pod/a: fail user 1"]),
        (
            "the same on two Pods is one result, and another on one of them",
            vec![
                surveyed(object("Pod", "a"), &above, &[user()]),
                surveyed(object("Pod", "b"), &above, &[finding("ports", FindingKind::Violation), user()]),
            ],
            vec!["Deployment/web: fail ports 1, fail user 2"],
        ),
        (
            "a template that runs nothing",
            vec![surveyed(deployment.clone(), &[], &[user()])],
            vec!["Deployment/web: fail user 0"],
        ),
        (
            "what another object made of a template counts by its Pods only",
            vec![surveyed(set.clone(), std::slice::from_ref(&deployment), &[user()])],
            vec![],
        ),
        (
            "the mirror of a static Pod",
            vec![surveyed(object("Pod", "etcd"), &[node], &[user()])],
            vec!["Pod/etcd: fail user 1"],
        ),
        (
            "one object by two of its versions",
            vec![
                surveyed(object("Pod", "a"), &above, &[user()]),
                surveyed(
                    ObjectRef { api_version: "apps/v2".to_owned(), ..deployment.clone() },
                    &[],
                    &[finding("ports", FindingKind::Violation)],
                ),
            ],
            vec!["Deployment/web: fail ports 0, fail user 1"],
        ),
        (
            "what nothing can own",
            vec![surveyed(ObjectRef { uid: None, ..object("Pod", "a") }, &[], &[user()])],
            vec![],
        ),
    ];
    for (name, objects, expected) in rows {
        assert_eq!(lines(&reported(objects)), expected, "{name}");
    }
}

#[test]
fn grades_say_how_it_ended() {
    let mut pod = surveyed(
        object("Pod", "a"),
        &[],
        &[
            finding("resolution", FindingKind::Unresolved(UnresolvedKind::NotFound)),
            finding("resolution", FindingKind::Stale(UnresolvedKind::Timeout)),
            finding("validations[0]", FindingKind::EvaluationError),
            finding("user", FindingKind::Violation),
        ],
    );
    let excepted =
        Excepted { exception: "shop/legacy".to_owned(), finding: finding("ports", FindingKind::Violation) };
    pod.verdict.excepted.push(excepted);
    let report = reports(&survey(0, vec![pod]), Extent { passes: true, ..ALL }).remove(0);
    assert_eq!(
        lines(std::slice::from_ref(&report)),
        ["Pod/a: fail user 1, error resolution 1, error validations[0] 1, warn resolution 1, skip ports 1, \
             pass - 1"]
    );
    assert_eq!(report.entries[5].policy, "owned", "the other policy has nothing to say");
    assert_eq!(report.entries[4].properties["exception"], "shop/legacy");
    assert!(report.entries[4].message.ends_with("(let pass by the exception shop/legacy)"));
    assert_eq!(report.entries[1].properties["unresolved"], "NotFound");
    let summary = &report.document(Form::OpenReports, None)["summary"];
    assert_eq!(summary, &json!({ "fail": 1, "error": 2, "warn": 1, "skip": 1, "pass": 1 }));
}

#[test]
fn what_passes_most_of_the_time_is_told_only_if_wanted() {
    let objects = || vec![surveyed(object("Pod", "a"), &[], &[])];
    assert_eq!(reported(objects()), []);
    let with = reports(&survey(0, objects()), Extent { passes: true, ..ALL });
    assert_eq!(lines(&with), ["Pod/a: pass - 1, pass - 1"]);
}

#[test]
fn a_report_is_bounded_and_says_so() {
    let mut findings: Vec<Finding> = (0..9)
        .map(|nth| finding(&format!("rule{nth}"), FindingKind::Unresolved(UnresolvedKind::Tls)))
        .collect();
    findings.push(Finding { message: "x".repeat(9000), ..finding("user", FindingKind::Violation) });
    let objects = vec![surveyed(object("Pod", "a"), &[], &findings)];
    let report = reports(&survey(0, objects), Extent { max_results: 3, passes: false }).remove(0);
    assert_eq!(lines(std::slice::from_ref(&report)), ["Pod/a: fail user 1, error rule0 1, error rule1 1"]);
    assert_eq!(report.entries[0].message.chars().count(), MAX_MESSAGE);
    let document = report.document(Form::PolicyReport, None);
    assert_eq!(document["metadata"]["annotations"]["hullmark.dev/results-left-out"], "7");
    assert_eq!(document["summary"]["error"], 9, "what is left out is counted");
}

#[test]
fn the_object_is_what_tools_expect() {
    let mut pod = surveyed(
        object("Pod", "a"),
        &[object("Deployment", "web")],
        &[finding("user", FindingKind::Violation)],
    );
    pod.facts = vec![fact()];
    let report = reported(vec![pod]).remove(0);
    let mut document = report.document(Form::OpenReports, None);
    let fingerprint = document["metadata"]["annotations"].take();
    assert_eq!(fingerprint, json!({ "hullmark.dev/fingerprint": report.fingerprint(Form::OpenReports) }));
    let owner = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "uid-of-web" });
    let mut scope = owner.clone();
    scope["namespace"] = "shop".into();
    let expected = json!({
        "apiVersion": "openreports.io/v1alpha1", "kind": "Report",
        "metadata": {
            "name": "hullmark-uid-of-web", "namespace": "shop",
            "labels": { "app.kubernetes.io/managed-by": "hullmark" },
            "annotations": null, "ownerReferences": [owner],
        },
        "source": "hullmark",
        "scope": scope,
        "summary": { "pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0 },
        "results": [{
            "source": "hullmark", "category": "Image configuration", "policy": "non-root", "rule": "user",
            "result": "fail", "severity": "medium", "scored": true,
            "message": "container \"app\": user is wrong",
            "timestamp": { "seconds": 1_800_000_000, "nanos": 5 },
            "properties": {
                "action": "warn", "container": "app", "digest": format!("sha256:{}", "a".repeat(64)),
                "found": "user is wrong", "image": "r.test/app:1", "platforms": "linux/amd64,linux/arm64",
                "pods": "1", "use": "Container", "wanted": "a better one",
            },
        }],
    });
    assert_eq!(document, expected);
    let older = report.document(Form::PolicyReport, None);
    assert_eq!(
        (&older["apiVersion"], &older["kind"]),
        (&json!("wgpolicyk8s.io/v1alpha2"), &json!("PolicyReport"))
    );
    assert!(older.get("source").is_none(), "it knows it of results only");
    assert_ne!(report.fingerprint(Form::OpenReports), report.fingerprint(Form::PolicyReport));
}

fn fact() -> Fact {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a" },
        "spec": { "containers": [{ "name": "app", "image": "r.test/app:1" }] },
    });
    let workload = Workload::from_object(&pod).unwrap().unwrap();
    let usage = workload.uses[0].clone();
    let image = ResolvedImage {
        reference: usage.reference.clone().unwrap(),
        digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
        media_type: MediaType::OciManifest,
        index_annotations: crate::image::TextMap::default(),
        available: Vec::new(),
        platforms: Vec::new(),
        freshness: Freshness::Fetched,
        auth: crate::image::AuthKind::Anonymous,
    };
    Fact { usage, image: Some(Ok(Arc::new(image))) }
}

#[test]
fn time_alone_changes_nothing_and_a_result_keeps_its_time() {
    let of = |second: i64, findings: &[Finding]| {
        let objects = vec![surveyed(object("Pod", "a"), &[], findings)];
        reports(&survey(second, objects), ALL).remove(0)
    };
    let user = finding("user", FindingKind::Violation);
    let stale = |seconds: u32| Finding {
        found: format!("was judged by what was known {seconds} s ago"),
        message: format!("was judged by what was known {seconds} s ago"),
        ..finding("resolution", FindingKind::Stale(UnresolvedKind::Timeout))
    };
    let first = of(0, &[user.clone(), stale(1)]);
    let later = of(60, &[user.clone(), stale(61)]);
    assert_eq!(first.fingerprint(Form::OpenReports), later.fingerprint(Form::OpenReports));

    let ports = finding("ports", FindingKind::Violation);
    let changed = of(120, &[user, ports, stale(121)]);
    assert_ne!(first.fingerprint(Form::OpenReports), changed.fingerprint(Form::OpenReports));
    let before = first.document(Form::OpenReports, None);
    let after = changed.document(Form::OpenReports, Some(&before));
    let times: Vec<(&str, i64)> = after["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["rule"].as_str().unwrap(), one["timestamp"]["seconds"].as_i64().unwrap() - 1_800_000_000)
        })
        .collect();
    assert_eq!(times, [("ports", 120), ("user", 0), ("resolution", 0)]);
    // Nonsense that somebody else wrote there is no time.
    for nonsense in [json!({}), json!({ "results": [{ "policy": "non-root" }] }), Value::Null] {
        let document = changed.document(Form::OpenReports, Some(&nonsense));
        assert_eq!(document["results"][0]["timestamp"]["seconds"], 1_800_000_120_i64);
    }
}
