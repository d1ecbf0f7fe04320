//! What policies judge: one workload, and what is known of each of its images.

use crate::{
    image::{ResolvedImage, Unresolved},
    workload::{ImageUse, Workload},
};
use std::{collections::BTreeMap, sync::Arc};

/// Everything that a verdict depends on. The clock is an argument.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The Pod or template.
    pub workload: &'a Workload,
    /// What is known of the images that are judged (on UPDATE: only those that changed).
    pub facts: &'a [Fact],
    /// The admission request without its objects, as CEL sees it.
    pub request: &'a serde_json::Value,
    /// The old object on UPDATE, else null.
    pub old_object: &'a serde_json::Value,
    /// The namespace, as far as it is known.
    pub namespace: Option<&'a Namespace>,
    /// Now, for ages.
    pub now: jiff::Timestamp,
}

/// One image use and what resolving it gave.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The place in the Pod.
    pub usage: Arc<ImageUse>,
    /// The image; an error when it could not be looked at; none when no policy needs it.
    pub image: Option<Result<Arc<ResolvedImage>, Unresolved>>,
}

/// A namespace's metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels; `kubernetes.io/metadata.name` is always there.
    pub labels: BTreeMap<String, String>,
    /// The whole object, for CEL's `namespaceObject`; null where only the name is known.
    pub object: serde_json::Value,
}

impl Namespace {
    /// A namespace of which the name alone is known.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let labels = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), name.to_owned())]);
        Self { name: name.to_owned(), labels, object: serde_json::Value::Null }
    }
}
