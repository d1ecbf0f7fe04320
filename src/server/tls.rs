//! The webhook's certificate: our own, or from files; changed while connections come in.
//!
//! What surprises: files are read again by content and not by a file watch, because a Secret volume
//! swaps a symlink above them; and a certificate, once good, stays in use until a better one is there:
//! a bad pair is logged, never served.

mod callers;
mod files;

use super::{Clock, Latch, Observe, Readiness, StartError};
use crate::certificate::{Authority, AuthorityPem, CertificateError, Leaf};
use files::Files;
use jiff::{SignedDuration, Timestamp};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::TlsAcceptor;

/// An authority in memory lives as long as a process may.
const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// Where the certificate comes from, and the one in use.
pub struct Certificates {
    source: Source,
    clock: Clock,
    current: RwLock<Arc<Pair>>,
}

enum Source {
    /// An authority in memory.
    Own(Box<Authority>, Vec<String>),
    /// An authority that all replicas share, as it changes.
    Shared(Shared),
    Files(Files),
}

struct Shared {
    authority: watch::Receiver<AuthorityPem>,
    names: Vec<String>,
    /// The one that has signed what is in use.
    signed_by: Mutex<AuthorityPem>,
}

/// A chain with its key, checked.
#[derive(Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    expires: Timestamp,
    /// From then on it is renewed; for files, other people do that.
    renew_at: Timestamp,
}

impl Certificates {
    /// Makes an authority in memory, and a certificate for `names` (DNS names and IP addresses).
    ///
    /// # Errors
    /// [`CertificateError`] when a name cannot stand in a certificate.
    pub fn own(names: &[String], clock: Clock) -> Result<Self, CertificateError> {
        let now = clock();
        let authority = Authority::new(now, AUTHORITY_LIFE)?;
        let pair = Pair::of(authority.issue(names, now)?)?;
        Ok(Self::with(Source::Own(Box::new(authority), names.to_vec()), pair, clock))
    }

    /// Signs for `names` with the authority that all replicas share, and again when that changes.
    ///
    /// # Errors
    /// [`CertificateError`] when the authority cannot be read, or a name cannot stand in a certificate.
    pub fn shared(
        authority: watch::Receiver<AuthorityPem>,
        names: &[String],
        clock: Clock,
    ) -> Result<Self, CertificateError> {
        let pem = authority.borrow().clone();
        let pair = Pair::of(Authority::from_pem(&pem)?.issue(names, clock())?)?;
        let shared = Shared { authority, names: names.to_vec(), signed_by: Mutex::new(pem) };
        Ok(Self::with(Source::Shared(shared), pair, clock))
    }

    /// Reads a chain and its key (PEM), and checks both: they belong together and are valid now.
    ///
    /// # Errors
    /// [`CertificateError`] names the file and what is wrong with it.
    pub fn files(certificate: PathBuf, key: PathBuf, clock: Clock) -> Result<Self, CertificateError> {
        let (files, pair) = Files::open(certificate, key, clock())?;
        Ok(Self::with(Source::Files(files), pair, clock))
    }

    fn with(source: Source, pair: Pair, clock: Clock) -> Self {
        Self { source, clock, current: RwLock::new(Arc::new(pair)) }
    }

    /// The certificate of the authority in memory (PEM), for callers to trust; none with others.
    pub fn authority_pem(&self) -> Option<&str> {
        match &self.source {
            Source::Own(authority, _) => Some(&authority.pem().certificate),
            Source::Shared(_) | Source::Files(_) => None,
        }
    }

    /// The file of the chain; none with an authority of our own.
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::Own(..) | Source::Shared(_) => None,
            Source::Files(files) => Some(files.certificate()),
        }
    }

    /// When the certificate in use ends.
    pub fn expires(&self) -> Timestamp {
        self.current().expires
    }

    fn current(&self) -> Arc<Pair> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, pair: Pair) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }

    /// Whether there is a new certificate in use now.
    fn renew(&self) -> Result<bool, CertificateError> {
        let now = (self.clock)();
        let new = match &self.source {
            Source::Own(authority, names) if now >= self.current().renew_at => {
                Some(Pair::of(authority.issue(names, now)?)?)
            }
            Source::Own(..) => None,
            Source::Shared(shared) => shared.renewed(now >= self.current().renew_at, now)?,
            Source::Files(files) => files.changed(now)?,
        };
        let renewed = new.is_some();
        if let Some(pair) = new {
            self.replace(pair);
        }
        Ok(renewed)
    }
}

impl Shared {
    /// A new leaf, if the one in use is due or was signed by another authority.
    fn renewed(&self, is_due: bool, now: Timestamp) -> Result<Option<Pair>, CertificateError> {
        let pem = self.authority.borrow().clone();
        let mut signed_by = self.signed_by.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_due && pem == *signed_by {
            return Ok(None);
        }
        let pair = Pair::of(Authority::from_pem(&pem)?.issue(&self.names, now)?)?;
        *signed_by = pem;
        Ok(Some(pair))
    }
}

impl Pair {
    fn of(leaf: Leaf) -> Result<Self, CertificateError> {
        let key = CertifiedKey::from_der(vec![leaf.certificate], leaf.key, &provider())
            .map_err(|error| CertificateError(format!("cannot use a certificate of our own: {error}")))?;
        Ok(Self { key: Arc::new(key), expires: leaf.expires, renew_at: leaf.renew_at })
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("expires", &self.expires()).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current().key))
    }
}

/// TLS 1.2 and 1.3. The API server speaks HTTP/1.1, and HTTP/2 to loopback only.
/// `callers`: a file with the authorities of those who may call (PEM); none: anybody may.
pub(super) fn acceptor(
    certificates: Arc<Certificates>,
    callers: Option<&Path>,
) -> Result<TlsAcceptor, StartError> {
    let callers = match callers {
        Some(file) => callers::read(file).map_err(StartError::Callers)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(callers)
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // The API server never resumes a session, so tickets and storage would be for nothing.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Looks after the certificate for ever: renews it or reads it again, and tells what is known of it.
pub(super) async fn keep_fresh<O: Observe>(
    certificates: Arc<Certificates>,
    every: Duration,
    readiness: Readiness,
    observer: Arc<O>,
) {
    let mut ticks = interval(every);
    // After a suspended machine wakes up, once is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failure = None;
    loop {
        ticks.tick().await;
        let renewing = Arc::clone(&certificates);
        // Files may lie on a slow volume.
        let renewed = tokio::task::spawn_blocking(move || renewing.renew()).await;
        let renewed = renewed.unwrap_or_else(|panic| Err(CertificateError(panic.to_string())));
        let now_failure = renewed.as_ref().err().cloned();
        let (expires, valid) = {
            let expires = certificates.expires();
            (expires, expires > (certificates.clock)())
        };
        match renewed {
            Ok(true) => tracing::info!(tls.expires = expires.to_string(), "certificate replaced"),
            Ok(false) => {}
            // Told once, not with every look.
            Err(_) if now_failure == failure => {}
            Err(error) => tracing::error!(
                error = error.to_string(),
                tls.expires = expires.to_string(),
                "the certificate cannot be replaced; the last good one stays in use"
            ),
        }
        failure = now_failure;
        observer.certificate(expires, failure.is_none());
        readiness.note("certificate", failure.as_ref().map(ToString::to_string));
        if valid { readiness.reached(Latch::Certificate) } else { readiness.lost(Latch::Certificate) }
    }
}

#[cfg(test)]
mod tests;
