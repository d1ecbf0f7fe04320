//! The types that are known when an expression is compiled.

use std::fmt;

/// A type. `Dyn` is not known: it fits everywhere, and everything fits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Dyn,
    Null,
    Bool,
    Int,
    UInt,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Optional(Box<Type>),
    /// A declared variable or field that has fields itself: its path (`image.platform`).
    Object(String),
    /// A type of Kubernetes' libraries: `Quantity`, `IP`, …
    Named(&'static str),
    /// In signatures: any type, the same wherever the letter stands.
    Letter(char),
}

/// What the letters of a signature stand for.
pub(super) type Bindings = Vec<(char, Type)>;

/// How deep types are known; below, they are `dyn`.
const DEPTH: usize = 8;

const NAMED: [&str; 6] = ["Quantity", "IP", "CIDR", "URL", "Semver", "Format"];

impl Type {
    pub(super) fn list(element: Type) -> Self {
        Self::List(Box::new(element.inside()))
    }

    pub(super) fn map(key: Type, value: Type) -> Self {
        Self::Map(Box::new(key.inside()), Box::new(value.inside()))
    }

    pub(super) fn optional(inner: Type) -> Self {
        Self::Optional(Box::new(inner.inside()))
    }

    /// The type as a part of another. Nobody needs to know what lies very deep.
    fn inside(self) -> Self {
        if self.depth() < DEPTH { self } else { Self::Dyn }
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(inner) | Self::Optional(inner) => 1 + inner.depth(),
            Self::Map(key, value) => 1 + key.depth().max(value.depth()),
            _ => 0,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::UInt | Self::Double)
    }

    /// Reads `list<string>`, `map<A, B>`, `IP`, `A`; gives what is left.
    pub(super) fn read(text: &str) -> Option<(Self, &str)> {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let generic = |rest| {
            let (inner, rest) = Self::read(str::strip_prefix(rest, "<")?)?;
            Some((inner, str::strip_prefix(rest, ">")?))
        };
        Some(match name {
            "dyn" => (Self::Dyn, rest),
            "null" => (Self::Null, rest),
            "bool" => (Self::Bool, rest),
            "int" => (Self::Int, rest),
            "uint" => (Self::UInt, rest),
            "double" => (Self::Double, rest),
            "string" => (Self::String, rest),
            "bytes" => (Self::Bytes, rest),
            "timestamp" => (Self::Timestamp, rest),
            "duration" => (Self::Duration, rest),
            "list" => generic(rest).map(|(inner, rest)| (Self::list(inner), rest))?,
            "optional" => generic(rest).map(|(inner, rest)| (Self::optional(inner), rest))?,
            "map" => {
                let (key, rest) = Self::read(rest.strip_prefix('<')?)?;
                let (value, rest) = Self::read(rest.strip_prefix(", ")?)?;
                (Self::map(key, value), rest.strip_prefix('>')?)
            }
            _ if name.len() == 1 => (Self::Letter(name.chars().next()?), rest),
            _ => (Self::Named(NAMED.into_iter().find(|known| *known == name)?), rest),
        })
    }

    /// Whether a value of type `given` may stand where `self` is wanted.
    pub(super) fn accepts(&self, given: &Type, bindings: &mut Bindings) -> bool {
        match (self, given) {
            (Self::Letter(letter), _) => match bindings.iter().position(|(bound, _)| bound == letter) {
                None => {
                    bindings.push((*letter, given.clone()));
                    true
                }
                // One that is bound to `dyn` stays so: `object.?x.orValue(0)` may be anything.
                Some(found) => bindings[found].1.may_equal(given),
            },
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.accepts(b, bindings),
            (Self::Map(a, b), Self::Map(c, d)) => a.accepts(c, bindings) && b.accepts(d, bindings),
            _ => self == given,
        }
    }

    /// The type with its letters replaced.
    pub(super) fn bound(&self, bindings: &Bindings) -> Self {
        match self {
            Self::Letter(letter) => bindings
                .iter()
                .find(|(bound, _)| bound == letter)
                .map_or(Self::Dyn, |(_, bound)| bound.clone()),
            Self::List(inner) => Self::list(inner.bound(bindings)),
            Self::Optional(inner) => Self::optional(inner.bound(bindings)),
            Self::Map(key, value) => Self::map(key.bound(bindings), value.bound(bindings)),
            _ => self.clone(),
        }
    }

    /// Whether values of the two types can ever be equal.
    pub(super) fn may_equal(&self, other: &Type) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.may_equal(b),
            (Self::Map(a, b), Self::Map(c, d)) => a.may_equal(c) && b.may_equal(d),
            _ => self == other || self.is_number() && other.is_number(),
        }
    }

    /// The type of a value that has one type or the other.
    pub(super) fn join(self, other: Type) -> Type {
        match (self, other) {
            (Self::List(a), Self::List(b)) => Self::list(a.join(*b)),
            (Self::Optional(a), Self::Optional(b)) => Self::optional(a.join(*b)),
            (Self::Map(a, b), Self::Map(c, d)) => Self::map(a.join(*c), b.join(*d)),
            (a, b) if a == b => a,
            _ => Self::Dyn,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::UInt => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(inner) => write!(f, "list<{inner}>"),
            Self::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Self::Optional(inner) => write!(f, "optional<{inner}>"),
            Self::Object(path) => write!(f, "object `{path}`"),
            Self::Named(name) => f.write_str(name),
            Self::Letter(letter) => write!(f, "{letter}"),
        }
    }
}
