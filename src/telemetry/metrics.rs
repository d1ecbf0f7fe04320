//! The metrics, in the OpenMetrics format. Base units; every label is a closed set or capped.

use super::{
    exchanges::{Exchanged, Exchanges},
    lookups::{Kept, LookedUp, Lookups},
    process,
    scans::{Scanned, Scans},
    trace::Traces,
};
use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{
        counter::Counter, exemplar::HistogramWithExemplars, family::Family, gauge::Gauge,
        histogram::exponential_buckets, info::Info,
    },
    registry::{Registry, Unit},
};
use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Different findings that are counted by name; beyond that they are counted together. Names come
/// from the policies' authors, so this is a bound on accidents.
const MAX_FINDINGS: usize = 1000;
/// The commit that this was built from, where the builder says it (the Dockerfile does).
const REVISION: Option<&str> = option_env!("HULLMARK_REVISION");
/// Queues from which things are dropped rather than admission made to wait.
const QUEUES: [Queue; 2] = [Queue::Log, Queue::Events];

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
    durations: Family<StageLabels, Durations, fn() -> Durations>,
    /// Of `durations`, in the order of [`Stage`]: each review has them all.
    stages: [Durations; 4],
    findings: Family<FindingLabels, Counter>,
    names_of_findings: AtomicUsize,
    resolved: Family<ResolvedLabels, Counter>,
    unresolved: Family<UnresolvedLabels, Counter>,
    in_flight: Gauge,
    dropped: Family<QueueLabels, Counter>,
    policies: Gauge,
    policies_refused: Gauge,
    exceptions: Family<ExceptionLabels, Gauge>,
    generation: Gauge,
    reload_success: Gauge,
    certificate_expires: Gauge,
    certificate_success: Gauge,
    exchanges: Exchanges,
    lookups: Lookups,
    scans: Scans,
}

/// What tells reviews apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReviewLabels {
    pub(super) verdict: &'static str,
    pub(super) would_be: &'static str,
    pub(super) mode: &'static str,
    pub(super) operation: &'static str,
    pub(super) code: u16,
    pub(super) if_enforced: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

/// Times, each bucket with the trace of the last that fell into it, if there are traces.
type Durations = HistogramWithExemplars<TraceLabels>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabels {
    trace_id: String,
}

/// What tells findings apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FindingLabels {
    pub(super) policy: String,
    pub(super) rule: String,
    pub(super) kind: &'static str,
    pub(super) action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResolvedLabels {
    from: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnresolvedLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExceptionLabels {
    state: &'static str,
}

/// The parts of a review's time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Total,
    Reading,
    Resolving,
    Judging,
}

/// A queue of what is written by the side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Log lines.
    Log,
    /// Kubernetes Events.
    Events,
}

impl Queue {
    fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Events => "events",
        }
    }
}

impl Metrics {
    /// `version` of the program goes into `hullmark_build_info`.
    pub fn new(version: &str) -> Self {
        let mut registry = Registry::with_prefix("hullmark");
        let exchanges = Exchanges::register(&mut registry);
        let lookups = Lookups::register(&mut registry);
        let scans = Scans::register(&mut registry);
        let durations = Family::<StageLabels, Durations, fn() -> Durations>::new_with_constructor(histogram);
        let mut metrics = Self {
            registry,
            reviews: Family::default(),
            refused: Family::default(),
            stages: ["total", "reading", "resolving", "judging"]
                .map(|stage| durations.get_or_create(&StageLabels { stage }).clone()),
            durations,
            findings: Family::default(),
            names_of_findings: AtomicUsize::new(0),
            resolved: Family::default(),
            unresolved: Family::default(),
            in_flight: Gauge::default(),
            dropped: Family::default(),
            policies: Gauge::default(),
            policies_refused: Gauge::default(),
            exceptions: Family::default(),
            generation: Gauge::default(),
            reload_success: Gauge::default(),
            certificate_expires: Gauge::default(),
            certificate_success: Gauge::default(),
            exchanges,
            lookups,
            scans,
        };
        metrics.register_all(version);
        // From the start, so that the first drop is an increase.
        for queue in QUEUES {
            metrics.dropped(queue, 0);
        }
        metrics
    }

    fn register_all(&mut self, version: &str) {
        let registry = &mut self.registry;
        let build = [("version", version), ("revision", REVISION.unwrap_or("unknown"))];
        let build = build.map(|(name, value)| (name, value.to_owned()));
        registry.register("build", "The program", Info::new(Vec::from(build)));
        registry.register("reviews", "Answered AdmissionReviews", self.reviews.clone());
        registry.register(
            "requests_refused",
            "Requests that were not judged, by HTTP status: the API server applies failurePolicy",
            self.refused.clone(),
        );
        registry.register("requests_in_flight", "Requests that are being answered", self.in_flight.clone());
        registry.register_with_unit(
            "review_duration",
            "Time of a review, whole and by stage",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("findings", "What policies found", self.findings.clone());
        registry.register(
            "images_resolved",
            "Uses of images that were looked at, by where the answer came from",
            self.resolved.clone(),
        );
        registry.register(
            "images_unresolved",
            "Uses of images that could not be looked at, by kind of failure",
            self.unresolved.clone(),
        );
        registry.register(
            "queue_dropped",
            "What was not written because its queue was full: log lines, Events",
            self.dropped.clone(),
        );
        registry.register("policies_loaded", "Policies in force", self.policies.clone());
        registry.register(
            "policies_refused",
            "Policies and exceptions that are not in force because they do not compile",
            self.policies_refused.clone(),
        );
        registry.register(
            "exceptions",
            "Exceptions, in force and ended, as this replica knows them",
            self.exceptions.clone(),
        );
        registry.register(
            "policies_generation",
            "Counts the sets that were in force",
            self.generation.clone(),
        );
        registry.register(
            "policies_last_reload_success",
            "1: the policies in force are those in the files; 0: the files are broken",
            self.reload_success.clone(),
        );
        registry.register_with_unit(
            "tls_certificate_expiry_timestamp",
            "When the certificate in use ends",
            Unit::Seconds,
            self.certificate_expires.clone(),
        );
        registry.register(
            "tls_certificate_last_renewal_success",
            "1: the certificate in use is the newest there is; 0: it cannot be replaced",
            self.certificate_success.clone(),
        );
    }

    /// Shows what becomes of spans, too.
    pub fn with_traces(&mut self, traces: &Traces) {
        traces.show_in(&mut self.registry);
    }

    /// All metrics as OpenMetrics text.
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        let written = encode_registry(&mut text, &self.registry)
            .and_then(|()| process::encode(&mut text))
            .and_then(|()| encode_eof(&mut text));
        // Writing to a string cannot fail; an empty exposition would be seen as a failed scrape.
        written.map_or_else(|_| String::new(), |()| text)
    }

    /// A request was answered with an HTTP status that says that nothing was judged.
    pub fn refused(&self, status: u16) {
        self.refused.get_or_create(&RefusedLabels { status }).inc();
    }

    /// One request more (1) or less (-1) in flight.
    pub fn in_flight(&self, change: i64) {
        self.in_flight.inc_by(change);
    }

    /// How many were dropped from a queue since the start.
    pub fn dropped(&self, queue: Queue, total: u64) {
        let counter = self.dropped.get_or_create(&QueueLabels { queue: queue.as_str() });
        counter.inner().fetch_max(total, Ordering::Relaxed);
    }

    /// The policies in force, how many documents are not because of what is in them, and whether what is in
    /// force is all that the files (the cluster) say.
    pub fn policies(&self, count: usize, refused: usize, generation: u64, last_reload_worked: bool) {
        self.policies.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.policies_refused.set(i64::try_from(refused).unwrap_or(i64::MAX));
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.reload_success.set(last_reload_worked.into());
    }

    /// How many exceptions are in force, and how many have ended and still stand there.
    pub fn exceptions(&self, in_force: usize, expired: usize) {
        for (state, count) in [("in_force", in_force), ("expired", expired)] {
            let gauge = self.exceptions.get_or_create(&ExceptionLabels { state });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The certificate in use.
    pub fn certificate(&self, expires: jiff::Timestamp, last_renewal_worked: bool) {
        self.certificate_expires.set(expires.as_second());
        self.certificate_success.set(last_renewal_worked.into());
    }

    /// A document was looked up.
    pub fn looked_up(&self, looked_up: LookedUp) {
        self.lookups.add(looked_up);
    }

    /// A scan of what runs ended.
    pub fn scanned(&self, scanned: Scanned<'_>) {
        self.scans.ended(scanned);
    }

    /// A scan of what runs did not work.
    pub fn scan_failed(&self) {
        self.scans.failed();
    }

    /// Another replica scans from now on: what the last scan found is no longer shown.
    pub fn scan_ended_elsewhere(&self) {
        self.scans.forget();
    }

    /// What the cache holds now.
    pub fn kept(&self, kept: Kept) {
        self.lookups.keep(kept);
    }

    /// A registry was asked.
    pub fn exchanged(&self, exchanged: &Exchanged<'_>) {
        self.exchanges.add(exchanged);
    }

    pub(super) fn reviewed(&self, labels: &ReviewLabels) {
        self.reviews.get_or_create(labels).inc();
    }

    pub(super) fn took(&self, stage: Stage, time: Duration, trace_id: Option<&str>) {
        let [total, reading, resolving, judging] = &self.stages;
        let durations = match stage {
            Stage::Total => total,
            Stage::Reading => reading,
            Stage::Resolving => resolving,
            Stage::Judging => judging,
        };
        let exemplar = trace_id.map(|id| TraceLabels { trace_id: id.to_owned() });
        durations.observe(time.as_secs_f64(), exemplar, None);
    }

    pub(super) fn found(&self, labels: FindingLabels) {
        let known = self.findings.get(&labels).is_some()
            || self.names_of_findings.fetch_add(1, Ordering::Relaxed) < MAX_FINDINGS;
        let other = || "other".to_owned();
        let labels = if known { labels } else { FindingLabels { policy: other(), rule: other(), ..labels } };
        self.findings.get_or_create(&labels).inc();
    }

    pub(super) fn resolved(&self, from: &'static str) {
        self.resolved.get_or_create(&ResolvedLabels { from }).inc();
    }

    pub(super) fn unresolved(&self, kind: &'static str) {
        self.unresolved.get_or_create(&UnresolvedLabels { kind }).inc();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// From a quarter of a millisecond (a warm review) to beyond the API server's 30 s.
fn histogram() -> Durations {
    Durations::new(exponential_buckets(0.000_25, 2.0, 18))
}

#[cfg(test)]
mod tests;
