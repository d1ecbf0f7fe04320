//! What is found on one use of an image, before it is a finding of a policy.

use super::super::{FindingKind, expressions::Invalid, rules::Violation};
use crate::{
    image::{Platform, Unresolved},
    text::clean,
};
use std::time::Duration;

/// The rule that a finding on an unresolved image names.
const RESOLUTION: &str = "resolution";
/// The rule that a finding on a match condition names.
const MATCH_CONDITIONS: &str = "matchConditions";
/// The rule that a finding on missing parameters names.
const PARAM_REF: &str = "paramRef";
/// Characters of a detail in a message.
const MAX_DETAIL: usize = 150;

/// What is found on one use, before it is a finding.
#[derive(PartialEq)]
pub(super) struct Found {
    pub(super) rule: String,
    pub(super) kind: FindingKind,
    pub(super) what: String,
    pub(super) wanted: String,
    /// What the message says after the image.
    pub(super) rest: String,
}

/// What is found on one use, with the platforms that each holds for.
#[derive(Default)]
pub(super) struct FoundOn(pub(super) Vec<(Found, Vec<Platform>)>);

impl Found {
    pub(super) fn violation(rule: &str, violation: Violation) -> Self {
        let rest = format!(" {}; wanted {}", violation.found, violation.wanted);
        let Violation { found, wanted } = violation;
        Self { rule: rule.to_owned(), kind: FindingKind::Violation, what: found, wanted, rest }
    }

    pub(super) fn unresolved(why: &Unresolved) -> Self {
        let detail = clean(why.detail.trim_end_matches('.'), MAX_DETAIL);
        let next = why.kind.next_step();
        Self {
            rule: RESOLUTION.to_owned(),
            kind: FindingKind::Unresolved(why.kind),
            rest: format!(" could not be checked: {detail}; {next}"),
            what: format!("could not be checked: {detail}"),
            wanted: next.to_owned(),
        }
    }

    pub(super) fn stale(why: &Unresolved, age: Duration) -> Self {
        let detail = clean(why.detail.trim_end_matches('.'), MAX_DETAIL);
        let what = format!("was judged by what was known {} s ago: {detail}", age.as_secs());
        Self {
            rule: RESOLUTION.to_owned(),
            kind: FindingKind::Stale(why.kind),
            rest: format!(" {what}"),
            what,
            wanted: "a registry that can be asked".to_owned(),
        }
    }

    pub(super) fn invalid(rule: &str, source: String, invalid: Invalid) -> Self {
        match invalid {
            Invalid::False(text) => Self {
                rule: rule.to_owned(),
                kind: FindingKind::Violation,
                rest: format!(": {text}"),
                what: text,
                wanted: source,
            },
            Invalid::Error(why) => Self::error(rule, source, &why),
        }
    }

    pub(super) fn error(rule: &str, wanted: String, why: &str) -> Self {
        let found = format!("{rule} could not be evaluated: {}", clean(why, MAX_DETAIL));
        Self {
            rule: rule.to_owned(),
            kind: FindingKind::EvaluationError,
            rest: format!(": {found}"),
            what: found,
            wanted,
        }
    }

    pub(super) fn missing(what: &str) -> Self {
        Self {
            rule: PARAM_REF.to_owned(),
            kind: FindingKind::EvaluationError,
            rest: format!(": the policy cannot be judged: {what}"),
            what: what.to_owned(),
            wanted: "the object that paramRef names".to_owned(),
        }
    }

    pub(super) fn condition(why: &str) -> Self {
        let found = clean(why, 2 * MAX_DETAIL);
        Self {
            rule: MATCH_CONDITIONS.to_owned(),
            kind: FindingKind::EvaluationError,
            rest: format!(": {found}"),
            what: found,
            wanted: "match conditions that are true or false".to_owned(),
        }
    }
}

impl FoundOn {
    pub(super) fn add(&mut self, found: Found, platform: Option<&Platform>) {
        let platform = platform.cloned();
        match self.0.iter_mut().find(|(other, _)| *other == found) {
            Some((_, platforms)) => {
                platforms.extend(platform.filter(|platform| !platforms.contains(platform)));
            }
            None => self.0.push((found, platform.into_iter().collect())),
        }
    }
}
