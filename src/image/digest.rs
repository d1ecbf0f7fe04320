//! Digests: `algorithm:hex`, as image-spec's descriptor.md (section Digests) registers them.

use std::{fmt, str::FromStr};

/// A registered digest algorithm (image-spec, descriptor.md, Registered Algorithms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256: 64 lower-case hex characters.
    Sha256,
    /// SHA-512: 128 lower-case hex characters.
    Sha512,
}

/// A valid content digest. It exists only if its algorithm is known and its hex is exact.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

/// Why a string is not a digest that can be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDigest(pub String);

impl Digest {
    /// The algorithm that made this digest.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case hex part.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn sha256(_bytes: &[u8]) -> Self {
        todo!()
    }

    /// Whether `bytes` hash to this digest.
    #[must_use]
    pub fn matches(&self, _bytes: &[u8]) -> bool {
        todo!()
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(_s: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
