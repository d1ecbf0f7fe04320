//! One review, one log line: a constant message and dotted fields, the same names everywhere.
//!
//! WARN when the glass was broken; INFO when it was or would have been refused, warned about or
//! excepted; DEBUG for a plain admit. Findings and images are JSON in one field each (see
//! [`super::log`], which writes them as structure).

use super::{
    metrics::{FindingLabels, Metrics, ReviewLabels, Stage},
    trace,
};
use crate::{
    admission::{Answer, Mode, Operation, Request},
    image::ResolvedImage,
    policy::{Decision, Finding},
    review::Review,
    text::clean,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Findings and images in a line; the rest is counted.
const MAX_ITEMS: usize = 20;
/// Characters of a message, and of a name.
const MAX_MESSAGE: usize = 512;
const MAX_NAME: usize = 256;

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// What was found; none when there was nothing to judge.
    pub review: Option<&'a Review>,
    /// What is sent back.
    pub answer: &'a Answer,
    /// Whether denials are carried out.
    pub mode: Mode,
    /// From the request's head to its answer.
    pub elapsed: Duration,
}

/// Turns a review into its log line and its metrics.
pub fn record(metrics: &Metrics, outcome: &Outcome<'_>) {
    let trace_id = trace::current_id();
    count(metrics, outcome, trace_id.as_deref());
    let is_excepted = outcome.review.is_some_and(|review| !review.verdict.excepted.is_empty());
    let quiet = outcome.answer.decision == Decision::Allow
        && outcome.answer.would_be == Decision::Allow
        && !is_excepted;
    // The macro's level must be constant.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request.uid = clean(&outcome.request.uid, MAX_NAME),
                request.namespace = outcome.request.namespace.as_deref().map(|name| clean(name, MAX_NAME)),
                request.kind = clean(&outcome.request.kind, MAX_NAME),
                request.name = clean(&outcome.request.name, MAX_NAME),
                request.operation = operation(outcome.request.operation),
                request.user = clean(&outcome.request.user, MAX_NAME),
                request.dry_run = outcome.request.dry_run,
                verdict = verdict(outcome),
                would_be = decision(outcome.answer.would_be),
                mode = outcome.mode.as_str(),
                code = outcome.answer.code,
                unjudged = outcome.request.workload.as_ref().err().copied(),
                images = outcome.review.map(|review| images(review).to_string()),
                findings = outcome.review.map(|review| findings(review.verdict.findings.iter()).to_string()),
                excepted = outcome.review.and_then(excepted),
                trace_id,
                duration_ms = milliseconds(outcome.elapsed),
                resolving_ms = outcome.review.map(|review| milliseconds(review.resolving)),
                "review"
            )
        };
    }
    if outcome.mode == Mode::BreakGlass {
        line!(warn);
    } else if quiet {
        line!(debug);
    } else {
        line!(info);
    }
}

fn count(metrics: &Metrics, outcome: &Outcome<'_>, trace_id: Option<&str>) {
    metrics.reviewed(&ReviewLabels {
        verdict: verdict(outcome),
        would_be: decision(outcome.answer.would_be),
        mode: outcome.mode.as_str(),
        operation: operation(outcome.request.operation),
        code: outcome.answer.code,
    });
    metrics.took(Stage::Total, outcome.elapsed, trace_id);
    let Some(review) = outcome.review else { return };
    metrics.took(Stage::Resolving, review.resolving, trace_id);
    metrics.took(Stage::Judging, review.judging, trace_id);
    for finding in &review.verdict.findings {
        metrics.found(FindingLabels {
            policy: clean(&finding.policy, MAX_NAME),
            rule: clean(&finding.rule, MAX_NAME),
            kind: finding.kind.as_str(),
        });
    }
    for unresolved in review.facts.iter().filter_map(|fact| fact.image.as_ref()?.as_ref().err()) {
        metrics.unresolved(unresolved.kind.as_str());
    }
}

/// The images that were looked at, by their normalised names: the digest of what the reference points at, where that
/// came from, and for how long the registry has not been asked about it.
fn images(review: &Review) -> Value {
    let images: BTreeMap<String, Value> = review
        .facts
        .iter()
        .filter_map(|fact| fact.image.as_ref()?.as_ref().ok())
        .map(|image: &std::sync::Arc<ResolvedImage>| {
            let mut told = json!({ "digest": image.digest.to_string(), "from": image.freshness.as_str() });
            if let Some(age) = image.freshness.age() {
                told["age_s"] = age.as_secs().into();
            }
            (clean(&image.reference.to_string(), MAX_MESSAGE), told)
        })
        .take(MAX_ITEMS)
        .collect();
    json!(images)
}

fn findings<'a>(all: impl ExactSizeIterator<Item = &'a Finding>) -> Value {
    let number = all.len();
    let mut list: Vec<Value> = all
        .take(MAX_ITEMS)
        .map(|finding| {
            json!({
                "policy": clean(&finding.policy, MAX_NAME),
                "rule": clean(&finding.rule, MAX_NAME),
                "kind": finding.kind.as_str(),
                "action": finding.enforcement.as_str(),
                "container": clean(&finding.container, MAX_NAME),
                "message": clean(&finding.message, MAX_MESSAGE),
            })
        })
        .collect();
    if number > MAX_ITEMS {
        list.push(json!({ "more": number - MAX_ITEMS }));
    }
    Value::Array(list)
}

/// What exceptions let pass, and their names; none if nothing.
fn excepted(review: &Review) -> Option<String> {
    let all = &review.verdict.excepted;
    let exceptions: BTreeSet<&str> = all.iter().map(|one| one.exception.as_str()).take(MAX_ITEMS).collect();
    (!all.is_empty()).then(|| {
        json!({ "by": exceptions, "findings": findings(all.iter().map(|one| &one.finding)) }).to_string()
    })
}

fn milliseconds(time: Duration) -> f64 {
    // Whole microseconds: more digits would be noise.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn verdict(outcome: &Outcome<'_>) -> &'static str {
    if outcome.review.is_none() && outcome.answer.allowed {
        "unjudged"
    } else {
        decision(outcome.answer.decision)
    }
}

fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Warn => "warn",
        Decision::Deny => "deny",
    }
}

fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    }
}

#[cfg(test)]
mod tests;
