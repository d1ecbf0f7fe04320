//! Credentials, and the keychain that the kubelet's rules make of pull secrets.
//!
//! Pure: where files and helpers are read is the business of an edge. Credentials are an argument
//! of every call and a part of every cache key; no state of one caller serves another.

mod docker_config;
mod glob;
mod keychain;

pub use docker_config::{CredentialHelper, DockerConfig, InvalidDockerConfig};
pub use keychain::{Keychain, matches_image};

use std::{collections::BTreeMap, fmt};

/// The credentials that may be used for one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// For the registry that the reference names, in the order to try; empty: anonymous.
    pub registry: Vec<Credentials>,
    /// For each mirror of it, by host and port: a mirror never sees the registry's.
    pub mirrors: BTreeMap<String, Vec<Credentials>>,
}

impl From<Vec<Credentials>> for Access {
    /// Without any for mirrors.
    fn from(registry: Vec<Credentials>) -> Self {
        Self { registry, mirrors: BTreeMap::new() }
    }
}

/// What authenticates to one registry. `Debug` never shows a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// A user name and a password.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// An `OAuth2` refresh token, exchanged by POST (`identitytoken`, or user `<token>`).
    IdentityToken(String),
    /// A bearer token, used as it is (`registrytoken`).
    RegistryToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "Basic({username:?}, ****)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(****)"),
            Self::RegistryToken(_) => f.write_str("RegistryToken(****)"),
        }
    }
}
