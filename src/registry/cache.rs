//! What was learned, and who may be told: the tier in this process's memory.
//!
//! Content is kept by its digest, for a digest's content never changes. It is given only to a caller who has a
//! *claim* to it: the registry told this credential identity, for this repository, what a tag points to or that a
//! digest is there. Otherwise one tenant could learn of another's images. A claim is believed for a while, then used
//! once more while it is asked about in the background, then asked about before it is used; and when nobody can be
//! asked, the last one may be better than none ([`Claim::standing`]). Failures are kept for seconds.
//!
//! Everything is bounded, in bytes, by one number.

use super::{
    Lookup, LookupObserver, RateLimit,
    content::{Child, Content},
    recent::{Amount, Recent, Weigh},
    source::{Fingerprints, Source},
};
use crate::image::{Digest, Unresolved, UnresolvedKind, memory};
use moka::{Expiry, future::Cache};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{self, Duration},
};
use tokio::time::Instant;

/// How long the right to read a digest is taken to last, and as long again while it is asked about.
const ACCESS_LIFE: Duration = Duration::from_secs(150);
/// The same for a manifest below an index. That it is there cannot change; whether its repository may be read is
/// asked with the index.
const CHILD_LIFE: Duration = Duration::from_hours(1);
/// How much longer it is believed what a tag points to, where few requests are left.
const SPARING: u32 = 10;
/// What a failure takes, its place in the cache included, in bytes.
const FAILURE: u32 = 500;

/// What is looked up: in a source's repository.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Tag(String),
    Digest(Digest),
    /// An index's entry, whose size is known.
    Child(Child),
}

/// What the registry told one caller of one tag or digest.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) digest: Digest,
    told: Instant,
    /// How many times longer than usual it is believed.
    patience: u32,
}

/// How far a claim may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As it is.
    Fresh,
    /// Once more, while it is asked about.
    Aging,
    /// Only after it was asked about.
    Old,
}

/// How much is kept, in one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheSize {
    /// Documents: images, each with its config, and indexes.
    pub documents: u64,
    /// What they take in memory, in bytes.
    pub bytes: u64,
    /// What callers were told of tags and digests.
    pub claims: u64,
    /// Documents that had to go because there was no room, since the start.
    pub evictions: u64,
}

/// The caches of a [`Registry`](super::Registry).
pub(super) struct Caches {
    content: Recent<Arc<Content>>,
    claims: Recent<Claim>,
    /// Where somebody has read something: see [`Self::was_read`].
    traces: Recent<Trace>,
    failures: Cache<u128, Unresolved>,
    fingerprints: Fingerprints,
    tag_life: Duration,
    stale_limit: Duration,
    /// Whether images are kept with their whole config.
    documents: AtomicBool,
    observer: Option<LookupObserver>,
}

/// What [`Caches`] are made with; see the settings of the same names.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: u64,
    pub(super) tag_life: Duration,
    pub(super) stale_limit: Duration,
    pub(super) documents: bool,
}

impl Wanted {
    pub(super) fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) => Some(digest),
            Self::Child(child) => Some(&child.digest),
        }
    }

    /// The size that a descriptor gives it, in bytes.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Child(child) => Some(child.size),
            Self::Tag(_) | Self::Digest(_) => None,
        }
    }

    /// Whether content is what is wanted. A descriptor whose size does not fit must fail as it does when nothing is
    /// cached.
    fn fits(&self, content: &Content) -> bool {
        self.size().is_none_or(|size| size == content.length)
    }
}

impl Claim {
    /// For how long the registry has not been asked.
    pub(super) fn age(&self) -> Duration {
        self.told.elapsed()
    }
}

impl Caches {
    pub(super) fn new(bounds: Bounds, observer: Option<LookupObserver>) -> Self {
        let Bounds { bytes, tag_life, stale_limit, documents } = bounds;
        // An image has two claims for each who reads it, and few fail.
        let (claims, traces, failures) = (bytes / 4, bytes / 32, bytes / 32);
        let failed = Cache::builder().max_capacity(failures).weigher(|_, _| FAILURE).expire_after(ByKind);
        Self {
            content: Recent::new(bytes - claims - traces - failures),
            claims: Recent::new(claims),
            traces: Recent::new(traces),
            failures: failed.build(),
            fingerprints: Fingerprints::default(),
            tag_life,
            stale_limit,
            documents: AtomicBool::new(documents),
            observer,
        }
    }

    /// How much is kept.
    pub(super) fn size(&self) -> CacheSize {
        let Amount { entries: documents, bytes, evicted: evictions } = self.content.amount();
        CacheSize { documents, bytes, claims: self.claims.amount().entries, evictions }
    }

    /// From now on, images are kept with their whole config; one that was kept without it is not known any more.
    pub(super) fn keep_documents(&self) {
        // Hardly ever does this change anything: a write would take the line from all other processors.
        if !self.keeps_documents() {
            self.documents.store(true, Ordering::Relaxed);
        }
    }

    /// Whether images are kept with their whole config.
    pub(super) fn keeps_documents(&self) -> bool {
        self.documents.load(Ordering::Relaxed)
    }

    /// Tells of a lookup.
    pub(super) fn tell(&self, lookup: Lookup) {
        if let Some(observer) = &self.observer {
            observer(lookup);
        }
    }

    /// Under which a flight for `wanted` is known. A mirror's is not the registry's, the same digest with another
    /// declared size is another one, and so is one that brings the whole config.
    pub(super) fn flight(&self, source: &Source, wanted: &Wanted) -> u128 {
        let documents = self.keeps_documents();
        self.fingerprints.of((self.key(source, wanted), &source.endpoint.base, wanted.size(), documents))
    }

    /// Under which a claim is known: these credentials, for this repository.
    fn key(&self, source: &Source, wanted: &Wanted) -> u128 {
        let Source { identity, domain, path, .. } = source;
        match wanted {
            Wanted::Tag(tag) => self.fingerprints.of((identity, domain, path, "tag", tag)),
            Wanted::Digest(digest) | Wanted::Child(Child { digest, .. }) => {
                self.fingerprints.of((identity, domain, path, "digest", digest))
            }
        }
    }

    /// Under which it is known that somebody has read a digest in a repository.
    fn trace(&self, source: &Source, digest: &Digest) -> u128 {
        self.fingerprints.of((&source.domain, &source.path, "read", digest))
    }

    /// Whether somebody has read a digest in the repository of `source`.
    pub(super) fn was_read(&self, source: &Source, digest: &Digest) -> bool {
        self.traces.get(self.trace(source, digest)).is_some()
    }

    /// What `source` was told of `wanted`, however long ago.
    pub(super) fn claim(&self, source: &Source, wanted: &Wanted) -> Option<Claim> {
        self.claims.get(self.key(source, wanted))
    }

    /// How far a claim to `wanted` may be believed.
    pub(super) fn standing(&self, claim: &Claim, wanted: &Wanted) -> Standing {
        let life = match wanted {
            Wanted::Tag(_) => self.tag_life * claim.patience,
            Wanted::Digest(_) => ACCESS_LIFE,
            Wanted::Child(_) => CHILD_LIFE,
        };
        match claim.age() {
            age if age < life => Standing::Fresh,
            age if age < 2 * life => Standing::Aging,
            _ => Standing::Old,
        }
    }

    /// Whether a claim may be used although nobody can be asked about it.
    pub(super) fn may_be_stale(&self, claim: &Claim) -> bool {
        claim.age() < self.stale_limit
    }

    /// Whether any claim may.
    pub(super) fn allows_stale(&self) -> bool {
        !self.stale_limit.is_zero()
    }

    /// What is known of a digest. Only for a caller who has a claim, or to spare one who is asking for it.
    pub(super) fn content(&self, digest: &Digest, wanted: &Wanted) -> Option<Arc<Content>> {
        let found = self.content.get(self.fingerprints.of(digest))?;
        (found.digest == *digest && wanted.fits(&found) && (found.is_whole() || !self.keeps_documents()))
            .then_some(found)
    }

    /// Keeps content.
    pub(super) fn keep(&self, content: &Arc<Content>) {
        self.content.insert(self.fingerprints.of(&content.digest), Arc::clone(content));
    }

    /// Notes that the registry has just told `source` that `wanted` is `digest`. `left`: what is left of its limit on
    /// requests.
    pub(super) fn note(&self, source: &Source, wanted: &Wanted, digest: &Digest, left: Option<RateLimit>) {
        let patience = if left.is_some_and(RateLimit::is_scarce) { SPARING } else { 1 };
        let claim = Claim { digest: digest.clone(), told: Instant::now(), patience };
        if let Wanted::Tag(_) = wanted {
            let digest = Wanted::Digest(digest.clone());
            self.claims.insert(self.key(source, &digest), claim.clone());
        }
        self.traces.insert(self.trace(source, digest), Trace);
        self.claims.insert(self.key(source, wanted), claim);
    }

    /// Takes a claim back: the registry says that it does not hold.
    pub(super) fn revoke(&self, source: &Source, wanted: &Wanted) {
        self.claims.remove(self.key(source, wanted));
    }

    /// A failure that is too fresh to ask again.
    pub(super) async fn failure(&self, flight: u128) -> Option<Unresolved> {
        self.failures.get(&flight).await
    }

    /// Keeps a failure for a moment.
    pub(super) async fn keep_failure(&self, flight: u128, failure: &Unresolved) {
        if !life(failure).is_zero() {
            self.failures.insert(flight, failure.clone()).await;
        }
    }
}

/// That somebody has read something somewhere.
#[derive(Clone, Copy, Debug)]
struct Trace;

impl Weigh for Trace {
    fn weight(&self) -> u64 {
        0
    }
}

impl Weigh for Claim {
    fn weight(&self) -> u64 {
        // Content has the same digest, but may be gone.
        memory::text(self.digest.hex()) as u64
    }
}

impl Weigh for Arc<Content> {
    fn weight(&self) -> u64 {
        self.memory() as u64
    }
}

/// How long a failure is told again without asking.
fn life(failure: &Unresolved) -> Duration {
    use UnresolvedKind as Kind;
    let seconds = match failure.kind {
        // A lack of time is the asker's own.
        Kind::Timeout => 0,
        // Never longer than the registry itself says, of whose time begun seconds may be over already. Nobody asks it
        // before that either way.
        Kind::RateLimited { retry_after_seconds } => {
            retry_after_seconds.map_or(5, |seconds| seconds.saturating_sub(1)).min(10)
        }
        // Somebody mends these at this moment, and waits: an image is pushed, a secret written, a setting changed.
        Kind::NotFound | Kind::Denied | Kind::Unreachable | Kind::Tls | Kind::ServerError => 3,
        Kind::Misconfigured | Kind::AddressRefused | Kind::RegistryRefused | Kind::InvalidReference => 1,
        // Content stays as it is until somebody pushes other.
        Kind::DigestMismatch
        | Kind::TooLarge
        | Kind::UnsupportedSchema1
        | Kind::NotAnImage
        | Kind::NoMatchingPlatform
        | Kind::Ambiguous
        | Kind::InvalidConfig
        | Kind::InvalidManifest => 10,
    };
    Duration::from_secs(seconds.into())
}

/// Each failure for as long as its kind lasts.
struct ByKind;

impl Expiry<u128, Unresolved> for ByKind {
    fn expire_after_create(&self, _: &u128, failure: &Unresolved, _: time::Instant) -> Option<Duration> {
        Some(life(failure))
    }

    fn expire_after_update(
        &self,
        _: &u128,
        failure: &Unresolved,
        _: time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(life(failure))
    }
}

#[cfg(test)]
mod tests;
