//! A review as a tree, without the parts of a Pod that nothing here reads: probes, resources, what the API server
//! keeps for itself. They are most of a Pod, and building them is most of what reading it costs.
//!
//! Only for policies none of whose expressions names `object`, `oldObject` or `container`. What is left out is named
//! key by key, where it stands: a label may be called `status`.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt};

/// A place in a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Review,
    Request,
    /// A Pod, its template, or what holds one.
    Object,
    Metadata,
    /// A Pod's spec, or that of what holds a template.
    Spec,
    Containers,
    Container,
    Volumes,
    Volume,
    /// Everything from here on is kept.
    Whole,
}

impl Part {
    /// What stands below `key`; none: it is left out.
    fn below(self, key: &str) -> Option<Self> {
        use Part::{Container, Containers, Metadata, Object, Request, Review, Spec, Volumes, Whole};
        if self == Self::Volume && !matches!(key, "name" | "image") {
            return None;
        }
        Some(match (self, key) {
            (Review, "request") => Request,
            (Request, "object" | "oldObject") | (Spec, "template" | "jobTemplate") => Object,
            (Object, "metadata") => Metadata,
            (Object, "spec") => Spec,
            (Spec, "containers" | "initContainers" | "ephemeralContainers") => Containers,
            (Spec, "volumes") => Volumes,
            (Object, "status")
            | (
                Metadata,
                // Not `ownerReferences` and `uid`: they say about whom the log and Events speak.
                "managedFields" | "creationTimestamp" | "resourceVersion" | "generation",
            )
            | (
                Spec,
                "tolerations"
                | "topologySpreadConstraints"
                | "hostAliases"
                | "dnsConfig"
                | "dnsPolicy"
                | "enableServiceLinks"
                | "preemptionPolicy"
                | "priority"
                | "schedulerName"
                | "terminationGracePeriodSeconds",
            )
            | (
                Container,
                "livenessProbe"
                | "readinessProbe"
                | "startupProbe"
                | "resources"
                | "ports"
                | "resizePolicy"
                | "terminationMessagePath"
                | "terminationMessagePolicy"
                | "imagePullPolicy",
            ) => return None,
            _ => Whole,
        })
    }

    /// What an item of a list is.
    fn item(self) -> Self {
        match self {
            Self::Containers => Self::Container,
            Self::Volumes => Self::Volume,
            _ => Self::Whole,
        }
    }
}

/// Reads a review.
///
/// # Errors
/// As `serde_json` has them for the whole.
pub(super) fn read(body: &[u8]) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let review = Part::Review.deserialize(&mut reader)?;
    reader.end()?;
    Ok(review)
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self == Self::Whole {
            return serde::Deserialize::deserialize(deserializer);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self.item())? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(Key(key)) = entries.next_key()? {
            match self.below(&key) {
                None => _ = entries.next_value::<IgnoredAny>()?,
                Some(part) => _ = all.insert(key.into_owned(), entries.next_value_seed(part)?),
            }
        }
        Ok(Value::Object(all))
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn leaves_out_what_nobody_reads_and_nothing_else() {
        let container = json!({ "name": "a", "image": "b", "env": [{ "name": "status" }], "livenessProbe": {}, "resources": {} });
        let pod = |container: &Value| {
            json!({
                "metadata": { "labels": { "status": "x", "resources": "y", "managedFields": "z" }, "managedFields": [1], "ownerReferences": [{}] },
                "spec": {
                    "containers": [container], "tolerations": [{}], "priority": 0, "nodeSelector": { "tolerations": "q" },
                    "volumes": [{ "name": "v", "image": { "reference": "i" } }, { "name": "w", "projected": {} }],
                },
                "status": { "phase": "Pending" },
            })
        };
        let review = json!({ "kind": "AdmissionReview", "n": [1, -1, 1.5, true, null, "é\n"], "request": {
            "uid": "u", "object": { "spec": { "template": pod(&container) } }, "oldObject": null, "status": "kept",
        } });
        let read = read(review.to_string().as_bytes()).unwrap();
        let kept = json!({ "name": "a", "image": "b", "env": [{ "name": "status" }] });
        let template = json!({
            "metadata": { "labels": { "status": "x", "resources": "y", "managedFields": "z" }, "ownerReferences": [{}] },
            "spec": {
                "containers": [kept], "nodeSelector": { "tolerations": "q" },
                "volumes": [{ "name": "v", "image": { "reference": "i" } }, { "name": "w" }],
            },
        });
        let expected = json!({ "kind": "AdmissionReview", "n": [1, -1, 1.5, true, null, "é\n"], "request": {
            "uid": "u", "object": { "spec": { "template": template } }, "oldObject": null, "status": "kept",
        } });
        assert_eq!(read, expected);
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in ["", "{", "{} {}", "{\"request\":{\"object\":{\"status\":{]}}}", "[1,]", "nul"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
        let deep = format!("{{\"request\":{{\"object\":{}1{}}}}}", "[".repeat(1000), "]".repeat(1000));
        assert!(read(deep.as_bytes()).is_err(), "too deep");
    }
}
