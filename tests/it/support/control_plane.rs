//! A real Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager, one of each for
//! the whole test binary, and kubectl and helm to speak to it.
//!
//! There is no kubelet: Pods stay Pending. Tests keep apart by a [`Namespace`] each; what has no
//! namespace (a webhook configuration) must be narrowed to that of its test, by
//! `kubernetes.io/metadata.name`.

mod files;

use super::{
    command::{Output, output},
    service::{Folder, Service},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    process::Command,
    sync::{MutexGuard, OnceCell},
    time::Instant,
};

pub(crate) const ETCD: &str = "etcd";
pub(crate) const API_SERVER: &str = "kube-apiserver";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";

/// How to get what the tests start.
const INSTALL: &str = "run scripts/test, which builds it once, \
    or: export KUBEBUILDER_ASSETS=$(scripts/control-plane)";

/// Processors are shared with the other tests, and a cold disk is slow.
const STARTS_WITHIN: Duration = Duration::from_mins(2);

/// Where the API server is told to trace, if it is.
const TRACING: &str = "tracing.yaml";

/// A running control plane.
pub(crate) struct ControlPlane {
    assets: PathBuf,
    address: Ipv4Addr,
    /// Before the folder, so that they end before it goes.
    services: Mutex<BTreeMap<&'static str, Service>>,
    folder: Folder,
}

impl ControlPlane {
    /// The one of this test binary, which the first test that asks for it starts.
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();
        // A failure is kept, so that every test tells it and none waits for it again.
        SHARED.get_or_init(|| Self::start(0)).await.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Another one, for what concerns a whole cluster: the webhook configuration that Hullmark keeps
    /// would refuse the Pods of other tests. The chart is installed in it by one test after the other,
    /// and each finds it clean.
    pub(crate) async fn operated() -> (&'static Self, MutexGuard<'static, ()>) {
        static OPERATED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();
        static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let turn = TURN.lock().await;
        let plane = OPERATED.get_or_init(|| Self::start(1)).await.as_ref();
        let plane = plane.unwrap_or_else(|error| panic!("{error}"));
        plane.clean().await;
        (plane, turn)
    }

    /// Takes away what a test left behind, however it ended.
    async fn clean(&self) {
        let webhooks = "validatingwebhookconfigurations,mutatingwebhookconfigurations";
        self.kubectl(["delete", webhooks, "hullmark", "--ignore-not-found"]).await.succeeded();
        self.helm(["uninstall", "hullmark", "-n", "hullmark", "--no-hooks", "--ignore-not-found"])
            .await
            .succeeded();
        let wait = "--timeout=5m";
        self.kubectl(["delete", "namespace", "hullmark", "--ignore-not-found", wait]).await.succeeded();
        let ours = ["clusterimageconfigpolicies", "imageconfigpolicies", "imageconfigexceptions"];
        let of_reports =
            ["crd/reports.openreports.io", "crd/policyreports.wgpolicyk8s.io"].map(str::to_owned);
        let crds = ours.map(|plural| format!("crd/{plural}.hullmark.dev")).into_iter().chain(of_reports);
        let delete = ["delete", "--ignore-not-found", wait].map(str::to_owned);
        self.kubectl(delete.into_iter().chain(crds)).await.succeeded();
    }

    async fn start(nth: u8) -> Result<Self, String> {
        let assets = assets()?;
        let folder = Folder::new();
        // An address of our own, so that the ports can be known beforehand and nobody has them.
        let address = own_address(nth);
        files::write(folder.path(), address);
        let plane = Self { assets, address, services: Mutex::default(), folder };
        plane.run(ETCD);
        plane.run(API_SERVER);
        plane.until("ready", &["get", "--raw=/readyz"]).await?;
        plane.run(CONTROLLER_MANAGER);
        // The controller manager makes it; without it no Pod can be made.
        plane.until("populated", &["get", "serviceaccount", "default"]).await?;
        Ok(plane)
    }

    fn run(&self, program: &'static str) {
        let arguments = match program {
            ETCD => etcd(self.address),
            API_SERVER => {
                let traces = self.tracing().exists().then(|| format!("--tracing-config-file={TRACING}"));
                api_server(self.address).into_iter().chain(traces).collect()
            }
            _ => controller_manager(),
        };
        let service = Service::start(&self.assets.join(program), &arguments, self.folder.path());
        self.services.lock().unwrap().insert(program, service);
    }

    fn tracing(&self) -> PathBuf {
        self.folder.path().join(TRACING)
    }

    /// Starts the API server again, so that it traces every request, or none. It tells nobody but those
    /// whom it asks.
    pub(crate) async fn trace(&self, everything: bool) {
        if everything {
            let configuration = json!({
                "apiVersion": "apiserver.config.k8s.io/v1beta1", "kind": "TracingConfiguration",
                "endpoint": "127.0.0.1:1", "samplingRatePerMillion": 1_000_000,
            });
            fs::write(self.tracing(), configuration.to_string()).unwrap();
        } else {
            fs::remove_file(self.tracing()).unwrap();
        }
        self.kill(API_SERVER);
        self.start_again(API_SERVER).await;
    }

    /// Kills one of the programs, as a crash would.
    pub(crate) fn kill(&self, program: &'static str) {
        self.services.lock().unwrap().remove(program).expect("it runs");
    }

    /// Starts a program again that was killed; returns when the API server is ready.
    pub(crate) async fn start_again(&self, program: &'static str) {
        self.run(program);
        self.until("ready", &["get", "--raw=/readyz"]).await.unwrap();
    }

    /// Waits until kubectl with these arguments succeeds.
    async fn until(&self, state: &str, arguments: &[&str]) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let output = self.kubectl(arguments).await;
            if output.code == Some(0) {
                return Ok(());
            }
            let has_time = started.elapsed() < STARTS_WITHIN;
            if let Some(words) = self.last_words(has_time) {
                let (took, said) = (started.elapsed(), output.stderr);
                return Err(format!("the control plane is not {state} after {took:?}: {said}\n{words}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What every program said last, if one has ended or there is no time left.
    fn last_words(&self, has_time: bool) -> Option<String> {
        let mut services = self.services.lock().unwrap();
        let has_ended = services.values_mut().any(Service::has_ended);
        (has_ended || !has_time).then(|| services.values().map(Service::last_words).collect())
    }

    /// `kubectl` as an administrator.
    pub(crate) async fn kubectl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        self.kubectl_with("", arguments).await
    }

    /// `kubectl` as an administrator, with this on its standard input (for `-f -`).
    pub(crate) async fn kubectl_with<A: AsRef<OsStr>>(
        &self,
        stdin: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Output {
        self.tool("kubectl", stdin, arguments).await
    }

    /// `helm` as an administrator.
    pub(crate) async fn helm<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        self.tool("helm", "", arguments).await
    }

    /// A line as a user types it, in the folder of this repository.
    pub(crate) async fn shell(&self, line: &str) -> Output {
        let folder = concat!("cd ", env!("CARGO_MANIFEST_DIR"), " && ");
        let path = format!("PATH={}:$PATH; ", self.assets.display());
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("{folder}{path}{line}")])
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.kubeconfig());
        output(command, b"").await.unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    async fn tool<A: AsRef<OsStr>>(
        &self,
        program: &str,
        stdin: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Output {
        let mut command = Command::new(self.assets.join(program));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.kubeconfig())
            .current_dir(self.folder.path());
        output(command, stdin.as_bytes()).await.unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    /// Where the API server listens, on port 6443.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("admin.kubeconfig")
    }

    /// Writes a kubeconfig with a token of a service account.
    pub(crate) async fn write_kubeconfig_of(&self, namespace: &str, account: &str, file: &Path) {
        let token = self.kubectl(["create", "token", account, "-n", namespace]).await.succeeded();
        let mut config: Value = serde_json::from_slice(&fs::read(self.kubeconfig()).unwrap()).unwrap();
        config["users"][0]["user"] = json!({ "token": token.text().trim() });
        fs::write(file, config.to_string()).unwrap();
    }

    /// `helm` as an administrator, with this on its standard input (for `-f -`).
    pub(crate) async fn helm_with<A: AsRef<OsStr>>(
        &self,
        stdin: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Output {
        self.tool("helm", stdin, arguments).await
    }

    /// The certificate of the authority that the API server and its clients have theirs from (PEM).
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Every entry of the audit log for which `wanted` holds. Metadata only, no reads.
    pub(crate) fn audited(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let log = fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        // The last line may be half written.
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(|entry| wanted(entry)).collect()
    }

    /// A new namespace in which Pods can be created.
    pub(crate) async fn namespace(&'static self) -> Namespace {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let name = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.kubectl(["create", "namespace", &name]).await.succeeded();
        let namespace = Namespace { plane: self, name };
        let account = ["wait", "--for=create", "serviceaccount/default", "--timeout=60s"];
        namespace.kubectl(account).await.succeeded();
        namespace
    }
}

/// A namespace of one test.
pub(crate) struct Namespace {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) name: String,
}

impl Namespace {
    /// `kubectl` in this namespace.
    pub(crate) async fn kubectl<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        self.kubectl_with("", arguments).await
    }

    /// `kubectl` in this namespace, with this on its standard input.
    pub(crate) async fn kubectl_with<'a>(
        &'a self,
        stdin: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Output {
        self.plane.kubectl_with(stdin, ["--namespace", self.name.as_str()].into_iter().chain(arguments)).await
    }
}

/// An address of loopback that no other test process has: the `nth` of ours, of two.
pub(crate) fn own_address(nth: u8) -> Ipv4Addr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    // Process ids have 22 bits.
    Ipv4Addr::new(127, (128 + 64 * nth) | a, b, c)
}

/// The folder of the programs, as controller-runtime's envtest has it.
fn assets() -> Result<PathBuf, String> {
    let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
        return Err(format!("KUBEBUILDER_ASSETS does not say where kube-apiserver is; {INSTALL}"));
    };
    for program in ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"] {
        if !folder.join(program).is_file() {
            return Err(format!("KUBEBUILDER_ASSETS={} has no {program}; {INSTALL}", folder.display()));
        }
    }
    Ok(folder)
}

fn etcd(address: Ipv4Addr) -> Vec<String> {
    let (client, peer) = (format!("http://{address}:2379"), format!("http://{address}:2380"));
    flags(&[
        ("name", "test"),
        ("data-dir", "etcd"),
        ("listen-client-urls", &client),
        ("advertise-client-urls", &client),
        ("listen-peer-urls", &peer),
        ("initial-advertise-peer-urls", &peer),
        ("initial-cluster", &format!("test={peer}")),
        // Nobody needs this data after a crash.
        ("unsafe-no-fsync", "true"),
    ])
}

fn api_server(address: Ipv4Addr) -> Vec<String> {
    let bind = address.to_string();
    flags(&[
        ("etcd-servers", &format!("http://{address}:2379")),
        ("bind-address", &bind),
        ("advertise-address", &bind),
        ("secure-port", "6443"),
        ("tls-cert-file", "kube-apiserver.crt"),
        ("tls-private-key-file", "kube-apiserver.key"),
        ("client-ca-file", "ca.crt"),
        ("cert-dir", "made-by-kube-apiserver"),
        ("service-account-issuer", "https://kubernetes.default.svc"),
        ("service-account-key-file", "service-accounts.pub"),
        ("service-account-signing-key-file", "service-accounts.key"),
        // Cluster IPs are loopback addresses: a process can listen on a Service's own.
        ("service-cluster-ip-range", "127.96.0.0/24"),
        ("endpoint-reconciler-type", "none"),
        ("authorization-mode", "RBAC"),
        ("allow-privileged", "true"),
        ("profiling", "false"),
        ("admission-control-config-file", "admission.yaml"),
        ("audit-policy-file", "audit-policy.yaml"),
        ("audit-log-path", "audit.log"),
    ])
}

fn controller_manager() -> Vec<String> {
    flags(&[
        ("kubeconfig", "controller-manager.kubeconfig"),
        ("authentication-kubeconfig", "controller-manager.kubeconfig"),
        ("authorization-kubeconfig", "controller-manager.kubeconfig"),
        // Its own port would only show metrics.
        ("secure-port", "0"),
        ("leader-elect", "false"),
        ("root-ca-file", "ca.crt"),
        ("service-account-private-key-file", "service-accounts.key"),
        ("use-service-account-credentials", "true"),
    ])
}

fn flags(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}
