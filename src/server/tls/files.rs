//! A certificate chain and its key in PEM files, which others replace while we run.

use super::{Pair, provider};
use crate::certificate::{CertificateError, Validity};
use jiff::Timestamp;
use rustls::{
    Error, InconsistentKeys,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::CertifiedKey,
};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of a file that are read: a chain has some kilobytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Times that files are read to see both from one moment.
const TRIES: usize = 3;

/// Two files; they may be the same one.
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// What the pair in use was read from.
    in_use: Mutex<Content>,
}

#[derive(PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    /// Reads and checks both.
    pub(super) fn open(
        certificate: PathBuf,
        key: PathBuf,
        now: Timestamp,
    ) -> Result<(Self, Pair), CertificateError> {
        let content = Content::read(&certificate, &key)?;
        let pair = content.pair(&certificate, &key, now)?;
        Ok((Self { certificate, key, in_use: Mutex::new(content) }, pair))
    }

    pub(super) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The new pair, if the files have changed since the last good one.
    pub(super) fn changed(&self, now: Timestamp) -> Result<Option<Pair>, CertificateError> {
        let content = Content::read(&self.certificate, &self.key)?;
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if content == *in_use {
            return Ok(None);
        }
        let pair = content.pair(&self.certificate, &self.key, now)?;
        *in_use = content;
        Ok(Some(pair))
    }
}

impl Content {
    /// The chain is read before and after the key: both are of one moment if it did not change.
    fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let mut content = Self { certificate: read(certificate)?, key: read(key)? };
        for _ in 1..TRIES {
            let again = read(certificate)?;
            if again == content.certificate {
                break;
            }
            content = Self { certificate: again, key: read(key)? };
        }
        Ok(content)
    }

    fn pair(&self, certificate: &Path, key: &Path, now: Timestamp) -> Result<Pair, CertificateError> {
        let of_certificate = |why: String| CertificateError(format!("{}: {why}", certificate.display()));
        let of_key = |why: String| CertificateError(format!("{}: {why}", key.display()));

        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| of_certificate(format!("not PEM: {error}")))?;
        let leaf = chain
            .first()
            .ok_or_else(|| of_certificate("no certificate in it (-----BEGIN CERTIFICATE-----)".to_owned()))?;
        let validity = Validity::of(leaf)
            .ok_or_else(|| of_certificate("the first certificate cannot be read".to_owned()))?;
        if now >= validity.not_after {
            return Err(of_certificate(format!("the certificate expired at {}", validity.not_after)));
        }
        if now < validity.not_before {
            let from = validity.not_before;
            return Err(of_certificate(format!("the certificate is not valid before {from}")));
        }
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| match error {
            pem::Error::NoItemsFound => {
                of_key("no private key in it (PKCS#8, PKCS#1 or SEC1, not encrypted)".to_owned())
            }
            error => of_key(format!("not PEM: {error}")),
        })?;
        let pair = CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => of_key(format!(
                "this key does not belong to the first certificate in {}",
                certificate.display()
            )),
            Error::InvalidCertificate(why) => of_certificate(format!("not usable: {why:?}")),
            error => of_key(format!("not usable: {error}")),
        })?;
        Ok(Pair { key: Arc::new(pair), expires: validity.not_after, renew_at: validity.not_after })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |why: String| CertificateError(format!("{}: {why}", path.display()));
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(failed("larger than 1 MiB; that is no certificate".to_owned()));
    }
    Ok(bytes)
}
