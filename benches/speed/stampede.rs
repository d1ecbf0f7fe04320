//! A thousand Pods at once, and nothing known: how often the registry is asked, and how long the last one waits.

use crate::{
    evaluation::document,
    pods,
    support::{Far, Spread, milliseconds, real, report},
};
use futures_util::future::join_all;
use hullmark::{
    credential::Credentials,
    image::Reference,
    policy::PolicySet,
    registry::{Registry, Settings},
    review::{self, Circumstances, FindCredentials, Reviewer},
    workload::Workload,
};
use real::Image;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;

const REVIEWS: usize = 1000;
const ROUNDS: usize = 5;

struct Anonymous;

impl FindCredentials for Anonymous {
    async fn find(&self, _: &Reference, _: Option<&Workload>) -> Vec<Credentials> {
        Vec::new()
    }
}

fn reviewer(far: &Far) -> Reviewer<Registry, Anonymous> {
    let images = Registry::new(Settings {
        hosts_dir: Some(far.hosts_dir()),
        allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
        ..Settings::default()
    });
    Reviewer { images: images.unwrap(), credentials: Anonymous, nodes: review::nodes(None) }
}

/// All reviews at once; the time until the last answer.
async fn reviewed(reviewer: &Reviewer<Registry, Anonymous>, images: &[String], reviews: usize) -> Duration {
    let set = PolicySet::compile(&[document("one", pods::POLICIES[0])]).unwrap();
    let attributes = hullmark::admission::attributes(Value::Null);
    let workloads: Vec<_> = (0..reviews)
        .map(|nth| {
            let pod = pods::pod(&[images[nth % images.len()].clone()]);
            Workload::from_object(&pod).unwrap().unwrap()
        })
        .collect();
    let started = Instant::now();
    let at = Circumstances {
        request: &attributes,
        old_object: &Value::Null,
        namespace: None,
        now: "2026-11-24T00:00:00Z".parse().unwrap(),
        deadline: started + Duration::from_secs(20),
    };
    let reviews = join_all(workloads.iter().map(|one| reviewer.review(one, &set, at.clone()))).await;
    let took = started.elapsed();
    assert!(reviews.iter().all(|one| one.verdict.findings.is_empty()), "{:?}", reviews[0].verdict);
    took
}

pub(crate) async fn run() {
    let far = Far::start().await;
    let names: Vec<_> = (0..50).map(|nth| format!("public/app-{nth}:1")).collect();
    for (nth, name) in names.iter().enumerate() {
        Image::oci("linux/amd64", &pods::config(nth)).push(&far.registry, name).await;
    }
    let images: Vec<_> = names.iter().map(|name| format!("{}/{name}", far.host)).collect();
    let (mut lines, mut figures) = (Vec::new(), Map::new());
    for count in [1, 50] {
        // One that says what is wanted; a token, a manifest and a config of each repository.
        let fewest = 1 + 3 * u32::try_from(count).unwrap();
        let (mut requests, mut times, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let single = reviewed(&reviewer(&far), &images[..1], 1).await;
            let before = far.requests();
            let took = reviewed(&reviewer(&far), &images[..count], REVIEWS).await;
            requests.push((far.requests() - before) as f64 / f64::from(fewest));
            times.push(took.as_secs_f64() / single.as_secs_f64());
            last.push(milliseconds(took));
        }
        let (requests, times, last) = (Spread::of(requests), Spread::of(times), Spread::of(last));
        lines.push(format!(
            "{REVIEWS} reviews of {count} images: {requests} of the fewest requests ({fewest}), the last answer after \
             {times} times a single one ({last} ms)"
        ));
        figures.insert(
            format!("{count} images"),
            json!({ "requests": requests.json(), "time": times.json(), "ms": last.json(), "fewest": fewest }),
        );
    }
    report("stampede", &lines, &figures.into());
}
