//! Platforms: os/architecture/variant, normalised and matched as containerd does
//! (containerd/platforms: `Normalize`, `Only`).

use std::{collections::BTreeSet, fmt, str::FromStr};

/// A normalised platform: `linux/arm64/v8` and `linux/aarch64` are one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`, `windows`, …
    pub os: String,
    /// GOARCH: `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, …; none where the normal form has none.
    pub variant: Option<String>,
    /// Windows' build (`10.0.20348.2113`), else none.
    pub os_version: Option<String>,
}

/// Why a string is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPlatform(pub String);

/// A set of label values that a node may have: `In`, `NotIn`, or anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// If given, only these.
    pub only: Option<BTreeSet<String>>,
    /// Never these.
    pub except: BTreeSet<String>,
}

/// One alternative of a Pod's constraints: its os and its architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformTerm {
    /// Operating systems.
    pub os: Allowed,
    /// Architectures.
    pub architecture: Allowed,
}

/// The platforms that an image is judged on.
///
/// The default is every runnable platform of the image. `nodes` (from `--platforms`, later from the
/// cluster's Nodes) and `terms` (from the Pod) narrow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformFilter {
    /// The platforms of the nodes that there are; none: not known, so any.
    pub nodes: Option<Vec<Platform>>,
    /// Alternatives (OR) that the Pod allows; empty: any.
    pub terms: Vec<PlatformTerm>,
}

impl Platform {
    /// The normal form of its parts, as containerd's `Normalize`.
    #[must_use]
    pub fn new(_os: &str, _architecture: &str, _variant: Option<&str>, _os_version: Option<&str>) -> Self {
        todo!()
    }
}

impl Allowed {
    /// Whether `value` is allowed.
    #[must_use]
    pub fn allows(&self, value: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(value)) && !self.except.contains(value)
    }
}

impl PlatformFilter {
    /// Whether a Pod with these constraints could land on a node of `platform`.
    #[must_use]
    pub fn allows(&self, platform: &Platform) -> bool {
        self.terms.is_empty()
            || self
                .terms
                .iter()
                .any(|term| term.os.allows(&platform.os) && term.architecture.allows(&platform.architecture))
    }

    /// Which entries of an index are judged: positions in `entries`, in order, each once.
    ///
    /// `entries` are the platforms of the index's runnable descriptors (none: the entry names no
    /// platform). With `nodes`, each node platform chooses as containerd's `Only` would; without,
    /// every entry that the Pod's terms allow is chosen.
    #[must_use]
    pub fn choose(&self, _entries: &[Option<Platform>]) -> Vec<usize> {
        todo!()
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(_s: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
