//! Which entries of an index the nodes would run: the order of containerd's `platformVector`, and
//! Windows' rules for its builds.

use super::{Platform, PlatformFilter};
use std::collections::BTreeSet;

/// Windows Server 2022: the first build that also runs older containers.
const LTSC_2022: u16 = 20348;
/// Windows Server 2025.
const LTSC_2025: u16 = 26100;

// === impl PlatformFilter ===

impl PlatformFilter {
    /// Whether a Pod with these constraints could land on a node of `platform`. A part that the
    /// platform leaves empty is not known, so it excludes nothing.
    #[must_use]
    pub fn allows(&self, platform: &Platform) -> bool {
        let unknown_or = |value: &str, allows: bool| value.is_empty() || allows;
        self.terms.is_empty()
            || self.terms.iter().any(|term| {
                unknown_or(&platform.os, term.os.allows(&platform.os))
                    && unknown_or(&platform.architecture, term.architecture.allows(&platform.architecture))
            })
    }

    /// Which entries of an index are judged: positions in `entries`, in order, each once.
    ///
    /// `entries` are the platforms of the index's runnable descriptors (none: the entry names no
    /// platform). With `nodes`, each node platform that the Pod's terms allow chooses as containerd's
    /// `Only` would: the best platform, of equals the first. Entries without a platform are its last
    /// resort, and then all of them are chosen (whether their configs fit is seen later). Two things
    /// make it choose more than one: Windows entries of equal rank, because versions of containerd
    /// differ in their order; and entries that ask for `os.features`, which some versions skip.
    ///
    /// Without `nodes`, every entry is chosen that some node could run which the terms allow: an
    /// entry for 386 counts for amd64 nodes if there is no plain amd64 entry, arm likewise for arm64.
    ///
    /// A single manifest is one entry without a platform: every node gets it.
    #[must_use]
    pub fn choose(&self, entries: &[Option<Platform>]) -> Vec<usize> {
        let Some(nodes) = &self.nodes else {
            let reachable = |entry: &Option<Platform>| {
                entry
                    .as_ref()
                    .is_none_or(|platform| self.allows(platform) || self.falls_back(platform, entries))
            };
            return (0..entries.len()).filter(|at| reachable(&entries[*at])).collect();
        };
        let allowed = nodes.iter().filter(|node| self.allows(node));
        let chosen: BTreeSet<_> = allowed.flat_map(|node| chosen_by(node, entries)).collect();
        chosen.into_iter().collect()
    }

    /// Whether a 64-bit node that the terms allow would run this 32-bit entry for want of a better.
    fn falls_back(&self, entry: &Platform, entries: &[Option<Platform>]) -> bool {
        let wider = match entry.architecture.as_str() {
            "386" => "amd64",
            "arm" => "arm64",
            _ => return false,
        };
        let better = Platform::new(&entry.os, wider, None, None);
        let is_better = |other: &Platform| Platform { os_version: None, ..other.clone() } == better;
        self.allows(&better) && !entries.iter().flatten().any(is_better)
    }
}

/// Positions of the entries that `node` could run, were this the index.
fn chosen_by(node: &Platform, entries: &[Option<Platform>]) -> BTreeSet<usize> {
    let any = best(node, entries, |_| true);
    let plain = best(node, entries, |entry| entry.os_features.is_empty());
    let chosen: BTreeSet<_> = any.into_iter().chain(plain).collect();
    if chosen.is_empty() {
        return (0..entries.len()).filter(|at| entries[*at].is_none()).collect();
    }
    chosen
}

fn best(node: &Platform, entries: &[Option<Platform>], counts: impl Fn(&Platform) -> bool) -> Vec<usize> {
    let vector = nodes_run(node);
    let rank = |entry: &Platform| {
        let same_os = entry.os.is_empty() || entry.os == node.os;
        let place = |(architecture, variant): &(&str, Option<String>)| {
            *architecture == entry.architecture && *variant == entry.variant
        };
        (same_os && versions_agree(node, entry)).then(|| vector.iter().position(place)).flatten()
    };
    let ranks: Vec<(usize, usize)> = entries
        .iter()
        .enumerate()
        .filter_map(|(at, entry)| Some((rank(entry.as_ref().filter(|entry| counts(entry))?)?, at)))
        .collect();
    let Some(first) = ranks.iter().map(|(rank, _)| *rank).min() else { return Vec::new() };
    let equals = ranks.into_iter().filter(|(rank, _)| *rank == first).map(|(_, at)| at);
    if node.os == "windows" { equals.collect() } else { equals.take(1).collect() }
}

/// Architectures and variants that a node of `platform` runs, best first: `platformVector`. Empty
/// for a variant of arm64 that containerd does not know.
pub(super) fn nodes_run(platform: &Platform) -> Vec<(&str, Option<String>)> {
    let own = (platform.architecture.as_str(), platform.variant.clone());
    match platform.architecture.as_str() {
        "amd64" => {
            let lesser = (1..number(platform).unwrap_or(1)).rev();
            let lesser = lesser.map(|n| ("amd64", (n > 1).then(|| format!("v{n}"))));
            [own].into_iter().chain(lesser).chain([("386", None)]).collect()
        }
        "arm" => {
            let lesser = (5..number(platform).unwrap_or(5)).rev();
            [own].into_iter().chain(lesser.map(|n| ("arm", Some(format!("v{n}"))))).collect()
        }
        "arm64" => {
            let Some(versions) = arm64_versions(platform.variant.as_deref()) else { return Vec::new() };
            let written = |(major, minor): (u8, u8)| match (major, minor) {
                (8, 0) => None,
                (major, 0) => Some(format!("v{major}")),
                (major, minor) => Some(format!("v{major}.{minor}")),
            };
            let wide = versions.into_iter().map(|version| ("arm64", written(version)));
            wide.chain((5..=8).rev().map(|n| ("arm", Some(format!("v{n}"))))).collect()
        }
        _ => vec![own],
    }
}

/// The number of `v3`.
fn number(platform: &Platform) -> Option<u8> {
    let variant = platform.variant.as_deref()?;
    variant.strip_prefix('v').unwrap_or(variant).parse().ok()
}

/// The versions that an arm64 variant runs, as major and minor. v9.x is v8.(x+5) and more.
fn arm64_versions(variant: Option<&str>) -> Option<Vec<(u8, u8)>> {
    let (major, minor) = match variant {
        None => (8, 0),
        Some(variant) => {
            let version = variant.strip_prefix('v')?;
            let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
            let is_digit = |text: &str| text.len() == 1 && text.as_bytes()[0].is_ascii_digit();
            if !is_digit(major) || !is_digit(minor) {
                return None;
            }
            (major.parse().ok()?, minor.parse().ok()?)
        }
    };
    let down = |major: u8, minor: u8| (0..=minor).rev().map(move |minor| (major, minor));
    match (major, minor) {
        (8, minor) => Some(down(8, minor).collect()),
        (9, minor @ ..=7) => Some(down(9, minor).chain(down(8, (minor + 5).min(9))).collect()),
        _ => None,
    }
}

/// Whether a Windows node's build runs the entry's; a build that is not known agrees with any.
fn versions_agree(node: &Platform, entry: &Platform) -> bool {
    if node.os != "windows" {
        return true;
    }
    let (Some(host), Some(version)) = (node.os_version.as_deref().and_then(build), &entry.os_version) else {
        return true;
    };
    let Some(container) = build(version) else { return false };
    if (host.0, host.1) != (container.0, container.1) {
        return false;
    }
    let oldest = match host.2 {
        ..LTSC_2022 => return host.2 == container.2,
        LTSC_2022..=LTSC_2025 => LTSC_2022,
        _ => LTSC_2025,
    };
    (oldest..=host.2).contains(&container.2)
}

/// Major, minor and build of `10.0.20348.2113`.
fn build(version: &str) -> Option<(u8, u8, u16)> {
    let mut parts = version.split('.');
    let mut digits = || parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    Some((digits()?.parse().ok()?, digits()?.parse().ok()?, digits()?.parse().ok()?))
}
