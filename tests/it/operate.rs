//! Hullmark as a cluster has it: policies, exceptions and pull secrets are resources, the webhook
//! configuration is its own, and it is installed by the chart and runs with the chart's arguments and roles
//! (there is no kubelet, so as a process of the test). One test after the other, since all of them share the one webhook.

mod agreement;
mod install;
mod load;
mod monitoring;
mod pinning;
mod rights;
mod stage;
mod storm;
mod told;
mod weather;
mod words;

use crate::{
    chart,
    support::{Hullmark, Namespace, PASSWORD, USER, Webhook, own_address},
};
use serde_json::json;
use stage::{Stage, create, eventually, pod, policy};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_cluster_is_judged_by_its_resources() {
    let webhook =
        json!({ "url": format!("https://{}:8443", own_address(1)), "clientCASecret": "api-server" });
    let cache = json!({ "warmUp": { "enabled": true } });
    let scan = json!({ "interval": "5s" });
    let stage = Stage::set(&json!({ "webhook": webhook, "cache": cache, "scan": scan })).await;
    let non_root = policy(&json!({ "rules": { "user": { "runAsNonRoot": true } } }));
    stage.apply(&non_root).await.succeeded();
    let webhook = Webhook::operate(stage.plane, &stage.hosts).await;
    let namespace = stage.plane.namespace().await;

    let bad = stage.pod("bad", "bad").to_string();
    eventually("Pods are judged", &webhook, async || {
        namespace.kubectl_with(&bad, ["create", "--dry-run=server", "-f", "-"]).await.code != Some(0)
    })
    .await;
    let warm = webhook.logged("warm start done");
    assert!(warm.len() == 1 && !webhook.log().contains("could not be listed"), "{}", webhook.last_words());
    policies_have_a_status(&stage, &webhook).await;
    pods_are_judged(&stage, &namespace).await;
    told::events(&stage, &webhook).await;
    told::reports(&stage, &webhook).await;
    words::all_kinds(&stage, &webhook).await;
    the_chart_can_own_the_configuration(&stage).await;
    policies_read_parameters(&stage, &webhook).await;
    namespaces_have_a_say(&stage, &webhook).await;
    exceptions_hold(&stage, &namespace, &webhook).await;
    the_glass_can_be_broken(&stage, &namespace, &webhook).await;
    pull_secrets_are_of_their_namespace(&stage, &webhook).await;
    the_authority_can_be_lost(&stage, &namespace, &webhook).await;
    let values = ["breakGlass.label=a.io/b,breakGlass.groups={on-call}", "cache.warmUp.enabled=true"];
    rights::are_all_used(&stage, &values);
    updates_that_change_no_image_need_nobody(&stage, &namespace, webhook).await;
    nobody_is_locked_out(&stage, &namespace).await;
}

async fn policies_have_a_status(stage: &Stage, webhook: &Webhook) {
    let ready = [
        "get",
        "cicp",
        "non-root",
        "-o",
        "jsonpath={.status.conditions[0].type}={.status.conditions[0].status}",
    ];
    eventually("the policy is ready", webhook, async || {
        stage.plane.kubectl(ready).await.text() == "Ready=True"
    })
    .await;
    let mistyped = policy(&json!({
        "rules": { "user": { "ranges": ["x"] } },
        "validations": [{ "expression": "config.usr == ''" }],
    }));
    let refused = stage.apply(&mistyped).await.refused();
    assert!(
        refused.contains(
            "admission webhook \"policies.hullmark.dev\" denied the request: \
             this ClusterImageConfigPolicy does not compile, for 2 reasons:\n\
             - spec.rules.user.ranges[0]: \"x\" is not a range such as 1000-2147483647 or 1000 (0 to 2147483647)\n\
             - spec.validations[0].expression: line 1, column 8: `config` has no `usr`; did you mean `config.user`?"
        ),
        "{refused}"
    );
}

async fn pods_are_judged(stage: &Stage, namespace: &Namespace) {
    create(namespace, &stage.pod("good", "good")).await.succeeded();
    let refused = create(namespace, &stage.pod("bad", "bad")).await.refused();
    let image = stage.open.image("demo/app:bad");
    assert_eq!(
        refused,
        format!(
            "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"pods.hullmark.dev\" \
             denied the request: Pod {}/bad: container \"app\": image {image} (linux/amd64) runs as root \
             (USER is \"root\"); wanted a non-root user: set USER in the image or runAsUser in the Pod \
             [policy non-root, user]\n",
            namespace.name
        )
    );
    let set = format!("app={image}");
    let refused = namespace.kubectl(["set", "image", "pod/good", &set]).await.refused();
    assert!(refused.contains("runs as root"), "an UPDATE of an image is judged: {refused}");
}

/// The chart has the configuration too, for those who want it to be Helm's: both must say the same.
async fn the_chart_can_own_the_configuration(stage: &Stage) {
    let url = format!("webhook.url=https://{}:8443", own_address(1));
    let objects = chart::release(&["certificates.mode=certManager", &url]);
    let mut charted = chart::the(&objects, "ValidatingWebhookConfiguration").clone();
    charted["metadata"]["name"] = json!("charted");
    let dry_run = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
    let charted = stage.plane.kubectl_with(&charted.to_string(), dry_run).await.succeeded().json();
    let get = ["get", "validatingwebhookconfiguration", "hullmark", "-o", "json"];
    let mut kept = stage.plane.kubectl(get).await.succeeded().json();
    for webhook in kept["webhooks"].as_array_mut().unwrap() {
        let bundle = webhook["clientConfig"].as_object_mut().unwrap().remove("caBundle");
        assert!(bundle.is_some(), "cert-manager would write its own");
    }
    assert_eq!(charted["webhooks"], kept["webhooks"]);
}

async fn policies_read_parameters(stage: &Stage, webhook: &Webhook) {
    let namespace = stage.plane.namespace().await;
    let mut reading = json!({
        "apiVersion": "hullmark.dev/v1alpha1", "kind": "ImageConfigPolicy",
        "metadata": { "name": "users", "namespace": namespace.name },
        "spec": {
            "paramKind": { "apiVersion": "v1", "kind": "ConfigMap" },
            "paramRef": { "name": "users", "parameterNotFoundAction": "Deny" },
            "validations": [{
                "expression": "config.user in params.data.users.split(',')",
                "messageExpression": "'wanted the user ' + params.data.users",
            }],
        },
    });
    stage.apply(&reading).await.succeeded();
    let good = stage.pod("good", "good").to_string();
    let dry_run =
        async || namespace.kubectl_with(&good, ["create", "--dry-run=server", "-f", "-"]).await.stderr;
    // Not yet in force, it finds nothing.
    eventually("what is missing is told", webhook, async || {
        dry_run().await.contains(&format!("there is no ConfigMap users in {}", namespace.name))
    })
    .await;
    namespace.kubectl(["create", "configmap", "users", "--from-literal=users=7,8"]).await.succeeded();
    eventually("it is read", webhook, async || dry_run().await.contains("wanted the user 7,8")).await;
    let change = ["patch", "configmap", "users", "-p", "{\"data\":{\"users\":\"1000\"}}"];
    namespace.kubectl(change).await.succeeded();
    eventually("changes are seen", webhook, async || dry_run().await.is_empty()).await;

    // The chart's role is for ConfigMaps alone.
    reading["spec"]["paramKind"]["kind"] = json!("Service");
    stage.apply(&reading).await.succeeded();
    eventually("it may not be read", webhook, async || dry_run().await.contains("cannot be read")).await;
    let reason = ["get", "icp", "users", "-o", "jsonpath={.status.conditions[0]}"];
    eventually("the status says so", webhook, async || {
        let condition = namespace.kubectl(reason).await.succeeded().json();
        condition["reason"] == "ParametersUnavailable"
            && condition["message"]
                .as_str()
                .is_some_and(|message| message.contains("services \"users\" is forbidden"))
    })
    .await;
    namespace.kubectl(["delete", "icp", "users"]).await.succeeded();
    eventually("it is gone", webhook, async || dry_run().await.is_empty()).await;
}

async fn namespaces_have_a_say(stage: &Stage, webhook: &Webhook) {
    let lenient = stage.plane.namespace().await;
    stage.plane.kubectl(["label", "namespace", &lenient.name, "hullmark.dev/mode=warn"]).await.succeeded();
    eventually("the namespace only warns", webhook, async || {
        let dry_run = ["create", "--dry-run=server", "-f", "-"];
        lenient.kubectl_with(&stage.pod("bad", "bad").to_string(), dry_run).await.code == Some(0)
    })
    .await;
    let created = create(&lenient, &stage.pod("bad", "bad")).await.succeeded();
    assert!(
        created
            .stderr
            .starts_with("Warning: would be refused if it were enforced: container \"app\": image "),
        "{}",
        created.stderr
    );
    let in_log = stage.plane.audited(|entry| {
        entry["objectRef"]["namespace"] == lenient.name.as_str()
            && entry["annotations"]["pods.hullmark.dev/would-be"] == "deny"
    });
    assert!(!in_log.is_empty(), "the audit log says what would have been refused");
}

async fn exceptions_hold(stage: &Stage, namespace: &Namespace, webhook: &Webhook) {
    let exception = |expires: &str| {
        json!({
            "apiVersion": "hullmark.dev/v1alpha1", "kind": "ImageConfigException",
            "metadata": { "name": "legacy", "namespace": namespace.name },
            "spec": { "policies": [{ "name": "non-root" }], "reason": "until the new release", "expires": expires },
        })
    };
    stage.apply(&exception("2099-01-01T00:00:00Z")).await.succeeded();
    let bad = stage.pod("excepted", "bad").to_string();
    let dry_run = ["create", "--dry-run=server", "-f", "-"];
    eventually("the exception holds", webhook, async || {
        namespace.kubectl_with(&bad, dry_run).await.code == Some(0)
    })
    .await;
    let counts = ["get", "cicp", "non-root", "-o", "jsonpath={.status.counts}"];
    eventually("the policy's status counts it", webhook, async || {
        let counts = stage.plane.kubectl(counts).await.succeeded().json();
        counts == json!({ "rules": 1, "validations": 0, "exceptions": 1 })
    })
    .await;
    let other = stage.plane.namespace().await;
    create(&other, &stage.pod("bad", "bad")).await.refused();
    stage.apply(&exception("2020-01-01T00:00:00Z")).await.succeeded();
    eventually("it has ended", webhook, async || namespace.kubectl_with(&bad, dry_run).await.code != Some(0))
        .await;
    let reason = ["get", "ice", "legacy", "-o", "jsonpath={.status.conditions[0].reason}"];
    eventually("its status says so", webhook, async || namespace.kubectl(reason).await.text() == "Expired")
        .await;
    assert!(!webhook.logged("an exception has ended").is_empty());
    let metrics = stage.open.client().get(format!("http://{}/metrics", stage::replica(0).1)).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    assert!(metrics.contains("hullmark_exceptions{state=\"expired\"} 1\n"), "{metrics}");
}

async fn the_glass_can_be_broken(stage: &Stage, namespace: &Namespace, webhook: &Webhook) {
    let mut pod = stage.pod("urgent", "bad");
    pod["metadata"]["labels"] = json!({ "hullmark.dev/break-glass": "INC-7" });
    create(namespace, &pod).await.refused();
    let as_on_call = ["create", "-f", "-", "--as=jane", "--as-group=on-call", "--as-group=system:masters"];
    let created = namespace.kubectl_with(&pod.to_string(), as_on_call).await.succeeded();
    assert!(
        created.stderr.contains("let through, for the glass was broken: container \"app\""),
        "{}",
        created.stderr
    );
    let told = webhook.logged("review");
    assert!(
        told.iter().any(|line| line["mode"] == "break-glass"
            && line["level"] == "WARN"
            && line["request.user"] == "jane"),
        "{told:?}"
    );
    let note = ["get", "events", "-o", "jsonpath={.items[?(@.reason=='GlassBroken')].message}"];
    eventually("there is an Event", webhook, async || {
        namespace.kubectl(note).await.text().contains("jane broke the glass for Pod urgent: container")
    })
    .await;
    // Another Pod of that name is another one: `told::events` holds that the same again is counted.
    namespace.kubectl(["delete", "pod", "urgent", "--now"]).await.succeeded();
    namespace.kubectl_with(&pod.to_string(), as_on_call).await.succeeded();
    let uid = ["get", "pod", "urgent", "-o", "jsonpath={.metadata.uid}"];
    let uid = namespace.kubectl(uid).await.succeeded().text().to_owned();
    let about = ["get", "events", "-o", "jsonpath={.items[?(@.reason=='GlassBroken')].involvedObject.uid}"];
    eventually("both are told", webhook, async || {
        let told = namespace.kubectl(about).await;
        told.text().contains(&uid) && told.text().split(' ').count() == 2
    })
    .await;
}

async fn pull_secrets_are_of_their_namespace(stage: &Stage, webhook: &Webhook) {
    let (with, without) = (stage.plane.namespace().await, stage.plane.namespace().await);
    let (server, user, password) = (
        format!("--docker-server={}", stage.private.host()),
        format!("--docker-username={USER}"),
        format!("--docker-password={PASSWORD}"),
    );
    with.kubectl(["create", "secret", "docker-registry", "pull", &server, &user, &password])
        .await
        .succeeded();
    let mut pod = pod("private", &stage.private.image("demo/app:good"));
    pod["spec"]["imagePullSecrets"] = json!([{ "name": "pull" }]);
    create(&with, &pod).await.succeeded();
    let refused = create(&without, &pod).await.refused();
    assert!(
        refused.contains("could not be checked"),
        "what one namespace may read, another may not: {refused}"
    );
    // A template names none; the Pods that are made of it get those of their service account.
    let account =
        ["patch", "serviceaccount", "default", "-p", "{\"imagePullSecrets\":[{\"name\":\"pull\"}]}"];
    with.kubectl(account).await.succeeded();
    let image = format!("--image={}", stage.private.image("demo/app:good"));
    let deploy = ["create", "deployment", "web", "--dry-run=server", &image];
    assert_eq!(with.kubectl(deploy).await.succeeded().stderr, "");
    let warned = without.kubectl(deploy).await.succeeded().stderr;
    assert!(warned.contains("could not be checked"), "{warned}");
    let told = webhook.logged("a pull secret is not used");
    assert!(told.iter().any(|line| line["namespace"] == without.name.as_str()), "{told:?}");
    assert!(!webhook.log().contains(PASSWORD));
}

async fn the_authority_can_be_lost(stage: &Stage, namespace: &Namespace, webhook: &Webhook) {
    let broken = json!({ "data": { "ca.key": "bm8ga2V5" } }).to_string();
    let patch = ["patch", "secret", "-n", "hullmark", "hullmark-authority", "-p", &broken];
    stage.plane.kubectl(patch).await.succeeded();
    eventually("one that cannot be used is made anew", webhook, async || {
        webhook.logged("the webhook's authority").len() > 1
    })
    .await;
    stage.plane.kubectl(["delete", "secret", "-n", "hullmark", "hullmark-authority"]).await.succeeded();
    eventually("a new one is made", webhook, async || webhook.logged("the webhook's authority").len() > 2)
        .await;
    let good = stage.pod("trusted", "good").to_string();
    let dry_run = ["create", "--dry-run=server", "-f", "-"];
    eventually("and trusted", webhook, async || namespace.kubectl_with(&good, dry_run).await.code == Some(0))
        .await;
}

async fn updates_that_change_no_image_need_nobody(stage: &Stage, namespace: &Namespace, webhook: Webhook) {
    drop(webhook);
    namespace.kubectl(["label", "pod", "good", "touched=yes"]).await.succeeded();
    let refused = create(namespace, &stage.pod("unjudged", "good")).await.refused();
    assert!(refused.contains("failed calling webhook \"pods.hullmark.dev\""), "{refused}");
    stage.plane.kubectl(["create", "configmap", "-n", "hullmark", "anything"]).await.succeeded();
    let exempt = pod("exempt", "nginx").to_string();
    let own = ["create", "-n", "hullmark", "--dry-run=server", "-f", "-"];
    stage.plane.kubectl_with(&exempt, own).await.succeeded();
}

async fn nobody_is_locked_out(stage: &Stage, namespace: &Namespace) {
    let kubeconfig = stage.plane.kubeconfig();
    let remove = ["webhook", "remove", "--kubeconfig", kubeconfig.to_str().unwrap()];
    Hullmark::new().run(remove).await.succeeded();
    Hullmark::new().run(remove).await.succeeded();
    let bad = stage.pod("unjudged", "bad").to_string();
    let started = Instant::now();
    while namespace.kubectl_with(&bad, ["create", "-f", "-"]).await.code != Some(0) {
        assert!(started.elapsed() < Duration::from_secs(20), "Pods can be created again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The hook would be a Pod, and there is no kubelet.
    let uninstall = ["uninstall", "hullmark", "-n", "hullmark", "--no-hooks"];
    stage.plane.helm(uninstall).await.succeeded();
    let left = ["get", "clusterroles,validatingadmissionpolicies,crds", "-o", "name"];
    let left = stage.plane.kubectl(left).await.succeeded();
    let ours: Vec<&str> = left.text().lines().filter(|line| line.contains("hullmark")).collect();
    assert!(
        ours.len() == 3 && ours.iter().all(|line| line.starts_with("customresourcedefinition")),
        "{ours:?}"
    );
}
