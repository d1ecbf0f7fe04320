//! The image config, read as container runtimes read it: `config` and never `container_config`,
//! null is absent, ambiguity is refused (`reference/registry.md`, A10).

use super::{AmbiguousJson, InvalidStopSignal, StopSignal, User};
use std::collections::{BTreeMap, BTreeSet};

/// What an image's config says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// `os`, empty where missing.
    pub os: String,
    /// `architecture`, empty where missing.
    pub architecture: String,
    /// `variant`.
    pub variant: Option<String>,
    /// `os.version`.
    pub os_version: Option<String>,
    /// `author`.
    pub author: Option<String>,
    /// `created`.
    pub created: Created,
    /// `config.User`.
    pub user: User,
    /// `config.ExposedPorts`, in the order of their keys.
    pub exposed_ports: Vec<ExposedPort>,
    /// `config.Env` as written, in order.
    pub env: Vec<String>,
    /// `config.Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `config.Cmd`.
    pub cmd: Vec<String>,
    /// `config.Volumes`.
    pub volumes: BTreeSet<String>,
    /// `config.WorkingDir`, empty where missing.
    pub working_dir: String,
    /// `config.Labels`.
    pub labels: BTreeMap<String, String>,
    /// `config.StopSignal`: none where missing or empty, an error where no runtime knows it.
    pub stop_signal: Option<Result<StopSignal, InvalidStopSignal>>,
    /// `config.Healthcheck` (Docker's extension; Kubernetes never runs it).
    pub healthcheck: Option<Healthcheck>,
    /// `config.Shell` (Docker's extension).
    pub shell: Vec<String>,
    /// `config.OnBuild` (Docker's extension).
    pub on_build: Vec<String>,
}

/// When the image says it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Created {
    /// The field is missing or null.
    #[default]
    Unknown,
    /// A time that reproducible builds write instead of the real one (year 1, the Unix epoch, or
    /// 1980-01-01): it says nothing of the age.
    Placeholder(jiff::Timestamp),
    /// A real time.
    At(jiff::Timestamp),
    /// Not RFC 3339: as written.
    Invalid(String),
}

/// A key of `ExposedPorts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedPort {
    /// As written: `8080/tcp`.
    pub raw: String,
    /// First and last port and the protocol (`tcp` by default), if it can be read.
    pub range: Option<(u16, u16, String)>,
}

/// `config.Healthcheck`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `Test`.
    pub test: Vec<String>,
}

/// Why a config blob is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// Two readers would read it differently.
    #[error(transparent)]
    Ambiguous(#[from] AmbiguousJson),
    /// A runtime could not read it either: the field and why.
    #[error("invalid: {0}")]
    Invalid(String),
}

impl ImageConfig {
    /// Reads a config blob.
    ///
    /// # Errors
    /// [`InvalidConfig`] when the document is ambiguous or a field has a type that runtimes refuse.
    pub fn parse(_bytes: &[u8]) -> Result<Self, InvalidConfig> {
        todo!()
    }

    /// `Env` as a map: the last of duplicates wins, an entry without `=` has an empty value.
    #[must_use]
    pub fn env_map(&self) -> BTreeMap<&str, &str> {
        self.env.iter().map(|entry| entry.split_once('=').unwrap_or((entry, ""))).collect()
    }
}
