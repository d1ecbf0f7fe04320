//! A verdict as an AdmissionReview's response: bounded, clean text, legal keys, honest codes.

use super::Request;
use crate::policy::{Decision, Fact, Verdict};

/// Whether denials are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Denials refuse.
    Enforce,
    /// Denials are recorded (audit annotations, log, metrics) and nothing is blocked.
    Audit,
}

/// What is sent back, and what it says: bytes for the API server, the rest for log and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The response's body: `admission.k8s.io/v1`, always for HTTP 200.
    pub body: Vec<u8>,
    /// Whether the request is admitted.
    pub allowed: bool,
    /// What is done: never `Deny` in audit mode or for a template.
    pub decision: Decision,
    /// What would be done if the mode were [`Mode::Enforce`].
    pub would_be: Decision,
    /// `status.code`: 200 when admitted, 403 for a violation, 503 or 504 when the only reason is an
    /// image that could not be looked at, 500 when we failed.
    pub code: u16,
}

/// The answer to a request that was judged.
#[must_use]
pub fn respond(_request: &Request, _verdict: &Verdict, _facts: &[Fact], _mode: Mode) -> Answer {
    todo!()
}

/// The answer to a request in which there is nothing to judge, with the reason why.
#[must_use]
pub fn allow_unjudged(_request: &Request, _reason: &str) -> Answer {
    todo!()
}

/// The answer when judging itself failed: refused with code 500 in enforce mode (a Pod that was not
/// judged is not let through), admitted in audit mode and for templates. `detail` is shown to the
/// user: short, and without secrets.
#[must_use]
pub fn respond_failure(_request: &Request, _detail: &str, _mode: Mode) -> Answer {
    todo!()
}
