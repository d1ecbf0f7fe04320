//! Where the time of a warm review goes, stage by stage, without the connection.

use crate::{
    evaluation::document,
    pods,
    support::{Spread, report},
    synthetic::Synthetic,
};
use hullmark::{
    admission::{self, Mode, Request},
    credential::Credentials,
    image::Reference,
    policy::{PolicySet, Subject},
    registry::{Registry, Settings},
    review::{self, FindCredentials, Reviewer},
    workload::Workload,
};
use serde_json::{Map, json};
use std::{hint::black_box, time::Duration};
use tokio::time::Instant;

const RUNS: u32 = 1000;
const ROUNDS: usize = 15;

struct Anonymous;

impl FindCredentials for Anonymous {
    async fn find(&self, _: &Reference, _: Option<&Workload>) -> Vec<Credentials> {
        Vec::new()
    }
}

pub(crate) async fn run() {
    let registry = Synthetic::start().await;
    let images: Vec<_> = (0..3).map(|nth| registry.image(nth)).collect();
    let body = pods::review(&images);
    let documents: Vec<_> =
        pods::POLICIES.iter().enumerate().map(|(nth, spec)| document(&format!("p{nth}"), spec)).collect();
    let set = PolicySet::compile(&documents).unwrap();
    let images = Registry::new(Settings {
        hosts_dir: Some(registry.hosts().to_owned()),
        allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
        tag_life: Duration::from_hours(1),
        ..Settings::default()
    });
    let reviewer = Reviewer { images: images.unwrap(), credentials: Anonymous, nodes: review::nodes(None) };
    let now = "2026-11-24T00:00:00Z".parse().unwrap();
    let mut rounds: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        let mut sums = [Duration::ZERO; 5];
        for _ in 0..RUNS {
            let started = Instant::now();
            let request = Request::parse_pruned(black_box(&body)).unwrap();
            let parsed = Instant::now();
            let workload = request.workload.as_ref().unwrap();
            let wanted = |usage: &_| set.needs_image(workload, usage, None);
            let facts = reviewer.facts(workload, wanted, started + Duration::from_secs(10)).await;
            let resolved = Instant::now();
            let verdict = set.evaluate(&Subject {
                workload,
                facts: &facts,
                request: &request.attributes,
                old_object: &request.old_object,
                namespace: None,
                now,
            });
            let judged = Instant::now();
            black_box(admission::respond(&request, &verdict, &facts, Mode::Enforce));
            let answered = Instant::now();
            assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
            drop((request, facts, verdict));
            let times = [started, parsed, resolved, judged, answered, Instant::now()];
            for (sum, pair) in sums.iter_mut().zip(times.windows(2)) {
                *sum += pair[1] - pair[0];
            }
        }
        for (round, sum) in rounds.iter_mut().zip(sums) {
            round.push(sum.as_nanos() as f64 / f64::from(RUNS));
        }
    }
    let names = ["parse", "resolve", "judge", "answer", "forget"];
    let (mut lines, mut figures) = (Vec::new(), Map::new());
    let spreads = rounds.map(Spread::of);
    let whole: f64 = spreads.iter().map(|spread| spread.median).sum();
    for (name, spread) in names.into_iter().zip(spreads) {
        let share = spread.median / whole;
        lines.push(format!("{name}: {share:.2} of the review ({spread} ns)"));
        figures.insert(name.to_owned(), json!({ "share": share, "ns": spread.json() }));
    }
    report("stages", &lines, &figures.into());
}
