//! Audit annotations: what the API server's audit log keeps of a decision.
//!
//! The API server puts the webhook's name and a slash before each key, and drops a key that is then
//! no qualified name. It does not bound the values, so we do.

use super::{Decision, Fact, FindingKind, Mode, Verdict};
use crate::{
    policy::{Enforcement, Finding, RESERVED_ANNOTATIONS},
    text::{clean, cut_bytes},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Bytes of one value, as `ValidatingAdmissionPolicy` has it.
const MAX_VALUE: usize = 10 * 1024;
/// Characters of a key.
const MAX_KEY: usize = 63;
/// Characters of a request's uid: a UUID has 36.
const MAX_UID: usize = 253;

/// What was decided of a request, and what would be if it were stricter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome<'a> {
    pub(super) uid: &'a str,
    pub(super) decision: Decision,
    pub(super) would_be: Decision,
    pub(super) if_enforced: Decision,
    pub(super) mode: Mode,
}

pub(super) fn of_verdict(
    outcome: Outcome<'_>,
    verdict: &Verdict,
    facts: &[Fact],
) -> BTreeMap<String, String> {
    let mut annotations = outcome.annotations();
    for (key, value) in &verdict.audit_annotations {
        if is_legal(key) && !RESERVED_ANNOTATIONS.contains(&key.as_str()) {
            annotations.insert(key.clone(), cut_bytes(clean(value, MAX_VALUE), MAX_VALUE));
        }
    }
    if !verdict.findings.is_empty() {
        let findings = verdict.findings.iter().map(finding);
        annotations.insert("violations".to_owned(), bounded_list(findings, verdict.findings.len()));
    }
    if !verdict.excepted.is_empty() {
        let excepted = verdict.excepted.iter().map(|one| {
            let mut value = finding(&one.finding);
            value["exception"] = json!(one.exception);
            value
        });
        annotations.insert("excepted".to_owned(), bounded_list(excepted, verdict.excepted.len()));
    }
    let images: Vec<Value> = facts.iter().filter_map(image).collect();
    if !images.is_empty() {
        let total = images.len();
        annotations.insert("images".to_owned(), bounded_list(images.into_iter(), total));
    }
    annotations
}

pub(super) fn of_unjudged(outcome: Outcome<'_>, reason: &str) -> BTreeMap<String, String> {
    let mut annotations = outcome.annotations();
    annotations.insert("not-judged".to_owned(), clean(reason, 200));
    annotations
}

pub(super) fn of_failure(outcome: Outcome<'_>, detail: &str) -> BTreeMap<String, String> {
    let mut annotations = outcome.annotations();
    annotations.insert("failure".to_owned(), clean(detail, 1000));
    annotations
}

/// `[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?`, at most 63: the name part of a qualified name.
pub(super) fn is_legal(key: &str) -> bool {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    key.len() <= MAX_KEY
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && end(key.chars().next())
        && end(key.chars().next_back())
}

impl Outcome<'_> {
    /// The uid leads from the audit log, which does not have it, to our line.
    fn annotations(self) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::from([
            ("verdict".to_owned(), self.decision.as_str().to_owned()),
            ("request-uid".to_owned(), clean(self.uid, MAX_UID)),
        ]);
        if self.mode != Mode::Enforce {
            annotations.insert("mode".to_owned(), self.mode.as_str().to_owned());
            annotations.insert("would-be".to_owned(), self.would_be.as_str().to_owned());
        }
        if self.if_enforced != self.would_be {
            annotations.insert("if-enforced".to_owned(), self.if_enforced.as_str().to_owned());
        }
        annotations
    }
}

fn finding(finding: &Finding) -> Value {
    let kind = match finding.kind {
        FindingKind::Violation => "Violation",
        FindingKind::Unresolved(kind) => kind.as_str(),
        FindingKind::Stale(_) => "Stale",
        FindingKind::EvaluationError => "EvaluationError",
    };
    let action = match finding.enforcement {
        Enforcement::Deny => "Deny",
        Enforcement::Warn => "Warn",
        Enforcement::Record => "Audit",
    };
    json!({
        "policy": finding.policy,
        "rule": finding.rule,
        "kind": kind,
        "action": action,
        "field": finding.field_path,
        "image": clean(&finding.image, 512),
        "message": clean(&finding.message, 1000),
    })
}

/// Which bytes a name stood for when it was judged; none where the image was not looked at.
fn image(fact: &Fact) -> Option<Value> {
    let image = fact.image.as_ref()?.as_ref().ok()?;
    Some(json!({ "image": clean(&fact.usage.image, 512), "digest": image.digest.to_string() }))
}

/// As many items as fit into a JSON list of [`MAX_VALUE`] bytes, then how many are missing.
fn bounded_list(items: impl Iterator<Item = Value>, total: usize) -> String {
    let omitted = |n: usize| json!({ "omitted": n }).to_string();
    let mut list = String::from("[");
    for (i, item) in items.enumerate() {
        let item = item.to_string();
        let separator = if i == 0 { "" } else { "," };
        let room = omitted(total).len() + ",]".len();
        if list.len() + separator.len() + item.len() + room > MAX_VALUE {
            list.extend([separator, &omitted(total - i)]);
            break;
        }
        list.extend([separator, &item]);
    }
    list.push(']');
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_keys() {
        let longest = "a".repeat(63);
        let longer = "a".repeat(64);
        for (key, legal) in [
            ("a", true),
            ("image-team", true),
            ("A.b_c-9", true),
            (longest.as_str(), true),
            (longer.as_str(), false),
            ("", false),
            ("-a", false),
            ("a-", false),
            (".a", false),
            ("a/b", false),
            ("a b", false),
            ("é", false),
            ("a\n", false),
        ] {
            assert_eq!(is_legal(key), legal, "{key:?}");
        }
    }
}
