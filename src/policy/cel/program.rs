//! A checked expression: names are resolved, macros are loops, functions are known.

use super::{
    budget::{Budget, Failure},
    value::Value,
};
use kube_cel::cel;
use regex::Regex;
use std::sync::Arc;

/// One step.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Value(Value),
    /// A loop's or `cel.bind`'s variable: its place on the stack.
    Local(usize),
    /// A declared value: its position in the table.
    Declared(usize),
    /// `has(declared)`: it is there and not empty.
    HasDeclared(usize),
    /// `.?declared`
    MaybeDeclared(usize),
    /// `namespaceObject == null`
    NamespaceUnknown,
    /// `variables.<name>`
    Variable(String),
    Select {
        operand: Box<Node>,
        field: Arc<str>,
        mode: Mode,
    },
    Index {
        operand: Box<Node>,
        index: Box<Node>,
        optional: bool,
    },
    List(Vec<(Node, bool)>),
    Map(Vec<(Node, Node, bool)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Conditional(Box<[Node; 3]>),
    Binary(Operator, Box<[Node; 2]>),
    Loop(Box<Loop>),
    /// `cel.bind(name, value, body)`
    Bind(Box<[Node; 2]>),
    /// `optional.optMap(name, body)`; `flat`: the body gives an optional itself.
    OptMap {
        target: Box<Node>,
        body: Box<Node>,
        flat: bool,
    },
    /// `optional.or(other)`, or `orValue` where `is_value`: the other is evaluated only when needed.
    OrElse {
        optional: Box<Node>,
        other: Box<Node>,
        is_value: bool,
    },
    /// `matches`, `find` and `findAll` with a literal pattern.
    Pattern {
        target: Box<Node>,
        regex: Regex,
        wanted: Found,
        limit: Option<Box<Node>>,
    },
    Call {
        function: Function,
        args: Vec<Node>,
    },
    /// A declared object, which has fields but is no value. Never evaluated.
    Object,
}

/// How a field is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Value,
    /// `has(operand.field)`
    Test,
    /// `operand.?field`
    Optional,
}

/// Binary operators that evaluate both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A macro over a list or a map.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) kind: LoopKind,
    pub(super) range: Node,
    /// With two variables: index and element, or key and value.
    pub(super) is_pair: bool,
    /// What must hold: the predicate of `all` and the like, the filter of `map`.
    pub(super) condition: Option<Node>,
    /// What `map` and `transform…` make of an element.
    pub(super) output: Option<Node>,
}

/// What a loop gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    /// A list of the elements, or of the outputs.
    List,
    /// A map of the outputs by the same keys.
    Map,
}

/// What is wanted of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Whether,
    First,
    All,
}

/// A function.
#[derive(Clone, Debug)]
pub(super) enum Function {
    /// Ours.
    Native(Native),
    /// One of `kube-cel`, as a call with the variables `a0`, `a1`, …
    Bridged { name: &'static str, call: Arc<cel::IdedExpr> },
}

/// A function of ours: its arguments, the receiver first, and what it may cost.
pub(super) type Native = fn(&[Value], &Budget) -> Result<Value, Failure>;
