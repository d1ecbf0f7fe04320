//! How time grows: with policies, with containers, with images in the cache. An exponent of 1 is linear.

use crate::{
    evaluation::{document, nanoseconds, subject},
    support::{Spread, report},
    synthetic::Synthetic,
};
use hullmark::{
    credential::Access,
    image::PlatformFilter,
    policy::PolicySet,
    registry::{Registry, Settings},
    review::ResolveImage,
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) async fn run() {
    let (mut lines, mut figures) = (Vec::new(), Map::new());
    let mut add = |name: &str, steps: &[(usize, f64)]| {
        let (text, json) = step(name, steps);
        lines.extend(text);
        figures.insert(name.to_owned(), json);
    };
    let (workload, facts) = subject(3);
    let with = |count: usize, spec: &dyn Fn(usize) -> String| {
        let documents: Vec<_> = (0..count).map(|nth| document(&format!("p{nth}"), &spec(nth))).collect();
        let set = PolicySet::compile(&documents).unwrap();
        (count, nanoseconds(&set, &workload, &facts, 200).median)
    };
    let rule = "rules: { user: { runAsNonRoot: true } }";
    let steps = [10, 100, 1000];
    // As clusters have them: each team's for its own registry, ten for all.
    let of_teams = |nth: usize| match nth {
        0..10 => rule.to_owned(),
        _ => format!("match: {{ images: ['registry.team-{nth}.io/**'] }}, {rule}"),
    };
    add("policies, ten of which are for the Pod", &steps.map(|count| with(count, &of_teams)));
    add("policies, all for the Pod", &steps.map(|count| with(count, &|_| rule.to_owned())));
    let set = PolicySet::compile(&[document("one", rule)]).unwrap();
    let containers = [1, 10, 50].map(|count| {
        let (workload, facts) = subject(count);
        (count, nanoseconds(&set, &workload, &facts, 200).median)
    });
    add("containers", &containers);
    add("images in the cache", &images().await);
    report("growth", &lines, &figures.into());
}

/// Nanoseconds of a resolution that the cache answers.
async fn images() -> Vec<(usize, f64)> {
    let registry = Synthetic::start().await;
    let client = Registry::new(Settings {
        hosts_dir: Some(registry.hosts().to_owned()),
        allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
        cache_bytes: 128 << 20,
        tag_life: Duration::from_hours(1),
        ..Settings::default()
    })
    .unwrap();
    let (access, platforms) = (Access::default(), PlatformFilter::default());
    let resolve = async |nth: usize| {
        let reference = registry.image(nth).parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        client.resolve(&reference, &platforms, &access, deadline).await.unwrap()
    };
    let (mut known, mut steps) = (0, Vec::new());
    for count in [100, 1000, 20_000] {
        for nth in known..count {
            resolve(nth).await;
        }
        known = count;
        let asked = registry.requests();
        let mut rounds = Vec::new();
        for _ in 0..9 {
            let started = Instant::now();
            for nth in 0..2000 {
                resolve((nth * 7919) % count).await;
            }
            rounds.push(started.elapsed().as_nanos() as f64 / 2000.0);
        }
        assert_eq!(registry.requests(), asked, "everything is known");
        steps.push((count, Spread::of(rounds).median));
    }
    steps
}

fn step(name: &str, steps: &[(usize, f64)]) -> (Vec<String>, Value) {
    let ((first, fast), (last, slow)) = (steps[0], steps[steps.len() - 1]);
    let exponent = (slow / fast).ln() / (last as f64 / first as f64).ln();
    let times: Vec<_> = steps.iter().map(|(count, ns)| format!("{count}: {:.1} µs", ns / 1000.0)).collect();
    let line = format!("{name}: {} (exponent {exponent:.2})", times.join(", "));
    (vec![line], json!({ "ns": steps, "exponent": exponent }))
}
