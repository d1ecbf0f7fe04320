//! The faults of registries, one row each, as the whole webhook meets them: what the user is told, within which
//! time, and with how much memory. Nothing hangs, nothing panics, and afterwards a good image is still judged.

use super::{
    Reply, Seen, Server, Shelf,
    content::{CONFIG, INDEX, MANIFEST, manifest},
    http2::going_away,
};
use crate::{
    serve::{
        client::{connect, exchange, post, trusting},
        world::{NON_ROOT, pod},
    },
    support::{
        Authority,
        process::{Process, with_policies},
    },
};
use flate2::{Compression, read::GzEncoder};
use hullmark::image::Digest;
use serde_json::json;
use std::{
    fmt::Write,
    fs,
    io::Read,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::TcpListener, time::Instant};

/// What the API server waits; half a second less is ours.
const TIMEOUT: Duration = Duration::from_secs(3);
/// What the whole table may take of memory beyond what the process has at its start: documents of 4 MiB, their
/// parsed forms, and what the allocator (mimalloc, which gives back late) keeps for the next.
const MEMORY_KIB: u64 = 96 * 1024;

/// Where all servers of the table are. It is allowed, and no other address of loopback: `localhost` is refused.
const HERE: &str = "127.0.0.2";

/// A registry with a fault, and what the user is told; none: the image is judged all the same.
struct Fault {
    name: &'static str,
    host: String,
    told: Option<&'static str>,
}

/// A server whose answers to requests with `part` in their path are changed.
async fn fault(
    name: &'static str,
    part: &'static str,
    told: &'static str,
    change: impl Fn(&Seen, Reply) -> Reply + Send + Sync + 'static,
) -> Fault {
    let shelf = Shelf::with_image();
    let server = Server::start_at(HERE, move |seen| {
        let truth = shelf.serve(seen);
        if seen.target.contains(part) { change(seen, truth) } else { truth }
    })
    .await;
    Fault { name, host: server.authority(), told: Some(told).filter(|told| !told.is_empty()) }
}

/// A server that serves these bytes as the tag's manifest.
async fn document(name: &'static str, told: &'static str, media_type: &str, bytes: Vec<u8>) -> Fault {
    let reply = Reply::new(200, bytes).with("content-type", media_type);
    fault(name, "manifests/1", told, move |_, _| reply.clone()).await
}

/// As many descriptors as asked for, as short as they can be.
fn descriptors(count: usize) -> String {
    let one = format!(r#"{{"digest":"{}","size":1}}"#, Digest::sha256(b"x"));
    vec![one; count].join(",")
}

async fn that_stall() -> Vec<Fault> {
    let before_deadline = "did not answer before the deadline";
    vec![
        fault("stalls before headers", "manifests", before_deadline, |_, truth| truth.stalling()).await,
        fault("stalls in a body", "blobs", before_deadline, |_, truth| truth.stalling_in_body()).await,
        fault("drips", "blobs", before_deadline, |_, truth| truth.dripping()).await,
        fault("closes", "manifests", "broke the exchange off", |_, truth| truth.hanging_up()).await,
        fault("closes in a body", "manifests", "broke the exchange off", |_, truth| truth.claiming(4000))
            .await,
        Fault { name: "resets", host: resetting().await, told: Some("broke the connection off") },
        Fault { name: "is not there", host: format!("{HERE}:1"), told: Some("refused the connection") },
        Fault { name: "has no address", host: "registry.invalid".to_owned(), told: Some("has no address") },
    ]
}

async fn that_lie() -> Vec<Fault> {
    let mut bomb = Vec::new();
    GzEncoder::new(&vec![b' '; 100_000_000][..], Compression::best()).read_to_end(&mut bomb).unwrap();
    let bomb = Reply::new(200, bomb).with("content-encoding", "gzip").with("content-type", MANIFEST);
    let other = r#"{"config":{"User":"1000"},"os":"linux","architecture":"amd64"}"#;
    let many = format!(r#"{{"mediaType":"{INDEX}","manifests":[{}]}}"#, descriptors(100_000));
    let within = format!(r#"{{"mediaType":"{INDEX}","manifests":[{}]}}"#, descriptors(40_000));
    let size = json!({ "mediaType": CONFIG, "digest": Digest::sha256(b"x").to_string(), "size": 5_000_000 });
    let deep = vec![b'['; 1_000_000];
    vec![
        fault("cuts a body short", "blobs", "served 1 bytes as config", |_, _| Reply::new(200, "{")).await,
        fault("wrong digest", "blobs", "served", move |_, _| Reply::new(200, other)).await,
        fault("more than its size", "blobs", "served more than the", |_, _| Reply::new(200, "{").endless())
            .await,
        fault("never ends", "manifests", "sent more than the 4194304", |_, _| Reply::new(200, "").endless())
            .await,
        fault("a gzip bomb", "manifests", "sent more than the 4194304", move |_, _| bomb.clone()).await,
        document("10^5 descriptors", "sent more than the 4194304", INDEX, many.into_bytes()).await,
        document("40 000 descriptors", "more than 1000", INDEX, within.into_bytes()).await,
        document(
            "a size beyond limits",
            "has 5000000 bytes",
            MANIFEST,
            manifest(&size).to_string().into_bytes(),
        )
        .await,
        document("deep nesting", "serves as tag 1", MANIFEST, deep).await,
        fault("10 MB of headers", "manifests", "broke the exchange off", |_, truth| {
            truth.with("x-large", "x".repeat(10_000_000))
        })
        .await,
        fault("answers garbage", "manifests", "serves as tag 1", |_, _| Reply::new(200, vec![0xff; 1000]))
            .await,
    ]
}

async fn that_misdirect() -> Vec<Fault> {
    let away = |to: &'static str| move |_: &Seen, _: Reply| Reply::redirect(to);
    let realm = |to: &str| {
        let challenge = format!("Bearer realm=\"{to}\",service=\"x\"");
        move |_: &Seen, _: Reply| Reply::challenge(challenge.clone())
    };
    vec![
        fault("a redirect loop", "blobs", "further than the 5 hops", |seen, _| Reply::redirect(&seen.target))
            .await,
        fault("a redirect to metadata", "blobs", "metadata service", away("http://169.254.169.254/latest"))
            .await,
        fault("a redirect to a name there", "blobs", "localhost is at ", away("http://localhost/x")).await,
        fault(
            "a realm whose name is there",
            "manifests",
            "localhost is at ",
            realm("http://localhost/token"),
        )
        .await,
        fault("a realm at metadata", "manifests", "metadata service", realm("http://169.254.169.254/token"))
            .await,
        fault("a realm that is a file", "manifests", "no URL", realm("file:///etc/passwd")).await,
        fault("a realm that is nowhere", "manifests", "has no address", realm("https://auth.invalid/token"))
            .await,
    ]
}

/// The one fault for which there are credentials.
const REVOKED: &str = "revoked credentials";

async fn that_limit_or_fail() -> Vec<Fault> {
    let date = "Mon, 23 Nov 2026 12:00:00 GMT";
    let limited = move |pause: &'static str| {
        move |_: &Seen, _: Reply| Reply::new(429, "").with("date", date).with("retry-after", pause)
    };
    let once = AtomicUsize::new(0);
    let expired = AtomicUsize::new(0);
    vec![
        fault("429 with seconds", "manifests", "come back in 60 s", limited("60")).await,
        fault("429 with a date", "manifests", "come back in 60 s", limited("Mon, 23 Nov 2026 12:01:00 GMT"))
            .await,
        fault("503 for good", "manifests", "answered 503", |_, _| Reply::new(503, "<html>")).await,
        fault("503, then good", "manifests", "", move |_, truth| {
            if once.fetch_add(1, Ordering::SeqCst) == 0 { Reply::new(503, "") } else { truth }
        })
        .await,
        fault("a token that expires in mid-walk", "/", "", move |seen, truth| {
            match (seen.header("authorization"), seen.target.contains("blobs")) {
                _ if seen.target.starts_with("/token") => {
                    let nth = expired.fetch_add(1, Ordering::SeqCst);
                    Reply::new(200, format!(r#"{{"token":"t{nth}"}}"#))
                }
                (Some("Bearer t0"), false) | (Some("Bearer t1"), true) => truth,
                (Some(_), _) => Reply::challenge("Bearer realm=\"/token\",error=\"invalid_token\""),
                (None, _) => Reply::challenge("Bearer realm=\"/token\""),
            }
        })
        .await,
        fault(REVOKED, "/", "401 UNAUTHORIZED to the given user name and password", |seen, _| {
            if seen.target.starts_with("/token") {
                return Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}"#);
            }
            Reply::challenge("Bearer realm=\"/token\"")
        })
        .await,
        fault("a token from the future", "/", "although its token is new", |seen, _| {
            if seen.target.starts_with("/token") {
                return Reply::new(200, r#"{"token":"t"}"#);
            }
            Reply::challenge("Bearer realm=\"/token\",error=\"invalid_token\"")
        })
        .await,
    ]
}

/// Faults of TLS; these hosts are asked over https.
async fn of_tls() -> Vec<Fault> {
    let plain = Server::start_at(HERE, |_| Reply::new(400, "this is http")).await;
    let tls = Authority::new().server(&[HERE]).acceptor();
    let unknown = Server::start_tls_at(HERE, tls, |_| Reply::new(200, "")).await;
    vec![
        Fault { name: "http on a TLS port", host: plain.authority(), told: Some("does not speak TLS") },
        Fault { name: "a bad certificate", host: unknown.authority(), told: Some("an unknown issuer") },
        Fault { name: "HTTP/2 GOAWAY", host: going_away().await, told: Some("ends its HTTP/2 connections") },
    ]
}

/// Takes a request and resets the connection.
async fn resetting() -> String {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 16]).await;
            // Bytes that nobody reads, and no waiting: the kernel sends a reset.
            let _ = stream.set_zero_linger();
        }
    });
    host
}

#[tokio::test]
async fn every_fault_is_told_in_time_and_within_memory() {
    let mut plain = that_stall().await;
    plain.extend(that_lie().await);
    plain.extend(that_misdirect().await);
    plain.extend(that_limit_or_fail().await);
    let folder = with_policies(NON_ROOT);
    for Fault { host, .. } in &plain {
        let own = folder.path().join("hosts").join(host);
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("hosts.toml"), format!("server = 'http://{host}'")).unwrap();
    }
    let tls = of_tls().await;
    let going_away = &tls[2].host;
    let own = folder.path().join("hosts").join(going_away);
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("hosts.toml"), "skip_verify = true").unwrap();

    let revoked = &plain.iter().find(|fault| fault.name == REVOKED).unwrap().host;
    let auths = json!({ "auths": { revoked: { "username": "me", "password": "old" } } });
    fs::create_dir(folder.path().join(".docker")).unwrap();
    fs::write(folder.path().join(".docker/config.json"), auths.to_string()).unwrap();

    let arguments = ["--write-ca=ca.pem", "--hosts-dir=hosts", "--allow-address=127.0.0.2/32"];
    let mut process = Process::start_in(folder, &arguments, &[]);
    let (address, ca) = process.serving().await;
    let review = async |image: &str| {
        let mut stream = connect(address, trusting(&ca)).await.unwrap();
        let target = format!("/validate?timeout={}s", TIMEOUT.as_secs());
        exchange(&mut stream, &post(&target, &pod(image))).await.unwrap().json()["response"].clone()
    };
    let before = process.peak_memory();
    let mut table = String::new();
    for Fault { name, host, told } in plain.iter().chain(&tls) {
        let started = Instant::now();
        let response = review(&format!("{host}/app:1")).await;
        let took = started.elapsed();
        let message = response["status"]["message"].as_str().unwrap_or("admitted");
        let peak = process.peak_memory();
        let is_right = took < TIMEOUT
            && response["allowed"] == told.is_none()
            && message.contains(told.unwrap_or("admitted"))
            && message.len() < 1000
            && !message.contains(|c: char| c.is_control() && c != '\n')
            && peak < before + MEMORY_KIB;
        let mark = if is_right { "" } else { "WRONG " };
        let took = took.as_millis();
        writeln!(table, "{mark}{name:34} {took:5} ms  {peak:6} KiB  {message}").expect("a string takes all");
    }
    assert!(!table.contains("WRONG"), "{before} KiB at first\n{table}");
    println!("{before} KiB at first\n{table}");

    let good = Shelf::with_image();
    let server = Server::start_at(HERE, move |seen| good.serve(seen)).await;
    let host = server.authority();
    let own = process.folder.path().join("hosts").join(&host);
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("hosts.toml"), format!("server = 'http://{host}'")).unwrap();
    process.logged("registry settings reloaded").await;
    assert_eq!(review(&format!("{host}/app:1")).await["allowed"], true);
    process.signal("TERM");
    let mut log = String::new();
    while let Some(line) = process.log.next_line().await.unwrap() {
        log += &line;
    }
    assert!(!log.contains("panicked"), "{log}");
}
