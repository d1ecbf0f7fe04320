//! Conversions between types, JSON and optionals.

use super::{Outcome, mismatch};
use crate::policy::cel::{
    budget::{Budget, Failure},
    time::{format_duration, parse_duration},
    value::Value,
};
use std::str::FromStr;

/// Reads a number or the like out of text.
fn parsed<T: FromStr>(text: &str, kind: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::new(format!("the text is no {kind}")))
}

fn overflow(kind: &str) -> Failure {
    Failure::new(format!("the number does not fit into {kind}"))
}

pub(super) fn bool(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [Value::Bool(value)] => Ok(Value::Bool(*value)),
        [Value::String(text)] => match &**text {
            "1" | "t" | "true" | "T" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "false" | "F" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => Err(Failure::new("the text is no bool")),
        },
        _ => Err(mismatch("bool", args)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn int(args: &[Value], _: &Budget) -> Outcome {
    Ok(Value::Int(match args {
        [Value::Int(number)] => *number,
        [Value::UInt(number)] => i64::try_from(*number).map_err(|_| overflow("int"))?,
        [Value::Double(number)] if *number > -9.2e18 && *number < 9.2e18 => *number as i64,
        [Value::Double(_)] => return Err(overflow("int")),
        [Value::String(text)] => parsed(text, "int")?,
        [Value::Timestamp(time)] => time.as_second(),
        _ => return Err(mismatch("int", args)),
    }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
pub(super) fn uint(args: &[Value], _: &Budget) -> Outcome {
    Ok(Value::UInt(match args {
        [Value::UInt(number)] => *number,
        [Value::Int(number)] => u64::try_from(*number).map_err(|_| overflow("uint"))?,
        [Value::Double(number)] if *number >= 0.0 && *number < 1.8e19 => *number as u64,
        [Value::Double(_)] => return Err(overflow("uint")),
        [Value::String(text)] => parsed(text, "uint")?,
        _ => return Err(mismatch("uint", args)),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "CEL converts so")]
pub(super) fn double(args: &[Value], _: &Budget) -> Outcome {
    Ok(Value::Double(match args {
        [Value::Double(number)] => *number,
        [Value::Int(number)] => *number as f64,
        [Value::UInt(number)] => *number as f64,
        [Value::String(text)] => parsed(text, "double")?,
        _ => return Err(mismatch("double", args)),
    }))
}

pub(super) fn string(args: &[Value], budget: &Budget) -> Outcome {
    let text = match args {
        [Value::String(_)] => return Ok(args[0].clone()),
        [Value::Bool(value)] => value.to_string(),
        [Value::Int(number)] => number.to_string(),
        [Value::UInt(number)] => number.to_string(),
        [Value::Double(number)] => number.to_string(),
        [Value::Timestamp(time)] => time.to_string(),
        [Value::Duration(duration)] => format_duration(*duration),
        [Value::Bytes(bytes)] => {
            budget.spend_string(bytes.len())?;
            String::from_utf8(bytes.to_vec()).map_err(|_| Failure::new("the bytes are not UTF-8"))?
        }
        [Value::Opaque(_)] => {
            return super::bridged("string", &super::call_of("string", false, 1), args, budget);
        }
        _ => return Err(mismatch("string", args)),
    };
    Ok(Value::String(text.into()))
}

pub(super) fn bytes(args: &[Value], budget: &Budget) -> Outcome {
    match args {
        [Value::Bytes(_)] => Ok(args[0].clone()),
        [Value::String(text)] => {
            budget.spend_text(text.len())?;
            Ok(Value::Bytes(text.as_bytes().into()))
        }
        _ => Err(mismatch("bytes", args)),
    }
}

pub(super) fn dynamic(args: &[Value], _: &Budget) -> Outcome {
    args.first().cloned().ok_or_else(|| mismatch("dyn", args))
}

pub(super) fn timestamp(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [Value::Timestamp(_)] => Ok(args[0].clone()),
        [Value::String(text)] => parsed(text, "timestamp").map(Value::Timestamp),
        [Value::Int(seconds)] => {
            jiff::Timestamp::from_second(*seconds).map(Value::Timestamp).map_err(|_| overflow("timestamp"))
        }
        _ => Err(mismatch("timestamp", args)),
    }
}

pub(super) fn duration(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [Value::Duration(_)] => Ok(args[0].clone()),
        [Value::String(text)] => parse_duration(text)
            .map(Value::Duration)
            .ok_or_else(|| Failure::new("the text is no duration (`36h`, `1h30m`; a day is 24h)")),
        _ => Err(mismatch("duration", args)),
    }
}

/// JSON inside a string: labels of buildpacks, `BuildKit`'s build info.
pub(super) fn json(args: &[Value], budget: &Budget) -> Outcome {
    let [Value::String(text)] = args else { return Err(mismatch("json.parse", args)) };
    // A document's tree takes more memory than its text.
    budget.spend_string(text.len())?;
    budget.spend(text.len() as u64 / 4)?;
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        Failure::new(format!("the text is no JSON (line {}, column {})", error.line(), error.column()))
    })?;
    Value::from_json(&json, budget)
}

pub(super) fn optional_of(args: &[Value], _: &Budget) -> Outcome {
    args.first().cloned().map(Value::some).ok_or_else(|| mismatch("optional.of", args))
}

pub(super) fn optional_of_non_zero(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [value] if value.is_zero() => Ok(Value::Optional(None)),
        [value] => Ok(Value::some(value.clone())),
        _ => Err(mismatch("optional.ofNonZeroValue", args)),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the library have one form")]
pub(super) fn optional_none(_: &[Value], _: &Budget) -> Outcome {
    Ok(Value::Optional(None))
}

pub(super) fn has_value(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [Value::Optional(value)] => Ok(Value::Bool(value.is_some())),
        _ => Err(mismatch("hasValue", args)),
    }
}

pub(super) fn optional_value(args: &[Value], _: &Budget) -> Outcome {
    match args {
        [Value::Optional(Some(value))] => Ok((**value).clone()),
        [Value::Optional(None)] => Err(Failure::new("value() of an optional that has none; use orValue()")),
        _ => Err(mismatch("value", args)),
    }
}
