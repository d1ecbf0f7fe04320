//! Credential helpers: programs that keep credentials outside of files.
//!
//! In go a helper's suffix and a server, out come credentials, none, or a note for the user. The
//! protocol is docker-credential-helpers': `docker-credential-<suffix> get`, the server on standard
//! input, JSON on standard output. Each helper is asked once per server; the answer is kept.

use crate::credential::Credentials;
use serde_json::Value;
use std::{
    collections::HashMap,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::OnceCell,
    time::timeout,
};

/// How long a helper may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of a helper's output.
const OUTPUT_LIMIT: u64 = 64 * 1024;
/// What helpers say when they have nothing (docker-credential-helpers, credentials/error.go).
const NOT_FOUND: &str = "credentials not found in native keychain";

type Answer = Result<Option<Credentials>, String>;
/// By helper and server.
type Answers = HashMap<(String, String), Arc<OnceCell<Answer>>>;

/// The helpers on a search path, and what they answered.
pub(super) struct Helpers {
    path: Option<OsString>,
    patience: Duration,
    answers: Mutex<Answers>,
}

impl Helpers {
    pub(super) fn new(path: Option<OsString>) -> Self {
        Self { path, patience: PATIENCE, answers: Mutex::default() }
    }

    #[cfg(test)]
    pub(super) fn with_patience(path: Option<OsString>, patience: Duration) -> Self {
        Self { patience, ..Self::new(path) }
    }

    /// What `docker-credential-<helper>` keeps for `server`.
    ///
    /// # Errors
    /// A note that says why the helper could not be asked.
    pub(super) async fn ask(&self, helper: &str, server: &str) -> Answer {
        let key = (helper.to_owned(), server.to_owned());
        let cell = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(key).or_default())
        };
        cell.get_or_init(|| self.run(helper, server)).await.clone()
    }

    async fn run(&self, helper: &str, server: &str) -> Answer {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if helper.is_empty() || !helper.chars().all(is_plain) {
            return Err(format!("the credential helper {helper:?} is not asked: this is no plain name"));
        }
        let name = format!("docker-credential-{helper}");
        let program = self.search(&name).ok_or_else(|| {
            format!("the credential helper {name} for {server} was not found in PATH; going on without it")
        })?;
        let said = |what: &str| format!("the credential helper {name} gave nothing for {server}: {what}");
        match timeout(self.patience, converse(&program, server)).await {
            Err(_) => Err(said(&format!("no answer within {} s", self.patience.as_secs_f32()))),
            Ok(Err(e)) => Err(said(&e.to_string())),
            Ok(Ok((success, output))) => read(success, &output).map_err(|what| said(&what)),
        }
    }

    /// Looks a program up as a shell would, so that "not found" is told apart from other failures.
    fn search(&self, name: &str) -> Option<PathBuf> {
        let folders = std::env::split_paths(self.path.as_ref()?);
        folders.map(|folder| folder.join(name)).find(|program| is_executable(program))
    }
}

#[cfg(unix)]
fn is_executable(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(program).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(program: &Path) -> bool {
    fs::metadata(program).is_ok_and(|found| found.is_file())
}

/// Runs a helper: whether it succeeded, and what it wrote.
async fn converse(program: &Path, server: &str) -> std::io::Result<(bool, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input has its own reasons; its output decides.
        let _ = input.write_all(format!("{server}\n").as_bytes()).await;
    }
    let output = bounded(child.stdout.take()).await?;
    let status = child.wait().await?;
    Ok((status.success(), output))
}

async fn bounded(output: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(output) = output {
        output.take(OUTPUT_LIMIT + 1).read_to_end(&mut read).await?;
    }
    if read.len() as u64 > OUTPUT_LIMIT {
        return Err(std::io::Error::other("its output is too long"));
    }
    Ok(read)
}

/// Reads a helper's output. Nothing of it is quoted, for it may be a secret.
fn read(success: bool, output: &[u8]) -> Answer {
    if !success {
        let nothing = String::from_utf8_lossy(output).trim() == NOT_FOUND;
        return if nothing { Ok(None) } else { Err("it failed".to_owned()) };
    }
    let answer: Value = serde_json::from_slice(output).map_err(|_| "its output is not JSON".to_owned())?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    match (text("Username"), text("Secret")) {
        (Some(username), Some(secret)) => Ok(Credentials::from_user(username, secret)),
        _ => Err("its output has no Username and Secret".to_owned()),
    }
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers").field("path", &self.path).finish_non_exhaustive()
    }
}
