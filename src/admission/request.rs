//! An AdmissionReview's request, read without trust.

use crate::workload::Workload;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// Identifies the request; the response must carry it.
    pub uid: String,
    /// CREATE, UPDATE, …
    pub operation: Operation,
    /// The namespace, where the request has one.
    pub namespace: Option<String>,
    /// The object's name; empty for `generateName` in the mutating phase.
    pub name: String,
    /// Who asks.
    pub user: String,
    /// Whether nothing may be persisted.
    pub dry_run: bool,
    /// `ephemeralcontainers`, …; empty for the object itself.
    pub sub_resource: String,
    /// What is judged: only the uses that are new or changed. None: nothing to judge, and why.
    pub workload: Result<Workload, &'static str>,
    /// The request without `object` and `oldObject`, for CEL.
    pub attributes: serde_json::Value,
    /// `oldObject`, null when there is none.
    pub old_object: serde_json::Value,
}

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `CREATE`
    Create,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `CONNECT`: exec, attach, port-forward, proxy.
    Connect,
}

/// The request as CEL sees it: without its objects, and with an empty value for every declared field
/// that is absent (a missing key is an error in CEL). `null` gives the request that nobody made, for
/// front doors without an API server.
#[must_use]
pub fn attributes(_request: &serde_json::Value) -> serde_json::Value {
    todo!()
}

/// A body that is not an admission.k8s.io/v1 AdmissionReview that we can answer: HTTP 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidReview(pub String);

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// [`InvalidReview`] when it is not an AdmissionReview with a request and a uid.
    pub fn parse(_body: &[u8]) -> Result<Self, InvalidReview> {
        todo!()
    }
}
