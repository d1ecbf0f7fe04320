//! What a scan costs: time and memory for a number of Pods, and what its JSON and its page weigh. Its images are known
//! already, so that it is the scan that is measured.

use crate::{evaluation, pods, program, support::report};
use futures_util::stream;
use hullmark::{
    credential::{Access, Credentials},
    image::{PlatformFilter, Reference, ResolvedImage, Unresolved},
    policy::PolicySet,
    review::{self, FindCredentials, OnlyNames, ResolveImage, Reviewer},
    scan::{self, Called, Exempt, Page, Scene},
    survey,
    workload::Workload,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Pods of a page, as the API server gives them.
const PAGE: usize = 500;
/// Different images of all Pods.
const IMAGES: usize = 300;

/// Every image is there.
struct Known(Vec<Arc<ResolvedImage>>);

impl ResolveImage for Known {
    async fn resolve(
        &self,
        reference: &Reference,
        _: &PlatformFilter,
        _: &Access,
        _: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let nth = reference.path().rsplit_once('-').and_then(|(_, nth)| nth.parse().ok()).unwrap_or(0);
        Ok(Arc::clone(&self.0[nth % self.0.len()]))
    }
}

struct Nobody;

impl FindCredentials for Nobody {
    async fn find(&self, _: &Reference, _: Option<&Workload>) -> Vec<Credentials> {
        Vec::new()
    }
}

pub(crate) async fn run() {
    let images = Known((0..IMAGES).map(|nth| Arc::new(evaluation::image(nth))).collect());
    let reviewer = Reviewer { images, credentials: Nobody, nodes: review::nodes(None) };
    let documents = [
        evaluation::document("non-root", "rules: { user: { runAsNonRoot: true } }"),
        evaluation::document("owned", "rules: { labels: [{ key: owner, required: true }] }"),
        evaluation::document("old", "rules: { age: { max: 1d } }"),
    ];
    let policies = PolicySet::compile(&documents).unwrap();
    let exempt = Exempt::default();
    let (mut lines, mut figures) = (Vec::new(), Vec::new());
    // The most first: of what is given back, the allocator keeps some for the next, which then seems to take nothing.
    for count in [20_000, 5_000, 1_000] {
        let pages = || stream::iter((0..count).step_by(PAGE).map(page));
        // What one leaves behind for the next is there already; what a second one keeps beside the first is its own.
        let first = scan::look(&reviewer, scene(&policies, &exempt), pages(), None).await.unwrap();
        let before = program::memory_of("self");
        let started = Instant::now();
        let survey = scan::look(&reviewer, scene(&policies, &exempt), pages(), None).await.unwrap();
        let took = started.elapsed();
        let kept = program::memory_of("self").saturating_sub(before);
        let document = survey::json::document(&survey);
        let json = document.to_string().len();
        let started = Instant::now();
        let page = survey::page::html(&document).len();
        let made = started.elapsed();
        lines.push(format!(
            "{count} Pods: {:.0} µs for each, JSON {} KiB, page {} KiB in {:.0} ms",
            took.as_secs_f64() * 1e6 / count as f64,
            json / 1024,
            page / 1024,
            made.as_secs_f64() * 1e3,
        ));
        if lines.len() == 1 {
            lines.push(format!("  {:.1} KiB kept for each", kept as f64 / 1024.0 / count as f64));
        }
        figures.push(json!({
            "pods": count, "seconds": took.as_secs_f64(), "bytes": kept, "json": json, "page": page,
        }));
        assert_eq!(survey.summary(), first.summary());
        assert_eq!(survey.summary().violating, count, "what was judged");
    }
    report("scan", &lines, &json!(figures));
}

fn scene<'a>(policies: &'a PolicySet, exempt: &'a Exempt) -> Scene<'a> {
    Scene {
        policies,
        policy_source: "cluster".to_owned(),
        cluster: "https://127.0.0.1:6443".to_owned(),
        namespaces: &OnlyNames,
        exempt,
        called: Called::Never,
        notes: Vec::new(),
        now: "2026-11-25T12:00:00Z".parse().unwrap(),
        patience: Duration::from_secs(30),
        most: usize::MAX,
    }
}

fn page(first: usize) -> Page {
    let pod = |nth: usize| -> Value {
        let names = [0, 1].map(|other| format!("registry.acme.io/shop/app-{}:1", (nth + other) % IMAGES));
        let mut pod = pods::pod(&names);
        pod["metadata"]["name"] = json!(format!("web-{nth}"));
        pod["metadata"]["uid"] = json!(format!("uid-{nth}"));
        pod
    };
    ("pods".to_owned(), Ok((first..first + PAGE).map(pod).collect()))
}
