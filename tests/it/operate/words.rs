//! What a user reads, word for word, for each way in which images come into a cluster.

use super::stage::{Stage, eventually};
use crate::support::Webhook;
use regex::Regex;
use serde_json::{Value, json};

/// A command, its object, and what kubectl says; `IMAGE` and `NAMESPACE` stand for those of the test.
struct Row {
    name: &'static str,
    object: Value,
    dry: bool,
    stdout: &'static str,
    stderr: String,
}

const REFUSED: &str = "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \
    \"pods.hullmark.dev\" denied the request: ";
const ROOT: &str = "container \"app\": image BAD (linux/amd64) runs as root (USER is \"root\"); wanted a non-root \
    user: set USER in the image or runAsUser in the Pod [policy non-root, user]";
const TAG: &str = "image volume \"model\": image GOOD is named by the tag \"good\", which can move; wanted a digest \
    (name@sha256:…), which cannot [policy NAMESPACE/pinned-volumes, reference]";

pub(super) async fn all_kinds(stage: &Stage, webhook: &Webhook) {
    let namespace = stage.plane.namespace().await;
    let (bad, good) = (stage.open.image("demo/app:bad"), stage.open.image("demo/app:good"));
    let spec =
        |image: &str| json!({ "containers": [{ "name": "app", "image": image }], "restartPolicy": "Never" });
    let pinned = json!({
        "apiVersion": "hullmark.dev/v1alpha1", "kind": "ImageConfigPolicy",
        "metadata": { "name": "pinned-volumes", "namespace": namespace.name },
        "spec": { "match": { "uses": ["ImageVolume"] }, "rules": { "reference": { "digest": true } } },
    });
    stage.apply(&pinned).await.succeeded();
    let volume = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "volume" },
        "spec": {
            "containers": [{ "name": "app", "image": good }],
            "volumes": [{ "name": "model", "image": { "reference": good } }],
        },
    });
    eventually("the policy on volumes holds", webhook, async || {
        namespace.kubectl_with(&volume.to_string(), ["create", "--dry-run=server", "-f", "-"]).await.code
            != Some(0)
    })
    .await;
    let rows = [
        Row {
            name: "a Pod without a name of its own",
            object: json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "web-" }, "spec": spec(&bad) }),
            dry: false,
            stdout: "",
            stderr: format!("{REFUSED}Pod NAMESPACE/web-XXXXX: {ROOT}\n"),
        },
        Row {
            name: "a dry run",
            object: json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "dry" }, "spec": spec(&bad) }),
            dry: true,
            stdout: "",
            stderr: format!("{REFUSED}Pod NAMESPACE/dry: {ROOT}\n"),
        },
        Row {
            name: "an image volume",
            object: volume,
            dry: false,
            stdout: "",
            stderr: format!("{REFUSED}Pod NAMESPACE/volume: {TAG}\n"),
        },
        Row {
            name: "a CronJob",
            object: json!({
                "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "nightly" },
                "spec": {
                    "schedule": "0 3 * * *",
                    "jobTemplate": { "spec": { "template": { "spec": spec(&bad) } } },
                },
            }),
            dry: false,
            stdout: "cronjob.batch/nightly created\n",
            stderr: format!("Warning: would be refused as a Pod: {ROOT}\n"),
        },
        Row {
            name: "a Job",
            object: json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "once" },
                "spec": { "template": { "spec": spec(&bad) } },
            }),
            dry: false,
            stdout: "job.batch/once created\n",
            stderr: format!("Warning: would be refused as a Pod: {ROOT}\n"),
        },
    ];
    let generated = Regex::new("/web-[a-z0-9]{5}:").unwrap();
    let mut wrong = Vec::new();
    for Row { name, object, dry, stdout, stderr } in rows {
        let command: &[&str] =
            if dry { &["create", "--dry-run=server", "-f", "-"] } else { &["create", "-f", "-"] };
        let output = namespace.kubectl_with(&object.to_string(), command.iter().copied()).await;
        let plain = |text: &str| {
            let text = generated.replace(text, "/web-XXXXX:").replace(&bad, "BAD").replace(&good, "GOOD");
            text.replace(&namespace.name, "NAMESPACE")
        };
        let said = (plain(output.text()), plain(&output.stderr));
        if said != (stdout.to_owned(), stderr) {
            wrong.push(format!("{name}: {said:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The Job's controller is refused, and says so where people look.
    let events = ["get", "events", "-o", "jsonpath={.items[?(@.reason=='FailedCreate')].message}"];
    eventually("the Job's Pod is refused", webhook, async || {
        namespace.kubectl(events).await.text().contains("denied the request: Pod")
    })
    .await;
}
