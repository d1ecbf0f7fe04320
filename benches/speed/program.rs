//! Programs under load: where they are, whom they trust, and what they take.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A server in a process of its own. It ends when this is dropped.
pub(crate) struct Program {
    process: Child,
    folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) health: Option<SocketAddr>,
}

impl Program {
    /// [`crate::bare`].
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(crate::bare::FLAG)
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, folder, address: line.trim().parse().unwrap(), health: None }
    }

    /// `hullmark serve` with these policies and registries reached as `hosts` says.
    pub(crate) fn hullmark(policies: &str, hosts: Option<&Path>, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        fs::write(folder.path().join("policies/all.yaml"), policies).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hullmark"));
        command.args(["serve", "--policies=policies", "--write-ca=ca.pem", "--allow-address=127.0.0.0/8"]);
        command.args(["--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0", "--tag-ttl=1h"]);
        command.args(arguments).args(hosts.map(|hosts| format!("--hosts-dir={}", hosts.display())));
        command.env_clear().env("HOME", folder.path()).current_dir(folder.path());
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let serving = log.by_ref().map(Result::unwrap).find(|line| line.contains("\"serving\"")).unwrap();
        let serving: serde_json::Value = serde_json::from_str(&serving).unwrap();
        let at = |key: &str| serving[key].as_str().unwrap().parse().unwrap();
        // Whoever writes to a pipe that nobody reads waits for ever.
        std::thread::spawn(move || log.for_each(drop));
        Self { process, folder, address: at("listen"), health: Some(at("health_listen")) }
    }

    /// The certificate of its authority.
    pub(crate) fn ca(&self) -> String {
        fs::read_to_string(self.folder.path().join("ca.pem")).unwrap()
    }

    /// Time on processors so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks: u64 = [fields[11], fields[12]].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// Memory in use, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        memory_of(&self.process.id().to_string())
    }
}

/// Memory in use by a process (`self`: this one), in bytes.
pub(crate) fn memory_of(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; both calls then have nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
