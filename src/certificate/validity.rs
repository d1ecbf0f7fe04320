//! From when and until when a certificate is valid (RFC 5280, 4.1): all that we read of one ourselves.
//!
//! rustls reads no more of its own certificate than the key. A certificate is a nest of DER elements,
//! and the validity is the fourth or fifth one of its first part.

use jiff::Timestamp;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`: the version, which a certificate of version 1 lacks.
const VERSION: u8 = 0xa0;

/// A certificate's period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From then on.
    pub not_before: Timestamp,
    /// Until then.
    pub not_after: Timestamp,
}

impl Validity {
    /// Of a certificate in DER. None: it is not one as RFC 5280 has it.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = expect(SEQUENCE, certificate)?;
        let (signed, _) = expect(SEQUENCE, certificate)?;
        let rest = expect(VERSION, signed).map_or(signed, |(_, rest)| rest);
        let (_serial, rest) = expect(INTEGER, rest)?;
        let (_algorithm, rest) = expect(SEQUENCE, rest)?;
        let (_issuer, rest) = expect(SEQUENCE, rest)?;
        let (validity, _) = expect(SEQUENCE, rest)?;
        let (not_before, rest) = time(validity)?;
        let (not_after, _) = time(rest)?;
        Some(Self { not_before, not_after })
    }
}

/// The content of the element that `bytes` begin with, and what follows it.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        // Four bytes of length are far more than a certificate has.
        if length.is_empty() || length.len() > 4 {
            return None;
        }
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    let text = std::str::from_utf8(content).ok()?;
    let text = match (tag, text.len()) {
        // RFC 5280, 4.1.2.5.1: two digits of a year, 50 to 99 are of the last century.
        (UTC_TIME, 13) => format!("{}{text}", if *text >= *"50" { "19" } else { "20" }),
        (GENERALIZED_TIME, 15) => text.to_owned(),
        _ => return None,
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some((time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn certificate(not_before: i32, not_after: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(not_before, 2, 3);
        params.not_after = date_time_ymd(not_after, 4, 5);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn reads_both_forms_of_a_time() {
        for (from, until) in [(1975, 1999), (2000, 2049), (2026, 2050), (2051, 9998)] {
            let validity = Validity::of(&certificate(from, until)).unwrap();
            assert_eq!(validity.not_before.to_string(), format!("{from}-02-03T00:00:00Z"));
            assert_eq!(validity.not_after.to_string(), format!("{until}-04-05T00:00:00Z"));
        }
    }

    #[test]
    fn never_panics_on_bytes_that_are_no_certificate() {
        let whole = certificate(2026, 2027);
        for end in 0..whole.len() {
            assert_eq!(Validity::of(&whole[..end]), None, "cut after {end} bytes");
        }
        for at in 0..whole.len().min(200) {
            for byte in [0, 0x7f, 0x80, 0x84, 0x88, 0xff] {
                let mut broken = whole.clone();
                broken[at] = byte;
                std::hint::black_box(Validity::of(&broken));
            }
        }
        assert_eq!(Validity::of(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
