//! The declarative rules. What each means, odd values included, stands at the head of its file below
//! `policy/rules/`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declarative rules; each is optional, and all of them must hold. An empty list checks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct Rules {
    /// Who the container runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserRule>,
    /// Labels in the image's config.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub labels: Vec<LabelRule>,
    /// The signal that asks the container to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<StopSignalRule>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvRule>,
    /// Ports that the image exposes. Kubernetes does not look at them; they say what the image was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<PortsRule>,
    /// Volumes that the image declares: each becomes a folder on the node's disk that no Pod asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<VolumesRule>,
    /// The program that the container runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<EntrypointRule>,
    /// The working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<WorkingDirRule>,
    /// How old the image may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<AgeRule>,
    /// How large the image may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<SizeRule>,
    /// Platforms that the image must be there for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platforms: Option<PlatformsRule>,
    /// How the Pod names the image. This rule needs no registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ReferenceRule>,
    /// What the image says it was built on (org.opencontainers.image.base.*).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseRule>,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Source {
    /// What will really run: the Pod's fields laid over the image's config.
    #[default]
    Effective,
    /// The image's config alone.
    Image,
}

/// Who the container runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct UserRule {
    /// Not root. A name that only the image's /etc/passwd could explain does not pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub run_as_non_root: bool,
    /// A number rather than a name, so that the kubelet can hold it against runAsNonRoot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub numeric: bool,
    /// The uid must be in one of these ranges, such as "1000-65535" or "1000".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub ranges: Vec<String>,
    /// Effective (default): runAsUser of the container, of the Pod, then USER of the image. Image: USER alone.
    #[serde(default)]
    pub source: Source,
}

/// A label in the image's config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelRule {
    /// The label's key, such as org.opencontainers.image.source.
    #[schemars(length(min = 1, max = 1024))]
    pub key: String,
    /// Whether the label must be there. Default: true. With false, the pattern holds only where the label is there.
    #[serde(default = "yes")]
    pub required: bool,
    /// A regular expression (RE2) that must be found in the value; anchor it with ^ and $.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: Option<String>,
}

/// The signal that asks the container to stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct StopSignalRule {
    /// A signal that container runtimes know. containerd cannot stop a container with any other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub valid: bool,
    /// One of these signals. SIGTERM, TERM and "15" are the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub one_of: Vec<String>,
    /// Effective (default): lifecycle.stopSignal, then STOPSIGNAL of the image. Image: STOPSIGNAL alone.
    #[serde(default)]
    pub source: Source,
}

/// Environment variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct EnvRule {
    /// Globs over names (case counts) that must not have a value in the image's ENV. What the Pod sets itself is not judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub forbidden: Vec<String>,
    /// Names that must be set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub required: Vec<String>,
    /// Effective (default): forbidden passes over what the container overrides, and required counts what the container sets. Image: ENV of the image alone.
    #[serde(default)]
    pub source: Source,
}

/// Ports that the image exposes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct PortsRule {
    /// Every port that the image exposes must be in one of these ranges, such as "1024-65535", "8080" or "53/udp". Without a protocol: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub allowed: Vec<String>,
}

/// Volumes that the image declares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct VolumesRule {
    /// No volume.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forbidden: bool,
    /// Effective (default): a volume that a volumeMount of the container covers is no violation. Image: every VOLUME of the image counts.
    #[serde(default)]
    pub source: Source,
}

/// The program that the container runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct EntrypointRule {
    /// There must be something to run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Programs that must not be the first word: a name such as "bash" or a path such as "/bin/sh". The shell form of ENTRYPOINT and CMD runs /bin/sh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub forbidden: Vec<String>,
    /// Effective (default): command and args of the container over ENTRYPOINT and CMD of the image. Image: ENTRYPOINT and CMD alone.
    #[serde(default)]
    pub source: Source,
}

/// The working directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct WorkingDirRule {
    /// One of these paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub one_of: Vec<String>,
    /// Effective (default): workingDir of the container, then WORKDIR of the image. Image: WORKDIR alone.
    #[serde(default)]
    pub source: Source,
}

/// How old the image may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgeRule {
    /// The longest time since the image was created: 90d, 12w, 36h; units w, d, h, m, s. An image that does not say when it was created does not pass.
    #[schemars(length(min = 1, max = 64))]
    pub max: String,
}

/// How large the image may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct SizeRule {
    /// The largest sum of the compressed layers, as a quantity: 2Gi, 500Mi, 1G.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub max_compressed: Option<String>,
    /// The largest number of layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("format" = "int32"))]
    pub max_layers: Option<u32>,
}

/// Platforms that the image must be there for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct PlatformsRule {
    /// Platforms as os/architecture[/variant]: linux/amd64, linux/arm64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub required: Vec<String>,
}

/// How the Pod names the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct ReferenceRule {
    /// By digest, which cannot move.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub digest: bool,
    /// From one of these registries: globs over the domain, such as registry.acme.io, *.acme.io or docker.io.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub registries: Vec<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagsRule>,
}

/// Tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct TagsRule {
    /// Globs over the tag. A name without tag and digest means latest; a tag beside a digest is not used, and not judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub forbidden: Vec<String>,
}

/// What the image says it was built on. It is the image's own word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct BaseRule {
    /// Globs over org.opencontainers.image.base.name, such as docker.io/library/debian:*.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub names: Vec<String>,
    /// Values of org.opencontainers.image.base.digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub digests: Vec<String>,
}

fn yes() -> bool {
    true
}
