//! Findings as SARIF 2.1.0, which code hosts and dashboards of security teams read.
//!
//! An image that could not be looked at has a rule of its own (`POLICY/resolution`), so that it never
//! reads like a violation. What is only recorded is a note. An object of a cluster has no file: its place is a
//! path of its namespace, kind and name, so that tools that insist on one group by it.

use super::Survey;
use crate::policy::{Enforcement, Finding};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A finding, and where it is.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// What was found.
    pub finding: &'a Finding,
    /// `Deployment/shop/web`
    pub object: String,
    /// The path of the file; relative ones stay relative.
    pub file: String,
    /// The line in it.
    pub line: usize,
}

/// The log of a whole survey.
#[must_use]
pub fn of_survey(survey: &Survey) -> Value {
    let places = survey.objects.iter().flat_map(|one| {
        let namespace = one.object.namespace.as_deref().unwrap_or_default();
        let (kind, name) = (&one.object.kind, &one.object.name);
        one.verdict.findings.iter().map(move |finding| Place {
            finding,
            object: format!("{kind}/{namespace}/{name}"),
            file: format!("{namespace}/{}/{name}", kind.to_lowercase()),
            line: 1,
        })
    });
    log(&places.collect::<Vec<_>>())
}

/// The log of findings in their order.
#[must_use]
pub fn log(places: &[Place<'_>]) -> Value {
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    for place in places {
        rules.entry(rule_id(place.finding)).or_insert_with(|| rule(place.finding));
    }
    let index: BTreeMap<&String, usize> = rules.keys().enumerate().map(|(at, id)| (id, at)).collect();
    let results: Vec<Value> =
        places.iter().map(|place| result(place, index.get(&rule_id(place.finding)).copied())).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "hullmark",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.values().collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule_id(finding: &Finding) -> String {
    format!("{}/{}", finding.policy, finding.rule)
}

fn rule(finding: &Finding) -> Value {
    let text = format!("{} of policy {}", finding.rule, finding.policy);
    json!({ "id": rule_id(finding), "shortDescription": { "text": text } })
}

fn result(place: &Place<'_>, rule_index: Option<usize>) -> Value {
    let finding = place.finding;
    let object = format!("{}/{}", place.object, finding.container);
    let platforms: Vec<String> = finding.platforms.iter().map(ToString::to_string).collect();
    json!({
        "ruleId": rule_id(finding),
        "ruleIndex": rule_index,
        "level": level(finding.enforcement),
        "message": { "text": finding.message },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&place.file) },
                "region": { "startLine": place.line },
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
