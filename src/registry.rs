//! The registry edge: resolves references through the distribution protocol, without pulling layers.
//!
//! In go a reference, platforms and credentials, out comes a [`ResolvedImage`] or the reason why
//! there is none. From the outside in: `resolver` walks from a reference to the configs of its
//! platforms, `client` fetches and verifies one document (with `cache` and `flight`), `auth`
//! answers challenges (`challenge`, `token`), `transport` does one exchange within its limits (`answer`
//! reads it, `weather` says whether to ask at all), and `registries`, `hosts`, `address` and `proxy` say
//! where it may go. `error` makes failures readable, `observe` tells what was exchanged.
//!
//! Limits: manifests and configs 4 MiB, token answers and error bodies 64 KiB, indexes nested at
//! most three deep, 32 documents, 5 redirects (3 for tokens), 5 credentials.

mod address;
mod answer;
mod auth;
mod cache;
mod challenge;
mod client;
mod error;
mod hosts;
mod observe;
mod pools;
mod proxy;
mod redirect;
mod registries;
mod resolver;
mod source;
mod token;
mod transport;
mod weather;

pub use observe::{Exchange, Observer, Purpose, RateLimit};
pub use proxy::ProxySettings;

use crate::{
    credential::Access,
    image::{Digest, PlatformFilter, Reference, ResolvedImage, Unresolved},
    review::ResolveImage,
};
use auth::Authorizer;
use cache::Caches;
use client::Client;
use ipnet::IpNet;
use moka::future::Cache;
use registries::Registries;
use resolver::Resolver;
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::Instant;
use transport::Transport;

/// How registries are reached.
#[derive(Clone)]
pub struct Settings {
    /// `--hosts-dir`: a folder with `<host[:port]>/hosts.toml` files in containerd's form.
    pub hosts_dir: Option<PathBuf>,
    /// The text of further `hosts.toml` files by host, for callers that have no folder.
    pub hosts: BTreeMap<String, String>,
    /// `--allow-registry`: patterns of the registries that may be asked; none: every one.
    pub allow_registries: Vec<String>,
    /// `--deny-registry`: patterns of those that may not.
    pub deny_registries: Vec<String>,
    /// `--allow-address`: ranges that are dialled although they are refused by default.
    pub allow_addresses: Vec<IpNet>,
    /// `--refuse-address`: further ranges that are not dialled.
    pub refuse_addresses: Vec<IpNet>,
    /// Where there is no direct way.
    pub proxies: ProxySettings,
    /// Told of every HTTP exchange; must not block.
    pub observer: Option<Observer>,
    /// How long a connection may take to be made, TLS included.
    pub connect_timeout: Duration,
    /// How long a host may send nothing.
    pub idle_timeout: Duration,
    /// How long it is believed what a tag points to.
    pub tag_life: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hosts_dir: None,
            hosts: BTreeMap::new(),
            allow_registries: Vec::new(),
            deny_registries: Vec::new(),
            allow_addresses: Vec::new(),
            refuse_addresses: Vec::new(),
            proxies: ProxySettings::default(),
            observer: None,
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(5),
            tag_life: Duration::from_mins(1),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("hosts_dir", &self.hosts_dir)
            .field("hosts", &self.hosts.keys())
            .field("allow_registries", &self.allow_registries)
            .field("deny_registries", &self.deny_registries)
            .field("allow_addresses", &self.allow_addresses)
            .field("refuse_addresses", &self.refuse_addresses)
            .field("proxies", &self.proxies)
            .field("observed", &self.observer.is_some())
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("tag_life", &self.tag_life)
            .finish()
    }
}

/// Settings that cannot be used; the text names the file and the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// What fuzz targets reach that nobody else needs.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// The challenges in lines of `WWW-Authenticate`, printed.
    #[must_use]
    pub fn challenges(lines: &[&[u8]]) -> Vec<String> {
        let found = super::challenge::parse(lines.iter().copied());
        let _ = super::challenge::best(&found);
        found.iter().map(|challenge| format!("{challenge:?}")).collect()
    }
}

/// Content that is known by its digest.
trait Digested: Send + Sync + Sized + 'static {
    fn digest(&self) -> &Digest;

    /// Its encoded length in bytes.
    fn length(&self) -> usize;

    /// Roughly the memory it takes, in bytes.
    fn weight(&self) -> usize;

    /// Where it is kept.
    fn store(caches: &Caches) -> &Cache<Digest, Arc<Self>>;
}

/// Resolves references; cheap to clone, everything is shared.
#[derive(Clone)]
pub struct Registry {
    resolver: Arc<Resolver>,
}

impl Registry {
    /// Reads the hosts folder and prepares the connections. Nothing is dialled.
    ///
    /// # Errors
    /// [`SettingsError`] when a `hosts.toml`, a certificate that it names or a proxy cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let tag_life = settings.tag_life;
        let registries = Registries::new(settings.allow_registries.clone(), settings.deny_registries.clone());
        let transport = Arc::new(Transport::new(settings)?);
        let authorizer = Arc::new(Authorizer::new(Arc::clone(&transport)));
        let resolver = Resolver::new(registries, transport, Client::new(authorizer, tag_life));
        Ok(Self { resolver: Arc::new(resolver) })
    }

    /// Reads the hosts folder again; whether something has changed. What cannot be used changes nothing. It
    /// reads files, so it belongs on a thread that may wait.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn reload(&self) -> Result<bool, SettingsError> {
        self.resolver.reload()
    }

    /// What the hosts folder says that is not honoured, to be shown at the start.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.resolver.notes()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl ResolveImage for Registry {
    fn at_mirrors(&self, reference: &Reference) -> Vec<(String, Reference)> {
        self.resolver.at_mirrors(reference)
    }

    async fn resolve(
        &self,
        reference: &Reference,
        platforms: &PlatformFilter,
        access: &Access,
        deadline: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        self.resolver.resolve(reference, platforms, access, deadline).await
    }
}
