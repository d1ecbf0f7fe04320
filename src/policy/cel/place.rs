//! Where a chain of fields has got to: a value, or a place in a JSON document that is not copied
//! until its value is used.

use super::{
    budget::{Budget, Failure},
    value::{Key, Value},
};
use crate::image::TextMap;
use serde_json::Value as Json;

/// A place.
#[derive(Clone, Debug)]
pub(super) enum Place<'p> {
    Value(Value),
    Json(&'p Json),
    /// Labels, of which most expressions read one.
    Texts(&'p TextMap),
    /// Behind a `.?` or `[?…]`.
    Optional(Option<&'p Json>),
}

impl Place<'_> {
    /// The value at this place.
    pub(super) fn into_value(self, budget: &Budget) -> Result<Value, Failure> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Json(json) => Value::from_json(json, budget),
            Self::Texts(texts) => Ok(Value::string_map(texts.iter())),
            Self::Optional(None) => Ok(Value::Optional(None)),
            Self::Optional(Some(json)) => Value::from_json(json, budget).map(Value::some),
        }
    }

    /// The field, the key or the position `key`. Behind a `?`, what is missing is `optional.none()`.
    pub(super) fn member(self, key: &Value, optional: bool, budget: &Budget) -> Result<Self, Failure> {
        match self {
            Self::Json(json) if optional => json_member(json, key, true).map(Self::Optional),
            Self::Json(json) => {
                json_member(json, key, false)?.map(Self::Json).ok_or_else(|| no_such_key(key))
            }
            Self::Optional(None) => Ok(Self::Optional(None)),
            Self::Optional(Some(json)) => json_member(json, key, true).map(Self::Optional),
            Self::Value(Value::Optional(None)) => Ok(Self::Value(Value::Optional(None))),
            Self::Value(Value::Optional(Some(inner))) => {
                let found = value_member(&inner, key, true, budget)?;
                Ok(Self::Value(found.map_or(Value::Optional(None), Value::some)))
            }
            Self::Value(value) => found_member(value_member(&value, key, optional, budget)?, key, optional),
            Self::Texts(texts) => {
                budget.spend(1)?;
                let found = if let Value::String(name) = key { texts.get(name) } else { None };
                found_member(found.map(Value::string), key, optional)
            }
        }
    }

    /// `has(place.field)`
    pub(super) fn has(self, field: &str) -> Result<bool, Failure> {
        let key = Value::string(field);
        match self {
            Self::Json(json) => json_member(json, &key, false).map(|found| found.is_some()),
            Self::Texts(texts) => Ok(texts.get(field).is_some()),
            Self::Optional(json) => {
                Ok(json.map(|json| json_member(json, &key, true)).transpose()?.flatten().is_some())
            }
            Self::Value(Value::Map(entries)) => Ok(entries.contains_key(&Key::String(field.into()))),
            Self::Value(Value::Optional(None)) => Ok(false),
            Self::Value(Value::Optional(Some(inner))) => Place::Value((*inner).clone()).has(field),
            Self::Value(other) => Err(no_members(other.type_name(), &key)),
        }
    }
}

/// A member that is there or not.
fn found_member<'p>(found: Option<Value>, key: &Value, optional: bool) -> Result<Place<'p>, Failure> {
    Ok(Place::Value(match (optional, found) {
        (true, found) => found.map_or(Value::Optional(None), Value::some),
        (false, Some(found)) => found,
        (false, None) => return Err(no_such_key(key)),
    }))
}

fn json_member<'p>(json: &'p Json, key: &Value, optional: bool) -> Result<Option<&'p Json>, Failure> {
    match (json, key) {
        (Json::Object(entries), Value::String(field)) => Ok(entries.get(&**field)),
        (Json::Array(items), Value::Int(_) | Value::UInt(_)) => {
            match position(key).and_then(|at| items.get(at)) {
                None if !optional => Err(out_of_range(items.len())),
                found => Ok(found),
            }
        }
        // Kubernetes drops nulls: a field of one is as missing as the null is.
        (Json::Null, _) if optional => Ok(None),
        (Json::Null, _) => Err(no_members("null", key)),
        (Json::Bool(_), _) => Err(no_members("bool", key)),
        (Json::Number(_), _) => Err(no_members("number", key)),
        (Json::String(_), _) => Err(no_members("string", key)),
        (Json::Array(_), _) => Err(no_members("list", key)),
        (Json::Object(_), _) => Err(no_such_key(key)),
    }
}

fn value_member(
    value: &Value,
    key: &Value,
    optional: bool,
    budget: &Budget,
) -> Result<Option<Value>, Failure> {
    budget.spend(1)?;
    match (value, key) {
        (Value::Map(entries), _) => Ok(Key::of(key).and_then(|key| entries.get(&key)).cloned()),
        (Value::List(items), Value::Int(_) | Value::UInt(_)) => {
            match position(key).and_then(|at| items.get(at)).cloned() {
                None if !optional => Err(out_of_range(items.len())),
                found => Ok(found),
            }
        }
        (Value::Null, _) if optional => Ok(None),
        (other, _) => Err(no_members(other.type_name(), key)),
    }
}

fn position(key: &Value) -> Option<usize> {
    match key {
        Value::Int(index) => usize::try_from(*index).ok(),
        Value::UInt(index) => usize::try_from(*index).ok(),
        _ => None,
    }
}

fn no_such_key(key: &Value) -> Failure {
    Failure::new(format!("no such key: {}", shown(key)))
}

fn no_members(kind: &str, key: &Value) -> Failure {
    Failure::new(format!("{kind} has no {}", shown(key)))
}

fn out_of_range(length: usize) -> Failure {
    Failure::new(format!("the index is out of range: the list has {length} elements"))
}

/// A key for a message: keys that are short enough to be written by hand.
fn shown(key: &Value) -> String {
    match key {
        Value::String(text) if text.chars().count() <= 63 => format!("{text:?}"),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        other => format!("that {}", other.type_name()),
    }
}
