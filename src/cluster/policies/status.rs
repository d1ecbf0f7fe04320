//! What a policy or an exception is told in its status. Every replica comes to the same words, so each
//! writes them, and only where they differ from what is there.

use super::{Key, kinds};
use crate::{
    api::v1alpha1::{ExpressionWarning, PolicyCounts, PolicyStatus, TypeChecking},
    policy::{ExceptionSummary, PolicyError},
    text::clean,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::json;

/// Who writes, for server-side apply.
const FIELD_MANAGER: &str = "hullmark";
/// The condition that says whether it is in force.
const READY: &str = "Ready";
/// Warnings in a status, and characters of a text.
const MAX_WARNINGS: usize = 20;
const MAX_TEXT: usize = 500;

/// What became of a document.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    ready: bool,
    reason: &'static str,
    message: String,
    warnings: Vec<ExpressionWarning>,
    counts: Option<PolicyCounts>,
}

impl Verdict {
    /// The same, and what a policy in force has.
    pub(super) fn counting(self, counts: Option<PolicyCounts>) -> Self {
        Self { counts, ..self }
    }

    /// `exception`: what is known of it, if the document is one that compiles. `unread`: why what a policy
    /// reads as params cannot be read.
    pub(super) fn of(
        errors: &[PolicyError],
        exception: Option<ExceptionSummary<'_>>,
        unread: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let verdict = |ready, reason, message: &str| Self {
            ready,
            reason,
            message: message.to_owned(),
            warnings: vec![],
            counts: None,
        };
        match (errors, exception) {
            ([first, more @ ..], _) => {
                let others =
                    if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
                let message = format!("it is not in force: {}: {}{others}", first.field, first.why);
                let warnings = errors.iter().take(MAX_WARNINGS).map(|error| ExpressionWarning {
                    field_ref: clean(&error.field, MAX_TEXT),
                    warning: clean(&error.why, MAX_TEXT),
                });
                Self {
                    warnings: warnings.collect(),
                    ..verdict(false, "DoesNotCompile", &clean(&message, MAX_TEXT))
                }
            }
            ([], Some(exception)) if exception.expires <= now => {
                verdict(false, "Expired", &format!("it ended at {}", exception.expires))
            }
            ([], Some(exception)) if !exception.counts => verdict(
                false,
                "NotCounted",
                "exceptions do not count in this namespace: see --exceptions of hullmark serve",
            ),
            ([], Some(_)) => verdict(true, "InForce", "it is in force"),
            ([], None) if let Some(why) = unread => verdict(
                false,
                "ParametersUnavailable",
                &clean(&format!("what it reads as params cannot be read: {why}"), MAX_TEXT),
            ),
            ([], None) => verdict(true, "InForce", "it is compiled and in force"),
        }
    }
}

/// The status that the object should have, if it has another one.
pub(super) fn due(object: &DynamicObject, verdict: &Verdict, now: Timestamp) -> Option<PolicyStatus> {
    let has: PolicyStatus = object
        .data
        .get("status")
        .and_then(|status| serde_json::from_value(status.clone()).ok())
        .unwrap_or_default();
    let generation = object.metadata.generation;
    let status = if verdict.ready { "True" } else { "False" };
    let before = has.conditions.iter().find(|condition| condition.type_ == READY);
    // The time of the last transition, not of the last look.
    let since =
        before.filter(|before| before.status == status).map(|before| before.last_transition_time.clone());
    let should = PolicyStatus {
        observed_generation: generation,
        conditions: vec![Condition {
            type_: READY.to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.to_owned(),
            message: verdict.message.clone(),
            observed_generation: generation,
            last_transition_time: since.unwrap_or(Time(now)),
        }],
        type_checking: (!verdict.warnings.is_empty())
            .then(|| TypeChecking { expression_warnings: verdict.warnings.clone() }),
        counts: verdict.counts,
    };
    (has != should).then_some(should)
}

pub(super) async fn write(
    client: &Client,
    key: &Key,
    object: &DynamicObject,
    status: &PolicyStatus,
) -> Result<(), kube::Error> {
    let Some(kind) = kinds().into_iter().find(|kind| kind.name == key.0) else { return Ok(()) };
    let api: Api<DynamicObject> = if key.1.is_empty() {
        Api::all_with(client.clone(), &kind.resource)
    } else {
        Api::namespaced_with(client.clone(), &key.1, &kind.resource)
    };
    let patch = json!({
        "apiVersion": kind.resource.api_version,
        "kind": kind.resource.kind,
        "metadata": { "name": key.2, "uid": object.metadata.uid },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&key.2, &params, &Patch::Apply(&patch)).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn error(field: &str) -> PolicyError {
        PolicyError { source_name: "p".to_owned(), field: field.to_owned(), why: "is wrong".to_owned() }
    }

    #[test]
    fn verdicts_tell_what_became_of_it() {
        let now = at("2026-11-23T12:00:00Z");
        let exception =
            |expires: &str, counts| Some(ExceptionSummary { name: "shop/a", expires: at(expires), counts });
        for (name, errors, exception, ready, reason) in [
            ("a policy", vec![], None, true, "InForce"),
            (
                "one that does not compile",
                vec![error("spec.a"), error("spec.b")],
                None,
                false,
                "DoesNotCompile",
            ),
            ("an exception", vec![], exception("2027-01-01T00:00:00Z", true), true, "InForce"),
            ("one that has ended", vec![], exception("2026-11-23T12:00:00Z", true), false, "Expired"),
            (
                "one that does not count",
                vec![],
                exception("2027-01-01T00:00:00Z", false),
                false,
                "NotCounted",
            ),
        ] {
            let verdict = Verdict::of(&errors, exception, None, now);
            assert_eq!((verdict.ready, verdict.reason), (ready, reason), "{name}");
            assert_eq!(verdict.warnings.len(), errors.len(), "{name}");
        }
    }

    #[test]
    fn a_status_is_written_only_where_it_differs() {
        let now = at("2026-11-23T12:00:00Z");
        let good = Verdict::of(&[], None, None, now);
        assert_eq!(Verdict::of(&[], None, Some("forbidden"), now).reason, "ParametersUnavailable");
        let object = |status: &PolicyStatus| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "hullmark.dev/v1alpha1", "kind": "ImageConfigPolicy",
                "metadata": { "name": "a", "generation": 3 }, "status": status,
            }))
            .unwrap()
        };
        let first = due(&object(&PolicyStatus::default()), &good, now).unwrap();
        assert_eq!(first.observed_generation, Some(3));
        let later = at("2026-11-24T12:00:00Z");
        assert_eq!(due(&object(&first), &good, later), None, "nothing has changed");
        let bad = Verdict::of(&[error("spec.rules")], None, None, later);
        let second = due(&object(&first), &bad, later).unwrap();
        assert_eq!(second.conditions[0].last_transition_time.0, later);
        assert_eq!(second.type_checking.unwrap().expression_warnings[0].field_ref, "spec.rules");
        let same = Verdict { message: "other words".to_owned(), ..Verdict::of(&[], None, None, now) };
        assert_eq!(due(&object(&first), &same, later).unwrap().conditions[0].last_transition_time.0, now);
    }
}
