//! A check for a program. Names are lower camel case; `schemaVersion` grows when a field changes its
//! meaning or goes, not when one is added.

use super::{Judged, Outcome};
use crate::policy::{Fact, Finding, FindingKind};
use anyhow::Result;
use serde_json::{Value, json};

const SCHEMA_VERSION: u32 = 1;

pub(super) fn text(judged: &[Judged]) -> Result<String> {
    let number = |outcome| judged.iter().filter(|one| one.outcome() == outcome).count();
    let report = json!({
        "schemaVersion": SCHEMA_VERSION,
        "summary": {
            "objects": judged.len(),
            "images": judged.iter().map(|one| one.object.workload.uses.len()).sum::<usize>(),
            "denied": number(Outcome::Denied),
            "notChecked": number(Outcome::NotChecked),
            "warned": number(Outcome::Warned),
            "clean": number(Outcome::Clean),
        },
        "objects": judged.iter().map(object).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn object(one: &Judged) -> Value {
    let workload = &one.object.workload;
    json!({
        "file": one.object.file,
        "line": one.object.line,
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "namespace": workload.namespace,
        "name": workload.name,
        "outcome": outcome(one.outcome()),
        "policies": one.review.verdict.policies,
        "images": one.review.facts.iter().map(image).collect::<Vec<_>>(),
        "findings": one.findings().iter().map(|found| finding(one, found)).collect::<Vec<_>>(),
    })
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotChecked => "notChecked",
        other => other.as_str(),
    }
}

/// An image without a digest and without an error was not looked at: no policy needed it.
fn image(fact: &Fact) -> Value {
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

fn finding(one: &Judged, finding: &Finding) -> Value {
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
        "line": one.line(finding),
        "image": finding.image,
        "platforms": finding.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "found": finding.found,
        "wanted": finding.wanted,
        "message": finding.message,
    })
}
