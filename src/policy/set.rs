//! The policies in force: an immutable snapshot.

use super::{
    Namespace, Subject, Verdict,
    compile::{Compiled, Policy, compile},
    evaluate,
    exception::Exception,
    matching::Index,
    parameters::{Parameters, Source, WantedParameters},
};
use crate::{
    api::v1alpha1::{PolicyCounts, ValidationAction},
    workload::{ImageUse, Workload},
};
use std::collections::{BTreeSet, HashMap};

/// One policy as it was written, and where.
#[derive(Clone, Debug)]
pub struct PolicyDocument {
    /// The file and the document in it (`policies/base.yaml#2`), or the resource.
    pub source: String,
    /// The document.
    pub value: serde_json::Value,
}

/// Why a policy is refused: where, which field, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {field}: {why}")]
pub struct PolicyError {
    /// The file and the document in it, and the policy's name where it has one.
    pub source_name: String,
    /// The field: `spec.rules.user.ranges[0]`.
    pub field: String,
    /// What is wrong, and the nearest name that exists where one was mistyped.
    pub why: String,
}

/// The policies in force, and what holds beside them.
#[derive(Debug, Default)]
pub struct PolicySet {
    pub(super) policies: Vec<Policy>,
    pub(super) index: Index,
    reads_object: bool,
    reads_document: bool,
    pub(super) exceptions: Vec<Exception>,
    pub(super) parameters: Parameters,
    pub(super) defaults: Defaults,
}

/// What holds beside the policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// In which namespaces exceptions count.
    pub exceptions: ExceptionScope,
    /// What happens to an image that no policy matches.
    pub unmatched: Unmatched,
}

/// In which namespaces exceptions count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExceptionScope {
    /// In every one: whoever may create exceptions there decides.
    #[default]
    All,
    /// In these only; empty: nowhere.
    Namespaces(BTreeSet<String>),
}

/// What happens to an image that no policy matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// Nothing.
    #[default]
    Allow,
    /// A warning.
    Warn,
    /// The Pod is refused.
    Deny,
}

/// An exception, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionSummary<'a> {
    /// `namespace/name`
    pub name: &'a str,
    /// When it ends.
    pub expires: jiff::Timestamp,
    /// Whether exceptions count in its namespace.
    pub counts: bool,
}

/// A policy in force, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicySummary<'a> {
    /// Its name; `namespace/name` for a namespaced one.
    pub name: &'a str,
    /// Where it was written.
    pub source: &'a str,
    /// What follows from a violation.
    pub actions: &'a [ValidationAction],
}

impl ExceptionScope {
    fn includes(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(names) => names.contains(namespace),
        }
    }
}

impl PolicySet {
    /// Compiles documents of the kinds in [`crate::api::v1alpha1`], whole: one bad document refuses all.
    ///
    /// # Errors
    /// Every error of every document, never only the first.
    pub fn compile(documents: &[PolicyDocument]) -> Result<Self, Vec<PolicyError>> {
        let (set, errors) = Self::compile_each(documents);
        if errors.is_empty() {
            Ok(set)
        } else {
            Err(errors.into_iter().flat_map(|(_, errors)| errors).collect())
        }
    }

    /// Compiles each document for itself: those that compile are in force, and what is wrong with the
    /// others is told with their positions in `documents`.
    #[must_use]
    pub fn compile_each(documents: &[PolicyDocument]) -> (Self, Vec<(usize, Vec<PolicyError>)>) {
        let mut set = Self::default();
        let mut sources: HashMap<(bool, String), &str> = HashMap::new();
        let mut refused = Vec::new();
        for (i, document) in documents.iter().enumerate() {
            let compiled = match compile(document) {
                Ok(compiled) => compiled,
                Err(errors) => {
                    refused.push((i, errors));
                    continue;
                }
            };
            let key = match &compiled {
                Compiled::Policy(policy) => (true, policy.name.to_string()),
                Compiled::Exception(exception) => (false, exception.name.clone()),
            };
            if let Some(first) = sources.get(&key) {
                let why = format!("{} is already there, in {first}; rename one of them", key.1);
                let source_name = document.source.clone();
                refused.push((i, vec![PolicyError { source_name, field: "metadata.name".to_owned(), why }]));
                continue;
            }
            sources.insert(key, &document.source);
            match compiled {
                Compiled::Policy(policy) => set.policies.push(*policy),
                Compiled::Exception(exception) => set.exceptions.push(*exception),
            }
        }
        set.index = Index::new(set.policies.iter().map(|policy| &policy.selector));
        set.reads_object = set.policies.iter().any(|policy| policy.expressions.read_object());
        set.reads_document = set.policies.iter().any(|policy| policy.expressions.read_document());
        (set, refused)
    }

    /// The same with other defaults.
    #[must_use]
    pub fn with_defaults(mut self, defaults: Defaults) -> Self {
        self.defaults = defaults;
        self
    }

    /// The same with these objects, too, for its policies to read.
    #[must_use]
    pub fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = self.parameters.with(parameters);
        self
    }

    /// Which objects its policies read, each once.
    #[must_use]
    pub fn wanted_parameters(&self) -> BTreeSet<WantedParameters> {
        self.policies.iter().filter_map(|policy| policy.parameters.as_ref()).map(Source::wanted).collect()
    }

    /// Which objects this policy reads, if any.
    #[must_use]
    pub fn parameters_of(&self, policy: &str) -> Option<WantedParameters> {
        self.policies.iter().find(|one| *one.name == *policy)?.parameters.as_ref().map(Source::wanted)
    }

    /// What a policy in force has, and how many exceptions name it at `now`.
    #[must_use]
    pub fn counts_of(&self, policy: &str, now: jiff::Timestamp) -> Option<PolicyCounts> {
        let one = self.policies.iter().find(|one| *one.name == *policy)?;
        let exceptions = self
            .exceptions
            .iter()
            .filter(|exception| self.counts(exception) && now < exception.expires && exception.names(policy));
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Some(PolicyCounts {
            rules: number(one.rules.len()),
            validations: number(one.expressions.validations.len()),
            exceptions: number(exceptions.count()),
        })
    }

    /// The exceptions, in the order in which they were given.
    pub fn exceptions(&self) -> impl Iterator<Item = ExceptionSummary<'_>> {
        self.exceptions.iter().map(|exception| ExceptionSummary {
            name: &exception.name,
            expires: exception.expires,
            counts: self.counts(exception),
        })
    }

    pub(super) fn counts(&self, exception: &Exception) -> bool {
        self.defaults.exceptions.includes(&exception.namespace)
    }

    /// How many policies are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policies, in the order in which they were given.
    pub fn policies(&self) -> impl Iterator<Item = PolicySummary<'_>> {
        self.policies.iter().map(|policy| PolicySummary {
            name: &policy.name,
            source: &policy.source,
            actions: &policy.actions,
        })
    }

    /// Whether any policy that selects this use must look at the image (rules on the reference
    /// alone need not). Where that depends on a match condition, or without `namespace` on its labels, the
    /// answer is yes.
    #[must_use]
    pub fn needs_image(&self, workload: &Workload, usage: &ImageUse, namespace: Option<&Namespace>) -> bool {
        self.possible(workload, usage, namespace).any(|policy| {
            policy.selector.may_select(workload, namespace)
                && policy.selector.selects_use(usage)
                && (usage.reference.is_err() || policy.needs_image(usage.kind))
        })
    }

    /// Whether any expression reads the object, or a container, as it was written.
    #[must_use]
    pub fn reads_object(&self) -> bool {
        self.reads_object
    }

    /// Whether any expression reads the whole config of an image (`image.document`).
    #[must_use]
    pub fn reads_document(&self) -> bool {
        self.reads_document
    }

    /// Whether any policy may be for this use.
    #[must_use]
    pub fn may_select(&self, workload: &Workload, usage: &ImageUse) -> bool {
        self.possible(workload, usage, None)
            .any(|policy| policy.selector.may_select(workload, None) && policy.selector.selects_use(usage))
    }

    /// The policies that could be for this use.
    fn possible(
        &self,
        workload: &Workload,
        usage: &ImageUse,
        namespace: Option<&Namespace>,
    ) -> impl Iterator<Item = &Policy> {
        let name = namespace.map(|namespace| namespace.name.as_str());
        let candidates = self.index.candidates(workload, name, std::iter::once(usage));
        candidates.into_iter().map(|at| &self.policies[at])
    }

    /// Judges. Pure: the same subject always gives the same verdict.
    #[must_use]
    pub fn evaluate(&self, subject: &Subject<'_>) -> Verdict {
        evaluate::evaluate(self, subject)
    }
}
