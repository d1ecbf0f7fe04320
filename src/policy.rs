//! How a verdict is reached: policies are compiled once, whole or not at all; each is then held
//! against what every container will really be.

pub mod cel;
mod set;
mod subject;
mod verdict;

pub use set::{PolicyDocument, PolicyError, PolicySet};
pub use subject::{Fact, Namespace, Subject};
pub use verdict::{Decision, Enforcement, Finding, FindingKind, Verdict};
