//! The webhook's certificate: our own, or from files; changed while connections come in.
//!
//! What surprises: files are read again by content and not by a file watch, because a Secret volume
//! swaps a symlink above them; and a certificate, once good, stays in use until a better one is there:
//! a bad pair is logged, never served.

mod authority;
mod files;
mod validity;

use super::{Clock, Latch, Observe, Readiness};
use authority::Authority;
use files::Files;
use jiff::Timestamp;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;

/// Why there is no certificate to serve; the text names the file, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CertificateError(pub(super) String);

/// Where the certificate comes from, and the one in use.
pub struct Certificates {
    source: Source,
    clock: Clock,
    current: RwLock<Arc<Pair>>,
}

enum Source {
    Own(Box<Authority>),
    Files(Files),
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
        let authority = Authority::new(names, now)?;
        let pair = authority.issue(now)?;
        Ok(Self::with(Source::Own(Box::new(authority)), pair, clock))
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

    /// The certificate of our own authority (PEM), for callers to trust; none with files.
    pub fn authority_pem(&self) -> Option<&str> {
        match &self.source {
            Source::Own(authority) => Some(authority.pem()),
            Source::Files(_) => None,
        }
    }

    /// The file of the chain; none with an authority of our own.
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::Own(_) => None,
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
            Source::Own(authority) if now >= self.current().renew_at => Some(authority.issue(now)?),
            Source::Own(_) => None,
            Source::Files(files) => files.changed(now)?,
        };
        let renewed = new.is_some();
        if let Some(pair) = new {
            self.replace(pair);
        }
        Ok(renewed)
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
pub(super) fn acceptor(certificates: Arc<Certificates>) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
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
