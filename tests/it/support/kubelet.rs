//! What a kubelet does for Hullmark's own Pods, where there is none: their processes run here, with the
//! Pod's arguments and service account, and the API server is told how they do.

use super::{ControlPlane, Hullmark, Webhook};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::task::JoinHandle;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

/// A running kubelet. It ends when this is dropped, and the Pods with it.
pub(crate) struct Kubelet {
    task: JoinHandle<()>,
}

impl Kubelet {
    /// For the Pods in the namespace `hullmark`, with registries reached as `hosts` says. Replicas listen
    /// behind a [`super::Balancer`], as [`Webhook::replica`] says, from 1 to 4.
    pub(crate) fn start(plane: &'static ControlPlane, hosts: PathBuf) -> Self {
        let task = tokio::spawn(async move {
            let mut replicas = BTreeMap::new();
            loop {
                let pods =
                    plane.kubectl(["get", "pods", "-n", "hullmark", "-o", "json"]).await.succeeded().json();
                let pods = pods["items"].as_array().unwrap();
                replicas.retain(|_, (pod, _)| pods.iter().any(|one| one["metadata"]["uid"] == *pod));
                for pod in pods.iter().filter(|pod| pod["status"]["phase"] == "Pending") {
                    run(plane, &hosts, pod, &mut replicas).await;
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { task }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    plane: &'static ControlPlane,
    hosts: &Path,
    pod: &Value,
    replicas: &mut BTreeMap<u16, (Value, Webhook)>,
) {
    let name = pod["metadata"]["name"].as_str().unwrap();
    let owner = pod["metadata"]["ownerReferences"][0]["kind"].as_str();
    let status = if owner == Some("ReplicaSet") {
        let Some(free) = (1..=4).find(|nth| !replicas.contains_key(nth)) else { return };
        let webhook = Webhook::replica(plane, hosts, free).await;
        replicas.insert(free, (pod["metadata"]["uid"].clone(), webhook));
        json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] })
    } else {
        let arguments = pod["spec"]["containers"][0]["args"].clone();
        let mut arguments: Vec<String> = serde_json::from_value(arguments).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap();
        plane.write_kubeconfig_of("hullmark", account, &kubeconfig).await;
        arguments.push(format!("--kubeconfig={}", kubeconfig.display()));
        let output = match owner {
            Some(_) => Hullmark::new().run(&arguments).await,
            // What `helm test` runs.
            None => plane.kubectl(&arguments).await,
        };
        json!({ "phase": if output.code == Some(0) { "Succeeded" } else { "Failed" }, "message": output.stderr })
    };
    let patch = json!({ "status": status }).to_string();
    let patch = ["patch", "pod", name, "-n", "hullmark", "--subresource=status", "-p", &patch];
    // It may be gone already.
    plane.kubectl(patch).await;
}
