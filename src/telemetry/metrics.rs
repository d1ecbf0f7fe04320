//! The metrics, in the OpenMetrics format. Base units; every label is a closed set or capped.

use super::{
    exchanges::{Exchanged, Exchanges},
    lookups::{Kept, LookedUp, Lookups},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
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

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
    durations: Family<StageLabels, Histogram, fn() -> Histogram>,
    /// Of `durations`, in the order of [`Stage`]: each review has them all.
    stages: [Histogram; 3],
    findings: Family<FindingLabels, Counter>,
    names_of_findings: AtomicUsize,
    unresolved: Family<UnresolvedLabels, Counter>,
    in_flight: Gauge,
    policies: Gauge,
    exceptions: Family<ExceptionLabels, Gauge>,
    generation: Gauge,
    reload_success: Gauge,
    certificate_expires: Gauge,
    certificate_success: Gauge,
    exchanges: Exchanges,
    lookups: Lookups,
}

/// What tells reviews apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReviewLabels {
    pub(super) verdict: &'static str,
    pub(super) would_be: &'static str,
    pub(super) mode: &'static str,
    pub(super) operation: &'static str,
    pub(super) code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

/// What tells findings apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FindingLabels {
    pub(super) policy: String,
    pub(super) rule: String,
    pub(super) kind: &'static str,
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
    Resolving,
    Judging,
}

impl Metrics {
    /// `version` of the program goes into `hullmark_build_info`.
    pub fn new(version: &str) -> Self {
        let mut registry = Registry::with_prefix("hullmark");
        let exchanges = Exchanges::register(&mut registry);
        let lookups = Lookups::register(&mut registry);
        let durations = Family::<StageLabels, Histogram, fn() -> Histogram>::new_with_constructor(histogram);
        let mut metrics = Self {
            registry,
            reviews: Family::default(),
            refused: Family::default(),
            stages: ["total", "resolving", "judging"]
                .map(|stage| durations.get_or_create(&StageLabels { stage }).clone()),
            durations,
            findings: Family::default(),
            names_of_findings: AtomicUsize::new(0),
            unresolved: Family::default(),
            in_flight: Gauge::default(),
            policies: Gauge::default(),
            exceptions: Family::default(),
            generation: Gauge::default(),
            reload_success: Gauge::default(),
            certificate_expires: Gauge::default(),
            certificate_success: Gauge::default(),
            exchanges,
            lookups,
        };
        metrics.register(version);
        metrics
    }

    fn register(&mut self, version: &str) {
        let registry = &mut self.registry;
        registry.register("build", "The program", Info::new(vec![("version", version.to_owned())]));
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
            "images_unresolved",
            "Uses of images that could not be looked at, by kind of failure",
            self.unresolved.clone(),
        );
        registry.register("policies_loaded", "Policies in force", self.policies.clone());
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

    /// All metrics as OpenMetrics text.
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail; an empty exposition would be seen as a failed scrape.
        encode(&mut text, &self.registry).map_or_else(|_| String::new(), |()| text)
    }

    /// A request was answered with an HTTP status that says that nothing was judged.
    pub fn refused(&self, status: u16) {
        self.refused.get_or_create(&RefusedLabels { status }).inc();
    }

    /// One request more (1) or less (-1) in flight.
    pub fn in_flight(&self, change: i64) {
        self.in_flight.inc_by(change);
    }

    /// The policies in force, and whether they are what the files say.
    pub fn policies(&self, count: usize, generation: u64, last_reload_worked: bool) {
        self.policies.set(i64::try_from(count).unwrap_or(i64::MAX));
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

    pub(super) fn took(&self, stage: Stage, time: Duration) {
        let [total, resolving, judging] = &self.stages;
        let durations = match stage {
            Stage::Total => total,
            Stage::Resolving => resolving,
            Stage::Judging => judging,
        };
        durations.observe(time.as_secs_f64());
    }

    pub(super) fn found(&self, labels: FindingLabels) {
        let known = self.findings.get(&labels).is_some()
            || self.names_of_findings.fetch_add(1, Ordering::Relaxed) < MAX_FINDINGS;
        let other =
            || FindingLabels { policy: "other".to_owned(), rule: "other".to_owned(), kind: labels.kind };
        let labels = if known { labels } else { other() };
        self.findings.get_or_create(&labels).inc();
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
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 18))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_capped() {
        let metrics = Metrics::new("1.2.3");
        for n in 0..MAX_FINDINGS + 10 {
            metrics.found(FindingLabels { policy: format!("p{n}"), rule: "user".into(), kind: "violation" });
        }
        metrics.found(FindingLabels { policy: "p1".into(), rule: "user".into(), kind: "violation" });
        let text = metrics.exposition();
        assert!(text.contains("hullmark_findings_total{policy=\"p1\",rule=\"user\",kind=\"violation\"} 2\n"));
        assert!(text.contains("{policy=\"other\",rule=\"other\",kind=\"violation\"} 10\n"));
        assert!(text.lines().filter(|line| line.starts_with("hullmark_findings_total{")).count() <= 1001);
    }

    #[test]
    fn exposes_what_alerts_need() {
        let metrics = Metrics::new("1.2.3");
        metrics.policies(3, 2, false);
        metrics.certificate(jiff::Timestamp::from_second(1_800_000_000).unwrap(), true);
        metrics.refused(413);
        metrics.in_flight(1);
        let text = metrics.exposition();
        for line in [
            "hullmark_build_info{version=\"1.2.3\"} 1",
            "hullmark_policies_loaded 3",
            "hullmark_policies_generation 2",
            "hullmark_policies_last_reload_success 0",
            "hullmark_tls_certificate_expiry_timestamp_seconds 1800000000",
            "hullmark_tls_certificate_last_renewal_success 1",
            "hullmark_requests_refused_total{status=\"413\"} 1",
            "hullmark_requests_in_flight 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
