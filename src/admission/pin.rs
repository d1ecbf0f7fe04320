//! The pinning hook: `name:tag` becomes `name:tag@sha256:…`, so that what was judged is what runs.
//!
//! The digest is the one that the reference points at, an index's where there is one, so that nodes of
//! every platform still find theirs. What has a digest is left alone, which makes the hook idempotent; what
//! could not be looked at is left alone too, for the validating hook to judge.

use super::Request;
use crate::policy::Fact;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// The answer's body: always admitted, with a JSON patch where there is something to pin.
#[must_use]
pub fn respond_pinned(request: &Request, facts: &[Fact]) -> Vec<u8> {
    let patch: Vec<Value> = facts.iter().filter_map(operation).collect();
    let mut response = json!({ "uid": request.uid, "allowed": true });
    if !patch.is_empty() {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(Value::from(patch).to_string()));
    }
    json!({ "apiVersion": super::API_VERSION, "kind": "AdmissionReview", "response": response })
        .to_string()
        .into_bytes()
}

fn operation(fact: &Fact) -> Option<Value> {
    let usage = &fact.usage;
    let reference = usage.reference.as_ref().ok()?;
    let resolved = fact.image.as_ref()?.as_ref().ok()?;
    let tag = reference.tag().filter(|_| reference.digest().is_none())?;
    let suffix = format!(":{tag}");
    let tagged =
        if usage.image.ends_with(&suffix) { usage.image.clone() } else { usage.image.clone() + &suffix };
    Some(json!({
        "op": "replace",
        "path": pointer(&usage.field_path),
        "value": format!("{tagged}@{}", resolved.digest),
    }))
}

/// `spec.containers[0].image` as a JSON pointer (RFC 6901); none of the fields' names needs an escape.
fn pointer(field_path: &str) -> String {
    format!("/{}", field_path.replace('[', "/").replace(']', "").replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        image::{AuthKind, Digest, Freshness, MediaType, ResolvedImage, Unresolved, UnresolvedKind},
        workload::Workload,
    };
    use std::sync::Arc;

    fn facts(workload: &Workload) -> Vec<Fact> {
        let resolved = |usage: &crate::workload::ImageUse| {
            let reference = usage.reference.clone().ok()?;
            if reference.tag() == Some("gone") {
                return Some(Err(Unresolved {
                    kind: UnresolvedKind::NotFound,
                    host: None,
                    status: None,
                    detail: String::new(),
                }));
            }
            Some(Ok(Arc::new(ResolvedImage {
                reference,
                digest: Digest::sha256(b"index"),
                media_type: MediaType::OciIndex,
                index_annotations: crate::image::TextMap::default(),
                available: vec![],
                platforms: vec![],
                freshness: Freshness::Fetched,
                auth: AuthKind::Anonymous,
            })))
        };
        workload.uses.iter().map(|usage| Fact { usage: usage.clone(), image: resolved(usage) }).collect()
    }

    #[test]
    fn tags_get_the_digest_that_they_stand_for() {
        let digest = Digest::sha256(b"index").to_string();
        let pinned = format!("nginx@{digest}");
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-1", "operation": "CREATE", "namespace": "shop",
                "kind": { "group": "", "version": "v1", "kind": "Pod" },
                "object": { "spec": {
                    "initContainers": [{ "name": "a", "image": "nginx" }],
                    "containers": [
                        { "name": "b", "image": "localhost:5000/app:1.2" },
                        { "name": "c", "image": pinned },
                        { "name": "d", "image": "app:gone" },
                        { "name": "e", "image": "NOT VALID" },
                    ],
                    "volumes": [{ "name": "v", "image": { "reference": "ghcr.io/a/b:v1" } }],
                } },
            },
        });
        let request = Request::parse(review.to_string().as_bytes()).unwrap();
        let facts = facts(request.workload.as_ref().unwrap());
        let answer: Value = serde_json::from_slice(&respond_pinned(&request, &facts)).unwrap();
        assert_eq!(answer["response"]["allowed"], true);
        assert_eq!(answer["response"]["patchType"], "JSONPatch");
        let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
        let mut patch: Vec<Value> = serde_json::from_slice(&patch).unwrap();
        patch.sort_by_key(|operation| operation["path"].to_string());
        assert_eq!(
            patch,
            [
                json!({ "op": "replace", "path": "/spec/containers/0/image", "value": format!("localhost:5000/app:1.2@{digest}") }),
                json!({ "op": "replace", "path": "/spec/initContainers/0/image", "value": format!("nginx:latest@{digest}") }),
                json!({ "op": "replace", "path": "/spec/volumes/0/image/reference", "value": format!("ghcr.io/a/b:v1@{digest}") }),
            ]
        );
        let nothing: Value = serde_json::from_slice(&respond_pinned(&request, &facts[2..4])).unwrap();
        assert_eq!(nothing["response"], json!({ "uid": "u-1", "allowed": true }));
    }
}
