//! The real server on free ports of loopback, with policies in a folder and hand-made images.

use super::client::{self, Answer};
use hullmark::{
    admission::Mode,
    app::{Recorder, now},
    credential::{Access, Credentials},
    image::{
        AuthKind, Digest, Freshness, ImageConfig, MediaType, PlatformFilter, PlatformImage, Reference,
        ResolvedImage, TextMap, Unresolved, UnresolvedKind,
    },
    policy_files::{self, Watched},
    review::{self, FindCredentials, OnlyNames, ResolveImage, Reviewer},
    server::{self, Certificates, Running, Settings, Webhook},
    workload::Workload,
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Denies containers that run as root.
pub(crate) const NON_ROOT: &str = r"
apiVersion: hullmark.dev/v1alpha1
kind: ClusterImageConfigPolicy
metadata: { name: non-root }
spec:
  validationActions: [Deny]
  onResolutionFailure: Deny
  rules:
    user: { runAsNonRoot: true }
";

/// Images by their last path segment: what their names say, they do.
pub(crate) struct Images;

/// Nobody has credentials.
pub(crate) struct Anonymous;

impl FindCredentials for Anonymous {
    async fn find(&self, _reference: &Reference, _workload: Option<&Workload>) -> Vec<Credentials> {
        Vec::new()
    }
}

impl ResolveImage for Images {
    async fn resolve(
        &self,
        reference: &Reference,
        _platforms: &PlatformFilter,
        _credentials: &Access,
        _deadline: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let user = match reference.path().rsplit('/').next().unwrap() {
            "silent" => std::future::pending().await,
            "broken" => panic!("a defect, for the test"),
            "slow" => {
                sleep(Duration::from_millis(600)).await;
                "1000"
            }
            "missing" => {
                return Err(Unresolved {
                    kind: UnresolvedKind::NotFound,
                    host: Some(reference.domain().to_owned()),
                    status: Some(404),
                    detail: "there is no such image".to_owned(),
                });
            }
            "root" => "0",
            _ => "1000",
        };
        let config = json!({ "os": "linux", "architecture": "amd64", "config": { "User": user } });
        Ok(Arc::new(image(reference, &config)))
    }
}

fn image(reference: &Reference, config: &Value) -> ResolvedImage {
    let raw = config.to_string().into_bytes();
    let platform = "linux/amd64".parse().unwrap();
    ResolvedImage {
        reference: reference.clone(),
        digest: Digest::sha256(b"manifest"),
        media_type: MediaType::OciManifest,
        index_annotations: TextMap::default(),
        available: vec![platform],
        platforms: vec![Arc::new(PlatformImage {
            platform: Some("linux/amd64".parse().unwrap()),
            manifest_digest: Digest::sha256(b"manifest"),
            media_type: MediaType::OciManifest,
            annotations: TextMap::default(),
            layer_sizes: vec![1],
            config_digest: Digest::sha256(&raw),
            config: ImageConfig::parse(&raw).unwrap(),
            raw_config: Some(raw.as_slice().into()),
        })],
        freshness: Freshness::Fetched,
        auth: AuthKind::Anonymous,
    }
}

/// A running webhook.
pub(crate) struct World {
    pub(crate) policies: PathBuf,
    pub(crate) running: Running,
    pub(crate) watched: Watched,
    pub(crate) ca: String,
    _folder: TempDir,
}

/// How a world differs from the usual one.
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) drain: Duration,
    pub(crate) certificates: Option<Certificates>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { mode: Mode::Enforce, drain: Duration::from_millis(300), certificates: None }
    }
}

pub(crate) fn settings(drain: Duration) -> Settings {
    Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        health_listen: "127.0.0.1:0".parse().unwrap(),
        drain,
        finish: Duration::from_secs(5),
        callers: None,
        certificate_check: Duration::from_millis(50),
        trusted: None,
        warm: None,
    }
}

pub(crate) fn own() -> Certificates {
    Certificates::own(&["localhost".to_owned()], now).unwrap()
}

pub(crate) fn webhook(watched: &Watched, mode: Mode) -> Webhook<Images, Anonymous, Recorder> {
    Webhook {
        reviewer: Arc::new(Reviewer { images: Images, credentials: Anonymous, nodes: review::nodes(None) }),
        policies: watched.policies.clone(),
        stance: mode.into(),
        namespaces: Arc::new(OnlyNames),
        observer: Arc::new(Recorder::new("test")),
        clock: now,
    }
}

impl World {
    pub(crate) async fn start(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policies = folder.path().join("policies");
        fs::create_dir(&policies).unwrap();
        fs::write(policies.join("non-root.yaml"), NON_ROOT).unwrap();
        let loaded = policy_files::compile(&policies).unwrap();
        let watched = policy_files::watch(policies.clone(), &loaded, Duration::from_millis(40));
        let certificates = Arc::new(plan.certificates.unwrap_or_else(own));
        let ca = certificates.authority_pem().unwrap_or_default().to_owned();
        let running =
            server::start(settings(plan.drain), certificates, webhook(&watched, plan.mode)).await.unwrap();
        let world = Self { policies, running, watched, ca, _folder: folder };
        world.eventually_ready().await;
        world
    }

    async fn eventually_ready(&self) {
        let health = self.running.health;
        eventually("ready", async || client::get(health, "/readyz").await.unwrap().status == 200).await;
    }

    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        let mut stream = client::connect(self.running.https, client::trusting(&self.ca)).await.unwrap();
        client::exchange(&mut stream, request).await.unwrap()
    }

    /// The response of a review of a Pod with this image.
    pub(crate) async fn review(&self, image: &str) -> Value {
        let answer = self.send(&client::post("/validate?timeout=5s", &pod(image))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["response"].take()
    }

    pub(crate) async fn metrics(&self) -> String {
        client::get(self.running.health, "/metrics").await.unwrap().body
    }
}

/// An `AdmissionReview` that creates a Pod with this image.
pub(crate) fn pod(image: &str) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "name": "web", "namespace": "shop", "operation": "CREATE",
            "userInfo": { "username": "tester" },
            "object": {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": "web", "namespace": "shop" },
                "spec": { "containers": [{ "name": "app", "image": image }] }
            },
            "oldObject": null, "dryRun": false
        }
    })
    .to_string()
}

/// Waits until `is_so`, for ten seconds at most.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if is_so().await {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("not {what} after ten seconds");
}
