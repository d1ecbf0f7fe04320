//! What every test here needs: the chart installed in a control plane of its own, and registries.

use crate::support::{ControlPlane, Image, Namespace, Output, Registry, Webhook, own_address};
use serde_json::{Value, json};
use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{sync::MutexGuard, time::Instant};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/hullmark");

/// How long the API server or Hullmark may need to see a change, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// What every step needs.
pub(super) struct Stage {
    pub(super) plane: &'static ControlPlane,
    _turn: MutexGuard<'static, ()>,
    pub(super) open: Registry,
    pub(super) private: Registry,
    pub(super) hosts: PathBuf,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Installs the chart with these values.
    pub(super) async fn set(values: &Value) -> Self {
        let (plane, turn) = ControlPlane::operated().await;
        let mut all = json!({
            "webhook": { "url": format!("https://{}:8443", own_address(1)) },
            "breakGlass": { "label": "hullmark.dev/break-glass", "groups": ["on-call"] },
            "registries": { "allowAddresses": ["127.0.0.0/8"] },
        });
        all.as_object_mut().unwrap().extend(values.as_object().unwrap().clone());
        let install = ["install", "hullmark", CHART, "-n", "hullmark", "--create-namespace", "-f", "-"];
        plane.helm_with(&all.to_string(), install).await.succeeded();
        plane
            .kubectl(["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"])
            .await
            .succeeded();
        let (open, private) = (Registry::plain().await, Registry::basic().await);
        for (registry, tag, user) in
            [(&open, "good", "1000"), (&open, "bad", "root"), (&private, "good", "1000")]
        {
            let image = Image::oci("linux/amd64", &json!({ "User": user }));
            image.push(registry, &format!("demo/app:{tag}")).await;
        }
        // One folder that knows both registries.
        let folder = tempfile::tempdir().unwrap();
        for registry in [&open, &private] {
            let own = folder.path().join(registry.host());
            fs::create_dir(&own).unwrap();
            fs::write(own.join("hosts.toml"), format!("server = \"http://{}\"\n", registry.host())).unwrap();
        }
        Self { plane, _turn: turn, open, private, hosts: folder.path().to_owned(), _folder: folder }
    }

    pub(super) fn pod(&self, name: &str, tag: &str) -> Value {
        pod(name, &self.open.image(&format!("demo/app:{tag}")))
    }

    pub(super) async fn apply(&self, object: &Value) -> Output {
        self.plane.kubectl_with(&object.to_string(), ["apply", "-f", "-"]).await
    }
}

pub(super) fn pod(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": { "containers": [{ "name": "app", "image": image }] },
    })
}

pub(super) fn policy(spec: &Value) -> Value {
    json!({
        "apiVersion": "hullmark.dev/v1alpha1", "kind": "ClusterImageConfigPolicy",
        "metadata": { "name": "non-root" }, "spec": spec,
    })
}

pub(super) async fn create(namespace: &Namespace, object: &Value) -> Output {
    namespace.kubectl_with(&object.to_string(), ["create", "-f", "-"]).await
}

/// The port of the `nth` replica, and its health port; 0 is what stands before them.
pub(super) fn replica(nth: u16) -> (SocketAddr, SocketAddr) {
    ((own_address(1), 8443 + nth).into(), (own_address(1), 8080 + nth).into())
}

/// The same without a webhook whose log could say more.
pub(super) async fn eventually_in(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Tries for as long as the API server or Hullmark may need to see a change.
pub(super) async fn eventually(what: &str, webhook: &Webhook, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", webhook.last_words());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
