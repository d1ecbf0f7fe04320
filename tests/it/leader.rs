//! Of several candidates one leads, by a Lease in a real API server; whatever becomes of the others.

use crate::support::{ControlPlane, Namespace};
use hullmark::cluster::{
    self,
    leader::{Candidate, Leadership, Terms},
};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};

/// As usual, only faster.
const TERMS: Terms =
    Terms { lease: Duration::from_secs(4), renew: Duration::from_secs(2), retry: Duration::from_millis(200) };
/// Within this long a free Lease is taken, on a machine that is busy: well before a lost one runs out.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn one_leads_at_a_time() {
    let namespace = ControlPlane::shared().await.namespace().await;
    let kubeconfig = namespace.plane.kubeconfig();
    let mut referee = Referee::default();

    let first = referee.stand(&namespace, &kubeconfig, "first").await;
    leads(&first, Duration::from_secs(20)).await;
    let second = referee.stand(&namespace, &kubeconfig, "second").await;
    sleep(TERMS.lease + TERMS.retry).await;
    assert!(*first.leads().borrow() && !*second.leads().borrow(), "who renews keeps it");
    assert_eq!(lease(&namespace).await["spec"]["holderIdentity"], "first");

    let started = Instant::now();
    first.resign().await;
    assert_eq!(lease(&namespace).await["spec"]["holderIdentity"], "", "it is given back");
    leads(&second, AT_ONCE).await;
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());

    // It reaches the API server over a line that can be cut.
    let line = Line::start(api_server(&kubeconfig)).await;
    let cut_off = namespace.plane.kubeconfig().with_file_name("by-line.kubeconfig");
    fs::write(&cut_off, with_server(&kubeconfig, line.address)).unwrap();
    let third = referee.stand(&namespace, &cut_off, "third").await;
    let started = Instant::now();
    drop(second);
    leads(&third, TERMS.lease + AT_ONCE).await;
    let gap = started.elapsed();
    assert!(gap > TERMS.lease.saturating_sub(2 * TERMS.retry + Duration::from_millis(500)), "{gap:?}");

    let fourth = referee.stand(&namespace, &kubeconfig, "fourth").await;
    line.cut();
    let mut of_third = third.leads();
    timeout(TERMS.renew + AT_ONCE, of_third.wait_for(|leads| !leads)).await.expect("it steps down").unwrap();
    leads(&fourth, TERMS.lease + AT_ONCE).await;
    let now = lease(&namespace).await;
    assert_eq!(
        (&now["spec"]["holderIdentity"], &now["spec"]["leaseTransitions"]),
        (&"fourth".into(), &4.into())
    );
    assert_eq!(now["spec"]["leaseDurationSeconds"], 4);
    referee.ends();
}

async fn leads(candidate: &Leadership, within: Duration) {
    let mut leads = candidate.leads();
    timeout(within, leads.wait_for(|leads| *leads)).await.expect("it leads in time").unwrap();
}

async fn lease(namespace: &Namespace) -> Value {
    namespace.kubectl(["get", "lease", "work", "-o", "json"]).await.succeeded().json()
}

/// Sees to it that no two lead at once.
#[derive(Default)]
struct Referee {
    standing: Arc<Mutex<Vec<watch::Receiver<bool>>>>,
    foul: Arc<AtomicBool>,
    watching: Option<JoinHandle<()>>,
}

impl Referee {
    async fn stand(&mut self, namespace: &Namespace, kubeconfig: &Path, identity: &str) -> Leadership {
        let client = cluster::connect(Some(kubeconfig)).await.unwrap();
        let candidate = Candidate {
            namespace: namespace.name.clone(),
            lease: "work".to_owned(),
            identity: identity.to_owned(),
            terms: TERMS,
        };
        let leadership = Leadership::stand(client, candidate, hullmark::app::now);
        self.standing.lock().unwrap().push(leadership.leads());
        let (standing, foul) = (Arc::clone(&self.standing), Arc::clone(&self.foul));
        self.watching.get_or_insert_with(|| {
            tokio::spawn(async move {
                loop {
                    // Of one that is gone, the last word does not count: its work ended with it.
                    let alive = |one: &&watch::Receiver<bool>| one.has_changed().is_ok() && *one.borrow();
                    if standing.lock().unwrap().iter().filter(alive).count() > 1 {
                        foul.store(true, Ordering::Relaxed);
                    }
                    sleep(Duration::from_millis(2)).await;
                }
            })
        });
        leadership
    }

    fn ends(self) {
        self.watching.unwrap().abort();
        assert!(!self.foul.load(Ordering::Relaxed), "two led at once");
    }
}

/// Connections to the API server, until they are cut.
struct Line {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Line {
    async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut far = TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { address, task }
    }

    fn cut(&self) {
        self.task.abort();
    }
}

fn api_server(kubeconfig: &Path) -> SocketAddr {
    let config: Value = serde_json::from_slice(&fs::read(kubeconfig).unwrap()).unwrap();
    let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap();
    server.trim_start_matches("https://").parse().unwrap()
}

/// The same kubeconfig with another address.
fn with_server(kubeconfig: &Path, address: SocketAddr) -> String {
    let mut config: Value = serde_json::from_slice(&fs::read(kubeconfig).unwrap()).unwrap();
    config["clusters"][0]["cluster"]["server"] = format!("https://localhost:{}", address.port()).into();
    config.to_string()
}
