//! Running the real `hullmark`, and skopeo to compare it with.

use super::{INSTALL, Registry};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::Stdio,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

/// `hullmark`, with an environment of its own: an empty home, and nothing of the caller's but PATH.
pub(crate) struct Hullmark {
    home: TempDir,
    folder: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
}

/// How a command ended.
pub(crate) struct Output {
    /// The exit code; none: a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Hullmark {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), folder: None, environment: Vec::new(), stdin: Vec::new() }
    }

    /// Told how `registry` is reached: its hosts.toml, and that loopback is allowed.
    pub(crate) fn for_registry(registry: &Registry) -> Self {
        Self::new().env("HULLMARK_HOSTS_DIR", registry.hosts_dir()).allowing_loopback()
    }

    pub(crate) fn allowing_loopback(self) -> Self {
        self.env("HULLMARK_ALLOW_ADDRESS", "127.0.0.0/8")
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Started in `folder` rather than in its home.
    pub(crate) fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// With this as `~/.docker/config.json`.
    pub(crate) fn docker_config(self, config: &Value) -> Self {
        let folder = self.home.path().join(".docker");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
        self
    }

    /// Logged in to `registry` as `docker login -u USER -p PASSWORD` would leave it.
    pub(crate) fn logged_in(self, registry: &Registry, user: &str, password: &str) -> Self {
        let auth = STANDARD.encode(format!("{user}:{password}"));
        self.docker_config(&serde_json::json!({ "auths": { registry.host(): { "auth": auth } } }))
    }

    /// With an executable script of this name first on PATH.
    pub(crate) fn program(self, name: &str, script: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = self.home.path().join("bin");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Runs the binary that cargo built for this test.
    pub(crate) async fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        let mut path = self.home.path().join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(env!("CARGO_BIN_EXE_hullmark"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.as_deref().unwrap_or(self.home.path()));
        output(command, &self.stdin).await.expect("cargo built hullmark for this test")
    }
}

impl Output {
    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("standard output is UTF-8")
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}\n{}\n{}", self.text(), self.stderr))
    }

    /// That it ended with exit code 0.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.text(), self.stderr);
        self
    }

    /// That it ended with exit code 1, as kubectl does, and what it said.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.code, Some(1), "stdout:\n{}\nstderr:\n{}", self.text(), self.stderr);
        self.stderr
    }

    /// That it ended with exit code 2, and what it said.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert_eq!(self.code, Some(2), "stdout:\n{}\nstderr:\n{}", self.text(), self.stderr);
        self.stderr
    }
}

/// The config blob as skopeo gives it, byte for byte.
pub(crate) async fn skopeo_raw_config(
    registry: &Registry,
    name: &str,
    platform: &str,
    login: Option<(&str, &str)>,
) -> Vec<u8> {
    let mut command = Command::new("skopeo");
    let mut parts = platform.split('/');
    for flag in ["--override-os", "--override-arch", "--override-variant"] {
        command.args(parts.next().map(|part| [flag, part]).into_iter().flatten());
    }
    command.args(["inspect", "--raw", "--config"]);
    let certificates = tempfile::tempdir().unwrap();
    if let Some(authority) = registry.authority() {
        std::fs::write(certificates.path().join("ca.crt"), authority.pem()).unwrap();
        command.arg("--cert-dir").arg(certificates.path());
    } else {
        command.arg("--tls-verify=false");
    }
    match login {
        Some((user, password)) => command.args(["--creds", &format!("{user}:{password}")]),
        None => command.arg("--no-creds"),
    };
    command.arg(format!("docker://{}", registry.image(name)));
    let output = output(command, &[])
        .await
        .unwrap_or_else(|error| panic!("skopeo does not start: {error}; {INSTALL}"));
    assert_eq!(output.code, Some(0), "skopeo: {}", output.stderr);
    output.stdout
}

/// `Basic …`, the value of an Authorization header.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Runs `command` to its end, with these bytes as its input.
pub(super) async fn output(mut command: Command, stdin: &[u8]) -> std::io::Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut pipe = child.stdin.take().expect("stdin is piped");
    // A command that does not read its input closes the pipe; that is its right.
    let _ = pipe.write_all(stdin).await;
    drop(pipe);
    let done = child.wait_with_output().await?;
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    Ok(Output { code: done.status.code(), stdout: done.stdout, stderr })
}
