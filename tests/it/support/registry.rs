//! Debian's `docker-registry` (CNCF distribution 2.8), one process for each test.

use super::{
    INSTALL,
    tls::{Authority, Leaf},
    token_server::{ISSUER, SERVICE, TokenServer},
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tempfile::TempDir;

/// The user that the Basic and token registries know.
pub(crate) const USER: &str = "alice";
/// That user's password.
pub(crate) const PASSWORD: &str = "s3cret";
/// [`USER`] and [`PASSWORD`] as an htpasswd line; bcrypt is the only hash that distribution takes.
const HTPASSWD: &str = "alice:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";

/// A running registry. It stops, and its data goes, when this is dropped.
pub(crate) struct Registry {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
    authority: Option<Authority>,
    tokens: Option<TokenServer>,
    basic: bool,
    /// Lines of the access log that [`Self::new_requests`] has given out.
    seen: AtomicUsize,
}

impl Registry {
    /// Plain http, open to all.
    pub(crate) async fn plain() -> Self {
        Self::start(json!({}), |_| {}, None, None).await
    }

    /// TLS, with a certificate of an authority of its own.
    pub(crate) async fn tls() -> Self {
        let authority = Authority::new();
        let leaf = authority.leaf();
        let files = move |folder: &TempDir| {
            let Leaf { certificate, key } = &leaf;
            fs::write(folder.path().join("tls.crt"), certificate).unwrap();
            fs::write(folder.path().join("tls.key"), key).unwrap();
        };
        let http = json!({ "http": { "tls": { "certificate": "tls.crt", "key": "tls.key" } } });
        Self::start(http, files, Some(authority), None).await
    }

    /// Plain http, Basic authentication.
    pub(crate) async fn basic() -> Self {
        let files = |folder: &TempDir| fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
        let auth = json!({ "auth": { "htpasswd": { "realm": "basic-realm", "path": "htpasswd" } } });
        let mut registry = Self::start(auth, files, None, None).await;
        registry.basic = true;
        registry
    }

    /// Plain http, bearer tokens from a token server of the tests' own, which
    /// lets everybody read `public/…`, and [`USER`] read everything.
    pub(crate) async fn token() -> Self {
        Self::with_realm(None).await
    }

    /// The same; its challenges name this realm, if one is given, from where a way leads to the token server.
    pub(crate) async fn with_realm(realm: Option<&str>) -> Self {
        let tokens = TokenServer::start().await;
        let realm = realm.map_or_else(|| tokens.realm(), str::to_owned);
        let certificate = tokens.certificate_pem();
        let auth = json!({ "auth": { "token": {
            "realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": "tokens.crt",
        } } });
        let files =
            move |folder: &TempDir| fs::write(folder.path().join("tokens.crt"), &certificate).unwrap();
        Self::start(auth, files, None, Some(tokens)).await
    }

    /// Another registry over the same data, with these faces: `tls`, and `clients` for those who show a
    /// certificate of its authority only.
    pub(crate) async fn facing(other: &Self, faces: &[&str]) -> Self {
        let data = other.folder.path().join("data");
        let mut extra = json!({ "storage": { "filesystem": { "rootdirectory": data } } });
        if !faces.contains(&"tls") {
            return Self::start(extra, |_| {}, None, None).await;
        }
        let authority = Authority::new();
        let (leaf, ca) = (authority.leaf(), authority.pem());
        merge(&mut extra, json!({ "http": { "tls": { "certificate": "tls.crt", "key": "tls.key" } } }));
        if faces.contains(&"clients") {
            merge(&mut extra, json!({ "http": { "tls": { "clientcas": ["ca.crt"] } } }));
        }
        let files = move |folder: &TempDir| {
            fs::write(folder.path().join("tls.crt"), &leaf.certificate).unwrap();
            fs::write(folder.path().join("tls.key"), &leaf.key).unwrap();
            fs::write(folder.path().join("ca.crt"), &ca).unwrap();
        };
        Self::start(extra, files, Some(authority), None).await
    }

    /// A pull-through cache of `upstream`, which it asks as [`USER`].
    pub(crate) async fn caching(upstream: &Self) -> Self {
        let proxy = json!({ "proxy": {
            "remoteurl": format!("http://{}", upstream.address), "username": USER, "password": PASSWORD,
        } });
        Self::start(proxy, |_| {}, None, None).await
    }

    /// A registry of another kind: ferro-oci-server, plain http, open to all.
    pub(crate) async fn ferro() -> Self {
        let server = std::env::var_os("SECOND_REGISTRY");
        let server = server.unwrap_or_else(|| panic!("SECOND_REGISTRY is not set; {INSTALL}"));
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("registry.log")).unwrap();
        let process = Command::new(&server)
            .env("FERRO_OCI_LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}; {INSTALL}", server.display()));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let seen = AtomicUsize::new(0);
        let mut registry =
            Self { process, folder, address, authority: None, tokens: None, basic: false, seen };
        for _ in 0..500 {
            if let Some(address) = listening(registry.process.id()) {
                registry.address = address;
                return registry;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("ferro-oci-server did not listen within 5 s");
    }

    async fn start(
        extra: Value,
        files: impl FnOnce(&TempDir),
        authority: Option<Authority>,
        tokens: Option<TokenServer>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        files(&folder);
        let mut config = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": "data" }, "delete": { "enabled": true } },
            "http": { "addr": "127.0.0.1:0", "secret": "only for tests" },
        });
        merge(&mut config, extra);
        // JSON is YAML.
        fs::write(folder.path().join("config.yml"), config.to_string()).unwrap();
        let create = |name: &str| File::create(folder.path().join(name)).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", "config.yml"])
            .current_dir(folder.path())
            .env_remove("AWS_CA_BUNDLE")
            .stdin(Stdio::null())
            .stdout(create("access.log"))
            .stderr(create("registry.log"))
            .spawn()
            .unwrap_or_else(|error| panic!("docker-registry does not start: {error}; {INSTALL}"));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut registry =
            Self { process, folder, address, authority, tokens, basic: false, seen: AtomicUsize::new(0) };
        registry.address = registry.wait_until_it_listens().await;
        registry
    }

    /// The port is the kernel's choice (no race between tests), so the log has to tell it.
    async fn wait_until_it_listens(&mut self) -> SocketAddr {
        for _ in 0..1000 {
            let log = self.log("registry.log");
            if let Some(address) = log.split("listening on ").nth(1) {
                let address = address.split(['"', ',']).next().unwrap();
                return address.parse().unwrap();
            }
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("docker-registry ended with {status}:\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("docker-registry did not listen within 10 s:\n{}", self.log("registry.log"));
    }

    /// `127.0.0.1:PORT`, as it stands in references.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// A reference to an image of this registry: `image("demo/app:1")`.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Where the API is.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/v2/{path}", self.address)
    }

    pub(crate) fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    pub(crate) fn tokens(&self) -> &TokenServer {
        self.tokens.as_ref().expect("this registry has a token server")
    }

    /// The Authorization header that may do anything in `repository`.
    pub(crate) fn authorization(&self, repository: &str) -> Option<String> {
        match &self.tokens {
            Some(tokens) => Some(format!("Bearer {}", tokens.sign(USER, &[(repository, &["pull", "push"])]))),
            None => self.basic.then(|| super::command::basic(USER, PASSWORD)),
        }
    }

    /// Settings in containerd's form for `--hosts-dir`: plain http or this registry's authority.
    pub(crate) fn hosts_dir(&self) -> PathBuf {
        let hosts = self.folder.path().join("hosts");
        self.write_hosts_toml(&hosts, self.authority.as_ref());
        hosts
    }

    /// As [`Self::hosts_dir`], but with `authority` as the one to trust.
    pub(crate) fn hosts_dir_trusting(&self, authority: &Authority) -> PathBuf {
        let hosts = self.folder.path().join("hosts-other-authority");
        self.write_hosts_toml(&hosts, Some(authority));
        hosts
    }

    /// As [`Self::hosts_dir`], but for a registry of plain http that stands in for those of `domains`.
    pub(crate) fn hosts_dir_as(&self, domains: &[&str]) -> PathBuf {
        let hosts = self.folder.path().join("hosts-of-others");
        for domain in domains {
            let folder = hosts.join(domain);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("hosts.toml"), format!("server = \"http://{}\"\n", self.address)).unwrap();
        }
        hosts
    }

    fn write_hosts_toml(&self, hosts: &std::path::Path, authority: Option<&Authority>) {
        let folder = hosts.join(self.host());
        fs::create_dir_all(&folder).unwrap();
        let toml = if let Some(authority) = authority {
            fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
            format!("server = \"https://{}\"\nca = \"ca.crt\"\n", self.address)
        } else {
            format!("server = \"http://{}\"\n", self.address)
        };
        fs::write(folder.join("hosts.toml"), toml).unwrap();
    }

    /// What clients asked for since the last call, oldest first: `GET /v2/demo/app/manifests/1 401`.
    ///
    /// The registry logs a request when it is done with it, which may be after the client read the
    /// answer; a request of our own marks the end.
    pub(crate) async fn new_requests(&self) -> Vec<String> {
        let seen = self.seen.load(Ordering::Relaxed);
        let marker = format!("?end-of-log={seen}");
        self.client().get(self.url(&marker)).send().await.unwrap();
        for _ in 0..500 {
            let log = self.log("access.log");
            if log.contains(&format!("/v2/{marker} ")) {
                self.seen.store(log.lines().count(), Ordering::Relaxed);
                let ours = |line: &&str| line.contains("?end-of-log=");
                return log.lines().skip(seen).filter(|line| !ours(line)).map(request).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("docker-registry wrote no access log:\n{}", self.log("registry.log"));
    }

    /// Where a blob (or manifest) lies on disk, for tests that spoil it.
    pub(crate) fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("a sha256 digest");
        let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// A client that trusts this registry.
    pub(crate) fn client(&self) -> reqwest::Client {
        super::push::client(self.authority.as_ref())
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Registry {
    #[expect(clippy::print_stderr, reason = "a failed test shows what was asked of its registry")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let requests: Vec<_> = self.log("access.log").lines().map(request).collect();
            eprintln!("--- requests to {}:\n{}", self.address, requests.join("\n"));
        }
        // It may have ended by itself; both calls then have nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where a process listens, by what the kernel knows of its sockets.
fn listening(process: u32) -> Option<SocketAddr> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    let targets = descriptors.filter_map(|one| fs::read_link(one.ok()?.path()).ok());
    let sockets: Vec<_> = targets
        .filter_map(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
        .collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (address, state, inode) = (*fields.get(1)?, *fields.get(3)?, *fields.get(9)?);
        let is_listening = state == "0A" && sockets.iter().any(|socket| socket == inode);
        let port = u16::from_str_radix(address.split_once(':')?.1, 16).ok()?;
        is_listening.then(|| SocketAddr::from(([127, 0, 0, 1], port)))
    })
}

/// `127.0.0.1 - - [time] "GET /v2/?query HTTP/1.1" 200 2 "" "agent"` → `GET /v2/ 200`.
fn request(line: &str) -> String {
    let mut quoted = line.split('"').skip(1);
    let request = quoted.next().unwrap_or(line).split([' ', '?']).take(2).collect::<Vec<_>>().join(" ");
    let status = quoted.next().and_then(|rest| rest.split_whitespace().next()).unwrap_or("?");
    format!("{request} {status}")
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
