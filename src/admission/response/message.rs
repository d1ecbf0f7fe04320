//! What people read: the refusal's message and the warnings.

use super::{FindingKind, Remark, Request};
use crate::text::{clean, count, cut_bytes};
use std::collections::{BTreeSet, HashSet};

/// Bytes of the whole refusal. It ends up in Events (1 KiB of it) and in terminals.
const MAX_REFUSAL: usize = 4096;
/// Characters of one finding in a refusal.
const MAX_LINE: usize = 1000;
/// Characters of a warning. The API server cuts each at 256 once all of them exceed 4096, which ours do not
/// by themselves; what is said last is what to do, so it should not be cut.
const MAX_WARNING: usize = 500;
/// Warnings, beside the one that counts the rest.
const MAX_WARNINGS: usize = 5;

/// A remark on one line with the policy and the rule at its end, in at most `max` characters.
pub(super) fn remark(remark: &Remark<'_>, max: usize) -> String {
    with_suffix(&remark.finding.message, &source(remark), max)
}

/// What is wrong with what, first in one line, then a line for each finding; a single finding goes
/// on the first line.
pub(super) fn refusal(request: &Request, denials: &[Remark<'_>]) -> String {
    let subject = subject(request);
    if let [only] = denials {
        return cut_bytes(format!("{subject}: {}", remark(only, MAX_LINE)), MAX_REFUSAL);
    }
    let mut text = format!("{subject} has {}:", summary(denials));
    for (i, denial) in denials.iter().enumerate() {
        let line = format!("\n- {}", remark(denial, MAX_LINE));
        let rest = format!("\n- … and {} more", denials.len() - i);
        if text.len() + line.len() + rest.len() > MAX_REFUSAL {
            text.push_str(&rest);
            break;
        }
        text.push_str(&line);
    }
    text
}

/// How many of what: an image that could not be looked at never counts as a violation.
fn summary(denials: &[Remark<'_>]) -> String {
    let (mut violations, mut errors, mut unresolved) = (0, 0, BTreeSet::new());
    for Remark { finding, .. } in denials {
        match finding.kind {
            FindingKind::Violation => violations += 1,
            FindingKind::EvaluationError => errors += 1,
            // Policies may read one failure in different words, such as a wait for a rate limit.
            FindingKind::Unresolved(_) | FindingKind::Stale(_) => {
                _ = unresolved.insert(finding.field_path.as_str());
            }
        }
    }
    let parts = [
        (violations, count(violations, "violation")),
        (unresolved.len(), format!("{} that could not be checked", count(unresolved.len(), "image"))),
        (errors, format!("{} that failed", count(errors, "expression"))),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|(n, _)| *n > 0).map(|(_, part)| part).collect();
    parts.join(", ")
}

/// Warnings within the API server's limits: first the denials that are not carried out, with the words
/// that say so.
pub(super) fn warnings(instead: &str, denials: &[Remark<'_>], warns: &[Remark<'_>]) -> Vec<String> {
    let refused = denials
        .iter()
        .map(|r| with_suffix(&format!("{instead}: {}", r.finding.message), &source(r), MAX_WARNING));
    let mut all: Vec<String> = refused.chain(warns.iter().map(|r| remark(r, MAX_WARNING))).collect();
    // The API server drops exact duplicates; ours must not take the place of others.
    let mut seen = HashSet::new();
    all.retain(|warning| seen.insert(warning.clone()));
    let more = all.len().saturating_sub(MAX_WARNINGS);
    if more > 0 {
        all.truncate(MAX_WARNINGS);
        all.push(format!("… and {}", count(more, "more warning")));
    }
    all
}

/// One warning of ours.
pub(super) fn one_warning(text: &str, suffix: &str) -> String {
    with_suffix(text, suffix, MAX_WARNING)
}

/// Why a request was not judged although it should have been.
pub(super) fn failure(request: &Request, detail: &str) -> String {
    let detail = clean(detail, MAX_LINE);
    format!("{} was not judged: hullmark failed ({detail}); try again, and see its log", subject(request))
}

/// `Pod shop/web`, `Deployment shop/web`, `Pod in shop` where it has no name yet.
fn subject(request: &Request) -> String {
    let subject = match (&request.namespace, request.name.as_str()) {
        (Some(namespace), "") => format!("{} in {namespace}", request.kind),
        (Some(namespace), name) => format!("{} {namespace}/{name}", request.kind),
        (None, "") => request.kind.clone(),
        (None, name) => format!("{} {name}", request.kind),
    };
    clean(&subject, 400)
}

fn source(remark: &Remark<'_>) -> String {
    format!(" [{}]", remark.source())
}

/// The suffix stays whole where it can: it says which policy to look at.
fn with_suffix(text: &str, suffix: &str, max: usize) -> String {
    let suffix = clean(suffix, max / 2);
    format!("{}{suffix}", clean(text, max - suffix.chars().count()))
}
