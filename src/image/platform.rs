//! Platforms: os/architecture/variant, normalised and matched as containerd does
//! (containerd/platforms: `Normalize`, `Only`).

use serde::{Serialize, Serializer};
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
    pub fn new(os: &str, architecture: &str, variant: Option<&str>, os_version: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let (architecture, variant) = normal_form(
            &architecture.to_ascii_lowercase(),
            &variant.unwrap_or_default().to_ascii_lowercase(),
        );
        let os_version = os_version.filter(|version| !version.is_empty()).map(str::to_owned);
        Self { os, architecture, variant, os_version }
    }

    /// What a node of this platform can run, best first (containerd's `platformVector`): older
    /// variants, then 386 on amd64 and arm on arm64.
    fn runnable(&self) -> Vec<Self> {
        let with = |architecture: &str, variant: Option<String>| Self {
            os: self.os.clone(),
            architecture: architecture.to_owned(),
            variant,
            os_version: self.os_version.clone(),
        };
        let version =
            self.variant.as_deref().and_then(|variant| variant.strip_prefix('v')?.parse::<u32>().ok());
        let arm =
            |newest: u32| (5..=newest).rev().map(move |version| with("arm", Some(format!("v{version}"))));
        let mut all = vec![self.clone()];
        match self.architecture.as_str() {
            "amd64" => {
                all.extend(
                    (2..version.unwrap_or(1)).rev().map(|version| with("amd64", Some(format!("v{version}")))),
                );
                all.push(with("amd64", None));
                all.push(with("386", None));
            }
            "arm" => all.extend(arm(version.unwrap_or(7).saturating_sub(1))),
            "arm64" => {
                all.push(with("arm64", None));
                all.extend(arm(8));
            }
            _ => {}
        }
        all
    }

    /// Whether `entry` is this platform; Windows' builds must agree where both are known
    /// (the first three numbers).
    fn is(&self, entry: &Self) -> bool {
        let same =
            self.os == entry.os && self.architecture == entry.architecture && self.variant == entry.variant;
        same && match (&self.os_version, &entry.os_version) {
            (Some(mine), Some(theirs)) if self.os == "windows" => {
                mine.split('.').take(3).eq(theirs.split('.').take(3))
            }
            _ => true,
        }
    }
}

/// Architecture and variant as containerd's `normalizeArch` has them.
fn normal_form(architecture: &str, variant: &str) -> (String, Option<String>) {
    let (architecture, variant) = match (architecture, variant) {
        ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64", ""),
        ("x86_64" | "x86-64", other) => ("amd64", other),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0" | "") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64", other) => ("arm64", other),
        ("i386", _) => ("386", ""),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    (architecture.to_owned(), (!variant.is_empty()).then(|| variant.to_owned()))
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
    pub fn choose(&self, entries: &[Option<Platform>]) -> Vec<usize> {
        let chosen: BTreeSet<usize> = match &self.nodes {
            Some(nodes) => nodes
                .iter()
                .filter(|node| self.allows(node))
                .flat_map(|node| choose_for_node(node, entries))
                .collect(),
            None => (0..entries.len()).filter(|&at| self.may_run(entries, at)).collect(),
        };
        chosen.into_iter().collect()
    }

    /// Whether some node that the Pod's terms allow would run the entry: one of its own platform, or
    /// one that falls back to it because the index has nothing better (386 on amd64, arm on arm64).
    fn may_run(&self, entries: &[Option<Platform>], at: usize) -> bool {
        let Some(entry) = &entries[at] else { return true };
        let fallback_of = match entry.architecture.as_str() {
            "386" => "amd64",
            "arm" => "arm64",
            _ => return self.allows(entry),
        };
        let newer = Platform { architecture: fallback_of.to_owned(), variant: None, ..entry.clone() };
        let better =
            entries.iter().flatten().any(|other| other.os == entry.os && other.architecture == fallback_of);
        self.allows(entry) || (!better && self.allows(&newer))
    }
}

/// The entry that a node would run: the first of what it can run, best first; an entry that names no
/// platform is the last resort. On Windows several builds may match a node whose build is not known.
fn choose_for_node(node: &Platform, entries: &[Option<Platform>]) -> Vec<usize> {
    let matching = |wanted: &Platform| -> Vec<usize> {
        let matches = |entry: &Option<Platform>| entry.as_ref().is_some_and(|entry| wanted.is(entry));
        (0..entries.len()).filter(|&at| matches(&entries[at])).collect()
    };
    let found = node.runnable().iter().map(matching).find(|found| !found.is_empty());
    let mut found = found.unwrap_or_else(|| (0..entries.len()).filter(|&at| entries[at].is_none()).collect());
    if node.os != "windows" {
        found.truncate(1);
    }
    found
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || {
            InvalidPlatform(format!(
                "{text:?} is not a platform: write os/architecture or os/architecture/variant, such as linux/amd64"
            ))
        };
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        let mut parts = text.split('/');
        let (Some(os), Some(architecture), variant, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refuse());
        };
        let (os, version) = match os.split_once('(') {
            Some((os, version)) => (os, Some(version.strip_suffix(')').ok_or_else(refuse)?)),
            None => (os, None),
        };
        if ![Some(os), Some(architecture), variant, version].into_iter().flatten().all(is_part) {
            return Err(refuse());
        }
        Ok(Self::new(os, architecture, variant, version))
    }
}

impl fmt::Display for Platform {
    /// As containerd's `FormatAll`: `linux/arm/v7`, `windows(10.0.20348.2113)/amd64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if let Some(version) = &self.os_version {
            write!(f, "({version})")?;
        }
        write!(f, "/{}", self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
