//! The kubelet's keyring: which credentials are tried for an image, and in which order.
//!
//! In go keys as a Docker config writes them, out comes a list to try. The rules are those of
//! Kubernetes' `pkg/credentialprovider/keyring.go`, and some surprise: a path is a plain string
//! prefix (`/team` matches `/teams`), an absent port is not 443, and all matches are tried, in
//! reverse order of their keys, not the best one alone.

use super::{Credentials, glob};
use crate::image::Reference;

/// The key under which Docker Hub's credentials are kept, whatever path follows it.
const DOCKER_HUB_KEY: &str = "index.docker.io";

/// Credentials by key (`host[:port][/path]`, globs allowed in the host), matched as the kubelet's
/// `DockerKeyring` matches them.
#[derive(Clone, Debug, Default)]
pub struct Keychain {
    entries: Vec<(String, Credentials)>,
}

impl Keychain {
    /// Adds credentials under a key as a Docker config writes it; earlier ones are tried first
    /// among those with the same key. A key that names no host matches nothing.
    pub fn add(&mut self, key: &str, credentials: Credentials) {
        let key = normalise(key);
        if !key.is_empty() {
            self.entries.push((key, credentials));
        }
    }

    /// Adds everything that `other` holds, after what is here.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Whether there are no credentials at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Everything that could read `reference`, in the order to try.
    #[must_use]
    pub fn lookup(&self, reference: &Reference) -> Vec<Credentials> {
        Self::lookup_in(&[self], reference)
    }

    /// The same as if all `keychains` were one, such as those of a Pod's pull secrets: a more exact key comes first, in
    /// whichever it is.
    #[must_use]
    pub fn lookup_in(keychains: &[impl AsRef<Self>], reference: &Reference) -> Vec<Credentials> {
        let matching = |matches: &dyn Fn(&str) -> bool| -> Vec<Credentials> {
            let entries = keychains.iter().flat_map(|keychain| &keychain.as_ref().entries);
            let mut found: Vec<_> = entries.filter(|(key, _)| matches(key)).collect();
            // Stable: entries of one key keep the order in which they were added.
            found.sort_by(|(a, _), (b, _)| b.cmp(a));
            found.into_iter().map(|(_, credentials)| credentials.clone()).collect()
        };
        let found = matching(&|key| matches(key, reference.domain(), reference.path()));
        if found.is_empty() && is_docker_hub(reference.domain()) {
            return matching(&|key| key == DOCKER_HUB_KEY);
        }
        found
    }
}

impl AsRef<Self> for Keychain {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Whether the kubelet's `matchImages` takes `pattern` for `reference`: a host of which each label is a glob, with
/// the same port, and the beginning of the path.
#[must_use]
pub fn matches_image(pattern: &str, reference: &Reference) -> bool {
    let pattern = normalise(pattern);
    !pattern.is_empty() && matches(&pattern, reference.domain(), reference.path())
}

/// `BasicDockerKeyring.Add`: no scheme, no `/v1` or `/v2` before a further path, no lone slash.
fn normalise(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = key.find('/').map_or((key, ""), |slash| key.split_at(slash));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let path = if path.starts_with("/v1/") || path.starts_with("/v2/") { &path[3..] } else { path };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return String::new();
    }
    if path == "/" { host.to_owned() } else { format!("{host}{path}") }
}

/// `URLsMatch`: equal ports, as many labels, each label a glob, the path a string prefix.
fn matches(key: &str, domain: &str, path: &str) -> bool {
    let (host, prefix) = key.find('/').map_or((key, ""), |slash| key.split_at(slash));
    let ((glob_host, glob_port), (host, port)) = (split_port(host), split_port(domain));
    let (globs, labels): (Vec<_>, Vec<_>) = (glob_host.split('.').collect(), host.split('.').collect());
    glob_port == port
        && globs.len() == labels.len()
        && format!("/{path}").starts_with(prefix)
        && globs.iter().zip(labels).all(|(pattern, label)| glob::matches(pattern, label))
}

/// `net.SplitHostPort`, and the whole as the host where there is no port.
fn split_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') && host.ends_with(']') => {
            (&host[1..host.len() - 1], port)
        }
        Some((host, port)) if !host.contains([':', '[', ']']) => (host, port),
        _ => (authority, ""),
    }
}

/// `isDefaultRegistryMatch`, for a domain that the reference parser has normalised.
fn is_docker_hub(domain: &str) -> bool {
    matches!(domain, "docker.io" | "index.docker.io")
}

#[cfg(test)]
mod tests;
