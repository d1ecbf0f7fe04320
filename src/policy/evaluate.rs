//! Policies held against a subject.
//!
//! Each image is laid out once ([`Look`]); then each policy judges each use that it selects. Findings
//! that are the same on several platforms become one finding that names them.

mod found;

use super::{
    Enforcement, Excepted, Fact, Finding, FindingKind, PolicySet, Subject, Unmatched, Verdict,
    cel::Evaluation,
    compile::Policy,
    exception::Exception,
    expressions::{Condition, Invalid},
    message::sentence,
    parameters::{Parameters, Selected},
    rules::{ReferenceRule, Seen},
    selector::namespace_name,
};
use crate::{
    api::v1alpha1::{OnResolutionFailure, ValidationAction},
    image::{Freshness, Platform, Unresolved, UnresolvedKind},
    text::cut_bytes,
    workload::{ImageUse, UseKind},
};
use found::{Found, FoundOn};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// The policy and the rule that a finding on an image that no policy matches names.
const UNMATCHED: (&str, &str) = ("hullmark", "unmatched");
/// Bytes of an audit annotation's value, as ValidatingAdmissionPolicy has it.
const MAX_ANNOTATION: usize = 10 * 1024;

/// One use, and what is known of its image.
struct Look<'a> {
    usage: &'a ImageUse,
    /// Each platform of the image, or why there is none.
    image: Result<Vec<Seen<'a>>, Unresolved>,
    /// For how long nobody has asked the registry, and why it could not be asked now: the image is what was known.
    stale: Option<(Duration, &'a Unresolved)>,
}

/// Values of audit annotations by key, each once.
type Annotations = BTreeMap<String, Vec<String>>;

pub(super) fn evaluate(set: &PolicySet, subject: &Subject<'_>) -> Verdict {
    let looks: Vec<Look<'_>> = subject.facts.iter().map(|fact| Look::at(subject, fact)).collect();
    let mut verdict = Verdict::default();
    let mut annotations = Annotations::new();
    let mut matched = vec![false; looks.len()];
    let namespace = namespace_name(subject.namespace, subject.workload);
    let uses = subject.facts.iter().map(|fact| &*fact.usage);
    for at in set.index.candidates(subject.workload, namespace, uses) {
        let policy = &set.policies[at];
        policy.judge(subject, &set.parameters, &looks, &mut matched, &mut verdict, &mut annotations);
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
        if_enforced: Enforcement::Deny,
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
        let stale = match &fact.image {
            Some(Ok(image)) => match &image.freshness {
                Freshness::Stale { age, failure } => Some((*age, &**failure)),
                _ => None,
            },
            _ => None,
        };
        Self { usage, image, stale }
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

    /// The parameters with which the match conditions hold; one that is none for a policy without any.
    /// Nothing: the policy is skipped.
    fn params<'a>(
        &self,
        subject: &Subject<'_>,
        parameters: &'a Parameters,
    ) -> Result<Vec<Option<&'a Value>>, Found> {
        let namespace = namespace_name(subject.namespace, subject.workload);
        let mut holding = match self.parameters.as_ref().map(|source| source.select(parameters, namespace)) {
            None => vec![None],
            Some(Selected::Objects(objects)) => objects.into_iter().map(Some).collect(),
            Some(Selected::Skip) => Vec::new(),
            Some(Selected::Missing(what)) => return Err(Found::missing(&what)),
        };
        let mut failed = None;
        holding.retain(|params| match self.expressions.match_conditions(subject, *params) {
            Condition::Holds => true,
            Condition::Fails => false,
            Condition::Error(why) => {
                failed.get_or_insert(why);
                false
            }
        });
        failed.map_or(Ok(holding), |why| Err(Found::condition(&why)))
    }

    fn judge(
        &self,
        subject: &Subject<'_>,
        parameters: &Parameters,
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
        let params = match self.params(subject, parameters) {
            Ok(params) if params.is_empty() => return,
            Ok(params) => params,
            Err(found) => {
                for (at, _) in &selected {
                    matched[*at] = true;
                }
                verdict.policies.push(self.name.clone());
                verdict.findings.push(self.finding(first.usage, found, Vec::new()));
                return;
            }
        };
        verdict.policies.push(self.name.clone());
        for (at, look) in selected {
            matched[at] = true;
            let found = self.judge_use(subject, look, &params, annotations);
            let findings =
                found.0.into_iter().map(|(found, platforms)| self.finding(look.usage, found, platforms));
            verdict.findings.extend(findings);
        }
    }

    fn judge_use(
        &self,
        subject: &Subject<'_>,
        look: &Look<'_>,
        params: &[Option<&Value>],
        annotations: &mut Annotations,
    ) -> FoundOn {
        let mut found = FoundOn::default();
        let kind = look.usage.kind;
        // Who wants a registry's word or none at all is not content with what was known before.
        let refused = look.stale.filter(|_| self.on_resolution_failure == OnResolutionFailure::Deny);
        if let Some(why) = refused.map(|(_, why)| why).or(look.image.as_ref().err()) {
            let is_needed =
                if look.usage.reference.is_err() { self.checks(kind) } else { self.needs_image(kind) };
            if is_needed {
                found.add(Found::unresolved(why), None);
            }
        } else if let Some((age, why)) = look.stale.filter(|_| self.needs_image(kind)) {
            found.add(Found::stale(why, age), None);
        }
        if let (Some(rule), Ok(reference)) = (&self.rules.reference, &look.usage.reference) {
            for violation in rule.judge(reference) {
                found.add(Found::violation(ReferenceRule::NAME, violation), None);
            }
        }
        let seen = look.image.as_deref().ok().filter(|_| refused.is_none()).unwrap_or_default();
        for rule in self.rules.for_use(kind) {
            let judged = if rule.is_per_platform() { seen } else { &seen[..seen.len().min(1)] };
            for one in judged {
                let platform = one.platform.platform.as_ref().filter(|_| rule.is_per_platform());
                for violation in rule.judge(one) {
                    found.add(Found::violation(rule.name(), violation), platform);
                }
            }
        }
        for params in params {
            self.judge_expressions(subject, look, *params, seen, &mut found, annotations);
        }
        found
    }

    fn judge_expressions(
        &self,
        subject: &Subject<'_>,
        look: &Look<'_>,
        params: Option<&Value>,
        seen: &[Seen<'_>],
        found: &mut FoundOn,
        annotations: &mut Annotations,
    ) {
        let expressions = &self.expressions;
        if expressions.is_empty() {
            return;
        }
        let evaluation = |image| {
            Evaluation::validations(subject, look.usage, image, &expressions.variables).with_params(params)
        };
        let without = [(None, evaluation(None))];
        let with: Vec<(Option<&Platform>, Evaluation<'_>)> = seen
            .iter()
            .map(|one| {
                let image = Some((one.image, one.platform, &one.effective));
                (one.platform.platform.as_ref(), evaluation(image))
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
        let if_enforced = match found.kind {
            FindingKind::Unresolved(_) | FindingKind::Stale(_) => self.on_unresolved(),
            FindingKind::Violation | FindingKind::EvaluationError => Enforcement::Deny,
        };
        Finding {
            policy: self.name.to_string(),
            rule: found.rule,
            kind: found.kind,
            // Never stricter than what the policy's actions say.
            enforcement: if_enforced.max(self.on_violation()),
            if_enforced,
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

    /// What `onResolutionFailure` says.
    fn on_unresolved(&self) -> Enforcement {
        match self.on_resolution_failure {
            OnResolutionFailure::Deny => Enforcement::Deny,
            OnResolutionFailure::Warn => Enforcement::Warn,
            OnResolutionFailure::Allow => Enforcement::Record,
        }
    }
}

#[cfg(test)]
mod tests;
