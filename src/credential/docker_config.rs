//! `.dockerconfigjson`, `.dockercfg`, `~/.docker/config.json` and `containers/auth.json`.
//!
//! In go the bytes of a file, out come a [`Keychain`] and the helpers that the file names. `auth`
//! is decoded as the kubelet decodes it: nothing is trimmed, so a newline at the end of a password
//! stays there. An entry without credentials means anonymous access and adds nothing.

use super::{Credentials, Keychain};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

/// Go's decoders ignore bits beyond the last byte.
const PADDED: GeneralPurpose = engine(DecodePaddingMode::RequireCanonical);
const UNPADDED: GeneralPurpose = engine(DecodePaddingMode::RequireNone);

const fn engine(padding: DecodePaddingMode) -> GeneralPurpose {
    let config =
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(padding);
    GeneralPurpose::new(&STANDARD, config)
}

/// The user name that marks a password as an identity token (docker-credential-helpers).
const TOKEN_USER: &str = "<token>";

/// A parsed Docker or Podman auth file.
#[derive(Clone, Debug, Default)]
pub struct DockerConfig {
    /// The credentials written in the file.
    pub keychain: Keychain,
    /// `credHelpers`: one helper for one registry.
    pub helpers: Vec<CredentialHelper>,
    /// `credsStore`: the helper for every other registry.
    pub store: Option<String>,
    /// Entries that were left out, each with the reason; never their content.
    pub problems: Vec<String>,
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

impl Credentials {
    /// Credentials from a user name and its secret, as auth files and helpers give them: the user
    /// name `<token>` means that the secret is an identity token. None if both are empty, which
    /// means anonymous access.
    #[must_use]
    pub fn from_user(username: &str, secret: &str) -> Option<Self> {
        match (username, secret) {
            ("", "") => None,
            (TOKEN_USER, token) => Some(Self::IdentityToken(token.to_owned())),
            _ => Some(Self::Basic { username: username.to_owned(), password: secret.to_owned() }),
        }
    }
}

impl DockerConfig {
    /// Reads `config.json`, `auth.json`, `.dockerconfigjson` or the legacy `.dockercfg` form.
    ///
    /// # Errors
    /// [`InvalidDockerConfig`] when it is not JSON of that form. One bad entry does not spoil the
    /// others: it is left out and named in `problems`.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidDockerConfig> {
        // serde_json's message can quote a value, so only the place is told.
        let document: Value = serde_json::from_slice(bytes).map_err(|e| {
            InvalidDockerConfig(format!("is not JSON (line {}, column {})", e.line(), e.column()))
        })?;
        let Value::Object(document) = document else {
            return Err(InvalidDockerConfig("is not a JSON object".to_owned()));
        };
        let mut config = Self::default();
        if ["auths", "credHelpers", "credsStore"].iter().any(|key| document.contains_key(*key)) {
            config.read_auths(section(&document, "auths")?);
            config.read_helpers(section(&document, "credHelpers")?);
            config.store = match document.get("credsStore") {
                None | Some(Value::Null) => None,
                Some(Value::String(store)) => Some(store.clone()).filter(|store| !store.is_empty()),
                Some(_) => return Err(InvalidDockerConfig("`credsStore` is not a string".to_owned())),
            };
        } else {
            // The legacy form has no wrapper. A config.json without credentials looks the same, so
            // only objects that could be entries count.
            config.read_auths(document.iter().filter(|(_, value)| is_legacy_entry(value)));
        }
        Ok(config)
    }

    fn read_auths<'a>(&mut self, entries: impl Iterator<Item = (&'a String, &'a Value)>) {
        for (key, entry) in entries {
            match credentials(entry) {
                Ok(Some(credentials)) => self.keychain.add(key, credentials),
                Ok(None) => {}
                Err(problem) => self.problems.push(format!("the entry {key:?} is ignored: {problem}")),
            }
        }
    }

    fn read_helpers<'a>(&mut self, entries: impl Iterator<Item = (&'a String, &'a Value)>) {
        for (registry, helper) in entries {
            match helper.as_str() {
                Some(helper) => {
                    self.helpers
                        .push(CredentialHelper { registry: registry.clone(), helper: helper.to_owned() });
                }
                None => self.problems.push(format!("the helper of {registry:?} is ignored: not a string")),
            }
        }
    }
}

/// The entries of a map that may be missing or null.
fn section<'a>(
    document: &'a Map<String, Value>,
    name: &str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, InvalidDockerConfig> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(None.into_iter().flatten()),
        Some(Value::Object(map)) => Ok(Some(map).into_iter().flatten()),
        Some(_) => Err(InvalidDockerConfig(format!("`{name}` is not an object"))),
    }
}

fn is_legacy_entry(value: &Value) -> bool {
    let fields = ["auth", "username", "password", "identitytoken", "registrytoken"];
    value.as_object().is_some_and(|entry| fields.iter().any(|field| entry.contains_key(*field)))
}

fn credentials(entry: &Value) -> Result<Option<Credentials>, String> {
    let entry = match entry {
        Value::Null => return Ok(None),
        Value::Object(entry) => entry,
        _ => return Err("it is not an object".to_owned()),
    };
    let field = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(value)) => Ok(value.as_str()),
        Some(_) => Err(format!("`{name}` is not a string")),
    };
    let (identity, registry) = (field("identitytoken")?, field("registrytoken")?);
    if !identity.is_empty() {
        return Ok(Some(Credentials::IdentityToken(identity.to_owned())));
    }
    if !registry.is_empty() {
        return Ok(Some(Credentials::RegistryToken(registry.to_owned())));
    }
    match field("auth")? {
        "" => Ok(Credentials::from_user(field("username")?, field("password")?)),
        auth => {
            let (username, password) = decode(auth)?;
            Ok(Credentials::from_user(&username, &password))
        }
    }
}

/// The kubelet's `decodeDockerConfigFieldAuth`: base64 of `user:password`, split at the first colon.
fn decode(auth: &str) -> Result<(String, String), String> {
    let engine = if auth.trim().ends_with('=') { PADDED } else { UNPADDED };
    // Go's decoder skips line breaks and nothing else.
    let joined: String = auth.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let decoded = engine.decode(joined).map_err(|_| "`auth` is not base64".to_owned())?;
    let decoded = String::from_utf8(decoded).map_err(|_| "`auth` does not hold UTF-8".to_owned())?;
    let (username, password) =
        decoded.split_once(':').ok_or("`auth` does not hold a user name, a colon and a password")?;
    Ok((username.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests;
