//! Debian's `redis-server`: alone, with TLS, as a cluster, and Sentinels of it.

use super::{INSTALL, Leaf};
use std::{
    fs::{self, File},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A running server. It stops when this is dropped.
pub(crate) struct Redis {
    process: Child,
    folder: TempDir,
    pub(crate) port: u16,
    tls: bool,
    password: Option<&'static str>,
}

impl Redis {
    /// Without TLS or a password.
    pub(crate) async fn plain() -> Self {
        Self::start(&[], None, None).await
    }

    /// That wants a password, over TLS.
    pub(crate) async fn guarded(leaf: &Leaf, password: &'static str) -> Self {
        Self::start(&["--requirepass", password], Some(leaf), Some(password)).await
    }

    /// A cluster of one.
    pub(crate) async fn cluster() -> Self {
        let redis = Self::start(&["--cluster-enabled", "yes"], None, None).await;
        redis.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        while !redis.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        redis
    }

    /// A Sentinel that watches `master` under the name `mymaster`.
    pub(crate) async fn sentinel(master: &Self) -> Self {
        let watched = format!("sentinel monitor mymaster 127.0.0.1 {} 1\n", master.port);
        Self::run(&[], None, None, Some(&watched)).await
    }

    async fn start(arguments: &[&str], leaf: Option<&Leaf>, password: Option<&'static str>) -> Self {
        Self::run(arguments, leaf, password, None).await
    }

    async fn run(
        arguments: &[&str],
        leaf: Option<&Leaf>,
        password: Option<&'static str>,
        sentinel: Option<&str>,
    ) -> Self {
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let folder = tempfile::tempdir().unwrap();
            let mut command = Command::new("redis-server");
            if let Some(configuration) = sentinel {
                fs::write(folder.path().join("sentinel.conf"), configuration).unwrap();
                command.args(["sentinel.conf", "--sentinel"]);
            }
            let number = port.to_string();
            command.args(["--bind", "127.0.0.1", "--save", "", "--port"]);
            match leaf {
                None => command.arg(&number),
                Some(leaf) => {
                    fs::write(folder.path().join("tls.crt"), &leaf.certificate).unwrap();
                    fs::write(folder.path().join("tls.key"), &leaf.key).unwrap();
                    command.args(["0", "--tls-port", &number, "--tls-auth-clients", "no"]);
                    command.args(["--tls-cert-file", "tls.crt", "--tls-key-file", "tls.key"])
                }
            };
            let process = command
                .args(arguments)
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(File::create(folder.path().join("log")).unwrap())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("redis-server does not start: {error}; {INSTALL}"));
            let mut redis = Self { process, folder, port, tls: leaf.is_some(), password };
            if redis.is_up().await {
                return redis;
            }
        }
        panic!("redis-server found no free port");
    }

    async fn is_up(&mut self) -> bool {
        for _ in 0..500 {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if self.ask(&["PING"]).trim() == "PONG" {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
    }

    /// What `redis-cli` prints for a command.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        let mut client = Command::new("redis-cli");
        client.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--raw"]);
        if self.tls {
            client.args(["--tls", "--insecure"]);
        }
        if let Some(password) = self.password {
            client.args(["--no-auth-warning", "-a", password]);
        }
        let output = client.args(command).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("redis-cli does not start: {error}; {INSTALL}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The keys that are there.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.ask(&["KEYS", "*"]).lines().filter(|key| !key.is_empty()).map(str::to_owned).collect()
    }

    /// Stops it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself; both calls then have nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
