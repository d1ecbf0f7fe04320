//! A survey for a program. Names are lower camel case; `schemaVersion` grows when a field changes its meaning or goes,
//! not when one is added. The page reads the same document.

use super::{ObjectRef, Survey, Surveyed};
use crate::{
    image::Created,
    policy::{Excepted, Fact, Finding, FindingKind},
};
use serde_json::{Value, json};

const SCHEMA_VERSION: u32 = 1;

/// The whole survey.
#[must_use]
pub fn document(survey: &Survey) -> Value {
    let summary = survey.summary();
    let policies: Vec<Value> = survey
        .policies
        .iter()
        .map(|policy| {
            let count = summary.policies.get(&policy.name).copied().unwrap_or_default();
            json!({
                "name": policy.name,
                "actions": policy.actions,
                "pods": {
                    "compliant": count.compliant,
                    "violating": count.violating,
                    "notChecked": count.not_checked,
                },
            })
        })
        .collect();
    json!({
        "schemaVersion": SCHEMA_VERSION,
        "hullmarkVersion": env!("CARGO_PKG_VERSION"),
        "generatedAt": survey.at.to_string(),
        "cluster": survey.cluster,
        "policySource": survey.policy_source,
        "policies": policies,
        "summary": {
            "pods": summary.pods,
            "templates": summary.templates,
            "images": summary.images,
            "compliant": summary.compliant,
            "violating": summary.violating,
            "notChecked": summary.not_checked,
            "unmatched": summary.unmatched,
            "denied": summary.denied,
            "drifted": summary.drifted,
            "neverJudged": summary.never_judged,
            "exempt": survey.exempt,
        },
        "notes": survey.notes,
        "objects": survey.objects.iter().map(object).collect::<Vec<_>>(),
    })
}

fn object(one: &Surveyed) -> Value {
    let ObjectRef { api_version, kind, namespace, name, .. } = &one.object;
    let owner = one.owners.last().map(|owner| json!({ "kind": owner.kind, "name": owner.name }));
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "namespace": namespace,
        "name": name,
        "isTemplate": one.is_template,
        "owner": owner,
        "createdAt": one.created.map(|at| at.to_string()),
        "compliance": one.compliance().as_str(),
        "outcome": one.outcome().as_str(),
        "policies": one.verdict.policy_names(),
        "neverJudged": one.never_judged,
        "images": one.facts.iter().map(|fact| running_image(one, fact)).collect::<Vec<_>>(),
        "findings": one.verdict.findings.iter().map(finding).collect::<Vec<_>>(),
        "excepted": one.verdict.excepted.iter().map(excepted).collect::<Vec<_>>(),
    })
}

fn running_image(one: &Surveyed, fact: &Fact) -> Value {
    let mut value = image(fact);
    let resolved = fact.image.as_ref().and_then(|image| image.as_ref().ok());
    // The oldest of its platforms: that is the one to rebuild.
    let real = |created: &Created| match created {
        Created::At(at) => Some(*at),
        Created::Unknown | Created::Placeholder(_) | Created::Invalid(_) => None,
    };
    let created =
        resolved.and_then(|image| image.platforms.iter().filter_map(|one| real(&one.config.created)).min());
    value["created"] = json!(created.map(|at| at.to_string()));
    value["runningDigest"] = json!(one.running(&fact.usage).map(ToString::to_string));
    value["drifted"] = json!(one.has_drifted(fact));
    value
}

fn excepted(one: &Excepted) -> Value {
    let mut value = finding(&one.finding);
    value["exception"] = json!(one.exception);
    value
}

/// One use of an image. Without a digest and without an error it was not looked at: no policy needed it.
#[must_use]
pub fn image(fact: &Fact) -> Value {
    let reference = fact.usage.reference.as_ref().ok().map(ToString::to_string);
    let resolved = fact.image.as_ref().and_then(|image| image.as_ref().ok());
    let error = fact.image.as_ref().and_then(|image| image.as_ref().err());
    json!({
        "use": fact.usage.kind.as_str(),
        "container": fact.usage.name,
        "fieldPath": fact.usage.field_path,
        "image": fact.usage.image,
        "reference": reference,
        "digest": resolved.map(|image| image.digest.to_string()),
        "platforms": resolved.map(|image| {
            image.platforms.iter().filter_map(|one| one.platform.as_ref()).map(ToString::to_string).collect::<Vec<_>>()
        }),
        "error": error.map(|error| json!({ "kind": error.kind.as_str(), "detail": error.detail })),
    })
}

/// One finding.
#[must_use]
pub fn finding(finding: &Finding) -> Value {
    let unresolved = match finding.kind {
        FindingKind::Unresolved(kind) | FindingKind::Stale(kind) => Some(kind.as_str()),
        FindingKind::Violation | FindingKind::EvaluationError => None,
    };
    json!({
        "policy": finding.policy,
        "rule": finding.rule,
        "kind": finding.kind.as_str(),
        "unresolvedKind": unresolved,
        "action": finding.enforcement.as_str(),
        "use": finding.use_kind.as_str(),
        "container": finding.container,
        "fieldPath": finding.field_path,
        "image": finding.image,
        "platforms": finding.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "found": finding.found,
        "wanted": finding.wanted,
        "message": finding.message,
    })
}
