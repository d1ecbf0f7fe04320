//! A server of HTTP/2 that ends connections and streams: what no connection came to is asked again for nothing, what
//! broke is asked once more, and what stays broken is told.

use super::{Client, Reply, Seen, Shelf, UnresolvedKind, assert_failed};
use crate::support::Authority;
use axum::{body::Bytes, http::Response};
use h2::{Reason, RecvStream, server};
use hullmark::credential::Credentials;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What a connection does instead of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bad {
    /// Says that it goes away, and that it came to nothing: before a request can have come.
    GoAwayAtOnce,
    /// The same, when one has come.
    GoAway,
    /// Refuses the first stream without having looked at it, and serves the others.
    Refuse,
    /// Ends the first stream with an error, and serves the others.
    Fail,
    /// Ends the first stream with an error in its body, and serves the others.
    FailInBody,
    /// Ends without a word when a request has come.
    Vanish,
    /// Answers the first stream with more headers than anyone takes, and serves the others.
    Headers,
}

/// An HTTP/2 server; it ends with the test's runtime.
struct Server {
    host: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Its connections are bad as `bad` says of each by its number; none: it serves.
    async fn start(bad: impl Fn(usize) -> Option<Bad> + Send + 'static) -> Self {
        let acceptor = Authority::new().leaf().acceptor_for(&["h2"]);
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bad = bad(count.fetch_add(1, Ordering::SeqCst));
                tokio::spawn(connection(acceptor.clone(), stream, bad));
            }
        });
        Self { host, connections }
    }

    /// A client that takes its certificate.
    fn client(&self) -> Client {
        Client::with(&[(self.host.clone(), "skip_verify = true".to_owned())], &[])
    }
}

/// The host of a server that never comes to a request.
pub(super) async fn going_away() -> String {
    Server::start(|_| Some(Bad::GoAway)).await.host
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, bad: Option<Bad>) -> Option<()> {
    let stream = acceptor.accept(stream).await.ok()?;
    match bad {
        Some(Bad::GoAwayAtOnce) => go_away(stream, false).await,
        Some(Bad::GoAway) => go_away(stream, true).await,
        _ => serve(stream, bad).await,
    }
}

/// Says in raw frames (RFC 9113) that it goes away: no stream was processed, and there is no error.
async fn go_away(mut stream: TlsStream<TcpStream>, after_request: bool) -> Option<()> {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let going_away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    stream.write_all(&settings).await.ok()?;
    stream.flush().await.ok()?;
    if after_request {
        // The client's preface and settings, some 70 bytes, and the beginning of its request.
        stream.read_exact(&mut [0; 100]).await.ok()?;
    }
    stream.write_all(&going_away).await.ok()?;
    stream.shutdown().await.ok()?;
    // A close over unread bytes would be a reset, which may overtake what was said.
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
    Some(())
}

async fn serve(stream: TlsStream<TcpStream>, mut bad: Option<Bad>) -> Option<()> {
    let shelf = Shelf::with_image();
    let mut connection = server::handshake(stream).await.ok()?;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let seen = seen(&request);
        let reply = match &*seen.target {
            "/token" => Reply::new(200, r#"{"token":"good"}"#),
            _ => shelf.serve(&seen),
        };
        let (status, headers, body) = reply.into_parts();
        let answer = headers
            .iter()
            .fold(Response::builder().status(status), |all, (name, value)| all.header(name, value));
        let answer = answer.body(()).unwrap();
        match bad.take() {
            Some(Bad::Vanish) => return None,
            Some(Bad::Headers) => {
                let large = Response::builder().header("x-large", "x".repeat(100_000)).body(()).unwrap();
                respond.send_response(large, true).ok()?;
            }
            Some(Bad::Refuse) => respond.send_reset(Reason::REFUSED_STREAM),
            Some(Bad::Fail) => respond.send_reset(Reason::INTERNAL_ERROR),
            Some(Bad::FailInBody) => {
                let mut half = respond.send_response(answer, false).ok()?;
                half.send_data(Bytes::from_static(b"{"), false).ok()?;
                half.send_reset(Reason::INTERNAL_ERROR);
            }
            _ => respond.send_response(answer, false).ok()?.send_data(body.into(), true).ok()?,
        }
    }
    Some(())
}

fn seen(request: &axum::http::Request<RecvStream>) -> Seen {
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    Seen {
        method: request.method().to_string(),
        target: request.uri().path_and_query().unwrap().to_string(),
        headers: request.headers().iter().map(header).collect(),
        body: String::new(),
    }
}

#[tokio::test]
async fn what_ends_before_an_answer_is_asked_again() {
    use Bad::{Fail, FailInBody, GoAway, GoAwayAtOnce, Refuse, Vanish};
    // What the first connections do, and how many there are in all.
    let rows: [(&'static [Bad], usize); 9] = [
        (&[GoAwayAtOnce], 2),
        (&[GoAway], 2),
        (&[Refuse], 1),
        (&[Fail], 1),
        (&[FailInBody], 1),
        (&[Vanish], 2),
        (&[GoAway, GoAwayAtOnce, GoAway], 4),
        (&[GoAway, GoAway, Vanish], 4),
        (&[Vanish, GoAway, GoAway], 4),
    ];
    for (bad, connections) in rows {
        let server = Server::start(move |nth| bad.get(nth).copied()).await;
        let resolved = server.client().resolve(&format!("{}/app:1", server.host)).await;
        assert!(resolved.is_ok(), "{bad:?}: {resolved:?}");
        assert_eq!(server.connections.load(Ordering::SeqCst), connections, "{bad:?}");
    }
}

#[tokio::test]
async fn what_ends_before_any_answer_is_told() {
    for (bad, tries, text) in [
        (Bad::GoAwayAtOnce, 11, "ends its HTTP/2 connections before it comes to a request"),
        (Bad::GoAway, 11, "ends its HTTP/2 connections before it comes to a request"),
        (Bad::Vanish, 2, "broke the "),
        (Bad::Headers, 2, "broke the exchange off"),
    ] {
        let server = Server::start(move |_| Some(bad)).await;
        let client = server.client();
        let failed = client.failure(&format!("{}/app:1", server.host)).await;
        assert_failed(&failed, UnresolvedKind::Unreachable, text);
        assert_eq!(client.exchanges.lock().unwrap().len(), tries, "{bad:?}");
    }
}

/// A refresh token may be good for one use: it is sent again only where it is certain that nobody has read it.
#[tokio::test]
async fn a_secret_is_sent_again_only_where_nobody_came_to_it() {
    for (bad, expected) in
        [(Bad::GoAway, true), (Bad::Refuse, true), (Bad::Vanish, false), (Bad::Fail, false)]
    {
        let tokens = Server::start(move |nth| (nth == 0).then_some(bad)).await;
        let (shelf, realm) = (Shelf::with_image(), format!("https://{}/token", tokens.host));
        let registry = super::Server::start(move |seen| match seen.header("authorization") {
            Some("Bearer good") => shelf.serve(seen),
            _ => Reply::challenge(format!("Bearer realm=\"{realm}\"")),
        })
        .await;
        let hosts = [
            (registry.authority(), format!("server = 'http://{}'", registry.authority())),
            (tokens.host.clone(), format!("server = 'https://{}'\nskip_verify = true", tokens.host)),
        ];
        let identity = Credentials::IdentityToken("once".to_owned());
        let image = format!("{}/app:1", registry.authority());
        let found = Client::with(&hosts, &[]).resolve_as(&image, &[identity]).await;
        assert_eq!(found.is_ok(), expected, "{bad:?}: {found:?}");
    }
}
