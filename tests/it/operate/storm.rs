//! What a cluster lives through: replicas that stop and crash, an authority that changes, an API server
//! and an etcd that go and come back, registries in bad weather; all while Pods are created.

use super::{
    load::Load,
    stage::{Stage, eventually, policy, replica},
    weather::{Sky, Weather},
};
use crate::support::{API_SERVER, Balancer, ControlPlane, ETCD, Image, Namespace, Webhook, trusting};
use base64::{Engine, engine::general_purpose::STANDARD};
use hullmark::certificate::Authority;
use jiff::SignedDuration;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

#[expect(clippy::disallowed_methods, reason = "the replicas read the same clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[tokio::test]
async fn a_cluster_lives_through_storms() {
    let stage = Stage::set(&json!({})).await;
    keep_old_authority(&stage).await;
    stage.apply(&policy(&json!({ "rules": { "user": { "runAsNonRoot": true } } }))).await.succeeded();
    let weather = Weather::before(&stage.open, &stage.hosts).await;
    let balancer = Balancer::start(replica(0).0, (1..=4).map(replica).collect()).await;
    let mut replicas = Vec::new();
    for nth in 1..=3 {
        replicas.push(Webhook::replica(stage.plane, &stage.hosts, nth).await);
    }
    let namespace = stage.plane.namespace().await;
    is_judged(&stage, &namespace, &replicas[0]).await;
    one_replica_leads(&stage, &replicas).await;

    let load = Load::start(&stage.plane.kubeconfig(), &namespace.name, &stage.pod("load", "good")).await;
    the_authority_changes(&stage, &replicas, &load).await;
    replicas_are_replaced(&stage, &mut replicas, &load).await;
    a_replica_crashes(&mut replicas, &load).await;
    one_replica_leads(&stage, &replicas).await;
    drop(load);
    the_api_server_goes_and_comes_back(&stage, &namespace, &replicas[0]).await;
    registries_have_weather(&stage, &weather, &replicas[0]).await;
    drop(balancer);
}

/// An authority that is old enough for the next one to be made at once.
async fn keep_old_authority(stage: &Stage) {
    let made = now() - SignedDuration::from_hours(265 * 24);
    let authority = Authority::new(made, SignedDuration::from_hours(365 * 24)).unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "hullmark-authority", "namespace": "hullmark" },
        "stringData": { "ca.crt": authority.pem().certificate, "ca.key": authority.pem().key },
    });
    stage.apply(&secret).await.succeeded();
}

async fn is_judged(stage: &Stage, namespace: &Namespace, webhook: &Webhook) {
    let bad = stage.pod("bad", "bad").to_string();
    eventually("Pods are judged", webhook, async || {
        let dry_run = ["create", "--dry-run=server", "-f", "-"];
        namespace.kubectl_with(&bad, dry_run).await.stderr.contains("runs as root")
    })
    .await;
}

/// The Lease is of one of those that are there, and it knows.
async fn one_replica_leads(stage: &Stage, replicas: &[Webhook]) {
    let holder = ["get", "lease", "-n", "hullmark", "hullmark", "-o", "jsonpath={.spec.holderIdentity}"];
    eventually("one leads", &replicas[0], async || {
        let holder = stage.plane.kubectl(holder).await.text().to_owned();
        let knows = |one: &&Webhook| {
            let (began, ended) = (one.logged("leads"), one.logged("leads no more"));
            began.len() > ended.len() && began.last().is_some_and(|line| line["identity"] == holder.as_str())
        };
        replicas.iter().filter(knows).count() == 1
    })
    .await;
}

/// How many calls of our webhook for Pods failed, in the API server's own count.
async fn failed_calls(plane: &ControlPlane) -> u64 {
    let metrics = plane.kubectl(["get", "--raw=/metrics"]).await.succeeded();
    let failed = metrics.text().lines().filter(|line| {
        line.starts_with("apiserver_admission_webhook_rejection_count{")
            && line.contains("error_type=\"calling_webhook_error\"")
            && line.contains("name=\"pods.hullmark.dev\"")
    });
    failed.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

async fn the_authority_changes(stage: &Stage, replicas: &[Webhook], load: &Load) {
    let secret = ["get", "secret", "-n", "hullmark", "hullmark-authority", "-o", "json"];
    let read = async |key: &str| {
        let secret = stage.plane.kubectl(secret).await.succeeded().json();
        let value = secret["data"][key].as_str().map(|value| STANDARD.decode(value).unwrap());
        value.map(|value| String::from_utf8(value).unwrap())
    };
    let next = read("next.crt").await.expect("the next authority is published at once");
    let failed = failed_calls(stage.plane).await;
    load.since().await;
    // Ten minutes pass.
    let since = STANDARD.encode((now() - SignedDuration::from_mins(11)).to_string());
    let passed = json!({ "data": { "next.since": since } }).to_string();
    let patch = ["patch", "secret", "-n", "hullmark", "hullmark-authority", "-p", &passed];
    stage.plane.kubectl(patch).await.succeeded();
    // Each replica comes to show a certificate that the next authority alone is enough to trust.
    let client = trusting(Some(CertificateDer::from_pem_slice(next.as_bytes()).unwrap()));
    for nth in 1..=3 {
        let url = format!("https://{}/", replica(nth).0);
        eventually("it signs", &replicas[0], async || client.get(&url).send().await.is_ok()).await;
    }
    assert_eq!(read("ca.crt").await.as_ref(), Some(&next));
    assert!(read("previous.crt").await.is_some(), "what it signed before is still trusted");
    let told = load.since().await;
    assert!(told.refused.is_empty(), "of {}: {:?}", told.admitted, told.refused);
    assert_eq!(failed_calls(stage.plane).await, failed);
}

/// A rolling update: the new one is ready before the old one is asked to stop.
async fn replicas_are_replaced(stage: &Stage, replicas: &mut Vec<Webhook>, load: &Load) {
    let failed = failed_calls(stage.plane).await;
    load.since().await;
    let mut free = 4;
    for old in [1, 2, 3] {
        let new = Webhook::replica(stage.plane, &stage.hosts, free).await;
        let leaving = replicas.remove(0);
        leaving.stop().await;
        replicas.push(new);
        free = old;
    }
    let told = load.since().await;
    assert!(told.refused.is_empty(), "of {}: {:?}", told.admitted, told.refused);
    assert_eq!(failed_calls(stage.plane).await, failed);
}

/// Whoever is being answered by it when it dies loses that answer; a moment later nobody does.
async fn a_replica_crashes(replicas: &mut Vec<Webhook>, load: &Load) {
    load.since().await;
    let crash = Instant::now();
    drop(replicas.remove(0));
    tokio::time::sleep(Duration::from_secs(6)).await;
    let told = load.since().await;
    let late = told.refused.iter().filter(|(at, _)| at.duration_since(crash) > Duration::from_secs(4));
    assert_eq!(late.count(), 0, "two replicas are left: {:?}", told.refused);
    assert!(told.admitted > told.refused.len(), "{told:?}");
    assert!(told.refused.iter().all(|(_, why)| why.contains("failed calling webhook")), "{told:?}");
}

async fn the_api_server_goes_and_comes_back(stage: &Stage, namespace: &Namespace, webhook: &Webhook) {
    // The one that came last.
    let readyz = format!("http://{}/readyz", replica(2).1);
    let is_ready = async || {
        stage.open.client().get(&readyz).send().await.is_ok_and(|answer| answer.status().is_success())
    };
    for program in [API_SERVER, ETCD] {
        stage.plane.kill(program);
        // Long enough for the watches to see it.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(is_ready().await, "what was known stays in force while {program} is away");
        stage.plane.start_again(program).await;
        is_judged(stage, namespace, webhook).await;
    }
    // What changes is seen again.
    let exempt =
        policy(&json!({ "rules": { "user": { "runAsNonRoot": true } }, "validationActions": ["Warn"] }));
    stage.apply(&exempt).await.succeeded();
    let bad = stage.pod("bad", "bad").to_string();
    eventually("a changed policy is seen", webhook, async || {
        let dry_run = ["create", "--dry-run=server", "-f", "-"];
        namespace.kubectl_with(&bad, dry_run).await.code == Some(0)
    })
    .await;
    stage.apply(&policy(&json!({ "rules": { "user": { "runAsNonRoot": true } } }))).await.succeeded();
    is_judged(stage, namespace, webhook).await;
}

/// What becomes of Pods whose images nobody has seen yet, in each weather and each mode; and that all is
/// well again, by itself, when it clears.
async fn registries_have_weather(stage: &Stage, weather: &Weather, webhook: &Webhook) {
    let modes = ["enforce", "warn", "audit"];
    let mut namespaces = Vec::new();
    for mode in modes {
        let namespace = stage.plane.namespace().await;
        let label = format!("hullmark.dev/mode={mode}");
        stage.plane.kubectl(["label", "namespace", &namespace.name, &label]).await.succeeded();
        namespaces.push(namespace);
    }
    // A label is seen a moment later.
    let bad = stage.pod("bad", "bad");
    for namespace in &namespaces[1..] {
        eventually("the mode is seen", webhook, async || create_dry(namespace, &bad).await.0).await;
    }
    let rows = [(Sky::Down, "the registry is down"), (Sky::Limited, "429"), (Sky::Still, "stalled")];
    for (number, (sky, why)) in rows.into_iter().enumerate() {
        weather.turns(sky);
        for (namespace, mode) in namespaces.iter().zip(modes) {
            let image = fresh(stage, weather, &format!("{number}-{mode}")).await;
            let pod = super::pod("weather", &image);
            let (admitted, said) = create_dry(namespace, &pod).await;
            assert_eq!(admitted, mode != "enforce", "{sky:?}, {mode}: {said}");
            assert_eq!(said.contains("could not be checked"), mode != "audit", "{sky:?}, {mode}: {said}");
            assert!(mode == "audit" || said.contains(why), "{sky:?}, {mode}: {said}");
            weather.turns(Sky::Clear);
            eventually("it clears", webhook, async || create_dry(&namespaces[0], &pod).await.0).await;
            weather.turns(sky);
        }
    }
}

/// An image behind the weather that nobody has asked for yet.
async fn fresh(stage: &Stage, weather: &Weather, tag: &str) -> String {
    let image = Image::oci("linux/amd64", &json!({ "User": "1000", "Labels": { "tag": tag } }));
    image.push(&stage.open, &format!("demo/weather:{tag}")).await;
    format!("{}/demo/weather:{tag}", weather.host())
}

/// Whether it would be created, and what is said.
async fn create_dry(namespace: &Namespace, pod: &Value) -> (bool, String) {
    let dry_run = ["create", "--dry-run=server", "-f", "-"];
    let output = namespace.kubectl_with(&pod.to_string(), dry_run).await;
    (output.code == Some(0), output.stderr)
}
