//! A syntax tree, checked against what is declared, becomes steps.
//!
//! Whatever can be known when a policy is loaded is refused here: names that do not exist (with the
//! nearest one that does), functions and arguments that do not fit, comparisons that can never hold.
//! `dyn` values (`object`, `container`, JSON) are checked when they are read.

mod calls;
mod macros;
mod operators;

use super::{
    PARAMS, Scope,
    declarations::{self, DECLARED, Named, Source},
    program::{Mode, Node},
    syntax::{Expr, ExprKind, SyntaxError},
    types::Type,
    value::Value,
};
use crate::nearest::nearest;

/// A checked part: its steps and its type.
pub(super) type Checked = Result<(Node, Type), SyntaxError>;

/// Checks one expression.
pub(super) struct Checker<'a> {
    scope: &'a Scope,
    /// Variables of the loops around, innermost last.
    locals: Vec<(String, Type)>,
    /// The variables that were read.
    pub(super) reads: Vec<String>,
    pub(super) needs_image: bool,
    pub(super) reads_object: bool,
    pub(super) reads_document: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(scope: &'a Scope) -> Self {
        Self {
            scope,
            locals: Vec::new(),
            reads: Vec::new(),
            needs_image: false,
            reads_object: false,
            reads_document: false,
        }
    }

    /// A part whose value is used: anything but an object that only has fields.
    pub(super) fn value(&mut self, expr: &Expr) -> Checked {
        let (node, kind) = self.part(expr)?;
        if let Type::Object(path) = &kind {
            let names = self.names_below(path).join(", ");
            return Err(SyntaxError::new(
                expr.at,
                format!("`{path}` is no value by itself; read one of its fields: {names}"),
            ));
        }
        Ok((node, kind))
    }

    /// A part that must give a bool.
    pub(super) fn condition(&mut self, expr: &Expr, what: &str) -> Result<Node, SyntaxError> {
        let (node, kind) = self.value(expr)?;
        match kind {
            Type::Bool | Type::Dyn => Ok(node),
            other => Err(SyntaxError::new(expr.at, format!("{what} takes a bool, not {other}"))),
        }
    }

    fn part(&mut self, expr: &Expr) -> Checked {
        let leaf = |value, kind| Ok((Node::Value(value), kind));
        match &expr.kind {
            ExprKind::Null => leaf(Value::Null, Type::Null),
            ExprKind::Bool(value) => leaf(Value::Bool(*value), Type::Bool),
            ExprKind::Int(value) => leaf(Value::Int(*value), Type::Int),
            ExprKind::UInt(value) => leaf(Value::UInt(*value), Type::UInt),
            ExprKind::Double(value) => leaf(Value::Double(*value), Type::Double),
            ExprKind::String(text) => leaf(Value::string(text), Type::String),
            ExprKind::Bytes(bytes) => leaf(Value::Bytes(bytes.as_slice().into()), Type::Bytes),
            ExprKind::Ident(name) => self.identifier(expr.at, name),
            ExprKind::Select { operand, field, optional } => {
                self.select(expr.at, operand, field, if *optional { Mode::Optional } else { Mode::Value })
            }
            ExprKind::Index { operand, index, optional } => self.index(expr.at, operand, index, *optional),
            ExprKind::Call { target, name, args } => self.call(expr.at, target.as_deref(), name, args),
            ExprKind::List(items) => self.list(items),
            ExprKind::Map(entries) => self.map(entries),
            ExprKind::Not(operand) => {
                let operand = self.condition(operand, "`!`")?;
                Ok((Node::Not(Box::new(operand)), Type::Bool))
            }
            ExprKind::Negate(operand) => self.negate(expr.at, operand),
            ExprKind::And(terms) => {
                let terms =
                    terms.iter().map(|term| self.condition(term, "`&&`")).collect::<Result<_, _>>()?;
                Ok((Node::And(terms), Type::Bool))
            }
            ExprKind::Or(terms) => {
                let terms =
                    terms.iter().map(|term| self.condition(term, "`||`")).collect::<Result<_, _>>()?;
                Ok((Node::Or(terms), Type::Bool))
            }
            ExprKind::Conditional(parts) => self.conditional(expr.at, parts),
            ExprKind::Binary(mark, sides) => self.binary(expr.at, mark, sides),
        }
    }

    fn local(&self, name: &str) -> Option<usize> {
        self.locals.iter().rposition(|(local, _)| local == name)
    }

    fn identifier(&mut self, at: usize, name: &str) -> Checked {
        if let Some(slot) = self.local(name) {
            return Ok((Node::Local(slot), self.locals[slot].1.clone()));
        }
        if !self.scope.names().contains(&name) {
            return Err(self.unknown_variable(at, name));
        }
        self.declared(at, name)
    }

    fn unknown_variable(&self, at: usize, name: &str) -> SyntaxError {
        if name == PARAMS {
            return SyntaxError::new(
                at,
                format!("`{name}` is known only where the policy has a paramKind and a paramRef"),
            );
        }
        let known = self.scope.names();
        if Scope::validations().names().contains(&name) {
            let known = known.join(", ");
            return SyntaxError::new(
                at,
                format!("`{name}` is not known here; match conditions see only {known}"),
            );
        }
        let hint = match name {
            "authorizer" => " (Kubernetes has it; Hullmark does not)".to_owned(),
            _ => match nearest(name, known.iter().copied()) {
                Some(nearest) => format!("; did you mean `{nearest}`?"),
                None => format!("; known are {}", known.join(", ")),
            },
        };
        SyntaxError::new(at, format!("unknown variable `{name}`{hint}"))
    }

    /// The declared value or object at `path`, which exists.
    fn declared(&mut self, at: usize, path: &str) -> Checked {
        if path == "variables" {
            return Ok((Node::Object, Type::Object(path.to_owned())));
        }
        match declarations::find(path) {
            Some(Named::Value(found)) => {
                self.note(found);
                Ok((Node::Declared(found), DECLARED[found].kind()))
            }
            Some(Named::Object) => Ok((Node::Object, Type::Object(path.to_owned()))),
            None => Err(SyntaxError::new(at, format!("unknown variable `{path}`"))),
        }
    }

    fn note(&mut self, found: usize) {
        let declared = &DECLARED[found];
        self.needs_image |= declared.source == Source::Image;
        self.reads_object |= declared.source == Source::Object || declared.path == "container";
        self.reads_document |= declared.path == "image.document";
    }

    fn names_below(&self, path: &str) -> Vec<&str> {
        if path == "variables" {
            self.scope.variables.iter().map(|variable| variable.name.as_str()).collect()
        } else {
            declarations::names_below(path)
        }
    }

    fn select(&mut self, at: usize, operand: &Expr, field: &str, mode: Mode) -> Checked {
        let (node, kind) = self.part(operand)?;
        if let Type::Object(path) = kind {
            return self.field(at, &path, field, mode);
        }
        let result = member_type(at, &kind, field)?;
        let result = match mode {
            Mode::Test => Type::Bool,
            Mode::Optional if !matches!(kind, Type::Optional(_)) => Type::optional(result),
            _ => result,
        };
        Ok((Node::Select { operand: Box::new(node), field: field.into(), mode }, result))
    }

    /// A field of a declared object.
    fn field(&mut self, at: usize, path: &str, field: &str, mode: Mode) -> Checked {
        if path == "variables" {
            return self.variable(at, field, mode);
        }
        let whole = format!("{path}.{field}");
        match (declarations::find(&whole), mode) {
            (None, _) => Err(self.unknown_field(at, path, field)),
            (Some(Named::Object), Mode::Value) => Ok((Node::Object, Type::Object(whole))),
            (Some(Named::Object), _) => {
                let why = format!("`{whole}` is always there; ask for one of its fields");
                Err(SyntaxError::new(at, why))
            }
            (Some(Named::Value(found)), mode) => {
                self.note(found);
                let kind = DECLARED[found].kind();
                Ok(match mode {
                    Mode::Value => (Node::Declared(found), kind),
                    Mode::Test => (Node::HasDeclared(found), Type::Bool),
                    Mode::Optional => (Node::MaybeDeclared(found), Type::optional(kind)),
                })
            }
        }
    }

    fn unknown_field(&self, at: usize, path: &str, field: &str) -> SyntaxError {
        let names = self.names_below(path);
        let hint = match nearest(field, names.iter().copied()) {
            Some(nearest) => format!("; did you mean `{path}.{nearest}`?"),
            None if path == "config" && field == "config" => {
                "; the fields of the OCI config object are directly below `config`: `config.user`".to_owned()
            }
            None if names.is_empty() => "; none is declared before this expression".to_owned(),
            None => format!("; it has {}", names.join(", ")),
        };
        SyntaxError::new(at, format!("`{path}` has no `{field}`{hint}"))
    }

    fn variable(&mut self, at: usize, name: &str, mode: Mode) -> Checked {
        let Some(variable) = self.scope.variables.iter().find(|variable| variable.name == name) else {
            return Err(self.unknown_field(at, "variables", name));
        };
        self.reads.push(name.to_owned());
        self.needs_image |= variable.needs_image;
        self.reads_object |= variable.reads_object;
        self.reads_document |= variable.reads_document;
        match mode {
            Mode::Value => Ok((Node::Variable(name.to_owned()), variable.kind.clone())),
            _ => Err(SyntaxError::new(at, format!("`variables.{name}` is always there"))),
        }
    }

    fn index(&mut self, at: usize, operand: &Expr, index: &Expr, optional: bool) -> Checked {
        let (node, kind) = self.part(operand)?;
        if let (Type::Object(path), ExprKind::String(field)) = (&kind, &index.kind) {
            let mode = if optional { Mode::Optional } else { Mode::Value };
            return self.field(index.at, path, field, mode);
        }
        let (node, kind) = if matches!(kind, Type::Object(_)) { self.value(operand)? } else { (node, kind) };
        let (index_node, index_kind) = self.value(index)?;
        let result = indexed(&kind, &index_kind).map_err(|why| SyntaxError::new(at, why))?;
        let result =
            if optional && !matches!(kind, Type::Optional(_)) { Type::optional(result) } else { result };
        Ok((Node::Index { operand: Box::new(node), index: Box::new(index_node), optional }, result))
    }

    fn list(&mut self, items: &[(Expr, bool)]) -> Checked {
        let mut nodes = Vec::with_capacity(items.len());
        let mut element: Option<Type> = None;
        for (item, optional) in items {
            let (node, kind) = self.element(item, *optional)?;
            nodes.push((node, *optional));
            element = Some(element.map_or(kind.clone(), |element| element.join(kind)));
        }
        Ok((Node::List(nodes), Type::list(element.unwrap_or(Type::Dyn))))
    }

    fn map(&mut self, entries: &[(Expr, Expr, bool)]) -> Checked {
        let mut nodes = Vec::with_capacity(entries.len());
        let mut types: Option<(Type, Type)> = None;
        for (key, value, optional) in entries {
            let (key_node, key_kind) = self.value(key)?;
            if !matches!(key_kind, Type::Dyn | Type::String | Type::Int | Type::UInt | Type::Bool) {
                return Err(SyntaxError::new(key.at, format!("{key_kind} cannot be a key")));
            }
            let (node, kind) = self.element(value, *optional)?;
            nodes.push((key_node, node, *optional));
            types = Some(match types {
                None => (key_kind, kind),
                Some((keys, values)) => (keys.join(key_kind), values.join(kind)),
            });
        }
        let (key, value) = types.unwrap_or((Type::Dyn, Type::Dyn));
        Ok((Node::Map(nodes), Type::map(key, value)))
    }

    /// An element of a list or map; with `?` it must be an optional.
    fn element(&mut self, expr: &Expr, optional: bool) -> Checked {
        let (node, kind) = self.value(expr)?;
        match (optional, kind) {
            (false, kind) => Ok((node, kind)),
            (true, Type::Optional(inner)) => Ok((node, *inner)),
            (true, Type::Dyn) => Ok((node, Type::Dyn)),
            (true, other) => Err(SyntaxError::new(expr.at, format!("`?` takes an optional, not {other}"))),
        }
    }
}

/// The type of `.field` on a value that is not declared with fields.
fn member_type(at: usize, kind: &Type, field: &str) -> Result<Type, SyntaxError> {
    match kind {
        Type::Dyn => Ok(Type::Dyn),
        Type::Map(key, value) if matches!(**key, Type::String | Type::Dyn) => Ok((**value).clone()),
        Type::Optional(inner) => Ok(Type::optional(member_type(at, inner, field)?)),
        other => Err(SyntaxError::new(at, format!("{other} has no fields, so no `{field}`"))),
    }
}

/// The type of `kind[index]`.
fn indexed(kind: &Type, index: &Type) -> Result<Type, String> {
    match kind {
        Type::Dyn => Ok(Type::Dyn),
        Type::List(element) if matches!(index, Type::Int | Type::UInt | Type::Dyn) => Ok((**element).clone()),
        Type::List(_) => Err(format!("a list is indexed by int, not {index}")),
        Type::Map(key, value) if key.may_equal(index) => Ok((**value).clone()),
        Type::Map(key, _) => Err(format!("this map's keys are {key}, not {index}")),
        Type::Optional(inner) => Ok(Type::optional(indexed(inner, index)?)),
        other => Err(format!("{other} cannot be indexed")),
    }
}
