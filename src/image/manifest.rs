//! Manifests and indexes, OCI's and Docker's, read as containerd reads them.

use super::{
    Digest, MediaType, Platform,
    json::{self, Fault, Node, Struct},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::collections::BTreeMap;

/// How many descriptors of an index or a manifest are read (real ones have some tens).
const MAX_DESCRIPTORS: usize = 1000;

const DOCUMENT_FIELDS: [&str; 14] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
    "history",
    "signatures",
    "name",
    "tag",
    "architecture",
];

const DESCRIPTOR_FIELDS: [&str; 8] =
    ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];

const PLATFORM_FIELDS: [&str; 6] = ["architecture", "os", "os.version", "os.features", "variant", "features"];

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
#[expect(clippy::large_enum_variant, reason = "held one at a time, never in long lists")]
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

impl From<Fault> for InvalidDocument {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Ambiguous(why) => Self::Ambiguous(why),
            Fault::Invalid(why) => Self::Invalid(why),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Index,
}

impl Document {
    /// Reads a manifest or an index. `content_type` is the response's header, where there is one;
    /// all evidence (header, `mediaType`, structure) must agree. The caller has verified the digest.
    ///
    /// # Errors
    /// [`InvalidDocument`] when the bytes are ambiguous, schema 1, beyond the limits or malformed.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, InvalidDocument> {
        let root = json::parse(bytes)?;
        let root = root.structure("", &DOCUMENT_FIELDS)?;
        let header = content_type.map(MediaType::parse).filter(|header| !header.is_generic());
        let own = root.string("mediaType")?.map(|own| MediaType::parse(&own)).filter(|own| !own.is_generic());
        let schema = root.unsigned("schemaVersion")?;
        let evidence: Vec<&MediaType> = header.iter().chain(&own).collect();
        let kind = Kind::of(&root, schema, &evidence)?;
        let annotations = root.string_map("annotations")?;
        let said = own.or(header);
        match kind {
            Kind::Index => Ok(Self::Index(Index {
                media_type: said.unwrap_or(MediaType::OciIndex),
                manifests: entries(&root)?,
                annotations,
            })),
            Kind::Manifest => Ok(Self::Manifest(Manifest {
                media_type: said.unwrap_or(MediaType::OciManifest),
                config: config(&root)?,
                layers: layers(&root)?,
                annotations,
                artifact_type: root.string("artifactType")?,
            })),
        }
    }
}

impl Kind {
    /// What all evidence agrees on.
    fn of(root: &Struct<'_>, schema: Option<u64>, evidence: &[&MediaType]) -> Result<Self, InvalidDocument> {
        let index = root.get("manifests").is_some();
        let manifest = root.get("config").is_some() || root.get("layers").is_some();
        let schema1 = root.get("fsLayers").is_some();
        if (index && manifest) || (schema1 && (index || manifest || schema == Some(2))) {
            return Err(InvalidDocument::Ambiguous(
                "it has the fields of more than one kind of manifest".into(),
            ));
        }
        let says_schema1 = evidence.contains(&&MediaType::DockerSchema1);
        if says_schema1 && (index || manifest) {
            return Err(InvalidDocument::Ambiguous(
                "its media type is schema 1's, its fields are not".into(),
            ));
        }
        // Runtimes do not look at schemaVersion, and some builders write 1 into a version 2 manifest.
        if schema1 || says_schema1 || (schema == Some(1) && !index && !manifest) {
            return Err(InvalidDocument::Schema1);
        }
        if let Some(other) = evidence.iter().find(|said| !said.is_index() && !said.is_manifest()) {
            return Err(InvalidDocument::Invalid(format!("its media type is {other}, which is no image's")));
        }
        let structure = (index || manifest).then_some(if index { Self::Index } else { Self::Manifest });
        let said = evidence.iter().map(|said| if said.is_index() { Self::Index } else { Self::Manifest });
        let mut all = structure.into_iter().chain(said);
        let Some(kind) = all.next() else {
            return Err(InvalidDocument::Invalid("neither a manifest nor an index".into()));
        };
        if all.any(|other| other != kind) {
            return Err(InvalidDocument::Ambiguous(
                "its media type and its fields disagree on whether it is an index".into(),
            ));
        }
        Ok(kind)
    }
}

fn config(root: &Struct<'_>) -> Result<Descriptor, InvalidDocument> {
    let missing = || InvalidDocument::Invalid("config: a manifest without a config".into());
    let node = root.get("config").ok_or_else(missing)?;
    let config = descriptor(node, "config")?;
    let fields = node.structure("config", &DESCRIPTOR_FIELDS)?;
    if fields.get("size").is_none() {
        return Err(InvalidDocument::Invalid("config.size: missing".into()));
    }
    Ok(config)
}

fn layers(root: &Struct<'_>) -> Result<Vec<Descriptor>, InvalidDocument> {
    let layers = bounded(root, "layers")?.iter().enumerate();
    layers.map(|(at, node)| Ok(descriptor(node, &format!("layers[{at}]"))?)).collect()
}

/// The entries of an index. One that can never run (an attestation) may have a digest that we cannot
/// verify: it is left out. Any other must be readable, or a platform would silently not be judged.
fn entries(root: &Struct<'_>) -> Result<Vec<Descriptor>, InvalidDocument> {
    let mut all = Vec::new();
    for (at, node) in bounded(root, "manifests")?.iter().enumerate() {
        let path = format!("manifests[{at}]");
        match descriptor(node, &path) {
            Ok(descriptor) => all.push(descriptor),
            Err(Fault::Invalid(_)) if never_runs(node, &path) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(all)
}

fn bounded<'a>(root: &Struct<'a>, name: &str) -> Result<&'a [Node], InvalidDocument> {
    let items = root.list(name)?.unwrap_or_default();
    if items.len() > MAX_DESCRIPTORS {
        return Err(InvalidDocument::TooLarge(format!(
            "{name} has {} entries, more than {MAX_DESCRIPTORS}",
            items.len()
        )));
    }
    Ok(items)
}

fn never_runs(node: &Node, path: &str) -> bool {
    node.structure(path, &DESCRIPTOR_FIELDS)
        .and_then(|fields| platform(&fields))
        .is_ok_and(|platform| platform.as_ref().is_some_and(Platform::is_unknown))
}

fn descriptor(node: &Node, path: &str) -> Result<Descriptor, Fault> {
    let fields = node.structure(path, &DESCRIPTOR_FIELDS)?;
    let digest = fields.string("digest")?.unwrap_or_default();
    let digest: Digest = digest.parse().map_err(|why| Fault::Invalid(format!("{path}.digest: {why}")))?;
    let size = fields.unsigned("size")?.unwrap_or_default();
    let data = fields
        .string("data")?
        .and_then(|data| STANDARD.decode(data).ok())
        .filter(|data| u64::try_from(data.len()) == Ok(size) && digest.matches(data));
    Ok(Descriptor {
        media_type: MediaType::parse(&fields.string("mediaType")?.unwrap_or_default()),
        digest,
        size,
        platform: platform(&fields)?,
        artifact_type: fields.string("artifactType")?,
        annotations: fields.string_map("annotations")?,
        data,
    })
}

/// The entry's platform; none where it is missing or says neither os nor architecture.
fn platform(fields: &Struct<'_>) -> Result<Option<Platform>, Fault> {
    let Some(platform) = fields.structure("platform", &PLATFORM_FIELDS)? else { return Ok(None) };
    let os = platform.string("os")?.unwrap_or_default();
    let architecture = platform.string("architecture")?.unwrap_or_default();
    if os.is_empty() && architecture.is_empty() {
        return Ok(None);
    }
    let (variant, version) = (platform.string("variant")?, platform.string("os.version")?);
    let named = Platform::new(&os, &architecture, variant.as_deref(), version.as_deref());
    Ok(Some(named.with_os_features(platform.strings("os.features")?)))
}

impl Descriptor {
    /// Whether some node could run an index's entry: not where its platform is `unknown`, as
    /// `BuildKit` marks attestations.
    ///
    /// Annotations and `artifactType` do not count: containerd chooses by the platform alone (its
    /// `images.Manifest`), so an entry could hide from us behind them and still be run. One whose
    /// media type is no document's fails there if it is chosen. An entry without a platform may turn
    /// out to be an artifact once its manifest is read ([`Manifest::artifact`]).
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        let document =
            self.media_type.is_index() || self.media_type.is_manifest() || self.media_type.is_generic();
        document && !self.platform.as_ref().is_some_and(Platform::is_unknown)
    }
}

impl Manifest {
    /// The type that makes it an artifact, not an image: `artifactType`, else a config media type that
    /// is no image's. Old pushers leave the config's type empty or generic: those are images.
    #[must_use]
    pub fn artifact(&self) -> Option<&str> {
        let config = &self.config.media_type;
        let image = matches!(config, MediaType::OciConfig | MediaType::DockerConfig) || config.is_generic();
        let artifact = self.artifact_type.as_deref().filter(|artifact| !artifact.is_empty());
        if image { None } else { Some(artifact.unwrap_or(config.as_str())) }
    }

    /// Compressed size of all layers in bytes.
    #[must_use]
    pub fn compressed_size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests;
