//! Digests: `algorithm:hex`, as image-spec's descriptor.md (section Digests) registers them.

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};
use std::{fmt, fmt::Write, str::FromStr, sync::Arc};

/// A registered digest algorithm (image-spec, descriptor.md, Registered Algorithms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256: 64 lower-case hex characters.
    Sha256,
    /// SHA-512: 128 lower-case hex characters.
    Sha512,
}

impl Algorithm {
    /// The name before the colon.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// A valid content digest. It exists only if its algorithm is known and its hex is exact.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Arc<str>,
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
    pub fn sha256(bytes: &[u8]) -> Self {
        Self { algorithm: Algorithm::Sha256, hex: hex(&Sha256::digest(bytes)) }
    }

    /// Whether `bytes` hash to this digest.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Sha256 => *hex(&Sha256::digest(bytes)) == *self.hex,
            Algorithm::Sha512 => *hex(&Sha512::digest(bytes)) == *self.hex,
        }
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, hex) = text.split_once(':').ok_or_else(|| {
            InvalidDigest(format!("{:?} is not a digest: write algorithm:hex", start(text)))
        })?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => {
                return Err(InvalidDigest(format!(
                    "digest algorithm {:?} is not supported: use sha256 or sha512",
                    start(name)
                )));
            }
        };
        if hex.len() != algorithm.hex_len() {
            return Err(InvalidDigest(format!(
                "a {name} digest has {} hex characters, this one has {}",
                algorithm.hex_len(),
                hex.len()
            )));
        }
        if !hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return Err(InvalidDigest(format!(
                "the hex part of a {name} digest must be 0-9 and a-f, in lower case"
            )));
        }
        Ok(Self { algorithm, hex: hex.into() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The start of foreign text, as long as a message can bear.
fn start(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

fn hex(bytes: &[u8]) -> Arc<str> {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_512: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    #[test]
    fn bytes_are_held_against_a_digest() {
        assert_eq!(Digest::sha256(b"").to_string(), EMPTY);
        for text in [EMPTY, EMPTY_512] {
            let digest: Digest = text.parse().unwrap();
            assert_eq!(digest.to_string(), text);
            assert!(digest.matches(b""), "{text}");
            assert!(!digest.matches(b"x"), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_verified_is_refused_with_a_reason() {
        let upper = EMPTY.replace('e', "E");
        let short = &EMPTY[..70];
        let rows = [
            ("no colon", "e3b0c442", "write algorithm:hex"),
            ("empty", "", "write algorithm:hex"),
            ("other algorithm", "md5:d41d8cd98f00b204e9800998ecf8427e", "\"md5\" is not supported"),
            ("upper-case algorithm", "SHA256:00", "\"SHA256\" is not supported"),
            ("short", short, "has 64 hex characters, this one has 63"),
            ("upper-case hex", &upper, "lower case"),
            ("no hex", "sha256:", "has 64 hex characters, this one has 0"),
            ("endless", &"é".repeat(1000), "write algorithm:hex"),
        ];
        for (name, text, why) in rows {
            let error = text.parse::<Digest>().expect_err(name).to_string();
            assert!(error.contains(why), "{name}: {error}");
            assert!(error.len() < 200, "{name}: {error}");
        }
    }
}
