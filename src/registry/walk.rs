//! The walk through one repository, with one set of credentials: the document that a reference points at, one manifest
//! for each platform, side by side.

use super::{
    cache::Wanted,
    client::Client,
    content::{Content, Known, KnownIndex, Leaf},
    error::{clean, failure},
    fetch::Found,
    source::Source,
};
use crate::image::{
    Digest, Freshness, MediaType, Platform, PlatformFilter, PlatformImage, Reference, ResolvedImage, TextMap,
    Unresolved, UnresolvedKind,
};
use futures_util::future::try_join_all;
use std::{collections::HashSet, sync::Arc};
use tokio::time::Instant;

/// Most indexes on the way from the reference to a manifest.
const DEPTH_LIMIT: usize = 3;
/// Most manifests and indexes that are fetched for one image.
const DOCUMENTS_LIMIT: usize = 32;
/// Most platforms that an error text lists.
const LISTED: usize = 12;

/// One platform's image, and where its parts came from.
type Judged = (Arc<PlatformImage>, Freshness);

/// One walk, with one set of credentials.
pub(super) struct Walk<'a> {
    pub(super) client: &'a Client,
    pub(super) source: Source,
    pub(super) platforms: &'a PlatformFilter,
    pub(super) asking: Asking,
}

/// Whom a walk may ask.
#[derive(Clone)]
pub(super) enum Asking {
    /// The registry, until then.
    Registry(Instant),
    /// Nobody, for this reason: what is known must do.
    Nobody(Arc<Unresolved>),
}

impl Walk<'_> {
    pub(super) async fn resolve(
        &self,
        reference: &Reference,
        wanted: &Wanted,
    ) -> Result<ResolvedImage, Unresolved> {
        let (root, freshness) = self.content(wanted).await?;
        let resolved = |media_type: &MediaType| ResolvedImage {
            reference: reference.clone(),
            digest: root.digest.clone(),
            media_type: media_type.clone(),
            index_annotations: TextMap::default(),
            available: Vec::new(),
            platforms: Vec::new(),
            freshness: freshness.clone(),
            auth: self.source.auth(),
        };
        match &root.known {
            Known::Artifact(artifact) => Err(self.artifact(artifact)),
            Known::Image { image, .. } => Ok(ResolvedImage {
                available: Vec::from_iter(image.platform.clone()),
                platforms: vec![Arc::clone(image)],
                ..resolved(&image.media_type)
            }),
            Known::Index(index) => {
                let (available, images) = self.index(&root.digest, index).await?;
                let mut found = ResolvedImage {
                    index_annotations: index.annotations.clone(),
                    available,
                    ..resolved(&index.media_type)
                };
                for (image, freshness) in images {
                    found.platforms.push(image);
                    found.freshness = found.freshness.worse(freshness);
                }
                Ok(found)
            }
        }
    }

    async fn content(&self, wanted: &Wanted) -> Found {
        match &self.asking {
            Asking::Registry(deadline) => self.client.content(&self.source, wanted, *deadline).await,
            Asking::Nobody(failure) => {
                let known = self.client.stale(&self.source, wanted, failure).await;
                known.ok_or_else(|| Unresolved::clone(failure))
            }
        }
    }

    /// The images of an index: every platform that there is, and those that were asked for.
    async fn index(
        &self,
        digest: &Digest,
        index: &KnownIndex,
    ) -> Result<(Vec<Platform>, Vec<Judged>), Unresolved> {
        let (leaves, indexes) = self.leaves(digest, index).await?;
        if leaves.is_empty() {
            let what = match index.listed {
                0 => "is an index without any entry",
                _ => "is an index without any image: it holds only attestations or artifacts",
            };
            return Err(self.failure(UnresolvedKind::NotAnImage, what));
        }
        let platforms: Vec<_> = leaves.iter().map(|leaf| leaf.platform.clone()).collect();
        let chosen = self.platforms.choose(&platforms);
        let mut available = Vec::new();
        for platform in platforms.into_iter().flatten() {
            if !available.contains(&platform) {
                available.push(platform);
            }
        }
        if chosen.len() + indexes > DOCUMENTS_LIMIT {
            let what = format!(
                "has {} platforms to look at, more than {DOCUMENTS_LIMIT}; name fewer with --platforms",
                chosen.len()
            );
            return Err(self.failure(UnresolvedKind::TooLarge, &what));
        }
        let chosen = chosen.into_iter().filter_map(|at| leaves.get(at));
        let found = try_join_all(chosen.map(|leaf| self.leaf(leaf))).await?;
        let images: Vec<_> = found.into_iter().flatten().collect();
        for platform in images.iter().filter_map(|(image, _)| image.platform.as_ref()) {
            if !available.contains(platform) {
                available.push(platform.clone());
            }
        }
        if images.is_empty() {
            return Err(self.failure(UnresolvedKind::NoMatchingPlatform, &no_match(&available)));
        }
        Ok((available, images))
    }

    /// Every runnable manifest below an index, and how many further indexes were read for it.
    /// Nested indexes are opened level by level, the entries of one in its place.
    async fn leaves(&self, digest: &Digest, index: &KnownIndex) -> Result<(Vec<Leaf>, usize), Unresolved> {
        let mut visited = HashSet::from([digest.clone()]);
        let mut leaves = entries(index, None);
        let mut opened = 1;
        for depth in 1.. {
            if !leaves.iter().any(Leaf::is_index) {
                break;
            }
            if depth >= DEPTH_LIMIT {
                let what = format!("nests indexes more than {DEPTH_LIMIT} deep");
                return Err(self.failure(UnresolvedKind::TooLarge, &what));
            }
            leaves.retain(|leaf| !leaf.is_index() || visited.insert(leaf.child.digest.clone()));
            opened += leaves.iter().filter(|leaf| leaf.is_index()).count();
            if opened > DOCUMENTS_LIMIT {
                let what = format!("consists of more than {DOCUMENTS_LIMIT} indexes");
                return Err(self.failure(UnresolvedKind::TooLarge, &what));
            }
            let level = try_join_all(leaves.into_iter().map(|leaf| self.open(leaf))).await?;
            leaves = level.into_iter().flatten().collect();
        }
        Ok((leaves, opened))
    }

    /// The entries of a nested index; a manifest stays as it is.
    async fn open(&self, leaf: Leaf) -> Result<Vec<Leaf>, Unresolved> {
        if !leaf.is_index() {
            return Ok(vec![leaf]);
        }
        let (nested, _) = self.child(&leaf).await?;
        match &nested.known {
            Known::Index(index) => Ok(entries(index, leaf.platform.as_ref())),
            Known::Image { .. } | Known::Artifact(_) => {
                let what = format!("names {} as an index, but it is a manifest", leaf.child.digest);
                Err(self.failure(UnresolvedKind::Ambiguous, &what))
            }
        }
    }

    async fn child(&self, leaf: &Leaf) -> Result<(Arc<Content>, Freshness), Unresolved> {
        self.content(&Wanted::Child(leaf.child.clone())).await
    }

    /// The image of one entry. None if the entry names no platform and turns out to be an artifact,
    /// or to be for a platform that was not asked for.
    async fn leaf(&self, leaf: &Leaf) -> Result<Option<Judged>, Unresolved> {
        let (content, freshness) = self.child(leaf).await?;
        let image = match &content.known {
            Known::Image { image, .. } => image,
            Known::Artifact(_) if leaf.platform.is_none() => return Ok(None),
            Known::Artifact(artifact) => return Err(self.artifact(artifact)),
            Known::Index(_) => {
                let what = format!("names {} as a manifest, but it is an index", leaf.child.digest);
                return Err(self.failure(UnresolvedKind::Ambiguous, &what));
            }
        };
        let asked = leaf.platform.is_some()
            || !self.platforms.choose(std::slice::from_ref(&image.platform)).is_empty();
        Ok(asked.then(|| (named(image, leaf.platform.as_ref()), freshness)))
    }

    fn artifact(&self, artifact: &str) -> Unresolved {
        let what = format!("is an artifact, not an image: its config is of type {}", clean(artifact));
        self.failure(UnresolvedKind::NotAnImage, &what)
    }

    fn failure(&self, kind: UnresolvedKind, what: &str) -> Unresolved {
        let Source { domain, path, .. } = &self.source;
        failure(kind, &self.source.host(), format!("{domain}/{path} {what}"))
    }
}

/// An image as an index names it: the index's word on the platform comes first.
fn named(image: &Arc<PlatformImage>, platform: Option<&Platform>) -> Arc<PlatformImage> {
    match platform {
        Some(_) if platform != image.platform.as_ref() => {
            Arc::new(PlatformImage { platform: platform.cloned(), ..PlatformImage::clone(image) })
        }
        _ => Arc::clone(image),
    }
}

/// The runnable entries of an index; those without a platform have that of the entry above.
fn entries(index: &KnownIndex, above: Option<&Platform>) -> Vec<Leaf> {
    let named = |leaf: &Leaf| Leaf {
        child: leaf.child.clone(),
        platform: leaf.platform.clone().or_else(|| above.cloned()),
    };
    index.leaves.iter().map(named).collect()
}

fn no_match(available: &[Platform]) -> String {
    let listed: Vec<_> = available.iter().take(LISTED).map(|p| clean(&p.to_string())).collect();
    let more = if available.len() > LISTED { ", …" } else { "" };
    format!("has no image for the platforms asked for; there are {}{more}", listed.join(", "))
}
