//! Where a registry is reached, and how its certificate is judged.
//!
//! In go a reference's domain and what the hosts folder says of it, out come [`Endpoint`]s: mirrors in the
//! order of the file, then the registry itself. The folder is read whole, or not at all. As in containerd, the
//! first folder of `<host>_<port>_`, `<host>:<port>` and `_default` that exists counts, alone. Without one,
//! the registry is asked over https at its own name; Docker Hub's is `registry-1.docker.io`.

mod file;

use super::SettingsError;
use crate::image::Reference;
use file::{HostsFile, Server};
use reqwest::header::{HeaderName, HeaderValue};
use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use url::Url;

/// Where references to `docker.io` are served.
const DOCKER_HUB: &str = "registry-1.docker.io";
/// The folder for every registry without one of its own.
const DEFAULT_FOLDER: &str = "_default";

/// How connections are made, and what certificates are held against.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionProfile {
    /// Further roots beside the system's, as PEM.
    pub(super) roots: Arc<[u8]>,
    /// Take any certificate.
    pub(super) skip_verify: bool,
    /// What is shown of ourselves; none: nothing.
    pub(super) identity: Option<ClientIdentity>,
    /// How long making a connection may take; none: as everywhere.
    pub(super) dial_timeout: Option<Duration>,
    /// How long the host may send nothing; none: as everywhere.
    pub(super) idle_timeout: Option<Duration>,
}

/// How much is asked of one host; none: as of every other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Requests under way at once.
    pub(super) in_flight: Option<usize>,
    /// Tries of one request.
    pub(super) tries: Option<usize>,
}

/// A client certificate with its key, as PEM; it is never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientIdentity(pub(super) Arc<[u8]>);

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}

/// Where one registry is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The API's base, `/v2/` included; ends with a slash.
    pub(super) base: Url,
    /// How it is connected to.
    pub(super) profile: ConnectionProfile,
    /// How much is asked of it.
    pub(super) limits: Limits,
    /// The registry that it stands for, told as `?ns=` if the host is another one.
    pub(super) namespace: Option<String>,
    /// Whether it is the registry itself, or a mirror that must not see the registry's credentials.
    pub(super) trusted: bool,
    /// Sent to this host with each request, and to no other.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// The settings of all hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hosts {
    files: BTreeMap<String, HostsFile>,
}

impl Hosts {
    /// Reads what `settings` name: the folder, and the texts.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(super) fn of(folder: Option<&Path>, texts: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let mut hosts = folder.map(Self::load).transpose()?.unwrap_or_default();
        hosts.add(texts)?;
        Ok(hosts)
    }

    /// Reads every `hosts.toml` below `folder`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the file, when one cannot be read, is not TOML, has a key that does
    /// not exist or a certificate that is none.
    pub(super) fn load(folder: &Path) -> Result<Self, SettingsError> {
        let failed = |path: &Path, e: &std::io::Error| SettingsError(format!("{}: {e}", path.display()));
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(|e| failed(folder, &e))? {
            let path = entry.map_err(|e| failed(folder, &e))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            // Kubernetes puts `..data` and the like into mounted volumes.
            if name.starts_with('.') || !path.is_dir() {
                continue;
            }
            files.insert(name, HostsFile::load(&path.join("hosts.toml"))?);
        }
        Ok(Self { files })
    }

    /// Adds the texts of `hosts.toml` files by host.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(super) fn add(&mut self, texts: &BTreeMap<String, String>) -> Result<(), SettingsError> {
        for (host, text) in texts {
            let path = Path::new(host).join("hosts.toml");
            self.files.insert(host.clone(), HostsFile::parse(&path, text)?);
        }
        Ok(())
    }

    /// What the files say that is not honoured, or unsafe, each with its file.
    pub(super) fn notes(&self) -> Vec<String> {
        self.files.values().flat_map(|file| file.notes.clone()).collect()
    }

    /// Every distinct way of connecting, with the file that asks for it.
    pub(super) fn profiles(&self) -> impl Iterator<Item = (&ConnectionProfile, &PathBuf)> {
        self.files.values().flat_map(|file| file.servers().map(|server| (&server.profile, &file.path)))
    }

    /// Where references to `domain` are asked: its mirrors in the order of the file, then the registry itself.
    /// A mirror that may not say what a tag points to (no `resolve`) is for references `by_digest` alone.
    ///
    /// # Errors
    /// A text, if the domain makes no URL (a port beyond 65535).
    pub(super) fn endpoints(&self, domain: &str, by_digest: bool) -> Result<Vec<Arc<Endpoint>>, String> {
        let own = if domain == "docker.io" { DOCKER_HUB } else { domain };
        let own =
            || Url::parse(&format!("https://{own}/v2/")).map_err(|e| format!("{domain} makes no URL: {e}"));
        let file = self.file(domain);
        let mirrors = file.into_iter().flat_map(|file| &file.hosts);
        let mirrors = mirrors.filter(|host| host.can_pull && (host.can_resolve || by_digest));
        let registry = file.map_or_else(Server::default, |file| file.server.clone());
        let places = mirrors.map(|mirror| (mirror, false)).chain([(&registry, true)]);
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
        for (Server { base, profile, limits, headers, .. }, is_registry) in places {
            let base = base.clone().map_or_else(own, Ok)?;
            let host = authority(&base);
            let is_own = host == domain || (domain == "docker.io" && host == DOCKER_HUB);
            // A table for the registry itself says how it is reached; it is not asked twice.
            if endpoints.iter().all(|before| before.base != base) {
                endpoints.push(Arc::new(Endpoint {
                    base,
                    profile: profile.clone(),
                    limits: *limits,
                    namespace: (!is_own).then(|| domain.to_owned()),
                    trusted: is_registry || is_own,
                    headers: headers.clone(),
                }));
            }
        }
        Ok(endpoints)
    }

    /// How `url` is connected to and how much is asked of it, when an exchange with `via` leads there: as its
    /// own settings say, else with the roots of `via`. Skipping verification is for `via`'s name alone.
    pub(super) fn manners(&self, url: &Url, via: &Endpoint) -> (ConnectionProfile, Limits) {
        if same_origin(url, &via.base) {
            return (via.profile.clone(), via.limits);
        }
        if let Some(own) = self.server(url) {
            return (own.profile.clone(), own.limits);
        }
        let skip_verify = via.profile.skip_verify && url.host_str() == via.base.host_str();
        let roots = Arc::clone(&via.profile.roots);
        (ConnectionProfile { roots, skip_verify, ..ConnectionProfile::default() }, Limits::default())
    }

    /// Whether a `hosts.toml` says that `url`'s host speaks plain http.
    pub(super) fn allows_plain_http(&self, url: &Url) -> bool {
        self.server(url).is_some()
    }

    fn server(&self, url: &Url) -> Option<&Server> {
        let mut servers = self.files.values().flat_map(HostsFile::servers);
        servers.find(|server| server.base.as_ref().is_some_and(|base| same_origin(base, url)))
    }

    fn file(&self, domain: &str) -> Option<&HostsFile> {
        let underscored = domain
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
            .map(|(host, port)| format!("{host}_{port}_"));
        let names = underscored.into_iter().chain([domain.to_owned(), DEFAULT_FOLDER.to_owned()]);
        names.into_iter().find_map(|name| self.files.get(&name))
    }
}

/// What `reference` is called at the mirrors among `endpoints`, by their host and port. A host that no reference can
/// name (no dot, no port) is left out.
pub(super) fn at_mirrors(reference: &Reference, endpoints: &[Arc<Endpoint>]) -> Vec<(String, Reference)> {
    let mirrors = endpoints.iter().filter(|endpoint| !endpoint.trusted);
    let called = |mirror: &Arc<Endpoint>| {
        let host = authority(&mirror.base);
        let called: Reference = format!("{host}/{}", reference.path()).parse().ok()?;
        (called.domain() == host).then_some((host, called))
    };
    mirrors.filter_map(called).collect()
}

/// Host and port of a URL as people write them: the port only if it is not the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether scheme, host and port are the same.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

#[cfg(test)]
mod tests;
