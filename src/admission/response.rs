//! A verdict as an AdmissionReview's response: bounded, clean text, legal keys, honest codes.

use super::Request;
use crate::policy::Verdict;

/// Whether denials are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Denials refuse.
    Enforce,
    /// Denials are recorded (audit annotations, log, metrics) and nothing is blocked.
    Audit,
}

/// The response's body: `admission.k8s.io/v1`, always for HTTP 200.
#[must_use]
pub fn respond(_request: &Request, _verdict: &Verdict, _mode: Mode) -> Vec<u8> {
    todo!()
}
