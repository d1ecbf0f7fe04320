//! Inline images as a registry would serve them: made into bytes, and read by the code that reads those.

use super::file::ImageFixture;
use crate::{
    credential::{Access, Credentials},
    image::{
        AuthKind, Digest, Document, Freshness, ImageConfig, MediaType, Platform, PlatformFilter,
        PlatformImage, Reference, ResolvedImage, TextMap, Unresolved, UnresolvedKind,
    },
    review::{FindCredentials, ResolveImage},
    workload::Workload,
};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;

/// The images of one file, by normalised reference.
#[derive(Debug, Default)]
pub(super) struct Fixtures {
    images: BTreeMap<String, Result<ResolvedImage, Unresolved>>,
    /// What was asked for and has no fixture.
    missing: Mutex<BTreeSet<String>>,
}

/// No credentials are needed to read a file.
#[derive(Debug)]
pub(super) struct NoCredentials;

impl FindCredentials for NoCredentials {
    async fn find(&self, _: &Reference, _: Option<&Workload>) -> Vec<Credentials> {
        Vec::new()
    }
}

impl Fixtures {
    /// Makes every image. The same reference written in two ways is an error.
    pub(super) fn new(fixtures: &BTreeMap<String, ImageFixture>) -> Result<Self> {
        let mut images = BTreeMap::new();
        for (name, fixture) in fixtures {
            let context = || format!("images.{name}");
            let reference: Reference = name.parse().with_context(context)?;
            let image = resolved(&reference, fixture).with_context(context)?;
            if images.insert(reference.to_string(), image).is_some() {
                bail!("images.{name}: {reference} is there twice");
            }
        }
        Ok(Self { images, missing: Mutex::default() })
    }

    /// What was asked for without a fixture since the last call.
    pub(super) fn take_missing(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.missing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolveImage for Fixtures {
    async fn resolve(
        &self,
        reference: &Reference,
        platforms: &PlatformFilter,
        _: &Access,
        _: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        match self.images.get(&reference.to_string()) {
            Some(Ok(image)) => narrowed(image, platforms).map(Arc::new),
            Some(Err(unresolved)) => Err(unresolved.clone()),
            None => {
                let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
                missing.insert(reference.to_string());
                Err(unresolved(UnresolvedKind::NotFound, "it has no fixture"))
            }
        }
    }
}

/// What a registry's answer would be narrowed to.
fn narrowed(image: &ResolvedImage, filter: &PlatformFilter) -> Result<ResolvedImage, Unresolved> {
    let entries: Vec<Option<Platform>> = image.platforms.iter().map(|image| image.platform.clone()).collect();
    let platforms: Vec<_> =
        filter.choose(&entries).into_iter().map(|at| Arc::clone(&image.platforms[at])).collect();
    if platforms.is_empty() {
        return Err(unresolved(UnresolvedKind::NoMatchingPlatform, "no image for a platform of the Pod"));
    }
    Ok(ResolvedImage { platforms, ..image.clone() })
}

fn unresolved(kind: UnresolvedKind, detail: &str) -> Unresolved {
    Unresolved { kind, host: None, status: None, detail: detail.to_owned() }
}

fn resolved(reference: &Reference, fixture: &ImageFixture) -> Result<Result<ResolvedImage, Unresolved>> {
    if let Some(kind) = &fixture.unresolved {
        let kind = UnresolvedKind::named(kind)
            .ok_or_else(|| anyhow!("unresolved: no failure is called {kind:?}"))?;
        return Ok(Err(unresolved(kind, "the fixture says so")));
    }
    let is_index = !fixture.platforms.is_empty();
    let images = if is_index { fixture.platforms.iter().collect() } else { vec![fixture] };
    let platforms: Vec<_> =
        images.into_iter().map(|image| one_platform(image).map(Arc::new)).collect::<Result<_>>()?;
    let first = platforms.first().context("an image has a platform")?;
    Ok(Ok(ResolvedImage {
        reference: reference.clone(),
        digest: match reference.digest() {
            Some(digest) => digest.clone(),
            None if is_index => Digest::sha256(reference.to_string().as_bytes()),
            None => first.manifest_digest.clone(),
        },
        media_type: if is_index { MediaType::OciIndex } else { MediaType::OciManifest },
        index_annotations: if is_index { fixture.annotations.iter().collect() } else { TextMap::default() },
        available: platforms.iter().filter_map(|image| image.platform.clone()).collect(),
        platforms,
        freshness: Freshness::Fetched,
        auth: AuthKind::Anonymous,
    }))
}

fn one_platform(fixture: &ImageFixture) -> Result<PlatformImage> {
    let platform = fixture.platform.clone().unwrap_or_else(|| Platform::new("linux", "amd64", None, None));
    let raw = config_document(fixture, &platform)?;
    let config = ImageConfig::parse(&raw).context("config")?;
    let config_digest = Digest::sha256(&raw);
    let layers: Vec<Value> =
        fixture.layers.iter().map(|size| descriptor("layer", &config_digest, *size)).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": descriptor(MediaType::OciConfig.as_str(), &config_digest, raw.len() as u64),
        "layers": layers,
        "annotations": fixture.annotations,
    })
    .to_string();
    let Document::Manifest(read) = Document::parse(manifest.as_bytes(), None)? else {
        bail!("the fixture's manifest is read as an index");
    };
    Ok(PlatformImage {
        platform: Some(platform),
        manifest_digest: Digest::sha256(manifest.as_bytes()),
        media_type: read.media_type,
        annotations: read.annotations.into_iter().collect(),
        layer_sizes: read.layers.iter().map(|layer| layer.size).collect(),
        config_digest,
        config,
        raw_config: Some(raw.as_slice().into()),
    })
}

/// The config blob. A field of `config` that no image has is refused: a fixture with it would prove
/// nothing.
fn config_document(fixture: &ImageFixture, platform: &Platform) -> Result<Vec<u8>> {
    let config = fixture.config.clone().unwrap_or_default();
    for field in config.keys() {
        ImageConfig::check_field_name(field).map_err(|why| anyhow!("config: {why}"))?;
    }
    let mut document = fixture.document.clone();
    for (name, value) in [
        ("os", json!(platform.os)),
        ("architecture", json!(platform.architecture)),
        ("variant", json!(platform.variant)),
        ("os.version", json!(platform.os_version)),
        ("created", json!(fixture.created)),
        ("config", Value::Object(config)),
    ] {
        if document.insert(name.to_owned(), value).is_some() {
            bail!("document.{name}: has a place of its own in the fixture");
        }
    }
    Ok(serde_json::to_vec(&document)?)
}

fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}
