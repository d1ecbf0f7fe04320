//! Holds a document against the schema of its kind, as `hullmark crds` prints it.
//!
//! The API server drops fields that it does not know, and serde would too; a mistyped rule would then
//! never fire. So an unknown field is refused here, at any depth, with the nearest name that exists.
//! So is a null: an empty value is more often forgotten than meant.

use super::place::Place;
use crate::nearest::did_you_mean;
use kube::CustomResourceExt;
use serde_json::{Map, Value};

/// The schema of a kind, as its CustomResourceDefinition has it.
pub(super) fn of<T: CustomResourceExt>() -> Value {
    serde_json::to_value(T::crd())
        .ok()
        .and_then(|crd| crd.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned())
        .unwrap_or_default()
}

/// Notes everything in `value` that `schema` does not allow.
pub(super) fn check(value: &Value, schema: &Value, at: &Place<'_>) {
    let Some(wanted) = schema["type"].as_str() else { return };
    match (wanted, value) {
        ("object", Value::Object(fields)) => object(fields, schema, at),
        ("array", Value::Array(items)) => {
            count(items.len(), schema, ["minItems", "maxItems"], "items", at);
            unique(items, schema, at);
            for (i, item) in items.iter().enumerate() {
                check(item, &schema["items"], &at.item(i));
            }
        }
        ("string", Value::String(text)) => string(text, schema, at),
        ("boolean", Value::Bool(_)) => {}
        ("integer", Value::Number(number)) => integer(number, schema, at),
        (_, Value::Null) => {
            at.refuse(format!("has no value; leave it out, or give {}", article(wanted)));
        }
        ("string", Value::Number(_) | Value::Bool(_)) => {
            at.refuse(format!("must be a string, not {value}; put it in quotes"));
        }
        _ => at.refuse(format!("must be {}, not {}", article(wanted), kind(value))),
    }
}

fn object(fields: &Map<String, Value>, schema: &Value, at: &Place<'_>) {
    let known = schema["properties"].as_object();
    for (name, value) in fields {
        match known.and_then(|known| known.get(name)) {
            Some(schema) => check(value, schema, &at.field(name)),
            None if schema["additionalProperties"].is_object() => {
                check(value, &schema["additionalProperties"], &at.field(name));
            }
            // Metadata has its own check; the structural schema says nothing of its fields.
            None if known.is_none() => {}
            None => {
                let names = known.into_iter().flat_map(Map::keys).map(String::as_str);
                at.field(name).refuse(did_you_mean("is no field that exists", name, names));
            }
        }
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            at.field(required).refuse("is required");
        }
    }
    count(fields.len(), schema, ["minProperties", "maxProperties"], "fields", at);
}

fn string(text: &str, schema: &Value, at: &Place<'_>) {
    count(text.chars().count(), schema, ["minLength", "maxLength"], "characters", at);
    if let Some(allowed) = schema["enum"].as_array() {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        if !names.contains(&text) {
            let why = format!("{text:?} is not one of {}", names.join(", "));
            at.refuse(did_you_mean(&why, text, names));
        }
    }
}

fn integer(number: &serde_json::Number, schema: &Value, at: &Place<'_>) {
    let Some(number) = number.as_i64() else {
        return at.refuse(format!("must be a whole number, not {number}"));
    };
    let limit = |name: &str| schema[name].as_f64();
    #[expect(clippy::cast_precision_loss, reason = "limits are small")]
    let as_float = number as f64;
    if let Some(min) = limit("minimum").filter(|min| as_float < *min) {
        at.refuse(format!("{number} is less than {min}"));
    }
    let max = if schema["format"] == "int32" { i64::from(i32::MAX) } else { i64::MAX };
    if number > max || limit("maximum").is_some_and(|max| as_float > max) {
        at.refuse(format!("{number} is too large"));
    }
}

fn count(n: usize, schema: &Value, [min, max]: [&str; 2], what: &str, at: &Place<'_>) {
    let limit = |name: &str| schema[name].as_u64().and_then(|limit| usize::try_from(limit).ok());
    if limit(min).is_some_and(|min| n < min) {
        at.refuse(match n {
            0 if what == "fields" => "is empty, so it checks nothing".to_owned(),
            0 => "is empty".to_owned(),
            n => format!("has {n} {what}; at least {} are needed", schema[min]),
        });
    }
    if limit(max).is_some_and(|max| n > max) {
        at.refuse(format!("has {n} {what}; at most {} are allowed", schema[max]));
    }
}

/// Sets have each item once, and maps in the form of a list have each key once.
fn unique(items: &[Value], schema: &Value, at: &Place<'_>) {
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let is_set = schema["x-kubernetes-list-type"] == "set";
    if !is_set && keys.is_empty() {
        return;
    }
    let identity = |item: &Value| match keys.as_slice() {
        [] => item.clone(),
        keys => keys.iter().map(|key| item[*key].clone()).collect(),
    };
    for (i, item) in items.iter().enumerate() {
        if let Some(first) = items[..i].iter().position(|other| identity(other) == identity(item)) {
            let place = keys.first().map_or_else(|| at.item(i), |key| at.item(i).field(key));
            place.refuse(format!("is already there as item {first}"));
        }
    }
}

fn article(kind: &str) -> String {
    match kind {
        "object" => "an object (fields with values)".to_owned(),
        "array" => "a list".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "a whole number".to_owned(),
        kind => format!("a {kind}"),
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("the string {text:?}"),
        value => value.to_string(),
    }
}
