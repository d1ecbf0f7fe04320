//! What audit says is what enforcing does: of some hundred Pods, the decision log, the metrics, the reports, the scan and
//! its page say the same, and a policy that is turned to Deny refuses exactly the Pods of which they said so.

use super::stage::{Stage, eventually, replica};
use crate::{
    reports::define,
    support::{Browser, Hullmark, Image, Namespace, Webhook},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

const POLICIES: [&str; 2] = ["agreed-non-root", "agreed-owned"];
/// Label of the namespaces that are judged here: other tests left Pods in others.
const LABEL: &str = "agreement";
/// Deployment, image, and how many Pods: of the first namespace, and half as many of the second.
const DEPLOYMENTS: [(&str, &str, usize); 5] = [
    ("fine", "fine", 60),
    ("root", "root", 50),
    ("nobodys", "nobodys", 40),
    ("both", "both", 30),
    ("gone", "gone", 6),
];

/// Pods of a policy by what it found: namespace and name of each.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    violating: BTreeSet<String>,
    not_checked: BTreeSet<String>,
}

/// The same in numbers.
type Counts = BTreeMap<String, (usize, usize)>;

#[tokio::test]
async fn audit_and_deny_agree_on_every_pod() {
    let stage = Stage::set(&json!({})).await;
    define(stage.plane, "openreports", "reports.openreports.io").await;
    push_images(&stage).await;
    for (name, rules) in POLICIES.into_iter().zip([
        json!({ "user": { "runAsNonRoot": true } }),
        json!({ "labels": [{ "key": "team", "required": true }] }),
    ]) {
        stage.apply(&policy(name, &rules, "Audit")).await.succeeded();
    }
    let webhook = Webhook::operate(stage.plane, &stage.hosts).await;
    let namespaces = [stage.plane.namespace().await, stage.plane.namespace().await];
    for namespace in &namespaces {
        let label = format!("{LABEL}=yes");
        stage.plane.kubectl(["label", "namespace", &namespace.name, &label]).await.succeeded();
    }
    in_force(&stage, &webhook, &namespaces[0]).await;
    let pods = deploy(&stage, &webhook, &namespaces).await;

    let logged = of_log(&webhook, &namespaces);
    let expected: Counts = [(POLICIES[0], (120, 9)), (POLICIES[1], (105, 9))].map(owned).into();
    assert_eq!(counts(&logged), expected, "the log, one line for each Pod; {pods} Pods");
    assert_eq!(
        of_metrics(&metrics(&stage).await),
        of_all_lines(&webhook),
        "metrics count what the log tells"
    );

    let document = scan(&stage, "json").await;
    assert_eq!(of_document(&document, &namespaces), logged, "the scan finds it on the same Pods");
    assert_eq!(of_summary(&document), expected);
    page_shows(&stage, &document).await;

    // Something of a policy has changed, so it scans again.
    stage.plane.kubectl(["annotate", "cicp", POLICIES[0], "looked=at"]).await.succeeded();
    let mut gauges = Counts::new();
    eventually("the background scan agrees", &webhook, async || {
        gauges = of_gauges(&metrics(&stage).await);
        gauges == expected
    })
    .await;
    let mut reported = Counts::new();
    eventually("the reports agree", &webhook, async || {
        reported = of_reports(&namespaces).await;
        reported == expected
    })
    .await;

    let found = &logged[POLICIES[0]];
    let would_be: BTreeSet<&String> = found.violating.union(&found.not_checked).collect();
    let rules = json!({ "user": { "runAsNonRoot": true } });
    stage.apply(&policy(POLICIES[0], &rules, "Deny")).await.succeeded();
    eventually("the policy denies", &webhook, async || !refused(&namespaces[0], "root", 1).await.is_empty())
        .await;
    let mut refusals = BTreeSet::new();
    for namespace in &namespaces {
        for (deployment, ..) in DEPLOYMENTS {
            refusals.extend(refused(namespace, deployment, usize::MAX).await);
        }
    }
    assert_eq!(refusals.iter().collect::<BTreeSet<_>>(), would_be, "exactly these are refused");
}

fn owned<V>((name, value): (&str, V)) -> (String, V) {
    (name.to_owned(), value)
}

fn policy(name: &str, rules: &Value, action: &str) -> Value {
    json!({
        "apiVersion": "hullmark.dev/v1alpha1", "kind": "ClusterImageConfigPolicy", "metadata": { "name": name },
        "spec": {
            "validationActions": [action], "rules": rules,
            "match": { "namespaceSelector": { "matchLabels": { LABEL: "yes" } } },
        },
    })
}

async fn push_images(stage: &Stage) {
    let team = json!({ "team": "shop" });
    for (name, user, labels) in [
        ("fine", "1000", &team),
        ("root", "", &team),
        ("nobodys", "1000", &json!({})),
        ("both", "0", &json!({})),
    ] {
        let image = Image::oci("linux/amd64", &json!({ "User": user, "Labels": labels }));
        image.push(&stage.open, &format!("agreed/app:{name}")).await;
    }
}

/// Waits until both policies find something, by dry runs.
async fn in_force(stage: &Stage, webhook: &Webhook, namespace: &Namespace) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "probe" },
        "spec": { "containers": [{ "name": "app", "image": stage.open.image("agreed/app:both") }] },
    });
    eventually("both policies are in force", webhook, async || {
        namespace.kubectl_with(&pod.to_string(), ["create", "--dry-run=server", "-f", "-"]).await.succeeded();
        webhook.logged("review").iter().any(|line| {
            let findings = line["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
            findings.iter().map(|one| text(&one["policy"])).collect::<BTreeSet<_>>().len() == POLICIES.len()
        })
    })
    .await;
}

/// Makes the Deployments; gives the number of their Pods once all are there.
async fn deploy(stage: &Stage, webhook: &Webhook, namespaces: &[Namespace; 2]) -> usize {
    let mut expected = 0;
    for (namespace, share) in namespaces.iter().zip([1, 2]) {
        for (name, image, pods) in DEPLOYMENTS {
            let labels = json!({ "app": name });
            let container =
                json!({ "name": "app", "image": stage.open.image(&format!("agreed/app:{image}")) });
            let deployment = json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
                "spec": {
                    "replicas": pods / share, "selector": { "matchLabels": labels },
                    "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } },
                },
            });
            namespace.kubectl_with(&deployment.to_string(), ["create", "-f", "-"]).await.succeeded();
            expected += pods / share;
        }
    }
    eventually("all Pods are there", webhook, async || {
        let mut there = 0;
        for namespace in namespaces {
            there +=
                namespace.kubectl(["get", "pods", "-o", "name"]).await.succeeded().text().lines().count();
        }
        there == expected
    })
    .await;
    expected
}

fn counts(found: &BTreeMap<String, Found>) -> Counts {
    let of =
        |(name, found): (&String, &Found)| (name.clone(), (found.violating.len(), found.not_checked.len()));
    found.iter().map(of).collect()
}

/// What each policy found on Pods that were created, by the log.
fn of_log(webhook: &Webhook, namespaces: &[Namespace]) -> BTreeMap<String, Found> {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    let is_here = |line: &&Value| namespaces.iter().any(|one| line["request.namespace"] == one.name.as_str());
    let lines = webhook.logged("review");
    let created = lines.iter().filter(is_here).filter(|line| {
        line["request.kind"] == "Pod"
            && line["request.operation"] == "CREATE"
            && line["request.dry_run"] == false
    });
    for line in created {
        // One of the sample of plain admits.
        if line["sampled"] != Value::Null {
            continue;
        }
        let pod = format!("{}/{}", text(&line["request.namespace"]), text(&line["request.name"]));
        assert_eq!((&line["verdict"], &line["if_enforced"]), (&json!("allow"), &json!("deny")), "{line:#}");
        for finding in line["findings"].as_array().unwrap() {
            assert_eq!((&finding["action"], &finding["if_enforced"]), (&json!("audit"), &json!("deny")));
            add(&mut found, finding, &pod);
        }
    }
    found
}

fn add(found: &mut BTreeMap<String, Found>, finding: &Value, pod: &str) {
    let of_policy = found.entry(text(&finding["policy"]).to_owned()).or_default();
    let pods = match text(&finding["kind"]) {
        "violation" => &mut of_policy.violating,
        "unresolved" => &mut of_policy.not_checked,
        other => panic!("{other}: {finding:#}"),
    };
    assert!(pods.insert(pod.to_owned()), "found twice on {pod}: {finding:#}");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Findings by policy in every line, templates and dry runs with them: that is what the metrics count.
fn of_all_lines(webhook: &Webhook) -> Counts {
    let mut counts = Counts::new();
    for line in webhook.logged("review") {
        for finding in line["findings"].as_array().into_iter().flatten() {
            let (violations, unresolved) = counts.entry(text(&finding["policy"]).to_owned()).or_default();
            *if finding["kind"] == "violation" { violations } else { unresolved } += 1;
        }
    }
    counts
}

async fn metrics(stage: &Stage) -> String {
    let exposed = stage.open.client().get(format!("http://{}/metrics", replica(0).1)).send().await;
    exposed.unwrap().text().await.unwrap()
}

/// The value of each sample of a metric, with its labels.
fn samples<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = (BTreeMap<&'a str, &'a str>, usize)> {
    metrics.lines().filter_map(move |line| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.split_once("} ")?;
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        let labels = labels.map(|(name, value)| (name, value.trim_matches('"')));
        Some((labels.collect(), value.split(' ').next()?.parse().ok()?))
    })
}

fn of_metrics(metrics: &str) -> Counts {
    let mut counts = Counts::new();
    for (labels, value) in samples(metrics, "hullmark_findings_total") {
        let (violations, unresolved) = counts.entry(labels["policy"].to_owned()).or_default();
        *if labels["kind"] == "violation" { violations } else { unresolved } += value;
    }
    counts
}

fn of_gauges(metrics: &str) -> Counts {
    let mut counts = Counts::new();
    for (labels, value) in samples(metrics, "hullmark_scan_policy_pods") {
        let (violating, not_checked) = counts.entry(labels["policy"].to_owned()).or_default();
        match labels["compliance"] {
            "violating" => *violating = value,
            "not_checked" => *not_checked = value,
            _ => {}
        }
    }
    counts
}

/// Pods by policy, as the reports of their Deployments say.
async fn of_reports(namespaces: &[Namespace]) -> Counts {
    let mut counts = Counts::new();
    for namespace in namespaces {
        let reports = namespace.kubectl(["get", "reports", "-o", "json"]).await.succeeded().json();
        for result in
            reports["items"].as_array().unwrap().iter().filter_map(|one| one["results"].as_array()).flatten()
        {
            let pods: usize = text(&result["properties"]["pods"]).parse().unwrap();
            let (fail, error) = counts.entry(text(&result["policy"]).to_owned()).or_default();
            match text(&result["result"]) {
                "fail" => *fail += pods,
                "error" => *error += pods,
                other => panic!("{other}: {result:#}"),
            }
        }
    }
    counts
}

async fn scan(stage: &Stage, output: &str) -> Value {
    let kubeconfig = stage.plane.kubeconfig();
    let arguments = ["scan", "--kubeconfig", kubeconfig.to_str().unwrap(), "-o", output];
    let hosts = stage.hosts.to_str().unwrap();
    let command = Hullmark::new().env("HULLMARK_HOSTS_DIR", hosts).allowing_loopback();
    let output = command.run(arguments).await.succeeded();
    if output.stdout.starts_with(b"{") { output.json() } else { json!(output.text()) }
}

fn of_document(document: &Value, namespaces: &[Namespace]) -> BTreeMap<String, Found> {
    let mut found = BTreeMap::new();
    for object in document["objects"].as_array().unwrap() {
        let is_here = namespaces.iter().any(|one| object["namespace"] == one.name.as_str());
        for finding in object["findings"].as_array().into_iter().flatten() {
            if is_here && object["kind"] == "Pod" {
                let pod = format!("{}/{}", text(&object["namespace"]), text(&object["name"]));
                add(&mut found, finding, &pod);
            }
        }
    }
    found
}

fn of_summary(document: &Value) -> Counts {
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let policies = document["policies"].as_array().unwrap().iter();
    let of = |one: &Value| {
        let pods = &one["pods"];
        (text(&one["name"]).to_owned(), (number(&pods["violating"]), number(&pods["notChecked"])))
    };
    policies.map(of).collect()
}

/// The page, in a real browser, says what the document says.
async fn page_shows(stage: &Stage, document: &Value) {
    let page = scan(stage, "html").await;
    let file = stage.hosts.join("scan.html");
    fs::write(&file, text(&page)).unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("file://{}", file.display())).await;
    let shown = browser.run("return document.body.textContent").await;
    let shown = text(&shown);
    for policy in document["policies"].as_array().unwrap() {
        assert!(shown.contains(text(&policy["name"])), "{policy} is not on the page");
    }
    let script = "return JSON.parse(document.querySelector('script[type=\"application/json\"]').textContent)";
    let embedded = browser.run(script).await;
    assert_eq!((&embedded["summary"], &embedded["policies"]), (&document["summary"], &document["policies"]));
}

/// Which of the Pods of a Deployment would be refused if they were created again: at most so many are tried.
async fn refused(namespace: &Namespace, deployment: &str, at_most: usize) -> Vec<String> {
    let label = format!("app={deployment}");
    let pods = namespace.kubectl(["get", "pods", "-l", &label, "-o", "json"]).await.succeeded().json();
    let again: Vec<Value> = pods["items"].as_array().unwrap().iter().take(at_most).map(again).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": again }).to_string();
    let output = namespace.kubectl_with(&list, ["create", "--dry-run=server", "-f", "-"]).await;
    let words = format!("Pod {}/again-", namespace.name);
    let denied = |line: &str| {
        let (_, rest) = line.split_once("denied the request: ")?.1.split_once(&words)?;
        Some(format!("{}/{}", namespace.name, rest.split_once(':')?.0))
    };
    output.stderr.lines().filter_map(denied).collect()
}

/// The same Pod, as its controller would create it again.
fn again(pod: &Value) -> Value {
    let metadata = &pod["metadata"];
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": format!("again-{}", text(&metadata["name"])), "labels": metadata["labels"] },
        "spec": pod["spec"],
    })
}
