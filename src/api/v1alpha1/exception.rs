//! Exceptions: who may pass over which rule, why, and until when.

use super::{MatchResources, PolicyStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which Pods of the exception's namespace may pass over which policies, why, and until when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "hullmark.dev",
    version = "v1alpha1",
    kind = "ImageConfigException",
    plural = "imageconfigexceptions",
    shortname = "ice",
    category = "hullmark",
    namespaced,
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "ImageConfigException lets Pods of its namespace pass over policies, with a reason and an expiry.",
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expires"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".spec.reason"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ImageConfigExceptionSpec {
    /// The policies that are passed over.
    #[schemars(length(min = 1, max = 64))]
    pub policies: Vec<ExceptedPolicy>,
    /// Which Pods and which of their images the exception is for. Default: all of the namespace.
    #[serde(default, rename = "match")]
    pub match_: MatchResources,
    /// Why, for whoever asks later.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// When the exception ends (RFC 3339).
    pub expires: Time,
}

/// A policy that is passed over, whole or in part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptedPolicy {
    /// The policy's name; namespace/name for an ImageConfigPolicy.
    #[schemars(length(min = 1, max = 317))]
    pub name: String,
    /// The rules that are passed over, such as user or `validations[0]`. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rules: Vec<String>,
}
