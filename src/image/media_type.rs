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
    pub fn parse(value: &str) -> Self {
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/vnd.oci.image.index.v1+json" => Self::OciIndex,
            "application/vnd.oci.image.manifest.v1+json" => Self::OciManifest,
            "application/vnd.docker.distribution.manifest.list.v2+json" => Self::DockerList,
            "application/vnd.docker.distribution.manifest.v2+json" => Self::DockerManifest,
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws" => Self::DockerSchema1,
            "application/vnd.oci.image.config.v1+json" => Self::OciConfig,
            "application/vnd.docker.container.image.v1+json" => Self::DockerConfig,
            _ => Self::Other(essence),
        }
    }

    /// The type as image-spec or Docker writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerSchema1 => "application/vnd.docker.distribution.manifest.v1+prettyjws",
            Self::OciConfig => "application/vnd.oci.image.config.v1+json",
            Self::DockerConfig => "application/vnd.docker.container.image.v1+json",
            Self::Other(other) => other,
        }
    }

    /// Whether it says nothing of the content: empty, or one of the generic types that static servers
    /// and proxies send (`reference/registry.md` M3).
    #[must_use]
    pub fn is_generic(&self) -> bool {
        matches!(
            self.as_str(),
            "" | "application/octet-stream" | "binary/octet-stream" | "text/plain" | "application/json"
        )
    }

    /// Whether it is an index's type, OCI's or Docker's.
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }

    /// Whether it is a manifest's type, OCI's or Docker's.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_are_read_whatever_their_case_and_parameters() {
        let rows = [
            ("application/vnd.oci.image.index.v1+json", MediaType::OciIndex),
            ("Application/VND.OCI.image.manifest.v1+JSON; charset=utf-8", MediaType::OciManifest),
            (" application/vnd.docker.distribution.manifest.list.v2+json ", MediaType::DockerList),
            ("application/vnd.docker.distribution.manifest.v2+json", MediaType::DockerManifest),
            ("application/vnd.docker.distribution.manifest.v1+json", MediaType::DockerSchema1),
            ("application/vnd.docker.container.image.v1+json", MediaType::DockerConfig),
            ("text/html", MediaType::Other("text/html".into())),
            ("", MediaType::Other(String::new())),
        ];
        for (text, expected) in rows {
            assert_eq!(MediaType::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_accept_header_names_the_four_manifest_types() {
        let types: Vec<MediaType> = MediaType::ACCEPT.split(',').map(MediaType::parse).collect();
        assert_eq!(
            types,
            [MediaType::OciIndex, MediaType::OciManifest, MediaType::DockerList, MediaType::DockerManifest]
        );
    }
}
