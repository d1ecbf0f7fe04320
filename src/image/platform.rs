//! Platforms: os/architecture/variant, normalised and matched as containerd does
//! (containerd/platforms: `Normalize`, `Only`).
//!
//! What surprises: a node runs images of lesser platforms too. An amd64 node takes a 386 image, an
//! arm64 node a 32-bit arm one, and arm/v7 takes v6, if the index has nothing better. Where runtimes
//! differ in what they would take, all that any of them could take is chosen to be judged.

use serde::{Serialize, Serializer};
use std::{collections::BTreeSet, fmt, str::FromStr};

mod choice;
#[cfg(test)]
mod tests;

/// Operating systems and architectures that Go builds for: what `FromStr` takes.
const KNOWN_OS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
const KNOWN_ARCHITECTURES: [&str; 18] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc", "ppc64",
    "ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc64", "wasm",
];

/// A normalised platform: `linux/arm64/v8` and `linux/aarch64` are one value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`, `windows`, …; empty where it is not known.
    pub os: String,
    /// GOARCH: `amd64`, `arm64`, …; empty where it is not known.
    pub architecture: String,
    /// `v7`, …; none where the normal form has none.
    pub variant: Option<String>,
    /// Windows' build (`10.0.20348.2113`), else none.
    pub os_version: Option<String>,
    /// `os.features` in order, each once, without `win32k`, which never decides.
    pub os_features: Vec<String>,
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

// === impl Platform ===

impl Platform {
    /// The normal form of its parts, as containerd's `Normalize`. An empty os or architecture stays
    /// empty (not known): Normalize would take the host's, and ours is not the node's.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>, os_version: Option<&str>) -> Self {
        let os = os.to_lowercase();
        let (architecture, variant) = normalise(architecture, variant.unwrap_or_default());
        Self {
            os: if os == "macos" { "darwin".to_owned() } else { os },
            architecture,
            variant: Some(variant).filter(|variant| !variant.is_empty()),
            os_version: os_version.filter(|version| !version.is_empty()).map(str::to_owned),
            os_features: Vec::new(),
        }
    }

    /// The same platform with `os.features`.
    #[must_use]
    pub fn with_os_features(mut self, features: impl IntoIterator<Item = String>) -> Self {
        let never_decides = |feature: &String| feature.is_empty() || feature == "win32k";
        let features: BTreeSet<_> = features.into_iter().filter(|f| !never_decides(f)).collect();
        self.os_features = features.into_iter().collect();
        self
    }

    /// Whether an index's entry of this platform can never be one of a node: `BuildKit` marks its
    /// attestations as `unknown/unknown`.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

/// Architecture and variant as `normalizeArch` writes them; an empty variant is the usual one.
fn normalise(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = (architecture.to_lowercase(), variant.to_lowercase());
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        as_it_is => as_it_is,
    };
    (architecture.to_owned(), variant.to_owned())
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    /// Reads `os/architecture[/variant]`, also `windows(10.0.20348)/amd64`, as a person writes it in
    /// flags and policies. Names that Go does not build for are refused: they would match nothing.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let invalid = |why: String| Err(InvalidPlatform(format!("{s:?} is not a platform: {why}")));
        let mut parts = s.split('/');
        let (system, architecture) = match (parts.next(), parts.next()) {
            (Some(system), Some(architecture)) => (system, architecture),
            _ if KNOWN_OS.contains(&Self::new(s, "", None, None).os.as_str()) => {
                return invalid(format!("the architecture is missing; write {s}/amd64"));
            }
            _ => return invalid("write os/architecture, such as linux/amd64".to_owned()),
        };
        let variant = parts.next();
        if parts.next().is_some() {
            return invalid("it has more than os/architecture/variant".to_owned());
        }
        let (os, options) = match system.split_once('(') {
            None => (system, ""),
            Some((os, options)) => match options.strip_suffix(')') {
                Some(options) => (os, options),
                None => return invalid("the bracket after its os is not closed before the slash".to_owned()),
            },
        };
        let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let mut options = options.split('+');
        let version = options.next().unwrap_or_default();
        let features: Vec<_> = options.map(str::to_owned).collect();
        if !is_plain(version) || features.iter().any(|feature| feature.is_empty() || !is_plain(feature)) {
            return invalid("the brackets hold a version and features: windows(10.0.20348+x)".to_owned());
        }
        let platform = Self::new(os, architecture, variant, Some(version)).with_os_features(features);
        if !KNOWN_OS.contains(&platform.os.as_str()) {
            return invalid(format!("{os:?} is not an operating system; linux and windows are"));
        }
        if !KNOWN_ARCHITECTURES.contains(&platform.architecture.as_str()) {
            return invalid(format!("{architecture:?} is not an architecture; amd64, arm64 and others are"));
        }
        if variant == Some("") || !platform.has_known_variant() {
            let (architecture, variant) = (&platform.architecture, variant.unwrap_or_default());
            return invalid(format!("{architecture} has no variant {variant:?}"));
        }
        Ok(platform)
    }
}

impl Platform {
    fn has_known_variant(&self) -> bool {
        let Some(variant) = self.variant.as_deref() else { return true };
        match self.architecture.as_str() {
            "amd64" => matches!(variant, "v2" | "v3" | "v4"),
            "386" => false,
            "arm" => matches!(variant, "v5" | "v6" | "v7" | "v8"),
            "arm64" => !choice::nodes_run(self).is_empty(),
            _ => variant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)),
        }
    }
}

impl fmt::Display for Platform {
    /// As containerd's `FormatAll`: `linux/arm/v7`, `windows(10.0.20348)/amd64`. Parts are foreign
    /// text, so control characters are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part =
            |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.escape_debug().to_string() };
        f.write_str(&part(&self.os))?;
        if self.os_version.is_some() || !self.os_features.is_empty() {
            write!(f, "({}", self.os_version.as_deref().unwrap_or_default().escape_debug())?;
            for feature in &self.os_features {
                write!(f, "+{}", feature.escape_debug())?;
            }
            f.write_str(")")?;
        }
        write!(f, "/{}", part(&self.architecture))?;
        match &self.variant {
            Some(variant) => write!(f, "/{}", variant.escape_debug()),
            None => Ok(()),
        }
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl Allowed ===

impl Allowed {
    /// Whether `value` is allowed.
    #[must_use]
    pub fn allows(&self, value: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(value)) && !self.except.contains(value)
    }
}
