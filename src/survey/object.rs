//! An object by what names it, and the controller that made it.

use serde_json::Value;
use std::fmt;

/// What names an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `apps/v1`
    pub api_version: String,
    /// `Deployment`
    pub kind: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its uid, where it is known.
    pub uid: Option<String>,
}

impl ObjectRef {
    /// Of a whole object; empty where it says nothing of itself.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let metadata = &object["metadata"];
        Self {
            api_version: text(&object["apiVersion"]),
            kind: text(&object["kind"]),
            namespace: metadata["namespace"].as_str().map(ToOwned::to_owned),
            name: text(&metadata["name"]),
            uid: metadata["uid"].as_str().map(ToOwned::to_owned),
        }
    }
}

/// The controller of an object, by its one owner reference that says so (Kubernetes API conventions,
/// `metadata.ownerReferences[].controller`).
#[must_use]
pub fn controller(object: &Value) -> Option<ObjectRef> {
    let metadata = &object["metadata"];
    let owner = metadata["ownerReferences"].as_array()?.iter().find(|one| one["controller"] == true)?;
    Some(ObjectRef {
        api_version: text(&owner["apiVersion"]),
        kind: text(&owner["kind"]),
        namespace: metadata["namespace"].as_str().map(ToOwned::to_owned),
        name: text(&owner["name"]),
        uid: owner["uid"].as_str().map(ToOwned::to_owned),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `Deployment shop/web`
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_controller_is_the_owner_that_says_so() {
        let owner = |name: &str, controller: bool| json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": "u", "controller": controller });
        let pod = |owners: &Value| {
            json!({ "apiVersion": "v1", "kind": "Pod",
                    "metadata": { "name": "web-1", "namespace": "shop", "ownerReferences": owners } })
        };
        for (name, owners, expected) in [
            ("none", json!(null), None),
            ("one that is no controller", json!([owner("web", false)]), None),
            ("the second", json!([owner("other", false), owner("web", true)]), Some("ReplicaSet shop/web")),
            ("of another type", json!("web"), None),
        ] {
            let found = controller(&pod(&owners)).map(|owner| owner.to_string());
            assert_eq!(found.as_deref(), expected, "{name}");
        }
        assert_eq!(ObjectRef::of(&pod(&json!([]))).to_string(), "Pod shop/web-1");
        assert_eq!(ObjectRef::of(&json!({})).to_string(), " ");
    }
}
