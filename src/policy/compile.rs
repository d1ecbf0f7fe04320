//! One document into one policy, or into everything that is wrong with it.
//!
//! The document is first held against its kind's schema ([`super::schema`]); then every string that
//! means something (globs, ranges, expressions, …) is parsed. Both go on after an error, so that one
//! look shows all of them.

use super::{
    PolicyDocument, PolicyError,
    expressions::{self, Expressions},
    place::{Place, Problems},
    rules, schema,
    selector::Selector,
};
use crate::api::v1alpha1::{
    API_VERSION, ClusterImageConfigPolicy, GROUP, ImageConfigPolicy, MatchResources, OnResolutionFailure,
    PolicySpec, Use, ValidationAction,
};
use crate::nearest::did_you_mean;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// Keys of audit annotations that Hullmark itself writes; a policy cannot take their place.
pub const RESERVED_ANNOTATIONS: [&str; 6] =
    ["verdict", "would-be", "violations", "images", "not-judged", "failure"];

const CLUSTER: &str = "ClusterImageConfigPolicy";
const NAMESPACED: &str = "ImageConfigPolicy";
const EXCEPTION: &str = "ImageConfigException";

static CLUSTER_SCHEMA: LazyLock<Value> = LazyLock::new(schema::of::<ClusterImageConfigPolicy>);
static NAMESPACED_SCHEMA: LazyLock<Value> = LazyLock::new(schema::of::<ImageConfigPolicy>);

/// The fields of `metadata` (apimachinery, `ObjectMeta`).
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// A policy in force.
#[derive(Debug)]
pub(super) struct Policy {
    /// Its name; `namespace/name` for a namespaced one.
    pub(super) name: String,
    /// Where it was written.
    pub(super) source: String,
    pub(super) actions: Vec<ValidationAction>,
    pub(super) on_resolution_failure: OnResolutionFailure,
    pub(super) selector: Selector,
    pub(super) rules: rules::Compiled,
    pub(super) expressions: Expressions,
}

/// Compiles one document.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn compile(document: &PolicyDocument) -> Result<Policy, Vec<PolicyError>> {
    let problems = Problems::default();
    let policy = read(document, &Place::root(&problems));
    let problems = problems.into_inner();
    match policy {
        Some(policy) if problems.is_empty() => Ok(policy),
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

fn read(document: &PolicyDocument, root: &Place<'_>) -> Option<Policy> {
    let Some(fields) = document.value.as_object() else {
        root.refuse("is not an object; a policy has apiVersion, kind, metadata and spec");
        return None;
    };
    let kind = kind(fields, root)?;
    let namespaced = kind == NAMESPACED;
    let schema: &Value = if namespaced { &NAMESPACED_SCHEMA } else { &CLUSTER_SCHEMA };
    // The schema speaks of spec and status only; apiVersion, kind and metadata belong to every kind.
    let own: Map<String, Value> = fields
        .iter()
        .filter(|(name, _)| !["apiVersion", "kind", "metadata"].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    schema::check(&Value::Object(own), schema, root);
    let (name, namespace) = metadata(fields.get("metadata"), namespaced, &root.field("metadata"))?;
    let spec: PolicySpec = match serde_json::from_value(fields.get("spec")?.clone()) {
        Ok(spec) => spec,
        Err(error) => {
            if root.is_clean() {
                root.field("spec").refuse(error.to_string());
            }
            return None;
        }
    };
    let at = root.field("spec");
    check_actions(&spec, &at);
    let policy = Policy {
        name: namespace.as_ref().map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}")),
        source: document.source.clone(),
        selector: Selector::compile(&spec.match_, namespace.as_deref(), &at.field("match")),
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

/// The kind, if it is one that can be put in force.
fn kind<'a>(fields: &'a Map<String, Value>, root: &Place<'_>) -> Option<&'a str> {
    let text = |name: &str| {
        let value = fields.get(name).and_then(Value::as_str);
        if value.is_none() {
            root.field(name).refuse("is required, as a string");
        }
        value
    };
    let (version, kind) = (text("apiVersion"), text("kind"));
    if let Some(version) = version.filter(|version| *version != API_VERSION) {
        let why = if version.split('/').next() == Some(GROUP) {
            format!("{version:?} is not a version of this API; write {API_VERSION}")
        } else {
            format!("{version:?} is not {API_VERSION}; this is no policy of ours")
        };
        root.field("apiVersion").refuse(why);
    }
    let kind = kind?;
    match kind {
        CLUSTER | NAMESPACED => version.is_some_and(|version| version == API_VERSION).then_some(kind),
        EXCEPTION => {
            root.field("kind").refuse(
                "ImageConfigException is not honoured yet, so it is refused rather than passed over; take it out",
            );
            None
        }
        other => {
            let why = format!("{other:?} is not one of {CLUSTER}, {NAMESPACED}");
            root.field("kind").refuse(did_you_mean(&why, other, [CLUSTER, NAMESPACED]));
            None
        }
    }
}

/// Name and namespace.
fn metadata(value: Option<&Value>, namespaced: bool, at: &Place<'_>) -> Option<(String, Option<String>)> {
    let Some(fields) = value.and_then(Value::as_object) else {
        at.refuse("is required, with a name");
        return None;
    };
    for name in fields.keys().filter(|name| !METADATA.contains(&name.as_str())) {
        at.field(name).refuse(did_you_mean("is no field that exists", name, METADATA));
    }
    for map in ["labels", "annotations"] {
        for (key, value) in fields.get(map).and_then(Value::as_object).into_iter().flatten() {
            if !value.is_string() {
                at.field(map).field(key).refuse(format!("must be a string, not {value}; put it in quotes"));
            }
        }
    }
    let name = dns_name(fields.get("name"), 253, &at.field("name"));
    let namespace_at = at.field("namespace");
    let namespace = match (fields.get("namespace"), namespaced) {
        (Some(_), false) => {
            namespace_at.refuse(format!("does not belong here: a {CLUSTER} is for the whole cluster"));
            None
        }
        (None, false) => None,
        (value, true) => Some(dns_name(value, 63, &namespace_at)?),
    };
    Some((name?, namespace))
}

fn dns_name(value: Option<&Value>, max: usize, at: &Place<'_>) -> Option<String> {
    let Some(name) = value.and_then(Value::as_str) else {
        at.refuse("is required, as a string");
        return None;
    };
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_label = |part: &str| {
        is_end(part.chars().next())
            && is_end(part.chars().next_back())
            && part.chars().all(|c| is_end(Some(c)) || c == '-')
    };
    if name.len() > max || !name.split('.').all(is_label) {
        at.refuse(format!("{name:?} is not a name: lower-case letters, digits, '-' and '.', at most {max}"));
        return None;
    }
    Some(name.to_owned())
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
