//! The CEL parts of a policy: match conditions, variables, validations and audit annotations, as
//! ValidatingAdmissionPolicy has them.
//!
//! What surprises: a message that cannot be made (the expression fails, or gives nothing or several
//! lines) never hides the violation; the next best text stands in.

use super::{
    Subject,
    cel::{Evaluation, Expression, Scope, Wanted},
    compile::RESERVED_ANNOTATIONS,
    place::Place,
};
use crate::{
    api::v1alpha1::{self as api, PolicySpec, Reason},
    text::clean,
};

/// Characters of an expression in a message.
const MAX_SHOWN: usize = 120;
/// Characters of a text that a policy gives.
const MAX_TEXT: usize = 1000;

/// The compiled expressions of a policy.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    pub(super) conditions: Vec<(String, Expression)>,
    pub(super) variables: Vec<(String, Expression)>,
    pub(super) validations: Vec<Validation>,
    pub(super) annotations: Vec<Annotation>,
}

/// An expression that must be true.
#[derive(Debug)]
pub(super) struct Validation {
    /// Its name, else its place: `validations[0]`.
    pub(super) rule: String,
    expression: Expression,
    message: Option<String>,
    message_expression: Option<Expression>,
    reason: Option<Reason>,
}

/// A value for the audit log.
#[derive(Debug)]
pub(super) struct Annotation {
    pub(super) key: String,
    pub(super) expression: Expression,
    /// Its place: `auditAnnotations[0]`.
    pub(super) rule: String,
}

/// What became of a match.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// All are true.
    Holds,
    /// One is false.
    Fails,
    /// None is false, and this one could not be evaluated.
    Error(String),
}

/// What became of a validation that does not hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    /// It is false; what to say.
    False(String),
    /// It could not be evaluated; why.
    Error(String),
}

/// Compiles every expression of `spec`.
pub(super) fn compile(spec: &PolicySpec, at: &Place<'_>) -> Expressions {
    let conditions = if spec.match_conditions.is_empty() { Vec::new() } else { conditions(spec, at) };
    if spec.variables.is_empty() && spec.validations.is_empty() && spec.audit_annotations.is_empty() {
        return Expressions { conditions, ..Expressions::default() };
    }
    let scope = Scope::validations().with_params(spec.param_kind.is_some());
    let mut compiler = Compiler { scope, broken: Vec::new() };
    let variables = each(&spec.variables, &at.field("variables"), |v, _, at| compiler.variable(v, at));
    let validations = each(&spec.validations, &at.field("validations"), |v, i, at| {
        compiler.validation(v, i, &spec.validations[..i], at)
    });
    let annotations = each(&spec.audit_annotations, &at.field("auditAnnotations"), |a, i, at| {
        compiler.annotation(a, i, at)
    });
    Expressions { conditions, variables, validations, annotations }
}

fn conditions(spec: &PolicySpec, at: &Place<'_>) -> Vec<(String, Expression)> {
    let scope = Scope::conditions().with_params(spec.param_kind.is_some());
    each(&spec.match_conditions, &at.field("matchConditions"), |condition, _, at| {
        let expression = Expression::compile(&condition.expression, &scope, Wanted::Bool);
        Some((condition.name.clone(), at.field("expression").accept(expression)?))
    })
}

/// What `compile` makes of each item; those that it refuses are left out.
fn each<T, U>(
    items: &[T],
    at: &Place<'_>,
    mut compile: impl FnMut(&T, usize, &Place<'_>) -> Option<U>,
) -> Vec<U> {
    items.iter().enumerate().filter_map(|(i, item)| compile(item, i, &at.item(i))).collect()
}

struct Compiler {
    scope: Scope,
    /// Variables that do not compile: expressions that read them are not complained of a second time.
    broken: Vec<String>,
}

impl Compiler {
    fn expression(&self, source: &str, wanted: Wanted, at: &Place<'_>) -> Option<Expression> {
        match Expression::compile(source, &self.scope, wanted) {
            Ok(expression) => Some(expression),
            Err(_) if self.broken.iter().any(|name| source.contains(&format!("variables.{name}"))) => None,
            Err(why) => {
                at.refuse(why);
                None
            }
        }
    }

    fn variable(&mut self, variable: &api::Variable, at: &Place<'_>) -> Option<(String, Expression)> {
        let Some(expression) = self.expression(&variable.expression, Wanted::Any, &at.field("expression"))
        else {
            self.broken.push(variable.name.clone());
            return None;
        };
        at.field("name").accept(self.scope.declare_variable(&variable.name, &expression))?;
        Some((variable.name.clone(), expression))
    }

    fn validation(
        &self,
        validation: &api::Validation,
        index: usize,
        earlier: &[api::Validation],
        at: &Place<'_>,
    ) -> Option<Validation> {
        let is_multiline = |text: &str| text.contains(['\n', '\r']);
        if validation.message.as_deref().is_some_and(|text| is_multiline(text) || text.trim().is_empty()) {
            at.field("message").refuse("must be one line with some text");
        }
        if validation.message.is_none()
            && validation.message_expression.is_none()
            && is_multiline(validation.expression.trim())
        {
            at.field("message").refuse("is required where the expression has line breaks");
        }
        if let Some(name) = &validation.name {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if !name.chars().all(is_plain) {
                at.field("name").refuse(format!("{name:?} may have letters, digits, '-', '_' and '.' only"));
            }
            if earlier.iter().any(|other| other.name.as_ref() == Some(name)) {
                at.field("name").refuse(format!("{name:?} is already the name of another validation"));
            }
        }
        let expression = self.expression(&validation.expression, Wanted::Bool, &at.field("expression"));
        let message_expression = match &validation.message_expression {
            Some(source) => Some(self.expression(source, Wanted::String, &at.field("messageExpression"))?),
            None => None,
        };
        Some(Validation {
            rule: validation.name.clone().unwrap_or_else(|| format!("validations[{index}]")),
            expression: expression?,
            message: validation.message.clone(),
            message_expression,
            reason: validation.reason,
        })
    }

    fn annotation(
        &self,
        annotation: &api::AuditAnnotation,
        index: usize,
        at: &Place<'_>,
    ) -> Option<Annotation> {
        let key = &annotation.key;
        if RESERVED_ANNOTATIONS.contains(&key.as_str()) {
            at.field("key").refuse(format!("{key:?} is a key that Hullmark itself writes; choose another"));
        } else if !is_key(key) {
            at.field("key").refuse(format!(
                "{key:?} is not a key: letters, digits, '-', '_' and '.', a letter or digit at both ends, at most 63"
            ));
        }
        let expression =
            self.expression(&annotation.value_expression, Wanted::String, &at.field("valueExpression"))?;
        Some(Annotation { key: key.clone(), expression, rule: format!("auditAnnotations[{index}]") })
    }
}

/// The name part of a qualified name (apimachinery, `IsQualifiedName`).
fn is_key(key: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    key.len() <= 63
        && is_end(key.chars().next())
        && is_end(key.chars().next_back())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl Expressions {
    /// Whether nothing is checked or recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.validations.is_empty() && self.annotations.is_empty()
    }

    /// Whether a validation or an annotation needs the image.
    pub(super) fn need_image(&self) -> bool {
        self.validations.iter().any(Validation::needs_image)
            || self.annotations.iter().any(|annotation| annotation.expression.needs_image())
    }

    /// Whether any of them reads the object, or a container, as it was written.
    pub(super) fn read_object(&self) -> bool {
        self.any(Expression::reads_object)
    }

    /// Whether any of them reads the whole config of an image.
    pub(super) fn read_document(&self) -> bool {
        self.any(Expression::reads_document)
    }

    fn any(&self, holds: impl Fn(&Expression) -> bool) -> bool {
        let named = self.conditions.iter().chain(&self.variables).map(|(_, expression)| expression);
        let annotations = self.annotations.iter().map(|annotation| &annotation.expression);
        named.chain(annotations).any(&holds)
            || self.validations.iter().any(|validation| {
                holds(&validation.expression) || validation.message_expression.as_ref().is_some_and(&holds)
            })
    }

    /// ValidatingAdmissionPolicy's rule: one false condition skips the policy, whatever else fails.
    pub(super) fn match_conditions(
        &self,
        subject: &Subject<'_>,
        params: Option<&serde_json::Value>,
    ) -> Condition {
        if self.conditions.is_empty() {
            return Condition::Holds;
        }
        let evaluation = Evaluation::conditions(subject).with_params(params);
        let mut result = Condition::Holds;
        for (name, expression) in &self.conditions {
            match evaluation.bool(expression) {
                Ok(false) => return Condition::Fails,
                Err(why) if result == Condition::Holds => {
                    result =
                        Condition::Error(format!("the match condition {name} could not be evaluated: {why}"));
                }
                Ok(true) | Err(_) => {}
            }
        }
        result
    }
}

impl Validation {
    /// Whether the expression or its message needs the image.
    pub(super) fn needs_image(&self) -> bool {
        self.expression.needs_image() || self.message_expression.as_ref().is_some_and(Expression::needs_image)
    }

    /// What was wanted, for reports.
    pub(super) fn source(&self) -> String {
        clean(self.expression.source(), MAX_SHOWN)
    }

    /// None: it holds.
    pub(super) fn judge(&self, evaluation: &Evaluation<'_>) -> Option<Invalid> {
        match evaluation.bool(&self.expression) {
            Ok(true) => None,
            Ok(false) => Some(Invalid::False(self.text(evaluation))),
            Err(why) => Some(Invalid::Error(why)),
        }
    }

    fn text(&self, evaluation: &Evaluation<'_>) -> String {
        let computed = self.message_expression.as_ref().and_then(|e| evaluation.string(e).ok().flatten());
        let computed = computed.map(|text| text.trim().to_owned());
        let text = computed
            .filter(|text| !text.is_empty() && !text.contains(['\n', '\r']))
            .or_else(|| self.message.clone())
            .unwrap_or_else(|| format!("does not satisfy {}", self.source()));
        match self.reason {
            Some(reason) => format!("{} ({})", clean(&text, MAX_TEXT), reason.as_str()),
            None => clean(&text, MAX_TEXT),
        }
    }
}
