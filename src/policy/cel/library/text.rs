//! Text and patterns.

use super::{Outcome, mismatch};
use crate::policy::cel::{
    budget::{Budget, Failure},
    value::Value,
};
use regex::{Regex, RegexBuilder};
use std::sync::Arc;

/// Bytes of the longest pattern.
const PATTERN_BYTES: usize = 1024;
/// Bytes that a compiled pattern may take.
const COMPILED_BYTES: usize = 256 * 1024;
/// What it costs to compile a pattern while an expression runs.
const COMPILE_UNITS: u64 = 2_000;

/// Compiles a pattern (RE2's syntax; linear time).
pub(in crate::policy::cel) fn regex(pattern: &str) -> Result<Regex, Failure> {
    if pattern.len() > PATTERN_BYTES {
        return Err(Failure::new(format!("the pattern is longer than {PATTERN_BYTES} bytes")));
    }
    RegexBuilder::new(pattern).size_limit(COMPILED_BYTES).dfa_size_limit(COMPILED_BYTES).build().map_err(
        |error| {
            let why = match error {
                regex::Error::CompiledTooBig(_) => "it is too large once compiled".to_owned(),
                // The last line says what; those before draw the pattern.
                other => other
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            };
            Failure::new(format!("the pattern is no regular expression: {why}"))
        },
    )
}

fn dynamic_regex(pattern: &str, budget: &Budget) -> Result<Regex, Failure> {
    budget.spend(COMPILE_UNITS + 4 * pattern.len() as u64)?;
    regex(pattern)
}

pub(super) fn size(args: &[Value], budget: &Budget) -> Outcome {
    let count = match args {
        [Value::String(text)] => {
            budget.spend_text(text.len())?;
            text.chars().count()
        }
        [Value::Bytes(bytes)] => bytes.len(),
        [Value::List(items)] => items.len(),
        [Value::Map(entries)] => entries.len(),
        _ => return Err(mismatch("size", args)),
    };
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn two<'a>(name: &str, args: &'a [Value], budget: &Budget) -> Result<(&'a str, &'a str), Failure> {
    match args {
        [Value::String(text), Value::String(part), ..] => {
            budget.spend_text(text.len())?;
            budget.spend_text(part.len())?;
            Ok((text, part))
        }
        _ => Err(mismatch(name, args)),
    }
}

pub(super) fn contains(args: &[Value], budget: &Budget) -> Outcome {
    two("contains", args, budget).map(|(text, part)| Value::Bool(text.contains(part)))
}

pub(super) fn starts_with(args: &[Value], budget: &Budget) -> Outcome {
    two("startsWith", args, budget).map(|(text, part)| Value::Bool(text.starts_with(part)))
}

pub(super) fn ends_with(args: &[Value], budget: &Budget) -> Outcome {
    two("endsWith", args, budget).map(|(text, part)| Value::Bool(text.ends_with(part)))
}

pub(super) fn matches(args: &[Value], budget: &Budget) -> Outcome {
    let (text, pattern) = two("matches", args, budget)?;
    Ok(Value::Bool(dynamic_regex(pattern, budget)?.is_match(text)))
}

pub(super) fn find(args: &[Value], budget: &Budget) -> Outcome {
    let (text, pattern) = two("find", args, budget)?;
    Ok(first_match(&dynamic_regex(pattern, budget)?, text))
}

pub(super) fn find_all(args: &[Value], budget: &Budget) -> Outcome {
    let (text, pattern) = two("findAll", args, budget)?;
    all_matches(&dynamic_regex(pattern, budget)?, text, args.get(2), budget)
}

/// `find`: the first match, or an empty string.
pub(in crate::policy::cel) fn first_match(regex: &Regex, text: &str) -> Value {
    Value::string(regex.find(text).map_or("", |found| found.as_str()))
}

/// `findAll`: the matches, at most as many as `limit` says.
pub(in crate::policy::cel) fn all_matches(
    regex: &Regex,
    text: &str,
    limit: Option<&Value>,
    budget: &Budget,
) -> Outcome {
    let limit = match limit {
        Some(Value::Int(limit)) => usize::try_from(*limit).unwrap_or(usize::MAX),
        Some(other) => return Err(mismatch("findAll", std::slice::from_ref(other))),
        None => usize::MAX,
    };
    // A match may be empty, so there may be one for every byte.
    budget.spend_elements(text.len().min(limit))?;
    Ok(Value::strings(regex.find_iter(text).take(limit).map(|found| found.as_str())))
}

pub(super) fn replace(args: &[Value], budget: &Budget) -> Outcome {
    let [Value::String(text), Value::String(from), Value::String(to), rest @ ..] = args else {
        return Err(mismatch("replace", args));
    };
    let limit = match rest {
        [] => usize::MAX,
        [Value::Int(limit)] => usize::try_from(*limit).unwrap_or(usize::MAX),
        _ => return Err(mismatch("replace", args)),
    };
    budget.spend_text(text.len())?;
    let count = text.matches(&**from).take(limit).count();
    budget.spend_string(text.len().saturating_add(count.saturating_mul(to.len())))?;
    Ok(Value::String(text.replacen(&**from, to, limit).into()))
}

pub(super) fn split(args: &[Value], budget: &Budget) -> Outcome {
    let (text, separator) = two("split", args, budget)?;
    let limit = match args.get(2) {
        None => usize::MAX,
        Some(Value::Int(limit)) => usize::try_from(*limit).unwrap_or(usize::MAX),
        Some(_) => return Err(mismatch("split", args)),
    };
    let parts: Vec<Value> = if separator.is_empty() {
        // As Go splits: into characters, without empty ends.
        budget.spend_elements(text.len())?;
        let mut rest = text;
        let mut parts = Vec::new();
        while let Some(letter) = rest.chars().next().filter(|_| parts.len() < limit) {
            let end = if parts.len() + 1 == limit { rest.len() } else { letter.len_utf8() };
            parts.push(Value::string(&rest[..end]));
            rest = &rest[end..];
        }
        parts
    } else {
        budget.spend_elements(text.matches(separator).count() + 1)?;
        text.splitn(limit, separator).map(Value::string).collect()
    };
    Ok(Value::List(parts.into()))
}

pub(super) fn join(args: &[Value], budget: &Budget) -> Outcome {
    let (items, separator) = match args {
        [Value::List(items)] => (items, ""),
        [Value::List(items), Value::String(separator)] => (items, &**separator),
        _ => return Err(mismatch("join", args)),
    };
    let mut total = 0_usize;
    let texts = items
        .iter()
        .map(|item| match item {
            Value::String(text) => {
                total = total.saturating_add(text.len()).saturating_add(separator.len());
                Ok(Arc::clone(text))
            }
            other => {
                Err(Failure::new(format!("join() takes a list of strings; one is {}", other.type_name())))
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    budget.spend(items.len() as u64)?;
    budget.spend_string(total)?;
    Ok(Value::string(&texts.join(separator)))
}
