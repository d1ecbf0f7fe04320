//! What benchmarks share: a registry that is far away, and figures with their spread.

#![expect(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "each benchmark uses a part, a helper that fails ends it, and its figures are printed"
)]

#[path = "../tests/it/support/mod.rs"]
pub(crate) mod real;

use real::{Authority, Nginx, Registry};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// One way to the registries of the benchmarks; a round trip takes twice as long.
pub(crate) const ONE_WAY: Duration = Duration::from_millis(10);

/// A place far away: what is sent to it and from it arrives [`ONE_WAY`] later, and a connection takes a round trip.
pub(crate) struct Relay {
    listener: TcpListener,
}

impl Relay {
    pub(crate) async fn bind() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Leads to `upstream` until the runtime ends.
    pub(crate) fn lead_to(self, upstream: SocketAddr) {
        tokio::spawn(async move {
            while let Ok((near, _)) = self.listener.accept().await {
                tokio::spawn(async move {
                    // The kernel has accepted already: the round trip of TCP's handshake is waited here.
                    let open = Instant::now() + 2 * ONE_WAY;
                    let Ok(far) = TcpStream::connect(upstream).await else { return };
                    near.set_nodelay(true).unwrap();
                    far.set_nodelay(true).unwrap();
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::join!(carry(near_in, far_out, open), carry(far_in, near_out, open));
                });
            }
        });
    }
}

/// What a round trip to a far place really takes: twice [`ONE_WAY`], and what timers and this machine add.
pub(crate) async fn round_trip() -> Duration {
    let (echo, relay) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Relay::bind().await);
    let address = relay.address();
    relay.lead_to(echo.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = echo.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut from, mut to) = stream.into_split();
        let _ = tokio::io::copy(&mut from, &mut to).await;
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut times = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        stream.write_all(b".").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        times.push(started.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

/// Carries what comes, each part on its way for [`ONE_WAY`], and none before `open`.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, open: Instant) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let arrives = Instant::now().max(open) + ONE_WAY;
            if sender.send((arrives, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((arrives, bytes)) = receiver.recv().await {
            sleep_until(arrives).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}

/// A real registry and its token server, both over TLS (nginx) and both far away.
pub(crate) struct Far {
    pub(crate) registry: Registry,
    pub(crate) nginx: Nginx,
    pub(crate) authority: Authority,
    /// Where the registry is reached: `127.0.0.1:PORT`.
    pub(crate) host: String,
    hosts: tempfile::TempDir,
}

impl Far {
    pub(crate) async fn start() -> Self {
        let (near, tokens) = (Relay::bind().await, Relay::bind().await);
        let (host, issuer) = (near.address().to_string(), tokens.address().to_string());
        let registry = Registry::with_realm(Some(&format!("https://{issuer}/token"))).await;
        let authority = Authority::new();
        let leaf = authority.leaf();
        // Debian's nginx does not speak TLS 1.3 unless it is told to.
        let tls = "ssl http2; ssl_protocols TLSv1.3; ssl_certificate tls.crt; ssl_certificate_key tls.key;";
        let token_server = registry.tokens().realm();
        let token_server = token_server.trim_end_matches("/token");
        let servers = format!(
            "server {{ listen 127.0.0.1:PORT0 {tls}
               location / {{ proxy_pass http://{}; proxy_set_header Host {host}; }} }}
             server {{ listen 127.0.0.1:PORT1 {tls} location / {{ proxy_pass {token_server}; }} }}",
            registry.host()
        );
        let files = [("tls.crt", leaf.certificate.as_bytes()), ("tls.key", leaf.key.as_bytes())];
        let nginx = Nginx::start(&servers, &files).await;
        near.lead_to(nginx.host(0).parse().unwrap());
        tokens.lead_to(nginx.host(1).parse().unwrap());
        let hosts = tempfile::tempdir().unwrap();
        for place in [&host, &issuer] {
            let folder = hosts.path().join(place);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
            std::fs::write(folder.join("hosts.toml"), format!("server = 'https://{place}'\nca = 'ca.crt'\n"))
                .unwrap();
        }
        Self { registry, nginx, authority, host, hosts }
    }

    /// For `--hosts-dir`.
    pub(crate) fn hosts_dir(&self) -> PathBuf {
        self.hosts.path().to_owned()
    }

    /// Requests so far, those to the token server included.
    pub(crate) fn requests(&self) -> usize {
        self.nginx.log().lines().count()
    }
}

/// The least, the middle and the greatest of some figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let median = figures[figures.len() / 2];
        Self { least: figures[0], median, most: figures[figures.len() - 1] }
    }

    pub(crate) fn json(self) -> Value {
        json!({ "least": self.least, "median": self.median, "most": self.most })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}

/// Prints figures, and keeps them in `target/bench/<name>.json` for a later run to be compared with.
pub(crate) fn report(name: &str, lines: &[String], figures: &Value) {
    println!("\n{name}");
    for line in lines {
        println!("  {line}");
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, serde_json::to_string_pretty(figures).unwrap()).unwrap();
    println!("  kept in {}", file.display());
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
