//! The values that expressions work on: cheap to copy, maps in the order of their keys so that
//! every run gives the same text.

use super::budget::{Budget, Failure, VALUE_DEPTH};
use kube_cel::cel::{
    self,
    objects::{Opaque, OptionalValue},
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

/// A value.
#[derive(Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    Timestamp(jiff::Timestamp),
    Duration(jiff::SignedDuration),
    List(Arc<[Value]>),
    Map(Arc<BTreeMap<Key, Value>>),
    Optional(Option<Arc<Value>>),
    /// A quantity, an IP address, a URL, … of `kube-cel`.
    Opaque(Arc<dyn Opaque>),
}

/// A map's key. An unsigned number that fits is an `Int`, so that `1` and `1u` are one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bool(bool),
    Int(i64),
    UInt(u64),
    String(Arc<str>),
}

/// Its type only: values may be secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}

impl Value {
    pub(super) fn string(text: &str) -> Self {
        Self::String(text.into())
    }

    pub(super) fn strings<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(|item| Self::string(item.as_ref())).collect())
    }

    pub(super) fn string_map<K: AsRef<str>, V: AsRef<str>>(
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let entry = |(key, value): (K, V)| (Key::String(key.as_ref().into()), Self::string(value.as_ref()));
        Self::Map(Arc::new(entries.into_iter().map(entry).collect()))
    }

    pub(super) fn some(value: Value) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    /// What the value is called in messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::UInt(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Optional(_) => "optional",
            Self::Opaque(_) => "object",
        }
    }

    /// Whether it is the zero of its type: `has()` of a declared field and `optional.ofNonZeroValue`.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) | Self::Int(0) | Self::UInt(0) | Self::Optional(None) => true,
            Self::Double(number) => *number == 0.0,
            Self::String(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
            Self::Duration(duration) => duration.is_zero(),
            _ => false,
        }
    }

    /// A JSON document as a value.
    pub(super) fn from_json(json: &serde_json::Value, budget: &Budget) -> Result<Self, Failure> {
        budget.spend(1)?;
        Ok(match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map(Self::Int)
                .or_else(|| number.as_u64().map(Self::UInt))
                .unwrap_or_else(|| Self::Double(number.as_f64().unwrap_or(f64::NAN))),
            serde_json::Value::String(text) => {
                budget.spend_text(text.len())?;
                Self::string(text)
            }
            serde_json::Value::Array(items) => {
                Self::List(items.iter().map(|item| Self::from_json(item, budget)).collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(entries) => Self::Map(Arc::new(
                entries
                    .iter()
                    .map(|(key, value)| {
                        Ok((Key::String(key.as_str().into()), Self::from_json(value, budget)?))
                    })
                    .collect::<Result<_, Failure>>()?,
            )),
        })
    }

    /// Walks the whole value and pays for it; needed before anything that is not metered walks it.
    /// A value that holds the same list many times costs what its text would.
    pub(super) fn weigh(&self, budget: &Budget) -> Result<(), Failure> {
        self.weigh_below(budget, 0)
    }

    fn weigh_below(&self, budget: &Budget, depth: usize) -> Result<(), Failure> {
        if depth > VALUE_DEPTH {
            return Err(Failure::limit(format!("makes lists or maps that are more than {VALUE_DEPTH} deep")));
        }
        match self {
            Self::String(text) => budget.spend_text(text.len()),
            Self::Bytes(bytes) => budget.spend_text(bytes.len()),
            Self::List(items) => {
                budget.spend(1)?;
                items.iter().try_for_each(|item| item.weigh_below(budget, depth + 1))
            }
            Self::Map(entries) => {
                budget.spend(1 + entries.len() as u64)?;
                entries.values().try_for_each(|value| value.weigh_below(budget, depth + 1))
            }
            Self::Optional(Some(value)) => value.weigh_below(budget, depth + 1),
            _ => budget.spend(1),
        }
    }

    /// CEL's equality: numbers across their types, everything else only within its type.
    pub(super) fn equals(&self, other: &Self, budget: &Budget) -> Result<bool, Failure> {
        budget.spend(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) | (Self::Optional(None), Self::Optional(None)) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::String(a), Self::String(b)) => {
                budget.spend_text(a.len().min(b.len()))?;
                a == b
            }
            (Self::Bytes(a), Self::Bytes(b)) => {
                budget.spend_text(a.len().min(b.len()))?;
                a == b
            }
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && all(a.iter().zip(b.iter()), |(a, b)| a.equals(b, budget))?
            }
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len()
                    && all(a.iter(), |(key, value)| match b.get(key) {
                        Some(other) => value.equals(other, budget),
                        None => Ok(false),
                    })?
            }
            (Self::Optional(Some(a)), Self::Optional(Some(b))) => a.equals(b, budget)?,
            (Self::Opaque(a), Self::Opaque(b)) => a.opaque_eq(b.as_ref()),
            _ => compare_numbers(self, other) == Some(Ordering::Equal),
        })
    }

    /// CEL's order of values that have one; `None` for NaN.
    pub(super) fn compare(&self, other: &Self, budget: &Budget) -> Result<Option<Ordering>, Failure> {
        Ok(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::String(a), Self::String(b)) => {
                budget.spend_text(a.len().min(b.len()))?;
                Some(a.cmp(b))
            }
            (Self::Bytes(a), Self::Bytes(b)) => {
                budget.spend_text(a.len().min(b.len()))?;
                Some(a.cmp(b))
            }
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (
                Self::Int(_) | Self::UInt(_) | Self::Double(_),
                Self::Int(_) | Self::UInt(_) | Self::Double(_),
            ) => compare_numbers(self, other),
            _ => {
                return Err(Failure::new(format!(
                    "{} and {} have no order",
                    self.type_name(),
                    other.type_name()
                )));
            }
        })
    }

    /// The value as `kube-cel` knows it. The caller has weighed it. Times become their text: the
    /// functions behind the bridge only print them.
    pub(super) fn to_cel(&self) -> cel::Value {
        match self {
            Self::Null => cel::Value::Null,
            Self::Bool(value) => cel::Value::Bool(*value),
            Self::Int(number) => cel::Value::Int(*number),
            Self::UInt(number) => cel::Value::UInt(*number),
            Self::Double(number) => cel::Value::Float(*number),
            Self::String(text) => cel::Value::String(Arc::new(text.to_string())),
            Self::Bytes(bytes) => cel::Value::Bytes(Arc::new(bytes.to_vec())),
            Self::Timestamp(time) => cel::Value::String(Arc::new(time.to_string())),
            Self::Duration(duration) => cel::Value::String(Arc::new(super::time::format_duration(*duration))),
            Self::List(items) => cel::Value::List(Arc::new(items.iter().map(Self::to_cel).collect())),
            Self::Map(entries) => {
                let entry = |(key, value): (&Key, &Value)| (cel::objects::Key::from(key), value.to_cel());
                let map: HashMap<_, _> = entries.iter().map(entry).collect();
                cel::Value::Map(cel::objects::Map { map: Arc::new(map) })
            }
            Self::Optional(None) => cel::Value::Opaque(Arc::new(OptionalValue::none())),
            Self::Optional(Some(value)) => cel::Value::Opaque(Arc::new(OptionalValue::of(value.to_cel()))),
            Self::Opaque(value) => cel::Value::Opaque(value.clone()),
        }
    }

    /// A value that `kube-cel` gave; none if it is of a kind that we do not know.
    pub(super) fn from_cel(value: &cel::Value) -> Option<Self> {
        Some(match value {
            cel::Value::Null => Self::Null,
            cel::Value::Bool(value) => Self::Bool(*value),
            cel::Value::Int(number) => Self::Int(*number),
            cel::Value::UInt(number) => Self::UInt(*number),
            cel::Value::Float(number) => Self::Double(*number),
            cel::Value::String(text) => Self::string(text),
            cel::Value::Bytes(bytes) => Self::Bytes(bytes.as_slice().into()),
            cel::Value::List(items) => Self::List(items.iter().map(Self::from_cel).collect::<Option<_>>()?),
            cel::Value::Map(map) => Self::Map(Arc::new(
                map.map
                    .iter()
                    .map(|(key, value)| Some((Key::from(key), Self::from_cel(value)?)))
                    .collect::<Option<_>>()?,
            )),
            cel::Value::Opaque(value) => match value.downcast_ref::<OptionalValue>() {
                Some(optional) => match optional.value() {
                    Some(value) => Self::some(Self::from_cel(value)?),
                    None => Self::Optional(None),
                },
                None => Self::Opaque(value.clone()),
            },
            _ => return None,
        })
    }
}

impl Key {
    /// The key that a value is; none if it cannot be one.
    pub(super) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(number) => Self::Int(*number),
            Value::UInt(number) => i64::try_from(*number).map_or(Self::UInt(*number), Self::Int),
            #[expect(clippy::cast_possible_truncation, reason = "only whole numbers in range get here")]
            Value::Double(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
                Self::Int(*number as i64)
            }
            Value::String(text) => Self::String(text.clone()),
            _ => return None,
        })
    }

    pub(super) fn value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(number) => Value::Int(*number),
            Self::UInt(number) => Value::UInt(*number),
            Self::String(text) => Value::String(text.clone()),
        }
    }
}

impl From<&Key> for cel::objects::Key {
    fn from(key: &Key) -> Self {
        match key {
            Key::Bool(value) => Self::Bool(*value),
            Key::Int(number) => Self::Int(*number),
            Key::UInt(number) => Self::Uint(*number),
            Key::String(text) => Self::String(Arc::new(text.to_string())),
        }
    }
}

impl From<&cel::objects::Key> for Key {
    fn from(key: &cel::objects::Key) -> Self {
        match key {
            cel::objects::Key::Bool(value) => Self::Bool(*value),
            cel::objects::Key::Int(number) => Self::Int(*number),
            cel::objects::Key::Uint(number) => i64::try_from(*number).map_or(Self::UInt(*number), Self::Int),
            cel::objects::Key::String(text) => Self::String(text.as_str().into()),
        }
    }
}

fn all<T>(
    items: impl Iterator<Item = T>,
    mut holds: impl FnMut(T) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    for item in items {
        if !holds(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Numbers of any two types, compared by their mathematical value.
#[expect(clippy::cast_precision_loss, reason = "CEL compares a double with an int as doubles")]
fn compare_numbers(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::UInt(a), Value::UInt(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::UInt(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::UInt(a), Value::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Double(b)) => (*a as f64).partial_cmp(b),
        (Value::UInt(a), Value::Double(b)) => (*a as f64).partial_cmp(b),
        (Value::Double(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Double(a), Value::UInt(b)) => a.partial_cmp(&(*b as f64)),
        _ => None,
    }
}
