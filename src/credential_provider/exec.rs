//! One conversation with a plugin: `CredentialProviderRequest` on its standard input, `CredentialProviderResponse`
//! on its standard output. No shell is in between.

use super::config::{Provider, duration};
use crate::{
    credential::{Credentials, Keychain},
    text::clean,
};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

/// Most bytes of an answer, and of what is read of an explanation.
const ANSWER_LIMIT: u64 = 1024 * 1024;
const EXPLANATION_LIMIT: u64 = 4 * 1024;
/// Our own variables; a plugin has no business with them.
const OWN_VARIABLES: &str = "HULLMARK_";

/// What a plugin answered.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) kept_for: KeptFor,
    /// None: as the configuration says.
    pub(super) duration: Option<Duration>,
    pub(super) keychain: Keychain,
}

/// For which images an answer is kept (`cacheKeyType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum KeptFor {
    Image,
    Registry,
    Global,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    kind: String,
    api_version: String,
    cache_key_type: KeptFor,
    cache_duration: Option<String>,
    auth: Option<BTreeMap<String, Auth>>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

/// Asks the plugin in `folder` for the credentials of `image`.
///
/// # Errors
/// Why there are none, for a person.
pub(super) async fn ask(
    folder: &Path,
    provider: &Provider,
    image: &str,
    patience: Duration,
) -> Result<Response, String> {
    match timeout(patience, converse(folder, provider, image)).await {
        Err(_) => Err(format!("it did not answer within {} s", patience.as_secs_f32())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok((status, _, explained))) if !status.success() => {
            let explained = String::from_utf8_lossy(&explained);
            let first = explained.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let first = clean(first, 200);
            Err(if first.is_empty() { format!("{status}") } else { format!("{status}: {first}") })
        }
        Ok(Ok((_, answer, _))) => read(&answer, provider),
    }
}

async fn converse(
    folder: &Path,
    provider: &Provider,
    image: &str,
) -> std::io::Result<(std::process::ExitStatus, Vec<u8>, Vec<u8>)> {
    let mut command = Command::new(folder.join(&provider.name));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(OWN_VARIABLES))
    {
        command.env_remove(name);
    }
    let mut child = command
        .args(&provider.args)
        .envs(provider.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let request = serde_json::json!({
        "apiVersion": provider.api_version,
        "kind": "CredentialProviderRequest",
        "image": image,
    });
    if let Some(mut input) = child.stdin.take() {
        // A plugin that does not read it has its own reasons; its answer decides.
        let _ = input.write_all(request.to_string().as_bytes()).await;
    }
    let (answer, explained) = tokio::join!(
        bounded(child.stdout.take(), ANSWER_LIMIT),
        bounded(child.stderr.take(), EXPLANATION_LIMIT),
    );
    let answer = answer?;
    if answer.len() as u64 > ANSWER_LIMIT {
        return Err(std::io::Error::other("its answer is too long"));
    }
    Ok((child.wait().await?, answer, explained?))
}

/// The first bytes, and one more than `most` if there are more. The rest is read and let go, so that the plugin can
/// end.
async fn bounded(output: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(mut output) = output {
        (&mut output).take(most + 1).read_to_end(&mut read).await?;
        tokio::io::copy(&mut output, &mut tokio::io::sink()).await?;
    }
    Ok(read)
}

/// Reads an answer. Nothing of it is quoted, for it holds secrets.
fn read(answer: &[u8], provider: &Provider) -> Result<Response, String> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("its answer is not a CredentialProviderResponse (line {line}, column {column})")
    })?;
    if answer.kind != "CredentialProviderResponse" || answer.api_version != provider.api_version {
        return Err(format!(
            "it answered with a {} of {}, not with a CredentialProviderResponse of {}",
            clean(&answer.kind, 80),
            clean(&answer.api_version, 80),
            provider.api_version
        ));
    }
    let kept = match answer.cache_duration.as_deref().map(duration) {
        Some(None) => return Err("its `cacheDuration` is not a time".to_owned()),
        kept => kept.flatten(),
    };
    let mut keychain = Keychain::default();
    for (key, Auth { username, password }) in answer.auth.unwrap_or_default() {
        if let Some(credentials) = Credentials::from_user(&username, &password) {
            keychain.add(&key, credentials);
        }
    }
    Ok(Response { kept_for: answer.cache_key_type, duration: kept, keychain })
}
