//! Documents for one caller: from the cache, from a flight under way, or fetched.
//!
//! In go a [`Source`] and what is wanted of it, out comes content and where it came from.

use super::{
    Lookup,
    cache::{CacheSize, Caches, Claim, Standing, Wanted},
    content::Content,
    error::{deadline as deadline_passed, failure},
    fetch::{Fetch, Found},
    source::Source,
};
use crate::{
    flight::Flights,
    image::{Freshness, Unresolved, UnresolvedKind},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// What a fetch may take at least, even if its first asker has less time: others may join it.
const FLIGHT_LIFE: Duration = Duration::from_secs(10);

/// The documents of registries.
pub(super) struct Client {
    fetch: Arc<Fetch>,
    flights: Flights<u128, Found>,
}

impl Client {
    pub(super) fn new(fetch: Fetch) -> Self {
        Self { fetch: Arc::new(fetch), flights: Flights::default() }
    }

    pub(super) fn size(&self) -> CacheSize {
        self.fetch.caches.size()
    }

    /// From now on, images are kept with their whole config.
    pub(super) fn keep_documents(&self) {
        self.caches().keep_documents();
    }

    fn caches(&self) -> &Caches {
        &self.fetch.caches
    }

    /// Whether `source` can be told of `wanted` without asking the registry.
    pub(super) fn knows(&self, source: &Source, wanted: &Wanted) -> bool {
        let Some(claim) = self.caches().claim(source, wanted) else { return false };
        self.caches().standing(&claim, wanted) != Standing::Old
            && self.caches().content(&claim.digest, wanted).is_some()
    }

    /// What is `wanted`, asked for where it is not known.
    pub(super) async fn content(&self, source: &Source, wanted: &Wanted, deadline: Instant) -> Found {
        let claim = self.caches().claim(source, wanted);
        if let Some(claim) = &claim
            && let Some(content) = self.caches().content(&claim.digest, wanted)
        {
            let (standing, age) = (self.caches().standing(claim, wanted), claim.age());
            if standing == Standing::Aging {
                self.refresh(source, wanted, claim).await;
            }
            if standing != Standing::Old {
                self.caches().tell(Lookup::Memory { age });
                return Ok((content, Freshness::Cached { age }));
            }
        }
        let key = self.caches().flight(source, wanted);
        if let Some(failure) = self.caches().failure(key).await {
            self.caches().tell(Lookup::Failure);
            return Err(failure);
        }
        let flight = self.flights.join(&key, || self.flight(key, source, wanted, claim, Some(deadline)));
        let host = source.host();
        match timeout_at(deadline, flight).await {
            Err(_) => Err(deadline_passed(&host)),
            Ok(Some(landed)) => {
                self.caches().tell(if landed.joined { Lookup::Joined } else { Lookup::Missed });
                landed.value
            }
            Ok(None) => Err(failure(UnresolvedKind::ServerError, &host, "fetching ended unexpectedly")),
        }
    }

    /// Asks in the background whether a claim still holds, unless it has just failed.
    async fn refresh(&self, source: &Source, wanted: &Wanted, claim: &Claim) {
        let key = self.caches().flight(source, wanted);
        if self.caches().failure(key).await.is_none() {
            self.flights.launch(&key, || self.flight(key, source, wanted, Some(claim.clone()), None));
        }
    }

    /// `deadline`: none where nobody waits, and a claim is asked about although it may be believed.
    fn flight(
        &self,
        key: u128,
        source: &Source,
        wanted: &Wanted,
        claim: Option<Claim>,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Found> + Send + use<> {
        let least = Instant::now() + FLIGHT_LIFE;
        let until = deadline.map_or(least, |deadline| deadline.max(least));
        let is_believed = deadline.is_some()
            && claim.as_ref().is_some_and(|claim| self.caches().standing(claim, wanted) != Standing::Old);
        let (fetch, source, wanted) = (Arc::clone(&self.fetch), source.clone(), wanted.clone());
        async move {
            let found = fetch.obtain(&source, &wanted, claim, is_believed, until).await;
            if let Err(failure) = &found {
                fetch.caches.keep_failure(key, failure).await;
                if matches!(failure.kind, UnresolvedKind::Denied | UnresolvedKind::NotFound) {
                    fetch.caches.revoke(&source, &wanted);
                }
            }
            found
        }
    }

    /// What `source` was told of `wanted` before, now that nobody can be asked about it because of `failure`.
    pub(super) async fn stale(
        &self,
        source: &Source,
        wanted: &Wanted,
        failure: &Arc<Unresolved>,
    ) -> Option<(Arc<Content>, Freshness)> {
        let claim = self.caches().claim(source, wanted)?;
        if !self.caches().may_be_stale(&claim) {
            return None;
        }
        let content = self.fetch.known(source, &claim.digest, wanted, true).await?;
        let age = claim.age();
        self.caches().tell(Lookup::Stale { age });
        Some((content, Freshness::Stale { age, failure: Arc::clone(failure) }))
    }

    /// Whether there is anything to be had from [`Self::stale`] at all.
    pub(super) fn allows_stale(&self) -> bool {
        self.caches().allows_stale()
    }
}
