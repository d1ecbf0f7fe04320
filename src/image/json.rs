//! Strict JSON: refuses documents that Go's encoding/json and serde read differently.
//!
//! Go matches struct fields case-insensitively (with Unicode folding) and takes the last of
//! duplicates; serde matches exactly. A document that uses the difference would be judged as one
//! thing and run as another, so it is refused (`reference/registry.md`, S1).

/// A document that two readers would read differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AmbiguousJson(pub String);
