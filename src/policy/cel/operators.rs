//! What operators do with values. Overflow is an error, never a wrapped number.

use super::{
    budget::{Budget, Failure},
    program::Operator,
    value::{Key, Value},
};
use std::{cmp::Ordering, sync::Arc};

/// A binary operator on two values.
pub(super) fn binary(operator: Operator, a: &Value, b: &Value, budget: &Budget) -> Result<Value, Failure> {
    let order = |holds: fn(Ordering) -> bool| Ok(Value::Bool(a.compare(b, budget)?.is_some_and(holds)));
    match operator {
        Operator::Equal => a.equals(b, budget).map(Value::Bool),
        Operator::NotEqual => a.equals(b, budget).map(|equal| Value::Bool(!equal)),
        Operator::Less => order(Ordering::is_lt),
        Operator::LessOrEqual => order(Ordering::is_le),
        Operator::Greater => order(Ordering::is_gt),
        Operator::GreaterOrEqual => order(Ordering::is_ge),
        Operator::In => contains(a, b, budget).map(Value::Bool),
        _ => arithmetic(operator, a, b, budget),
    }
}

fn contains(item: &Value, collection: &Value, budget: &Budget) -> Result<bool, Failure> {
    match collection {
        Value::List(items) => {
            for candidate in items.iter() {
                if candidate.equals(item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(entries) => Ok(Key::of(item).is_some_and(|key| entries.contains_key(&key))),
        other => Err(Failure::new(format!("`in` takes a list or a map, not {}", other.type_name()))),
    }
}

/// `+ - * / %`
pub(super) fn arithmetic(
    operator: Operator,
    a: &Value,
    b: &Value,
    budget: &Budget,
) -> Result<Value, Failure> {
    let result = match (a, b) {
        (Value::Int(a), Value::Int(b)) => int(operator, *a, *b)?.map(Value::Int),
        (Value::UInt(a), Value::UInt(b)) => uint(operator, *a, *b)?.map(Value::UInt),
        (Value::Double(a), Value::Double(b)) => match operator {
            Operator::Add => Some(Value::Double(a + b)),
            Operator::Subtract => Some(Value::Double(a - b)),
            Operator::Multiply => Some(Value::Double(a * b)),
            Operator::Divide => Some(Value::Double(a / b)),
            _ => return Err(unfit(operator, "double", "double")),
        },
        _ => match operator {
            Operator::Add => return add(a, b, budget),
            Operator::Subtract => subtract(a, b)?,
            _ => return Err(unfit(operator, a.type_name(), b.type_name())),
        },
    };
    result.ok_or_else(|| Failure::new(format!("`{}` overflows", sign(operator))))
}

fn int(operator: Operator, a: i64, b: i64) -> Result<Option<i64>, Failure> {
    Ok(match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(Failure::new("division by zero")),
        Operator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    })
}

fn uint(operator: Operator, a: u64, b: u64) -> Result<Option<u64>, Failure> {
    Ok(match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(Failure::new("division by zero")),
        Operator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    })
}

fn add(a: &Value, b: &Value, budget: &Budget) -> Result<Value, Failure> {
    let overflow = || Failure::new("`+` overflows");
    match (a, b) {
        (Value::String(a), Value::String(b)) => {
            budget.spend_string(a.len() + b.len())?;
            Ok(Value::String([&**a, &**b].concat().into()))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.spend_string(a.len() + b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        (Value::List(a), Value::List(b)) => {
            budget.spend_elements(a.len() + b.len())?;
            Ok(Value::List(Arc::from([&**a, &**b].concat())))
        }
        (Value::Timestamp(time), Value::Duration(duration))
        | (Value::Duration(duration), Value::Timestamp(time)) => {
            time.checked_add(*duration).map(Value::Timestamp).map_err(|_| overflow())
        }
        (Value::Duration(a), Value::Duration(b)) => {
            a.checked_add(*b).map(Value::Duration).ok_or_else(overflow)
        }
        _ => Err(unfit(Operator::Add, a.type_name(), b.type_name())),
    }
}

fn subtract(a: &Value, b: &Value) -> Result<Option<Value>, Failure> {
    Ok(match (a, b) {
        (Value::Timestamp(time), Value::Duration(duration)) => {
            time.checked_sub(*duration).ok().map(Value::Timestamp)
        }
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(Value::Duration(a.duration_since(*b))),
        (Value::Duration(a), Value::Duration(b)) => a.checked_sub(*b).map(Value::Duration),
        _ => return Err(unfit(Operator::Subtract, a.type_name(), b.type_name())),
    })
}

/// `-value`
pub(super) fn negate(value: &Value) -> Result<Value, Failure> {
    match value {
        Value::Int(number) => {
            number.checked_neg().map(Value::Int).ok_or_else(|| Failure::new("`-` overflows"))
        }
        Value::Double(number) => Ok(Value::Double(-number)),
        other => Err(Failure::new(format!("`-` does not take {}", other.type_name()))),
    }
}

fn unfit(operator: Operator, a: &str, b: &str) -> Failure {
    Failure::new(format!("`{}` does not take {a} and {b}", sign(operator)))
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "==",
        Operator::NotEqual => "!=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::In => "in",
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Remainder => "%",
    }
}
