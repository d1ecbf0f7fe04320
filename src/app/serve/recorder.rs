//! What the server and the registry edge tell, as log lines, metrics and Events.

use crate::{
    admission::Mode,
    cluster::events::{BrokenGlass, Events},
    policy::Enforcement,
    registry::{CacheSize, Exchange, Lookup, Registry, SharedLookup},
    server::{Observe, Reviewed},
    telemetry::{self, Exchanged, Kept, LookedUp, Metrics, Outcome},
};
use std::sync::OnceLock;

/// Turns what the server tells into log lines and metrics.
#[derive(Debug)]
pub struct Recorder {
    /// The metrics of this process.
    pub metrics: Metrics,
    events: Option<Events>,
    registry: OnceLock<Registry>,
}

impl Recorder {
    /// `version` is shown by the metrics.
    pub fn new(version: &str) -> Self {
        Self { metrics: Metrics::new(version), events: None, registry: OnceLock::new() }
    }

    /// Shows what this registry edge keeps; the first that is given.
    pub(super) fn watch(&self, registry: Registry) {
        let _ = self.registry.set(registry);
    }

    pub(super) fn looked_up(&self, lookup: Lookup) {
        let memory = |outcome, age| LookedUp { tier: "memory", outcome, age, bytes: 0 };
        self.metrics.looked_up(match lookup {
            Lookup::Memory { age } => memory("hit", Some(age)),
            Lookup::Missed => memory("miss", None),
            Lookup::Joined => memory("joined", None),
            Lookup::Failure => memory("failure", None),
            Lookup::Revalidated => memory("revalidated", None),
            Lookup::Stale { age } => memory("stale", Some(age)),
            Lookup::Shared { outcome, bytes } => {
                if outcome == SharedLookup::Poisoned {
                    tracing::error!(
                        "a document in the shared cache does not have its digest: it was not used; find out who else writes there"
                    );
                }
                LookedUp { tier: "shared", outcome: outcome.as_str(), age: None, bytes }
            }
        });
    }

    pub(super) fn exchanged(&self, exchange: &Exchange) {
        self.metrics.exchanged(&Exchanged {
            purpose: exchange.purpose.as_str(),
            method: exchange.method,
            status: exchange.status,
            bytes: exchange.bytes,
            elapsed: exchange.elapsed,
            host: &exchange.host,
            rate_limit: exchange.rate_limit.map(|limit| (limit.limit, limit.remaining)),
        });
    }

    pub(super) fn writing(mut self, events: Option<Events>) -> Self {
        self.events = events;
        self
    }
}

/// What an Event says of a request for which the glass was broken; none for others, and for dry runs.
fn broken_glass(reviewed: &Reviewed<'_>) -> Option<BrokenGlass> {
    let Reviewed { request, review, .. } = *reviewed;
    if reviewed.mode != Mode::BreakGlass || request.dry_run {
        return None;
    }
    let denials = review.into_iter().flat_map(|review| review.verdict.with(Enforcement::Deny));
    Some(BrokenGlass {
        namespace: request.namespace.clone()?,
        name: request.name.clone(),
        user: request.user.clone(),
        findings: denials.map(|finding| finding.message.clone()).collect(),
    })
}

impl Observe for Recorder {
    fn reviewed(&self, reviewed: &Reviewed<'_>) {
        let Reviewed { request, review, answer, mode, elapsed } = *reviewed;
        telemetry::record(&self.metrics, &Outcome { request, review, answer, mode, elapsed });
        if let (Some(events), Some(glass)) = (&self.events, broken_glass(reviewed)) {
            events.broken_glass(glass);
        }
    }

    fn refused(&self, status: u16) {
        self.metrics.refused(status);
    }

    fn in_flight(&self, change: i64) {
        self.metrics.in_flight(change);
    }

    fn certificate(&self, expires: jiff::Timestamp, renewed: bool) {
        self.metrics.certificate(expires, renewed);
    }

    fn exposition(&self) -> String {
        if let Some(registry) = self.registry.get() {
            let CacheSize { documents, bytes, claims, evictions } = registry.cache_size();
            self.metrics.kept(Kept { documents, bytes, claims, evictions });
        }
        self.metrics.exposition()
    }
}
