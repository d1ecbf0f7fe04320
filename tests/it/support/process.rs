//! `hullmark serve` as a process of its own, with a folder, an empty environment and its log.

use std::{fs, net::SocketAddr, process::Stdio, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

/// The process; it ends with the value.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) log: Lines<BufReader<ChildStderr>>,
    pub(crate) folder: TempDir,
}

/// The command, in `folder`.
pub(crate) fn command(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hullmark"));
    command.env_clear().env("HOME", folder.path()).current_dir(folder.path());
    command.args(["serve", "--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A folder with a folder `policies` that holds this.
pub(crate) fn with_policies(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/a.yaml"), text).unwrap();
    folder
}

impl Process {
    /// Started with `--policies=policies` and these.
    pub(crate) fn start(policies: &str, arguments: &[&str]) -> Self {
        Self::start_in(with_policies(policies), arguments, &[])
    }

    /// The same in this folder, with these variables in its environment.
    pub(crate) fn start_in(folder: TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command(&folder);
        command.arg("--policies=policies").args(arguments).envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log, folder }
    }

    /// The next line with this message.
    pub(crate) async fn logged(&mut self, message: &str) -> serde_json::Value {
        let looking = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                let line: serde_json::Value =
                    serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
                if line["message"] == message {
                    return line;
                }
            }
            panic!("the log ended without {message:?}");
        };
        timeout(Duration::from_secs(20), looking).await.unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    }

    /// With what it ended.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        timeout(Duration::from_secs(20), self.child.wait()).await.unwrap().unwrap().code()
    }

    /// Where it serves, and the certificate of its authority (with `--write-ca=ca.pem`).
    pub(crate) async fn serving(&mut self) -> (SocketAddr, String) {
        let serving = self.logged("serving").await;
        let ca = fs::read_to_string(self.folder.path().join("ca.pem")).unwrap();
        (serving["listen"].as_str().unwrap().parse().unwrap(), ca)
    }

    /// The most memory that it has had so far, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }
}
