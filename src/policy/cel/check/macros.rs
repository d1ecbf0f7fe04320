//! Macros: calls whose arguments are not values (cel-spec, `doc/langdef.md`, Macros; cel-go's
//! `ext/comprehensions` for the two-variable forms and `ext/bindings` for `cel.bind`).

use super::{Checked, Checker};
use crate::policy::cel::{
    program::{Loop, LoopKind, Mode, Node},
    syntax::{Expr, ExprKind, SyntaxError},
    types::Type,
};

impl Checker<'_> {
    /// The macro that a call is, if it is one.
    pub(super) fn expand(
        &mut self,
        at: usize,
        target: Option<&Expr>,
        name: &str,
        args: &[Expr],
    ) -> Option<Checked> {
        match (target, name, args) {
            (None, "has", [field]) => Some(self.has(field)),
            (None, "has", _) => Some(Err(SyntaxError::new(at, "has() takes one field: has(object.spec)"))),
            (Some(target), "bind", [name, value, body]) if is_name(target, "cel") => {
                Some(self.bind(name, value, body))
            }
            (Some(target), "optMap" | "optFlatMap", [variable, body]) => {
                Some(self.opt_map(target, variable, body, name == "optFlatMap"))
            }
            (Some(target), _, [variables @ .., last]) => {
                let shape = shape(name, args.len())?;
                let count = 1 + usize::from(shape.is_pair);
                let (variables, rest) = variables.split_at_checked(count)?;
                Some(self.looped(target, &shape, variables, rest.first(), last))
            }
            _ => None,
        }
    }

    fn has(&mut self, field: &Expr) -> Checked {
        match &field.kind {
            ExprKind::Select { operand, field: name, optional: false } => {
                self.select(field.at, operand, name, Mode::Test)
            }
            _ => Err(SyntaxError::new(
                field.at,
                "has() takes a field (`has(a.b)`); for a key write `'key' in map`",
            )),
        }
    }

    fn bind(&mut self, name: &Expr, value: &Expr, body: &Expr) -> Checked {
        let name = variable(name)?;
        let (value, kind) = self.value(value)?;
        let (body, result) = self.within(vec![(name, kind)], |checker| checker.value(body))?;
        Ok((Node::Bind(Box::new([value, body])), result))
    }

    fn opt_map(&mut self, target: &Expr, name: &Expr, body: &Expr, flat: bool) -> Checked {
        let at = target.at;
        let name = variable(name)?;
        let (target, kind) = self.value(target)?;
        let inner = match kind {
            Type::Optional(inner) => *inner,
            Type::Dyn => Type::Dyn,
            other => {
                return Err(SyntaxError::new(
                    at,
                    format!("optMap() and optFlatMap() take an optional, not {other}"),
                ));
            }
        };
        let (body_node, result) = self.within(vec![(name, inner)], |checker| checker.value(body))?;
        let result = match (flat, result) {
            (false, result) => Type::optional(result),
            (true, Type::Dyn) => Type::optional(Type::Dyn),
            (true, result @ Type::Optional(_)) => result,
            (true, other) => {
                return Err(SyntaxError::new(
                    body.at,
                    format!("optFlatMap() must give an optional, not {other}"),
                ));
            }
        };
        Ok((Node::OptMap { target: Box::new(target), body: Box::new(body_node), flat }, result))
    }

    fn looped(
        &mut self,
        range: &Expr,
        shape: &Shape,
        variables: &[Expr],
        filter: Option<&Expr>,
        last: &Expr,
    ) -> Checked {
        let (range_node, range_kind) = self.value(range)?;
        let locals = elements(&range_kind, shape.is_pair).ok_or_else(|| {
            SyntaxError::new(range.at, format!("{}() takes a list or a map, not {range_kind}", shape.name))
        })?;
        let names = variables.iter().map(variable).collect::<Result<Vec<_>, _>>()?;
        let element = locals.last().cloned().unwrap_or(Type::Dyn);
        let key = locals.first().cloned().unwrap_or(Type::Dyn);
        let locals = names.into_iter().zip(locals).collect();
        let (condition, output) = self.within(locals, |checker| {
            let what = format!("{}()", shape.name);
            if shape.has_output {
                let condition = filter.map(|filter| checker.condition(filter, &what)).transpose()?;
                Ok((condition, Some(checker.value(last)?)))
            } else {
                Ok((Some(checker.condition(last, &what)?), None))
            }
        })?;
        let (output, made) = output.map_or((None, element), |(node, kind)| (Some(node), kind));
        let result = match shape.kind {
            LoopKind::List => Type::list(made),
            LoopKind::Map => {
                Type::map(if matches!(range_kind, Type::List(_)) { Type::Int } else { key }, made)
            }
            LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne => Type::Bool,
        };
        let looped = Loop { kind: shape.kind, range: range_node, is_pair: shape.is_pair, condition, output };
        Ok((Node::Loop(Box::new(looped)), result))
    }

    /// Checks with more variables on the stack, and takes them away again.
    fn within<T>(
        &mut self,
        locals: Vec<(String, Type)>,
        check: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        let before = self.locals.len();
        self.locals.extend(locals);
        let checked = check(self);
        self.locals.truncate(before);
        checked
    }
}

/// A macro over a list or a map.
struct Shape {
    name: String,
    kind: LoopKind,
    is_pair: bool,
    has_output: bool,
}

fn shape(name: &str, args: usize) -> Option<Shape> {
    let (kind, is_pair, has_output) = match (name, args) {
        ("all", 2) => (LoopKind::All, false, false),
        ("exists", 2) => (LoopKind::Exists, false, false),
        ("exists_one" | "existsOne", 2) => (LoopKind::ExistsOne, false, false),
        ("filter", 2) => (LoopKind::List, false, false),
        ("map", 2 | 3) => (LoopKind::List, false, true),
        ("all", 3) => (LoopKind::All, true, false),
        ("exists", 3) => (LoopKind::Exists, true, false),
        ("exists_one" | "existsOne", 3) => (LoopKind::ExistsOne, true, false),
        ("transformList", 3 | 4) => (LoopKind::List, true, true),
        ("transformMap", 3 | 4) => (LoopKind::Map, true, true),
        _ => return None,
    };
    Some(Shape { name: name.to_owned(), kind, is_pair, has_output })
}

/// The types of a loop's variables.
fn elements(range: &Type, is_pair: bool) -> Option<Vec<Type>> {
    match (range, is_pair) {
        (Type::Dyn, false) => Some(vec![Type::Dyn]),
        (Type::Dyn, true) => Some(vec![Type::Dyn, Type::Dyn]),
        (Type::List(element), false) => Some(vec![(**element).clone()]),
        (Type::List(element), true) => Some(vec![Type::Int, (**element).clone()]),
        (Type::Map(key, _), false) => Some(vec![(**key).clone()]),
        (Type::Map(key, value), true) => Some(vec![(**key).clone(), (**value).clone()]),
        _ => None,
    }
}

fn is_name(expr: &Expr, name: &str) -> bool {
    matches!(&expr.kind, ExprKind::Ident(found) if found == name)
}

fn variable(expr: &Expr) -> Result<String, SyntaxError> {
    match &expr.kind {
        ExprKind::Ident(name) => Ok(name.clone()),
        _ => Err(SyntaxError::new(expr.at, "a macro's variable must be a simple name")),
    }
}
