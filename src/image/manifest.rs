//! Manifests and indexes, OCI's and Docker's, read as containerd reads them.

use super::{Digest, MediaType, Platform};
use std::collections::BTreeMap;

/// A descriptor (image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: MediaType,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// The platform, in an index; none where it is missing.
    pub platform: Option<Platform>,
    /// `artifactType`, in an index.
    pub artifact_type: Option<String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Content embedded as `data`, kept only if size and digest agree.
    pub data: Option<Vec<u8>>,
}

/// An image manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The manifest's media type.
    pub media_type: MediaType,
    /// The config's descriptor.
    pub config: Descriptor,
    /// The layers' descriptors, base first.
    pub layers: Vec<Descriptor>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// `artifactType`, where given.
    pub artifact_type: Option<String>,
}

/// An image index or manifest list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The index's media type.
    pub media_type: MediaType,
    /// Its descriptors.
    pub manifests: Vec<Descriptor>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What a registry serves under `/manifests/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// One image (or an artifact).
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDocument {
    /// Two readers would read it differently.
    #[error("ambiguous: {0}")]
    Ambiguous(String),
    /// Docker schema 1.
    #[error("is a Docker schema 1 manifest, which container runtimes no longer run")]
    Schema1,
    /// A count or a depth beyond the limit.
    #[error("too large: {0}")]
    TooLarge(String),
    /// Not a manifest at all.
    #[error("invalid: {0}")]
    Invalid(String),
}

impl Document {
    /// Reads a manifest or an index. `content_type` is the response's header, where there is one;
    /// all evidence (header, `mediaType`, structure) must agree. The caller has verified the digest.
    ///
    /// # Errors
    /// [`InvalidDocument`] when the bytes are ambiguous, schema 1, beyond the limits or malformed.
    pub fn parse(_bytes: &[u8], _content_type: Option<&str>) -> Result<Self, InvalidDocument> {
        todo!()
    }
}

impl Descriptor {
    /// Whether an index's entry can run: not an attestation (`unknown/unknown`, BuildKit's
    /// annotation) and not an artifact.
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        todo!()
    }
}

impl Manifest {
    /// The config's media type if it is not an image's config: this is an artifact, not an image.
    #[must_use]
    pub fn artifact(&self) -> Option<&str> {
        todo!()
    }

    /// Compressed size of all layers in bytes.
    #[must_use]
    pub fn compressed_size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add)
    }
}
