//! The pinning hook on a real API server: what was judged is what is stored.

use super::stage::{Stage, create, eventually, policy};
use crate::support::{Entry, Image, Index, Webhook};
use serde_json::json;

#[tokio::test]
async fn images_are_pinned_to_what_was_judged() {
    let stage = Stage::set(&json!({ "pin": true })).await;
    let entry = |platform| Entry::Image(Image::oci(platform, &json!({ "User": "1000" })));
    let index = Index::oci([entry("linux/amd64"), entry("linux/arm64")]);
    let digest = index.push(&stage.open, "demo/many:1").await.digest;
    let images = format!("{}/demo/**", stage.open.host());
    let spec = json!({ "match": { "images": [images] }, "rules": { "user": { "runAsNonRoot": true } } });
    stage.apply(&policy(&spec)).await.succeeded();
    let webhook = Webhook::operate(stage.plane, &stage.hosts).await;
    let namespace = stage.plane.namespace().await;

    let name = stage.open.image("demo/many:1");
    let pinned = format!("{name}@{digest}");
    let mut pod = super::pod("many", &name);
    // What no policy selects is left as it is, and a name that says a digest already too.
    pod["spec"]["initContainers"] = json!([
        { "name": "other", "image": "registry.invalid/other:1" },
        { "name": "pinned", "image": pinned },
    ]);
    let stored = ["-o", "jsonpath={.spec.initContainers[*].image} {.spec.containers[*].image}"];
    let expected = format!("registry.invalid/other:1 {pinned} {pinned}");
    let dry_run = ["create", "--dry-run=server", "-f", "-"];
    eventually("Pods are pinned", &webhook, async || {
        let output = namespace.kubectl_with(&pod.to_string(), dry_run.into_iter().chain(stored)).await;
        output.code == Some(0) && output.text() == expected
    })
    .await;
    create(&namespace, &pod).await.succeeded();
    let get = ["get", "pod", "many"];
    assert_eq!(namespace.kubectl(get.into_iter().chain(stored)).await.succeeded().text(), expected);
    // The tag moves on; the Pod, and whoever asks for the digest, does not.
    Index::oci([entry("linux/amd64")]).push(&stage.open, "demo/many:1").await;
    namespace.kubectl(["label", "pod", "many", "touched=yes"]).await.succeeded();
    assert_eq!(namespace.kubectl(get.into_iter().chain(stored)).await.succeeded().text(), expected);

    // A template stays as its author wrote it; the Pods that are made of it are pinned.
    let image = format!("--image={}", stage.open.image("demo/app:good"));
    namespace.kubectl(["create", "deployment", "web", &image]).await.succeeded();
    let template = ["get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"];
    assert_eq!(namespace.kubectl(template).await.succeeded().text(), stage.open.image("demo/app:good"));
    let pods = ["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].spec.containers[0].image}"];
    eventually("the Deployment's Pod is pinned", &webhook, async || {
        namespace.kubectl(pods).await.text().contains("demo/app:good@sha256:")
    })
    .await;

    let refused = create(&namespace, &stage.pod("bad", "bad")).await.refused();
    assert!(refused.contains("runs as root") && refused.contains("demo/app:bad@sha256:"), "{refused}");
}
