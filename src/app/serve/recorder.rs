//! What the server and the registry edge tell, as log lines, metrics and Events.

use super::news::Teller;
use crate::{
    registry::{CacheSize, Exchange, Lookup, Registry, SharedLookup},
    server::{Observe, Reviewed},
    telemetry::{self, Exchanged, Kept, LookedUp, Metrics, Outcome, Queue, Sample, log, trace},
};
use axum::http::HeaderMap;
use std::{
    collections::BTreeSet,
    sync::{Mutex, OnceLock, PoisonError},
};
use tracing::Span;

/// Turns what the server tells into log lines and metrics.
#[derive(Debug)]
pub struct Recorder {
    /// The metrics of this process.
    pub metrics: Metrics,
    events: Option<Teller>,
    registry: OnceLock<Registry>,
    lines_dropped: log::Dropped,
    admits: Sample,
    /// What hosts have warned of, each said once.
    warnings: Mutex<BTreeSet<String>>,
}

/// Warnings that are said: whoever writes a Pod can name any host, and a host can say anything.
const MAX_WARNINGS: usize = 100;

impl Recorder {
    /// `version` is shown by the metrics.
    pub fn new(version: &str) -> Self {
        Self {
            metrics: Metrics::new(version),
            events: None,
            registry: OnceLock::new(),
            lines_dropped: log::Dropped::default(),
            admits: Sample::default(),
            warnings: Mutex::default(),
        }
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
        if let Some(warning) = &exchange.warning
            && self.is_new(format!("{} {warning}", exchange.host))
        {
            tracing::warn!(host = exchange.host, url = exchange.url, warning, "a registry warns");
        }
    }

    fn is_new(&self, warning: String) -> bool {
        let mut said = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        said.len() < MAX_WARNINGS && said.insert(warning)
    }

    /// Shows what becomes of spans.
    pub(super) fn tracing(mut self, traces: Option<&trace::Traces>) -> Self {
        if let Some(traces) = traces {
            self.metrics.with_traces(traces);
        }
        self
    }

    pub(super) fn writing(mut self, events: Option<Teller>) -> Self {
        self.events = events;
        self
    }

    /// Logs these of the plain admits, and shows how many lines the log drops.
    pub(super) fn logging(mut self, admits: Sample, dropped: log::Dropped) -> Self {
        (self.admits, self.lines_dropped) = (admits, dropped);
        self
    }
}

impl Observe for Recorder {
    fn begins(&self, span: &Span, headers: &HeaderMap) {
        trace::continue_from(span, headers);
    }

    fn reviewed(&self, reviewed: &Reviewed<'_>) {
        let Reviewed { request, review, answer, mode, reading, elapsed } = *reviewed;
        telemetry::record(
            &self.metrics,
            self.admits,
            &Outcome { request, review, answer, mode, reading, elapsed },
        );
        if let Some(events) = &self.events {
            events.tell(reviewed);
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
        self.metrics.dropped(Queue::Log, self.lines_dropped.total());
        self.metrics.dropped(Queue::Events, self.events.as_ref().map_or(0, |told| told.events.dropped()));
        self.metrics.exposition()
    }
}
