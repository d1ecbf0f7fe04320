//! A warm start: what runs already is looked at before anybody asks, a few at a time.

use crate::{
    cli::CacheArgs,
    cluster::workloads,
    policy::PolicySet,
    review::{FindCredentials, ResolveImage, Reviewer},
    workload::Workload,
};
use anyhow::Context;
use futures_util::{StreamExt, stream};
use kube::Client;
use serde_json::{Value, json};
use std::{collections::HashSet, fs, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// How long one Pod's images may take: nobody waits for them.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pods that are looked at side by side.
const SIDE_BY_SIDE: usize = 8;

/// What is to be looked at.
pub(super) struct Plan {
    /// Of the file.
    listed: Vec<Workload>,
    /// Of the cluster.
    client: Option<Client>,
    rate: u16,
    wait: Duration,
}

impl Plan {
    /// Reads the file that `args` name.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no image.
    pub(super) fn of(args: &CacheArgs, client: Option<&Client>) -> anyhow::Result<Self> {
        let mut listed = Vec::new();
        if let Some(path) = &args.warm_up_images {
            let named = || format!("--warm-up-images {}", path.display());
            let text = fs::read_to_string(path).with_context(named)?;
            for (nth, line) in text.lines().map(str::trim).enumerate() {
                if !line.is_empty() && !line.starts_with('#') {
                    let workload =
                        of_image(line).with_context(|| format!("{}, line {}", named(), nth + 1))?;
                    listed.push(workload);
                }
            }
        }
        let client = client.filter(|_| args.warm_up).cloned();
        Ok(Self { listed, client, rate: args.warm_up_rate, wait: args.warm_up_wait })
    }

    /// Looks at everything in the background. What is given becomes true when that is done, or when enough was waited;
    /// none if there is nothing to do, or nothing waits.
    pub(super) fn start<R, C>(
        self,
        reviewer: Arc<Reviewer<R, C>>,
        policies: &watch::Receiver<Arc<PolicySet>>,
    ) -> Option<watch::Receiver<bool>>
    where
        R: ResolveImage + 'static,
        C: FindCredentials + Send + Sync + 'static,
    {
        if self.listed.is_empty() && self.client.is_none() {
            return None;
        }
        let wait = self.wait;
        let (done, is_done) = watch::channel(false);
        let policies = Arc::clone(&policies.borrow());
        let work = tokio::spawn(async move { self.run(&reviewer, &policies).await });
        if wait.is_zero() {
            return None;
        }
        tokio::spawn(async move {
            let _ = timeout(wait, work).await;
            done.send_replace(true);
            // Whoever follows must not see the sender go.
            done.closed().await;
        });
        Some(is_done)
    }

    async fn run<R: ResolveImage, C: FindCredentials>(self, reviewer: &Reviewer<R, C>, policies: &PolicySet) {
        let started = Instant::now();
        if policies.reads_document() {
            reviewer.images.keep_documents();
        }
        let mut workloads = self.listed;
        if let Some(client) = self.client {
            match workloads::pods(&client).await {
                Ok(pods) => workloads.extend(distinct(&pods)),
                Err(error) => {
                    let error = error.to_string();
                    tracing::warn!(error, "warm start: the Pods of the cluster could not be listed");
                }
            }
        }
        let count = workloads.len();
        let mut ticks = interval(Duration::from_secs(1) / u32::from(self.rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let paced = stream::unfold((ticks, workloads.into_iter()), |(mut ticks, mut rest)| async move {
            let next = rest.next()?;
            ticks.tick().await;
            Some((next, (ticks, rest)))
        });
        let looked_at = paced.map(|workload| async move {
            let wanted = |usage: &_| policies.needs_image(&workload, usage, None);
            let facts = reviewer.facts(&workload, wanted, Instant::now() + PATIENCE).await;
            let failed = facts.iter().filter(|fact| matches!(fact.image, Some(Err(_)))).count();
            (facts.iter().filter(|fact| fact.image.is_some()).count(), failed)
        });
        let sums = looked_at
            .buffer_unordered(SIDE_BY_SIDE)
            .fold((0, 0), |sum, one| async move { (sum.0 + one.0, sum.1 + one.1) });
        let (images, failed) = sums.await;
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(pods = count, images, failed, seconds, "warm start done");
    }
}

fn of_image(image: &str) -> anyhow::Result<Workload> {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "warm-up", "namespace": "default" },
        "spec": { "containers": [{ "name": "app", "image": image }] },
    });
    let workload = Workload::from_object(&pod)?.context("no Pod")?;
    match workload.uses.first().map(|usage| &usage.reference) {
        Some(Err(invalid)) => anyhow::bail!("{invalid}"),
        _ => Ok(workload),
    }
}

/// One of all Pods that are made alike: same namespace, images and pull secrets.
fn distinct(pods: &[Value]) -> Vec<Workload> {
    let mut seen = HashSet::new();
    let workloads = pods.iter().filter_map(|pod| Workload::from_object(pod).ok().flatten());
    workloads
        .filter(|workload| {
            let images: Vec<&str> = workload.uses.iter().map(|usage| usage.image.as_str()).collect();
            let spec = &workload.object["spec"];
            let placed = [&spec["imagePullSecrets"], &spec["nodeSelector"], &spec["affinity"], &spec["os"]];
            let namespace = &workload.object["metadata"]["namespace"];
            seen.insert(format!("{namespace} {images:?} {placed:?}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_are_alike_are_looked_at_once() {
        let pod = |namespace: &str, image: &str, secret: &str| {
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x", "namespace": namespace },
                "spec": { "containers": [{ "name": "a", "image": image }], "imagePullSecrets": [{ "name": secret }] },
            })
        };
        let pods = [
            pod("a", "nginx", "one"),
            pod("a", "nginx", "one"),
            pod("b", "nginx", "one"),
            pod("a", "nginx:2", "one"),
            pod("a", "nginx", "two"),
            json!({ "kind": "Pod" }),
        ];
        assert_eq!(distinct(&pods).len(), 4);
    }

    #[test]
    fn a_line_is_an_image() {
        assert_eq!(of_image("nginx:1").expect("an image").uses.len(), 1);
        assert!(of_image("NGINX").unwrap_err().to_string().contains("lower"));
    }
}
