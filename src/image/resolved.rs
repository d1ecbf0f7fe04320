//! What resolving a reference gives: an image on each platform, or the reason why there is none.

use super::{Digest, ImageConfig, MediaType, Platform, RawConfig, Reference, TextMap};
use std::{fmt, sync::Arc, time::Duration};

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
    pub index_annotations: TextMap,
    /// Every runnable platform that the index (or the single config) names, judged or not.
    pub available: Vec<Platform>,
    /// The images of the platforms that were asked for. Never empty.
    pub platforms: Vec<Arc<PlatformImage>>,
    /// Where the answer came from.
    pub freshness: Freshness,
    /// With what kind of credentials it was read.
    pub auth: AuthKind,
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
    pub annotations: TextMap,
    /// Compressed size of each layer in bytes, base first.
    pub layer_sizes: Vec<u64>,
    /// Digest of the config.
    pub config_digest: Digest,
    /// What the config says.
    pub config: ImageConfig,
    /// The config blob, byte for byte; none where nobody asked for it to be kept.
    pub raw_config: Option<RawConfig>,
}

/// With what kind of credentials a registry was asked, or would have been for what a cache had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthKind {
    /// None.
    #[default]
    Anonymous,
    /// A user name and a password.
    Basic,
    /// An `OAuth2` refresh token.
    IdentityToken,
    /// A bearer token, used as it is.
    RegistryToken,
}

impl AuthKind {
    /// A stable name for logs and reports: `anonymous`, `basic`, `identity-token`, `registry-token`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Basic => "basic",
            Self::IdentityToken => "identity-token",
            Self::RegistryToken => "registry-token",
        }
    }
}

/// Where a resolution came from. Of the parts of an image, the worst counts: see [`Freshness::worse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// From this process's memory.
    Cached {
        /// For how long the registry has not been asked.
        age: Duration,
    },
    /// From the cache that replicas share; the registry was asked a moment ago, as for [`Self::Cached`].
    Shared,
    /// From a cache, after the registry said that nothing has changed.
    Revalidated,
    /// The registry was asked for content.
    Fetched,
    /// From a cache although the registry could not be asked whether it still holds.
    Stale {
        /// For how long the registry has not been asked.
        age: Duration,
        /// Why it could not be asked now.
        failure: Arc<Unresolved>,
    },
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
pub enum UnresolvedKind {
    /// The image's name is not a reference.
    InvalidReference,
    /// The registry does not know the tag, the digest or the repository.
    NotFound,
    /// The registry wants other credentials: 401 or 403.
    Denied,
    /// The registry answered 429, or 503 with a time to come back.
    RateLimited {
        /// When to come back, if it said so.
        retry_after_seconds: Option<u32>,
    },
    /// No connection: DNS, refused, reset.
    Unreachable,
    /// No answer before the deadline.
    Timeout,
    /// The registry's certificate is not trusted, or it does not speak TLS.
    Tls,
    /// The registry answered with an error of its own (5xx), or with nonsense.
    ServerError,
    /// The bytes do not hash to their digest.
    DigestMismatch,
    /// A document beyond our limits.
    TooLarge,
    /// Docker's schema 1, which runtimes no longer run.
    UnsupportedSchema1,
    /// An artifact: a Helm chart, a signature.
    NotAnImage,
    /// The index has no image for a platform that the Pod could land on.
    NoMatchingPlatform,
    /// A document that two readers would read differently.
    Ambiguous,
    /// A config that no runtime could read.
    InvalidConfig,
    /// A manifest that no runtime could read.
    InvalidManifest,
    /// The registry's address is one that Hullmark does not connect to.
    AddressRefused,
    /// The registry is not one that may be asked.
    RegistryRefused,
    /// The settings for this registry cannot be used.
    Misconfigured,
}

impl PlatformImage {
    /// Compressed size of all layers in bytes.
    #[must_use]
    pub fn compressed_size(&self) -> u64 {
        self.layer_sizes.iter().copied().fold(0, u64::saturating_add)
    }
}

impl Freshness {
    /// A stable name for logs and reports: `cached`, `shared`, `revalidated`, `fetched`, `stale`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Cached { .. } => "cached",
            Self::Shared => "shared",
            Self::Revalidated => "revalidated",
            Self::Fetched => "fetched",
            Self::Stale { .. } => "stale",
        }
    }

    /// For how long the registry has not been asked; none if it was asked just now, or it is not known.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        match self {
            Self::Cached { age } | Self::Stale { age, .. } => Some(*age),
            Self::Shared | Self::Revalidated | Self::Fetched => None,
        }
    }

    /// The one of two that counts for the whole: stale before fetched, and so on up.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |freshness: &Self| match freshness {
            Self::Cached { .. } => 0,
            Self::Shared => 1,
            Self::Revalidated => 2,
            Self::Fetched => 3,
            Self::Stale { .. } => 4,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

impl UnresolvedKind {
    /// Whether the registry may be all right and only out of reach: what it said before is then the best
    /// that there is.
    #[must_use]
    pub fn is_outage(self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::ServerError | Self::RateLimited { .. })
    }

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
            Self::RegistryRefused => "RegistryRefused",
            Self::Misconfigured => "Misconfigured",
        }
    }

    /// The kind that [`Self::as_str`] names `name`; a rate limit without a time.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        const ALL: [UnresolvedKind; 19] = [
            UnresolvedKind::InvalidReference,
            UnresolvedKind::NotFound,
            UnresolvedKind::Denied,
            UnresolvedKind::RateLimited { retry_after_seconds: None },
            UnresolvedKind::Unreachable,
            UnresolvedKind::Timeout,
            UnresolvedKind::Tls,
            UnresolvedKind::ServerError,
            UnresolvedKind::DigestMismatch,
            UnresolvedKind::TooLarge,
            UnresolvedKind::UnsupportedSchema1,
            UnresolvedKind::NotAnImage,
            UnresolvedKind::NoMatchingPlatform,
            UnresolvedKind::Ambiguous,
            UnresolvedKind::InvalidConfig,
            UnresolvedKind::InvalidManifest,
            UnresolvedKind::AddressRefused,
            UnresolvedKind::RegistryRefused,
            UnresolvedKind::Misconfigured,
        ];
        ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What the reader can do next, as one short sentence.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        match self {
            Self::InvalidReference => "correct the image's name",
            Self::NotFound => "check the name and the tag, and that the image was pushed",
            Self::Denied => "check that the repository exists and that the pull secret may read it",
            Self::RateLimited { .. } => "wait, or pull with credentials that have a higher limit",
            Self::Unreachable => "check the registry's name, DNS, and that its egress is not blocked",
            Self::Timeout => "try again; if it goes on, look at the registry and at egress policies",
            Self::Tls => "look at the registry's certificate and at its hosts.toml",
            Self::ServerError => "try again; if it goes on, look at the registry's log",
            Self::DigestMismatch => "do not run it: the registry or a proxy before it changes content",
            Self::TooLarge => "rebuild the image with a smaller config or fewer platforms",
            Self::UnsupportedSchema1 => "push the image again with a current tool",
            Self::NotAnImage => "name an image: this is another kind of artifact",
            Self::NoMatchingPlatform => "build the image for that platform, or narrow the Pod's nodeSelector",
            Self::Ambiguous => "do not run it: rebuild the image with a standard tool",
            Self::InvalidConfig | Self::InvalidManifest => "rebuild the image with a standard tool",
            Self::AddressRefused => "check the registry's name; whoever runs Hullmark can allow the address",
            Self::RegistryRefused => "use an image of a registry that is allowed here",
            Self::Misconfigured => "correct the registry's hosts.toml",
        }
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Unresolved {}
