//! What an image is: references, digests, documents, and what a config says.
//!
//! Pure values. Nothing here does I/O, reads a clock or logs. Bytes and strings come in, types that
//! exist only if they are valid come out, read exactly as the kubelet and the container runtimes
//! read them (any difference would be a way round a policy).

mod config;
mod digest;
mod json;
mod manifest;
mod media_type;
pub(crate) mod memory;
mod platform;
mod raw_config;
mod reference;
mod resolved;
mod stop_signal;
mod texts;
mod user;

pub use config::{Created, ExposedPort, Healthcheck, ImageConfig, InvalidConfig};
pub use digest::{Algorithm, Digest, InvalidDigest};
pub use json::AmbiguousJson;
pub use manifest::{Descriptor, Document, Index, InvalidDocument, Manifest};
pub use media_type::MediaType;
pub use platform::{Allowed, InvalidPlatform, Platform, PlatformFilter, PlatformTerm};
pub use raw_config::RawConfig;
pub use reference::{InvalidReference, Reference};
pub use resolved::{AuthKind, Freshness, PlatformImage, ResolvedImage, Unresolved, UnresolvedKind};
pub use stop_signal::{InvalidStopSignal, StopSignal};
pub use texts::{TextMap, Texts};
pub use user::{RunsAsRoot, User, UserKind};
