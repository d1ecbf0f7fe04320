//! A client that costs little: one request's bytes over and over on kept-alive connections of HTTP/1.1, or each on a
//! connection of its own. (No load tool of Debian speaks TLS with a CA of one's own and reports what is needed here.)

use crate::program::Program;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// What a load came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Time on processors that the server took for each answer.
    pub(crate) processor: Duration,
}

/// How a server is asked.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    connector: TlsConnector,
    requests: Arc<[Vec<u8>]>,
    /// Whether each request has a connection of its own.
    pub(crate) is_fresh: bool,
}

impl Client {
    /// That posts these bodies to `/validate`, in turn.
    pub(crate) fn new(program: &Program, bodies: &[Vec<u8>], is_fresh: bool) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(program.ca().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        if is_fresh {
            config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
        }
        let request = |body: &Vec<u8>| {
            let close = if is_fresh { "connection: close\r\n" } else { "" };
            let head = format!(
                "POST /validate?timeout=10s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                 {close}content-length: {}\r\n\r\n",
                body.len()
            );
            [head.as_bytes(), body].concat()
        };
        Self {
            address: program.address,
            connector: TlsConnector::from(Arc::new(config)),
            requests: bodies.iter().map(request).collect(),
            is_fresh,
        }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        self.connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }

    /// Asks from `connections` at once, until `last` says no; what `program` made of it.
    async fn drive(
        &self,
        program: &Program,
        connections: usize,
        goes_on: impl Fn(u64) -> bool + Send + Sync + 'static,
    ) -> Figures {
        let (count, goes_on) = (Arc::new(AtomicU64::new(0)), Arc::new(goes_on));
        let (before, started) = (program.processor_time(), Instant::now());
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (own, count, goes_on) = (self.clone(), Arc::clone(&count), Arc::clone(&goes_on));
                tokio::spawn(async move {
                    let (mut times, mut stream) = (Vec::new(), None);
                    loop {
                        let nth = count.fetch_add(1, Ordering::Relaxed);
                        if !goes_on(nth) {
                            return times;
                        }
                        let asked = Instant::now();
                        let mut open = match stream.take() {
                            Some(open) => open,
                            None => own.connect().await,
                        };
                        let request = &own.requests[usize::try_from(nth).unwrap() % own.requests.len()];
                        exchange(&mut open, request).await;
                        times.push(asked.elapsed());
                        stream = Some(open).filter(|_| !own.is_fresh);
                    }
                })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        let (took, processor) = (started.elapsed(), program.processor_time().saturating_sub(before));
        times.sort_unstable();
        let number = u32::try_from(times.len()).unwrap();
        Figures {
            per_second: f64::from(number) / took.as_secs_f64(),
            p50: times[times.len() / 2],
            p99: times[times.len() * 99 / 100],
            processor: processor / number,
        }
    }

    pub(crate) async fn for_a_while(&self, program: &Program, connections: usize, time: Duration) -> Figures {
        let end = Instant::now() + time;
        self.drive(program, connections, move |_| Instant::now() < end).await
    }

    pub(crate) async fn times(&self, program: &Program, connections: usize, times: u64) -> Figures {
        self.drive(program, connections, move |nth| nth < times).await
    }
}

async fn exchange(stream: &mut TlsStream<TcpStream>, request: &[u8]) {
    stream.write_all(request).await.unwrap();
    let mut answer = vec![0; 64 * 1024];
    let (mut read, mut whole) = (0, None);
    while whole.is_none_or(|whole| read < whole) {
        let count = stream.read(&mut answer[read..]).await.unwrap();
        assert_ne!(count, 0, "the server went away");
        read += count;
        if whole.is_none()
            && let Some(head) = answer[..read].windows(4).position(|four| four == b"\r\n\r\n")
        {
            let text = std::str::from_utf8(&answer[..head]).unwrap().to_ascii_lowercase();
            assert!(text.starts_with("http/1.1 200"), "{text}");
            let length = text.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            whole = Some(head + 4 + length.parse::<usize>().unwrap());
        }
    }
    let allowed = answer[..read].windows(14).any(|part| part == b"\"allowed\":true");
    assert!(allowed, "{}", String::from_utf8_lossy(&answer[..read]));
}
