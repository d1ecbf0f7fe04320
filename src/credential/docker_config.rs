//! `.dockerconfigjson`, `.dockercfg`, `~/.docker/config.json` and `containers/auth.json`.

use super::Keychain;

/// A parsed Docker or Podman auth file.
#[derive(Clone, Debug, Default)]
pub struct DockerConfig {
    /// The credentials written in the file.
    pub keychain: Keychain,
    /// `credHelpers`: one helper for one registry.
    pub helpers: Vec<CredentialHelper>,
    /// `credsStore`: the helper for every other registry.
    pub store: Option<String>,
}

/// One entry of `credHelpers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialHelper {
    /// The key, as written: a registry's domain.
    pub registry: String,
    /// The helper's suffix: `ecr-login` means the program `docker-credential-ecr-login`.
    pub helper: String,
}

/// Why an auth file cannot be used; never quotes its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDockerConfig(pub String);

impl DockerConfig {
    /// Reads `config.json`, `auth.json`, `.dockerconfigjson` or the legacy `.dockercfg` form.
    ///
    /// # Errors
    /// [`InvalidDockerConfig`] when it is not JSON of that form. One bad entry does not spoil the
    /// others: it is left out.
    pub fn parse(_bytes: &[u8]) -> Result<Self, InvalidDockerConfig> {
        todo!()
    }
}
