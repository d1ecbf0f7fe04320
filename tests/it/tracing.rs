//! Traces: what a collector is told of a review, and that it can do no harm.

use crate::{
    serve::{
        client::{Answer, connect, exchange, get, post, request, trusting},
        world::{NON_ROOT, eventually, pod},
    },
    support::{
        Authority, Collector, ControlPlane, Image, Manner, PASSWORD, Registry, Span, USER, process::Process,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{fs, net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::client::TlsStream;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// What must not be told to anybody.
const COLLECTOR_SECRET: &str = "c0llector-s3cret";
const VARIABLE: &str = "hunter2";

/// A webhook that runs, with what it takes to ask it.
struct Server {
    process: Process,
    stream: TlsStream<TcpStream>,
    listen: SocketAddr,
    health: SocketAddr,
}

impl Server {
    /// Policies that refuse root, `registry` as the one there is, and these variables; batches leave quickly.
    async fn start(registry: &Registry, variables: &[(&str, &str)]) -> Self {
        let folder = crate::support::process::with_policies(NON_ROOT);
        fs::create_dir(folder.path().join(".docker")).unwrap();
        let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let config = json!({ "auths": { registry.host(): { "auth": auth } } });
        fs::write(folder.path().join(".docker/config.json"), config.to_string()).unwrap();
        let hosts = format!("--hosts-dir={}", registry.hosts_dir().display());
        let arguments =
            ["--write-ca=ca.pem", "--drain=50ms", "--log=debug", "--allow-address=127.0.0.0/8", &hosts];
        let variables = [&[("OTEL_BSP_SCHEDULE_DELAY", "50")], variables].concat();
        let mut process = Process::start_in(folder, &arguments, &variables);
        let serving = process.logged("serving").await;
        let address = |name: &str| serving[name].as_str().unwrap().parse::<SocketAddr>().unwrap();
        let ca = fs::read_to_string(process.folder.path().join("ca.pem")).unwrap();
        let stream = connect(address("listen"), trusting(&ca)).await.unwrap();
        Self { stream, listen: address("listen"), health: address("health_listen"), process }
    }

    async fn send(&mut self, bytes: &[u8]) -> Answer {
        exchange(&mut self.stream, bytes).await.unwrap()
    }

    /// Reviews a Pod with this image, as an API server that traces would; the log's line.
    async fn review(&mut self, image: &str, traceparent: Option<&str>) -> Value {
        let mut review: Value = serde_json::from_str(&pod(image)).unwrap();
        review["request"]["object"]["spec"]["containers"][0]["env"] =
            json!([{ "name": "TOKEN", "value": VARIABLE }]);
        let parent = traceparent.map(|value| format!("traceparent: {value}"));
        let headers = ["Content-Type: application/json"].into_iter().chain(parent.as_deref());
        let headers: Vec<&str> = headers.collect();
        let answer =
            self.send(&request("POST", "/validate?timeout=10s", &headers, &review.to_string())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.process.logged("review").await
    }

    async fn metrics(&self) -> String {
        get(self.health, "/metrics").await.unwrap().body
    }

    /// Stops it; the rest of its log.
    async fn stop(mut self) -> String {
        self.process.signal("TERM");
        let mut log = String::new();
        while let Some(line) = self.process.log.next_line().await.unwrap() {
            log.push_str(&line);
            log.push('\n');
        }
        assert_eq!(self.process.exit_code().await, Some(0), "{log}");
        log
    }
}

/// The one span of this name.
fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {spans:#?}");
    found[0]
}

/// The names of the spans above this one, from its parent on.
fn above<'a>(spans: &'a [Span], mut span: &'a Span) -> Vec<&'a str> {
    let mut names = Vec::new();
    while let Some(parent) = spans.iter().find(|one| one.id == span.parent) {
        names.push(parent.name.as_str());
        span = parent;
    }
    names
}

#[tokio::test]
async fn a_review_is_a_part_of_the_api_servers_trace() {
    let registry = Registry::token().await;
    let image = json!({ "User": "0", "Env": [format!("PASSWORD={VARIABLE}")] });
    Image::oci("linux/amd64", &image).push(&registry, "demo/app:1").await;
    registry.new_requests().await;
    registry.tokens().new_requests();
    let collector = Collector::start(Manner::Takes).await;
    let headers = format!("authorization=Bearer%20{COLLECTOR_SECRET}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_EXPORTER_OTLP_HEADERS", headers),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()),
    ];
    let mut server =
        Server::start(&registry, &variables.each_ref().map(|(name, value)| (*name, value.as_str()))).await;

    let line = server.review(&registry.image("demo/app:1"), Some(&format!("00-{TRACE}-{PARENT}-01"))).await;
    assert_eq!((&line["verdict"], &line["trace_id"]), (&json!("deny"), &json!(TRACE)), "{line}");
    let metrics = server.metrics().await;
    let exemplar = |line: &str| {
        line.starts_with("hullmark_review_duration_seconds_bucket{")
            && line.contains("stage=\"total\"")
            && line.contains(&format!("# {{trace_id=\"{TRACE}\"}} "))
    };
    assert!(metrics.lines().any(exemplar), "{metrics}");

    let spans = collector.spans_with("POST /validate").await;
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    let root = one(&spans, "POST /validate");
    assert_eq!((root.parent.as_str(), root.kind, root.is_error), (PARENT, 2, false), "{root:#?}");
    for (name, value) in [
        ("http.request.method", "\"POST\""),
        ("http.route", "\"/validate\""),
        ("http.response.status_code", "200"),
        ("k8s.namespace.name", "\"shop\""),
        ("hullmark.request.uid", "\"705ab4f5-6393-11e8-b7cc-42010a800002\""),
        ("hullmark.request.dry_run", "false"),
        ("hullmark.mode", "\"enforce\""),
        ("hullmark.code", "403"),
        ("hullmark.allowed", "false"),
    ] {
        assert_eq!(root.attributes.get(name).map(String::as_str), Some(value), "{name}: {root:#?}");
    }
    let mut ended = root.time.0;
    for stage in ["read", "resolve", "judge", "answer"] {
        let span = one(&spans, stage);
        assert_eq!(above(&spans, span), ["POST /validate"], "{span:#?}");
        assert!(
            ended <= span.time.0 && span.time.0 <= span.time.1,
            "{stage} after those before it: {spans:#?}"
        );
        ended = span.time.1;
    }
    assert!(ended <= root.time.1, "{spans:#?}");
    let resolve = one(&spans, "resolve");
    assert_eq!(resolve.attributes["hullmark.image.reference"], format!("{:?}", registry.image("demo/app:1")));
    assert_eq!(resolve.attributes["hullmark.image.from"], "\"fetched\"");
    told_of_each_exchange(&registry, &spans).await;

    let (headers, resource) = collector.sender();
    assert_eq!(headers["authorization"], format!("Bearer {COLLECTOR_SECRET}"));
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(resource["service.name"], "\"hullmark\"");
    assert_eq!(resource["service.version"], format!("{:?}", env!("CARGO_PKG_VERSION")));
    assert_eq!(resource["deployment.environment.name"], "\"test\"");
    let exported = format!("hullmark_trace_spans_exported_total {}\n", spans.len());
    assert!(server.metrics().await.contains(&exported), "{exported}{}", server.metrics().await);

    let (log, told) = (server.stop().await, collector.text());
    let basic = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    for secret in [COLLECTOR_SECRET, VARIABLE, PASSWORD, &basic, "Bearer", "eyJ", "scope=", "tester"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
    assert!(!log.contains(COLLECTOR_SECRET) && !log.contains(VARIABLE), "{log}");
}

/// One span for each request that the registry and its token server had, with how it ended.
async fn told_of_each_exchange(registry: &Registry, spans: &[Span]) {
    let mut asked = registry.new_requests().await;
    let tokens = registry.tokens().new_requests();
    asked.extend(tokens.iter().map(|request| format!("{} /token 200", request.method)));
    asked.sort();
    let exchanges: Vec<&Span> = spans.iter().filter(|span| span.kind == 3).collect();
    let text = |span: &Span, name: &str| span.attributes[name].trim_matches('"').to_owned();
    let mut told: Vec<String> = exchanges
        .iter()
        .map(|span| {
            let [method, path, status] =
                ["http.request.method", "url.path", "http.response.status_code"].map(|name| text(span, name));
            format!("{method} {path} {status}")
        })
        .collect();
    told.sort();
    assert_eq!(told, asked, "{spans:#?}");
    assert!(told.iter().any(|one| one.ends_with(" 401")) && told.len() >= 4, "{told:?}");
    for span in exchanges {
        let above = above(spans, span);
        // A token is a flight of its own, of which the image's waits for.
        let flights = above.iter().take_while(|name| **name == "flight").count();
        assert!(flights >= 1 && above[flights..] == ["resolve", "POST /validate"], "{above:?}: {span:#?}");
        assert!(!span.is_error, "a 401 only says which token is wanted: {span:#?}");
        assert_eq!(text(span, "server.address"), "127.0.0.1");
        assert!(text(span, "server.port").parse::<u16>().is_ok(), "{span:#?}");
        assert!(span.name.ends_with(&text(span, "hullmark.purpose")), "{span:#?}");
    }
}

#[tokio::test]
async fn the_caller_decides_what_is_sampled_and_errors_are_told() {
    let registry = Registry::plain().await;
    let collector = Collector::start(Manner::Takes).await;
    let endpoint = format!("{}/v1/traces", collector.endpoint());
    let mut server = Server::start(&registry, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)]).await;
    let missing = registry.image("demo/missing:1");

    let line = server.review(&missing, Some(&format!("00-{TRACE}-{PARENT}-00"))).await;
    assert!(line.get("trace_id").is_none(), "nobody will find that trace: {line}");
    let own = server.review(&missing, None).await["trace_id"].as_str().unwrap().to_owned();
    let other = server.review(&missing, Some("00-nonsense")).await["trace_id"].as_str().unwrap().to_owned();
    for (method, path, status) in [("POST", "/elsewhere", 404), ("BREW", "/validate", 405)] {
        let answer = server.send(&request(method, path, &["Content-Type: application/json"], "")).await;
        assert_eq!(answer.status, status);
    }
    assert!(own.len() == 32 && other.len() == 32 && own != other, "{own} {other}");
    // What waits is sent at the end.
    server.stop().await;
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace != TRACE), "{spans:#?}");
    let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    let mut of_reviews: Vec<&str> =
        roots.iter().filter(|span| span.name == "POST /validate").map(|span| span.trace.as_str()).collect();
    let mut expected = [own.as_str(), &other];
    of_reviews.sort_unstable();
    expected.sort_unstable();
    assert_eq!(of_reviews, expected, "{spans:#?}");

    let resolve = spans.iter().find(|span| span.name == "resolve").unwrap();
    assert_eq!((resolve.is_error, resolve.attributes["error.type"].as_str()), (true, "\"NotFound\""));
    let stranger = roots.iter().find(|span| span.name == "POST").unwrap();
    assert_eq!(stranger.attributes["http.response.status_code"], "404", "{stranger:#?}");
    let stranger = roots.iter().find(|span| span.name == "HTTP /validate").unwrap();
    assert_eq!(stranger.attributes["http.request.method"], "\"_OTHER\"", "{stranger:#?}");
    assert!(!collector.text().contains("elsewhere") && !collector.text().contains("BREW"));
}

#[tokio::test]
async fn a_real_api_server_is_continued() {
    let (plane, _turn) = ControlPlane::operated().await;
    plane.trace(true).await;
    let registry = Registry::plain().await;
    Image::oci("linux/amd64", &json!({ "User": "0" })).push(&registry, "demo/app:1").await;
    let collector = Collector::start(Manner::Takes).await;
    let endpoint = collector.endpoint();
    let mut server = Server::start(&registry, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let namespace = plane.namespace().await;
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": { "name": "traced" },
        "webhooks": [{
            "name": "traced.hullmark.dev",
            "clientConfig": {
                "url": format!("https://{}/validate", server.listen),
                "caBundle": STANDARD.encode(fs::read(server.process.folder.path().join("ca.pem")).unwrap()),
            },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }],
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace.name } },
            "admissionReviewVersions": ["v1"], "sideEffects": "None",
        }],
    });
    namespace.kubectl_with(&configuration.to_string(), ["create", "-f", "-"]).await.succeeded();
    let container = json!({ "name": "app", "image": registry.image("demo/app:1") });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" }, "spec": { "containers": [container] },
    });
    let dry_run = ["create", "--dry-run=server", "-f", "-"];
    eventually("the API server asks", async || {
        namespace.kubectl_with(&pod.to_string(), dry_run).await.code == Some(1)
    })
    .await;
    let line = server.process.logged("review").await;
    server.stop().await;
    plane.kubectl(["delete", "validatingwebhookconfiguration", "traced"]).await.succeeded();
    plane.trace(false).await;

    let spans = collector.spans();
    let root = spans.iter().find(|span| span.name == "POST /validate").unwrap();
    assert_eq!(line["trace_id"], root.trace.as_str(), "{line}");
    assert_eq!(root.parent.len(), 16, "the API server's own span is above it: {root:#?}");
    assert_eq!(root.attributes["hullmark.request.dry_run"], "true", "{root:#?}");
}

#[tokio::test]
async fn off_is_off() {
    let registry = Registry::plain().await;
    let collector = Collector::start(Manner::Takes).await;
    let endpoint = collector.endpoint();
    for (name, variables) in [
        ("nothing is said", vec![]),
        (
            "no exporter",
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_TRACES_EXPORTER", "none")],
        ),
    ] {
        let mut server = Server::start(&registry, &variables).await;
        let parent = format!("00-{TRACE}-{PARENT}-01");
        let line = server.review(&registry.image("demo/missing:1"), Some(&parent)).await;
        assert!(line.get("trace_id").is_none(), "{name}: {line}");
        let metrics = server.metrics().await;
        assert!(metrics.contains("hullmark_review_duration_seconds_bucket"), "{name}: {metrics}");
        assert!(!metrics.contains("trace"), "{name}: {metrics}");
        server.stop().await;
    }
    assert!(collector.spans().is_empty(), "{:#?}", collector.spans());
}

#[tokio::test]
async fn what_cannot_be_used_keeps_it_from_starting() {
    for (variable, value, expected) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "--otlp-endpoint"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "OTEL_TRACES_SAMPLER"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "missing.pem", "missing.pem"),
    ] {
        let folder = crate::support::process::with_policies(NON_ROOT);
        let mut command = crate::support::process::command(&folder);
        command.arg("--policies=policies").env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1");
        let output = command.env(variable, value).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn a_collector_is_reached_over_tls_that_is_checked() {
    let registry = Registry::plain().await;
    let authority = Authority::new();
    let collector = Collector::over_tls(&authority).await;
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("ca.pem");
    fs::write(&roots, authority.pem()).unwrap();
    let (endpoint, roots) = (collector.endpoint(), roots.to_str().unwrap());
    let missing = registry.image("demo/missing:1");

    let mut server = Server::start(&registry, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    server.review(&missing, None).await;
    let line = server.process.logged("traces do not reach the collector; they are dropped and counted").await;
    assert!(line["cause"].as_str().unwrap().contains("UnknownIssuer"), "{line}");
    let metrics = server.metrics().await;
    assert!(metrics.contains("hullmark_trace_spans_dropped_total{reason=\"not_exported\"} "), "{metrics}");
    assert!(collector.spans().is_empty());
    drop(server);

    for variable in ["OTEL_EXPORTER_OTLP_CERTIFICATE", "SSL_CERT_FILE"] {
        let before = collector.spans().len();
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), (variable, roots)];
        let mut server = Server::start(&registry, &variables).await;
        server.review(&missing, None).await;
        server.stop().await;
        assert!(collector.spans().len() > before, "{variable}");
    }
}

/// The time that each of so many warm reviews took, sorted.
async fn times(server: &mut Server, image: &str, count: usize) -> Vec<Duration> {
    let review = post("/validate?timeout=10s", &pod(image));
    server.send(&review).await;
    let mut times = Vec::new();
    for _ in 0..count {
        let started = Instant::now();
        let answer = server.send(&review).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times
}

/// More reviews than their spans can wait: what the queue holds, and then some.
#[tokio::test]
async fn a_collector_that_is_gone_or_stalls_costs_spans_and_never_time() {
    const REVIEWS: usize = 1200;
    let registry = Registry::plain().await;
    Image::oci("linux/amd64", &json!({ "User": "0" })).push(&registry, "demo/app:1").await;
    let image = registry.image("demo/app:1");
    let well = Collector::start(Manner::Takes).await;
    let stuck = Collector::start(Manner::Stalls).await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let mut server = Server::start(&registry, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &well.endpoint())]).await;
    let usual = times(&mut server, &image, REVIEWS).await[REVIEWS / 2];
    drop(server);

    for (endpoint, reason) in [(stuck.endpoint(), "queue_full"), (gone, "not_exported")] {
        let mut server = Server::start(&registry, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
        let times = times(&mut server, &image, REVIEWS).await;
        let (median, longest) = (times[REVIEWS / 2], times[REVIEWS - 1]);
        assert!(median < 3 * usual, "{endpoint}: {median:?}, {usual:?} where the collector is well");
        assert!(longest < Duration::from_secs(2), "{endpoint}: {longest:?}");
        let dropped = format!("hullmark_trace_spans_dropped_total{{reason=\"{reason}\"}} ");
        eventually("counted", async || server.metrics().await.contains(&dropped)).await;

        let started = Instant::now();
        let log = server.stop().await;
        assert!(started.elapsed() < Duration::from_secs(6), "{endpoint}: {:?}", started.elapsed());
        assert!(log.contains("\"stopped\""), "{endpoint}: {log}");
        assert!(log.contains("the last traces were not sent"), "{endpoint}: {log}");
    }
}
