//! The webhook over real TLS on loopback: what is answered, when, and how it stops.

pub(crate) mod client;
mod process;
mod slow;
mod stop;
pub(crate) mod world;

use crate::support::Authority;
use client::{connect, exchange, post, request, trusting};
use hullmark::{
    admission::Mode,
    app::now,
    server::{self, Certificates},
};
use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, time::Duration};
use tokio::time::Instant;
use world::{NON_ROOT, Plan, World, eventually, pod};

#[tokio::test]
async fn admits_and_refuses() {
    let world = World::start(Plan::default()).await;

    let response = world.review("registry.test/good:1").await;
    assert_eq!(response["allowed"], true, "{response}");
    assert_eq!(response["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");

    let response = world.review("registry.test/root:1").await;
    assert_eq!(response["allowed"], false, "{response}");
    assert_eq!(response["status"]["code"], 403);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.contains("registry.test/root:1") && message.contains("app"), "{message}");

    let response = world.review("registry.test/missing:1").await;
    assert_eq!(response["status"]["code"], 503, "{response}");
}

#[tokio::test]
async fn audit_mode_blocks_nothing_and_says_what_it_would_have() {
    let world = World::start(Plan { mode: Mode::Audit, ..Plan::default() }).await;
    let response = world.review("registry.test/root:1").await;
    assert_eq!(response["allowed"], true, "{response}");
    assert!(response["auditAnnotations"].as_object().is_some_and(|notes| !notes.is_empty()), "{response}");
    let metrics = world.metrics().await;
    assert!(
        metrics.contains(
            "would_be=\"deny\",mode=\"audit\",operation=\"CREATE\",code=\"200\",if_enforced=\"deny\"} 1"
        ),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_cannot_be_judged_gets_a_status_and_a_reason() {
    let world = World::start(Plan::default()).await;
    let json = "Content-Type: application/json";
    let good = pod("registry.test/good:1");
    let too_long = format!("Content-Length: {}", 8 * 1024 * 1024 + 1);
    let declared_too_long =
        format!("POST /validate HTTP/1.1\r\nHost: localhost\r\n{json}\r\n{too_long}\r\n\r\n").into_bytes();
    let mut chunked =
        format!("POST /validate HTTP/1.1\r\nHost: localhost\r\n{json}\r\nTransfer-Encoding: chunked\r\n\r\n")
            .into_bytes();
    let megabyte = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    chunked.extend(megabyte.repeat(8).into_bytes());
    chunked.extend(b"1\r\n \r\n");
    for (name, bytes, status, text) in [
        ("no JSON", post("/validate", "{\"apiVersion\":"), 400, "not valid JSON"),
        ("empty", post("/validate", ""), 400, "the body is empty"),
        (
            "another kind",
            post("/validate", r#"{"apiVersion":"v1","kind":"Pod"}"#),
            400,
            "expected AdmissionReview",
        ),
        ("timeout without a unit", post("/validate?timeout=10", &good), 400, "timeout"),
        ("another path", post("/elsewhere", &good), 404, "POST /validate"),
        ("root", post("/", &good), 404, "POST /validate"),
        ("GET", request("GET", "/validate", &[], ""), 405, "GET is not supported"),
        ("an unknown method", request("BREW", "/validate", &[], ""), 405, "this method is not supported"),
        (
            "a form",
            request("POST", "/validate", &["Content-Type: application/x-www-form-urlencoded"], &good),
            415,
            "send application/json",
        ),
        ("no content type", request("POST", "/validate", &[], &good), 415, "the content type is missing"),
        ("declared too large", declared_too_long, 413, "more than 8 MiB"),
        ("too large in chunks", chunked, 413, "more than 8 MiB"),
    ] {
        let answer = world.send(&bytes).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        assert!(answer.body.contains(text), "{name}: {answer:?}");
        assert!(answer.body.starts_with("hullmark: ") && answer.body.ends_with('\n'), "{name}: {answer:?}");
        assert!(!answer.head.to_ascii_lowercase().contains("retry-after"), "{name}: {answer:?}");
        assert_eq!(answer.has_header("allow: POST"), status == 405, "{name}: {answer:?}");
    }
    let with_charset = ["Content-Type: Application/JSON; charset=utf-8"];
    let answer = world.send(&request("POST", "/validate", &with_charset, &good)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.has_header("content-type: application/json"), "{answer:?}");
    assert!(world.metrics().await.contains("hullmark_requests_refused_total{status=\"413\"} 2"));
}

#[tokio::test]
async fn answers_before_the_deadline_although_the_registry_never_does() {
    let world = World::start(Plan::default()).await;
    let started = Instant::now();
    let answer = world.send(&post("/validate?timeout=1s", &pod("registry.test/silent:1"))).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let response = &answer.json()["response"];
    assert_eq!(response["status"]["code"], 504, "{response}");
    assert_eq!(response["allowed"], false);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::start(Plan::default()).await;
    let head = "POST /validate?timeout=1s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    let started = Instant::now();
    let answer = world.send(head.as_bytes()).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(answer.status, 408, "{answer:?}");
}

#[tokio::test]
async fn a_defect_fails_one_request_and_nothing_else() {
    let world = World::start(Plan::default()).await;
    let mut stream = connect(world.running.https, trusting(&world.ca)).await.unwrap();
    let answer = exchange(&mut stream, &post("/validate", &pod("registry.test/broken:1"))).await.unwrap();
    let response = &answer.json()["response"];
    assert_eq!((answer.status, &response["status"]["code"]), (200, &500.into()), "{answer:?}");
    assert!(response["status"]["message"].as_str().unwrap().contains("web was not judged"), "{response}");
    assert!(!answer.body.contains("for the test"), "{answer:?}");
    let answer = exchange(&mut stream, &post("/validate", &pod("registry.test/good:1"))).await.unwrap();
    assert_eq!(answer.json()["response"]["allowed"], true, "on the same connection");
    let metrics = world.metrics().await;
    assert!(metrics.contains("hullmark_requests_in_flight 0\n"), "{metrics}");
    assert!(metrics.contains("operation=\"CREATE\",code=\"500\",if_enforced=\"deny\"} 1\n"), "{metrics}");

    let world = World::start(Plan { mode: Mode::Audit, ..Plan::default() }).await;
    let response = world.review("registry.test/broken:1").await;
    assert_eq!(response["allowed"], true, "{response}");
}

#[tokio::test]
async fn policies_follow_their_files_and_broken_ones_change_nothing() {
    let world = World::start(Plan::default()).await;
    let file = world.policies.join("non-root.yaml");
    assert_eq!(world.review("registry.test/root:1").await["allowed"], false);

    fs::write(&file, NON_ROOT.replace("runAsNonRoot", "runAsNonRot")).unwrap();
    eventually("refused", async || world.watched.reload.borrow().error.is_some()).await;
    assert_eq!(world.review("registry.test/root:1").await["allowed"], false, "the last good ones hold");
    let error = world.watched.reload.borrow().error.clone().unwrap();
    assert!(error.contains("non-root.yaml") && error.contains("runAsNonRot"), "{error}");
    assert_eq!(world.watched.reload.borrow().generation, 1);

    fs::write(&file, NON_ROOT.replace("[Deny]", "[Warn]")).unwrap();
    eventually("warned only", async || world.review("registry.test/root:1").await["allowed"] == true).await;
    assert_eq!(world.watched.reload.borrow().error, None);
    assert_eq!(world.watched.reload.borrow().generation, 2);

    fs::remove_file(&file).unwrap();
    eventually("refused", async || world.watched.reload.borrow().error.is_some()).await;
    let error = world.watched.reload.borrow().error.clone().unwrap();
    assert!(error.contains("no policies in it"), "{error}");
    assert_eq!(world.watched.reload.borrow().policies, 1);

    fs::write(&file, NON_ROOT.replace("[Deny]", "[Warn]")).unwrap();
    eventually("good again", async || world.watched.reload.borrow().error.is_none()).await;
    assert_eq!(world.watched.reload.borrow().generation, 2, "these were in force all the time");
}

#[tokio::test]
async fn certificate_files_are_swapped_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let first = write_pair(folder.path(), "..1", true);
    symlink("..data/tls.crt", at("tls.crt")).unwrap();
    symlink("..data/tls.key", at("tls.key")).unwrap();
    let certificates = Certificates::files(at("tls.crt"), at("tls.key"), now).unwrap();
    let world = World::start(Plan { certificates: Some(certificates), ..Plan::default() }).await;
    let trusts = async |ca: &str| connect(world.running.https, trusting(ca)).await.is_ok();
    assert!(trusts(&first).await);

    let second = write_pair(folder.path(), "..2", true);
    eventually("swapped", async || trusts(&second).await).await;
    assert!(!trusts(&first).await);

    write_pair(folder.path(), "..3", false);
    let note = "note: certificate: ";
    let health = world.running.health;
    eventually("told", async || client::get(health, "/readyz").await.unwrap().body.contains(note)).await;
    assert_eq!(client::get(health, "/readyz").await.unwrap().status, 200);
    assert!(trusts(&second).await, "the last good pair stays in use");
    assert!(world.metrics().await.contains("hullmark_tls_certificate_last_renewal_success 0\n"));
}

/// A self-signed pair in a new folder, to which `..data` then points.
fn write_pair(folder: &Path, version: &str, matching: bool) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let key = if matching { key } else { rcgen::KeyPair::generate().unwrap() };
    let target = folder.join(version);
    fs::create_dir(&target).unwrap();
    fs::write(target.join("tls.crt"), &certificate).unwrap();
    fs::write(target.join("tls.key"), key.serialize_pem()).unwrap();
    symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    certificate
}

#[tokio::test]
async fn speaks_both_versions_of_tls_and_of_http() {
    let world = World::start(Plan::default()).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut config = client::with_versions(&world.ca, &[version]);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut stream = connect(world.running.https, config).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = exchange(&mut stream, &post("/validate", &pod("registry.test/good:1"))).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    let mut config = trusting(&world.ca);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .http2_prior_knowledge()
        .resolve("localhost", world.running.https)
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/validate", world.running.https.port());
    let sent = client.post(url).header("content-type", "application/json").body(pod("registry.test/root:1"));
    let answer = sent.send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert_eq!(answer.status(), 200);
    let review: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(review["response"]["allowed"], false);
}

#[tokio::test]
async fn only_callers_of_the_operators_authority_are_answered() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    let world = World::start(Plan::default()).await;
    let start = async || {
        let settings = server::Settings { callers: Some(file.clone()), ..world::settings(Duration::ZERO) };
        let webhook = world::webhook(&world.watched, Mode::Enforce);
        server::start(settings, Arc::new(world::own()), webhook).await
    };
    for (content, why) in [("", "no certificate in it"), ("-----BEGIN CERTIFICATE-----\nx", "--client-ca ")] {
        fs::write(&file, content).unwrap();
        let error = start().await.unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("ca.crt"), "{error}");
    }
    fs::write(&file, known.pem()).unwrap();
    let certificates = world::own();
    let ca = certificates.authority_pem().unwrap().to_owned();
    let settings = server::Settings { callers: Some(file.clone()), ..world::settings(Duration::ZERO) };
    let webhook = world::webhook(&world.watched, Mode::Enforce);
    let running = server::start(settings, Arc::new(certificates), webhook).await.unwrap();
    let (of_known, of_unknown) = (known.client("api", "servers"), unknown.client("api", "servers"));
    let server_only = known.server(&["localhost"]);
    for (name, config, is_answered) in [
        ("no certificate", client::trusting(&ca), false),
        ("of another authority", client::showing(&ca, &of_unknown), false),
        ("not for clients", client::showing(&ca, &server_only), false),
        ("of the operator's authority", client::showing(&ca, &of_known), true),
    ] {
        let answer = async {
            let mut stream = client::connect(running.https, config).await?;
            client::exchange(&mut stream, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await
        };
        assert_eq!(answer.await.is_ok(), is_answered, "{name}");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_said_so() {
    let world = World::start(Plan::default()).await;
    for (flag, settings) in [
        ("--listen", server::Settings { listen: world.running.https, ..world::settings(Duration::ZERO) }),
        (
            "--health-listen",
            server::Settings { health_listen: world.running.health, ..world::settings(Duration::ZERO) },
        ),
    ] {
        let webhook = world::webhook(&world.watched, Mode::Enforce);
        let error = server::start(settings, Arc::new(world::own()), webhook).await.unwrap_err().to_string();
        assert!(error.contains(flag) && error.contains("another process listens there"), "{error}");
    }
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let world = World::start(Plan::default()).await;
    for image in ["good", "root", "root", "missing"] {
        world.review(&format!("registry.test/{image}:1")).await;
    }
    let answer = client::get(world.running.health, "/metrics").await.unwrap();
    let open_metrics = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(answer.has_header(open_metrics), "{}", answer.head);
    for line in [
        r#"hullmark_reviews_total{verdict="allow",would_be="allow",mode="enforce",operation="CREATE",code="200",if_enforced="allow"} 1"#,
        r#"hullmark_reviews_total{verdict="deny",would_be="deny",mode="enforce",operation="CREATE",code="403",if_enforced="deny"} 2"#,
        r#"hullmark_reviews_total{verdict="deny",would_be="deny",mode="enforce",operation="CREATE",code="503",if_enforced="deny"} 1"#,
        r#"hullmark_findings_total{policy="non-root",rule="user",kind="violation",action="deny"} 2"#,
        r#"hullmark_images_resolved_total{from="fetched"} 3"#,
        r#"hullmark_images_unresolved_total{kind="NotFound"} 1"#,
        r#"hullmark_review_duration_seconds_count{stage="total"} 4"#,
        r#"hullmark_review_duration_seconds_count{stage="reading"} 4"#,
        r#"hullmark_review_duration_seconds_count{stage="resolving"} 4"#,
        r#"hullmark_build_info{version="test",revision="unknown"} 1"#,
        r#"hullmark_queue_dropped_total{queue="log"} 0"#,
        "hullmark_requests_in_flight 0",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "{line} is not in\n{}", answer.body);
    }
    assert_eq!(client::get(world.running.health, "/livez").await.unwrap().status, 200);
    assert_eq!(client::get(world.running.health, "/validate").await.unwrap().status, 404);
}
