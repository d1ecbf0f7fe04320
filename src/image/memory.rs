//! How many bytes of memory a document takes, so that a cache can be held within its bound.
//!
//! What is counted: each value's own size, and for each allocation its length and what an allocator adds to it.
//! `benches/memory.rs` holds the sum against what a process really takes.

use super::{ExposedPort, ImageConfig, MediaType, Platform, PlatformImage, TextMap};
use std::mem::size_of;

/// What an allocator adds, and what is lost by its rounding up.
const ALLOCATION: usize = 16;

pub(crate) fn text(text: &str) -> usize {
    if text.is_empty() { 0 } else { text.len() + ALLOCATION }
}

fn optional(value: Option<&String>) -> usize {
    value.map_or(0, |value| text(value))
}

fn list<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    let (mut bytes, mut count) = (0, 0);
    for one in texts {
        bytes += text(one) + size_of::<String>();
        count += 1;
    }
    if count == 0 { 0 } else { bytes + ALLOCATION }
}

pub(crate) fn map(map: &TextMap) -> usize {
    pieces(map.memory())
}

fn pieces((bytes, allocations): (usize, usize)) -> usize {
    bytes + allocations * ALLOCATION
}

fn media_type(media_type: &MediaType) -> usize {
    match media_type {
        MediaType::Other(other) => text(other),
        _ => 0,
    }
}

pub(crate) fn platform(platform: &Platform) -> usize {
    let Platform { os, architecture, variant, os_version, os_features } = platform;
    text(os)
        + text(architecture)
        + optional(variant.as_ref())
        + optional(os_version.as_ref())
        + list(os_features)
}

fn port(port: &ExposedPort) -> usize {
    let protocol = port.range.as_ref().map_or(0, |(_, _, protocol)| text(protocol));
    size_of::<ExposedPort>() + text(&port.raw) + protocol
}

/// What is allocated for a config, without its own size.
fn config(config: &ImageConfig) -> usize {
    let texts = [&config.os, &config.architecture, &config.working_dir].into_iter().map(|one| text(one));
    let optionals = [&config.variant, &config.os_version, &config.author].map(Option::as_ref);
    let lists = [&config.entrypoint, &config.cmd, &config.shell, &config.on_build];
    texts.sum::<usize>()
        + optionals.into_iter().map(optional).sum::<usize>()
        + lists.into_iter().map(list).sum::<usize>()
        + config.exposed_ports.iter().map(port).sum::<usize>()
        + list(&config.volumes)
        + pieces(config.labels.memory())
        + pieces(config.env.memory())
        + text(config.user.raw())
        + config.healthcheck.as_ref().map_or(0, |check| list(&check.test))
}

impl PlatformImage {
    /// Roughly the bytes of memory that it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let digests = self.manifest_digest.hex().len() + self.config_digest.hex().len() + 2 * ALLOCATION;
        let layers = self.layer_sizes.len() * size_of::<u64>() + ALLOCATION;
        size_of::<Self>()
            + self.platform.as_ref().map_or(0, platform)
            + digests
            + media_type(&self.media_type)
            + pieces(self.annotations.memory())
            + layers
            + config(&self.config)
            + self.raw_config.as_ref().map_or(0, |raw| raw.compressed_len() + ALLOCATION)
            + ALLOCATION
    }
}
