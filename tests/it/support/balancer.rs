//! What a Service is in a cluster: connections go to one of the replicas that say they are ready. Like
//! kube-proxy it tries no second one, and learns of a replica's end a while after it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// How often replicas are asked whether they are ready; kubelets ask less often.
const PROBE: Duration = Duration::from_millis(500);

/// A running balancer. It ends when this is dropped.
pub(crate) struct Balancer {
    tasks: [JoinHandle<()>; 2],
}

impl Balancer {
    /// Between `listen` and the replicas: where each listens, and its health port.
    pub(crate) async fn start(listen: SocketAddr, replicas: Vec<(SocketAddr, SocketAddr)>) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let ready: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
        let probe = tokio::spawn(probe(replicas, Arc::clone(&ready)));
        let accept = tokio::spawn(async move {
            let next = AtomicUsize::new(0);
            while let Ok((mut caller, _)) = listener.accept().await {
                let replica = {
                    let ready = ready.lock().unwrap();
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    (!ready.is_empty()).then(|| ready[turn % ready.len()])
                };
                tokio::spawn(async move {
                    if let Some(replica) = replica
                        && let Ok(mut replica) = TcpStream::connect(replica).await
                    {
                        // Either side may end it at any time.
                        let _ = copy_bidirectional(&mut caller, &mut replica).await;
                    }
                });
            }
        });
        Self { tasks: [probe, accept] }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn probe(replicas: Vec<(SocketAddr, SocketAddr)>, ready: Arc<Mutex<Vec<SocketAddr>>>) {
    let client = super::push::client(None);
    loop {
        let mut answering = Vec::new();
        for (replica, health) in &replicas {
            let answer = client.get(format!("http://{health}/readyz")).timeout(PROBE).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                answering.push(*replica);
            }
        }
        *ready.lock().unwrap() = answering;
        tokio::time::sleep(PROBE).await;
    }
}
