//! A small reader of JSON objects whose errors carry the exact field path.
//!
//! `null` is an absent field, as Kubernetes reads it. Only the fields that are asked for are looked
//! at: unknown ones are the API server's business, not ours. A path is written out only where it is told: reading a Pod
//! goes through a hundred.

use super::InvalidWorkload;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// Steps below the root that a path remembers: as many as there are to a field of a container of a CronJob.
const DEPTH: usize = 9;

/// An object in a document and its path. An absent object reads like an empty one.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    value: &'a Value,
    map: Option<&'a Map<String, Value>>,
    path: Path,
}

/// Where something is.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    /// Of the document that is read; empty: it is all that there is.
    root: &'static str,
    steps: [Step; DEPTH],
    length: usize,
}

/// A field, or an item of the list in it.
#[derive(Clone, Copy, Debug, Default)]
struct Step(&'static str, Option<u32>);

impl Path {
    /// What is too deep has the path of what it is in.
    fn then(mut self, step: Step) -> Self {
        if let Some(next) = self.steps.get_mut(self.length) {
            *next = step;
            self.length += 1;
        }
        self
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.root)?;
        let mut dot = if self.root.is_empty() { "" } else { "." };
        for Step(key, item) in self.steps.iter().take(self.length) {
            write!(f, "{dot}{key}")?;
            if let Some(item) = item {
                write!(f, "[{item}]")?;
            }
            dot = ".";
        }
        Ok(())
    }
}

impl<'a> Fields<'a> {
    /// Reads `value`, found at `path` (empty for the document itself), as an object.
    pub(crate) fn new(value: &'a Value, path: &'static str) -> Result<Self, InvalidWorkload> {
        Self::at(value, Path { root: path, ..Path::default() })
    }

    fn at(value: &'a Value, path: Path) -> Result<Self, InvalidWorkload> {
        match value {
            Value::Object(map) => Ok(Self { value, map: Some(map), path }),
            other => Err(wrong_type(path.to_string(), "an object", other)),
        }
    }

    /// The object as written; null where it is absent.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// Where the object was found; empty for the document itself.
    pub(crate) fn path(&self) -> String {
        self.path.to_string()
    }

    /// The path of the field `key`.
    pub(crate) fn path_of(&self, key: &'static str) -> String {
        self.path.then(Step(key, None)).to_string()
    }

    /// The field as it is; none where it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map?.get(key).filter(|value| !value.is_null())
    }

    /// The object in the field `key`.
    pub(crate) fn object(&self, key: &'static str) -> Result<Self, InvalidWorkload> {
        let path = self.path.then(Step(key, None));
        match self.get(key) {
            Some(value) => Self::at(value, path),
            None => Ok(Self { value: &Value::Null, map: None, path }),
        }
    }

    /// The objects in the list `key`.
    pub(crate) fn objects(&self, key: &'static str) -> Result<Vec<Self>, InvalidWorkload> {
        let items = self.list(key)?.iter().enumerate();
        items.map(|(i, item)| Self::at(item, self.path.then(Step(key, u32::try_from(i).ok())))).collect()
    }

    /// The string in the field `key`.
    pub(crate) fn text(&self, key: &'static str) -> Result<Option<&'a str>, InvalidWorkload> {
        self.read(key, "a string", Value::as_str)
    }

    /// The string in the field `key`, which must be there and not be empty.
    pub(crate) fn required_text(&self, key: &'static str) -> Result<&'a str, InvalidWorkload> {
        let missing = || InvalidWorkload { path: self.path_of(key), why: "missing or empty".to_owned() };
        self.text(key)?.filter(|text| !text.is_empty()).ok_or_else(missing)
    }

    /// The whole number in the field `key`.
    pub(crate) fn integer(&self, key: &'static str) -> Result<Option<i64>, InvalidWorkload> {
        self.read(key, "a whole number", Value::as_i64)
    }

    /// The boolean in the field `key`.
    pub(crate) fn boolean(&self, key: &'static str) -> Result<Option<bool>, InvalidWorkload> {
        self.read(key, "true or false", Value::as_bool)
    }

    /// The strings in the list `key`.
    pub(crate) fn texts(&self, key: &'static str) -> Result<Vec<String>, InvalidWorkload> {
        let items = self.list(key)?.iter().enumerate();
        items
            .map(|(i, item)| match item {
                Value::String(text) => Ok(text.clone()),
                other => Err(wrong_type(format!("{}[{i}]", self.path_of(key)), "a string", other)),
            })
            .collect()
    }

    /// The map of strings in the field `key`; a null value is an empty string, as in Go.
    pub(crate) fn text_map(&self, key: &'static str) -> Result<BTreeMap<String, String>, InvalidWorkload> {
        let entries = self.object(key)?.map.into_iter().flatten();
        entries
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name.clone(), text.clone())),
                Value::Null => Ok((name.clone(), String::new())),
                other => Err(wrong_type(format!("{}[{name:?}]", self.path_of(key)), "a string", other)),
            })
            .collect()
    }

    fn list(&self, key: &'static str) -> Result<&'a [Value], InvalidWorkload> {
        Ok(self.read(key, "a list", Value::as_array)?.map_or(&[], Vec::as_slice))
    }

    fn read<T>(
        &self,
        key: &'static str,
        expected: &str,
        as_type: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, InvalidWorkload> {
        self.get(key)
            .map(|value| as_type(value).ok_or_else(|| wrong_type(self.path_of(key), expected, value)))
            .transpose()
    }
}

/// The error says which type was found, never the value: it may be long, or a secret.
fn wrong_type(path: String, expected: &str, found: &Value) -> InvalidWorkload {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let why = if found == "a number" && expected == "a whole number" {
        "expected a whole number of at most 64 bits".to_owned()
    } else {
        format!("expected {expected}, found {found}")
    };
    let path = if path.is_empty() { "the document".to_owned() } else { path };
    InvalidWorkload { path, why }
}
