//! Documents for the servers to serve, honest ones and others.

use super::{Reply, Seen};
use hullmark::image::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What a registry has, by path below `/v2/`.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    content: BTreeMap<String, (String, Vec<u8>)>,
}

impl Shelf {
    /// A repository `app` with one image under the tag `1`.
    pub(super) fn with_image() -> Self {
        let mut shelf = Self::default();
        let manifest = shelf.add_image("app", "1000");
        shelf.add_tag("app", "1", &manifest);
        shelf
    }

    /// Puts a blob on the shelf and gives its descriptor.
    pub(super) fn add_blob(&mut self, repository: &str, media_type: &str, bytes: &[u8]) -> Value {
        self.put(&format!("{repository}/blobs/{}", Digest::sha256(bytes)), "application/octet-stream", bytes);
        descriptor(media_type, bytes)
    }

    /// Puts a manifest or an index on the shelf and gives its bytes.
    pub(super) fn add_document(&mut self, repository: &str, document: &Value) -> Vec<u8> {
        let bytes = document.to_string().into_bytes();
        let media_type = document["mediaType"].as_str().expect("a media type").to_owned();
        self.put(&format!("{repository}/manifests/{}", Digest::sha256(&bytes)), &media_type, &bytes);
        bytes
    }

    /// Puts an image with that user on the shelf and gives its manifest's bytes.
    pub(super) fn add_image(&mut self, repository: &str, user: &str) -> Vec<u8> {
        let config = json!({"os": "linux", "architecture": "amd64", "config": {"User": user}}).to_string();
        let config = self.add_blob(repository, CONFIG, config.as_bytes());
        self.add_document(repository, &manifest(&config))
    }

    pub(super) fn add_tag(&mut self, repository: &str, tag: &str, document: &[u8]) {
        let parsed: Value = serde_json::from_slice(document).expect("a document");
        let media_type = parsed["mediaType"].as_str().expect("a media type").to_owned();
        self.put(&format!("{repository}/manifests/{tag}"), &media_type, document);
    }

    pub(super) fn put(&mut self, path: &str, media_type: &str, bytes: &[u8]) {
        self.content.insert(path.to_owned(), (media_type.to_owned(), bytes.to_owned()));
    }

    /// What is there.
    pub(super) fn bytes(&self, path: &str) -> Vec<u8> {
        self.content[path].1.clone()
    }

    /// Answers as an honest registry without authentication.
    pub(super) fn serve(&self, seen: &Seen) -> Reply {
        let path = seen.target.split('?').next().unwrap_or_default().trim_start_matches("/v2/");
        match self.content.get(path) {
            Some((media_type, bytes)) => Reply::new(200, bytes.clone()).with("content-type", media_type),
            None => Reply::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}"#),
        }
    }
}

pub(super) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::sha256(bytes).to_string(), "size": bytes.len()})
}

pub(super) fn manifest(config: &Value) -> Value {
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b"layer");
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
}

pub(super) fn index(manifests: &Value) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
}

/// An index's entry for a platform.
pub(super) fn entry(media_type: &str, bytes: &[u8], platform: &str) -> Value {
    let mut entry = descriptor(media_type, bytes);
    let (os, architecture) = platform.split_once('/').expect("os/architecture");
    entry["platform"] = json!({"os": os, "architecture": architecture});
    entry
}
