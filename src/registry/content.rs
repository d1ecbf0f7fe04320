//! What is known of a manifest's digest, in the form in which it is kept: all that is judged, and no more.

use crate::image::{
    Descriptor, Digest, Document, ImageConfig, Index, InvalidDocument, MediaType, Platform, PlatformImage,
    TextMap, memory,
};
use std::{mem::size_of, sync::Arc};

/// A document that was verified and read.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) digest: Digest,
    /// Its length in bytes: a descriptor must say the same.
    pub(super) length: u64,
    pub(super) known: Known,
}

/// What a document is.
#[derive(Debug)]
pub(super) enum Known {
    /// Several images.
    Index(KnownIndex),
    /// One image, its config included.
    Image {
        image: Arc<PlatformImage>,
        /// Whether the manifest holds the config itself, so that there may be no blob of it.
        inline: bool,
    },
    /// Something else, of this type.
    Artifact(String),
}

/// An index.
#[derive(Debug)]
pub(super) struct KnownIndex {
    pub(super) media_type: MediaType,
    pub(super) annotations: TextMap,
    /// How many entries it has, runnable or not.
    pub(super) listed: usize,
    /// Those that a node could run.
    pub(super) leaves: Vec<Leaf>,
}

/// What an index says of one of its manifests.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) child: Child,
    pub(super) platform: Option<Platform>,
}

/// A manifest that is named by a descriptor: its size must be right, too. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) media_type: MediaType,
    pub(super) data: Option<Arc<[u8]>>,
}

/// A document as it was served, before an image's config is there.
pub(super) enum Served {
    /// It needs nothing more.
    Whole(Content),
    /// An image, whose config is to be fetched.
    Image(Box<Unfinished>),
}

/// An image without its config.
pub(super) struct Unfinished {
    digest: Digest,
    length: u64,
    media_type: MediaType,
    annotations: TextMap,
    layer_sizes: Vec<u64>,
    pub(super) config: Descriptor,
}

impl Served {
    /// Reads what has been verified to have `digest`.
    pub(super) fn read(
        digest: Digest,
        bytes: &[u8],
        content_type: Option<&str>,
    ) -> Result<Self, InvalidDocument> {
        let length = bytes.len() as u64;
        let whole = |digest, known| Self::Whole(Content { digest, length, known });
        Ok(match Document::parse(bytes, content_type)? {
            Document::Index(index) => whole(digest, Known::Index(index.into())),
            Document::Manifest(manifest) => match manifest.artifact() {
                Some(artifact) => whole(digest, Known::Artifact(artifact.to_owned())),
                None => Self::Image(Box::new(Unfinished {
                    digest,
                    length,
                    media_type: manifest.media_type,
                    annotations: manifest.annotations.into_iter().collect(),
                    layer_sizes: manifest.layers.iter().map(|layer| layer.size).collect(),
                    config: manifest.config,
                })),
            },
        })
    }
}

impl Unfinished {
    pub(super) fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// With its config, which was verified as well.
    /// The whole of it is kept if `raw` is given.
    pub(super) fn with(self, config: ImageConfig, raw: Option<&[u8]>) -> Content {
        let image = PlatformImage {
            platform: config.platform(),
            manifest_digest: self.digest.clone(),
            media_type: self.media_type,
            annotations: self.annotations,
            layer_sizes: self.layer_sizes,
            config_digest: self.config.digest,
            config,
            raw_config: raw.map(Into::into),
        };
        let known = Known::Image { image: Arc::new(image), inline: self.config.data.is_some() };
        Content { digest: self.digest, length: self.length, known }
    }
}

impl Content {
    /// Whether nothing of it was left out.
    pub(super) fn is_whole(&self) -> bool {
        match &self.known {
            Known::Image { image, .. } => image.raw_config.is_some(),
            Known::Index(_) | Known::Artifact(_) => true,
        }
    }

    /// Roughly the bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        let known = match &self.known {
            Known::Image { image, .. } => image.memory(),
            Known::Artifact(artifact) => memory::text(artifact),
            Known::Index(index) => {
                memory::map(&index.annotations) + index.leaves.iter().map(Leaf::memory).sum::<usize>()
            }
        };
        size_of::<Self>() + memory::text(self.digest.hex()) + known
    }
}

impl Leaf {
    pub(super) fn is_index(&self) -> bool {
        matches!(self.child.media_type, MediaType::OciIndex | MediaType::DockerList)
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
            + memory::text(self.child.digest.hex())
            + self.child.data.as_ref().map_or(0, |data| data.len())
            + self.platform.as_ref().map_or(0, memory::platform)
    }
}

impl From<Index> for KnownIndex {
    fn from(index: Index) -> Self {
        let listed = index.manifests.len();
        let runnable = index.manifests.into_iter().filter(Descriptor::is_runnable);
        let leaves = runnable.map(|descriptor| Leaf {
            child: Child {
                digest: descriptor.digest,
                size: descriptor.size,
                media_type: descriptor.media_type,
                data: descriptor.data.map(Into::into),
            },
            platform: descriptor.platform,
        });
        Self {
            leaves: leaves.collect(),
            media_type: index.media_type,
            annotations: index.annotations.into_iter().collect(),
            listed,
        }
    }
}
