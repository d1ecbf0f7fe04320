//! How a verdict is reached: policies are compiled once, whole or not at all; each is then held
//! against what every container will really be.
//!
//! Documents come in and become a [`PolicySet`]; a [`Subject`] comes in and becomes a [`Verdict`].
//! Nothing else is read: no clock, no network. What surprises:
//! - an image that could not be looked at is a finding of its own kind, never a violation; the policy's
//!   `onResolutionFailure` says what follows, and is never stricter than its `validationActions`;
//! - an expression that fails at run time is enforced like a violation, and worded as what it is;
//! - templates are judged like Pods here. Who asks decides what a refusal means: `check` fails, and
//!   admission only warns.

mod amount;
pub mod cel;
mod compile;
mod evaluate;
mod exception;
mod expressions;
#[cfg(test)]
pub(crate) mod fixtures;
mod glob;
mod matching;
mod message;
mod parameters;
mod place;
mod remark;
mod rules;
mod schema;
mod selector;
mod set;
mod subject;
mod verdict;

pub use amount::bytes;
pub use compile::RESERVED_ANNOTATIONS;
pub use parameters::{Parameters, WantedParameters};
pub use remark::Remark;
pub use set::{
    Defaults, ExceptionScope, ExceptionSummary, PolicyDocument, PolicyError, PolicySet, PolicySummary,
    Unmatched,
};
pub use subject::{Fact, Namespace, Subject};
pub use verdict::{Decision, Enforcement, Excepted, Finding, FindingKind, Verdict};
