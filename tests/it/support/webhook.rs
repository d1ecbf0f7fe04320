//! `hullmark serve` as a process, for the API server to call by URL.

use super::{
    ControlPlane, Namespace,
    control_plane::own_address,
    service::{Folder, Service},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};
use tokio::time::Instant;

/// A running webhook. It ends when this is dropped.
pub(crate) struct Webhook {
    service: Service,
    folder: Folder,
    /// `127.…:PORT`
    address: String,
}

impl Webhook {
    /// With these policies (YAML), and registries reached as `hosts` says.
    pub(crate) async fn start(policies: &str, hosts: &Path) -> Self {
        let folder = Folder::new();
        fs::create_dir(folder.path().join("policies")).unwrap();
        fs::write(folder.path().join("policies/all.yaml"), policies).unwrap();
        let hosts = format!("--hosts-dir={}", hosts.display());
        let arguments = [
            "serve",
            "--policies=policies",
            "--listen=127.0.0.1:0",
            "--health-listen=127.0.0.1:0",
            "--write-ca=ca.pem",
            "--allow-address=127.0.0.0/8",
            &hosts,
        ];
        Self::run(&arguments.map(str::to_owned), folder).await
    }

    /// As the chart's Deployment would run it, with exactly what the chart's roles allow: the one behind
    /// the chart's `webhook.url`.
    pub(crate) async fn operate(plane: &ControlPlane, hosts: &Path) -> Self {
        Self::replica(plane, hosts, 0).await
    }

    /// The same, as one of several that a [`super::Balancer`] stands before: the `nth`, from 1.
    pub(crate) async fn replica(plane: &ControlPlane, hosts: &Path, nth: u16) -> Self {
        let folder = Folder::new();
        let kubeconfig = folder.path().join("kubeconfig");
        plane.write_kubeconfig_of("hullmark", "hullmark", &kubeconfig).await;
        let deployment = ["get", "deployment", "hullmark", "-n", "hullmark", "-o", "json"];
        let deployment = plane.kubectl(deployment).await.succeeded().json();
        let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].clone();
        let arguments: Vec<String> = serde_json::from_value(arguments).unwrap();
        // What is of the Pod and not of this process.
        let callers = arguments.iter().any(|one| one.starts_with("--client-ca="));
        let callers = callers.then(|| format!("--client-ca={}", plane.ca().display()));
        let of_the_pod = ["--listen=", "--health-listen=", "--drain=", "--client-ca="];
        let kept = arguments.into_iter().filter(|one| !of_the_pod.iter().any(|flag| one.starts_with(flag)));
        let at = own_address(1);
        let own = [
            format!("--kubeconfig={}", kubeconfig.display()),
            "--own-namespace=hullmark".to_owned(),
            format!("--listen={at}:{}", 8443 + nth),
            format!("--health-listen={at}:{}", 8080 + nth),
            format!("--drain={}", if nth == 0 { "10ms" } else { "3s" }),
            format!("--hosts-dir={}", hosts.display()),
        ];
        Self::run(&kept.chain(own).chain(callers).collect::<Vec<_>>(), folder).await
    }

    async fn run(arguments: &[String], folder: Folder) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_hullmark"));
        let mut service = Service::start(program, arguments, folder.path());
        let started = Instant::now();
        let address = loop {
            let serving =
                |line: &str| serde_json::from_str::<Value>(line).ok()?["listen"].as_str().map(str::to_owned);
            if let Some(address) = service.log().lines().find_map(serving) {
                break address;
            }
            let ended = service.has_ended();
            assert!(!ended && started.elapsed() < Duration::from_secs(30), "{}", service.last_words());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Self { service, folder, address }
    }

    /// Stops it as the kubelet would: with a signal, and time to drain.
    pub(crate) async fn stop(mut self) {
        tokio::task::spawn_blocking(move || self.service.stop()).await.unwrap();
    }

    /// Everything that it logged.
    pub(crate) fn log(&self) -> String {
        self.service.log()
    }

    /// The end of it, for an error message.
    pub(crate) fn last_words(&self) -> String {
        self.service.last_words()
    }

    /// Every line that it logged with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let log = self.service.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// Has the API server ask it about Pods and templates in `namespace`; returns when it does.
    pub(crate) async fn register(&self, namespace: &Namespace, refused: &Value) {
        let configuration = self.configuration(&namespace.name);
        namespace.kubectl_with(&configuration.to_string(), ["create", "-f", "-"]).await.succeeded();
        let started = Instant::now();
        // The API server sees a new configuration about a second later.
        let dry_run = ["create", "--dry-run=server", "-f", "-"];
        while namespace.kubectl_with(&refused.to_string(), dry_run).await.code == Some(0) {
            let log = self.service.last_words();
            assert!(started.elapsed() < Duration::from_secs(30), "the API server does not ask: {log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn configuration(&self, namespace: &str) -> Value {
        let ca = fs::read(self.folder.path().join("ca.pem")).unwrap();
        let rule = |group: &str, operations: &[&str], resources: &[&str]| {
            json!({
                "apiGroups": [group], "apiVersions": ["v1"], "operations": operations, "resources": resources,
            })
        };
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": format!("hullmark-{namespace}") },
            "webhooks": [{
                "name": "images.hullmark.dev",
                "clientConfig": {
                    "url": format!("https://{}/validate", self.address),
                    "caBundle": STANDARD.encode(ca),
                },
                "rules": [
                    rule("", &["CREATE", "UPDATE"], &["pods"]),
                    rule("", &["UPDATE"], &["pods/ephemeralcontainers"]),
                    rule("apps", &["CREATE", "UPDATE"], &["deployments", "replicasets"]),
                ],
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } },
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 10,
            }],
        })
    }
}
