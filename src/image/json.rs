//! Strict JSON: refuses documents that Go's encoding/json and serde read differently.
//!
//! Go matches struct fields case-insensitively (with Unicode folding) and takes the last of
//! duplicates; serde matches exactly. A document that uses the difference would be judged as one
//! thing and run as another, so it is refused (`reference/registry.md`, S1). Where keys are data
//! (labels, annotations), both sides take the last duplicate and nothing is refused.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{collections::BTreeMap, fmt};

/// By this key `serde_json` marks raw values: it does not read an object with it as others do.
const SERDES_OWN: &str = "$serde_json::private::RawValue";

/// A document that two readers would read differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AmbiguousJson(pub String);

/// Why a document is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Two readers would read it differently.
    Ambiguous(String),
    /// A runtime could not read it either: the field and why.
    Invalid(String),
}

/// A JSON value that keeps the order of keys, and duplicates.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool,
    Number(serde_json::Number),
    String(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// An object in the position of a Go struct: its keys are field names.
#[derive(Clone, Debug)]
pub(super) struct Struct<'a> {
    path: String,
    fields: &'a [(String, Node)],
}

/// Reads a whole document; trailing bytes, a byte order mark and nesting beyond serde's limit are errors.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault::Invalid(format!("not JSON: {error}")))
}

impl Node {
    /// This object as a struct with `known` fields; `path` is where it stands, for messages.
    pub(super) fn structure(&self, path: &str, known: &[&str]) -> Result<Struct<'_>, Fault> {
        let Self::Object(fields) = self else { return Err(self.mismatch(path, "an object")) };
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (key, _) in fields {
            let folded = fold(key);
            if let Some(known) = known.iter().find(|known| fold(known) == folded && *known != key) {
                return Err(Fault::Ambiguous(format!("{}: {known:?} is written {key:?}", place(path))));
            }
            if let Some(first) = seen.insert(folded, key) {
                let message = if first == key {
                    format!("{}: {key:?} is there twice", place(path))
                } else {
                    format!("{}: both {first:?} and {key:?} are there", place(path))
                };
                return Err(Fault::Ambiguous(message));
            }
        }
        Ok(Struct { path: path.to_owned(), fields })
    }

    fn mismatch(&self, path: &str, wanted: &str) -> Fault {
        let found = match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        };
        Fault::Invalid(format!("{}: expected {wanted}, found {found}", place(path)))
    }

    /// A string; Go reads null as the empty one.
    fn text(&self, path: &str) -> Result<String, Fault> {
        match self {
            Self::Null => Ok(String::new()),
            Self::String(text) => Ok(text.clone()),
            _ => Err(self.mismatch(path, "a string")),
        }
    }
}

impl<'a> Struct<'a> {
    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.fields.iter().find(|(key, node)| key == name && *node != Node::Null).map(|(_, node)| node)
    }

    /// The path of a field, for messages.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<String>, Fault> {
        self.get(name).map(|node| node.text(&self.path(name))).transpose()
    }

    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, Fault> {
        let items = self.list(name)?.unwrap_or_default();
        items.iter().enumerate().map(|(at, node)| node.text(&format!("{}[{at}]", self.path(name)))).collect()
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<&'a [Node]>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(Node::Array(items)) => Ok(Some(items)),
            Some(other) => Err(other.mismatch(&self.path(name), "a list")),
        }
    }

    pub(super) fn unsigned(&self, name: &str) -> Result<Option<u64>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(node @ Node::Number(number)) => number
                .as_u64()
                .map(Some)
                .ok_or_else(|| node.mismatch(&self.path(name), "a whole number that is not negative")),
            Some(other) => Err(other.mismatch(&self.path(name), "a number")),
        }
    }

    /// A field that is itself a struct.
    pub(super) fn structure(&self, name: &str, known: &[&str]) -> Result<Option<Struct<'a>>, Fault> {
        self.get(name).map(|node| node.structure(&self.path(name), known)).transpose()
    }

    /// A map of strings: its keys are data, the last of duplicates wins, as in Go and serde alike.
    pub(super) fn string_map(&self, name: &str) -> Result<BTreeMap<String, String>, Fault> {
        let entry = |(key, node): &(String, Node)| {
            node.text(&format!("{}.{}", self.path(name), key.escape_default()))
                .map(|text| (key.clone(), text))
        };
        self.entries(name)?.iter().map(entry).collect()
    }

    /// The keys of a Go `map[string]struct{}`, in order.
    pub(super) fn keys(&self, name: &str) -> Result<Vec<String>, Fault> {
        let key = |(key, node): &(String, Node)| match node {
            Node::Null | Node::Object(_) => Ok(key.clone()),
            other => {
                Err(other.mismatch(&format!("{}.{}", self.path(name), key.escape_default()), "an object"))
            }
        };
        self.entries(name)?.iter().map(key).collect()
    }

    fn entries(&self, name: &str) -> Result<&'a [(String, Node)], Fault> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Node::Object(entries)) => Ok(entries),
            Some(other) => Err(other.mismatch(&self.path(name), "an object")),
        }
    }
}

fn place(path: &str) -> &str {
    if path.is_empty() { "the document" } else { path }
}

/// Go's simple Unicode fold, as far as it reaches ASCII names: besides case, KELVIN SIGN is a `k` and
/// LATIN SMALL LETTER LONG S an `s`.
fn fold(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '\u{212A}' => 'k',
            '\u{017F}' => 's',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Bool)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Node::Null, Node::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Node::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Node>()? {
            if key == SERDES_OWN {
                return Err(serde::de::Error::custom(format!(
                    "the key {key:?} is not a plain key to every reader"
                )));
            }
            all.push((key, value));
        }
        Ok(Node::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_that_go_and_serde_read_differently_is_refused() {
        let rows = [
            ("duplicate", r#"{"User":"1","User":"0"}"#, "\"User\" is there twice"),
            ("other case of a known field", r#"{"user":"0"}"#, "\"User\" is written \"user\""),
            ("long s", "{\"U\u{17F}er\":\"0\"}", "\"User\" is written"),
            ("kelvin sign", "{\"to\u{212A}en\":\"0\"}", "\"token\" is written"),
            ("unknown fields of one fold", r#"{"x":1,"X":2}"#, "both \"x\" and \"X\""),
            ("unknown duplicate", r#"{"x":1,"x":2}"#, "\"x\" is there twice"),
        ];
        for (name, text, why) in rows {
            let node = parse(text.as_bytes()).unwrap();
            match node.structure("config", &["User", "token"]) {
                Err(Fault::Ambiguous(message)) => assert!(message.contains(why), "{name}: {message}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = "[".repeat(10_000);
        // Found by fuzzing.
        let own = r#"{"a":{"$serde_json::private::RawValue":1}}"#;
        for text in ["", "{", "nul", "{} {}", "\u{FEFF}{}", "{'a':1}", "[1e999]", &deep, "{\"a\":NaN}", own] {
            assert!(
                matches!(parse(text.as_bytes()), Err(Fault::Invalid(_))),
                "{:?}",
                &text[..text.len().min(20)]
            );
        }
        assert!(matches!(parse(b"\"\xff\""), Err(Fault::Invalid(_))));
    }

    #[test]
    fn fields_are_read_as_go_reads_them() {
        let text = r#"{"s":"a","n":null,"l":["a",null],"m":{"k":"1","k":"2","e":null},"k":{"/b":{},"/a":null},"u":7}"#;
        let node = parse(text.as_bytes()).unwrap();
        let fields = node.structure("", &[]).unwrap();
        assert_eq!(fields.string("s"), Ok(Some("a".into())));
        assert_eq!((fields.string("n"), fields.string("absent")), (Ok(None), Ok(None)));
        assert_eq!(fields.strings("l"), Ok(vec!["a".into(), String::new()]));
        assert_eq!(
            fields.string_map("m"),
            Ok(BTreeMap::from([("k".into(), "2".into()), ("e".into(), String::new())]))
        );
        assert_eq!(fields.keys("k"), Ok(vec!["/b".into(), "/a".into()]));
        assert_eq!(fields.unsigned("u"), Ok(Some(7)));
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path() {
        let node =
            parse(br#"{"s":1,"l":"x","i":["a",1],"m":{"k":1},"k":["x"],"v":{"/x":"y"},"u":-1,"f":1.5}"#)
                .unwrap();
        let fields = node.structure("config", &[]).unwrap();
        let rows = [
            (fields.string("s").unwrap_err(), "config.s: expected a string, found a number"),
            (fields.strings("l").unwrap_err(), "config.l: expected a list, found a string"),
            (fields.strings("i").unwrap_err(), "config.i[1]: expected a string, found a number"),
            (fields.string_map("m").unwrap_err(), "config.m.k: expected a string, found a number"),
            (fields.keys("k").unwrap_err(), "config.k: expected an object, found a list"),
            (fields.keys("v").unwrap_err(), "config.v./x: expected an object, found a string"),
            (
                fields.unsigned("u").unwrap_err(),
                "config.u: expected a whole number that is not negative, found a number",
            ),
            (
                fields.unsigned("f").unwrap_err(),
                "config.f: expected a whole number that is not negative, found a number",
            ),
            (fields.structure("s", &[]).unwrap_err(), "config.s: expected an object, found a number"),
        ];
        for (fault, why) in rows {
            assert_eq!(fault, Fault::Invalid(why.into()));
        }
    }
}
