//! Calls of functions.

use super::{Checked, Checker};
use crate::nearest::nearest;
use crate::policy::cel::{
    budget::Budget,
    library,
    program::{Found, Node},
    signatures::{self, NAMESPACES, Overload},
    syntax::{Expr, ExprKind, SyntaxError},
    types::Type,
    value::Value,
};
use std::collections::BTreeSet;

/// Functions that make a value of a text: with literal arguments they run when the policy loads.
const CONSTRUCTORS: [&str; 7] = ["timestamp", "duration", "quantity", "semver", "ip", "cidr", "url"];

/// Macros and functions that Kubernetes' CEL has and this has not.
const MISSING: [&str; 5] = ["type", "transformMapEntry", "getTimezone", "named", "block"];

impl Checker<'_> {
    pub(super) fn call(&mut self, at: usize, target: Option<&Expr>, name: &str, args: &[Expr]) -> Checked {
        if let Some(checked) = self.expand(at, target, name, args) {
            return checked;
        }
        let namespace = target.and_then(|target| match &target.kind {
            ExprKind::Ident(word) if NAMESPACES.contains(&word.as_str()) && self.local(word).is_none() => {
                Some(word)
            }
            _ => None,
        });
        let (whole, target) = match namespace {
            Some(word) => (format!("{word}.{name}"), None),
            None => (name.to_owned(), target),
        };
        let overloads = signatures::overloads(&whole);
        if overloads.is_empty() {
            return Err(unknown_function(at, &whole));
        }
        let target = target.map(|target| self.value(target)).transpose()?;
        let args = args.iter().map(|arg| self.value(arg)).collect::<Result<Vec<_>, _>>()?;
        let (args, types): (Vec<_>, Vec<_>) = args.into_iter().unzip();
        let (receiver, receiver_type) = target.unzip();
        let result = choose(overloads, receiver_type.as_ref(), &types)
            .ok_or_else(|| misfit(at, &whole, overloads, receiver_type.as_ref(), &types))?;
        let node = build(at, &whole, receiver, args)?;
        Ok((node, result))
    }
}

/// The result of the overloads that fit; `dyn` if they differ.
fn choose(overloads: &[Overload], receiver: Option<&Type>, args: &[Type]) -> Option<Type> {
    overloads
        .iter()
        .filter_map(|overload| {
            let mut bindings = Vec::new();
            let receiver_fits = match (&overload.receiver, receiver) {
                (None, None) => true,
                (Some(wanted), Some(given)) => wanted.accepts(given, &mut bindings),
                _ => false,
            };
            let fits = receiver_fits
                && overload.args.len() == args.len()
                && overload.args.iter().zip(args).all(|(wanted, given)| wanted.accepts(given, &mut bindings));
            fits.then(|| overload.result.bound(&bindings))
        })
        .reduce(Type::join)
}

fn build(at: usize, name: &str, receiver: Option<Node>, args: Vec<Node>) -> Result<Node, SyntaxError> {
    let is_method = receiver.is_some();
    let mut all: Vec<Node> = receiver.into_iter().chain(args).collect();

    if let ("or" | "orValue", true, [_, _]) = (name, is_method, all.as_slice()) {
        let (other, optional) = (all.pop(), all.pop());
        if let (Some(optional), Some(other)) = (optional.map(Box::new), other.map(Box::new)) {
            return Ok(Node::OrElse { optional, other, is_value: name == "orValue" });
        }
        return Err(unknown_function(at, name));
    }
    let wanted = match name {
        "matches" => Some(Found::Whether),
        "find" => Some(Found::First),
        "findAll" => Some(Found::All),
        _ => None,
    };
    if let (Some(wanted), Some(Node::Value(Value::String(pattern)))) = (wanted, all.get(1)) {
        let regex = library::regex(pattern).map_err(|failure| SyntaxError::new(at, failure.message))?;
        let limit = if all.len() > 2 { all.pop().map(Box::new) } else { None };
        return Ok(Node::Pattern { target: Box::new(all.swap_remove(0)), regex, wanted, limit });
    }
    let function = library::function(name, is_method, all.len());
    if let (true, [Node::Value(Value::String(text))]) =
        (CONSTRUCTORS.contains(&name) && !is_method, all.as_slice())
    {
        return library::call(&function, &[Value::String(text.clone())], &Budget::new())
            .map(Node::Value)
            .map_err(|_| SyntaxError::new(at, format!("{text:?} is no {name}")));
    }
    Ok(Node::Call { function, args: all })
}

fn unknown_function(at: usize, name: &str) -> SyntaxError {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hint = if MISSING.contains(&last) {
        " (Kubernetes has it; Hullmark does not)".to_owned()
    } else {
        let macros = [
            "has",
            "all",
            "exists",
            "exists_one",
            "map",
            "filter",
            "transformList",
            "transformMap",
            "optMap",
        ];
        match nearest(name, signatures::names().chain(macros)) {
            Some(nearest) if nearest == name => "; it takes other arguments".to_owned(),
            Some(nearest) => format!("; did you mean `{nearest}()`?"),
            None => String::new(),
        }
    };
    SyntaxError::new(at, format!("unknown function `{name}()`{hint}"))
}

fn misfit(
    at: usize,
    name: &str,
    overloads: &[Overload],
    receiver: Option<&Type>,
    args: &[Type],
) -> SyntaxError {
    let given: Vec<String> = args.iter().map(Type::to_string).collect();
    let receiver = receiver.map_or(String::new(), |receiver| format!("{receiver}."));
    let known: BTreeSet<&str> = overloads.iter().map(|overload| overload.text).collect();
    let known: Vec<&str> = known.into_iter().take(6).collect();
    let given = given.join(", ");
    SyntaxError::new(at, format!("there is no `{receiver}{name}({given})`; there is {}", known.join(", ")))
}
