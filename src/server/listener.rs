//! One port: accepts connections, speaks TLS where it is told to, and lets go without losing a call.
//!
//! What surprises: hyper's limit on the time for a request's head also runs while a connection is idle,
//! so it is the idle timeout too. The API server keeps idle connections for 90 s and does not try
//! again when one is closed under its request (`reference/kubernetes.md`, 1.4): ours must be longer.
//! It even keeps connections on which it has not asked anything yet.

use super::Phase;
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use std::{io, net::SocketAddr, pin::pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

/// Time for a TLS handshake: what the API server waits for one.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for a request's head, idle time before it included.
const IDLE: Duration = Duration::from_secs(130);
/// How often an HTTP/2 connection is asked whether it is still there.
const HTTP2_PING: Duration = Duration::from_mins(1);
/// Requests at the same time on an HTTP/2 connection.
const HTTP2_STREAMS: u32 = 250;
/// Pause after an error of `accept` that would come again at once, such as too many open files.
const PAUSE: Duration = Duration::from_millis(250);

/// A bound port.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// Connections at the same time; more wait in the backlog of the kernel.
    pub(super) connections: usize,
    /// None: plain.
    pub(super) tls: Option<TlsAcceptor>,
    /// How long connections have to finish, after [`Phase::Finishing`].
    pub(super) finish: Duration,
}

impl Listener {
    /// Serves `routes` until `phase` is [`Phase::Finishing`] and connections are finished, or their
    /// time is over.
    pub(super) async fn run(self, routes: Router, phase: watch::Receiver<Phase>) {
        let mut connections = JoinSet::new();
        let mut was_full = false;
        let mut finishing = pin!(finishing(phase.clone()));
        loop {
            let full = connections.len() >= self.connections;
            if full && !was_full {
                tracing::warn!(limit = self.connections, "too many connections; new ones wait");
            }
            was_full = full;
            tokio::select! {
                () = &mut finishing => break,
                Some(_) = connections.join_next() => {}
                accepted = self.socket.accept(), if !full => match accepted {
                    Ok((stream, peer)) => {
                        let connection = Connection {
                            peer,
                            tls: self.tls.clone(),
                            routes: routes.clone(),
                            phase: phase.clone(),
                        };
                        connections.spawn(connection.serve(stream));
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::error!(error = error.to_string(), "cannot accept connections");
                        sleep(PAUSE).await;
                    }
                },
            }
        }
        drop(self.socket);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(self.finish, all).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "closing connections that did not finish in time"
            );
        }
        // Dropping the set ends what is left.
    }
}

struct Connection {
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    routes: Router,
    phase: watch::Receiver<Phase>,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        // A failure here shows again at the first write.
        stream.set_nodelay(true).ok();
        let Some(tls) = self.tls.take() else {
            return self.speak(stream, Protocol::Http1).await;
        };
        let handshake = tokio::select! {
            () = finishing(self.phase.clone()) => return,
            handshake = timeout(HANDSHAKE, tls.accept(stream)) => handshake,
        };
        match handshake {
            Ok(Ok(stream)) => {
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                self.speak(stream, protocol).await;
            }
            Ok(Err(error)) => self.log("TLS handshake failed", &error.to_string()),
            Err(_) => self.log("TLS handshake failed", "it took too long"),
        }
    }

    /// The protocol is known, so nothing waits for a first byte without a limit.
    async fn speak<S>(&mut self, stream: S, protocol: Protocol)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let builder = protocol.builder();
        let service = TowerToHyperService::new(self.routes.clone());
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = finishing(self.phase.clone()) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            self.log("connection failed", &error.to_string());
        }
    }

    /// At debug: scanners and health checks of load balancers do this all day.
    fn log(&self, what: &str, error: &str) {
        tracing::debug!(peer = self.peer.to_string(), what, error, "connection ended");
    }
}

#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    fn builder(self) -> Builder<TokioExecutor> {
        let builder = Builder::new(TokioExecutor::new());
        let mut builder = match self {
            Self::Http1 => builder.http1_only(),
            Self::Http2 => builder.http2_only(),
        };
        builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(HTTP2_PING)
            .max_concurrent_streams(HTTP2_STREAMS);
        builder
    }
}

/// Completes when connections are to finish; never, once nobody is left who could say so.
async fn finishing(mut phase: watch::Receiver<Phase>) {
    if phase.wait_for(|phase| *phase == Phase::Finishing).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether an error of `accept` says nothing of the next connection.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
