//! One review, one log line, and metrics.
//!
//! The line (docs/decision-log.md) has a constant message and target, and dotted fields. WARN when the glass
//! was broken; INFO when anything was found or excepted, and for a sample of the plain admits; DEBUG for the
//! other admits. What is structured is JSON in one field each (see [`super::log`], which writes it as
//! structure). Values are cleaned and bounded, so that the whole line stays within [`MAX_LINE`].

mod line;

use super::{
    metrics::{FindingLabels, Metrics, ReviewLabels, Stage},
    sample::Sample,
};
use crate::{
    admission::{Answer, Mode, Operation, Request},
    policy::{Decision, Enforcement},
    review::Review,
};
use line::{MAX_NAME, MAX_USER, short};
use std::time::Duration;

/// The version of the line: it changes when a field goes or means something else, not when one comes.
const LOG_VERSION: u64 = 1;
/// Bytes of a whole line: container runtimes split longer ones.
#[cfg(test)]
const MAX_LINE: usize = 16 * 1024;

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
    /// Time spent on receiving and reading the request.
    pub reading: Duration,
    /// From the request's head to its answer.
    pub elapsed: Duration,
}

/// Turns a review into its log line and its metrics; `sample` chooses among the plain admits.
pub fn record(metrics: &Metrics, sample: Sample, outcome: &Outcome<'_>) {
    count(metrics, outcome);
    let Outcome { request, review, answer, mode, .. } = *outcome;
    let is_plain = is_plain(outcome);
    // The macro's level must be constant.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: super::DECISION,
                log_version = LOG_VERSION,
                request.uid = short(&request.uid, MAX_NAME),
                request.namespace = request.namespace.as_deref().map(|name| short(name, MAX_NAME)),
                request.kind = short(&request.kind, MAX_NAME),
                request.name = short(&request.name, MAX_NAME),
                request.owner = line::owner(request),
                request.operation = operation(request.operation),
                request.sub_resource = line::sub_resource(request),
                request.user = short(&request.user, MAX_USER),
                request.dry_run = request.dry_run,
                verdict = verdict(outcome),
                would_be = answer.would_be.as_str(),
                if_enforced = answer.if_enforced.as_str(),
                mode = mode.as_str(),
                code = answer.code,
                unjudged = request.workload.as_ref().err().copied(),
                sampled = is_plain.then(|| sample.share()),
                images = review.map(|review| line::images(&review.facts).to_string()),
                findings = review.map(|review| line::findings(&review.verdict.findings).to_string()),
                excepted = review.and_then(|review| line::excepted(&review.verdict.excepted)),
                reading_ms = milliseconds(outcome.reading),
                resolving_ms = review.map(|review| milliseconds(review.resolving)),
                judging_ms = review.map(|review| milliseconds(review.judging)),
                duration_ms = milliseconds(outcome.elapsed),
                "review"
            )
        };
    }
    if mode == Mode::BreakGlass {
        line!(warn);
    } else if is_plain && !sample.keeps(&request.uid) {
        line!(debug);
    } else {
        line!(info);
    }
}

/// Whether there is nothing to tell: admitted, with nothing found and nothing excepted.
fn is_plain(outcome: &Outcome<'_>) -> bool {
    let verdict = outcome.review.map(|review| &review.verdict);
    outcome.answer.would_be == Decision::Allow
        && verdict.is_none_or(|verdict| verdict.findings.is_empty() && verdict.excepted.is_empty())
}

fn count(metrics: &Metrics, outcome: &Outcome<'_>) {
    metrics.reviewed(&ReviewLabels {
        verdict: verdict(outcome),
        would_be: outcome.answer.would_be.as_str(),
        mode: outcome.mode.as_str(),
        operation: operation(outcome.request.operation),
        code: outcome.answer.code,
        if_enforced: outcome.answer.if_enforced.as_str(),
    });
    metrics.took(Stage::Total, outcome.elapsed);
    metrics.took(Stage::Reading, outcome.reading);
    let Some(review) = outcome.review else { return };
    metrics.took(Stage::Resolving, review.resolving);
    metrics.took(Stage::Judging, review.judging);
    for finding in &review.verdict.findings {
        metrics.found(FindingLabels {
            policy: short(&finding.policy, MAX_NAME),
            rule: short(&finding.rule, MAX_NAME),
            kind: finding.kind.as_str(),
            action: action(finding.enforcement),
        });
    }
    for image in review.facts.iter().filter_map(|fact| fact.image.as_ref()) {
        match image {
            Ok(image) => metrics.resolved(image.freshness.as_str()),
            Err(unresolved) => metrics.unresolved(unresolved.kind.as_str()),
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    // Whole microseconds: more digits would be noise.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn verdict(outcome: &Outcome<'_>) -> &'static str {
    if outcome.review.is_none() && outcome.answer.allowed {
        "unjudged"
    } else {
        outcome.answer.decision.as_str()
    }
}

/// What follows from a finding, by the name that `validationActions` has for it.
fn action(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Deny => "deny",
        Enforcement::Warn => "warn",
        Enforcement::Record => "audit",
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
