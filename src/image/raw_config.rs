//! A config blob that is kept for those few who want it whole: compressed, for it is mostly history.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::{fmt, sync::Arc};

/// The bytes of a config blob, kept small.
#[derive(Clone, PartialEq, Eq)]
pub struct RawConfig {
    deflated: Arc<[u8]>,
    length: usize,
}

impl RawConfig {
    /// The blob's length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the blob has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes that are kept for it.
    #[must_use]
    pub fn compressed_len(&self) -> usize {
        self.deflated.len()
    }

    /// The blob, byte for byte.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length);
        // It was compressed here, and there is room for all of it.
        let _ = Decompress::new(false).decompress_vec(&self.deflated, &mut bytes, FlushDecompress::Finish);
        bytes
    }
}

impl From<&[u8]> for RawConfig {
    fn from(bytes: &[u8]) -> Self {
        let mut compress = Compress::new(Compression::default(), false);
        let mut deflated = Vec::with_capacity(bytes.len() / 2 + 64);
        loop {
            let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
            let status = compress.compress_vec(&bytes[read..], &mut deflated, FlushCompress::Finish);
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                break;
            }
            deflated.reserve(deflated.capacity());
        }
        Self { deflated: deflated.into(), length: bytes.len() }
    }
}

impl fmt::Debug for RawConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawConfig({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::RawConfig;

    #[test]
    fn gives_back_every_byte() {
        let history = br#"{"history":[]}"#.repeat(1000);
        let noise: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for bytes in [&b""[..], b"{}", &history, &[0, 255, 10], &noise] {
            let raw = RawConfig::from(bytes);
            assert_eq!(
                (raw.to_vec(), raw.len(), raw.is_empty()),
                (bytes.to_vec(), bytes.len(), bytes.is_empty())
            );
        }
        assert!(RawConfig::from(&*history).compressed_len() < history.len() / 50);
    }
}
