//! A file of kind `PolicyTest`, read strictly: a field that does not exist is refused.

use crate::{image::Platform, yaml};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf};

const API_VERSION: &str = "hullmark.dev/v1alpha1";
const KIND: &str = "PolicyTest";

/// The cases of one document. The module's docs show one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TestFile {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default)]
    pub(super) policies: Vec<PathBuf>,
    #[serde(default)]
    pub(super) now: Option<jiff::Timestamp>,
    #[serde(default, deserialize_with = "platforms")]
    pub(super) nodes: Vec<Platform>,
    #[serde(default)]
    pub(super) images: BTreeMap<String, ImageFixture>,
    /// Objects that the policies read as params, beside those in the policies' folder.
    #[serde(default)]
    pub(super) parameters: Vec<Value>,
    #[serde(default)]
    pub(super) cases: Vec<Case>,
}

/// An image written inline: one platform, several, or none and the reason.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ImageFixture {
    /// The one image, if there is no index.
    #[serde(default, deserialize_with = "optional_platform")]
    pub(super) platform: Option<Platform>,
    #[serde(default)]
    pub(super) config: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) created: Option<String>,
    /// Layers' compressed sizes in bytes.
    #[serde(default)]
    pub(super) layers: Vec<u64>,
    /// Annotations of the manifest; of the index, where there are `platforms`.
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    /// Further fields at the top of the config document, such as `moby.buildkit.buildinfo.v1`.
    #[serde(default)]
    pub(super) document: Map<String, Value>,
    /// An index's images.
    #[serde(default)]
    pub(super) platforms: Vec<ImageFixture>,
    /// The kind of failure, instead of an image: `NotFound`, `Denied`, …
    #[serde(default)]
    pub(super) unresolved: Option<String>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// Short for a Pod whose one container `app` runs this.
    #[serde(default)]
    pub(super) image: Option<String>,
    /// A Pod, or whatever carries a Pod template.
    #[serde(default)]
    pub(super) object: Option<Value>,
    /// The object before an UPDATE.
    #[serde(default)]
    pub(super) old_object: Option<Value>,
    /// The namespace's name, labels and annotations.
    #[serde(default)]
    pub(super) namespace: Option<NamespaceFixture>,
    /// Who asks.
    #[serde(default)]
    pub(super) user: Option<UserFixture>,
    pub(super) expect: Expected,
    #[serde(default)]
    pub(super) findings: Vec<ExpectedFinding>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamespaceFixture {
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserFixture {
    pub(super) username: String,
    #[serde(default)]
    pub(super) groups: Vec<String>,
}

/// The decision that a case must get.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expected {
    Allow,
    Warn,
    Deny,
}

/// A finding that a case must have: every field that is given must agree.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExpectedFinding {
    pub(super) rule: String,
    #[serde(default)]
    pub(super) policy: Option<String>,
    #[serde(default)]
    pub(super) container: Option<String>,
    #[serde(default, deserialize_with = "optional_platforms")]
    pub(super) platforms: Option<Vec<Platform>>,
    /// Stands in the finding's message.
    #[serde(default)]
    pub(super) message: Option<String>,
}

impl TestFile {
    /// Every `PolicyTest` document of a stream; other documents are not ours to read.
    pub(super) fn parse_all(text: &str) -> Result<Vec<Self>> {
        let documents = yaml::documents(text)?;
        let ours = documents.into_iter().filter(|document| document.value["kind"] == KIND);
        ours.map(|document| Self::parse(document.value).with_context(|| format!("line {}", document.line)))
            .collect()
    }

    fn parse(value: Value) -> Result<Self> {
        if value["apiVersion"] != API_VERSION {
            bail!("apiVersion: a PolicyTest is of {API_VERSION}");
        }
        let test: Self = serde_json::from_value(value)?;
        for (name, image) in &test.images {
            image.check().with_context(|| format!("images.{name}"))?;
        }
        for case in &test.cases {
            case.check().with_context(|| format!("case {:?}", case.name))?;
        }
        Ok(test)
    }
}

impl ImageFixture {
    fn check(&self) -> Result<()> {
        let one = self.config.is_some()
            || !self.layers.is_empty()
            || self.created.is_some()
            || !self.document.is_empty();
        if self.unresolved.is_some() && (one || !self.platforms.is_empty()) {
            bail!("it is either unresolved or an image");
        }
        if one && !self.platforms.is_empty() {
            bail!("config, layers, created and document stand under each of its platforms");
        }
        if self.platforms.iter().any(|image| image.platform.is_none()) {
            bail!("platforms: each needs a platform, such as linux/amd64");
        }
        self.platforms.iter().try_for_each(Self::check)
    }
}

impl Case {
    fn check(&self) -> Result<()> {
        if self.image.is_some() == self.object.is_some() {
            bail!("give either an image or an object");
        }
        if self.expect != Expected::Allow && self.findings.is_empty() {
            bail!("findings: a case that expects {:?} says which rules find something", self.expect);
        }
        Ok(())
    }
}

fn platform<E: Error>(text: &str) -> Result<Platform, E> {
    text.parse().map_err(E::custom)
}

fn platforms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Platform>, D::Error> {
    Vec::<String>::deserialize(deserializer)?.iter().map(|text| platform(text)).collect()
}

fn optional_platforms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Platform>>, D::Error> {
    platforms(deserializer).map(Some)
}

fn optional_platform<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Platform>, D::Error> {
    String::deserialize(deserializer).and_then(|text| platform(&text)).map(Some)
}
