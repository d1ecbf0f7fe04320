//! The demo's images: good ones, and one for each way in which an image surprises its cluster.

use crate::image::Digest;
use serde_json::{Value, json};

/// An image as a registry stores it.
#[derive(Debug)]
pub(super) struct Image {
    /// `shop/web`
    pub(super) repository: String,
    /// `1.4`
    pub(super) tag: String,
    /// Media type and bytes; the tag points at the last.
    pub(super) manifests: Vec<(String, Vec<u8>)>,
    /// Config blobs.
    pub(super) blobs: Vec<Vec<u8>>,
}

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Every image of the demo.
pub(super) fn images() -> Vec<Image> {
    let owned = json!({
        "org.opencontainers.image.source": "https://git.example.com/shop",
        "team": "shop",
    });
    let good = json!({
        "User": "65532:65532", "Entrypoint": ["/app"], "Env": ["PATH=/usr/bin"],
        "StopSignal": "SIGTERM", "Labels": owned,
    });
    let with = |field: &str, value: Value| {
        let mut config = good.clone();
        config[field] = value;
        config
    };
    vec![
        multi("shop/web", "1.4", &[("amd64", &good), ("arm64", &good)]),
        single("shop/api", "2.0", &with("User", json!("10001"))),
        single("shop/legacy", "0.9", &json!({ "Cmd": ["/bin/sh"] })),
        multi("shop/worker", "3.1", &[("amd64", &good), ("arm64", &with("User", json!("")))]),
        single("shop/cron", "1.0", &with("User", json!("www-data"))),
        single("shop/batch", "5.2", &with("StopSignal", json!("SIGQIUT"))),
        single("shop/leaky", "1.1", &with("Env", json!(["AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI"]))),
        single("shop/overflow", "1.0", &with("User", json!("4294967296:0"))),
        single("tools/debug", "latest", &good),
    ]
}

fn single(repository: &str, tag: &str, config: &Value) -> Image {
    let (manifest, blob) = platform_image("amd64", config);
    Image {
        repository: repository.into(),
        tag: tag.into(),
        manifests: vec![(OCI_MANIFEST.into(), manifest)],
        blobs: vec![blob],
    }
}

/// An index with one image for each architecture and, as `BuildKit` makes it, an attestation entry.
fn multi(repository: &str, tag: &str, platforms: &[(&str, &Value)]) -> Image {
    let mut entries = Vec::new();
    let mut manifests = Vec::new();
    let mut blobs = Vec::new();
    for (architecture, config) in platforms {
        let (manifest, blob) = platform_image(architecture, config);
        let mut entry = descriptor(OCI_MANIFEST, &manifest);
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entries.push(entry);
        manifests.push((OCI_MANIFEST.to_owned(), manifest));
        blobs.push(blob);
    }
    let mut attestation = descriptor(OCI_MANIFEST, b"attestation");
    attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    attestation["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
    entries.push(attestation);
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    manifests.push((OCI_INDEX.into(), index.to_string().into_bytes()));
    Image { repository: repository.into(), tag: tag.into(), manifests, blobs }
}

/// A manifest and its config blob.
fn platform_image(architecture: &str, config: &Value) -> (Vec<u8>, Vec<u8>) {
    let layer = format!("layer of {architecture}");
    let blob = json!({
        "architecture": architecture,
        "os": "linux",
        "created": "2026-11-01T08:00:00Z",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [Digest::sha256(layer.as_bytes()).to_string()] },
    })
    .to_string()
    .into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, &blob),
        "layers": [descriptor(OCI_LAYER, layer.as_bytes())],
    });
    (manifest.to_string().into_bytes(), blob)
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({
        "mediaType": media_type,
        "digest": Digest::sha256(content).to_string(),
        "size": content.len(),
    })
}
