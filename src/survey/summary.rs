//! The numbers of a survey. Pods are counted; templates, which run nothing, only beside them.

use super::{Compliance, Outcome, Survey, Surveyed};
use crate::policy::FindingKind;
use std::collections::{BTreeMap, HashSet};

/// What a survey adds up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Pods that were looked at.
    pub pods: usize,
    /// Templates that were looked at.
    pub templates: usize,
    /// Different images, by their normalised names.
    pub images: usize,
    /// Pods that comply.
    pub compliant: usize,
    /// Pods with at least one violation.
    pub violating: usize,
    /// Pods without a violation, of which something could not be looked at.
    pub not_checked: usize,
    /// Pods that no policy is for.
    pub unmatched: usize,
    /// Pods that would be refused today, by the policies' own actions.
    pub denied: usize,
    /// Pods that run another image than the one that their tag means now.
    pub drifted: usize,
    /// Pods that were there before the webhook.
    pub never_judged: usize,
    /// For each policy that judged a Pod, by name.
    pub policies: BTreeMap<String, PolicyCount>,
}

/// The Pods that one policy judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyCount {
    /// Those in which it found nothing.
    pub compliant: usize,
    /// Those with a violation of it.
    pub violating: usize,
    /// Those of which it could not judge something.
    pub not_checked: usize,
}

impl Survey {
    /// Its numbers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        let mut images = HashSet::new();
        for one in &self.objects {
            images.extend(one.facts.iter().map(|fact| match &fact.usage.reference {
                Ok(reference) => reference.to_string(),
                Err(_) => fact.usage.image.clone(),
            }));
            if one.is_template {
                summary.templates += 1;
            } else {
                summary.add(one);
            }
        }
        summary.images = images.len();
        summary
    }
}

impl Summary {
    fn add(&mut self, pod: &Surveyed) {
        self.pods += 1;
        match pod.compliance() {
            Compliance::Compliant => self.compliant += 1,
            Compliance::Violating => self.violating += 1,
            Compliance::NotChecked => self.not_checked += 1,
            Compliance::Unmatched => self.unmatched += 1,
        }
        self.denied += usize::from(matches!(pod.outcome(), Outcome::Denied | Outcome::NotChecked));
        self.drifted += usize::from(pod.facts.iter().any(|fact| pod.has_drifted(fact)));
        self.never_judged += usize::from(pod.never_judged);
        for policy in &pod.verdict.policies {
            let count = self.policies.entry(policy.to_string()).or_default();
            let of_policy = pod.verdict.findings.iter().filter(|finding| *finding.policy == **policy);
            let kinds: Vec<FindingKind> = of_policy.map(|finding| finding.kind).collect();
            if kinds.contains(&FindingKind::Violation) {
                count.violating += 1;
            } else if kinds.iter().any(|kind| !matches!(kind, FindingKind::Stale(_))) {
                count.not_checked += 1;
            } else {
                count.compliant += 1;
            }
        }
    }
}
