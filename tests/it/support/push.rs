//! Pushing through the registry's API (distribution-spec, "Push"): blobs first, then manifests.

use super::{
    Authority, Registry,
    images::{Entry, Format, Image, Index, platform_fields},
};
use reqwest::{StatusCode, header};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{future::Future, pin::Pin, sync::Arc};

/// What lies in the registry after a push.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    /// Digest of what was pushed under the reference: manifest or index.
    pub(crate) digest: String,
    /// Digest of the config; of an index: of its first image's config.
    pub(crate) config_digest: String,
    /// Each image's platform and config, in the order of the index.
    pub(crate) configs: Vec<(String, Vec<u8>)>,
    media_type: &'static str,
    size: usize,
}

/// `sha256:…` of `bytes`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

impl Image {
    /// Pushes the image as `name` (`demo/app:1`), or by its digest where `name` has no tag.
    pub(crate) async fn push(&self, registry: &Registry, name: &str) -> Pushed {
        let (repository, tag) = split(name);
        let target = Target::new(registry, repository);
        let mut layers = Vec::new();
        for layer in &self.layers {
            layers.push(target.blob(self.format.layer_type(), layer).await);
        }
        let config = target.blob(&self.config_type, &self.config).await;
        let config_digest = config["digest"].as_str().unwrap().to_owned();
        let media_type = self.format.manifest_type();
        let mut manifest =
            json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers });
        if !self.annotations.is_null() {
            manifest["annotations"] = self.annotations.clone();
        }
        let (digest, size) = target.manifest(tag, media_type, &manifest).await;
        let configs = vec![(self.platform.clone(), self.config.clone())];
        Pushed { digest, config_digest, configs, media_type, size }
    }
}

impl Index {
    /// Pushes every entry, then the index as `name`.
    pub(crate) async fn push(&self, registry: &Registry, name: &str) -> Pushed {
        let (repository, tag) = split(name);
        let mut descriptors: Vec<Value> = Vec::new();
        let mut configs = Vec::new();
        let mut config_digest = None;
        for entry in &self.entries {
            let (pushed, extra) = match entry {
                Entry::Image(image) => {
                    let platform = json!({ "platform": platform_fields(&image.platform) });
                    (image.push(registry, repository).await, platform)
                }
                Entry::Attestation => {
                    let subject = descriptors.last().expect("an attestation follows its image");
                    let extra = json!({
                        "platform": platform_fields("unknown/unknown"),
                        "annotations": {
                            "vnd.docker.reference.type": "attestation-manifest",
                            "vnd.docker.reference.digest": subject["digest"],
                        },
                    });
                    (attestation(self.format).push(registry, repository).await, extra)
                }
                Entry::Nested(index) => {
                    let nested: Pin<Box<dyn Future<Output = Pushed>>> =
                        Box::pin(index.push(registry, repository));
                    (nested.await, json!({}))
                }
            };
            let mut descriptor = extra;
            descriptor["mediaType"] = json!(pushed.media_type);
            descriptor["digest"] = json!(pushed.digest);
            descriptor["size"] = json!(pushed.size);
            descriptors.push(descriptor);
            if !matches!(entry, Entry::Attestation) {
                config_digest.get_or_insert(pushed.config_digest);
                configs.extend(pushed.configs);
            }
        }
        let media_type = self.format.index_type();
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": descriptors });
        let (digest, size) = Target::new(registry, repository).manifest(tag, media_type, &index).await;
        Pushed { digest, config_digest: config_digest.unwrap_or_default(), configs, media_type, size }
    }
}

/// What BuildKit adds beside an image: an image manifest whose "layer" is an in-toto statement.
fn attestation(format: Format) -> Image {
    let mut image = Image::oci("unknown/unknown", &Value::Null);
    image.format = format;
    image
}

/// One repository, and what it takes to write to it.
struct Target<'a> {
    registry: &'a Registry,
    repository: &'a str,
    client: reqwest::Client,
}

impl<'a> Target<'a> {
    fn new(registry: &'a Registry, repository: &'a str) -> Self {
        Self { registry, repository, client: registry.client() }
    }

    async fn send(&self, request: reqwest::RequestBuilder, wanted: StatusCode) -> reqwest::Response {
        let request = match self.registry.authorization(self.repository) {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization),
            None => request,
        };
        let response = request.send().await.unwrap();
        let (status, url) = (response.status(), response.url().clone());
        if status == wanted {
            return response;
        }
        panic!("{url}: {status}: {}", response.text().await.unwrap_or_default());
    }

    /// Pushes a blob and gives its descriptor.
    async fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        let uploads = self.registry.url(&format!("{}/blobs/uploads/", self.repository));
        let started = self.send(self.client.post(uploads), StatusCode::ACCEPTED).await;
        let location = started.headers()[header::LOCATION].to_str().unwrap();
        let mut location = started.url().join(location).unwrap();
        location.query_pairs_mut().append_pair("digest", &digest);
        let upload = self
            .client
            .put(location)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(bytes.to_vec());
        self.send(upload, StatusCode::CREATED).await;
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Pushes a manifest by tag, or by digest; gives its digest and size.
    async fn manifest(&self, tag: Option<&str>, media_type: &str, manifest: &Value) -> (String, usize) {
        let bytes = serde_json::to_vec_pretty(manifest).unwrap();
        let (digest, size) = (digest(&bytes), bytes.len());
        let url = self.registry.url(&format!("{}/manifests/{}", self.repository, tag.unwrap_or(&digest)));
        let put = self.client.put(url).header(header::CONTENT_TYPE, media_type).body(bytes);
        self.send(put, StatusCode::CREATED).await;
        (digest, size)
    }
}

fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once(':').map_or((name, None), |(repository, tag)| (repository, Some(tag)))
}

/// A client for the tests' own requests.
pub(crate) fn client(authority: Option<&Authority>) -> reqwest::Client {
    trusting(authority.map(Authority::der))
}

/// A client that trusts this certificate and no other.
pub(crate) fn trusting(certificate: Option<CertificateDer<'static>>) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(certificate) = certificate {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}
