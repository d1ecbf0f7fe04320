//! What the caches are good for, as metrics.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// One lookup of a document.
#[derive(Clone, Copy, Debug)]
pub struct LookedUp {
    /// `memory` or `shared`.
    pub tier: &'static str,
    /// What came of it: `hit`, `miss`, …
    pub outcome: &'static str,
    /// For how long the registry has not been asked, where a document was served that was not asked about now.
    pub age: Option<Duration>,
    /// What was read from another process, in bytes.
    pub bytes: u64,
}

/// What the cache in memory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What callers were told of tags and digests.
    pub claims: u64,
    /// Documents that had to go, since the start.
    pub evictions: u64,
}

const MEMORY: &str = "memory";
const HIT: &str = "hit";

/// The metrics of lookups.
pub(super) struct Lookups {
    outcomes: Family<Labels, Counter>,
    /// Of `outcomes` and `ages`: a review has one for each document, and they need not be found each time.
    hits: Counter,
    hit_ages: Histogram,
    ages: Family<OutcomeLabels, Histogram, fn() -> Histogram>,
    read: Family<TierLabels, Counter>,
    documents: Gauge<u64, AtomicU64>,
    bytes: Gauge<u64, AtomicU64>,
    claims: Gauge<u64, AtomicU64>,
    evictions: Counter,
    evicted: AtomicU64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    tier: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TierLabels {
    tier: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Lookups {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let outcomes = Family::<Labels, Counter>::default();
        let ages = Family::<OutcomeLabels, Histogram, fn() -> Histogram>::new_with_constructor(histogram);
        let hits = outcomes.get_or_create(&Labels { tier: MEMORY, outcome: HIT }).clone();
        let hit_ages = ages.get_or_create(&OutcomeLabels { outcome: HIT }).clone();
        let own = Self {
            outcomes,
            ages,
            hits,
            hit_ages,
            read: Family::default(),
            documents: Gauge::default(),
            bytes: Gauge::default(),
            claims: Gauge::default(),
            evictions: Counter::default(),
            evicted: AtomicU64::default(),
        };
        registry.register(
            "cache_lookups",
            "Lookups of manifests, indexes and configs, by tier and by what came of them",
            own.outcomes.clone(),
        );
        registry.register_with_unit(
            "cache_served_age",
            "For how long the registry had not been asked of what was served, by whether it is fresh or stale",
            Unit::Seconds,
            own.ages.clone(),
        );
        registry.register_with_unit(
            "cache_read",
            "What was read from a cache outside of this process",
            Unit::Bytes,
            own.read.clone(),
        );
        registry.register("cache_documents", "Documents in memory", own.documents.clone());
        registry.register_with_unit("cache_size", "What they take", Unit::Bytes, own.bytes.clone());
        registry.register(
            "cache_claims",
            "What callers were told of tags and digests, in memory",
            own.claims.clone(),
        );
        registry.register(
            "cache_evictions",
            "Documents that had to go because the cache was full",
            own.evictions.clone(),
        );
        own
    }

    pub(super) fn add(&self, looked_up: LookedUp) {
        let LookedUp { tier, outcome, age, bytes } = looked_up;
        if let (MEMORY, HIT, Some(age)) = (tier, outcome, age) {
            self.hits.inc();
            self.hit_ages.observe(age.as_secs_f64());
            return;
        }
        self.outcomes.get_or_create(&Labels { tier, outcome }).inc();
        if bytes > 0 {
            self.read.get_or_create(&TierLabels { tier }).inc_by(bytes);
        }
        if let Some(age) = age {
            self.ages.get_or_create(&OutcomeLabels { outcome }).observe(age.as_secs_f64());
        }
    }

    pub(super) fn keep(&self, kept: Kept) {
        self.documents.set(kept.documents);
        self.bytes.set(kept.bytes);
        self.claims.set(kept.claims);
        let before = self.evicted.swap(kept.evictions, Ordering::Relaxed);
        self.evictions.inc_by(kept.evictions.saturating_sub(before));
    }
}

/// From a second to nine hours.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_shown() {
        let mut registry = Registry::default();
        let lookups = Lookups::register(&mut registry);
        let hit = LookedUp { tier: "memory", outcome: "hit", age: Some(Duration::from_secs(3)), bytes: 0 };
        lookups.add(hit);
        lookups.add(LookedUp { tier: "shared", outcome: "poisoned", age: None, bytes: 700 });
        lookups.keep(Kept { documents: 2, bytes: 4000, claims: 5, evictions: 1 });
        lookups.keep(Kept { documents: 3, bytes: 5000, claims: 6, evictions: 4 });
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        for line in [
            "cache_lookups_total{tier=\"memory\",outcome=\"hit\"} 1",
            "cache_lookups_total{tier=\"shared\",outcome=\"poisoned\"} 1",
            "cache_served_age_seconds_bucket{le=\"4.0\",outcome=\"hit\"} 1",
            "cache_read_bytes_total{tier=\"shared\"} 700",
            "cache_documents 3",
            "cache_size_bytes 5000",
            "cache_claims 6",
            "cache_evictions_total 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }
}
