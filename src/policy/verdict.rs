//! The verdict: what was found, and what follows from it.

use crate::{
    image::{Platform, UnresolvedKind},
    workload::UseKind,
};
use std::{collections::BTreeMap, sync::Arc};

/// What policies found, and what they want recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Everything found, denials first, then warnings, then audits; stable within.
    pub findings: Vec<Finding>,
    /// What exceptions let pass: found, and not enforced.
    pub excepted: Vec<Excepted>,
    /// The policies that selected at least one use.
    pub policies: Vec<Arc<str>>,
    /// Audit annotations of policies, by legal key.
    pub audit_annotations: BTreeMap<String, String>,
}

/// One thing that a policy found on one use of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The policy's name; `namespace/name` for a namespaced one.
    pub policy: String,
    /// The rule (`user`, `labels`, …) or the validation (`validations[0]`).
    pub rule: String,
    /// Violation or could-not-check: the two never read alike.
    pub kind: FindingKind,
    /// What follows.
    pub enforcement: Enforcement,
    /// What would follow if `Deny` were the policy's action.
    pub if_enforced: Enforcement,
    /// Whether `Audit` is among the policy's actions.
    pub audit: bool,
    /// Kind of the place that names the image.
    pub use_kind: UseKind,
    /// Container or volume.
    pub container: String,
    /// The path of the image in the object.
    pub field_path: String,
    /// The image as written.
    pub image: String,
    /// The platforms that it holds for; empty: all, or it does not depend on one.
    pub platforms: Vec<Platform>,
    /// What was found, short.
    pub found: String,
    /// What was wanted, short.
    pub wanted: String,
    /// The whole sentence that a tired person can act on; names container, image and platform.
    pub message: String,
}

/// What an exception let pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Excepted {
    /// The exception: `namespace/name`.
    pub exception: String,
    /// What was found.
    pub finding: Finding,
}

/// What kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The image was looked at, and does not comply.
    Violation,
    /// The image could not be looked at.
    Unresolved(UnresolvedKind),
    /// The image was judged by what was known of it before: the registry is out of reach, for this reason.
    Stale(UnresolvedKind),
    /// An expression failed at run time.
    EvaluationError,
}

/// What follows from a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Enforcement {
    /// The Pod is refused.
    Deny,
    /// The Pod is admitted with a warning.
    Warn,
    /// It is only recorded.
    Record,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Admit.
    Allow,
    /// Admit with warnings.
    Warn,
    /// Refuse.
    Deny,
}

impl FindingKind {
    /// The kind as logs and reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Unresolved(_) => "unresolved",
            Self::Stale(_) => "stale",
            Self::EvaluationError => "evaluation-error",
        }
    }
}

impl Enforcement {
    /// What follows, as logs and reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Record => "record",
        }
    }
}

impl Decision {
    /// The decision as logs, metrics and annotations write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

impl Verdict {
    /// The policies that selected at least one use, by name.
    pub fn policy_names(&self) -> Vec<&str> {
        self.policies.iter().map(|name| &**name).collect()
    }

    /// What the findings add up to.
    #[must_use]
    pub fn decision(&self) -> Decision {
        strictest(self.findings.iter().map(|finding| finding.enforcement))
    }

    /// What they would add up to if `Deny` were the action of every policy that found something.
    #[must_use]
    pub fn if_enforced(&self) -> Decision {
        strictest(self.findings.iter().map(|finding| finding.if_enforced))
    }

    /// The findings with this enforcement.
    pub fn with(&self, enforcement: Enforcement) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.enforcement == enforcement)
    }
}

fn strictest(all: impl Iterator<Item = Enforcement>) -> Decision {
    match all.min() {
        Some(Enforcement::Deny) => Decision::Deny,
        Some(Enforcement::Warn) => Decision::Warn,
        Some(Enforcement::Record) | None => Decision::Allow,
    }
}
