//! What resolving a reference gives: an image on each platform, or the reason why there is none.

use super::{Digest, ImageConfig, MediaType, Platform, Reference};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// A reference, resolved: digests and configs, one for each platform that was asked for.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// What was resolved.
    pub reference: Reference,
    /// Digest of the document that the reference points at: the index's, or the manifest's.
    pub digest: Digest,
    /// That document's media type.
    pub media_type: MediaType,
    /// The index's annotations; empty for a single manifest.
    pub index_annotations: BTreeMap<String, String>,
    /// Every runnable platform that the index (or the single config) names, judged or not.
    pub available: Vec<Platform>,
    /// The images of the platforms that were asked for. Never empty.
    pub platforms: Vec<Arc<PlatformImage>>,
    /// Where the answer came from.
    pub freshness: Freshness,
}

/// One platform's image.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// The platform: the index's entry, else the config's; none if neither names one.
    pub platform: Option<Platform>,
    /// Digest of the manifest.
    pub manifest_digest: Digest,
    /// Media type of the manifest.
    pub media_type: MediaType,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Compressed size of each layer in bytes, base first.
    pub layer_sizes: Vec<u64>,
    /// Digest of the config.
    pub config_digest: Digest,
    /// What the config says.
    pub config: ImageConfig,
    /// The config blob, byte for byte.
    pub raw_config: Arc<[u8]>,
}

/// Where a resolution came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The registry was asked.
    Fetched,
    /// From the cache.
    Cached,
}

/// Why an image could not be looked at. This is data: a policy's `onResolutionFailure` decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// What kind of failure.
    pub kind: UnresolvedKind,
    /// The host that was asked, where one was.
    pub host: Option<String>,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// What happened, short and clean: it is shown to whoever created the Pod.
    pub detail: String,
}

/// Kinds of failure: stable, for policies, metrics and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum UnresolvedKind {
    InvalidReference,
    NotFound,
    Denied,
    RateLimited { retry_after_seconds: Option<u32> },
    Unreachable,
    Timeout,
    Tls,
    ServerError,
    DigestMismatch,
    TooLarge,
    UnsupportedSchema1,
    NotAnImage,
    NoMatchingPlatform,
    Ambiguous,
    InvalidConfig,
    InvalidManifest,
    AddressRefused,
    Misconfigured,
}

impl PlatformImage {
    /// Compressed size of all layers in bytes.
    #[must_use]
    pub fn compressed_size(&self) -> u64 {
        self.layer_sizes.iter().copied().fold(0, u64::saturating_add)
    }
}

impl UnresolvedKind {
    /// A stable name for metrics, reports and policies: `NotFound`, `RateLimited`, …
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidReference => "InvalidReference",
            Self::NotFound => "NotFound",
            Self::Denied => "Denied",
            Self::RateLimited { .. } => "RateLimited",
            Self::Unreachable => "Unreachable",
            Self::Timeout => "Timeout",
            Self::Tls => "Tls",
            Self::ServerError => "ServerError",
            Self::DigestMismatch => "DigestMismatch",
            Self::TooLarge => "TooLarge",
            Self::UnsupportedSchema1 => "UnsupportedSchema1",
            Self::NotAnImage => "NotAnImage",
            Self::NoMatchingPlatform => "NoMatchingPlatform",
            Self::Ambiguous => "Ambiguous",
            Self::InvalidConfig => "InvalidConfig",
            Self::InvalidManifest => "InvalidManifest",
            Self::AddressRefused => "AddressRefused",
            Self::Misconfigured => "Misconfigured",
        }
    }

    /// What the reader can do next, as one short sentence.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        todo!()
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Unresolved {}
