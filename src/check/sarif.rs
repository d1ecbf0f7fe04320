//! A check as SARIF 2.1.0, which code hosts show on the line that names the image.
//!
//! An image that could not be looked at has a rule of its own (`POLICY/resolution`), so that it never
//! reads like a violation. What is only recorded is a note.

use super::Judged;
use crate::policy::{Enforcement, Finding};
use anyhow::Result;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub(super) fn text(judged: &[Judged]) -> Result<String> {
    let all = || judged.iter().flat_map(|one| one.findings().iter().map(move |finding| (one, finding)));
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    for (_, finding) in all() {
        rules.entry(rule_id(finding)).or_insert_with(|| rule(finding));
    }
    let results: Vec<Value> = all()
        .map(|(one, finding)| result(one, finding, rules.keys().position(|id| *id == rule_id(finding))))
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "hullmark",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    Ok(serde_json::to_string_pretty(&log)? + "\n")
}

fn rule_id(finding: &Finding) -> String {
    format!("{}/{}", finding.policy, finding.rule)
}

fn rule(finding: &Finding) -> Value {
    let text = format!("{} of policy {}", finding.rule, finding.policy);
    json!({ "id": rule_id(finding), "shortDescription": { "text": text } })
}

fn result(one: &Judged, finding: &Finding, rule_index: Option<usize>) -> Value {
    let workload = &one.object.workload;
    let namespace = workload.namespace.as_deref().unwrap_or_default();
    let object = format!("{}/{namespace}/{}/{}", workload.kind, workload.name, finding.container);
    let platforms: Vec<String> = finding.platforms.iter().map(ToString::to_string).collect();
    json!({
        "ruleId": rule_id(finding),
        "ruleIndex": rule_index,
        "level": level(finding.enforcement),
        "message": { "text": finding.message },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&one.object.file) },
                "region": { "startLine": one.line(finding) },
            },
            "logicalLocations": [{ "fullyQualifiedName": object }],
        }],
        // What stays the same when lines move: a code host then knows the finding again.
        "partialFingerprints": {
            "hullmark/v1": format!("{}|{object}|{}|{}", rule_id(finding), finding.image, platforms.join(",")),
        },
        "properties": { "kind": finding.kind.as_str(), "image": finding.image, "platforms": platforms },
    })
}

fn level(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Deny => "error",
        Enforcement::Warn => "warning",
        Enforcement::Record => "note",
    }
}

/// A path as a URI reference (RFC 3986): relative paths stay relative to the repository.
fn uri(path: &str) -> String {
    let relative = path.strip_prefix("./").unwrap_or(path);
    let scheme = if relative.starts_with('/') { "file://" } else { "" };
    relative.bytes().fold(scheme.to_owned(), |mut uri, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
        uri
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uri_references() {
        for (path, expected) in [
            ("./deploy/web.yaml", "deploy/web.yaml"),
            ("my charts/a#b.yaml", "my%20charts/a%23b.yaml"),
            ("größe.yaml", "gr%C3%B6%C3%9Fe.yaml"),
            ("/tmp/a.yaml", "file:///tmp/a.yaml"),
            ("stdin", "stdin"),
        ] {
            assert_eq!(uri(path), expected, "{path}");
        }
    }
}
