//! As much of JSON Schema (2020-12) as docs/decision-log.schema.json uses. A keyword that is not known here
//! fails the test: a check that is passed over is none.

use regex::Regex;
use serde_json::{Map, Value};

/// Keywords that say nothing about what is valid.
const NOTES: [&str; 5] = ["$schema", "$id", "$defs", "title", "description"];

pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// Everything that is wrong with `value`, each with its place.
    pub(super) fn errors(&self, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(&self.0, value, "$", &mut errors);
        errors
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        let schema = schema.as_object().expect("a schema is an object");
        for (keyword, wanted) in schema {
            let is_good =
                match keyword.as_str() {
                    note if NOTES.contains(&note) => true,
                    "$ref" => {
                        let target = wanted.as_str().unwrap().strip_prefix('#').expect("refers to itself");
                        let target = self.0.pointer(target).unwrap_or_else(|| panic!("no {target}"));
                        self.check(target, value, at, errors);
                        true
                    }
                    "type" => is_of_type(wanted.as_str().unwrap(), value),
                    "const" => wanted == value,
                    "enum" => wanted.as_array().unwrap().contains(value),
                    "anyOf" => wanted.as_array().unwrap().iter().any(|one| self.accepts(one, value)),
                    "minimum" => value.as_f64().is_none_or(|value| value >= wanted.as_f64().unwrap()),
                    "maximum" => value.as_f64().is_none_or(|value| value <= wanted.as_f64().unwrap()),
                    "maxLength" => {
                        let most = usize::try_from(wanted.as_u64().unwrap()).unwrap();
                        value.as_str().is_none_or(|text| text.chars().count() <= most)
                    }
                    "pattern" => {
                        let pattern = Regex::new(wanted.as_str().unwrap()).unwrap();
                        value.as_str().is_none_or(|text| pattern.is_match(text))
                    }
                    "required" => wanted.as_array().unwrap().iter().all(|name| {
                        value.as_object().is_none_or(|it| it.contains_key(name.as_str().unwrap()))
                    }),
                    "items" => {
                        for (nth, item) in value.as_array().into_iter().flatten().enumerate() {
                            self.check(wanted, item, &format!("{at}[{nth}]"), errors);
                        }
                        true
                    }
                    "properties" | "additionalProperties" => {
                        self.check_property_keyword(keyword, schema, value, at, errors);
                        true
                    }
                    unknown => panic!("the test does not know the keyword {unknown}"),
                };
            if !is_good {
                errors.push(format!("{at}: not {keyword} {wanted}: {value}"));
            }
        }
    }

    fn check_property_keyword(
        &self,
        keyword: &str,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
        errors: &mut Vec<String>,
    ) {
        let known = schema["properties"].as_object().unwrap();
        for (name, value) in value.as_object().into_iter().flatten() {
            match known.get(name) {
                Some(schema) if keyword == "properties" => {
                    self.check(schema, value, &format!("{at}.{name}"), errors);
                }
                None if keyword == "additionalProperties" => {
                    assert_eq!(schema[keyword], false);
                    errors.push(format!("{at}.{name}: not in the schema"));
                }
                _ => {}
            }
        }
    }

    fn accepts(&self, schema: &Value, value: &Value) -> bool {
        let mut errors = Vec::new();
        self.check(schema, value, "", &mut errors);
        errors.is_empty()
    }
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the test does not know the type {other}"),
    }
}
