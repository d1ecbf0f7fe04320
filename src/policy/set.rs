//! The policies in force: an immutable snapshot.

use super::{Subject, Verdict};
use crate::workload::{ImageUse, Workload};

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
pub struct PolicySet {}

impl PolicySet {
    /// Compiles documents of the kinds in [`crate::api::v1alpha1`].
    ///
    /// # Errors
    /// Every error of every document, never only the first.
    pub fn compile(_documents: &[PolicyDocument]) -> Result<Self, Vec<PolicyError>> {
        todo!()
    }

    /// How many policies are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether any policy that selects this use must look at the image (rules on the reference
    /// alone need not).
    #[must_use]
    pub fn needs_image(&self, _workload: &Workload, _usage: &ImageUse) -> bool {
        todo!()
    }

    /// Judges. Pure: the same subject always gives the same verdict.
    #[must_use]
    pub fn evaluate(&self, _subject: &Subject<'_>) -> Verdict {
        todo!()
    }
}
