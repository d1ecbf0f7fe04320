//! An OpenTelemetry collector as an exporter sees it: OTLP over HTTP on loopback, with spans decoded by the
//! specification's own message types.

use super::Authority;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
    serve::Listener,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::Span as Sent,
};
use prost::Message as _;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What it does with spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It takes them.
    Takes,
    /// It never answers.
    Stalls,
}

/// The collector; it stops when the test's runtime does.
pub(crate) struct Collector {
    address: SocketAddr,
    received: Arc<Received>,
    scheme: &'static str,
}

struct Received {
    manner: Manner,
    requests: Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>,
}

/// A span as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty: it has none.
    pub(crate) parent: String,
    /// `SPAN_KIND_CLIENT` is 3, `SPAN_KIND_SERVER` is 2.
    pub(crate) kind: i32,
    /// Whether its status is an error.
    pub(crate) is_error: bool,
    /// When it began and when it ended.
    pub(crate) time: (u64, u64),
    /// Numbers as they are written, and texts with quotes around them.
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Collector {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Received { manner, requests: Mutex::default() });
        let routes = routes(&received);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, received, scheme: "http" }
    }

    /// One that is reached over TLS.
    pub(crate) async fn over_tls(authority: &Authority) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let received = Arc::new(Received { manner: Manner::Takes, requests: Mutex::default() });
        let (routes, acceptor) = (routes(&received), authority.leaf().acceptor());
        tokio::spawn(async move { axum::serve(Tls { socket, acceptor }, routes).await });
        Self { address, received, scheme: "https" }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.received.requests.lock().unwrap();
        let resources = requests.iter().flat_map(|(_, request)| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans).map(Span::from).collect()
    }

    /// All spans, once there is one of this name.
    pub(crate) async fn spans_with(&self, name: &str) -> Vec<Span> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let spans = self.spans();
            if spans.iter().any(|span| span.name == name) {
                return spans;
            }
            assert!(Instant::now() < until, "no span {name:?} in {spans:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the first request says of who sent it: headers, and attributes of the resource.
    pub(crate) fn sender(&self) -> (HeaderMap, BTreeMap<String, String>) {
        let requests = self.received.requests.lock().unwrap();
        let (headers, request) = &requests[0];
        let resource = request.resource_spans[0].resource.as_ref().unwrap();
        (headers.clone(), attributes(&resource.attributes))
    }

    /// Everything that was sent in bodies, as text.
    pub(crate) fn text(&self) -> String {
        let requests = self.received.requests.lock().unwrap();
        requests.iter().map(|(_, request)| format!("{request:?}")).collect::<Vec<_>>().join("\n")
    }
}

fn routes(received: &Arc<Received>) -> Router {
    Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(received))
}

async fn take(State(received): State<Arc<Received>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if received.manner == Manner::Stalls {
        std::future::pending::<()>().await;
    }
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    received.requests.lock().unwrap().push((headers, request));
    StatusCode::OK
}

impl From<&Sent> for Span {
    fn from(sent: &Sent) -> Self {
        Self {
            name: sent.name.clone(),
            trace: hex(&sent.trace_id),
            id: hex(&sent.span_id),
            parent: hex(&sent.parent_span_id),
            kind: sent.kind,
            is_error: sent.status.as_ref().is_some_and(|status| status.code == 2),
            time: (sent.start_time_unix_nano, sent.end_time_unix_nano),
            attributes: attributes(&sent.attributes),
        }
    }
}

fn attributes(sent: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &AnyValue| match value.value.as_ref().unwrap() {
        Value::StringValue(text) => format!("{text:?}"),
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(value) => value.to_string(),
        other => format!("{other:?}"),
    };
    sent.iter().map(|one| (one.key.clone(), text(one.value.as_ref().unwrap()))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

struct Tls {
    socket: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.socket.accept().await.unwrap();
            // A caller who does not trust us goes away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}
