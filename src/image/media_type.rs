//! Media types of the documents that a registry serves, OCI's and Docker's.

use std::fmt;

/// A media type, without parameters and in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `application/vnd.oci.image.index.v1+json`
    OciIndex,
    /// `application/vnd.oci.image.manifest.v1+json`
    OciManifest,
    /// `application/vnd.docker.distribution.manifest.list.v2+json`
    DockerList,
    /// `application/vnd.docker.distribution.manifest.v2+json`
    DockerManifest,
    /// Docker's schema 1, signed or not: refused by every current runtime.
    DockerSchema1,
    /// `application/vnd.oci.image.config.v1+json`
    OciConfig,
    /// `application/vnd.docker.container.image.v1+json`
    DockerConfig,
    /// Anything else, as written.
    Other(String),
}

impl MediaType {
    /// The one `Accept` header of manifest requests: the four types that runtimes ask for.
    pub const ACCEPT: &'static str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

    /// Reads a `Content-Type` or `mediaType` value: parameters are dropped, case is folded.
    #[must_use]
    pub fn parse(_value: &str) -> Self {
        todo!()
    }

    /// The type as image-spec or Docker writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        todo!()
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
