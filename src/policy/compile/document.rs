//! What every document of ours has: its kind, its name, and a spec that its schema accepts.

use crate::api::v1alpha1::{
    API_VERSION, ClusterImageConfigPolicy, GROUP, ImageConfigException, ImageConfigPolicy,
};
use crate::{
    nearest::did_you_mean,
    policy::{place::Place, schema},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::LazyLock;

static CLUSTER: LazyLock<Value> = LazyLock::new(schema::of::<ClusterImageConfigPolicy>);
static NAMESPACED: LazyLock<Value> = LazyLock::new(schema::of::<ImageConfigPolicy>);
static EXCEPTION: LazyLock<Value> = LazyLock::new(schema::of::<ImageConfigException>);

/// The kinds that can be put in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Kind {
    Cluster,
    Namespaced,
    Exception,
}

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

/// A document whose kind, name and fields are known to exist.
pub(super) struct Document<'a> {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    spec: &'a Value,
}

impl<'a> Document<'a> {
    /// Holds the document against the schema of its kind.
    pub(super) fn read(value: &'a Value, root: &Place<'_>) -> Option<Self> {
        let Some(fields) = value.as_object() else {
            root.refuse("is not an object; a policy has apiVersion, kind, metadata and spec");
            return None;
        };
        let kind = Kind::read(fields, root)?;
        // The schema speaks of spec and status only; apiVersion, kind and metadata belong to every kind.
        let own: Map<String, Value> = fields
            .iter()
            .filter(|(name, _)| !["apiVersion", "kind", "metadata"].contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        schema::check(&Value::Object(own), kind.schema(), root);
        let is_namespaced = kind != Kind::Cluster;
        let (name, namespace) = metadata(fields.get("metadata"), is_namespaced, &root.field("metadata"))?;
        Some(Self { kind, name, namespace, spec: fields.get("spec")? })
    }

    /// The spec as its type. What the schema did not find is noted.
    pub(super) fn spec<T: DeserializeOwned>(&self, root: &Place<'_>) -> Option<T> {
        serde_json::from_value(self.spec.clone())
            .map_err(|error| {
                if root.is_clean() {
                    root.field("spec").refuse(error.to_string());
                }
            })
            .ok()
    }

    /// `namespace/name`, or the name where there is no namespace.
    pub(super) fn full_name(&self) -> String {
        self.namespace
            .as_ref()
            .map_or_else(|| self.name.clone(), |namespace| format!("{namespace}/{}", self.name))
    }
}

impl Kind {
    const NAMES: [&str; 3] = ["ClusterImageConfigPolicy", "ImageConfigPolicy", "ImageConfigException"];

    fn schema(self) -> &'static Value {
        match self {
            Self::Cluster => &CLUSTER,
            Self::Namespaced => &NAMESPACED,
            Self::Exception => &EXCEPTION,
        }
    }

    fn read(fields: &Map<String, Value>, root: &Place<'_>) -> Option<Self> {
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
        let kind = match kind? {
            "ClusterImageConfigPolicy" => Self::Cluster,
            "ImageConfigPolicy" => Self::Namespaced,
            "ImageConfigException" => Self::Exception,
            other => {
                let why = format!("{other:?} is not one of {}", Self::NAMES.join(", "));
                root.field("kind").refuse(did_you_mean(&why, other, Self::NAMES));
                return None;
            }
        };
        version.is_some_and(|version| version == API_VERSION).then_some(kind)
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
            namespace_at.refuse("does not belong here: a ClusterImageConfigPolicy is for the whole cluster");
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
