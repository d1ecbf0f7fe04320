//! What is said once although several policies found it.

use super::Finding;
use std::collections::HashMap;

/// One sentence about one place, and the findings that say it: an image that could not be looked at
/// is a finding of every policy that asked for it.
#[derive(Clone, Debug)]
pub struct Remark<'a> {
    /// The first finding that says it; the others differ in the policy only.
    pub finding: &'a Finding,
    policies: Vec<&'a str>,
}

impl<'a> Remark<'a> {
    /// The remarks of `findings`, in the order of the first finding of each.
    pub fn all(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Self> {
        let mut remarks: Vec<Self> = Vec::new();
        // By place and text, not by a search for each finding: there may be thousands.
        let mut said: HashMap<_, Vec<usize>> = HashMap::new();
        for finding in findings {
            let alike = said.entry((&finding.field_path, &finding.message)).or_default();
            match alike.iter().find(|at| remarks[**at].is_said_by(finding)) {
                Some(at) if remarks[*at].policies.contains(&finding.policy.as_str()) => {}
                Some(at) => remarks[*at].policies.push(&finding.policy),
                None => {
                    alike.push(remarks.len());
                    remarks.push(Self { finding, policies: vec![&finding.policy] });
                }
            }
        }
        remarks
    }

    fn is_said_by(&self, finding: &Finding) -> bool {
        let first = self.finding;
        first.message == finding.message
            && first.field_path == finding.field_path
            && first.kind == finding.kind
            && first.rule == finding.rule
            && first.enforcement == finding.enforcement
    }

    /// Where to look: `policy non-root, user`, `policies non-root and owned, resolution`.
    #[must_use]
    pub fn source(&self) -> String {
        let rule = &self.finding.rule;
        match self.policies.as_slice() {
            [] | [_] => format!("policy {}, {rule}", self.finding.policy),
            [first @ .., last] => format!("policies {} and {last}, {rule}", first.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        image::UnresolvedKind,
        policy::{Enforcement, FindingKind, fixtures},
    };

    fn finding(policy: &str, rule: &str, message: &str) -> Finding {
        Finding {
            policy: policy.to_owned(),
            rule: rule.to_owned(),
            kind: FindingKind::Unresolved(UnresolvedKind::NotFound),
            message: message.to_owned(),
            ..fixtures::finding()
        }
    }

    #[test]
    fn the_same_sentence_is_said_once() {
        let elsewhere =
            Finding { field_path: "spec.containers[1].image".to_owned(), ..finding("a", "r", "gone") };
        let weaker = Finding { enforcement: Enforcement::Warn, ..finding("d", "r", "gone") };
        let found = [
            finding("a", "r", "gone"),
            finding("b", "r", "gone"),
            elsewhere,
            finding("c", "r", "gone"),
            weaker,
        ];
        let sources: Vec<String> = Remark::all(&found).iter().map(Remark::source).collect();
        assert_eq!(sources, ["policies a, b and c, r", "policy a, r", "policy d, r"]);
    }

    #[test]
    fn other_sentences_and_other_rules_stay_apart() {
        let found = [finding("a", "user", "x"), finding("a", "labels", "x"), finding("a", "user", "y")];
        assert_eq!(Remark::all(&found).len(), 3);
        assert!(Remark::all(&[]).is_empty());
    }
}
