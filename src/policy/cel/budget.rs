//! What an expression may cost. Costs are counted, not timed, so that the same expression on the
//! same values always ends in the same way.
//!
//! A unit is about one step of the evaluator; text costs a unit for every 16 bytes. The limits are
//! those of Kubernetes' ValidatingAdmissionPolicy (1,000,000 for an expression, 10,000,000 for all
//! of a policy's).

use std::cell::Cell;

/// Units that one expression or variable may spend.
pub(super) const EXPRESSION_UNITS: u64 = 1_000_000;
/// Units that all expressions of one [`super::Evaluation`] may spend together.
pub(super) const EVALUATION_UNITS: u64 = 10_000_000;
/// Bytes of the longest string that an expression may make.
pub(super) const STRING_BYTES: usize = 256 * 1024;
/// Elements of the longest list or map that an expression may make.
pub(super) const ELEMENTS: usize = 100_000;
/// How deep lists and maps may lie in each other.
pub(super) const VALUE_DEPTH: usize = 200;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For the reader. Never quotes a value.
    pub(super) message: String,
    /// A limit was reached: `||`, `&&` and the like do not hide it.
    pub(super) is_limit: bool,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_limit: false }
    }

    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_limit: true }
    }
}

/// What is left to spend.
#[derive(Debug)]
pub(super) struct Budget {
    expression: Cell<u64>,
    evaluation: Cell<u64>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { expression: Cell::new(EXPRESSION_UNITS), evaluation: Cell::new(EVALUATION_UNITS) }
    }

    /// A new expression begins.
    pub(super) fn begin_expression(&self) {
        self.expression.set(EXPRESSION_UNITS);
    }

    /// What is left for the expression that runs.
    #[cfg(test)]
    pub(super) fn left(&self) -> u64 {
        self.expression.get()
    }

    pub(super) fn spend(&self, units: u64) -> Result<(), Failure> {
        let take = |left: &Cell<u64>, limit: u64, of: &str| {
            let rest = left.get().checked_sub(units);
            left.set(rest.unwrap_or(0));
            let over =
                || Failure::limit(format!("costs more than {limit} units, which is the limit for {of}"));
            rest.map(|_| ()).ok_or_else(over)
        };
        take(&self.expression, EXPRESSION_UNITS, "an expression")?;
        take(&self.evaluation, EVALUATION_UNITS, "all expressions of a policy")
    }

    /// Text is about to be read or made.
    pub(super) fn spend_text(&self, bytes: usize) -> Result<(), Failure> {
        self.spend(1 + (bytes / 16) as u64)
    }

    /// A string of so many bytes is about to be made.
    pub(super) fn spend_string(&self, bytes: usize) -> Result<(), Failure> {
        if bytes > STRING_BYTES {
            return Err(Failure::limit(format!("would make a string of more than {STRING_BYTES} bytes")));
        }
        self.spend_text(bytes)
    }

    /// A list or map of so many elements is about to be made.
    pub(super) fn spend_elements(&self, count: usize) -> Result<(), Failure> {
        if count > ELEMENTS {
            return Err(Failure::limit(format!("would make a list of more than {ELEMENTS} elements")));
        }
        self.spend(count as u64)
    }
}
