//! What judging costs: each rule, and expressions as people write them, for one container on one platform.

use crate::{
    pods,
    support::{Spread, report},
};
use hullmark::{
    image::{AuthKind, Document, Freshness, ImageConfig, Manifest, PlatformImage, ResolvedImage},
    policy::{Fact, PolicyDocument, PolicySet, Subject},
    workload::Workload,
};
use serde_json::{Map, Value, json};
use std::{hint::black_box, sync::Arc};
use tokio::time::Instant;

const RUNS: u32 = 2000;
const ROUNDS: usize = 15;

const RULES: &[(&str, &str)] = &[
    ("reference", "rules: { reference: { digest: false, tags: { forbidden: [latest] } } }"),
    ("user", "rules: { user: { runAsNonRoot: true } }"),
    ("labels", "rules: { labels: [{ key: team, required: true }] }"),
    (
        "labels, pattern",
        "rules: { labels: [{ key: org.opencontainers.image.source, pattern: '^https://git.acme.io/' }] }",
    ),
    ("stopSignal", "rules: { stopSignal: { valid: true, oneOf: [SIGTERM, SIGQUIT] } }"),
    ("env", "rules: { env: { forbidden: ['*_TOKEN', '*PASSWORD*'] } }"),
    ("ports", "rules: { ports: { allowed: ['1024-65535'] } }"),
    ("volumes", "rules: { volumes: { forbidden: true } }"),
    ("entrypoint", "rules: { entrypoint: { required: true, forbidden: ['/bin/sh'] } }"),
    ("age", "rules: { age: { max: 365d } }"),
    ("size", "rules: { size: { maxCompressed: 2Gi, maxLayers: 60 } }"),
    ("CEL, a label", "validations: [{ expression: \"config.labels['team'] == 'shop'\" }]"),
    (
        "CEL, all of env",
        "validations: [{ expression: \"!effective.env.exists(name, name.startsWith('DEBUG'))\" }]",
    ),
    ("CEL, the Pod", "validations: [{ expression: \"object.metadata.labels['app'] == 'app'\" }]"),
    ("CEL, the whole config", "validations: [{ expression: \"image.document.history.size() == 12\" }]"),
];

/// One policy.
pub(crate) fn document(name: &str, spec: &str) -> PolicyDocument {
    let text = pods::policy(name, spec);
    PolicyDocument {
        source: name.to_owned(),
        value: hullmark::yaml::documents(&text).unwrap().remove(0).value,
    }
}

/// An image that complies with [`pods::POLICIES`].
pub(crate) fn image(nth: usize) -> ResolvedImage {
    let raw = crate::synthetic::config(nth);
    let bytes = serde_json::to_vec(&raw).unwrap();
    let digest = hullmark::image::Digest::sha256(&bytes);
    let manifest = crate::synthetic::manifest(nth, &digest.to_string(), bytes.len()).to_string();
    let Ok(Document::Manifest(manifest)) = Document::parse(manifest.as_bytes(), None) else {
        panic!("a manifest")
    };
    let Manifest { media_type, annotations, layers, .. } = manifest;
    let config = ImageConfig::parse(&bytes).unwrap();
    let platform = PlatformImage {
        platform: config.platform(),
        manifest_digest: digest.clone(),
        media_type: media_type.clone(),
        annotations: annotations.into_iter().collect(),
        layer_sizes: layers.iter().map(|layer| layer.size).collect(),
        config_digest: digest.clone(),
        config,
        raw_config: Some(bytes.as_slice().into()),
    };
    ResolvedImage {
        reference: format!("registry.acme.io/shop/app-{nth}:1").parse().unwrap(),
        digest,
        media_type,
        index_annotations: hullmark::image::TextMap::default(),
        available: Vec::from_iter(platform.platform.clone()),
        platforms: vec![Arc::new(platform)],
        freshness: Freshness::Fetched,
        auth: AuthKind::Anonymous,
    }
}

/// A Pod of so many containers, and what is known of its images.
pub(crate) fn subject(containers: usize) -> (Workload, Vec<Fact>) {
    let names: Vec<_> = (0..containers).map(|nth| format!("registry.acme.io/shop/app-{nth}:1")).collect();
    let workload = Workload::from_object(&pods::pod(&names)).unwrap().unwrap();
    let facts = workload.uses.iter().enumerate();
    let facts =
        facts.map(|(nth, usage)| Fact { usage: usage.clone(), image: Some(Ok(Arc::new(image(nth)))) });
    let facts = facts.collect();
    (workload, facts)
}

/// Nanoseconds of one evaluation.
pub(crate) fn nanoseconds(set: &PolicySet, workload: &Workload, facts: &[Fact], runs: u32) -> Spread {
    let request = hullmark::admission::attributes(Value::Null);
    let subject = Subject {
        workload,
        facts,
        request: &request,
        old_object: &Value::Null,
        namespace: None,
        now: "2026-11-24T00:00:00Z".parse().unwrap(),
    };
    assert_eq!(set.evaluate(&subject).findings, [], "it complies");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..runs {
            black_box(set.evaluate(black_box(&subject)));
        }
        rounds.push(started.elapsed().as_nanos() as f64 / f64::from(runs));
    }
    Spread::of(rounds)
}

pub(crate) fn run() {
    let (workload, facts) = subject(1);
    let of = |specs: &[&str]| {
        let documents: Vec<_> =
            specs.iter().enumerate().map(|(nth, spec)| document(&format!("p{nth}"), spec)).collect();
        nanoseconds(&PolicySet::compile(&documents).unwrap(), &workload, &facts, RUNS)
    };
    // What laying out the Pod and its image costs, without any policy.
    let nothing = of(&[]);
    let (mut lines, mut figures) = (vec![format!("no policy: {nothing} ns")], Map::new());
    for (name, spec) in RULES {
        let whole = of(&[spec]);
        let alone = (whole.median - nothing.median).max(0.0);
        let ratio = alone / nothing.median;
        lines.push(format!("{name}: {alone:.0} ns, {ratio:.2} of laying out the Pod ({whole} ns with it)"));
        figures
            .insert((*name).to_owned(), json!({ "ns": alone, "ratio": ratio, "with_layout": whole.json() }));
    }
    figures.insert("nothing".to_owned(), nothing.json());
    report("evaluation", &lines, &figures.into());
}
