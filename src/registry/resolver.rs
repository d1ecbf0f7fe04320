//! The walk: reference, manifest or index, one manifest for each platform, config.
//!
//! In go a reference and the platforms that are asked for, out comes a [`ResolvedImage`]. Platforms
//! are fetched side by side. Credentials are tried in order, as the kubelet tries them: the next
//! one after a 401 or 403, and no anonymous attempt if there are any.

use super::{
    CacheSize, SettingsError,
    cache::Wanted,
    client::Client,
    error::{deadline as deadline_passed, failure},
    hosts::{Endpoint, Hosts, at_mirrors, authority},
    recent::{Recent, Weigh},
    registries::Registries,
    source::{Fingerprints, Source},
    transport::Transport,
    walk::{Asking, Walk},
};
use crate::{
    credential::{Access, Credentials},
    image::{PlatformFilter, Reference, ResolvedImage, Unresolved, UnresolvedKind},
};
use std::{fmt::Write, sync::Arc};
use tokio::time::{Instant, timeout_at};

/// Most credentials that are tried for one image.
const CREDENTIALS_LIMIT: usize = 5;
/// Memory for where registries are asked, in bytes; whoever writes a Pod can name any.
const PLACES: u64 = 4 << 20;

/// Resolves references.
pub(super) struct Resolver {
    registries: Registries,
    transport: Arc<Transport>,
    client: Client,
    identities: Fingerprints,
    places: Recent<Places>,
}

/// Where a registry is asked, as the settings of hosts had it.
#[derive(Clone)]
struct Places {
    hosts: Arc<Hosts>,
    endpoints: Arc<[Arc<Endpoint>]>,
}

impl Weigh for Places {
    fn weight(&self) -> u64 {
        1000 * self.endpoints.len() as u64
    }
}

impl Resolver {
    pub(super) fn new(registries: Registries, transport: Arc<Transport>, client: Client) -> Self {
        Self {
            registries,
            transport,
            client,
            identities: Fingerprints::default(),
            places: Recent::new(PLACES),
        }
    }

    pub(super) fn cache_size(&self) -> CacheSize {
        self.client.size()
    }

    pub(super) fn keep_documents(&self) {
        self.client.keep_documents();
    }

    pub(super) fn reload(&self) -> Result<bool, SettingsError> {
        self.transport.reload()
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.transport.hosts().notes()
    }

    pub(super) fn at_mirrors(&self, reference: &Reference) -> Vec<(String, Reference)> {
        self.endpoints(reference).map_or_else(|_| Vec::new(), |places| at_mirrors(reference, &places))
    }

    /// Where `reference` is asked, in order. Remembered, for every Pod of every image needs it.
    fn endpoints(&self, reference: &Reference) -> Result<Arc<[Arc<Endpoint>]>, String> {
        let (domain, by_digest) = (reference.domain(), reference.digest().is_some());
        let (key, hosts) = (self.identities.of((domain, by_digest)), self.transport.hosts());
        if let Some(known) = self.places.get(key).filter(|known| Arc::ptr_eq(&known.hosts, &hosts)) {
            return Ok(known.endpoints);
        }
        let endpoints: Arc<[_]> = hosts.endpoints(domain, by_digest)?.into();
        self.places.insert(key, Places { hosts, endpoints: Arc::clone(&endpoints) });
        Ok(endpoints)
    }

    pub(super) async fn resolve(
        &self,
        reference: &Reference,
        platforms: &PlatformFilter,
        access: &Access,
        deadline: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let domain = reference.domain();
        self.registries
            .check(reference)
            .map_err(|why| failure(UnresolvedKind::RegistryRefused, domain, why))?;
        let endpoints =
            self.endpoints(reference).map_err(|why| failure(UnresolvedKind::Misconfigured, domain, why))?;
        let mut of_mirrors = String::new();
        for (nth, endpoint) in endpoints.iter().enumerate() {
            let is_last = nth + 1 == endpoints.len();
            // A mirror that is slow must leave time for what comes after it.
            let left = deadline.saturating_duration_since(Instant::now());
            let until = if is_last { deadline } else { deadline - left / 2 };
            let tries = self.tries(reference, platforms, credentials(access, endpoint), endpoint, until);
            let result = timeout_at(until, tries).await;
            match result.unwrap_or_else(|_| Err(deadline_passed(&authority(&endpoint.base)))) {
                Err(failed) if !is_last => {
                    let _ = write!(of_mirrors, " (before, a mirror: {})", failed.detail);
                }
                Err(failed) => {
                    let failed = Unresolved { detail: failed.detail + &of_mirrors, ..failed };
                    return self.stale(reference, platforms, access, &endpoints, failed).await;
                }
                Ok(image) => return Ok(image),
            }
        }
        // There is always the registry itself.
        Err(failure(UnresolvedKind::Misconfigured, domain, "there is no host to ask"))
    }

    /// What was known of the image before the registry was out of reach, if that may be used; else the failure.
    async fn stale(
        &self,
        reference: &Reference,
        platforms: &PlatformFilter,
        access: &Access,
        endpoints: &[Arc<Endpoint>],
        failed: Unresolved,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        if !failed.kind.is_outage() || !self.client.allows_stale() {
            return Err(failed);
        }
        let (wanted, failed) = (wanted(reference), Arc::new(failed));
        for endpoint in endpoints {
            for source in self.sources(reference, credentials(access, endpoint), endpoint) {
                let asking = Asking::Nobody(Arc::clone(&failed));
                let walk = Walk { client: &self.client, source, platforms, asking };
                if let Ok(image) = walk.resolve(reference, &wanted).await {
                    return Ok(Arc::new(image));
                }
            }
        }
        Err(Arc::unwrap_or_clone(failed))
    }

    /// The repository as each of the credentials sees it; without any, anonymously.
    fn sources(
        &self,
        reference: &Reference,
        credentials: &[Credentials],
        endpoint: &Arc<Endpoint>,
    ) -> Vec<Source> {
        let mut tries: Vec<_> = credentials.iter().take(CREDENTIALS_LIMIT).map(Some).collect();
        if tries.is_empty() {
            tries.push(None);
        }
        let source =
            |credentials| Source::new(Arc::clone(endpoint), reference, credentials, &self.identities);
        tries.into_iter().map(source).collect()
    }

    async fn tries(
        &self,
        reference: &Reference,
        platforms: &PlatformFilter,
        credentials: &[Credentials],
        endpoint: &Arc<Endpoint>,
        deadline: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let wanted = wanted(reference);
        let mut sources = self.sources(reference, credentials, endpoint);
        // Those that were seen to read the image a moment ago need no other to fail first.
        if sources.len() > 1
            && let Some(at) = sources.iter().position(|source| self.client.knows(source, &wanted))
        {
            sources[..=at].rotate_right(1);
        }
        let (count, mut denied) = (sources.len(), None);
        for source in sources {
            let walk = Walk { client: &self.client, source, platforms, asking: Asking::Registry(deadline) };
            match walk.resolve(reference, &wanted).await {
                Err(failed) if failed.kind == UnresolvedKind::Denied => denied = Some(failed),
                result => return result.map(Arc::new),
            }
        }
        let mut denied = denied.expect("there is at least one try, and each that did not return was denied");
        if count > 1 {
            let _ = write!(denied.detail, " ({count} sets of credentials were tried)");
        }
        Err(denied)
    }
}

/// The credentials for one place: a mirror never sees the registry's.
fn credentials<'a>(access: &'a Access, endpoint: &Endpoint) -> &'a [Credentials] {
    if endpoint.trusted {
        return &access.registry;
    }
    access.mirrors.get(&authority(&endpoint.base)).map_or(&[], Vec::as_slice)
}

/// What a reference points at: its digest, else its tag.
fn wanted(reference: &Reference) -> Wanted {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => Wanted::Digest(digest.clone()),
        (None, tag) => Wanted::Tag(tag.unwrap_or("latest").to_owned()),
    }
}
