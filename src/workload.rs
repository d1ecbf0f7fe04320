//! Where a Pod, or whatever carries a Pod template, names images, and what each container will
//! really be once its image's config is laid under it.
//!
//! An object's JSON comes in; a [`Workload`] comes out, with one [`ImageUse`] for each place that
//! names an image and the platforms that its Pods may land on. Laid over the config of a resolved
//! image, a use becomes an [`EffectiveContainer`].

mod effective;
mod expansion;
mod extract;
mod fields;
mod platforms;

pub(crate) use fields::Fields;

pub use effective::{Effective, EffectiveContainer, EffectiveUser, EnvValue, Origin, Words};
pub use extract::{InvalidWorkload, objects};

use crate::image::{InvalidReference, PlatformFilter, Reference};
use std::{collections::BTreeMap, sync::Arc};

/// A Pod or a Pod template, with every place in it that names an image.
#[derive(Clone, Debug)]
pub struct Workload {
    /// `v1`, `apps/v1`, …
    pub api_version: String,
    /// `Pod`, `Deployment`, `CronJob`, …
    pub kind: String,
    /// Its name, else its `generateName`.
    pub name: String,
    /// Its namespace, where the object or the request names one.
    pub namespace: Option<String>,
    /// Labels of the Pod or of the template's Pods.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Pod or of the template's Pods.
    pub annotations: BTreeMap<String, String>,
    /// Whether this is a template: templates are warned about, Pods are where we enforce.
    pub is_template: bool,
    /// `spec.imagePullSecrets`, by name.
    pub pull_secrets: Vec<String>,
    /// `spec.serviceAccountName`.
    pub service_account: Option<String>,
    /// The Pod's own security context.
    pub security: Security,
    /// `spec.hostUsers` (false: root in the container is not root on the host).
    pub host_users: Option<bool>,
    /// `spec.os.name`.
    pub os: Option<String>,
    /// The platforms that the Pod's nodeSelector, required affinity and os allow; `nodes` is none.
    pub platforms: PlatformFilter,
    /// Every place that names an image, in the order of the Pod spec's fields.
    pub uses: Vec<Arc<ImageUse>>,
    /// The whole object as it was given, for CEL.
    pub object: Arc<serde_json::Value>,
}

/// The kinds of places that name an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UseKind {
    /// `spec.containers[]`
    Container,
    /// `spec.initContainers[]`, sidecars too.
    InitContainer,
    /// `spec.ephemeralContainers[]`
    EphemeralContainer,
    /// `spec.volumes[].image`
    ImageVolume,
}

/// One place in a Pod that names an image.
#[derive(Clone, Debug)]
pub struct ImageUse {
    /// Which kind of place.
    pub kind: UseKind,
    /// The container's or the volume's name.
    pub name: String,
    /// The path in the object: `spec.template.spec.containers[0].image`.
    pub field_path: String,
    /// The image as written.
    pub image: String,
    /// The image as the kubelet reads it.
    pub reference: Result<Reference, InvalidReference>,
    /// What the container lays over the image's config. Empty for an image volume.
    pub overrides: Overrides,
}

/// The fields of a security context that decide who a container runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// `runAsUser`
    pub run_as_user: Option<i64>,
    /// `runAsGroup`
    pub run_as_group: Option<i64>,
    /// `runAsNonRoot`
    pub run_as_non_root: Option<bool>,
    /// `windowsOptions.runAsUserName`
    pub windows_user: Option<String>,
}

/// What a container's spec lays over its image's config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The container's security context.
    pub security: Security,
    /// `command`: replaces Entrypoint and Cmd.
    pub command: Vec<String>,
    /// `args`: replaces Cmd.
    pub args: Vec<String>,
    /// `env`: name and value; none where the value comes from elsewhere (`valueFrom`).
    pub env: Vec<(String, Option<String>)>,
    /// `workingDir`
    pub working_dir: Option<String>,
    /// `lifecycle.stopSignal`
    pub stop_signal: Option<String>,
    /// `volumeMounts[].mountPath`
    pub mount_paths: Vec<String>,
}

/// What keeps an object: its controller, as `metadata.ownerReferences` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller<'a> {
    /// `ReplicaSet`, `Job`, …
    pub kind: &'a str,
    /// Its name, in the object's namespace.
    pub name: &'a str,
}

impl Workload {
    /// The object's controller; none: nobody keeps it, or the reference cannot be read.
    #[must_use]
    pub fn controller(&self) -> Option<Controller<'_>> {
        let owners = self.object.pointer("/metadata/ownerReferences")?.as_array()?;
        let controller = owners.iter().find(|owner| owner["controller"] == true)?;
        Some(Controller { kind: controller["kind"].as_str()?, name: controller["name"].as_str()? })
    }
}

impl UseKind {
    /// The kind as policies' `match.uses` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "Container",
            Self::InitContainer => "InitContainer",
            Self::EphemeralContainer => "EphemeralContainer",
            Self::ImageVolume => "ImageVolume",
        }
    }

    /// The kind as messages name it: `container`, `init container`, …
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::InitContainer => "init container",
            Self::EphemeralContainer => "ephemeral container",
            Self::ImageVolume => "image volume",
        }
    }
}
