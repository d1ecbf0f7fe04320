//! Documents as `scan -o json` prints them: a cluster as it might be, and one that is odd in every way.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const GENERATED: &str = "2026-11-25T10:00:00Z";

/// A policy and rule, what it acts as, what was found, what is wanted.
type Rule = (&'static str, &'static str, &'static str, &'static str, &'static str);

const ROOT: Rule = (
    "non-root",
    "user",
    "deny",
    "runs as root (USER is empty)",
    "a non-root user: set USER in the image or runAsUser in the Pod",
);
const OLD: Rule = ("fresh-images", "age", "warn", "is 412 days old", "an image of at most 180d");
const TEAM: Rule =
    ("known-source", "labels", "record", "has no label team", "label team: the team that is asked about it");
const LATEST: Rule =
    ("pinned", "reference", "record", "has the tag latest", "a tag that is not latest, or a digest");
const SHELL: Rule = (
    "stop-signal",
    "stopSignal",
    "record",
    "has stop signal SIGKILL",
    "SIGTERM, SIGQUIT or SIGINT, so that it can end in order",
);

/// An image: name, days since it was made, what it violates.
type Image = (&'static str, Option<i64>, &'static [Rule]);

const IMAGES: [Image; 18] = [
    ("registry.acme.io/shop/web:4.12.0", Some(3), &[]),
    ("registry.acme.io/shop/cart:2.8.1", Some(12), &[]),
    ("registry.acme.io/payments/api:1.33.4", Some(9), &[]),
    ("registry.acme.io/payments/ledger:0.19.2", Some(40), &[]),
    ("registry.acme.io/search/indexer:7.1.0", Some(66), &[TEAM]),
    ("registry.acme.io/search/query:7.1.0", Some(64), &[]),
    ("registry.acme.io/legacy/billing-batch:2023.11", Some(742), &[ROOT, OLD, TEAM]),
    ("nginx:1.27", Some(118), &[ROOT]),
    ("nginxinc/nginx-unprivileged:1.27-alpine", Some(25), &[]),
    ("redis:latest", Some(21), &[LATEST]),
    ("postgres:16.4", Some(203), &[OLD]),
    ("quay.io/prometheus/prometheus:v3.1.0", Some(150), &[]),
    ("quay.io/prometheus/node-exporter:v1.8.2", Some(170), &[]),
    ("ghcr.io/acme-tools/sidecar-proxy@sha256:4f2c1b8a", Some(31), &[]),
    ("registry.acme.io/ci/runner:latest", Some(5), &[ROOT, LATEST]),
    (
        "registry.acme.io/team-blue/experimental-recommendation-engine-with-a-long-name:feature-2214-rework",
        Some(SINCE_1970),
        &[SHELL],
    ),
    ("registry.gone.example/blue/worker:9", None, &[]),
    ("busybox:1.36", Some(433), &[OLD]),
];
const GONE: usize = 16;
/// So old is what a reproducible build says of itself.
const SINCE_1970: i64 = 20_782;

/// A namespace, and its workloads: name, images, weight.
const WORKLOADS: &[(&str, &str, &str, &[usize], usize)] = &[
    ("shop", "Deployment", "web", &[0, 13], 9),
    ("shop", "Deployment", "cart", &[1, 13], 6),
    ("shop", "Deployment", "assets", &[8], 4),
    ("payments", "Deployment", "api", &[2, 13], 8),
    ("payments", "StatefulSet", "ledger", &[3], 3),
    ("search", "Deployment", "query", &[5], 7),
    ("search", "Deployment", "indexer", &[4], 3),
    ("data", "StatefulSet", "orders-db", &[10], 3),
    ("data", "StatefulSet", "cache", &[9], 3),
    ("monitoring", "StatefulSet", "prometheus", &[11], 2),
    ("monitoring", "DaemonSet", "node-exporter", &[12], 12),
    ("ingress", "DaemonSet", "edge", &[7], 6),
    ("legacy", "Deployment", "billing", &[6, 17], 5),
    ("ci", "Job", "runner", &[14], 4),
    ("team-blue", "Deployment", "recommendations", &[15], 2),
    ("team-blue", "Deployment", "worker", &[GONE], 1),
    ("shop", "Deployment", "checkout", &[1], 5),
];

/// A cluster with so many Pods, and a template for every workload.
pub(crate) fn realistic(pods: usize) -> Value {
    let turns: Vec<_> = WORKLOADS.iter().flat_map(|workload| vec![workload; workload.4]).collect();
    let mut objects: Vec<_> = (0..pods).map(|n| object(turns[n * 31 % turns.len()], Some(n))).collect();
    objects.extend(WORKLOADS.iter().map(|workload| object(workload, None)));
    document("https://prod-eu-1.acme.io:6443", &objects)
}

/// The document of these objects, its numbers counted here.
pub(crate) fn document(cluster: &str, objects: &[Value]) -> Value {
    let pods: Vec<_> = objects.iter().filter(|object| object["isTemplate"] == false).collect();
    let count = |key: &str, value: Value| pods.iter().filter(|pod| pod[key] == value).count();
    let drifted =
        |pod: &&&Value| pod["images"].as_array().unwrap().iter().any(|image| image["drifted"] == true);
    let images: BTreeSet<_> = objects
        .iter()
        .flat_map(|object| object["images"].as_array().unwrap())
        .map(|image| image["reference"].as_str().or(image["image"].as_str()).unwrap())
        .collect();
    json!({
        "schemaVersion": 1, "hullmarkVersion": "0.1.0", "generatedAt": GENERATED,
        "cluster": cluster, "policySource": "cluster", "policies": policies(&pods),
        "summary": {
            "pods": pods.len(), "templates": objects.len() - pods.len(), "images": images.len(),
            "compliant": count("compliance", json!("compliant")),
            "violating": count("compliance", json!("violating")),
            "notChecked": count("compliance", json!("notChecked")),
            "unmatched": count("compliance", json!("unmatched")),
            "denied": count("outcome", json!("denied")),
            "drifted": pods.iter().filter(drifted).count(),
            "neverJudged": count("neverJudged", json!(true)), "exempt": 12,
        },
        "objects": objects,
    })
}

fn policies(pods: &[&Value]) -> Vec<Value> {
    let mut policies: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for pod in pods {
        for policy in pod["policies"].as_array().unwrap() {
            let has = |kind: &str| {
                pod["findings"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|f| f["policy"] == *policy && f["kind"] == kind)
            };
            let place = if has("violation") { 1 } else { usize::from(has("unresolved")) * 2 };
            policies.entry(policy.as_str().unwrap()).or_default()[place] += 1;
        }
    }
    let row = |(name, [compliant, violating, unchecked]): (&str, [u64; 3])| {
        let action =
            [ROOT, OLD, TEAM, LATEST, SHELL].iter().find(|rule| rule.0 == name).map_or("record", |r| r.2);
        let action = match action {
            "deny" => "Deny",
            "warn" => "Warn",
            _ => "Audit",
        };
        json!({"name": name, "actions": [action],
            "pods": {"compliant": compliant, "violating": violating, "notChecked": unchecked}})
    };
    policies.into_iter().map(row).collect()
}

/// The `n`th Pod of a workload, or its template.
fn object(workload: &(&str, &str, &str, &[usize], usize), n: Option<usize>) -> Value {
    let (namespace, kind, name, used, _) = *workload;
    let excepted = namespace == "data" && name == "orders-db";
    let found: Vec<_> = used.iter().flat_map(|at| findings(*at, used)).collect();
    let (kept, excused) = if excepted { (vec![], found) } else { (found, vec![]) };
    let has = |kind: &str| kept.iter().any(|finding: &Value| finding["kind"] == kind);
    let denies = kept.iter().any(|finding| finding["action"] == "deny");
    let excused: Vec<_> =
        excused.into_iter().map(|f| with(f, "exception", json!("data/orders-db-until-q1"))).collect();
    json!({
        "apiVersion": if n.is_some() { "v1" } else { "apps/v1" },
        "kind": if n.is_some() { "Pod" } else { kind },
        "namespace": namespace,
        "name": n.map_or(name.to_owned(), |n| format!("{name}-{:05x}", n * 48_271 % 0xf_ffff)),
        "isTemplate": n.is_none(),
        "owner": n.map(|_| json!({"kind": kind, "name": name})),
        "createdAt": ago(i64::try_from(n.unwrap_or(9) % 90).unwrap()),
        "compliance": if has("violation") { "violating" } else if has("unresolved") { "notChecked" } else { "compliant" },
        "outcome": if denies { "denied" } else if has("unresolved") { "notChecked" } else if has("violation") { "warned" } else { "clean" },
        "policies": ["fresh-images", "known-source", "non-root", "pinned", "stop-signal"],
        "neverJudged": n.is_some_and(|n| n % 29 == 3),
        "images": used.iter().map(|at| image(*at, used, n)).collect::<Vec<_>>(),
        "findings": kept, "excepted": excused,
    })
}

fn image(at: usize, used: &[usize], n: Option<usize>) -> Value {
    let (name, made, _) = IMAGES[at];
    let first = name.split('/').next().unwrap();
    let reference = match name.contains('/') {
        true if first.contains('.') => name.to_owned(),
        true => format!("docker.io/{name}"),
        false => format!("docker.io/library/{name}"),
    };
    let drifted = name.ends_with("latest") && n.is_some_and(|n| n % 3 == 0);
    let digest = (at != GONE).then(|| digest(at));
    json!({
        "use": "Container", "container": container(at, used), "fieldPath": path(at, used),
        "image": name, "reference": reference, "digest": digest, "created": made.map(ago),
        "platforms": ["linux/amd64", "linux/arm64"],
        "runningDigest": n.and(digest.clone()).map(|now| if drifted { self::digest(at + 100) } else { now }),
        "drifted": drifted,
        "error": (at == GONE).then(|| json!({"kind": "NotFound", "detail": "registry.gone.example says that it has no such tag (404 MANIFEST_UNKNOWN)"})),
    })
}

fn findings(at: usize, used: &[usize]) -> Vec<Value> {
    let (name, _, rules) = IMAGES[at];
    let unresolved: Rule = ("non-root", "", "record", "could not be looked at: no such tag", "");
    let (rules, kind, why) = if at == GONE {
        (&[unresolved][..], "unresolved", Some("NotFound"))
    } else {
        (rules, "violation", None)
    };
    let container = container(at, used);
    let finding = |(policy, rule, action, found, wanted): &Rule| {
        json!({
            "policy": policy, "rule": rule, "kind": kind, "unresolvedKind": why, "action": action,
            "use": "Container", "container": container, "fieldPath": path(at, used), "image": name,
            "platforms": ["linux/amd64", "linux/arm64"], "found": found, "wanted": wanted,
            "message": format!("container \"{container}\": image {name} {found} [policy {policy}, {rule}]"),
        })
    };
    rules.iter().map(finding).collect()
}

fn container(at: usize, used: &[usize]) -> &'static str {
    if used[0] == at { "app" } else { "sidecar" }
}

fn path(at: usize, used: &[usize]) -> String {
    format!("spec.containers[{}].image", used.iter().position(|used| *used == at).unwrap())
}

fn digest(seed: usize) -> String {
    hullmark::image::Digest::sha256(seed.to_string().as_bytes()).to_string()
}

fn ago(days: i64) -> String {
    (GENERATED.parse::<Timestamp>().unwrap() - SignedDuration::from_hours(24 * days)).to_string()
}

fn with(mut value: Value, key: &str, field: Value) -> Value {
    value[key] = field;
    value
}

/// Markup, directions, control characters and sheer length in every place that takes a text.
pub(crate) fn odd() -> Value {
    let long = "a-name-without-end".repeat(14);
    let texts = [
        HOSTILE,
        "\"' onmouseover=\"document.title='owned'\" x='",
        "javascript:document.title='owned'",
        "{{data}}<!--<script>document.title='owned'</script>",
        "\u{202e}gnp.exe\u{2066} \u{1b}[31m\0\n\u{2028}",
        "مرحبا بالعالم",
        "🚢⚓️👩🏽‍🚀",
        &long,
    ];
    let objects: Vec<_> =
        texts.iter().flat_map(|text| [odd_object(text, false), odd_object(text, true)]).collect();
    let mut document = document(HOSTILE, &objects);
    document["policySource"] = json!(texts.join(" "));
    document["hullmarkVersion"] = json!(HOSTILE);
    document
}

/// What would run if anything of a document were taken for markup.
pub(crate) const HOSTILE: &str = "</script></title></style><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

fn odd_object(text: &str, template: bool) -> Value {
    let finding = json!({
        "policy": text, "rule": text, "kind": "violation", "unresolvedKind": text, "action": text, "use": text,
        "container": text, "fieldPath": text, "image": text, "platforms": [text], "found": text, "wanted": text,
        "message": text,
    });
    json!({
        "apiVersion": text, "kind": text, "namespace": text, "name": text, "isTemplate": template,
        "owner": {"kind": text, "name": text}, "createdAt": text, "compliance": "violating", "outcome": "denied",
        "policies": [text], "neverJudged": true,
        "images": [{
            "use": text, "container": text, "fieldPath": text, "image": text, "reference": text, "digest": text,
            "created": text, "platforms": [text], "runningDigest": text, "drifted": true,
            "error": {"kind": text, "detail": text},
        }],
        "findings": [finding.clone()], "excepted": [with(finding, "exception", json!(text))],
    })
}
