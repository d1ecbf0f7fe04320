//! Policies and exceptions at the door: a document that would not compile is refused when it is applied,
//! with everything that is wrong with it, so that `kubectl apply` says what a status could only say later.

use super::{InvalidReview, request::read_review};
use crate::{
    policy::{PolicyDocument, PolicySet},
    text::{clean, count, cut_bytes},
    workload::Fields,
};
use serde_json::{Value, json};

/// Bytes of a refusal.
const MAX_REFUSAL: usize = 4096;
/// Characters of one error.
const MAX_ERROR: usize = 500;

/// The answer's body to a review of a document of ours.
///
/// # Errors
/// [`InvalidReview`] as for reviews of Pods.
pub fn review_document(body: &[u8]) -> Result<Vec<u8>, InvalidReview> {
    let mut review = read_review(body)?;
    let mut request = review.get_mut("request").map(Value::take).unwrap_or_default();
    let object = request.as_object_mut().and_then(|request| request.remove("object")).unwrap_or_default();
    let uid = Fields::new(&request, "request")?.required_text("uid")?;
    let response = match refusal(object) {
        None => json!({ "uid": uid, "allowed": true }),
        Some(message) => json!({
            "uid": uid,
            "allowed": false,
            "status": { "status": "Failure", "code": 422, "reason": "Invalid", "message": message },
        }),
    };
    let answer = json!({ "apiVersion": super::API_VERSION, "kind": "AdmissionReview", "response": response });
    Ok(answer.to_string().into_bytes())
}

/// Everything that is wrong with the document; none: nothing, or there is no document (a deletion).
fn refusal(mut object: Value) -> Option<String> {
    let fields = object.as_object_mut()?;
    // What the API server keeps there is not the user's.
    fields.remove("status");
    if fields
        .get("metadata")
        .and_then(|metadata| metadata.get("deletionTimestamp"))
        .is_some_and(|at| !at.is_null())
    {
        return None;
    }
    let kind = clean(object["kind"].as_str().unwrap_or("document"), 60);
    let (_, refused) = PolicySet::compile_each(&[PolicyDocument { source: kind.clone(), value: object }]);
    let (_, errors) = refused.into_iter().next()?;
    let lines: Vec<String> =
        errors.iter().map(|error| format!("{}: {}", error.field, clean(&error.why, MAX_ERROR))).collect();
    let text = match lines.as_slice() {
        [only] => format!("this {kind} does not compile: {only}"),
        several => {
            let reasons = count(several.len(), "reason");
            format!("this {kind} does not compile, for {reasons}:\n- {}", several.join("\n- "))
        }
    };
    Some(cut_bytes(text, MAX_REFUSAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(operation: &str, object: &Value) -> Value {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": { "uid": "u-1", "operation": operation, "object": object },
        });
        serde_json::from_slice(&review_document(review.to_string().as_bytes()).unwrap()).unwrap()
    }

    fn policy(spec: &Value) -> Value {
        json!({
            "apiVersion": "hullmark.dev/v1alpha1", "kind": "ClusterImageConfigPolicy",
            "metadata": { "name": "a", "generation": 1, "managedFields": [] },
            "spec": spec,
            "status": { "observedGeneration": 0 },
        })
    }

    #[test]
    fn refuses_what_does_not_compile_and_says_all_of_it() {
        let good = policy(&json!({ "rules": { "volumes": { "forbidden": true } } }));
        let one = policy(&json!({ "rules": { "user": { "ranges": ["x"] } } }));
        let two = policy(&json!({ "rules": { "user": { "ranges": ["x", "y"] } } }));
        let mut leaving = one.clone();
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
        for (name, operation, object, said) in [
            ("good", "CREATE", &good, None),
            (
                "one reason",
                "CREATE",
                &one,
                Some("does not compile: spec.rules.user.ranges[0]: \"x\" is not a range"),
            ),
            ("two reasons", "UPDATE", &two, Some("for 2 reasons:\n- spec.rules.user.ranges[0]: ")),
            ("no document", "DELETE", &Value::Null, None),
            ("a finalizer is taken away", "UPDATE", &leaving, None),
        ] {
            let answer = answer(operation, object);
            let response = &answer["response"];
            assert_eq!(
                (&response["uid"], &response["allowed"]),
                (&json!("u-1"), &json!(said.is_none())),
                "{name}"
            );
            let message = response["status"]["message"].as_str();
            assert_eq!(
                message.is_some_and(|text| text.contains(said.unwrap())),
                said.is_some(),
                "{name}: {message:?}"
            );
        }
    }

    #[test]
    fn what_is_no_review_is_an_error() {
        for body in
            ["", "{", "{}", r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{}}"#]
        {
            assert!(review_document(body.as_bytes()).is_err(), "{body}");
        }
    }
}
