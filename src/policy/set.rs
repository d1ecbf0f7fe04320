//! The policies in force: an immutable snapshot.

use super::{
    Subject, Verdict,
    compile::{Policy, compile},
    evaluate,
};
use crate::{
    api::v1alpha1::ValidationAction,
    workload::{ImageUse, Workload},
};
use std::collections::HashMap;

/// One policy as it was written, and where.
#[derive(Clone, Debug)]
pub struct PolicyDocument {
    /// The file and the document in it (`policies/base.yaml#2`), or the resource.
    pub source: String,
    /// The document.
    pub value: serde_json::Value,
}

/// Why a policy is refused: where, which field, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {field}: {why}")]
pub struct PolicyError {
    /// The file and the document in it, and the policy's name where it has one.
    pub source_name: String,
    /// The field: `spec.rules.user.ranges[0]`.
    pub field: String,
    /// What is wrong, and the nearest name that exists where one was mistyped.
    pub why: String,
}

/// The policies in force. Compiled whole: one bad document refuses the set.
#[derive(Debug, Default)]
pub struct PolicySet {
    policies: Vec<Policy>,
}

/// A policy in force, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicySummary<'a> {
    /// Its name; `namespace/name` for a namespaced one.
    pub name: &'a str,
    /// Where it was written.
    pub source: &'a str,
    /// What follows from a violation.
    pub actions: &'a [ValidationAction],
}

impl PolicySet {
    /// Compiles documents of the kinds in [`crate::api::v1alpha1`].
    ///
    /// # Errors
    /// Every error of every document, never only the first.
    pub fn compile(documents: &[PolicyDocument]) -> Result<Self, Vec<PolicyError>> {
        let mut policies: Vec<Policy> = Vec::new();
        let mut sources: HashMap<String, &str> = HashMap::new();
        let mut errors = Vec::new();
        for document in documents {
            match compile(document) {
                Ok(policy) => {
                    if let Some(first) = sources.insert(policy.name.clone(), &document.source) {
                        errors.push(PolicyError {
                            source_name: document.source.clone(),
                            field: "metadata.name".to_owned(),
                            why: format!("{} is already there, in {first}; rename one of them", policy.name),
                        });
                    }
                    policies.push(policy);
                }
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(Self { policies }) } else { Err(errors) }
    }

    /// How many policies are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policies, in the order in which they were given.
    pub fn policies(&self) -> impl Iterator<Item = PolicySummary<'_>> {
        self.policies.iter().map(|policy| PolicySummary {
            name: &policy.name,
            source: &policy.source,
            actions: &policy.actions,
        })
    }

    /// Whether any policy that selects this use must look at the image (rules on the reference
    /// alone need not). Where that depends on labels of the namespace or on a match condition, which
    /// are not known here, the answer is yes.
    #[must_use]
    pub fn needs_image(&self, workload: &Workload, usage: &ImageUse) -> bool {
        self.policies.iter().any(|policy| {
            policy.selector.may_select(workload)
                && policy.selector.selects_use(usage)
                && (usage.reference.is_err() || policy.needs_image(usage.kind))
        })
    }

    /// Judges. Pure: the same subject always gives the same verdict.
    #[must_use]
    pub fn evaluate(&self, subject: &Subject<'_>) -> Verdict {
        evaluate::evaluate(&self.policies, subject)
    }
}
