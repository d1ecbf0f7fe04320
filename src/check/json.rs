//! A check for a program. Names are lower camel case; `schemaVersion` grows when a field changes its
//! meaning or goes, not when one is added.

use super::Judged;
use crate::{
    policy::Finding,
    survey::{Outcome, json},
};
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
        "outcome": one.outcome().as_str(),
        "policies": one.review.verdict.policy_names(),
        "images": one.review.facts.iter().map(json::image).collect::<Vec<_>>(),
        "findings": one.findings().iter().map(|found| finding(one, found)).collect::<Vec<_>>(),
    })
}

/// A finding, and the line of the image that it is about.
fn finding(one: &Judged, finding: &Finding) -> Value {
    let mut value = json::finding(finding);
    value["line"] = one.line(finding).into();
    value
}
