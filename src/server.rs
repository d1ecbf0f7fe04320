//! The webhook's front door: HTTPS `POST /validate`, and health on a plain port.
//!
//! In go bytes of an `AdmissionReview`, out come the bytes of its answer, before the deadline that the
//! caller set. What surprises:
//!
//! - Whatever was judged is answered with HTTP 200. Any other status means that nothing was judged,
//!   and then the API server does what the webhook's `failurePolicy` says. No such answer has a
//!   `Retry-After`: the API server would call again within the same deadline.
//! - A stop has three steps, so that no call is lost: not ready but serving (and closing connections
//!   with each answer), then finishing what is in flight, then gone (`reference/kubernetes.md`, 8).
//! - The server names no log or metric of its journey: it tells an [`Observe`], and others make of it
//!   what they like.

mod body;
mod deadline;
mod health;
mod listener;
mod open_files;
mod readiness;
mod refusal;
mod span;
mod tls;
mod validate;

pub use readiness::{Latch, Readiness};
pub use tls::Certificates;
pub use validate::router;

use crate::{
    admission::{Answer, Mode, Request, Stance},
    certificate::CertificateError,
    policy::PolicySet,
    review::{FindCredentials, KnowNamespaces, ResolveImage, Review, Reviewer},
};
use axum::http::HeaderMap;
use listener::Listener;
use open_files::Connections;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tracing::Span;

/// Reads the wall clock.
pub type Clock = fn() -> jiff::Timestamp;

/// Where the server listens, and how long things may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// HTTPS: `/validate`. Port 0: any free one.
    pub listen: SocketAddr,
    /// Plain HTTP: `/livez`, `/readyz`, `/metrics`. Port 0: any free one.
    pub health_listen: SocketAddr,
    /// After a stop was asked for: not ready, but still serving, for this long.
    pub drain: Duration,
    /// After the drain: requests in flight may take this long.
    pub finish: Duration,
    /// How often the certificate is looked after: files read again, an own leaf renewed.
    pub certificate_check: Duration,
    /// A file with the authorities of those who may call `/validate` (PEM); none: anybody may.
    pub callers: Option<PathBuf>,
    /// Whether callers trust the certificate; without a say, they are taken to.
    pub trusted: Option<watch::Receiver<bool>>,
    /// Whether what runs already was looked at; none: nobody waits for that.
    pub warm: Option<watch::Receiver<bool>>,
}

/// What answers reviews.
#[derive(Debug)]
pub struct Webhook<R, C, O> {
    /// Resolves and judges.
    pub reviewer: Arc<Reviewer<R, C>>,
    /// The policies in force; each request is judged by one snapshot.
    pub policies: watch::Receiver<Arc<PolicySet>>,
    /// How strict answers are.
    pub stance: Stance,
    /// What is known of namespaces.
    pub namespaces: Arc<dyn KnowNamespaces>,
    /// Is told what happened.
    pub observer: Arc<O>,
    /// The wall clock, for ages of images and exceptions.
    pub clock: Clock,
}

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub struct Reviewed<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// What was found; none when there was nothing to judge.
    pub review: Option<&'a Review>,
    /// What is sent back.
    pub answer: &'a Answer,
    /// Whether denials are carried out.
    pub mode: Mode,
    /// From the request's head until it was read.
    pub reading: Duration,
    /// From the request's head to its answer.
    pub elapsed: Duration,
}

/// Is told what the server does. Called on the admission path: must neither block nor panic.
pub trait Observe: Send + Sync + 'static {
    /// A request with these headers came; its span, which has not begun, may become a part of the caller's trace.
    fn begins(&self, span: &Span, headers: &HeaderMap);
    /// A request was answered.
    fn reviewed(&self, reviewed: &Reviewed<'_>);
    /// A request got an HTTP status that says that nothing was judged.
    fn refused(&self, status: u16);
    /// Requests in flight: one more (1) or one less (-1).
    fn in_flight(&self, change: i64);
    /// The certificate in use ends then, and whether the last try to renew it worked.
    fn certificate(&self, expires: jiff::Timestamp, renewed: bool);
    /// All metrics, as OpenMetrics text.
    fn exposition(&self) -> String;
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({flag}): {source}{hint}")]
    Bind {
        /// The flag that set the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What to do about it, or nothing.
        hint: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The authorities of callers cannot be used.
    #[error("--client-ca {0}")]
    Callers(CertificateError),
    /// The TLS library refuses its configuration.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A server that runs until it is stopped. Dropping it stops it at once.
#[derive(Debug)]
pub struct Running {
    /// Where the webhook listens.
    pub https: SocketAddr,
    /// Where health is.
    pub health: SocketAddr,
    /// What `/readyz` says.
    pub readiness: Readiness,
    phase: watch::Sender<Phase>,
    drain: Duration,
    webhook: Task,
    /// Held so that it ends with the server.
    _health: Task,
    _certificates: Task,
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Finishing,
}

/// A task that ends when its owner does.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Binds both ports, then serves in the background.
///
/// # Errors
/// [`StartError`] when an address is taken or not ours.
pub async fn start<R, C, O>(
    settings: Settings,
    certificates: Arc<Certificates>,
    webhook: Webhook<R, C, O>,
) -> Result<Running, StartError>
where
    R: ResolveImage + 'static,
    C: FindCredentials + 'static,
    O: Observe,
{
    let tls = tls::acceptor(Arc::clone(&certificates), settings.callers.as_deref())?;
    let https = bind("--listen", settings.listen).await?;
    let health = bind("--health-listen", settings.health_listen).await?;
    let (https_address, health_address) = (https.1, health.1);

    let readiness = Readiness::default();
    let (phase, watched) = watch::channel(Phase::Serving);
    let observer = Arc::clone(&webhook.observer);
    let connections = Connections::allowed();
    let health =
        Listener { socket: health.0, connections: connections.health, tls: None, finish: Duration::ZERO }
            .run(health::router(readiness.clone(), Arc::clone(&observer)), never_finishing());
    let keep = tls::keep_fresh(certificates, settings.certificate_check, readiness.clone(), observer);
    let routes = validate::guarded(router(Arc::new(webhook)), watched.clone());
    let serve = Listener {
        socket: https.0,
        connections: connections.webhook,
        tls: Some(tls),
        finish: settings.finish,
    }
    .run(routes, watched);

    readiness.reached(Latch::Policies);
    readiness.reached(Latch::Listener);
    for (latch, holds) in [(Latch::Trust, settings.trusted), (Latch::Warm, settings.warm)] {
        match holds {
            None => readiness.reached(latch),
            Some(holds) => _ = tokio::spawn(follow(latch, holds, readiness.clone())),
        }
    }
    Ok(Running {
        https: https_address,
        health: health_address,
        readiness,
        phase,
        drain: settings.drain,
        webhook: Task(tokio::spawn(serve)),
        _health: Task(tokio::spawn(health)),
        _certificates: Task(tokio::spawn(keep)),
    })
}

impl Running {
    /// Stops without losing a call: not ready, drain, finish what is in flight, gone.
    pub async fn stop(mut self) {
        self.readiness.stopping();
        self.phase.send_replace(Phase::Draining);
        tokio::time::sleep(self.drain).await;
        self.phase.send_replace(Phase::Finishing);
        // An error is a panic of the accept loop, which has been logged by the panic hook.
        (&mut self.webhook.0).await.ok();
    }

    /// Completes if the webhook's accept loop ends although nobody asked for it.
    pub async fn failed(&mut self) {
        (&mut self.webhook.0).await.ok();
    }
}

async fn bind(flag: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|source: std::io::Error| StartError::Bind {
        flag,
        address,
        hint: match source.kind() {
            std::io::ErrorKind::AddrInUse => "; another process listens there, or choose another port",
            std::io::ErrorKind::PermissionDenied => {
                "; ports below 1024 need a capability, choose a higher one"
            }
            std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            _ => "",
        },
        source,
    })
}

/// Ready only while what the latch stands for holds.
async fn follow(latch: Latch, mut holds: watch::Receiver<bool>, readiness: Readiness) {
    loop {
        let it_holds = *holds.borrow_and_update();
        if it_holds {
            readiness.reached(latch);
        } else {
            readiness.lost(latch);
        }
        if holds.changed().await.is_err() {
            return;
        }
    }
}

/// Health is served until the very end: it says that we are stopping.
fn never_finishing() -> watch::Receiver<Phase> {
    watch::channel(Phase::Serving).1
}
