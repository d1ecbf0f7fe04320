//! One document into one policy, or into everything that is wrong with it.
//!
//! The document is first held against its kind's schema ([`super::schema`]); then every string that
//! means something (globs, ranges, expressions, …) is parsed. Both go on after an error, so that one
//! look shows all of them.

mod document;

use super::{
    PolicyDocument, PolicyError,
    exception::Exception,
    expressions::{self, Expressions},
    parameters,
    place::{Place, Problems},
    rules,
    selector::Selector,
};
use crate::api::v1alpha1::{MatchResources, OnResolutionFailure, PolicySpec, Use, ValidationAction};
use document::{Document, Kind};
use serde_json::Value;
use std::sync::Arc;

/// Keys of audit annotations that Hullmark itself writes; a policy cannot take their place.
pub const RESERVED_ANNOTATIONS: [&str; 10] = [
    "verdict",
    "would-be",
    "if-enforced",
    "mode",
    "violations",
    "excepted",
    "images",
    "not-judged",
    "failure",
    "request-uid",
];

/// A policy in force.
#[derive(Debug)]
pub(super) struct Policy {
    /// Its name; `namespace/name` for a namespaced one.
    pub(super) name: Arc<str>,
    /// Where it was written.
    pub(super) source: String,
    pub(super) actions: Vec<ValidationAction>,
    pub(super) on_resolution_failure: OnResolutionFailure,
    pub(super) selector: Selector,
    /// None: it has no parameters.
    pub(super) parameters: Option<parameters::Source>,
    pub(super) rules: rules::Compiled,
    pub(super) expressions: Expressions,
}

/// What a document is, once compiled.
#[derive(Debug)]
pub(super) enum Compiled {
    Policy(Box<Policy>),
    Exception(Box<Exception>),
}

/// Compiles one document.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn compile(document: &PolicyDocument) -> Result<Compiled, Vec<PolicyError>> {
    let problems = Problems::default();
    let compiled = read(document, &Place::root(&problems));
    let problems = problems.into_inner();
    match compiled {
        Some(compiled) if problems.is_empty() => Ok(compiled),
        _ => {
            let source_name = describe(document);
            let error = |(field, why)| PolicyError { source_name: source_name.clone(), field, why };
            Err(problems.into_iter().map(error).collect())
        }
    }
}

/// The file and the document in it, and the policy's name where it has one.
fn describe(document: &PolicyDocument) -> String {
    match document.value.pointer("/metadata/name").and_then(Value::as_str) {
        Some(name) => format!("{} (policy {name})", document.source),
        None => document.source.clone(),
    }
}

fn read(document: &PolicyDocument, root: &Place<'_>) -> Option<Compiled> {
    let header = Document::read(&document.value, root)?;
    match (header.kind, header.namespace.clone()) {
        (Kind::Exception, Some(namespace)) => {
            let spec = header.spec(root)?;
            let exception = Exception::compile(&spec, header.full_name(), &namespace, &root.field("spec"));
            Some(Compiled::Exception(Box::new(exception)))
        }
        _ => policy(document, &header, root).map(|policy| Compiled::Policy(Box::new(policy))),
    }
}

fn policy(document: &PolicyDocument, header: &Document<'_>, root: &Place<'_>) -> Option<Policy> {
    let spec: PolicySpec = header.spec(root)?;
    let at = root.field("spec");
    check_actions(&spec, &at);
    let policy = Policy {
        name: header.full_name().into(),
        source: document.source.clone(),
        selector: Selector::compile(&spec.match_, header.namespace.as_deref(), &at.field("match")),
        parameters: parameters::Source::compile(&spec, header.namespace.as_deref(), &at),
        rules: rules::compile(&spec.rules.clone().unwrap_or_default(), &at.field("rules")),
        expressions: expressions::compile(&spec, &at),
        actions: spec.validation_actions,
        on_resolution_failure: spec.on_resolution_failure,
    };
    check_volumes(&spec.match_, &policy.rules, &at.field("rules"));
    if policy.rules.is_empty() && policy.expressions.is_empty() && root.is_clean() {
        at.refuse("checks nothing: give rules that are not empty, validations or auditAnnotations");
    }
    Some(policy)
}

fn check_actions(spec: &PolicySpec, at: &Place<'_>) {
    let has = |action| spec.validation_actions.contains(&action);
    if has(ValidationAction::Deny) && has(ValidationAction::Warn) {
        at.field("validationActions").refuse("Deny and Warn exclude each other; choose one of them");
    }
}

/// A rule that has no meaning for the only uses that the policy looks at would never fire.
fn check_volumes(matching: &MatchResources, rules: &rules::Compiled, at: &Place<'_>) {
    if matching.uses.iter().any(|place| *place != Use::ImageVolume) {
        return;
    }
    for rule in rules.of_image.iter().filter(|rule| !rule.is_for_volumes()) {
        at.field(rule.name())
            .refuse("has no meaning for image volumes, and the policy looks at nothing else");
    }
}

#[cfg(test)]
mod tests;
