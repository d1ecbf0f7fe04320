//! Images, indexes and artifacts as values; `push.rs` sends them.

use serde_json::{Value, json};

/// The two families of media types that registries hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Oci,
    /// Docker's image manifest, version 2, schema 2.
    Docker,
}

/// One platform's image, to be pushed.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) format: Format,
    pub(crate) platform: String,
    pub(crate) config: Vec<u8>,
    pub(crate) config_type: String,
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) annotations: Value,
}

impl Image {
    /// An OCI image for `platform` (`linux/arm64/v8`), whose `config.config` is `settings`.
    pub(crate) fn oci(platform: &str, settings: &Value) -> Self {
        Self::new(Format::Oci, platform, settings)
    }

    /// A Docker schema 2 image for `platform`, whose `config.config` is `settings`.
    pub(crate) fn docker(platform: &str, settings: &Value) -> Self {
        Self::new(Format::Docker, platform, settings)
    }

    fn new(format: Format, platform: &str, settings: &Value) -> Self {
        let mut config = platform_fields(platform);
        config["created"] = json!("2026-01-02T03:04:05.678901234Z");
        config["config"] = settings.clone();
        let layer = format!("layer of {platform}").into_bytes();
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [super::push::digest(&layer)] });
        config["history"] = json!([{ "created_by": "COPY . / # buildkit" }]);
        Self {
            format,
            platform: platform.to_owned(),
            // Pretty, so that a client which encodes it anew cannot give the same bytes by luck.
            config: serde_json::to_vec_pretty(&config).unwrap(),
            config_type: format.config_type().to_owned(),
            layers: vec![layer],
            annotations: Value::Null,
        }
    }

    /// With this config document, whatever it is.
    pub(crate) fn with_config(mut self, config: &[u8]) -> Self {
        self.config = config.to_vec();
        self
    }

    pub(crate) fn with_annotations(mut self, annotations: Value) -> Self {
        self.annotations = annotations;
        self
    }
}

/// A Helm chart: an artifact in an OCI manifest, but not an image.
pub(crate) fn helm_chart() -> Image {
    let mut chart = Image::oci("unknown/unknown", &Value::Null)
        .with_config(br#"{"name":"chart","version":"0.1.0","apiVersion":"v2"}"#);
    "application/vnd.cncf.helm.config.v1+json".clone_into(&mut chart.config_type);
    chart
}

/// An index (Docker: manifest list), to be pushed.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) format: Format,
    pub(crate) entries: Vec<Entry>,
}

/// What an index may list.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Image(Image),
    /// BuildKit's attestation of the entry before it: platform `unknown/unknown`.
    Attestation,
    /// An index in the index.
    Nested(Index),
}

impl Index {
    pub(crate) fn oci(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { format: Format::Oci, entries: entries.into_iter().collect() }
    }

    pub(crate) fn docker(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { format: Format::Docker, entries: entries.into_iter().collect() }
    }
}

impl Format {
    pub(crate) fn manifest_type(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    pub(crate) fn index_type(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    fn config_type(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    pub(crate) fn layer_type(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }
    }
}

/// `linux/arm/v7` as the fields of a config or of an index entry's platform.
pub(crate) fn platform_fields(platform: &str) -> Value {
    let mut parts = platform.split('/');
    let mut fields = json!({ "os": parts.next(), "architecture": parts.next() });
    if let Some(variant) = parts.next() {
        fields["variant"] = json!(variant);
    }
    fields
}
