//! What was learned, and who may be told.
//!
//! Content is kept by its digest, for a digest's content never changes. It is given only to a
//! caller whose own credentials were seen to read that digest in that repository a short while ago:
//! otherwise one tenant could learn of another's images. What a tag points to is kept for a minute,
//! failures for seconds. This is the embedded tier; everything is bounded.

use super::{Digested, RateLimit, source::Source};
use crate::image::{Digest, Document, ImageConfig, Platform, PlatformImage, Unresolved, UnresolvedKind};
use moka::future::Cache;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Memory for documents and for configs, in bytes of their encoded form.
const CONTENT_BYTES: u64 = 64 * 1024 * 1024;
/// Most tags, permissions and failures that are remembered.
const RECORDS: u64 = 100_000;
/// How long credentials that could read a digest are taken to be good for it.
const ACCESS_LIFE: Duration = Duration::from_mins(5);
/// How much longer it is believed what a tag points to, where few requests are left.
const SPARING: u32 = 10;
/// How long a failure is told again without asking.
const FAILURE_LIFE: Duration = Duration::from_secs(3);

/// A manifest or an index that was verified and read.
#[derive(Debug)]
pub(super) struct StoredDocument {
    pub(super) digest: Digest,
    pub(super) document: Document,
    /// Its encoded length.
    pub(super) bytes: usize,
}

/// A config that was verified and read.
#[derive(Debug)]
pub(super) struct StoredConfig {
    pub(super) digest: Digest,
    pub(super) config: ImageConfig,
    pub(super) raw: Arc<[u8]>,
}

impl Digested for StoredDocument {
    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn length(&self) -> usize {
        self.bytes
    }

    fn weight(&self) -> usize {
        // The parsed form is a few times larger than the text.
        4 * self.bytes + 512
    }

    fn store(caches: &Caches) -> &Cache<Digest, Arc<Self>> {
        &caches.documents
    }
}

impl Digested for StoredConfig {
    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn length(&self) -> usize {
        self.raw.len()
    }

    fn weight(&self) -> usize {
        3 * self.raw.len() + 1024
    }

    fn store(caches: &Caches) -> &Cache<Digest, Arc<Self>> {
        &caches.configs
    }
}

/// A manifest's digest, and the platform that an index gives it.
pub(super) type ImageKey = (Digest, Option<Platform>);

/// The caches of a [`Registry`](super::Registry).
pub(super) struct Caches {
    documents: Cache<Digest, Arc<StoredDocument>>,
    configs: Cache<Digest, Arc<StoredConfig>>,
    images: Cache<ImageKey, Arc<PlatformImage>>,
    /// Until when it is believed, too.
    tags: Cache<String, (Digest, Instant)>,
    tag_life: Duration,
    /// The same, for longer: to be asked about, not to be believed.
    last_of_tags: Cache<String, Digest>,
    access: Cache<String, ()>,
    failures: Cache<String, Unresolved>,
}

fn by_weight<T: Digested>() -> Cache<Digest, Arc<T>> {
    Cache::builder()
        .max_capacity(CONTENT_BYTES)
        .weigher(|_, content: &Arc<T>| u32::try_from(content.weight()).unwrap_or(u32::MAX))
        .build()
}

fn records<T: Clone + Send + Sync + 'static>(life: Duration) -> Cache<String, T> {
    Cache::builder().max_capacity(RECORDS).time_to_live(life).build()
}

impl Caches {
    /// `tag_life`: how long it is believed what a tag points to.
    pub(super) fn new(tag_life: Duration) -> Self {
        Self {
            documents: by_weight(),
            configs: by_weight(),
            images: Cache::builder()
                .max_capacity(CONTENT_BYTES)
                .weigher(|_, image: &Arc<PlatformImage>| {
                    u32::try_from(3 * image.raw_config.len() + 1024).unwrap_or(u32::MAX)
                })
                .build(),
            tags: records(tag_life * SPARING),
            tag_life,
            last_of_tags: records(ACCESS_LIFE),
            access: records(ACCESS_LIFE),
            failures: records(FAILURE_LIFE),
        }
    }

    /// The content of `digest`, if `source` may read it.
    pub(super) async fn content<T: Digested>(&self, source: &Source, digest: &Digest) -> Option<Arc<T>> {
        self.access.get(&source.key(&digest.to_string())).await?;
        T::store(self).get(digest).await
    }

    /// Keeps content that `source` has just read.
    pub(super) async fn keep<T: Digested>(&self, source: &Source, content: &Arc<T>) {
        let digest = content.digest();
        self.access.insert(source.key(&digest.to_string()), ()).await;
        T::store(self).insert(digest.clone(), Arc::clone(content)).await;
    }

    /// An image, made of content that its asker has just been given.
    pub(super) async fn image(
        &self,
        key: ImageKey,
        make: impl FnOnce() -> PlatformImage,
    ) -> Arc<PlatformImage> {
        self.images.get_with(key, async { Arc::new(make()) }).await
    }

    /// What `tag` points to, as far as `source` was told.
    pub(super) async fn tag(&self, source: &Source, tag: &str) -> Option<Digest> {
        let (digest, until) = self.tags.get(&source.key(tag)).await?;
        (Instant::now() < until).then_some(digest)
    }

    /// What `tag` pointed to when it was asked last.
    pub(super) async fn last_of_tag(&self, source: &Source, tag: &str) -> Option<Digest> {
        self.last_of_tags.get(&source.key(tag)).await
    }

    /// `left`: what is left of the registry's limit on requests.
    pub(super) async fn keep_tag(
        &self,
        source: &Source,
        tag: &str,
        digest: &Digest,
        left: Option<RateLimit>,
    ) {
        let is_scarce = left.is_some_and(RateLimit::is_scarce);
        let life = if is_scarce { self.tag_life * SPARING } else { self.tag_life };
        self.last_of_tags.insert(source.key(tag), digest.clone()).await;
        self.tags.insert(source.key(tag), (digest.clone(), Instant::now() + life)).await;
    }

    /// A failure that is too fresh to ask again.
    pub(super) async fn failure(&self, source: &Source, what: &str) -> Option<Unresolved> {
        self.failures.get(&source.key_here(what)).await
    }

    /// Keeps a failure for a moment. A lack of time is the asker's own, so it is not kept.
    pub(super) async fn keep_failure(&self, source: &Source, what: &str, failure: &Unresolved) {
        if failure.kind != UnresolvedKind::Timeout {
            self.failures.insert(source.key_here(what), failure.clone()).await;
        }
    }
}
