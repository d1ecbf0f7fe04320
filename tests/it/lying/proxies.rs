//! Proxies: what goes through them, what goes past them, and that they never see credentials.

use super::{Client, Reply, Server, Shelf, UnresolvedKind, assert_failed, basic};
use crate::support::Authority;
use hullmark::registry::{ProxySettings, Settings};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// A proxy that opens every tunnel it is asked for, but those to other hosts than loopback, and notes all that
/// it can read. What is no tunnel gets a 404.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, Arc::clone(&noted)));
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("a lock").clone()
    }

    fn settings(&self, no: &str) -> Settings {
        let proxy = Some(format!("http://user:proxy-password@{}", self.address));
        Settings {
            proxies: ProxySettings { https: proxy.clone(), http: proxy, no: Some(no.to_owned()) },
            ..Settings::default()
        }
    }
}

async fn carry(mut stream: TcpStream, noted: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    noted.lock().expect("a lock").push(head.clone());
    let mut words = head.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if method != "CONNECT" {
        return stream
            .write_all(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await
            .ok();
    }
    if !target.starts_with("127.0.0.1:") {
        return stream.write_all(b"HTTP/1.1 403 X\r\ncontent-length: 0\r\n\r\n").await.ok();
    }
    let mut upstream = TcpStream::connect(target).await.ok()?;
    stream.write_all(b"HTTP/1.1 200 X\r\n\r\n").await.ok()?;
    copy_bidirectional(&mut stream, &mut upstream).await.ok().map(drop)
}

/// A registry over TLS that wants a user and a password, and the files that make it known.
async fn private() -> (Server, Vec<(String, String)>, String) {
    let authority = Authority::new();
    let shelf = Shelf::with_image();
    let server =
        Server::start_tls(authority.leaf().acceptor(), move |seen| match seen.header("authorization") {
            Some(_) => shelf.serve(seen),
            None => Reply::challenge("Basic realm=\"upstream\""),
        })
        .await;
    let hosts = vec![(format!("127.0.0.1_{}_", server.port()), "ca = 'ca.pem'".to_owned())];
    (server, hosts, authority.pem())
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_that_sees_no_credentials() {
    let (proxy, (server, hosts, pem)) = (Proxy::start().await, private().await);
    let client = Client::set(&hosts, &[("ca.pem", &pem)], proxy.settings(""));
    let image = format!("{}/app:1", server.authority());
    client.resolve_as(&image, &[basic("alice", "s3cret")]).await.expect("an image");
    let heads = proxy.heads();
    assert!(!heads.is_empty());
    for head in heads {
        assert!(head.starts_with(&format!("CONNECT {} ", server.authority())), "{head}");
        assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic "), "the proxy's own: {head}");
        assert!(!head.to_ascii_lowercase().contains("\r\nauthorization"), "{head}");
    }
}

#[tokio::test]
async fn what_no_proxy_names_is_asked_directly() {
    let (proxy, (server, hosts, pem)) = (Proxy::start().await, private().await);
    let client = Client::set(&hosts, &[("ca.pem", &pem)], proxy.settings("acme.io,127.0.0.0/8"));
    let image = format!("{}/app:1", server.authority());
    client.resolve_as(&image, &[basic("alice", "s3cret")]).await.expect("an image");
    assert_eq!(proxy.heads(), Vec::<String>::new());
}

#[tokio::test]
async fn over_plain_http_a_proxy_gets_no_credentials() {
    let (proxy, server) =
        (Proxy::start().await, Server::start(|_| Reply::challenge("Basic realm=\"x\"")).await);
    let hosts = [(server.authority(), format!("server = 'http://{}'", server.authority()))];
    let client = Client::set(&hosts, &[], proxy.settings(""));
    let image = format!("{}/app:1", server.authority());
    let failed = client.failure(&image).await;
    assert_failed(&failed, UnresolvedKind::NotFound, "answered 404");
    let expected = format!("GET http://{}/v2/app/manifests/1 ", server.authority());
    assert!(proxy.heads()[0].starts_with(&expected), "without credentials it may: {:?}", proxy.heads());

    // It is known now what the registry wants, and the proxy would read it.
    let direct = Client::set(&hosts, &[], proxy.settings("127.0.0.1"));
    direct.failure(&image).await;
    let toml =
        format!("server = 'http://{0}'\n[header]\nauthorization = 'Basic hunter2'", server.authority());
    let client = Client::set(&[(server.authority(), toml)], &[], proxy.settings(""));
    let failed = client.failure(&image).await;
    assert_failed(&failed, UnresolvedKind::Misconfigured, "which could read the credentials; add");
    assert!(!format!("{:?} {failed}", proxy.heads()).contains("hunter2"));
}

#[tokio::test]
async fn addresses_are_checked_before_a_proxy_is_asked() {
    let proxy = Proxy::start().await;
    let client = Client::set(&[], &[], proxy.settings(""));
    for image in ["169.254.169.254/app:1", "[::1]:5000/app:1"] {
        let failed = client.failure(image).await;
        assert_failed(&failed, UnresolvedKind::AddressRefused, "which is not dialled");
    }
    let settings = Settings { refuse_addresses: vec!["127.0.0.2/32".parse().unwrap()], ..proxy.settings("") };
    drop(client);
    let client = Client::set(&[], &[], settings);
    let failed = client.failure("localhost:5000/app:1").await;
    assert_failed(&failed, UnresolvedKind::Unreachable, "(through the proxy 127.0.0.1:");
    assert!(!failed.detail.contains("proxy-password"), "{failed}");
    assert!(
        proxy.heads().iter().all(|head| head.starts_with("CONNECT localhost:5000")),
        "{:?}",
        proxy.heads()
    );
}

#[tokio::test]
async fn a_proxy_that_is_down_is_named() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let proxies = ProxySettings { https: Some(format!("http://{gone}")), ..ProxySettings::default() };
    let client = Client::set(&[], &[], Settings { proxies, ..Settings::default() });
    let started = tokio::time::Instant::now();
    let failed = client.failure("127.0.0.1:5000/app:1").await;
    assert_failed(&failed, UnresolvedKind::Unreachable, &format!("(through the proxy {gone})"));
    assert!(started.elapsed() < Duration::from_secs(3));
}
