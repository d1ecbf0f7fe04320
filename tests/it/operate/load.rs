//! Pods that are created all the time, as dry runs, and what became of each.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// How many ask side by side, each after a short pause.
const WORKERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(10);

/// Creation that goes on until it is dropped.
pub(super) struct Load {
    workers: JoinSet<()>,
    told: Arc<Mutex<Told>>,
}

/// What became of the Pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) admitted: usize,
    /// When, and what was said.
    pub(super) refused: Vec<(Instant, String)>,
}

impl Told {
    fn add(&mut self, created: kube::Result<()>) {
        match created {
            Ok(()) => self.admitted += 1,
            Err(error) => self.refused.push((Instant::now(), error.to_string())),
        }
    }
}

impl Load {
    pub(super) async fn start(kubeconfig: &Path, namespace: &str, pod: &Value) -> Self {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let told: Arc<Mutex<Told>> = Arc::default();
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let (pods, told): (Api<Pod>, _) = (Api::namespaced(client.clone(), namespace), Arc::clone(&told));
            let mut pod: Pod = serde_json::from_value(pod.clone()).unwrap();
            pod.metadata.name = Some(format!("load-{worker}"));
            workers.spawn(async move {
                let dry_run = PostParams { dry_run: true, ..PostParams::default() };
                loop {
                    let created = pods.create(&dry_run, &pod).await;
                    told.lock().unwrap().add(created.map(|_| ()));
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self { workers, told }
    }

    /// What became of the Pods since this was asked last; there are some.
    pub(super) async fn since(&self) -> Told {
        // What is under way belongs to it.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        assert!(told.admitted + told.refused.len() > 0, "nobody asks");
        told
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.workers.abort_all();
    }
}
