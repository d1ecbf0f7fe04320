//! Exceptions: which Pods of a namespace may pass over which rules, and until when.
//!
//! An exception holds in its own namespace only, and turns findings into excepted ones: they are
//! recorded with the exception's name and enforce nothing. One that has expired does nothing, by itself.

use super::{Finding, Subject, place::Place, selector::Selector};
use crate::{
    api::v1alpha1::{ExceptedPolicy, ImageConfigExceptionSpec},
    workload::ImageUse,
};
use jiff::Timestamp;

/// An exception in force.
#[derive(Debug)]
pub(super) struct Exception {
    /// `namespace/name`
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) expires: Timestamp,
    policies: Vec<ExceptedPolicy>,
    selector: Selector,
}

impl Exception {
    pub(super) fn compile(
        spec: &ImageConfigExceptionSpec,
        name: String,
        namespace: &str,
        at: &Place<'_>,
    ) -> Self {
        if spec.reason.trim().is_empty() {
            at.field("reason").refuse("is empty: say why, for whoever asks later");
        }
        for (i, policy) in spec.policies.iter().enumerate() {
            if policy.name.split_once('/').is_some_and(|(other, _)| other != namespace) {
                at.field("policies").item(i).field("name").refuse(format!(
                    "{:?} is a policy of another namespace, which does not hold in {namespace}",
                    policy.name
                ));
            }
        }
        Self {
            name,
            namespace: namespace.to_owned(),
            expires: spec.expires.0,
            policies: spec.policies.clone(),
            selector: Selector::compile(&spec.match_, Some(namespace), &at.field("match")),
        }
    }

    /// Whether it holds at that time, for that workload.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        subject.now < self.expires && self.selector.selects(subject)
    }

    /// Whether it is for this policy, or for rules of it.
    pub(super) fn names(&self, policy: &str) -> bool {
        self.policies.iter().any(|one| one.name == policy)
    }

    /// Whether it is for what was found on that use.
    pub(super) fn covers(&self, finding: &Finding, usage: &ImageUse) -> bool {
        let is_named = |policy: &ExceptedPolicy| {
            policy.name == finding.policy && (policy.rules.is_empty() || policy.rules.contains(&finding.rule))
        };
        self.policies.iter().any(is_named) && self.selector.surely_selects_use(usage)
    }
}

#[cfg(test)]
mod tests;
