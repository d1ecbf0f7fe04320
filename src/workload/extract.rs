//! A [`Workload`] out of any object that carries a Pod spec.

use super::Workload;

/// Why an object that should carry a Pod spec does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct InvalidWorkload {
    /// The field, e.g. `spec.template.spec.containers[0].env`.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

impl Workload {
    /// Reads a Pod, PodTemplate, ReplicationController, Deployment, ReplicaSet, StatefulSet,
    /// DaemonSet, Job or CronJob. None: an object of another kind, which carries no Pod.
    ///
    /// # Errors
    /// [`InvalidWorkload`] when a field that we read has the wrong type.
    pub fn from_object(_object: &serde_json::Value) -> Result<Option<Self>, InvalidWorkload> {
        todo!()
    }
}
