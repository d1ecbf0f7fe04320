//! Metrics of the background scan: what runs now, by the last scan of the replica that does it. A replica that does not
//! scan shows none of them, so that no number stands twice.

use crate::survey::Summary;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::{sync::atomic::AtomicU64, time::Duration};

/// Policies that are shown by name; more are left out. Names come from the policies' authors.
const MAX_POLICIES: usize = 1000;

/// A scan that ended.
#[derive(Clone, Copy, Debug)]
pub struct Scanned<'a> {
    /// What it found.
    pub summary: &'a Summary,
    /// When it ended.
    pub at: jiff::Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// A family of one metric, which can be taken away.
type Unlabelled = [(&'static str, &'static str); 0];

pub(super) struct Scans {
    pods: Family<Compliance, Gauge>,
    of_policies: Family<PolicyCompliance, Gauge>,
    drifted: Family<Unlabelled, Gauge>,
    never_judged: Family<Unlabelled, Gauge>,
    images: Family<Unlabelled, Gauge>,
    ended: Family<Unlabelled, Gauge>,
    took: Family<Unlabelled, Gauge<f64, AtomicU64>>,
    failed: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Compliance {
    compliance: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyCompliance {
    policy: String,
    compliance: &'static str,
}

impl Scans {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let own = Self {
            pods: Family::default(),
            of_policies: Family::default(),
            drifted: Family::default(),
            never_judged: Family::default(),
            images: Family::default(),
            ended: Family::default(),
            took: Family::default(),
            failed: Counter::default(),
        };
        registry.register(
            "scan_pods",
            "Pods that run, by whether they do what policies want, whatever the actions say",
            own.pods.clone(),
        );
        registry.register(
            "scan_policy_pods",
            "Pods that a policy is for, by whether they do what it wants",
            own.of_policies.clone(),
        );
        registry.register(
            "scan_drifted_pods",
            "Pods that run another image than the one that their tag means now",
            own.drifted.clone(),
        );
        registry.register(
            "scan_never_judged_pods",
            "Pods that are older than the webhook",
            own.never_judged.clone(),
        );
        registry.register("scan_images", "Different images that run", own.images.clone());
        registry.register_with_unit(
            "scan_last_success_timestamp",
            "When the last scan that worked ended",
            Unit::Seconds,
            own.ended.clone(),
        );
        registry.register_with_unit(
            "scan_last_duration",
            "How long the last scan that worked took",
            Unit::Seconds,
            own.took.clone(),
        );
        registry.register("scans_failed", "Scans that did not work", own.failed.clone());
        own
    }

    pub(super) fn ended(&self, scanned: Scanned<'_>) {
        let summary = scanned.summary;
        self.forget();
        for (compliance, count) in [
            ("compliant", summary.compliant),
            ("violating", summary.violating),
            ("not_checked", summary.not_checked),
            ("unmatched", summary.unmatched),
        ] {
            self.pods.get_or_create(&Compliance { compliance }).set(number(count));
        }
        for (policy, count) in summary.policies.iter().take(MAX_POLICIES) {
            for (compliance, count) in [
                ("compliant", count.compliant),
                ("violating", count.violating),
                ("not_checked", count.not_checked),
            ] {
                let labels = PolicyCompliance { policy: policy.clone(), compliance };
                self.of_policies.get_or_create(&labels).set(number(count));
            }
        }
        self.drifted.get_or_create(&[]).set(number(summary.drifted));
        self.never_judged.get_or_create(&[]).set(number(summary.never_judged));
        self.images.get_or_create(&[]).set(number(summary.images));
        self.ended.get_or_create(&[]).set(scanned.at.as_second());
        self.took.get_or_create(&[]).set(scanned.took.as_secs_f64());
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }

    /// Another replica scans from now on.
    pub(super) fn forget(&self) {
        self.pods.clear();
        self.of_policies.clear();
        for gauge in [&self.drifted, &self.never_judged, &self.images, &self.ended] {
            gauge.clear();
        }
        self.took.clear();
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::PolicyCount;

    #[test]
    fn the_last_scan_is_shown_until_another_replica_scans() {
        let mut registry = Registry::default();
        let scans = Scans::register(&mut registry);
        let summary = Summary {
            compliant: 3,
            violating: 2,
            drifted: 1,
            policies: [("non-root".to_owned(), PolicyCount { compliant: 3, violating: 2, not_checked: 0 })]
                .into(),
            ..Summary::default()
        };
        let at = jiff::Timestamp::from_second(1_800_000_000).expect("a time");
        scans.ended(Scanned { summary: &summary, at, took: Duration::from_millis(1500) });
        let text = |registry: &Registry| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry).expect("text");
            text
        };
        let shown = text(&registry);
        for line in [
            "scan_pods{compliance=\"violating\"} 2",
            "scan_policy_pods{policy=\"non-root\",compliance=\"compliant\"} 3",
            "scan_drifted_pods{} 1",
            "scan_last_success_timestamp_seconds{} 1800000000",
            "scan_last_duration_seconds{} 1.5",
        ] {
            assert!(shown.lines().any(|found| found == line), "{line} is not in:\n{shown}");
        }
        let gone = Summary::default();
        scans.ended(Scanned { summary: &gone, at, took: Duration::ZERO });
        assert!(!text(&registry).contains("non-root"), "a policy that is gone is not shown");
        scans.forget();
        scans.failed();
        let shown: Vec<String> =
            text(&registry).lines().filter(|line| !line.starts_with('#')).map(ToOwned::to_owned).collect();
        assert_eq!(shown, ["scans_failed_total 1"]);
    }
}
