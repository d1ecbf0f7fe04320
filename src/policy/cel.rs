//! CEL, as Kubernetes' users know it, with the image added.
//!
//! In go a source text and the variables in scope; out comes an [`Expression`] that was checked
//! against their types, or one line that says what is wrong and where. An [`Evaluation`] holds the
//! values of one subject, use and platform, and gives what expressions come to. It is pure, counts
//! what each step costs, and ends with an error when the limits of `budget` are reached.
//!
//! What surprises:
//! - `has(config.user)` asks whether the image says it (CEL's rule for messages: set and not empty),
//!   and `config.?user` is `optional.none()` where it does not. `config.user` is then empty.
//! - Fields that may be absent and have no honest empty value (`image.created`, `effective.uid`,
//!   `effective.group`) are errors when read: an absent field never satisfies a rule by accident.
//! - `image.digest` is what the reference is pinned to; `image.resolvedDigest` what it came to.
//! - Functions that are Kubernetes' but missing here are named in `signatures`.
//!
//! The language is read and run here (`lexer`, `syntax`, `check`, `eval`); Kubernetes' function
//! libraries are `kube-cel`'s. `eval` says why.

mod budget;
mod check;
mod declarations;
mod eval;
mod lexer;
mod library;
mod operators;
mod place;
mod program;
mod signatures;
mod syntax;
#[cfg(test)]
mod tests;
mod time;
mod types;
mod value;
mod values;

use super::Subject;
use crate::{
    image::{PlatformImage, ResolvedImage},
    text::clean,
    workload::{EffectiveContainer, ImageUse},
};
use budget::{Budget, Failure};
use check::Checker;
use program::Node;
use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};
use syntax::SyntaxError;
use types::Type;
use value::Value;

/// The variable that a policy has if it has a `paramKind`.
const PARAMS: &str = "params";
/// Characters of the longest error.
const MESSAGE_CHARS: usize = 300;

/// The variables that an expression may read, and their types.
#[derive(Clone, Debug)]
pub struct Scope {
    sees_image: bool,
    sees_params: bool,
    variables: Vec<Variable>,
}

#[derive(Clone, Debug)]
struct Variable {
    name: String,
    kind: Type,
    needs_image: bool,
    reads_object: bool,
    reads_document: bool,
}

/// What an expression must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `true` or `false`: match conditions and validations.
    Bool,
    /// A string or null: message expressions and audit annotations.
    String,
    /// Anything: variables.
    Any,
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    source: String,
    node: Node,
    kind: Type,
    /// The variables that it names.
    reads: Vec<String>,
    needs_image: bool,
    reads_object: bool,
    reads_document: bool,
}

/// The image of one platform, and what the container will be with it.
pub type Looked<'a> = (&'a ResolvedImage, &'a PlatformImage, &'a EffectiveContainer<'a>);

/// The values of one subject, use and platform, built when an expression first reads them.
/// The budget of all its expressions is kept here: make one per policy, use and platform.
#[derive(Debug)]
pub struct Evaluation<'a> {
    subject: &'a Subject<'a>,
    usage: Option<&'a ImageUse>,
    image: Option<Looked<'a>>,
    params: Option<&'a serde_json::Value>,
    variables: &'a [(String, Expression)],
    budget: Budget,
    declared: RefCell<BTreeMap<usize, Result<Option<Value>, Failure>>>,
    computed: RefCell<BTreeMap<&'a str, Result<Value, Failure>>>,
    document: OnceCell<Option<serde_json::Value>>,
}

impl Scope {
    /// What match conditions see: `object`, `oldObject`, `request`, `namespaceObject`, `now`.
    #[must_use]
    pub fn conditions() -> Self {
        Self { sees_image: false, sees_params: false, variables: Vec::new() }
    }

    /// What validations see: the same, and `image`, `config`, `container`, `effective`, `variables`.
    #[must_use]
    pub fn validations() -> Self {
        Self { sees_image: true, sees_params: false, variables: Vec::new() }
    }

    /// The same, and `params` if there are some.
    #[must_use]
    pub fn with_params(self, sees_params: bool) -> Self {
        Self { sees_params, ..self }
    }

    /// Makes `variables.<name>` known to the expressions compiled after it.
    ///
    /// # Errors
    /// When the name is no identifier or is taken.
    pub fn declare_variable(&mut self, name: &str, expression: &Expression) -> Result<(), String> {
        let mut letters = name.chars();
        let is_identifier = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !is_identifier {
            return Err(format!("{name:?} is no name for a variable: letters, digits and _ only"));
        }
        if self.variables.iter().any(|variable| variable.name == name) {
            return Err(format!("there is a variable {name:?} already"));
        }
        self.variables.push(Variable {
            name: name.to_owned(),
            kind: expression.kind.clone(),
            needs_image: expression.needs_image,
            reads_object: expression.reads_object,
            reads_document: expression.reads_document,
        });
        Ok(())
    }

    /// The variables by name.
    fn names(&self) -> Vec<&'static str> {
        const IMAGE: [&str; 4] = ["container", "image", "config", "effective"];
        let mut names = declarations::names_below("");
        names.retain(|&name| name != PARAMS || self.sees_params);
        if self.sees_image {
            names.push("variables");
        } else {
            names.retain(|name| !IMAGE.contains(name));
        }
        names
    }
}

impl Expression {
    /// Parses and checks `source`.
    ///
    /// # Errors
    /// Where (line and column) and what is wrong, in one line.
    pub fn compile(source: &str, scope: &Scope, wanted: Wanted) -> Result<Self, String> {
        Self::checked(source, scope, wanted).map_err(|error| clean(&error.in_source(source), MESSAGE_CHARS))
    }

    fn checked(source: &str, scope: &Scope, wanted: Wanted) -> Result<Self, SyntaxError> {
        let tree = syntax::parse(source)?;
        let mut checker = Checker::new(scope);
        let (node, kind) = checker.value(&tree)?;
        let (fits, what) = match wanted {
            Wanted::Any => (true, "anything"),
            Wanted::Bool => (matches!(kind, Type::Bool | Type::Dyn), "a bool"),
            Wanted::String => (matches!(kind, Type::String | Type::Null | Type::Dyn), "a string or null"),
        };
        if !fits {
            return Err(SyntaxError::new(0, format!("the expression must give {what}, not {kind}")));
        }
        let Checker { reads, needs_image, reads_object, reads_document, .. } = checker;
        Ok(Self { source: source.to_owned(), node, kind, reads, needs_image, reads_object, reads_document })
    }

    /// Whether the image must be looked at: reads `config`, `effective`, or more of `image` than the
    /// parts of the reference; through variables too.
    #[must_use]
    pub fn needs_image(&self) -> bool {
        self.needs_image
    }

    /// Whether it reads `object`, `oldObject` or `container`; through variables too.
    #[must_use]
    pub fn reads_object(&self) -> bool {
        self.reads_object
    }

    /// Whether it reads `image.document`; through variables too.
    #[must_use]
    pub fn reads_document(&self) -> bool {
        self.reads_document
    }

    /// As written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl<'a> Evaluation<'a> {
    /// For expressions compiled against [`Scope::conditions`].
    #[must_use]
    pub fn conditions(subject: &'a Subject<'a>) -> Self {
        Self {
            subject,
            usage: None,
            image: None,
            params: None,
            variables: &[],
            budget: Budget::new(),
            declared: RefCell::default(),
            computed: RefCell::default(),
            document: OnceCell::new(),
        }
    }

    /// For expressions compiled against [`Scope::validations`]. `variables` are those that were
    /// declared. Without `image`, an expression for which [`Expression::needs_image`] holds fails.
    #[must_use]
    pub fn validations(
        subject: &'a Subject<'a>,
        usage: &'a ImageUse,
        image: Option<Looked<'a>>,
        variables: &'a [(String, Expression)],
    ) -> Self {
        Self { usage: Some(usage), image, variables, ..Self::conditions(subject) }
    }

    /// The same, with what expressions read as `params`.
    #[must_use]
    pub fn with_params(self, params: Option<&'a serde_json::Value>) -> Self {
        Self { params, ..self }
    }

    /// The value of an expression compiled with [`Wanted::Bool`].
    ///
    /// # Errors
    /// Why it has none, short; no value of the image or the object is quoted.
    pub fn bool(&self, expression: &Expression) -> Result<bool, String> {
        match self.value(expression)? {
            Value::Bool(value) => Ok(value),
            other => Err(format!("gave {}, not a bool", other.type_name())),
        }
    }

    /// The value of an expression compiled with [`Wanted::String`].
    ///
    /// # Errors
    /// Why it has none.
    pub fn string(&self, expression: &Expression) -> Result<Option<String>, String> {
        match self.value(expression)? {
            Value::String(text) => Ok(Some(text.to_string())),
            Value::Null => Ok(None),
            other => Err(format!("gave {}, not a string", other.type_name())),
        }
    }

    fn value(&self, expression: &Expression) -> Result<Value, String> {
        // Nothing here should panic; if it does all the same, this expression has no value, and the
        // review goes on.
        catch_unwind(AssertUnwindSafe(|| {
            self.compute_variables(&expression.reads);
            self.budget.begin_expression();
            self.eval(&expression.node, &mut eval::Locals::new())
        }))
        .unwrap_or_else(|_| Err(Failure::new(library::PANICKED)))
        .map_err(|failure| clean(&failure.message, MESSAGE_CHARS))
    }
}

/// The variables and functions with their types, as Markdown for the docs.
#[must_use]
pub fn reference_markdown() -> String {
    let functions: Vec<&str> = signatures::lines().collect();
    format!("{}\n```text\n{}\n```\n", declarations::markdown(), functions.join("\n"))
}
