//! An authority in memory, and the short-lived leaves that it signs.
//!
//! ECDSA P-256: the API server does not resume sessions, so a burst of Pods is a burst of full
//! handshakes, and RSA would cost many times more.

use super::{CertificateError, Pair, provider};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{pki_types::PrivateKeyDer, sign::CertifiedKey};
use std::{sync::Arc, time::Duration};

/// As long as a process may live; it ends with the process.
const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// A leaf's life.
const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A leaf's age at which the next one is made: two thirds of its life.
const RENEW_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24 * 2 / 3);
/// Clocks of others may be slow.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Signs leaves for the names that it was made for.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
    names: Vec<String>,
}

impl Authority {
    /// # Errors
    /// [`CertificateError`] when there is no name, or one that cannot stand in a certificate.
    pub(super) fn new(names: &[String], now: Timestamp) -> Result<Self, CertificateError> {
        if names.iter().all(|name| name.trim().is_empty()) {
            return Err(CertificateError("a certificate needs a name; give one with --tls-name".to_owned()));
        }
        let mut params = params(&[], now, AUTHORITY_LIFE, "hullmark authority")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, generate()?).map_err(|error| failed(&error))?;
        let authority = Self { pem: issuer.pem(), issuer, names: names.to_vec() };
        Ok(authority)
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a new leaf with a new key.
    pub(super) fn issue(&self, now: Timestamp) -> Result<Pair, CertificateError> {
        let mut params = params(&self.names, now, LEAF_LIFE, "hullmark webhook")?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = generate()?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(|error| failed(&error))?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| CertificateError(format!("cannot use a key of our own: {error}")))?;
        let key = CertifiedKey::from_der(vec![leaf.der().clone()], key, &provider())
            .map_err(|error| CertificateError(format!("cannot use a certificate of our own: {error}")))?;
        let at = |after| now.checked_add(after).map_err(|error| CertificateError(error.to_string()));
        Ok(Pair { key: Arc::new(key), expires: at(LEAF_LIFE)?, renew_at: at(RENEW_AFTER)? })
    }
}

fn params(
    names: &[String],
    now: Timestamp,
    life: SignedDuration,
    common_name: &str,
) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(names).map_err(|error| {
        CertificateError(format!("--tls-name {}: not a DNS name or IP address: {error}", names.join(",")))
    })?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let seconds = |at: Timestamp| {
        let since_1970 = Duration::from_secs(at.as_second().try_into().unwrap_or_default());
        rcgen::date_time_ymd(1970, 1, 1) + since_1970
    };
    params.not_before = seconds(now - SKEW);
    params.not_after = seconds(now + life);
    Ok(params)
}

fn generate() -> Result<KeyPair, CertificateError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|error| failed(&error))
}

fn failed(error: &rcgen::Error) -> CertificateError {
    CertificateError(format!("cannot make a certificate: {error}"))
}
