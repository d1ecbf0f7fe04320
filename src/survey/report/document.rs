//! A report as an object of the cluster.

use super::{Entry, Grade, Report};
use crate::image::Digest;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The annotation that says how many results are not in the report.
const LEFT_OUT: &str = "hullmark.dev/results-left-out";
/// Who writes them: the label by which they are found again, and the source that tools filter by.
const SOURCE: &str = "hullmark";

/// The kinds of reports that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `Report` of openreports.io/v1alpha1.
    OpenReports,
    /// `PolicyReport` of wgpolicyk8s.io/v1alpha2, of which the former is the successor.
    PolicyReport,
}

impl Form {
    /// All, in the order in which they are looked for.
    pub const ALL: [Self; 2] = [Self::OpenReports, Self::PolicyReport];
    /// Selects every report that is ours.
    pub const SELECTOR: &str = "app.kubernetes.io/managed-by=hullmark";

    /// Group, version, kind and plural.
    #[must_use]
    pub fn names(self) -> [&'static str; 4] {
        match self {
            Self::OpenReports => ["openreports.io", "v1alpha1", "Report", "reports"],
            Self::PolicyReport => ["wgpolicyk8s.io", "v1alpha2", "PolicyReport", "policyreports"],
        }
    }
}

impl Report {
    /// The annotation that has the fingerprint of what was written.
    pub const FINGERPRINT: &str = "hullmark.dev/fingerprint";

    /// Its name: that of no other policy tool's report about the same object.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{SOURCE}-{}", self.uid)
    }

    /// What it says, whenever that was found: as long as this stays, nothing needs to be written.
    #[must_use]
    pub fn fingerprint(&self, form: Form) -> String {
        let body = self.body(form, |_| Timestamp::UNIX_EPOCH);
        Digest::sha256(body.to_string().as_bytes()).hex()[..32].to_owned()
    }

    /// The whole object. What stands in `before` already keeps the time at which it was found.
    #[must_use]
    pub fn document(&self, form: Form, before: Option<&Value>) -> Value {
        let before = before.and_then(|before| before["results"].as_array());
        let known = |entry: &Entry| {
            let same = before?.iter().find(|result| is_about(result, entry))?;
            let at = &same["timestamp"];
            Timestamp::new(at["seconds"].as_i64()?, i32::try_from(at["nanos"].as_i64()?).ok()?).ok()
        };
        let mut document = self.body(form, |entry| known(entry).unwrap_or(self.at));
        document["metadata"]["annotations"][Self::FINGERPRINT] = self.fingerprint(form).into();
        document
    }

    fn body(&self, form: Form, found_at: impl Fn(&Entry) -> Timestamp) -> Value {
        let [group, version, kind, _] = form.names();
        let scope = &self.scope;
        let mut annotations = Map::new();
        if self.left_out > 0 {
            annotations.insert(LEFT_OUT.to_owned(), self.left_out.to_string().into());
        }
        let count = |grade: Grade| (grade.as_str(), self.counts.get(&grade).copied().unwrap_or_default());
        let mut document = json!({
            "apiVersion": format!("{group}/{version}"),
            "kind": kind,
            "metadata": {
                "name": self.name(),
                "namespace": self.namespace,
                "labels": { "app.kubernetes.io/managed-by": SOURCE },
                "annotations": annotations,
                "ownerReferences": [{
                    "apiVersion": scope.api_version, "kind": scope.kind, "name": scope.name, "uid": self.uid,
                }],
            },
            "scope": {
                "apiVersion": scope.api_version, "kind": scope.kind, "name": scope.name, "uid": self.uid,
                "namespace": self.namespace,
            },
            "summary": BTreeMap::from(Grade::ALL.map(count)),
            "results": self.entries.iter().map(|one| result(one, found_at(one))).collect::<Vec<_>>(),
        });
        if form == Form::OpenReports {
            document["source"] = SOURCE.into();
        }
        document
    }
}

fn result(entry: &Entry, at: Timestamp) -> Value {
    let mut result = json!({
        "source": SOURCE,
        "category": "Image configuration",
        "policy": entry.policy,
        "result": entry.grade.as_str(),
        "scored": true,
        "message": entry.message,
        "properties": entry.properties,
        "timestamp": { "seconds": at.as_second(), "nanos": at.subsec_nanosecond() },
    });
    for (key, value) in [("rule", entry.rule.as_deref()), ("severity", entry.severity)] {
        if let Some(value) = value {
            result[key] = value.into();
        }
    }
    result
}

/// Whether a result that was written says the same. How many Pods it concerns may change.
fn is_about(result: &Value, entry: &Entry) -> bool {
    let property =
        |name: &str| result["properties"][name].as_str() == entry.properties.get(name).map(String::as_str);
    result["policy"] == entry.policy.as_str()
        && result["rule"].as_str() == entry.rule.as_deref()
        && result["result"] == entry.grade.as_str()
        && ["container", "image", "found", "unresolved", "exception"].into_iter().all(property)
}
