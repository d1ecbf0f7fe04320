//! The two kinds of policy. They differ in where they hold, and in nothing else.

use super::{PolicyStatus, Rules};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What images must say, in every namespace that the policy selects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "hullmark.dev",
    version = "v1alpha1",
    kind = "ClusterImageConfigPolicy",
    plural = "clusterimageconfigpolicies",
    shortname = "cicp",
    category = "hullmark",
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "ClusterImageConfigPolicy says what the images of Pods must say of themselves, in every namespace that it selects.",
    printcolumn = r#"{"name":"Actions","type":"string","jsonPath":".spec.validationActions","description":"What follows from a violation"}"#,
    printcolumn = r#"{"name":"On resolution failure","type":"string","jsonPath":".spec.onResolutionFailure","priority":1}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct ClusterImageConfigPolicySpec(pub PolicySpec);

/// What images must say, in the policy's own namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "hullmark.dev",
    version = "v1alpha1",
    kind = "ImageConfigPolicy",
    plural = "imageconfigpolicies",
    shortname = "icp",
    category = "hullmark",
    namespaced,
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "ImageConfigPolicy says what the images of Pods must say of themselves, in its own namespace only.",
    printcolumn = r#"{"name":"Actions","type":"string","jsonPath":".spec.validationActions","description":"What follows from a violation"}"#,
    printcolumn = r#"{"name":"On resolution failure","type":"string","jsonPath":".spec.onResolutionFailure","priority":1}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
pub struct ImageConfigPolicySpec(pub PolicySpec);

/// What a policy selects, what it wants, and what follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.paramKind) == has(self.paramRef)",
    "message": "paramKind says what paramRef names: give both or none",
}, {
    "rule": "has(self.rules) || (has(self.validations) && size(self.validations) > 0) \
        || (has(self.auditAnnotations) && size(self.auditAnnotations) > 0)",
    "message": "the policy checks nothing: give rules, validations or auditAnnotations",
}]))]
pub struct PolicySpec {
    /// What follows from a violation: Deny refuses the Pod, Warn admits it with a warning, Audit records it. Deny and Warn exclude each other. Default: Deny.
    #[serde(default = "deny")]
    #[schemars(length(min = 1, max = 2), extend("x-kubernetes-list-type" = "set", "x-kubernetes-validations" = [{
        "rule": "!('Deny' in self && 'Warn' in self)",
        "message": "Deny and Warn exclude each other",
    }]))]
    pub validation_actions: Vec<ValidationAction>,
    /// What follows when an image cannot be looked at (not found, no access, registry down): Deny, Warn or Allow; it is always recorded. It is never stricter than validationActions: a policy that only warns only warns of this too. Default: Deny.
    #[serde(default)]
    pub on_resolution_failure: OnResolutionFailure,
    /// Which Pods and which of their images the policy is for. Default: all.
    #[serde(default, rename = "match")]
    pub match_: MatchResources,
    /// The kind of the objects that expressions read as params, as in ValidatingAdmissionPolicy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_kind: Option<ParamKind>,
    /// Which objects of that kind. With several, the validations must hold for each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_ref: Option<ParamRef>,
    /// CEL conditions on the request, as in ValidatingAdmissionPolicy: if any is false, the policy is skipped; if none is false and one fails, that is enforced like a violation. Variables: object, oldObject, request, namespaceObject, params, now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub match_conditions: Vec<MatchCondition>,
    /// Declarative rules; each is optional, and all of them must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
    /// CEL expressions by name, for the expressions after them to use as variables.NAME.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub variables: Vec<Variable>,
    /// CEL expressions that must be true for each image and each of its platforms. Variables: object, oldObject, request, namespaceObject, params, now, variables, image, config, container, effective.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub validations: Vec<Validation>,
    /// CEL expressions whose values go to the audit log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub audit_annotations: Vec<AuditAnnotation>,
}

/// A kind of objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParamKind {
    /// Its API group and version: v1, apps/v1.
    #[schemars(length(min = 1, max = 317))]
    pub api_version: String,
    /// The kind: ConfigMap.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
}

/// Which objects of the paramKind a policy reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.name) != has(self.selector)",
    "message": "give a name or a selector, and not both",
}]))]
pub struct ParamRef {
    /// The object's name. Either this or a selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// The objects' labels. Either this or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Their namespace. Default: that of the Pod. Not for kinds that have none. In an ImageConfigPolicy it is always its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// What follows when there is no such object: Allow skips the policy, Deny is enforced like a violation.
    pub parameter_not_found_action: ParameterNotFoundAction,
}

/// What follows when there is no such object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ParameterNotFoundAction {
    /// The policy is skipped.
    Allow,
    /// It is enforced like a violation.
    Deny,
}

/// What follows from a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ValidationAction {
    /// The Pod is refused.
    Deny,
    /// The Pod is admitted with a warning.
    Warn,
    /// It is recorded.
    Audit,
}

/// What follows when an image cannot be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnResolutionFailure {
    /// The Pod is refused.
    #[default]
    Deny,
    /// The Pod is admitted with a warning.
    Warn,
    /// The Pod is admitted.
    Allow,
}

/// Places in a Pod that name an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Use {
    /// `spec.containers[]`
    Container,
    /// `spec.initContainers[]`, sidecars too.
    InitContainer,
    /// `spec.ephemeralContainers[]`
    EphemeralContainer,
    /// `spec.volumes[].image`
    ImageVolume,
}

/// Why a request is refused, as ValidatingAdmissionPolicy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reason {
    /// Who asks is not known.
    Unauthorized,
    /// It is not allowed.
    Forbidden,
    /// It is wrong.
    Invalid,
    /// It is too large.
    RequestEntityTooLarge,
}

/// Which Pods and which of their images a policy is for. All parts must match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchResources {
    /// Labels of the namespace; empty: every namespace. Not in an ImageConfigPolicy, which holds in its own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Labels of the Pod, or of the template's Pods; empty: every Pod. Whoever creates the Pod chooses its labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_selector: Option<LabelSelector>,
    /// Globs over the normalised image name, without tag and digest: docker.io/library/nginx. `*` stays within a path component, `**` does not. Empty: every image. An image whose name cannot be read matches every glob.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub images: Vec<String>,
    /// Globs over the normalised image name: images that the policy is not for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub exclude_images: Vec<String>,
    /// Places in the Pod that the policy looks at. Default: Container, InitContainer, EphemeralContainer. For an ImageVolume, only the rules reference, size and platforms and the validations apply.
    #[serde(default = "containers")]
    #[schemars(length(min = 1, max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub uses: Vec<Use>,
}

/// A CEL condition on the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatchCondition {
    /// Its name, unique in the policy.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The expression: true or false.
    #[schemars(length(min = 1, max = 10240))]
    pub expression: String,
}

/// A CEL expression with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variable {
    /// The name: `variables.NAME` in the expressions after it. A CEL identifier.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The expression. It is evaluated when it is first read.
    #[schemars(length(min = 1, max = 10240))]
    pub expression: String,
}

/// A CEL expression that must be true, and what is said when it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// What reports call this validation. Default: its place, such as `validations[0]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// The expression: true or false. A failure at run time is enforced like false.
    #[schemars(length(min = 1, max = 10240))]
    pub expression: String,
    /// What is said when it is false; one line. Required where the expression has line breaks and there is no messageExpression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub message: Option<String>,
    /// A CEL expression that gives the message. It goes before message, which stands in where the expression fails or gives an empty text or several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10240))]
    pub message_expression: Option<String>,
    /// Why, in one word; it is shown after the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// A value for the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditAnnotation {
    /// The key: letters, digits, `-`, `_` and `.`, at most 63 characters, a letter or digit at both ends.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"))]
    pub key: String,
    /// A CEL expression that gives a string; null or empty: no annotation. Values of several images are joined by a comma; at most 10 KiB are kept.
    #[schemars(length(min = 1, max = 10240))]
    pub value_expression: String,
}

impl Default for MatchResources {
    fn default() -> Self {
        Self {
            namespace_selector: None,
            object_selector: None,
            images: Vec::new(),
            exclude_images: Vec::new(),
            uses: containers(),
        }
    }
}

impl ValidationAction {
    /// As policies write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "Deny",
            Self::Warn => "Warn",
            Self::Audit => "Audit",
        }
    }
}

impl Reason {
    /// As policies write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Invalid",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
        }
    }
}

fn deny() -> Vec<ValidationAction> {
    vec![ValidationAction::Deny]
}

fn containers() -> Vec<Use> {
    vec![Use::Container, Use::InitContainer, Use::EphemeralContainer]
}
