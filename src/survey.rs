//! What a look at everything that runs has found: values, and how they are told.
//!
//! A [`Survey`] is made by the scan, from a laptop or in the background of the webhook. Each object went through the
//! same review as at admission; here it is only counted and told: as [`json`], [`sarif`], [`table`] and as a page.
//! What surprises: whether a Pod *complies* is asked of what was found, whatever the policy's actions say, since that
//! is what would be refused if they said Deny; what admission would say today is its [`Outcome`].

mod drift;
pub mod json;
mod object;
pub mod page;
pub mod report;
pub mod sarif;
mod summary;
pub mod table;

pub use drift::{Running, running};
pub use object::{ObjectRef, controller};
pub use summary::{PolicyCount, Summary};

use crate::{
    api::v1alpha1::ValidationAction,
    image::Digest,
    policy::{Enforcement, Fact, Finding, FindingKind, PolicySet, Verdict},
    workload::ImageUse,
};
use jiff::Timestamp;

/// Everything that was looked at.
#[derive(Clone, Debug)]
pub struct Survey {
    /// When it began.
    pub at: Timestamp,
    /// The cluster, as its kubeconfig names it.
    pub cluster: String,
    /// Where the policies come from: `cluster`, or a folder of ones that are not installed.
    pub policy_source: String,
    /// The policies, in the order of their names.
    pub policies: Vec<Policy>,
    /// What was looked at, in the order of namespace, kind and name.
    pub objects: Vec<Surveyed>,
    /// Objects in namespaces that are exempt, which were not looked at.
    pub exempt: usize,
    /// What could not be seen, for whoever reads the rest.
    pub notes: Vec<String>,
}

/// A policy by which it was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name; `namespace/name` for a namespaced one.
    pub name: String,
    /// What follows from a violation: `Deny`, `Warn`, `Audit`.
    pub actions: Vec<&'static str>,
}

/// An object, and what its review gave.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// The object.
    pub object: ObjectRef,
    /// Its controller, the controller's controller, and so on: the last one is what a person wrote.
    pub owners: Vec<ObjectRef>,
    /// Whether it is a template of Pods.
    pub is_template: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Whether it was there before the webhook: no admission judged it.
    pub never_judged: bool,
    /// What was found.
    pub verdict: Verdict,
    /// What was known of each image.
    pub facts: Vec<Fact>,
    /// The images that its containers run, where the kubelet has said so.
    pub running: Vec<Running>,
}

/// Whether an object does what policies want, whatever follows if it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compliance {
    /// At least one violation.
    Violating,
    /// No violation, but something could not be looked at.
    NotChecked,
    /// Nothing was found.
    Compliant,
    /// No policy is for it.
    Unmatched,
}

/// How an object would end at admission, by the policies' own actions; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A violation denies.
    Denied,
    /// What denies is that something could not be checked: an image, or an expression that failed.
    NotChecked,
    /// Admitted with warnings.
    Warned,
    /// Admitted.
    Clean,
}

impl Policy {
    /// Those of a set, in the order of their names.
    #[must_use]
    pub fn of(set: &PolicySet) -> Vec<Self> {
        let action = |action: &ValidationAction| match action {
            ValidationAction::Deny => "Deny",
            ValidationAction::Warn => "Warn",
            ValidationAction::Audit => "Audit",
        };
        let mut all: Vec<Self> = set
            .policies()
            .map(|one| Self { name: one.name.to_owned(), actions: one.actions.iter().map(action).collect() })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

impl Compliance {
    /// Of what a review found.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        let worst = verdict.findings.iter().map(|finding| match finding.kind {
            FindingKind::Violation => Self::Violating,
            FindingKind::Unresolved(_) | FindingKind::EvaluationError => Self::NotChecked,
            // It was judged, though by what was known before.
            FindingKind::Stale(_) => Self::Compliant,
        });
        let of_nothing = if verdict.policies.is_empty() { Self::Unmatched } else { Self::Compliant };
        worst.min().unwrap_or(of_nothing)
    }

    /// As JSON has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Violating => "violating",
            Self::NotChecked => "notChecked",
            Self::Compliant => "compliant",
            Self::Unmatched => "unmatched",
        }
    }

    /// As people read it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotChecked => "not checked",
            other => other.as_str(),
        }
    }
}

impl Outcome {
    /// Of what a review found.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let worst = findings.iter().map(|finding| match (finding.enforcement, finding.kind) {
            (Enforcement::Deny, FindingKind::Violation) => Self::Denied,
            (Enforcement::Deny, _) => Self::NotChecked,
            (Enforcement::Warn, _) => Self::Warned,
            (Enforcement::Record, _) => Self::Clean,
        });
        worst.min().unwrap_or(Self::Clean)
    }

    /// As JSON has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::NotChecked => "notChecked",
            Self::Warned => "warned",
            Self::Clean => "clean",
        }
    }

    /// As people read it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotChecked => "not checked",
            other => other.as_str(),
        }
    }
}

impl Surveyed {
    /// Whether it does what policies want.
    #[must_use]
    pub fn compliance(&self) -> Compliance {
        Compliance::of(&self.verdict)
    }

    /// What admission would say today.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of(&self.verdict.findings)
    }

    /// What a person wrote: the last of its owners, else itself.
    #[must_use]
    pub fn top(&self) -> &ObjectRef {
        self.owners.last().unwrap_or(&self.object)
    }

    /// The digest that a container runs, if the kubelet has said so.
    #[must_use]
    pub fn running(&self, usage: &ImageUse) -> Option<&Digest> {
        let of = |one: &&Running| one.kind == usage.kind && one.container == usage.name;
        self.running.iter().find(of).map(|one| &one.digest)
    }

    /// Whether this use names a tag that now means another image than the one that runs.
    #[must_use]
    pub fn has_drifted(&self, fact: &Fact) -> bool {
        drift::has_drifted(fact, self.running(&fact.usage))
    }
}

#[cfg(test)]
mod tests;
