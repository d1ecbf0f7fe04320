//! An authority, and the short-lived leaves that it signs.
//!
//! ECDSA P-256: the API server does not resume sessions, so a burst of Pods is a burst of full
//! handshakes, and RSA would cost many times more.

use super::Validity;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use std::{fmt, time::Duration};

/// A leaf's life.
const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A leaf's age at which the next one is made: two thirds of its life.
const RENEW_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24 * 2 / 3);
/// Clocks of others may be slow.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Why there is no certificate; the text names the file or the flag, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CertificateError(pub String);

/// An authority's certificate and key, as PEM. `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityPem {
    /// The certificate.
    pub certificate: String,
    /// The key, PKCS#8.
    pub key: String,
}

/// Signs leaves.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: AuthorityPem,
}

/// A signed certificate with its key.
pub struct Leaf {
    /// The certificate, DER.
    pub certificate: CertificateDer<'static>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
    /// When it ends.
    pub expires: Timestamp,
    /// From then on the next one is made.
    pub renew_at: Timestamp,
}

impl Authority {
    /// How long leaves live: how long an authority that signs no more has to be trusted.
    pub const LEAF_LIFE: SignedDuration = LEAF_LIFE;

    /// Makes a new one, which lives for `life`.
    ///
    /// # Errors
    /// [`CertificateError`] when the machine has no randomness.
    pub fn new(now: Timestamp, life: SignedDuration) -> Result<Self, CertificateError> {
        let mut params = own_params()?;
        valid(&mut params, now, life);
        let key = generate()?;
        let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
        let pem = AuthorityPem { certificate: certificate.pem(), key: key.serialize_pem() };
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// One that was made before.
    ///
    /// # Errors
    /// [`CertificateError`] when the key cannot be read, or the certificate is none.
    pub fn from_pem(pem: &AuthorityPem) -> Result<Self, CertificateError> {
        let unreadable = |what: &str, error: &dyn fmt::Display| {
            CertificateError(format!("the {what} of the authority cannot be read: {error}"))
        };
        let key = KeyPair::from_pem(&pem.key).map_err(|error| unreadable("key", &error))?;
        validity(&pem.certificate).ok_or_else(|| unreadable("certificate", &"it is not one"))?;
        // What leaves say of their issuer is what every authority of ours is called.
        Ok(Self { issuer: Issuer::new(own_params()?, key), pem: pem.clone() })
    }

    /// Certificate and key.
    pub fn pem(&self) -> &AuthorityPem {
        &self.pem
    }

    /// Signs a leaf with a new key for `names` (DNS names and IP addresses).
    ///
    /// # Errors
    /// [`CertificateError`] when there is no name, or one that cannot stand in a certificate.
    pub fn issue(&self, names: &[String], now: Timestamp) -> Result<Leaf, CertificateError> {
        if names.iter().all(|name| name.trim().is_empty()) {
            return Err(CertificateError("a certificate needs a name; give one with --tls-name".to_owned()));
        }
        let mut params = CertificateParams::new(names).map_err(|error| {
            CertificateError(format!("--tls-name {}: not a DNS name or IP address: {error}", names.join(",")))
        })?;
        params.distinguished_name = named("hullmark webhook");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid(&mut params, now, LEAF_LIFE);
        let key = generate()?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(|error| failed(&error))?;
        let at = |after| now.checked_add(after).map_err(|error| CertificateError(error.to_string()));
        Ok(Leaf {
            certificate: leaf.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            expires: at(LEAF_LIFE)?,
            renew_at: at(RENEW_AFTER)?,
        })
    }
}

/// How long the first certificate in `pem` is valid; none if there is none that can be read.
fn validity(pem: &str) -> Option<Validity> {
    Validity::of(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
}

impl AuthorityPem {
    /// How long the authority is valid; none if its certificate cannot be read.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        validity(&self.certificate)
    }
}

impl fmt::Debug for AuthorityPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityPem").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pem.fmt(f)
    }
}

fn own_params() -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new([]).map_err(|error| failed(&error))?;
    params.distinguished_name = named("hullmark authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn named(common_name: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn valid(params: &mut CertificateParams, now: Timestamp, life: SignedDuration) {
    let seconds = |at: Timestamp| {
        let since_1970 = Duration::from_secs(at.as_second().try_into().unwrap_or_default());
        rcgen::date_time_ymd(1970, 1, 1) + since_1970
    };
    params.not_before = seconds(now - SKEW);
    params.not_after = seconds(now + life);
}

fn generate() -> Result<KeyPair, CertificateError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|error| failed(&error))
}

fn failed(error: &rcgen::Error) -> CertificateError {
    CertificateError(format!("cannot make a certificate: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        crypto::ring,
        pki_types::{ServerName, UnixTime},
    };
    use std::sync::Arc;

    const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn is_trusted(leaf: &Leaf, authority: &AuthorityPem, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now().as_second().try_into().unwrap()));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(&leaf.certificate, &[], &name, &[], at).is_ok()
    }

    #[test]
    fn leaves_are_trusted_by_who_trusts_their_authority_even_when_it_was_stored() {
        let authority = Authority::new(now(), YEAR).unwrap();
        let stored = Authority::from_pem(authority.pem()).unwrap();
        let other = Authority::new(now(), YEAR).unwrap();
        let names = ["hullmark.hullmark.svc".to_owned(), "127.0.0.1".to_owned()];
        for (name, signer, trusted) in
            [("made", &authority, true), ("stored", &stored, true), ("other", &other, false)]
        {
            let leaf = signer.issue(&names, now()).unwrap();
            assert_eq!(is_trusted(&leaf, authority.pem(), "hullmark.hullmark.svc"), trusted, "{name}");
            assert!(!is_trusted(&leaf, authority.pem(), "elsewhere.svc"), "{name}");
        }
        assert_eq!(authority.pem().validity().unwrap().not_after, now() + YEAR);
    }

    #[test]
    fn what_is_no_authority_says_so_without_the_key() {
        let good = Authority::new(now(), YEAR).unwrap().pem().clone();
        for (name, pem, wanted) in [
            ("no key", AuthorityPem { key: String::new(), ..good.clone() }, "key of the authority"),
            (
                "no certificate",
                AuthorityPem { certificate: "x".to_owned(), ..good.clone() },
                "certificate of the authority",
            ),
        ] {
            let error = Authority::from_pem(&pem).unwrap_err().to_string();
            assert!(error.contains(wanted), "{name}: {error}");
        }
        assert!(!format!("{good:?}").contains("PRIVATE"));
    }
}
