//! What a container will really be: the Pod's spec laid over the image's config, as the kubelet
//! and the runtimes do it (`reference/kubernetes.md`, section 3).

use super::{ImageUse, Workload};
use crate::image::{InvalidStopSignal, PlatformImage, RunsAsRoot, StopSignal, UserKind};
use std::collections::BTreeSet;

/// Where an effective value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The container's spec.
    Container,
    /// The Pod's spec.
    Pod,
    /// The image's config.
    Image,
    /// Nobody said: the runtime's default.
    Default,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

/// Who the container runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveUser {
    /// As written where it comes from; empty: nobody said.
    pub raw: String,
    /// What it means.
    pub kind: UserKind,
    /// Whether that is root.
    pub runs_as_root: RunsAsRoot,
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvValue {
    /// Its name.
    pub name: String,
    /// Its value; none where it comes from a Secret, a ConfigMap or a field.
    pub value: Option<String>,
    /// Image or container.
    pub origin: Origin,
}

/// What the runtime would run. The field has no word for this; it is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveContainer {
    /// Who it runs as: container, then Pod, then image.
    pub user: Effective<EffectiveUser>,
    /// Its primary group: `runAsGroup` only, the image's group is ignored by Kubernetes.
    pub group: Option<Effective<i64>>,
    /// `runAsNonRoot`, container then Pod.
    pub run_as_non_root: Option<bool>,
    /// The executable and its first arguments (Entrypoint, or `command`).
    pub command: Effective<Vec<String>>,
    /// The rest (Cmd, or `args`).
    pub args: Effective<Vec<String>>,
    /// The image's variables overridden by the container's.
    pub env: Vec<EnvValue>,
    /// The working directory; `/` by default.
    pub working_dir: Effective<String>,
    /// The stop signal; SIGTERM by default.
    pub stop_signal: Effective<Result<StopSignal, InvalidStopSignal>>,
    /// The image's volumes that no mount of the container covers.
    pub volumes: BTreeSet<String>,
}

impl EffectiveContainer {
    /// Lays `usage` of `workload` over `image`.
    #[must_use]
    pub fn of(_workload: &Workload, _usage: &ImageUse, _image: &PlatformImage) -> Self {
        todo!()
    }
}
