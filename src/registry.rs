//! The registry edge: resolves references through the distribution protocol, without pulling layers.
//!
//! In go a reference, platforms and credentials, out comes a [`ResolvedImage`] or the reason why
//! there is none. From the outside in: `resolver` walks from a reference to the configs of its
//! platforms (`walk`: in one repository), `client` gives one document (from `cache`, or from a flight), `fetch`
//! gets and verifies it (from the `shared` cache, or the registry), `auth`
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
mod content;
mod error;
mod fetch;
mod hosts;
mod observe;
mod pools;
mod proxy;
mod recent;
mod redirect;
mod registries;
mod resolver;
mod shared;
mod source;
mod token;
mod transport;
mod walk;
mod weather;

pub use cache::CacheSize;
pub use observe::{Exchange, Lookup, LookupObserver, Observer, Purpose, RateLimit, SharedLookup};
pub use proxy::ProxySettings;
pub use shared::SharedSettings;

use crate::{
    credential::Access,
    image::{PlatformFilter, Reference, ResolvedImage, Unresolved},
    review::ResolveImage,
};
use auth::Authorizer;
use cache::{Bounds, Caches};
use client::Client;
use fetch::Fetch;
use ipnet::IpNet;
use registries::Registries;
use resolver::Resolver;
use shared::Shared;
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
    /// How long it is believed what a tag points to; as long again it is used while it is asked about.
    pub tag_life: Duration,
    /// How long an answer may be used while the registry is out of reach; zero: never.
    pub stale_limit: Duration,
    /// Memory for what is known of images, in bytes.
    pub cache_bytes: u64,
    /// Whether images are kept with their whole config, from the start; see [`ResolveImage::keep_documents`].
    pub keep_documents: bool,
    /// The cache that replicas share; none: each has its own.
    pub shared_cache: Option<SharedSettings>,
    /// Told of every lookup in the caches; must not block.
    pub lookup_observer: Option<LookupObserver>,
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
            stale_limit: Duration::ZERO,
            cache_bytes: 64 * 1024 * 1024,
            keep_documents: true,
            shared_cache: None,
            lookup_observer: None,
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
            .field("stale_limit", &self.stale_limit)
            .field("cache_bytes", &self.cache_bytes)
            .field("keep_documents", &self.keep_documents)
            .field("shared_cache", &self.shared_cache)
            .field("lookups_observed", &self.lookup_observer.is_some())
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
    pub fn new(mut settings: Settings) -> Result<Self, SettingsError> {
        let Settings { tag_life, stale_limit, cache_bytes: bytes, keep_documents: documents, .. } = settings;
        let bounds = Bounds { bytes, tag_life, stale_limit, documents };
        let caches = Caches::new(bounds, settings.lookup_observer.take());
        let shared = settings.shared_cache.as_ref().map(Shared::new).transpose()?;
        let registries = Registries::new(settings.allow_registries.clone(), settings.deny_registries.clone());
        let transport = Arc::new(Transport::new(settings)?);
        let authorizer = Arc::new(Authorizer::new(Arc::clone(&transport)));
        let client = Client::new(Fetch { authorizer, caches, shared });
        let resolver = Resolver::new(registries, transport, client);
        Ok(Self { resolver: Arc::new(resolver) })
    }

    /// How much is kept in memory now.
    #[must_use]
    pub fn cache_size(&self) -> CacheSize {
        self.resolver.cache_size()
    }

    /// Reads the hosts folder again; whether something has changed. What cannot be used changes nothing. It
    /// reads files, so it belongs on a thread that may wait.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn reload(&self) -> Result<bool, SettingsError> {
        self.resolver.reload()
    }

    /// What the hosts folder says that is not honoured, or unsafe, to be shown at the start.
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

    fn keep_documents(&self) {
        self.resolver.keep_documents();
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
