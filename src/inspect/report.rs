//! An inspected image as a value with a stable form, for `-o json` and `-o yaml`. Names are lower camel
//! case; sizes are bytes; an absent list or map is empty, an absent value is left out.

use crate::image::{
    Created, Digest, ImageConfig, Platform, PlatformImage, Reference, ResolvedImage, RunsAsRoot, StopSignal,
    TextMap, Texts, Unresolved, UserKind,
};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;

/// One image: what was found, or why nothing was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a> {
    /// As typed.
    image: &'a str,
    #[serde(flatten)]
    found: Found<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Found<'a> {
    Image(Image<'a>),
    Error { error: Failure<'a> },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    detail: &'a str,
    next_step: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Image<'a> {
    /// Normalised.
    reference: &'a Reference,
    /// Of what the reference points at: the index, or the manifest.
    digest: &'a Digest,
    media_type: &'a str,
    /// The index's.
    annotations: &'a TextMap,
    available_platforms: &'a [Platform],
    platforms: Vec<OnePlatform<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OnePlatform<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a Platform>,
    manifest_digest: &'a Digest,
    media_type: &'a str,
    annotations: &'a TextMap,
    config_digest: &'a Digest,
    /// Compressed size of all layers.
    size: u64,
    /// Compressed size of each, base first.
    layers: &'a [u64],
    config: Config<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    os: &'a str,
    architecture: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    /// Absent unless `created` is a real time (not missing, not a placeholder).
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<i64>,
    user: User<'a>,
    stop_signal: Signal<'a>,
    entrypoint: &'a [String],
    cmd: &'a [String],
    env: &'a Texts,
    exposed_ports: Vec<&'a str>,
    volumes: &'a BTreeSet<String>,
    working_dir: &'a str,
    labels: &'a TextMap,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<&'a [String]>,
    shell: &'a [String],
    on_build: &'a [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct User<'a> {
    value: &'a str,
    /// `unset`, `uid`, `name`, `outOfRange` or `malformed`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    /// `yes`, `no` or `unknown`.
    runs_as_root: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Signal<'a> {
    value: &'a str,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<i32>,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        image: &'a str,
        found: Result<&'a std::sync::Arc<ResolvedImage>, &'a Unresolved>,
        now: jiff::Timestamp,
    ) -> Self {
        let found = match found {
            Ok(resolved) => Found::Image(Image::new(resolved, now)),
            Err(failure) => Found::Error {
                error: Failure {
                    kind: failure.kind.as_str(),
                    host: failure.host.as_deref(),
                    status: failure.status,
                    detail: &failure.detail,
                    next_step: failure.kind.next_step(),
                },
            },
        };
        Self { image, found }
    }
}

impl<'a> Image<'a> {
    fn new(resolved: &'a ResolvedImage, now: jiff::Timestamp) -> Self {
        Self {
            reference: &resolved.reference,
            digest: &resolved.digest,
            media_type: resolved.media_type.as_str(),
            annotations: &resolved.index_annotations,
            available_platforms: &resolved.available,
            platforms: resolved.platforms.iter().map(|platform| OnePlatform::new(platform, now)).collect(),
        }
    }
}

impl<'a> OnePlatform<'a> {
    fn new(image: &'a PlatformImage, now: jiff::Timestamp) -> Self {
        Self {
            platform: image.platform.as_ref(),
            manifest_digest: &image.manifest_digest,
            media_type: image.media_type.as_str(),
            annotations: &image.annotations,
            config_digest: &image.config_digest,
            size: image.compressed_size(),
            layers: &image.layer_sizes,
            config: Config::new(&image.config, now),
        }
    }
}

impl<'a> Config<'a> {
    fn new(config: &'a ImageConfig, now: jiff::Timestamp) -> Self {
        let (created, age_seconds) = match &config.created {
            Created::Unknown => (None, None),
            Created::Placeholder(at) => (Some(at.to_string()), None),
            Created::At(at) => (Some(at.to_string()), Some(now.as_second() - at.as_second())),
            Created::Invalid(text) => (Some(text.clone()), None),
        };
        Self {
            os: &config.os,
            architecture: &config.architecture,
            variant: config.variant.as_deref(),
            os_version: config.os_version.as_deref(),
            author: config.author.as_deref(),
            created,
            age_seconds,
            user: User::new(&config.user),
            stop_signal: Signal::new(config),
            entrypoint: &config.entrypoint,
            cmd: &config.cmd,
            env: &config.env,
            exposed_ports: config.exposed_ports.iter().map(|port| port.raw.as_str()).collect(),
            volumes: &config.volumes,
            working_dir: &config.working_dir,
            labels: &config.labels,
            healthcheck: config.healthcheck.as_ref().map(|check| check.test.as_slice()),
            shell: &config.shell,
            on_build: &config.on_build,
        }
    }
}

impl<'a> User<'a> {
    fn new(user: &'a crate::image::User) -> Self {
        let (kind, uid) = match user.kind() {
            UserKind::Unset => ("unset", Some(0)),
            UserKind::Uid(uid) => ("uid", Some(uid)),
            UserKind::Name(_) => ("name", None),
            UserKind::OutOfRange => ("outOfRange", None),
            UserKind::Malformed => ("malformed", None),
        };
        let runs_as_root = match user.runs_as_root() {
            RunsAsRoot::Yes => "yes",
            RunsAsRoot::No => "no",
            RunsAsRoot::Unknown => "unknown",
        };
        Self { value: user.raw(), kind, uid, runs_as_root }
    }
}

impl<'a> Signal<'a> {
    /// What stops the container: SIGTERM where the image says nothing.
    fn new(config: &'a ImageConfig) -> Self {
        let valid = |value, signal: &'a StopSignal| Self {
            value,
            valid: true,
            name: Some(signal.name()),
            number: Some(signal.number()),
        };
        match &config.stop_signal {
            None => Self { value: "", valid: true, name: Some("SIGTERM"), number: Some(15) },
            Some(Ok(signal)) => valid(signal.raw(), signal),
            Some(Err(invalid)) => Self { value: &invalid.raw, valid: false, name: None, number: None },
        }
    }
}

/// One object for one image, a list for several.
pub(super) fn json(reports: &[Report<'_>]) -> Result<String> {
    Ok(match reports {
        [one] => serde_json::to_string_pretty(one)?,
        all => serde_json::to_string_pretty(all)?,
    })
}

/// One document for each image.
pub(super) fn yaml(reports: &[Report<'_>]) -> Result<String> {
    let documents: Result<Vec<String>, _> = reports.iter().map(serde_saphyr::to_string).collect();
    Ok(documents?.join("---\n"))
}
