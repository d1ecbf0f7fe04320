//! The functions behind the names: ours where their cost must be counted or their meaning is CEL's
//! own (`size` counts code points, patterns are bounded), `kube-cel`'s for Kubernetes' libraries.

mod convert;
mod lists;
mod text;
mod times;

pub(super) use text::{all_matches, first_match, regex};

use super::{
    budget::{Budget, Failure, STRING_BYTES},
    program::{Function, Native},
    signatures,
    value::Value,
};
use kube_cel::{
    KubeCelExt as _,
    cel::{
        self, Context,
        common::ast::{CallExpr, Expr, IdedExpr},
    },
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
};

/// What is said of a function that panicked.
pub(super) const PANICKED: &str = "a function failed on these values";

type Outcome = Result<Value, Failure>;

/// `kube-cel`'s functions, registered once for the process.
static BRIDGE: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

const ARGUMENTS: [&str; 4] = ["a0", "a1", "a2", "a3"];

/// Ours.
const NATIVES: &[(&str, Native)] = &[
    ("size", text::size),
    ("contains", text::contains),
    ("startsWith", text::starts_with),
    ("endsWith", text::ends_with),
    ("matches", text::matches),
    ("find", text::find),
    ("findAll", text::find_all),
    ("replace", text::replace),
    ("split", text::split),
    ("join", text::join),
    ("bool", convert::bool),
    ("int", convert::int),
    ("uint", convert::uint),
    ("double", convert::double),
    ("bytes", convert::bytes),
    ("dyn", convert::dynamic),
    ("timestamp", convert::timestamp),
    ("duration", convert::duration),
    ("json.parse", convert::json),
    ("optional.of", convert::optional_of),
    ("optional.ofNonZeroValue", convert::optional_of_non_zero),
    ("optional.none", convert::optional_none),
    ("hasValue", convert::has_value),
    ("value", convert::optional_value),
    ("sum", lists::sum),
    ("min", lists::min),
    ("max", lists::max),
    ("sort", lists::sort),
    ("isSorted", lists::is_sorted),
    ("lists.range", lists::range),
    ("getFullYear", times::full_year),
    ("getMonth", times::month),
    ("getDate", times::date),
    ("getDayOfMonth", times::day_of_month),
    ("getDayOfWeek", times::day_of_week),
    ("getDayOfYear", times::day_of_year),
    ("getHours", times::hours),
    ("getMinutes", times::minutes),
    ("getSeconds", times::seconds),
    ("getMilliseconds", times::milliseconds),
];

/// The function of a name that the signatures know.
pub(super) fn function(name: &str, is_method: bool, arity: usize) -> Function {
    if let Some((_, native)) = NATIVES.iter().find(|(native, _)| *native == name) {
        return Function::Native(*native);
    }
    if name == "string" {
        return Function::Native(convert::string);
    }
    let name = signatures::names().find(|known| *known == name).unwrap_or_default();
    Function::Bridged { name, call: Arc::new(call_of(name, is_method, arity)) }
}

/// `a0.name(a1)` or `name(a0, a1)` as `cel` writes it.
fn call_of(name: &str, is_method: bool, arity: usize) -> IdedExpr {
    let argument = |name: &&str| IdedExpr { id: 0, expr: Expr::Ident((*name).to_owned()) };
    let mut args: Vec<IdedExpr> = ARGUMENTS.iter().take(arity).map(argument).collect();
    let target = (is_method && !args.is_empty()).then(|| Box::new(args.remove(0)));
    IdedExpr { id: 0, expr: Expr::Call(CallExpr { func_name: name.to_owned(), target, args }) }
}

/// Calls a function; the receiver is the first argument.
pub(super) fn call(function: &Function, args: &[Value], budget: &Budget) -> Outcome {
    match function {
        Function::Native(native) => native(args, budget),
        Function::Bridged { name, call } => bridged(name, call, args, budget),
    }
}

fn bridged(name: &str, call: &IdedExpr, args: &[Value], budget: &Budget) -> Outcome {
    guard(name, args, budget)?;
    for arg in args {
        // Each value is copied in and back out.
        arg.weigh(budget)?;
        arg.weigh(budget)?;
    }
    let mut context = BRIDGE.new_inner_scope();
    for (variable, arg) in ARGUMENTS.iter().zip(args) {
        context.add_variable_from_value(*variable, arg.to_cel());
    }
    let refused = || {
        let types: Vec<&str> = args.iter().map(Value::type_name).collect();
        // The library's own text quotes values, which may be secret.
        Failure::new(format!("{name}() cannot take these values ({})", types.join(", ")))
    };
    // Not our code: should a value make it panic, then the call has no value.
    let value = catch_unwind(AssertUnwindSafe(|| cel::Value::resolve(call, &context)))
        .map_err(|_| Failure::new(PANICKED))?
        .map_err(|_| refused())?;
    let value = Value::from_cel(&value).ok_or_else(refused)?;
    value.weigh(budget)?;
    Ok(value)
}

/// What the library does not bound itself.
fn guard(name: &str, args: &[Value], budget: &Budget) -> Result<(), Failure> {
    let length = |index: usize| match args.get(index) {
        Some(Value::List(items)) => items.len() as u64,
        Some(Value::String(text)) => text.len() as u64,
        _ => 1,
    };
    match (name, args) {
        // These compare every element with every other.
        ("sets.contains" | "sets.equivalent" | "sets.intersects", _) => {
            budget.spend(2 * length(0) * length(1))
        }
        ("distinct", _) => budget.spend(length(0) * length(0)),
        ("indexOf" | "lastIndexOf", [Value::String(_), Value::String(_), ..]) => {
            budget.spend(length(0) * length(1).min(length(0)) / 16)
        }
        ("format", [Value::String(pattern), ..]) => format_fits(pattern),
        ("quantity" | "isQuantity", [Value::String(text)]) if !quantity_fits(text) => {
            Err(Failure::new("the quantity has too many digits"))
        }
        _ => Ok(()),
    }
}

/// `%.<digits>f` makes as many digits as it says.
fn format_fits(pattern: &str) -> Result<(), Failure> {
    let mut rest = pattern;
    while let Some(found) = rest.find("%.") {
        rest = &rest[found + 2..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 2 {
            return Err(Failure::new("format() makes at most 99 digits after the point"));
        }
    }
    if pattern.len() > STRING_BYTES { Err(Failure::limit("format() has too long a pattern")) } else { Ok(()) }
}

/// Whether a quantity stays within what `kube-cel` computes exactly: its 128-bit numbers wrap beyond.
fn quantity_fits(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let exponent = suffix.strip_prefix(['e', 'E']).and_then(|digits| digits.parse::<i32>().ok()).unwrap_or(0);
    let scale = match suffix {
        "E" | "Ei" => 18,
        "P" | "Pi" => 15,
        "T" | "Ti" => 12,
        "G" | "Gi" => 9,
        _ => exponent,
    };
    let digits = i32::try_from(whole.trim_start_matches(['+', '-', '0']).len()).unwrap_or(i32::MAX);
    text.len() <= 40
        && fraction.len() <= 9
        && (-9..=18).contains(&exponent)
        && digits.saturating_add(scale) <= 19
}

/// What a function says when `dyn` arguments turn out to be of other types.
fn mismatch(name: &str, args: &[Value]) -> Failure {
    let types: Vec<&str> = args.iter().map(Value::type_name).collect();
    Failure::new(format!("{name}() does not take ({})", types.join(", ")))
}
