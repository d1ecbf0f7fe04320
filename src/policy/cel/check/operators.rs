//! Operators and the types that they take.

use super::{Checked, Checker};
use crate::policy::cel::{
    program::{Node, Operator},
    syntax::{Expr, ExprKind, SyntaxError},
    types::Type,
};

impl Checker<'_> {
    pub(super) fn negate(&mut self, at: usize, operand: &Expr) -> Checked {
        let (node, kind) = self.value(operand)?;
        match kind {
            Type::Int | Type::Double | Type::Dyn => Ok((Node::Negate(Box::new(node)), kind)),
            other => Err(SyntaxError::new(at, format!("`-` takes an int or a double, not {other}"))),
        }
    }

    pub(super) fn conditional(&mut self, at: usize, [condition, then, otherwise]: &[Expr; 3]) -> Checked {
        let condition = self.condition(condition, "the condition of `?:`")?;
        let (then, a) = self.value(then)?;
        let (otherwise, b) = self.value(otherwise)?;
        if !a.may_equal(&b) && a != Type::Null && b != Type::Null {
            return Err(SyntaxError::new(at, format!("the two results of `?:` differ: {a} and {b}")));
        }
        Ok((Node::Conditional(Box::new([condition, then, otherwise])), a.join(b)))
    }

    pub(super) fn binary(&mut self, at: usize, mark: &'static str, sides: &[Expr; 2]) -> Checked {
        if let Some(checked) = self.object_is_null(mark, sides) {
            return checked;
        }
        let [left, right] = sides;
        let (left, a) = self.value(left)?;
        let (right, b) = self.value(right)?;
        let operator = operator(mark);
        let result = result(operator, mark, &a, &b).map_err(|why| SyntaxError::new(at, why))?;
        Ok((Node::Binary(operator, Box::new([left, right])), result))
    }

    /// `namespaceObject == null`: the one declared object that may be missing.
    fn object_is_null(&mut self, mark: &str, [left, right]: &[Expr; 2]) -> Option<Checked> {
        let is_namespace = |expr: &Expr| matches!(&expr.kind, ExprKind::Ident(name) if name == "namespaceObject" && self.local(name).is_none());
        let is_null = |expr: &Expr| expr.kind == ExprKind::Null;
        if !(is_namespace(left) && is_null(right) || is_null(left) && is_namespace(right)) {
            return None;
        }
        match mark {
            "==" => Some(Ok((Node::NamespaceUnknown, Type::Bool))),
            "!=" => Some(Ok((Node::Not(Box::new(Node::NamespaceUnknown)), Type::Bool))),
            _ => None,
        }
    }
}

fn operator(mark: &str) -> Operator {
    match mark {
        "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        "in" => Operator::In,
        "+" => Operator::Add,
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        _ => Operator::Remainder,
    }
}

fn result(operator: Operator, mark: &str, a: &Type, b: &Type) -> Result<Type, String> {
    match operator {
        Operator::Equal | Operator::NotEqual => equality(a, b),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            order(mark, a, b)
        }
        Operator::In => membership(a, b),
        _ => arithmetic(operator, mark, a, b),
    }
}

fn equality(a: &Type, b: &Type) -> Result<Type, String> {
    if a.may_equal(b) {
        return Ok(Type::Bool);
    }
    let hint = match (a, b) {
        (Type::Null, Type::Optional(_)) | (Type::Optional(_), Type::Null) => "; ask hasValue()",
        (Type::Null, _) | (_, Type::Null) => "; declared fields are never null, ask has()",
        (Type::Optional(_), _) | (_, Type::Optional(_)) => "; take the optional's value with orValue()",
        _ => "",
    };
    Err(format!("{a} and {b} can never be equal{hint}"))
}

fn order(mark: &str, a: &Type, b: &Type) -> Result<Type, String> {
    let has_order = |kind: &Type| {
        kind.is_number()
            || matches!(
                kind,
                Type::Dyn | Type::Bool | Type::String | Type::Bytes | Type::Timestamp | Type::Duration
            )
    };
    if has_order(a) && has_order(b) && a.may_equal(b) {
        return Ok(Type::Bool);
    }
    let hint = match a {
        Type::Named("Quantity" | "Semver") => "; use isLessThan(), isGreaterThan() or compareTo()",
        _ => "",
    };
    Err(format!("`{mark}` does not take {a} and {b}{hint}"))
}

fn membership(a: &Type, b: &Type) -> Result<Type, String> {
    let fits = match b {
        Type::Dyn => true,
        Type::List(element) => element.may_equal(a),
        Type::Map(key, _) => key.may_equal(a),
        Type::String => return Err("`in` takes a list or a map; for text use contains()".to_owned()),
        other => return Err(format!("`in` takes a list or a map, not {other}")),
    };
    if fits { Ok(Type::Bool) } else { Err(format!("{a} can never be in {b}")) }
}

fn arithmetic(operator: Operator, mark: &str, a: &Type, b: &Type) -> Result<Type, String> {
    use Operator::{Add, Remainder, Subtract};
    use Type::{Bytes, Double, Duration, Dyn, Int, List, String, Timestamp, UInt};
    let result = match (operator, a, b) {
        (Remainder, Double, _) | (Remainder, _, Double) => None,
        (_, Int, Int) => Some(Int),
        (_, UInt, UInt) => Some(UInt),
        (_, Double, Double) => Some(Double),
        (Add, String, String) => Some(String),
        (Add, Bytes, Bytes) => Some(Bytes),
        (Add, List(x), List(y)) => Some(Type::list((**x).clone().join((**y).clone()))),
        (Add | Subtract, Timestamp, Duration) | (Add, Duration, Timestamp) => Some(Timestamp),
        (Subtract, Timestamp, Timestamp) | (Add | Subtract, Duration, Duration) => Some(Duration),
        (_, Dyn, other) | (_, other, Dyn) if may_be_operand(operator, other) => Some(Dyn),
        _ => None,
    };
    let hint = match (a.is_number() && b.is_number(), a, b) {
        (true, ..) => "; convert one with int(), uint() or double()",
        (_, String, other) | (_, other, String) if operator == Add && other.is_number() => {
            "; make text of the number with string()"
        }
        (_, Type::Optional(_), _) | (_, _, Type::Optional(_)) => "; take the optional's value with orValue()",
        _ => "",
    };
    result.ok_or_else(|| format!("`{mark}` does not take {a} and {b}{hint}"))
}

fn may_be_operand(operator: Operator, kind: &Type) -> bool {
    let is_time = matches!(kind, Type::Timestamp | Type::Duration);
    match operator {
        Operator::Add => {
            kind.is_number()
                || is_time
                || matches!(kind, Type::Dyn | Type::String | Type::Bytes | Type::List(_))
        }
        Operator::Subtract => kind.is_number() || is_time || *kind == Type::Dyn,
        Operator::Remainder => matches!(kind, Type::Int | Type::UInt | Type::Dyn),
        _ => kind.is_number() || *kind == Type::Dyn,
    }
}
