//! A server that answers HTTP/1.1 requests with whatever bytes a test wants.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// A request, as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: Option<usize>,
    delay: Duration,
    then: Then,
}

/// What happens at some point instead of an orderly end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Close,
    HangUp,
    StallBeforeHeaders,
    StallInBody,
    GoOnForever,
    Drip,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            length: None,
            delay: Duration::ZERO,
            then: Then::Close,
        }
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Claims another length than the body has.
    pub(super) fn claiming(mut self, length: usize) -> Self {
        self.length = Some(length);
        self
    }

    /// Answers a while later.
    pub(super) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Closes the connection instead of answering.
    pub(super) fn hanging_up(mut self) -> Self {
        self.then = Then::HangUp;
        self
    }

    /// Never answers.
    pub(super) fn stalling(mut self) -> Self {
        self.then = Then::StallBeforeHeaders;
        self
    }

    /// Sends half of the body, and then nothing more.
    pub(super) fn stalling_in_body(mut self) -> Self {
        self.then = Then::StallInBody;
        self
    }

    /// Sends zeros for ever after the body, without a length.
    pub(super) fn endless(mut self) -> Self {
        self.then = Then::GoOnForever;
        self
    }

    /// Sends the body a byte at a time, and never comes to its end.
    pub(super) fn dripping(mut self) -> Self {
        self.then = Then::Drip;
        self
    }

    pub(super) fn redirect(to: impl Into<String>) -> Self {
        Self::new(307, "").with("location", to)
    }

    /// A 401 with a challenge.
    pub(super) fn challenge(challenge: impl Into<String>) -> Self {
        Self::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
            .with("www-authenticate", challenge)
    }

    /// Status, headers and body, for a server that speaks otherwise.
    pub(super) fn into_parts(self) -> (u16, Vec<(String, String)>, Vec<u8>) {
        (self.status, self.headers, self.body)
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if self.then != Then::GoOnForever {
            let _ = write!(head, "content-length: {}\r\n", self.length.unwrap_or(self.body.len()));
        }
        head + "\r\n"
    }
}

type Handler = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// A server; it ends with the test's runtime.
pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(super) async fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, Arc::new(handler)).await
    }

    /// The same, at another address of loopback.
    pub(super) async fn start_at(
        address: &str,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen_at(address, None, Arc::new(handler)).await
    }

    pub(super) async fn start_tls(
        tls: TlsAcceptor,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(tls), Arc::new(handler)).await
    }

    /// The same, at another address of loopback.
    pub(super) async fn start_tls_at(
        address: &str,
        tls: TlsAcceptor,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen_at(address, Some(tls), Arc::new(handler)).await
    }

    async fn listen(tls: Option<TlsAcceptor>, handler: Handler) -> Self {
        Self::listen_at("127.0.0.1", tls, handler).await
    }

    async fn listen_at(address: &str, tls: Option<TlsAcceptor>, handler: Handler) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, handler, log) = (tls.clone(), Arc::clone(&handler), Arc::clone(&log));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, handler, log).await,
                        Some(tls) => match tls.accept(stream).into_fallible().await {
                            Ok(stream) => serve(stream, handler, log).await,
                            // A client that does not trust us ended the handshake, or we have sent it an alert.
                            Err((_, stream)) => close(stream).await,
                        },
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// `127.0.0.1:<port>`
    pub(super) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("a lock").clone()
    }

    /// The requests so far, as `METHOD /path?query`.
    pub(super) fn targets(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }

    pub(super) fn forget(&self) {
        self.seen.lock().expect("a lock").clear();
    }
}

/// Answers one request. None if the client went away.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Handler,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Option<()> {
    let seen = receive(&mut stream).await?;
    log.lock().expect("a lock").push(seen.clone());
    let reply = handler(&seen);
    tokio::time::sleep(reply.delay).await;
    if reply.then == Then::HangUp {
        return close(stream).await;
    }
    let stall = Duration::from_mins(1);
    if reply.then == Then::StallBeforeHeaders {
        tokio::time::sleep(stall).await;
    }
    stream.write_all(reply.head().as_bytes()).await.ok()?;
    if seen.method == "HEAD" {
        return close(stream).await;
    }
    if reply.then == Then::Drip {
        for byte in reply.body.iter().cycle() {
            stream.write_all(&[*byte]).await.ok()?;
            stream.flush().await.ok()?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let end = if reply.then == Then::StallInBody { reply.body.len() / 2 } else { reply.body.len() };
    stream.write_all(&reply.body[..end]).await.ok()?;
    stream.flush().await.ok()?;
    match reply.then {
        Then::StallInBody => tokio::time::sleep(stall).await,
        Then::GoOnForever => loop {
            stream.write_all(&[0; 8 * 1024]).await.ok()?;
        },
        Then::Close | Then::HangUp | Then::StallBeforeHeaders | Then::Drip => {}
    }
    close(stream).await
}

/// Says that nothing more comes, and reads what the client still says: a close over unread bytes would be a reset,
/// which may overtake what was sent.
async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
    stream.shutdown().await.ok()?;
    let rest = timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
    rest.ok()?.ok().map(drop)
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        // A TLS record where a request should be: answered in plain http, as many servers do.
        if bytes.first() == Some(&0x16) {
            return Some(Seen {
                method: "TLS".to_owned(),
                target: String::new(),
                headers: Vec::new(),
                body: String::new(),
            });
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let mut request = lines.next()?.split(' ');
    let (method, target) = (request.next()?.to_owned(), request.next()?.to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, length)| length.parse());
    let length: usize = length.transpose().ok()?.unwrap_or(0);
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
    Some(Seen { method, target, headers, body })
}
