//! Runs a checked expression. Every step is paid for; nothing here recurses deeper than the source.
//!
//! `cel`'s own interpreter is not used: in 0.13 it has no budget, copies whole values at every
//! step, counts bytes as characters, forgets that a copied value was optional, and answers `false`
//! for a field of something that has none.

use super::{
    Evaluation,
    budget::Failure,
    declarations::DECLARED,
    library::{self, all_matches, first_match},
    operators,
    place::Place,
    program::{Found, Function, Loop, LoopKind, Mode, Node, Operator},
    value::{Key, Value},
};
use regex::Regex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Values of the loops' variables, innermost last.
pub(super) type Locals = Vec<Value>;

type Outcome = Result<Value, Failure>;

/// The variables of one turn of a loop.
type Element = (Value, Option<Value>);

impl Evaluation<'_> {
    pub(super) fn eval(&self, node: &Node, locals: &mut Locals) -> Outcome {
        self.budget.spend(1)?;
        match node {
            Node::Value(value) => Ok(value.clone()),
            Node::Local(slot) => {
                locals.get(*slot).cloned().ok_or_else(|| Failure::new("a loop's variable is out of place"))
            }
            Node::HasDeclared(index) => self.said(*index).map(|value| Value::Bool(value.is_some())),
            Node::MaybeDeclared(index) => self.said(*index).map(|value| Value::Optional(value.map(Arc::new))),
            Node::NamespaceUnknown => Ok(Value::Bool(self.subject.namespace.is_none())),
            Node::Variable(name) => self.variable(name),
            Node::Declared(index) if self.texts(*index)?.is_some() => {
                // As a whole it is made once.
                self.declared(*index)?.ok_or_else(|| absent(*index))
            }
            Node::Declared(_) | Node::Select { .. } | Node::Index { .. } => {
                self.place(node, locals)?.into_value(&self.budget)
            }
            Node::List(items) => self.list(items, locals),
            Node::Map(entries) => self.map(entries, locals),
            Node::Not(operand) => Ok(Value::Bool(!self.truth(operand, locals)?)),
            Node::Negate(operand) => operators::negate(&self.eval(operand, locals)?),
            Node::And(terms) => self.any(terms, false, locals).map(|found| Value::Bool(!found)),
            Node::Or(terms) => self.any(terms, true, locals).map(Value::Bool),
            Node::Conditional(parts) => self.conditional(parts, locals),
            Node::Binary(operator, sides) => self.binary(*operator, sides, locals),
            Node::Loop(looped) => self.run_loop(looped, locals),
            Node::Bind(parts) => self.bind(parts, locals),
            Node::OptMap { target, body, flat } => self.opt_map(target, body, *flat, locals),
            Node::OrElse { optional, other, is_value } => self.or_else(optional, other, *is_value, locals),
            Node::Pattern { target, regex, wanted, limit } => {
                self.pattern(target, regex, *wanted, limit.as_deref(), locals)
            }
            Node::Call { function, args } => self.call(function, args, locals),
            Node::Object => Err(Failure::new("a group of fields is no value")),
        }
    }

    /// A chain of fields and keys, walked without copying what lies beside it.
    fn place<'p>(&'p self, node: &Node, locals: &mut Locals) -> Result<Place<'p>, Failure> {
        self.budget.spend(1)?;
        match node {
            Node::Declared(index) => {
                if let Some(json) = self.json(*index)? {
                    return Ok(Place::Json(json));
                }
                if let Some(texts) = self.texts(*index)? {
                    return Ok(Place::Texts(texts));
                }
                match self.declared(*index)? {
                    Some(value) => Ok(Place::Value(value)),
                    None => Err(absent(*index)),
                }
            }
            Node::Select { operand, field, mode } => {
                let operand = self.place(operand, locals)?;
                match mode {
                    Mode::Value => operand.member(&Value::String(field.clone()), false, &self.budget),
                    Mode::Optional => operand.member(&Value::String(field.clone()), true, &self.budget),
                    Mode::Test => operand.has(field).map(|has| Place::Value(Value::Bool(has))),
                }
            }
            Node::Index { operand, index, optional } => {
                let operand = self.place(operand, locals)?;
                let index = self.eval(index, locals)?;
                operand.member(&index, *optional, &self.budget)
            }
            _ => self.eval(node, locals).map(Place::Value),
        }
    }

    /// A declared value that is there and not empty. A number has no emptiness: 0 is a uid.
    fn said(&self, index: usize) -> Result<Option<Value>, Failure> {
        Ok(self.declared(index)?.filter(|value| matches!(value, Value::Int(_)) || !value.is_zero()))
    }

    fn conditional(&self, [condition, then, otherwise]: &[Node; 3], locals: &mut Locals) -> Outcome {
        if self.truth(condition, locals)? { self.eval(then, locals) } else { self.eval(otherwise, locals) }
    }

    fn binary(&self, operator: Operator, [left, right]: &[Node; 2], locals: &mut Locals) -> Outcome {
        let left = self.eval(left, locals)?;
        let right = self.eval(right, locals)?;
        operators::binary(operator, &left, &right, &self.budget)
    }

    fn bind(&self, [value, body]: &[Node; 2], locals: &mut Locals) -> Outcome {
        let value = self.eval(value, locals)?;
        with(locals, [value], |locals| self.eval(body, locals))
    }

    fn call(&self, function: &Function, args: &[Node], locals: &mut Locals) -> Outcome {
        let args = args.iter().map(|arg| self.eval(arg, locals)).collect::<Result<Vec<_>, _>>()?;
        library::call(function, &args, &self.budget)
    }

    fn pattern(
        &self,
        target: &Node,
        regex: &Regex,
        wanted: Found,
        limit: Option<&Node>,
        locals: &mut Locals,
    ) -> Outcome {
        let target = self.eval(target, locals)?;
        let limit = limit.map(|limit| self.eval(limit, locals)).transpose()?;
        let Value::String(text) = &target else {
            return Err(Failure::new(format!("a pattern takes text, not {}", target.type_name())));
        };
        // A pattern costs more for each byte than a copy does.
        self.budget.spend(4 + text.len() as u64 / 4)?;
        match wanted {
            Found::Whether => Ok(Value::Bool(regex.is_match(text))),
            Found::First => Ok(first_match(regex, text)),
            Found::All => all_matches(regex, text, limit.as_ref(), &self.budget),
        }
    }

    fn truth(&self, node: &Node, locals: &mut Locals) -> Result<bool, Failure> {
        match self.eval(node, locals)? {
            Value::Bool(value) => Ok(value),
            other => Err(Failure::new(format!("a condition gave {}, not a bool", other.type_name()))),
        }
    }

    /// Whether any term is `wanted`. As in CEL, one that is hides the errors of the others.
    fn any(&self, terms: &[Node], wanted: bool, locals: &mut Locals) -> Result<bool, Failure> {
        let mut failure = None;
        for term in terms {
            match self.truth(term, locals) {
                Ok(value) if value == wanted => return Ok(true),
                Ok(_) => {}
                Err(error) if error.is_limit => return Err(error),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(false), Err)
    }

    fn list(&self, items: &[(Node, bool)], locals: &mut Locals) -> Outcome {
        let mut values = Vec::with_capacity(items.len());
        for (item, optional) in items {
            values.extend(unwrapped(self.eval(item, locals)?, *optional));
        }
        Ok(Value::List(values.into()))
    }

    fn map(&self, entries: &[(Node, Node, bool)], locals: &mut Locals) -> Outcome {
        let mut map = BTreeMap::new();
        for (key, value, optional) in entries {
            let key = key_of(&self.eval(key, locals)?)?;
            if let Some(value) = unwrapped(self.eval(value, locals)?, *optional)
                && map.insert(key, value).is_some()
            {
                return Err(Failure::new("a map has the same key twice"));
            }
        }
        Ok(Value::Map(Arc::new(map)))
    }

    fn opt_map(&self, target: &Node, body: &Node, flat: bool, locals: &mut Locals) -> Outcome {
        let value = match self.eval(target, locals)? {
            Value::Optional(None) => return Ok(Value::Optional(None)),
            Value::Optional(Some(value)) => (*value).clone(),
            other => {
                return Err(Failure::new(format!("optMap() takes an optional, not {}", other.type_name())));
            }
        };
        let result = with(locals, [value], |locals| self.eval(body, locals))?;
        match (flat, result) {
            (false, result) => Ok(Value::some(result)),
            (true, result @ Value::Optional(_)) => Ok(result),
            (true, other) => {
                Err(Failure::new(format!("optFlatMap() gave {}, not an optional", other.type_name())))
            }
        }
    }

    fn or_else(&self, optional: &Node, other: &Node, is_value: bool, locals: &mut Locals) -> Outcome {
        match self.eval(optional, locals)? {
            Value::Optional(Some(value)) if is_value => Ok((*value).clone()),
            value @ Value::Optional(Some(_)) => Ok(value),
            Value::Optional(None) => self.eval(other, locals),
            other => {
                Err(Failure::new(format!("or() and orValue() take an optional, not {}", other.type_name())))
            }
        }
    }

    fn run_loop(&self, looped: &Loop, locals: &mut Locals) -> Outcome {
        let range = self.eval(&looped.range, locals)?;
        let pairs: Vec<(Value, Value)> = match &range {
            Value::List(items) => (0_i64..).map(Value::Int).zip(items.iter().cloned()).collect(),
            Value::Map(entries) => entries.iter().map(|(key, value)| (key.value(), value.clone())).collect(),
            other => {
                return Err(Failure::new(format!(
                    "a macro takes a list or a map, not {}",
                    other.type_name()
                )));
            }
        };
        self.budget.spend_elements(pairs.len())?;
        let is_list = matches!(range, Value::List(_));
        let elements = pairs.into_iter().map(|(key, value)| match (looped.is_pair, is_list) {
            (true, _) => (key, Some(value)),
            (false, true) => (value, None),
            (false, false) => (key, None),
        });
        match looped.kind {
            LoopKind::All => self.quantify(looped, elements, false, locals).map(|found| Value::Bool(!found)),
            LoopKind::Exists => self.quantify(looped, elements, true, locals).map(Value::Bool),
            LoopKind::ExistsOne => {
                let mut count = 0_usize;
                for element in elements {
                    count += usize::from(self.holds(looped, element, locals)?);
                }
                Ok(Value::Bool(count == 1))
            }
            LoopKind::List => {
                let mut made = Vec::new();
                for element in elements {
                    made.extend(self.make(looped, element, locals)?);
                }
                Ok(Value::List(made.into()))
            }
            LoopKind::Map => {
                let mut made = BTreeMap::new();
                for element in elements {
                    let key = key_of(&element.0)?;
                    if let Some(value) = self.make(looped, element, locals)? {
                        made.insert(key, value);
                    }
                }
                Ok(Value::Map(Arc::new(made)))
            }
        }
    }

    fn quantify(
        &self,
        looped: &Loop,
        elements: impl Iterator<Item = Element>,
        wanted: bool,
        locals: &mut Locals,
    ) -> Result<bool, Failure> {
        let mut failure = None;
        for element in elements {
            match self.holds(looped, element, locals) {
                Ok(value) if value == wanted => return Ok(true),
                Ok(_) => {}
                Err(error) if error.is_limit => return Err(error),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(false), Err)
    }

    fn holds(&self, looped: &Loop, element: Element, locals: &mut Locals) -> Result<bool, Failure> {
        let Some(condition) = &looped.condition else { return Ok(true) };
        with(locals, values(element), |locals| self.truth(condition, locals))
    }

    /// What a loop makes of an element: none if the condition refuses it.
    fn make(&self, looped: &Loop, element: Element, locals: &mut Locals) -> Result<Option<Value>, Failure> {
        let before = element.1.as_ref().unwrap_or(&element.0).clone();
        with(locals, values(element), |locals| {
            if let Some(condition) = &looped.condition
                && !self.truth(condition, locals)?
            {
                return Ok(None);
            }
            match &looped.output {
                Some(output) => self.eval(output, locals).map(Some),
                None => Ok(Some(before)),
            }
        })
    }

    fn variable(&self, name: &str) -> Outcome {
        let unknown = || Err(Failure::new(format!("variables.{name} is not given")));
        self.computed.borrow().get(name).cloned().unwrap_or_else(unknown)
    }

    /// Computes the variables that an expression reads, and those that they read, in the order of
    /// their declaration: none runs inside another, so the stack holds one expression at a time.
    /// One that fails is a failure only where it is read.
    pub(super) fn compute_variables(&self, reads: &[String]) {
        if reads.is_empty() {
            return;
        }
        let mut needed: BTreeSet<&str> = reads.iter().map(String::as_str).collect();
        for (name, expression) in self.variables.iter().rev() {
            if needed.contains(name.as_str()) {
                needed.extend(expression.reads.iter().map(String::as_str));
            }
        }
        for (name, expression) in self.variables {
            if !needed.contains(name.as_str()) || self.computed.borrow().contains_key(name.as_str()) {
                continue;
            }
            self.budget.begin_expression();
            let value = self
                .eval(&expression.node, &mut Locals::new())
                .and_then(|value| value.weigh(&self.budget).map(|()| value))
                .map_err(|error| in_variable(name, error));
            self.computed.borrow_mut().insert(name, value);
        }
    }
}

fn values((first, second): Element) -> impl Iterator<Item = Value> {
    std::iter::once(first).chain(second)
}

/// Why a declared value that may be absent is.
fn absent(index: usize) -> Failure {
    let path = DECLARED[index].path;
    let why = match path {
        "image.created" | "config.created" => "the image does not say when it was made",
        "effective.uid" => "the uid is not known",
        "effective.group" => "no group is set",
        _ => "it is not there",
    };
    Failure::new(format!("{path} is absent: {why}; ask has({path}) first"))
}

/// A variable's failure says which one it is; the innermost says enough.
fn in_variable(name: &str, failure: Failure) -> Failure {
    if failure.message.starts_with("variables.") {
        return failure;
    }
    Failure { message: format!("variables.{name}: {}", failure.message), ..failure }
}

/// Runs `body` with more values on the stack, and takes them away again.
fn with<T>(
    locals: &mut Locals,
    values: impl IntoIterator<Item = Value>,
    body: impl FnOnce(&mut Locals) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let before = locals.len();
    locals.extend(values);
    let result = body(locals);
    locals.truncate(before);
    result
}

/// An element of a literal: with `?`, what the optional has.
fn unwrapped(value: Value, optional: bool) -> Option<Value> {
    match value {
        Value::Optional(inner) if optional => inner.map(|value| (*value).clone()),
        value => Some(value),
    }
}

fn key_of(value: &Value) -> Result<Key, Failure> {
    Key::of(value).ok_or_else(|| Failure::new(format!("{} cannot be a key", value.type_name())))
}
