//! Which workloads and which of their images a policy is for.
//!
//! A namespaced policy holds in its own namespace only. Selectors mean what they mean in Kubernetes
//! (`In` wants the label, `NotIn` is content without it). What surprises:
//! - where the namespace's labels are not known, `kubernetes.io/metadata.name` is all that it has;
//! - an image whose name cannot be read is selected by every glob and excluded by none: it could be
//!   any image (and `sha256:…` does run, from the node's own store);
//! - `registry:443` and `registry` are one registry, and case does not count in a domain, so that a
//!   policy cannot be walked around by writing the name in another way.

use super::{
    Namespace, Subject,
    glob::{Globs, domains, of_images},
    place::Place,
};
use crate::{
    api::v1alpha1::{MatchResources, Use},
    nearest::did_you_mean,
    workload::{ImageUse, UseKind, Workload},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::{collections::BTreeMap, fmt};

/// The label that every namespace has: its name.
const METADATA_NAME: &str = "kubernetes.io/metadata.name";

/// What a policy is for.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    /// The policy's own namespace; none: the whole cluster.
    namespace: Option<String>,
    namespace_labels: Labels,
    object_labels: Labels,
    images: Option<Globs>,
    exclude: Option<Globs>,
    uses: Vec<UseKind>,
}

/// Requirements on labels, all of which must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels(Vec<Requirement>);

#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

impl Selector {
    pub(super) fn compile(spec: &MatchResources, namespace: Option<&str>, at: &Place<'_>) -> Self {
        let selector_at = at.field("namespaceSelector");
        if namespace.is_some() && spec.namespace_selector.is_some() {
            selector_at.refuse(
                "does not belong here: an ImageConfigPolicy holds in its own namespace; use a ClusterImageConfigPolicy",
            );
        }
        let uses = spec.uses.iter().map(|place| match place {
            Use::Container => UseKind::Container,
            Use::InitContainer => UseKind::InitContainer,
            Use::EphemeralContainer => UseKind::EphemeralContainer,
            Use::ImageVolume => UseKind::ImageVolume,
        });
        Self {
            namespace: namespace.map(ToOwned::to_owned),
            namespace_labels: Labels::compile(spec.namespace_selector.as_ref(), &selector_at),
            object_labels: Labels::compile(spec.object_selector.as_ref(), &at.field("objectSelector")),
            images: of_images(&spec.images, &at.field("images")),
            exclude: of_images(&spec.exclude_images, &at.field("excludeImages")),
            uses: uses.collect(),
        }
    }

    /// The policy's own namespace; none: the whole cluster.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The registries that its globs name in full, in lower case; none: they could match one of any registry.
    pub(super) fn registries(&self) -> Option<Vec<String>> {
        let domain = |pattern: &String| {
            let (domain, _) = pattern.split_once('/')?;
            (!domain.contains(['*', '?', '[', '{', '\\'])).then(|| domain.to_ascii_lowercase())
        };
        self.images.as_ref()?.patterns().iter().map(domain).collect()
    }

    /// Whether the policy is for this workload.
    pub(super) fn selects(&self, subject: &Subject<'_>) -> bool {
        let known = subject.namespace;
        let name = namespace_name(known, subject.workload);
        let label = |key: &str| match name {
            Some(name) if key == METADATA_NAME => Some(name),
            _ => known?.labels.get(key).map(String::as_str),
        };
        self.namespace.as_deref().is_none_or(|own| name == Some(own))
            && self.namespace_labels.hold(|key| Some(label(key)))
            && self.selects_object(subject.workload)
    }

    /// Whether the policy could be for this workload, as far as can be said; without `namespace`, nothing is known
    /// of its labels.
    pub(super) fn may_select(&self, workload: &Workload, namespace: Option<&Namespace>) -> bool {
        let name = namespace_name(namespace, workload);
        let label = |key: &str| match namespace {
            _ if key == METADATA_NAME && name.is_some() => Some(name),
            Some(known) => Some(known.labels.get(key).map(String::as_str)),
            None => None,
        };
        self.namespace.as_deref().is_none_or(|own| name.is_none_or(|name| name == own))
            && self.namespace_labels.hold(label)
            && self.selects_object(workload)
    }

    fn selects_object(&self, workload: &Workload) -> bool {
        self.object_labels.hold_for(&workload.labels)
    }

    /// Whether the policy is for this image of a workload that it is for.
    pub(super) fn selects_use(&self, usage: &ImageUse) -> bool {
        if !self.uses.contains(&usage.kind) {
            return false;
        }
        if self.images.is_none() && self.exclude.is_none() {
            return true;
        }
        let Ok(reference) = &usage.reference else { return true };
        let names: Vec<String> =
            domains(reference.domain()).map(|domain| format!("{domain}/{}", reference.path())).collect();
        let any = |globs: &Globs| names.iter().any(|name| globs.is_match(name));
        self.images.as_ref().is_none_or(any) && !self.exclude.as_ref().is_some_and(any)
    }

    /// The same, but not for an image whose name cannot be read, where names decide: what lets something pass
    /// must know what.
    pub(super) fn surely_selects_use(&self, usage: &ImageUse) -> bool {
        let names_decide = self.images.is_some() || self.exclude.is_some();
        (usage.reference.is_ok() || !names_decide) && self.selects_use(usage)
    }
}

impl Labels {
    pub(super) fn compile(selector: Option<&LabelSelector>, at: &Place<'_>) -> Self {
        let Some(selector) = selector else { return Self::default() };
        let mut requirements: Vec<Requirement> = selector
            .match_labels
            .iter()
            .flatten()
            .map(|(key, value)| Requirement { key: key.clone(), operator: Operator::In(vec![value.clone()]) })
            .collect();
        for (i, expression) in selector.match_expressions.iter().flatten().enumerate() {
            let at = at.field("matchExpressions").item(i);
            let values = expression.values.as_deref().unwrap_or_default();
            if let Some(operator) = operator(&expression.operator, values, &at) {
                requirements.push(Requirement { key: expression.key.clone(), operator });
            }
        }
        Self(requirements)
    }

    /// Whether every requirement holds for an object with these labels.
    pub(super) fn hold_for(&self, labels: &BTreeMap<String, String>) -> bool {
        self.hold(|key| Some(labels.get(key).map(String::as_str)))
    }

    /// Whether every requirement holds. `label` gives a label's value, or none where it is not known
    /// whether there is one; what is not known does not stand in the way.
    fn hold<'a>(&self, label: impl Fn(&str) -> Option<Option<&'a str>>) -> bool {
        self.0
            .iter()
            .all(|requirement| label(&requirement.key).is_none_or(|value| requirement.operator.holds(value)))
    }
}

/// In the API's notation (apimachinery, `labels.Parse`).
impl fmt::Display for Labels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Requirement { key, operator }) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match operator {
                Operator::In(values) => write!(out, "{comma}{key} in ({})", values.join(","))?,
                Operator::NotIn(values) => write!(out, "{comma}{key} notin ({})", values.join(","))?,
                Operator::Exists => write!(out, "{comma}{key}")?,
                Operator::DoesNotExist => write!(out, "{comma}!{key}")?,
            }
        }
        Ok(())
    }
}

impl Operator {
    fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|v| v == value));
        match self {
            Self::In(values) => among(values),
            Self::NotIn(values) => !among(values),
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
        }
    }
}

fn operator(name: &str, values: &[String], at: &Place<'_>) -> Option<Operator> {
    const NAMES: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];
    let (operator, wants_values) = match name {
        "In" => (Operator::In(values.to_vec()), true),
        "NotIn" => (Operator::NotIn(values.to_vec()), true),
        "Exists" => (Operator::Exists, false),
        "DoesNotExist" => (Operator::DoesNotExist, false),
        other => {
            let why = format!("{other:?} is not one of {}", NAMES.join(", "));
            at.field("operator").refuse(did_you_mean(&why, other, NAMES));
            return None;
        }
    };
    if wants_values == values.is_empty() {
        let must = if wants_values { "at least one value" } else { "no values" };
        at.field("values").refuse(format!("{name} takes {must}"));
        return None;
    }
    Some(operator)
}

/// The namespace's name: from the namespace, else from the object.
pub(super) fn namespace_name<'a>(
    namespace: Option<&'a Namespace>,
    workload: &'a Workload,
) -> Option<&'a str> {
    namespace.map(|namespace| namespace.name.as_str()).or(workload.namespace.as_deref())
}
