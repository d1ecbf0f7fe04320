//! What Hullmark tells the cluster beside its answers.

use super::stage::{Stage, create, eventually};
use crate::{
    reports::define,
    support::{Namespace, Webhook},
};
use serde_json::{Value, json};

/// Events of what was found, on the objects where operators look.
pub(super) async fn events(stage: &Stage, webhook: &Webhook) {
    let strict = stage.plane.namespace().await;
    refusals_are_about_the_policy(stage, &strict, webhook).await;
    let lenient = stage.plane.namespace().await;
    stage.plane.kubectl(["label", "namespace", &lenient.name, "hullmark.dev/mode=audit"]).await.succeeded();
    eventually("the namespace only records", webhook, async || {
        let dry_run = ["create", "--dry-run=server", "-f", "-"];
        lenient.kubectl_with(&stage.pod("dry", "bad").to_string(), dry_run).await.code == Some(0)
    })
    .await;
    what_is_let_in_is_about_the_controller(stage, &lenient, webhook).await;
    let all = of(stage, "").await;
    let about_dry_runs = all.iter().filter(|event| event["note"].to_string().contains("/dry"));
    assert_eq!(about_dry_runs.count(), 0, "dry runs are told to nobody: {all:#?}");
}

/// A controller tries again and again: its refusals are one Event about the policy, which counts them.
async fn refusals_are_about_the_policy(stage: &Stage, namespace: &Namespace, webhook: &Webhook) {
    let image = format!("--image={}", stage.open.image("demo/app:bad"));
    namespace.kubectl(["create", "deployment", "web", &image]).await.succeeded();
    let set = ["get", "replicasets", "-o", "jsonpath={.items[0].metadata.uid}"];
    let mut found = Value::Null;
    eventually("its refusals are counted", webhook, async || {
        let set = namespace.kubectl(set).await.text().to_owned();
        let all = of(stage, "default").await;
        let of_set: Vec<&Value> =
            all.iter().filter(|event| event["related"]["uid"] == set.as_str()).collect();
        assert!(of_set.len() < 2, "one Event: {of_set:#?}");
        found = of_set.first().map(|&event| event.clone()).unwrap_or_default();
        found["series"]["count"].as_u64() >= Some(2)
    })
    .await;
    let uid = ["get", "cicp", "non-root", "-o", "jsonpath={.metadata.uid}"];
    let uid = stage.plane.kubectl(uid).await.succeeded().text().to_owned();
    let regarding = json!({
        "apiVersion": "hullmark.dev/v1alpha1", "kind": "ClusterImageConfigPolicy", "name": "non-root", "uid": uid,
    });
    assert_eq!(found["regarding"], regarding);
    assert_eq!((&found["related"]["kind"], &found["type"]), (&json!("ReplicaSet"), &json!("Warning")));
    assert_eq!((&found["reason"], &found["action"]), (&json!("PolicyViolation"), &json!("Refused")));
    assert_eq!(found["reportingController"], "hullmark");
    let note = found["note"].as_str().unwrap();
    assert!(note.starts_with(&format!("Pod {}/web-", namespace.name)), "{note}");
    assert!(note.contains("set USER in the image or runAsUser in the Pod"), "it says what to do: {note}");
    let described = stage.plane.kubectl(["describe", "cicp", "non-root"]).await.succeeded();
    assert!(described.text().contains("PolicyViolation"), "{}", described.text());
    namespace.kubectl(["delete", "deployment", "web"]).await.succeeded();
}

async fn what_is_let_in_is_about_the_controller(stage: &Stage, namespace: &Namespace, webhook: &Webhook) {
    create(namespace, &stage.pod("bad", "bad")).await.succeeded();
    create(namespace, &stage.pod("gone", "gone")).await.succeeded();
    let image = format!("--image={}", stage.open.image("demo/app:bad"));
    namespace.kubectl(["create", "deployment", "web", "--replicas=3", &image]).await.succeeded();
    let told = |all: &[Value]| -> Vec<String> {
        let mut told: Vec<String> = all
            .iter()
            .filter(|event| event["reportingController"] == "hullmark")
            .map(|event| {
                let count = &event["series"]["count"];
                let kind = event["regarding"]["kind"].as_str().unwrap();
                let words = [&event["reason"], &event["action"]].map(|word| word.as_str().unwrap());
                format!("{kind} {} {count}", words.join(" "))
            })
            .collect();
        told.sort_unstable();
        told
    };
    let expected = [
        "Pod ImageUnresolved WouldRefuse null",
        "Pod PolicyViolation WouldRefuse null",
        "ReplicaSet PolicyViolation WouldRefuse 3",
    ];
    let mut all = Vec::new();
    eventually("what would be refused is told", webhook, async || {
        all = of(stage, &namespace.name).await;
        told(&all) == expected
    })
    .await;
    let uid = ["get", "pod", "gone", "-o", "jsonpath={.metadata.uid}"];
    let uid = namespace.kubectl(uid).await.succeeded().text().to_owned();
    let gone = all.iter().find(|event| event["regarding"]["uid"] == uid.as_str()).expect("by its id");
    let note = gone["note"].as_str().unwrap();
    assert!(note.contains("could not be checked") && note.contains("check the name and the tag"), "{note}");
    let described = namespace.kubectl(["describe", "pod", "bad"]).await.succeeded();
    assert!(described.text().contains("PolicyViolation"), "{}", described.text());
    namespace.kubectl(["delete", "deployment", "web"]).await.succeeded();
}

/// What a scan finds, where the cluster has a kind for it, and as long as it holds.
pub(super) async fn reports(stage: &Stage, webhook: &Webhook) {
    let namespace = stage.plane.namespace().await;
    create(&namespace, &stage.pod("tagged", "good")).await.succeeded();
    let pinned = json!({
        "apiVersion": "hullmark.dev/v1alpha1", "kind": "ImageConfigPolicy",
        "metadata": { "name": "pinned", "namespace": namespace.name },
        "spec": { "validationActions": ["Audit"], "rules": { "reference": { "digest": true } } },
    });
    stage.apply(&pinned).await.succeeded();
    let results = async |plural: &str| {
        let get = ["get", plural, "-o", "json"];
        let found = namespace.kubectl(get).await.succeeded().json();
        let reports = found["items"].as_array().unwrap().clone();
        let about = reports.iter().map(|report| {
            let of = &report["results"][0];
            json!([
                report["scope"]["name"],
                report["summary"]["fail"],
                of["policy"],
                of["rule"],
                of["severity"]
            ])
        });
        about.collect::<Vec<_>>()
    };
    let expected = [json!(["tagged", 1, format!("{}/pinned", namespace.name), "reference", "low"])];
    define(stage.plane, "wgpolicy", "policyreports.wgpolicyk8s.io").await;
    eventually("it is reported", webhook, async || results("policyreports").await == expected).await;
    define(stage.plane, "openreports", "reports.openreports.io").await;
    eventually("it is reported by the successor", webhook, async || {
        results("reports").await == expected && results("policyreports").await.is_empty()
    })
    .await;
    namespace.kubectl(["delete", "icp", "pinned"]).await.succeeded();
    eventually("what complies is not reported", webhook, async || results("reports").await.is_empty()).await;
    assert!(webhook.logged("some reports could not be written").is_empty(), "{}", webhook.last_words());
}

/// The Events of a namespace; of all where it is empty.
async fn of(stage: &Stage, namespace: &str) -> Vec<Value> {
    let all = format!("--namespace={namespace}");
    let place = if namespace.is_empty() { "--all-namespaces" } else { &all };
    let get = ["get", "events.v1.events.k8s.io", place, "-o", "json"];
    stage.plane.kubectl(get).await.succeeded().json()["items"].as_array().unwrap().clone()
}
