//! Lists.

use super::{Outcome, mismatch};
use crate::policy::cel::{
    budget::{Budget, Failure},
    operators,
    program::Operator,
    value::Value,
};
use std::cmp::Ordering;

fn items<'a>(name: &str, args: &'a [Value], budget: &Budget) -> Result<&'a [Value], Failure> {
    match args {
        [Value::List(items), ..] => {
            budget.spend(items.len() as u64)?;
            Ok(items)
        }
        _ => Err(mismatch(name, args)),
    }
}

fn ordered(a: &Value, b: &Value, budget: &Budget) -> Result<Ordering, Failure> {
    a.compare(b, budget)?.ok_or_else(|| Failure::new("NaN has no order"))
}

/// The sum; 0 for an empty list, as in Kubernetes.
pub(super) fn sum(args: &[Value], budget: &Budget) -> Outcome {
    let mut items = items("sum", args, budget)?.iter();
    let Some(first) = items.next() else { return Ok(Value::Int(0)) };
    items.try_fold(first.clone(), |sum, item| operators::arithmetic(Operator::Add, &sum, item, budget))
}

fn extreme(name: &str, args: &[Value], wanted: Ordering, budget: &Budget) -> Outcome {
    let mut items = items(name, args, budget)?.iter();
    let first = items.next().ok_or_else(|| Failure::new(format!("{name}() of an empty list")))?;
    items
        .try_fold(first, |best, item| Ok(if ordered(item, best, budget)? == wanted { item } else { best }))
        .cloned()
}

pub(super) fn min(args: &[Value], budget: &Budget) -> Outcome {
    extreme("min", args, Ordering::Less, budget)
}

pub(super) fn max(args: &[Value], budget: &Budget) -> Outcome {
    extreme("max", args, Ordering::Greater, budget)
}

pub(super) fn sort(args: &[Value], budget: &Budget) -> Outcome {
    let mut items = items("sort", args, budget)?.to_vec();
    let mut failure = None;
    items.sort_by(|a, b| {
        if failure.is_some() {
            return Ordering::Equal;
        }
        ordered(a, b, budget).and_then(|order| budget.spend(1).map(|()| order)).unwrap_or_else(|error| {
            failure = Some(error);
            Ordering::Equal
        })
    });
    failure.map_or_else(|| Ok(Value::List(items.into())), Err)
}

pub(super) fn is_sorted(args: &[Value], budget: &Budget) -> Outcome {
    for pair in items("isSorted", args, budget)?.windows(2) {
        if ordered(&pair[0], &pair[1], budget)? == Ordering::Greater {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

pub(super) fn range(args: &[Value], budget: &Budget) -> Outcome {
    let [Value::Int(end)] = args else { return Err(mismatch("lists.range", args)) };
    let count = usize::try_from(*end).map_err(|_| Failure::new("lists.range() of a negative number"))?;
    budget.spend_elements(count)?;
    Ok(Value::List((0..*end).map(Value::Int).collect()))
}
