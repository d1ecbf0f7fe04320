//! Pods, images and policies for tests, written as their authors would write them.

use super::{
    Enforcement, Fact, Finding, FindingKind, Namespace, PolicyDocument, PolicyError, PolicySet, Subject,
    Verdict,
};
use crate::{
    image::{
        AuthKind, Digest, Freshness, ImageConfig, MediaType, PlatformImage, ResolvedImage, TextMap,
        Unresolved, UnresolvedKind,
    },
    workload::{UseKind, Workload},
    yaml,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A violation of `non-root` that denies; tests say what is otherwise with theirs.
pub(crate) fn finding() -> Finding {
    Finding {
        policy: "non-root".to_owned(),
        rule: "user".to_owned(),
        kind: FindingKind::Violation,
        enforcement: Enforcement::Deny,
        if_enforced: Enforcement::Deny,
        audit: false,
        use_kind: UseKind::Container,
        container: "app".to_owned(),
        field_path: "spec.containers[0].image".to_owned(),
        image: "r.test/app:1".to_owned(),
        platforms: Vec::new(),
        found: String::new(),
        wanted: String::new(),
        message: String::new(),
    }
}

/// A policy of the cluster with this `spec`, in YAML.
pub(super) fn cluster_policy(name: &str, spec: &str) -> PolicyDocument {
    let spec = parse(spec);
    PolicyDocument {
        source: format!("{name}.yaml"),
        value: json!({
            "apiVersion": "hullmark.dev/v1alpha1",
            "kind": "ClusterImageConfigPolicy",
            "metadata": { "name": name },
            "spec": spec,
        }),
    }
}

/// The same, for one namespace.
pub(super) fn namespaced_policy(namespace: &str, name: &str, spec: &str) -> PolicyDocument {
    let mut policy = cluster_policy(name, spec);
    policy.value["kind"] = json!("ImageConfigPolicy");
    policy.value["metadata"]["namespace"] = json!(namespace);
    policy
}

/// The first document of `text`.
pub(super) fn parse(text: &str) -> Value {
    yaml::documents(text).unwrap().remove(0).value
}

/// A set of one policy.
pub(super) fn set(spec: &str) -> PolicySet {
    PolicySet::compile(&[cluster_policy("test", spec)]).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// What is wrong with a policy: field and reason.
pub(super) fn errors(document: PolicyDocument) -> Vec<(String, String)> {
    let errors: Vec<PolicyError> = PolicySet::compile(&[document]).err().unwrap_or_default();
    errors.into_iter().map(|error| (error.field, error.why)).collect()
}

/// A Pod named `web` in the namespace `shop` with this `spec`, in YAML.
pub(super) fn pod(spec: &str) -> Workload {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "web", "namespace": "shop", "labels": { "app": "web" } },
        "spec": parse(spec),
    });
    Workload::from_object(&pod).unwrap().unwrap()
}

/// A Pod with one container, `app`, of this image.
pub(super) fn pod_of(image: &str) -> Workload {
    pod(&format!("containers: [{{ name: app, image: {image:?} }}]"))
}

/// One platform of an image: its name and the `config` part of its config.
pub(super) fn platform(name: &str, config: &Value) -> PlatformImage {
    let mut parts = name.split('/');
    let blob = json!({
        "os": parts.next(),
        "architecture": parts.next(),
        "created": "2026-11-01T00:00:00Z",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let bytes = serde_json::to_vec(&blob).unwrap();
    PlatformImage {
        platform: Some(name.parse().unwrap()),
        manifest_digest: Digest::sha256(name.as_bytes()),
        media_type: MediaType::OciManifest,
        annotations: TextMap::default(),
        layer_sizes: vec![1024, 2048],
        config_digest: Digest::sha256(&bytes),
        config: ImageConfig::parse(&bytes).unwrap(),
        raw_config: Some(bytes.as_slice().into()),
    }
}

/// An image with these platforms.
pub(super) fn image(platforms: Vec<PlatformImage>) -> ResolvedImage {
    ResolvedImage {
        reference: "docker.io/library/app:1".parse().unwrap(),
        digest: Digest::sha256(b"index"),
        media_type: MediaType::OciIndex,
        index_annotations: TextMap::default(),
        available: platforms.iter().filter_map(|platform| platform.platform.clone()).collect(),
        platforms: platforms.into_iter().map(Arc::new).collect(),
        freshness: Freshness::Fetched,
        auth: AuthKind::Anonymous,
    }
}

/// An image for linux/amd64 and linux/arm64 with one config.
pub(crate) fn image_of(config: &Value) -> ResolvedImage {
    image(vec![platform("linux/amd64", config), platform("linux/arm64", config)])
}

/// A failure to look at an image.
pub(crate) fn unresolved(kind: UnresolvedKind, detail: &str) -> Unresolved {
    Unresolved { kind, host: None, status: None, detail: detail.to_owned() }
}

/// Judges a Pod all of whose images are this one.
pub(super) fn judge(
    set: &PolicySet,
    workload: &Workload,
    image: &Result<ResolvedImage, Unresolved>,
    namespace: Option<&Namespace>,
) -> Verdict {
    let image = image.clone().map(Arc::new);
    let fact = |usage: &Arc<crate::workload::ImageUse>| Fact {
        usage: Arc::clone(usage),
        image: set.needs_image(workload, usage, namespace).then(|| image.clone()),
    };
    let facts: Vec<Fact> = workload.uses.iter().map(fact).collect();
    set.evaluate(&Subject {
        workload,
        facts: &facts,
        request: &json!({ "operation": "CREATE", "userInfo": { "username": "alice", "groups": ["dev"] } }),
        old_object: &Value::Null,
        namespace,
        now: "2026-11-23T12:00:00Z".parse().unwrap(),
    })
}
