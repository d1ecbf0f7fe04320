//! Policies held against a subject.
//!
//! Each image is laid out once ([`Look`]); then each policy judges each use that it selects. Findings
//! that are the same on several platforms become one finding that names them.

use super::{
    Enforcement, Excepted, Fact, Finding, FindingKind, PolicySet, Subject, Unmatched, Verdict,
    cel::Evaluation,
    compile::Policy,
    exception::Exception,
    expressions::{Condition, Invalid},
    message::sentence,
    rules::{ReferenceRule, Seen, Violation},
};
use crate::{
    api::v1alpha1::{OnResolutionFailure, ValidationAction},
    image::{Platform, Unresolved, UnresolvedKind},
    text::{clean, cut_bytes},
    workload::{ImageUse, UseKind},
};
use std::collections::BTreeMap;

/// The rule that a finding on an unresolved image names.
const RESOLUTION: &str = "resolution";
/// The policy and the rule that a finding on an image that no policy matches names.
const UNMATCHED: (&str, &str) = ("hullmark", "unmatched");
/// The rule that a finding on a match condition names.
const MATCH_CONDITIONS: &str = "matchConditions";
/// Bytes of an audit annotation's value, as ValidatingAdmissionPolicy has it.
const MAX_ANNOTATION: usize = 10 * 1024;
/// Characters of a detail in a message.
const MAX_DETAIL: usize = 150;

/// One use, and what is known of its image.
struct Look<'a> {
    usage: &'a ImageUse,
    /// Each platform of the image, or why there is none.
    image: Result<Vec<Seen<'a>>, Unresolved>,
}

/// What is found on one use, before it is a finding.
#[derive(PartialEq)]
struct Found {
    rule: String,
    kind: FindingKind,
    what: String,
    wanted: String,
    /// What the message says after the image.
    rest: String,
}

/// What is found on one use, with the platforms that each holds for.
#[derive(Default)]
struct FoundOn(Vec<(Found, Vec<Platform>)>);

/// Values of audit annotations by key, each once.
type Annotations = BTreeMap<String, Vec<String>>;

pub(super) fn evaluate(set: &PolicySet, subject: &Subject<'_>) -> Verdict {
    let looks: Vec<Look<'_>> = subject.facts.iter().map(|fact| Look::at(subject, fact)).collect();
    let mut verdict = Verdict::default();
    let mut annotations = Annotations::new();
    let mut matched = vec![false; looks.len()];
    for policy in &set.policies {
        policy.judge(subject, &looks, &mut matched, &mut verdict, &mut annotations);
    }
    let unmatched = looks.iter().zip(matched).filter(|(_, matched)| !matched).map(|(look, _)| look.usage);
    verdict.findings.extend(unmatched.filter_map(|usage| unmatched_image(usage, set.defaults.unmatched)));
    except(set, subject, &mut verdict);
    verdict.findings.sort_by_key(|finding| finding.enforcement);
    verdict.audit_annotations = annotations
        .into_iter()
        .map(|(key, values)| (key, cut_bytes(values.join(", "), MAX_ANNOTATION)))
        .collect();
    verdict
}

/// What the operator wants of an image that no policy matches.
fn unmatched_image(usage: &ImageUse, unmatched: Unmatched) -> Option<Finding> {
    let enforcement = match unmatched {
        Unmatched::Allow => return None,
        Unmatched::Warn => Enforcement::Warn,
        Unmatched::Deny => Enforcement::Deny,
    };
    let wanted = "a policy for it: ask whoever runs the policies of this cluster";
    Some(Finding {
        policy: UNMATCHED.0.to_owned(),
        rule: UNMATCHED.1.to_owned(),
        kind: FindingKind::Violation,
        enforcement,
        audit: false,
        use_kind: usage.kind,
        container: usage.name.clone(),
        field_path: usage.field_path.clone(),
        image: usage.image.clone(),
        platforms: Vec::new(),
        message: sentence(usage, &[], &format!(" is matched by no policy; wanted {wanted}")),
        found: "matched by no policy".to_owned(),
        wanted: wanted.to_owned(),
    })
}

/// Takes out what exceptions let pass.
fn except(set: &PolicySet, subject: &Subject<'_>, verdict: &mut Verdict) {
    let holding: Vec<&Exception> =
        set.exceptions.iter().filter(|exception| set.counts(exception) && exception.holds(subject)).collect();
    if holding.is_empty() {
        return;
    }
    for finding in std::mem::take(&mut verdict.findings) {
        let usage =
            subject.facts.iter().map(|fact| &fact.usage).find(|usage| usage.field_path == finding.field_path);
        let covers = |exception: &&&Exception| usage.is_some_and(|usage| exception.covers(&finding, usage));
        match holding.iter().find(covers) {
            Some(exception) => {
                verdict.excepted.push(Excepted { exception: exception.name.clone(), finding });
            }
            None => verdict.findings.push(finding),
        }
    }
}

impl<'a> Look<'a> {
    fn at(subject: &'a Subject<'_>, fact: &'a Fact) -> Self {
        let usage = &fact.usage;
        let unresolved = |kind, detail: String| Unresolved { kind, host: None, status: None, detail };
        let image = match (&usage.reference, &fact.image) {
            (_, Some(Err(why))) => Err(why.clone()),
            (Err(invalid), _) => Err(unresolved(UnresolvedKind::InvalidReference, invalid.to_string())),
            // Rules are judged on platforms: without one, none would speak.
            (Ok(_), Some(Ok(image))) if image.platforms.is_empty() => Err(unresolved(
                UnresolvedKind::NoMatchingPlatform,
                "no platform of it was looked at".to_owned(),
            )),
            (Ok(_), Some(Ok(image))) => Ok(image
                .platforms
                .iter()
                .map(|platform| Seen::new(subject.workload, usage, image, platform, subject.now))
                .collect()),
            // Whoever asks must look at what a policy needs; what was not looked at is not waved through.
            (Ok(_), None) => {
                Err(unresolved(UnresolvedKind::Misconfigured, "nobody looked at the image".to_owned()))
            }
        };
        Self { usage, image }
    }
}

impl Policy {
    /// Whether a use of this kind can only be judged with its image.
    pub(super) fn needs_image(&self, kind: UseKind) -> bool {
        self.rules.for_use(kind).next().is_some() || self.expressions.need_image()
    }

    /// Whether anything of this policy is for a use of this kind.
    fn checks(&self, kind: UseKind) -> bool {
        self.rules.reference.is_some() || !self.expressions.is_empty() || self.needs_image(kind)
    }

    fn judge(
        &self,
        subject: &Subject<'_>,
        looks: &[Look<'_>],
        matched: &mut [bool],
        verdict: &mut Verdict,
        annotations: &mut Annotations,
    ) {
        let selected: Vec<(usize, &Look<'_>)> =
            looks.iter().enumerate().filter(|(_, look)| self.selector.selects_use(look.usage)).collect();
        let Some((_, first)) = selected.first() else { return };
        if !self.selector.selects(subject) {
            return;
        }
        match self.expressions.match_conditions(subject) {
            Condition::Holds => {}
            Condition::Fails => return,
            Condition::Error(why) => {
                for (at, _) in &selected {
                    matched[*at] = true;
                }
                verdict.policies.push(self.name.clone());
                verdict.findings.push(self.finding(first.usage, Found::condition(&why), Vec::new()));
                return;
            }
        }
        verdict.policies.push(self.name.clone());
        for (at, look) in selected {
            matched[at] = true;
            let found = self.judge_use(subject, look, annotations);
            let findings =
                found.0.into_iter().map(|(found, platforms)| self.finding(look.usage, found, platforms));
            verdict.findings.extend(findings);
        }
    }

    fn judge_use(&self, subject: &Subject<'_>, look: &Look<'_>, annotations: &mut Annotations) -> FoundOn {
        let mut found = FoundOn::default();
        let kind = look.usage.kind;
        if let Err(why) = &look.image {
            let is_needed =
                if look.usage.reference.is_err() { self.checks(kind) } else { self.needs_image(kind) };
            if is_needed {
                found.add(Found::unresolved(why), None);
            }
        }
        if let (Some(rule), Ok(reference)) = (&self.rules.reference, &look.usage.reference) {
            for violation in rule.judge(reference) {
                found.add(Found::violation(ReferenceRule::NAME, violation), None);
            }
        }
        let seen = look.image.as_deref().unwrap_or_default();
        for rule in self.rules.for_use(kind) {
            let judged = if rule.is_per_platform() { seen } else { &seen[..seen.len().min(1)] };
            for one in judged {
                let platform = one.platform.platform.as_ref().filter(|_| rule.is_per_platform());
                for violation in rule.judge(one) {
                    found.add(Found::violation(rule.name(), violation), platform);
                }
            }
        }
        self.judge_expressions(subject, look, seen, &mut found, annotations);
        found
    }

    fn judge_expressions(
        &self,
        subject: &Subject<'_>,
        look: &Look<'_>,
        seen: &[Seen<'_>],
        found: &mut FoundOn,
        annotations: &mut Annotations,
    ) {
        let expressions = &self.expressions;
        if expressions.is_empty() {
            return;
        }
        let without = [(None, Evaluation::validations(subject, look.usage, None, &expressions.variables))];
        let with: Vec<(Option<&Platform>, Evaluation<'_>)> = seen
            .iter()
            .map(|one| {
                let image = Some((one.image, one.platform, &one.effective));
                let evaluation = Evaluation::validations(subject, look.usage, image, &expressions.variables);
                (one.platform.platform.as_ref(), evaluation)
            })
            .collect();
        let places = |needs_image: bool| if needs_image { with.as_slice() } else { without.as_slice() };
        for validation in &expressions.validations {
            for (platform, evaluation) in places(validation.needs_image()) {
                let invalid = validation.judge(evaluation);
                // That a reference cannot be read was said already; the expression failed of it.
                let is_said = matches!(invalid, Some(Invalid::Error(_))) && look.usage.reference.is_err();
                if let Some(invalid) = invalid.filter(|_| !is_said) {
                    found.add(Found::invalid(&validation.rule, validation.source(), invalid), *platform);
                }
            }
        }
        for annotation in &expressions.annotations {
            for (platform, evaluation) in places(annotation.expression.needs_image()) {
                match evaluation.string(&annotation.expression) {
                    Ok(Some(value)) if !value.is_empty() => {
                        let values = annotations.entry(annotation.key.clone()).or_default();
                        if !values.contains(&value) {
                            values.push(value);
                        }
                    }
                    Ok(_) => {}
                    Err(why) => found.add(Found::error(&annotation.rule, String::new(), &why), *platform),
                }
            }
        }
    }

    fn finding(&self, usage: &ImageUse, found: Found, platforms: Vec<Platform>) -> Finding {
        let enforcement = match found.kind {
            FindingKind::Unresolved(_) => self.on_unresolved(),
            FindingKind::Violation | FindingKind::EvaluationError => self.on_violation(),
        };
        Finding {
            policy: self.name.clone(),
            rule: found.rule,
            kind: found.kind,
            enforcement,
            audit: self.actions.contains(&ValidationAction::Audit),
            use_kind: usage.kind,
            container: usage.name.clone(),
            field_path: usage.field_path.clone(),
            image: usage.image.clone(),
            message: sentence(usage, &platforms, &found.rest),
            platforms,
            found: found.what,
            wanted: found.wanted,
        }
    }

    fn on_violation(&self) -> Enforcement {
        if self.actions.contains(&ValidationAction::Deny) {
            Enforcement::Deny
        } else if self.actions.contains(&ValidationAction::Warn) {
            Enforcement::Warn
        } else {
            Enforcement::Record
        }
    }

    /// What `onResolutionFailure` says, but never stricter than what a violation would do.
    fn on_unresolved(&self) -> Enforcement {
        let own = match self.on_resolution_failure {
            OnResolutionFailure::Deny => Enforcement::Deny,
            OnResolutionFailure::Warn => Enforcement::Warn,
            OnResolutionFailure::Allow => Enforcement::Record,
        };
        own.max(self.on_violation())
    }
}

impl Found {
    fn violation(rule: &str, violation: Violation) -> Self {
        let rest = format!(" {}; wanted {}", violation.found, violation.wanted);
        let Violation { found, wanted } = violation;
        Self { rule: rule.to_owned(), kind: FindingKind::Violation, what: found, wanted, rest }
    }

    fn unresolved(why: &Unresolved) -> Self {
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

    fn invalid(rule: &str, source: String, invalid: Invalid) -> Self {
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

    fn error(rule: &str, wanted: String, why: &str) -> Self {
        let found = format!("{rule} could not be evaluated: {}", clean(why, MAX_DETAIL));
        Self {
            rule: rule.to_owned(),
            kind: FindingKind::EvaluationError,
            rest: format!(": {found}"),
            what: found,
            wanted,
        }
    }

    fn condition(why: &str) -> Self {
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
    fn add(&mut self, found: Found, platform: Option<&Platform>) {
        let platform = platform.cloned();
        match self.0.iter_mut().find(|(other, _)| *other == found) {
            Some((_, platforms)) => {
                platforms.extend(platform.filter(|platform| !platforms.contains(platform)));
            }
            None => self.0.push((found, platform.into_iter().collect())),
        }
    }
}

#[cfg(test)]
mod tests;
