//! The `AdmissionReview` contract: a request in, a response out (`reference/kubernetes.md`, 1).
//!
//! [`Request::parse`] reads a body without trust and decides what of it is judged: only images that
//! are new or changed. [`respond`] turns a verdict into the one answer that the API server accepts:
//! `admission.k8s.io/v1`, the same uid, bounded clean text, for HTTP 200 always. Templates never get
//! a refusal, only warnings; Pods are where policies are enforced.

mod documents;
mod pin;
mod request;
mod response;
mod stance;

pub use documents::review_document;
pub use pin::respond_pinned;
pub use request::{InvalidReview, Operation, Request, attributes, creation};
pub use response::{Answer, Mode, allow_unjudged, respond, respond_failure};
pub use stance::{BreakGlass, Stance};

/// The only version that is read and answered.
const API_VERSION: &str = "admission.k8s.io/v1";
