//! Objects that policies read beside the image, as `params`: ValidatingAdmissionPolicy's `paramKind`
//! and `paramRef`, in one document since ours has no binding.
//!
//! What surprises:
//! - objects are a part of the snapshot that is in force: a verdict never reads half of a change;
//! - an ImageConfigPolicy reads objects of its own namespace only, whatever they are, so that nobody reads
//!   through Hullmark what he may not read himself; for the same reason Secrets are never read;
//! - an object without a namespace (a cluster-wide one, or one in a file) is not in the way of a
//!   `paramRef` that names none.

use super::{place::Place, selector::Labels};
use crate::api::v1alpha1::{ParamKind, ParamRef, ParameterNotFoundAction, PolicySpec};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The objects that policies may read, as they are now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    known: Vec<Arc<Parameter>>,
    /// What could not be read, and why: it is not known whether it is there.
    unread: Vec<(WantedParameters, String)>,
}

/// One object.
#[derive(Debug, PartialEq)]
struct Parameter {
    kind: ParamKind,
    namespace: Option<String>,
    name: String,
    labels: BTreeMap<String, String>,
    object: Value,
}

/// Which objects a policy reads, for whoever fetches them: as few as it names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedParameters {
    /// Their kind.
    pub kind: ParamKind,
    /// Their namespace; none: every one, or the kind has none.
    pub namespace: Option<String>,
    /// Their name; none: any.
    pub name: Option<String>,
    /// Their labels, in the API's notation (`team=shop,tier in (a,b)`); none: any.
    pub labels: Option<String>,
}

/// A compiled `paramKind` and `paramRef`.
#[derive(Debug)]
pub(super) struct Source {
    kind: ParamKind,
    which: Which,
    namespace: Option<String>,
    /// Of an ImageConfigPolicy: nothing outside of its namespace is read.
    is_confined: bool,
    not_found: ParameterNotFoundAction,
}

#[derive(Debug)]
enum Which {
    Name(String),
    Labels(Labels),
}

/// What a policy reads for one workload.
#[derive(Debug, PartialEq)]
pub(super) enum Selected<'a> {
    /// These, at least one.
    Objects(Vec<&'a Value>),
    /// There is none, and the policy is to be skipped.
    Skip,
    /// There is none, or that is not known, and that is enforced like a violation; what is missing.
    Missing(String),
}

impl Parameters {
    /// Objects as the API server gives them. One without `apiVersion`, `kind` or `metadata.name` is no
    /// object, and left out.
    #[must_use]
    pub fn new(objects: impl IntoIterator<Item = Value>) -> Self {
        let known = objects.into_iter().filter_map(Parameter::read).map(Arc::new).collect();
        Self { known, unread: Vec::new() }
    }

    /// The same, but these could not be read, and why. A policy that wants them can neither be judged nor
    /// skipped.
    #[must_use]
    pub fn without(mut self, unread: Vec<(WantedParameters, String)>) -> Self {
        self.unread.extend(unread);
        self
    }

    /// These and those.
    pub(super) fn with(mut self, more: Self) -> Self {
        self.known.extend(more.known);
        self.unread.extend(more.unread);
        self
    }
}

impl Parameter {
    fn read(object: Value) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        let label = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        Some(Self {
            kind: ParamKind { api_version: text("/apiVersion")?, kind: text("/kind")? },
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name")?,
            labels: labels.into_iter().flatten().filter_map(label).collect(),
            object,
        })
    }
}

impl Source {
    /// None: the policy has no parameters. `namespace` is that of an ImageConfigPolicy.
    pub(super) fn compile(spec: &PolicySpec, namespace: Option<&str>, at: &Place<'_>) -> Option<Self> {
        let (kind, reference) = match (&spec.param_kind, &spec.param_ref) {
            (Some(kind), Some(reference)) => (kind, reference),
            (None, None) => return None,
            (Some(_), None) => {
                at.field("paramRef").refuse("is missing: it says which objects of the paramKind are read");
                return None;
            }
            (None, Some(_)) => {
                at.field("paramKind").refuse("is missing: it says of what kind the paramRef's objects are");
                return None;
            }
        };
        check_kind(kind, &at.field("paramKind"));
        let at = at.field("paramRef");
        if let (Some(own), Some(other)) = (namespace, &reference.namespace)
            && own != other
        {
            at.field("namespace").refuse("is another one: an ImageConfigPolicy reads its own namespace");
        }
        Some(Self {
            kind: kind.clone(),
            which: Which::compile(reference, &at)?,
            namespace: namespace.map(ToOwned::to_owned).or_else(|| reference.namespace.clone()),
            is_confined: namespace.is_some(),
            not_found: reference.parameter_not_found_action,
        })
    }

    pub(super) fn wanted(&self) -> WantedParameters {
        let (name, labels) = match &self.which {
            Which::Name(name) => (Some(name.clone()), None),
            Which::Labels(labels) => (None, Some(labels.to_string())),
        };
        WantedParameters { kind: self.kind.clone(), namespace: self.namespace.clone(), name, labels }
    }

    /// What the policy reads for a workload of this namespace.
    pub(super) fn select<'a>(&self, all: &'a Parameters, namespace: Option<&str>) -> Selected<'a> {
        let own = self.wanted();
        if let Some((_, why)) = all.unread.iter().find(|(wanted, _)| *wanted == own) {
            return Selected::Missing(format!("what it reads as params cannot be read: {why}"));
        }
        let namespace = self.namespace.as_deref().or(namespace);
        let is_there = |one: &Parameter| match one.namespace.as_deref() {
            Some(own) => namespace == Some(own),
            None => !self.is_confined && self.namespace.is_none(),
        };
        let is_wanted = |one: &Parameter| match &self.which {
            Which::Name(name) => one.name == *name,
            Which::Labels(labels) => labels.hold_for(&one.labels),
        };
        let wanted = |one: &&Arc<Parameter>| one.kind == self.kind && is_there(one) && is_wanted(one);
        let found: Vec<&Value> = all.known.iter().filter(wanted).map(|one| &one.object).collect();
        match self.not_found {
            _ if !found.is_empty() => Selected::Objects(found),
            ParameterNotFoundAction::Allow => Selected::Skip,
            ParameterNotFoundAction::Deny => Selected::Missing(self.missing(namespace)),
        }
    }

    fn missing(&self, namespace: Option<&str>) -> String {
        let (kind, place) = (&self.kind.kind, namespace.unwrap_or("any namespace"));
        match &self.which {
            Which::Name(name) => format!("there is no {kind} {name} in {place}, which it reads as params"),
            Which::Labels(labels) => {
                format!("there is no {kind} with the labels {labels} in {place}, which it reads as params")
            }
        }
    }
}

impl Which {
    fn compile(reference: &ParamRef, at: &Place<'_>) -> Option<Self> {
        match (&reference.name, &reference.selector) {
            (Some(name), None) => Some(Self::Name(name.clone())),
            (None, Some(selector)) => {
                Some(Self::Labels(Labels::compile(Some(selector), &at.field("selector"))))
            }
            _ => {
                at.refuse("needs a name or a selector, and not both");
                None
            }
        }
    }
}

fn check_kind(kind: &ParamKind, at: &Place<'_>) {
    let is_word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
    };
    let parts: Vec<&str> = kind.api_version.split('/').collect();
    if parts.len() > 2 || !parts.iter().all(|part| is_word(part)) {
        at.field("apiVersion").refuse(format!("{:?} is not like v1 or apps/v1", kind.api_version));
    }
    if !is_word(&kind.kind) {
        at.field("kind").refuse(format!("{:?} is not like ConfigMap", kind.kind));
    }
    if kind.api_version == "v1" && kind.kind == "Secret" {
        at.field("kind").refuse(
            "a Secret is not read: what is in it would stand in messages; use a ConfigMap, or a kind of your own",
        );
    }
}

#[cfg(test)]
mod tests;
