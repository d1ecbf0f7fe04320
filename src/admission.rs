//! The AdmissionReview contract: a request in, a response out (`reference/kubernetes.md`, 1).

mod request;
mod response;

pub use request::{InvalidReview, Operation, Request};
pub use response::{Mode, respond};
