//! `hullmark.dev/v1alpha1`: what users write.
//!
//! The types are the schemas: `hullmark crds` prints the CustomResourceDefinitions made of them, and
//! [`crate::policy::PolicySet::compile`] holds every document against those same schemas. The comments
//! on fields are what `kubectl explain` shows. Durations, sizes, ranges, globs, regular expressions
//! and expressions are strings here; they are parsed when a policy is compiled.

mod exception;
mod rules;
mod spec;
mod status;

pub use exception::{ExceptedPolicy, ImageConfigException, ImageConfigExceptionSpec};
pub use rules::{
    AgeRule, BaseRule, EntrypointRule, EnvRule, LabelRule, PlatformsRule, PortsRule, ReferenceRule, Rules,
    SizeRule, Source, StopSignalRule, TagsRule, UserRule, VolumesRule, WorkingDirRule,
};
pub use spec::{
    AuditAnnotation, ClusterImageConfigPolicy, ClusterImageConfigPolicySpec, ImageConfigPolicy,
    ImageConfigPolicySpec, MatchCondition, MatchResources, OnResolutionFailure, ParamKind, ParamRef,
    ParameterNotFoundAction, PolicySpec, Reason, Use, Validation, ValidationAction, Variable,
};
pub use status::{ExpressionWarning, PolicyCounts, PolicyStatus, TypeChecking};

/// The API group of every kind here.
pub const GROUP: &str = "hullmark.dev";
/// `apiVersion` of every kind here.
pub const API_VERSION: &str = "hullmark.dev/v1alpha1";
