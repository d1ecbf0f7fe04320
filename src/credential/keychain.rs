//! The kubelet's keyring: which credentials are tried for an image, and in which order.

use super::Credentials;
use crate::image::Reference;

/// Credentials by key (`host[:port][/path]`, globs allowed in the host), matched as the kubelet's
/// `DockerKeyring` matches them.
#[derive(Clone, Debug, Default)]
pub struct Keychain {
    entries: Vec<(String, Credentials)>,
}

impl Keychain {
    /// Adds credentials under a key as a Docker config writes it; earlier ones are tried first
    /// among those with the same key.
    pub fn add(&mut self, key: &str, credentials: Credentials) {
        self.entries.push((key.to_owned(), credentials));
    }

    /// Everything that could read `reference`, in the order to try.
    #[must_use]
    pub fn lookup(&self, _reference: &Reference) -> Vec<Credentials> {
        todo!()
    }
}
