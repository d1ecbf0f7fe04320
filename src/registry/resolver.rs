//! The walk: reference, manifest or index, one manifest for each platform, config.
//!
//! In go a reference and the platforms that are asked for, out comes a [`ResolvedImage`]. Platforms
//! are fetched side by side. Credentials are tried in order, as the kubelet tries them: the next
//! one after a 401 or 403, and no anonymous attempt if there are any.

use super::{
    SettingsError,
    cache::{StoredConfig, StoredDocument},
    client::{Client, Wanted},
    error::{deadline as deadline_passed, failure},
    hosts::{Endpoint, authority},
    registries::Registries,
    source::{Identities, Source},
    transport::Transport,
};
use crate::{
    credential::{Access, Credentials},
    image::{
        Descriptor, Digest, Document, Freshness, Index, Manifest, MediaType, Platform, PlatformFilter,
        PlatformImage, Reference, ResolvedImage, Unresolved, UnresolvedKind,
    },
};
use futures_util::future::try_join_all;
use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write,
    sync::Arc,
};
use tokio::time::{Instant, timeout_at};

/// Most credentials that are tried for one image.
const CREDENTIALS_LIMIT: usize = 5;
/// Most indexes on the way from the reference to a manifest.
const DEPTH_LIMIT: usize = 3;
/// Most manifests and indexes that are fetched for one image.
const DOCUMENTS_LIMIT: usize = 32;
/// Most platforms that an error text lists.
const LISTED: usize = 12;

/// Resolves references.
pub(super) struct Resolver {
    registries: Registries,
    transport: Arc<Transport>,
    client: Client,
    identities: Identities,
}

/// A manifest that an index names, with its platform.
struct Leaf {
    descriptor: Descriptor,
    platform: Option<Platform>,
}

/// One platform's image, and where its parts came from.
type Judged = (Arc<PlatformImage>, Freshness);

/// One walk, with one set of credentials.
struct Walk<'a> {
    client: &'a Client,
    source: Source,
    platforms: &'a PlatformFilter,
    deadline: Instant,
}

impl Resolver {
    pub(super) fn new(registries: Registries, transport: Arc<Transport>, client: Client) -> Self {
        Self { registries, transport, client, identities: Identities::default() }
    }

    pub(super) fn reload(&self) -> Result<bool, SettingsError> {
        self.transport.reload()
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.transport.hosts().notes()
    }

    pub(super) fn at_mirrors(&self, reference: &Reference) -> Vec<(String, Reference)> {
        self.transport.hosts().at_mirrors(reference)
    }

    pub(super) async fn resolve(
        &self,
        reference: &Reference,
        platforms: &PlatformFilter,
        access: &Access,
        deadline: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let domain = reference.domain();
        self.registries
            .check(reference)
            .map_err(|why| failure(UnresolvedKind::RegistryRefused, domain, why))?;
        let endpoints = self.transport.hosts().endpoints(domain, reference.digest().is_some());
        let endpoints = endpoints.map_err(|why| failure(UnresolvedKind::Misconfigured, domain, why))?;
        let mut of_mirrors = String::new();
        for (nth, endpoint) in endpoints.iter().enumerate() {
            let is_last = nth + 1 == endpoints.len();
            // A mirror that is slow must leave time for what comes after it.
            let left = deadline.saturating_duration_since(Instant::now());
            let until = if is_last { deadline } else { deadline - left / 2 };
            let credentials = if endpoint.trusted {
                Some(&access.registry)
            } else {
                access.mirrors.get(&authority(&endpoint.base))
            };
            let credentials = credentials.map_or(&[][..], Vec::as_slice);
            let tries = self.tries(reference, platforms, credentials, endpoint, until);
            let result = timeout_at(until, tries).await;
            match result.unwrap_or_else(|_| Err(deadline_passed(&authority(&endpoint.base)))) {
                Err(failed) if !is_last => {
                    let _ = write!(of_mirrors, " (before, a mirror: {})", failed.detail);
                }
                Err(failed) => {
                    return Err(Unresolved { detail: failed.detail + &of_mirrors, ..failed });
                }
                Ok(image) => return Ok(image),
            }
        }
        // There is always the registry itself.
        Err(failure(UnresolvedKind::Misconfigured, domain, "there is no host to ask"))
    }

    async fn tries(
        &self,
        reference: &Reference,
        platforms: &PlatformFilter,
        credentials: &[Credentials],
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let mut tries: Vec<_> = credentials.iter().take(CREDENTIALS_LIMIT).map(Some).collect();
        if tries.is_empty() {
            tries.push(None);
        }
        let wanted = wanted(reference);
        let mut sources: Vec<_> = tries
            .into_iter()
            .map(|credentials| Source::new(endpoint.clone(), reference, credentials, &self.identities))
            .collect();
        // Those that were seen to read the image a moment ago need no other to fail first.
        for at in 0..sources.len() {
            if self.client.knows(&sources[at], &wanted).await {
                sources[..=at].rotate_right(1);
                break;
            }
        }
        let (count, mut denied) = (sources.len(), None);
        for source in sources {
            let walk = Walk { client: &self.client, source, platforms, deadline };
            match walk.resolve(reference, wanted.clone()).await {
                Err(failed) if failed.kind == UnresolvedKind::Denied => denied = Some(failed),
                result => return result.map(Arc::new),
            }
        }
        let mut denied = denied.expect("there is at least one try, and each that did not return was denied");
        if count > 1 {
            let _ = write!(denied.detail, " ({count} sets of credentials were tried)");
        }
        Err(denied)
    }
}

impl Walk<'_> {
    async fn resolve(&self, reference: &Reference, wanted: Wanted) -> Result<ResolvedImage, Unresolved> {
        let (root, freshness) = self.client.document(&self.source, wanted, self.deadline).await?;
        let resolved = |media_type: &MediaType| ResolvedImage {
            reference: reference.clone(),
            digest: root.digest.clone(),
            media_type: media_type.clone(),
            index_annotations: BTreeMap::new(),
            available: Vec::new(),
            platforms: Vec::new(),
            freshness,
        };
        match &root.document {
            Document::Manifest(manifest) => {
                let (image, config) = self.image(&root.digest, manifest, None).await?;
                let available = Vec::from_iter(image.platform.clone());
                let freshness = oldest(freshness, config);
                Ok(ResolvedImage {
                    available,
                    platforms: vec![image],
                    freshness,
                    ..resolved(&manifest.media_type)
                })
            }
            Document::Index(index) => {
                let (available, images) = self.index(&root.digest, index).await?;
                let freshness = images.iter().map(|(_, freshness)| *freshness).fold(freshness, oldest);
                Ok(ResolvedImage {
                    index_annotations: index.annotations.clone(),
                    available,
                    platforms: images.into_iter().map(|(image, _)| image).collect(),
                    freshness,
                    ..resolved(&index.media_type)
                })
            }
        }
    }

    /// The images of an index: every platform that there is, and those that were asked for.
    async fn index(
        &self,
        digest: &Digest,
        index: &Index,
    ) -> Result<(Vec<Platform>, Vec<Judged>), Unresolved> {
        let (leaves, indexes) = self.leaves(digest, index).await?;
        if leaves.is_empty() {
            let what = match index.manifests.len() {
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
    async fn leaves(&self, digest: &Digest, index: &Index) -> Result<(Vec<Leaf>, usize), Unresolved> {
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
            leaves.retain(|leaf| !leaf.is_index() || visited.insert(leaf.descriptor.digest.clone()));
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
        let (nested, _) = self.child(&leaf.descriptor).await?;
        match &nested.document {
            Document::Index(index) => Ok(entries(index, leaf.platform.as_ref())),
            Document::Manifest(_) => {
                let what = format!("names {} as an index, but it is a manifest", leaf.descriptor.digest);
                Err(self.failure(UnresolvedKind::Ambiguous, &what))
            }
        }
    }

    async fn child(&self, descriptor: &Descriptor) -> Result<(Arc<StoredDocument>, Freshness), Unresolved> {
        let wanted = Wanted::Child(Box::new(descriptor.clone()));
        self.client.document(&self.source, wanted, self.deadline).await
    }

    /// The image of one entry. None if the entry names no platform and turns out to be an artifact,
    /// or to be for a platform that was not asked for.
    async fn leaf(&self, leaf: &Leaf) -> Result<Option<Judged>, Unresolved> {
        let (stored, freshness) = self.child(&leaf.descriptor).await?;
        let Document::Manifest(manifest) = &stored.document else {
            let what = format!("names {} as a manifest, but it is an index", leaf.descriptor.digest);
            return Err(self.failure(UnresolvedKind::Ambiguous, &what));
        };
        if leaf.platform.is_none() && manifest.artifact().is_some() {
            return Ok(None);
        }
        let (image, config) = self.image(&stored.digest, manifest, leaf.platform.clone()).await?;
        let asked = leaf.platform.is_some()
            || !self.platforms.choose(std::slice::from_ref(&image.platform)).is_empty();
        Ok(asked.then(|| (image, oldest(freshness, config))))
    }

    async fn image(
        &self,
        digest: &Digest,
        manifest: &Manifest,
        platform: Option<Platform>,
    ) -> Result<Judged, Unresolved> {
        if let Some(artifact) = manifest.artifact() {
            let artifact = super::error::clean(artifact);
            let what = format!("is an artifact, not an image: its config is of type {artifact}");
            return Err(self.failure(UnresolvedKind::NotAnImage, &what));
        }
        let (stored, freshness) = self.client.config(&self.source, &manifest.config, self.deadline).await?;
        let key = (digest.clone(), platform.clone());
        let image = self.client.image(key, || assemble(digest, manifest, &stored, platform)).await;
        Ok((image, freshness))
    }

    fn failure(&self, kind: UnresolvedKind, what: &str) -> Unresolved {
        let Source { domain, path, .. } = &self.source;
        failure(kind, &self.source.host(), format!("{domain}/{path} {what}"))
    }
}

/// An image from its manifest and its config. The index's word on the platform comes first.
fn assemble(
    digest: &Digest,
    manifest: &Manifest,
    stored: &StoredConfig,
    platform: Option<Platform>,
) -> PlatformImage {
    let StoredConfig { digest: config_digest, config, raw } = stored;
    let own = || {
        let known = !config.os.is_empty() && !config.architecture.is_empty();
        known.then(|| {
            let (variant, version) = (config.variant.as_deref(), config.os_version.as_deref());
            Platform::new(&config.os, &config.architecture, variant, version)
        })
    };
    PlatformImage {
        platform: platform.or_else(own),
        manifest_digest: digest.clone(),
        media_type: manifest.media_type.clone(),
        annotations: manifest.annotations.clone(),
        layer_sizes: manifest.layers.iter().map(|layer| layer.size).collect(),
        config_digest: config_digest.clone(),
        config: config.clone(),
        raw_config: Arc::clone(raw),
    }
}

/// What a reference points at: its digest, else its tag.
fn wanted(reference: &Reference) -> Wanted {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => Wanted::Digest(digest.clone()),
        (None, tag) => Wanted::Tag(tag.unwrap_or("latest").to_owned()),
    }
}

impl Leaf {
    fn is_index(&self) -> bool {
        matches!(self.descriptor.media_type, MediaType::OciIndex | MediaType::DockerList)
    }
}

/// The runnable entries of an index; those without a platform have that of the entry above.
fn entries(index: &Index, above: Option<&Platform>) -> Vec<Leaf> {
    index
        .manifests
        .iter()
        .filter(|descriptor| descriptor.is_runnable())
        .map(|descriptor| Leaf {
            descriptor: descriptor.clone(),
            platform: descriptor.platform.clone().or_else(|| above.cloned()),
        })
        .collect()
}

/// The registry was asked if it was asked for any part.
fn oldest(a: Freshness, b: Freshness) -> Freshness {
    if a == Freshness::Cached { b } else { a }
}

fn no_match(available: &[Platform]) -> String {
    let listed: Vec<_> = available.iter().take(LISTED).map(|p| super::error::clean(&p.to_string())).collect();
    let more = if available.len() > LISTED { ", …" } else { "" };
    format!("has no image for the platforms asked for; there are {}{more}", listed.join(", "))
}
