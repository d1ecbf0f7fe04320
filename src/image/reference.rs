//! Image references, read exactly as the kubelet reads them: distribution/reference's
//! `ParseNormalizedNamed` + `TagNameOnly`, then `ParseDockerRef` (a digest wins over a tag).

mod grammar;

use super::Digest;
use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A normalised image reference such as `docker.io/library/nginx:latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string is not an image reference, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidReference(pub String);

impl Reference {
    /// The registry's domain as references write it, with port: `docker.io`, `localhost:5000`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's path: `library/nginx`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Domain and path: `docker.io/library/nginx`. What policies' image globs match.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The tag; kept beside a digest for display and policy only.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which is what is pulled when there is one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What goes after `/manifests/`: the digest, else the tag.
    #[must_use]
    pub fn manifest_reference(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }
}

/// The tag of a reference that has neither tag nor digest (`TagNameOnly`).
const DEFAULT_TAG: &str = "latest";

impl FromStr for Reference {
    type Err = InvalidReference;

    /// Reads a reference as a Pod writes it.
    ///
    /// # Errors
    /// [`InvalidReference`] with the part that is wrong and, where it can be told, what was meant.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        grammar::refuse_what_is_no_name(text)?;
        let (domain, remainder) = grammar::split_domain(text);
        let (name, digest) = match remainder.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (remainder.as_str(), None),
        };
        let (path, tag) = match name.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (name, None),
        };
        grammar::check_path(path)?;
        grammar::check_domain(&domain)?;
        tag.map(grammar::check_tag).transpose()?;
        let digest = digest
            .map(str::parse::<Digest>)
            .transpose()
            .map_err(|invalid| InvalidReference(format!("bad digest: {invalid}")))?;
        let tag = match (tag, &digest) {
            (None, None) => Some(DEFAULT_TAG),
            (tag, _) => tag,
        };
        Ok(Self { domain, path: path.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
