//! Hullmark and a real Kubernetes: its API server takes our resources and asks our webhook, and
//! kubectl shows users what stands here.

use crate::support::{ControlPlane, Hullmark, Image, Namespace, Registry, Webhook};
use serde_json::{Value, json};
use std::fs;
use tokio::sync::OnceCell;

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/policies");

/// The control plane, with our CustomResourceDefinitions.
async fn with_crds() -> &'static ControlPlane {
    static APPLIED: OnceCell<&ControlPlane> = OnceCell::const_new();
    APPLIED
        .get_or_init(async || {
            let plane = ControlPlane::shared().await;
            let crds = Hullmark::new().run(["crds"]).await.succeeded();
            plane.kubectl_with(crds.text(), ["apply", "-f", "-"]).await.succeeded();
            let established = ["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"];
            plane.kubectl(established).await.succeeded();
            plane
        })
        .await
}

#[tokio::test]
async fn the_control_plane_is_a_real_one() {
    let plane = ControlPlane::shared().await;
    let versions = plane.kubectl(["version", "--output=json"]).await.succeeded().json();
    assert_eq!(versions["serverVersion"]["major"], "1", "{versions}");
    plane.helm(["list", "--all-namespaces"]).await.succeeded();
    let with_its_ca =
        ["--certificate-authority", plane.ca().to_str().unwrap(), "get", "--raw=/livez"].map(str::to_owned);
    assert_eq!(plane.kubectl(with_its_ca).await.succeeded().text(), "ok");
    assert!(plane.kubeconfig().is_file());
}

#[tokio::test]
async fn crds_are_established_without_reservations() {
    let plane = with_crds().await;
    for (plural, short) in [
        ("clusterimageconfigpolicies", "cicp"),
        ("imageconfigpolicies", "icp"),
        ("imageconfigexceptions", "ice"),
    ] {
        let name = format!("{plural}.hullmark.dev");
        let crd = plane.kubectl(["get", "crd", &name, "--output=json"]).await.succeeded().json();
        let conditions: Vec<(&str, &str)> = crd["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["type"].as_str().unwrap(), one["status"].as_str().unwrap()))
            .collect();
        // NonStructuralSchema or KubernetesAPIApprovalPolicyConformant would be a third one.
        let mut sorted = conditions.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [("Established", "True"), ("NamesAccepted", "True")], "{name}");
        let listed = plane.kubectl(["get", short, "--all-namespaces"]).await.succeeded();
        assert_eq!(listed.stderr, "No resources found\n", "{short}");
    }
}

#[tokio::test]
async fn every_policy_of_the_library_is_accepted() {
    let plane = with_crds().await;
    let mut arguments =
        ["create", "--dry-run=server", "--validate=strict", "--output=name"].map(str::to_owned).to_vec();
    let mut count = 0;
    for folder in fs::read_dir(POLICIES).unwrap() {
        let policy = folder.unwrap().path().join("policy.yaml");
        if policy.exists() {
            arguments.push(format!("--filename={}", policy.display()));
            count += 1;
        }
    }
    // Dry, because what is in the cluster would concern the other tests.
    let output = plane.kubectl(&arguments).await.succeeded();
    assert_eq!(output.stderr, "");
    assert!(count > 15 && output.text().lines().count() >= count, "{}", output.text());
}

#[tokio::test]
async fn policies_that_say_nothing_true_are_refused_by_the_api_server() {
    let plane = with_crds().await;
    let policy = |spec: Value| {
        json!({
            "apiVersion": "hullmark.dev/v1alpha1",
            "kind": "ClusterImageConfigPolicy",
            "metadata": { "name": "broken" },
            "spec": spec,
        })
        .to_string()
    };
    let rules = json!({ "user": { "runAsNonRoot": true } });
    for (name, spec, said) in [
        (
            "unknown field",
            json!({ "rules": { "user": { "runAsNonRot": true } } }),
            "strict decoding error: unknown field \"spec.rules.user.runAsNonRot\"",
        ),
        (
            "no rules",
            json!({ "validationActions": ["Deny"] }),
            "spec: Invalid value: the policy checks nothing: give rules, validations or auditAnnotations",
        ),
        (
            "empty lists",
            json!({ "validations": [], "auditAnnotations": [] }),
            "spec: Invalid value: the policy checks nothing: give rules, validations or auditAnnotations",
        ),
        (
            "deny and warn",
            json!({ "validationActions": ["Deny", "Warn"], "rules": rules }),
            "spec.validationActions: Invalid value: Deny and Warn exclude each other",
        ),
        (
            "unknown action",
            json!({ "validationActions": ["Refuse"], "rules": rules }),
            "spec.validationActions[0]: Unsupported value: \"Refuse\": supported values: \"Deny\", \"Warn\", \"Audit\"",
        ),
        (
            "unknown failure",
            json!({ "onResolutionFailure": "Ignore", "rules": rules }),
            "spec.onResolutionFailure: Unsupported value: \"Ignore\": supported values: \"Deny\", \"Warn\", \"Allow\"",
        ),
        (
            "empty rules",
            json!({ "rules": {} }),
            "spec.rules: Invalid value: 0: spec.rules in body should have at least 1 properties",
        ),
        (
            "no expression",
            json!({ "validations": [{ "message": "no" }] }),
            "spec.validations[0].expression: Required value",
        ),
        (
            "a name twice",
            json!({ "rules": rules, "variables": [
                { "name": "a", "expression": "1" },
                { "name": "a", "expression": "2" },
            ] }),
            "spec.variables[1]: Duplicate value: {\"name\":\"a\"}",
        ),
        ("no spec", Value::Null, "spec: Required value"),
    ] {
        let create = ["create", "--validate=strict", "-f", "-"];
        let error = plane.kubectl_with(&policy(spec), create).await.refused();
        assert!(error.contains(said), "{name}: {error}");
    }
}

/// Containers must not be root.
const NON_ROOT: &str = include_str!("../../manifests/policies/non-root/policy.yaml");

/// A namespace in which a webhook refuses root, and a registry with an image that is and one that is not.
struct Guarded {
    namespace: Namespace,
    registry: Registry,
    _webhook: Webhook,
}

impl Guarded {
    async fn start() -> Self {
        let registry = Registry::plain().await;
        for (name, user) in [("shop/root:1", ""), ("shop/web:1", "10001")] {
            Image::oci("linux/amd64", &json!({ "User": user })).push(&registry, name).await;
        }
        // Under a name of its own, so that messages are the same in each run.
        let hosts = registry.hosts_dir_as(&["registry.acme.io"]);
        let webhook = Webhook::start(NON_ROOT, &hosts).await;
        let namespace = ControlPlane::shared().await.namespace().await;
        webhook.register(&namespace, &pod("probe", "root")).await;
        Self { namespace, registry, _webhook: webhook }
    }

    async fn create(&self, object: &Value, more: &[&str]) -> crate::support::Output {
        let arguments = ["create", "-f", "-"].iter().chain(more).copied();
        self.namespace.kubectl_with(&object.to_string(), arguments).await
    }
}

/// What Hullmark says of the image that is root, as the API server passes it on.
fn denied(object: &str, container: &str) -> String {
    format!(
        "admission webhook \"images.hullmark.dev\" denied the request: {object}: {container}: \
         image registry.acme.io/shop/root:1 (linux/amd64) runs as root (USER is empty); \
         wanted a non-root user: set USER in the image or runAsUser in the Pod [policy non-root, user]"
    )
}

fn containers(image: &str) -> Value {
    json!({ "containers": [{ "name": "app", "image": format!("registry.acme.io/shop/{image}:1") }] })
}

fn pod(name: &str, image: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": containers(image) })
}

#[tokio::test]
async fn pods_are_admitted_and_refused() {
    let guarded = Guarded::start().await;
    let name = &guarded.namespace.name;
    let wanted = denied(&format!("Pod {name}/root"), "container \"app\"");
    for more in [&[][..], &["--dry-run=server"]] {
        let error = guarded.create(&pod("root", "root"), more).await.refused();
        assert_eq!(
            error,
            format!("Error from server (Forbidden): error when creating \"STDIN\": {wanted}\n")
        );
    }
    for (more, said) in
        [(&["--dry-run=server"][..], "pod/web created (server dry run)\n"), (&[], "pod/web created\n")]
    {
        let output = guarded.create(&pod("web", "web"), more).await.succeeded();
        assert_eq!((output.text(), output.stderr.as_str()), (said, ""));
    }

    let error = guarded.create(&pod("gone", "gone"), &[]).await.refused();
    let wanted = format!(
        "Error from server (ServiceUnavailable): error when creating \"STDIN\": \
         admission webhook \"images.hullmark.dev\" denied the request: Pod {name}/gone: container \"app\": \
         image registry.acme.io/shop/gone:1 could not be checked: {} answered 404 MANIFEST_UNKNOWN: \
         no such tag or digest; check the name and the tag, and that the image was pushed \
         [policy non-root, resolution]\n",
        guarded.registry.host()
    );
    assert_eq!(error, wanted);
}

#[tokio::test]
async fn a_new_image_in_a_pod_is_judged_and_other_changes_pass() {
    let guarded = Guarded::start().await;
    guarded.create(&pod("web", "web"), &[]).await.succeeded();
    let image = ["set", "image", "pod/web", "app=registry.acme.io/shop/root:1"];
    let error = guarded.namespace.kubectl(image).await.refused();
    let wanted = denied(&format!("Pod {}/web", guarded.namespace.name), "container \"app\"");
    assert_eq!(error, format!("error: failed to patch image update to pod template: {wanted}\n"));
    guarded.namespace.kubectl(["label", "pod/web", "team=shop"]).await.succeeded();
}

#[tokio::test]
async fn ephemeral_containers_are_judged() {
    let guarded = Guarded::start().await;
    guarded.create(&pod("web", "web"), &[]).await.succeeded();
    let debug = |image| ["debug", "web", "--container=look", "--attach=false", "--profile=general", image];
    let error = guarded.namespace.kubectl(debug("--image=registry.acme.io/shop/root:1")).await.refused();
    let wanted = denied(&format!("Pod {}/web", guarded.namespace.name), "ephemeral container \"look\"");
    assert_eq!(error, format!("Error from server (Forbidden): {wanted}\n"));
    guarded.namespace.kubectl(debug("--image=registry.acme.io/shop/web:1")).await.succeeded();
    let added = ["get", "pod", "web", "--output=jsonpath={.spec.ephemeralContainers[*].name}"];
    assert_eq!(guarded.namespace.kubectl(added).await.succeeded().text(), "look");
}

#[tokio::test]
async fn templates_are_warned_about_and_their_pods_refused() {
    let guarded = Guarded::start().await;
    let labels = json!({ "app": "web" });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": containers("root") },
        },
    });
    let output = guarded.create(&deployment, &[]).await.succeeded();
    assert_eq!(output.text(), "deployment.apps/web created\n");
    assert_eq!(
        output.stderr,
        "Warning: would be refused as a Pod: container \"app\": image registry.acme.io/shop/root:1 (linux/amd64) \
         runs as root (USER is empty); wanted a non-root user: set USER in the image or runAsUser in the Pod \
         [policy non-root, user]\n"
    );

    // The Deployment's owner finds the reason here, as the Pods are made by a controller.
    let failed = ["wait", "--for=condition=ReplicaFailure", "deployment/web", "--timeout=60s"];
    guarded.namespace.kubectl(failed).await.succeeded();
    let condition = "{.status.conditions[?(@.type=='ReplicaFailure')].message}";
    let why = ["get", "deployment", "web", &format!("--output=jsonpath={condition}")];
    let why = guarded.namespace.kubectl(why).await.succeeded();
    let pod = why.text().split(": ").find(|part| part.starts_with("Pod ")).unwrap();
    assert!(pod.starts_with(&format!("Pod {}/web-", guarded.namespace.name)), "{}", why.text());
    assert_eq!(why.text(), denied(pod, "container \"app\""));
}

#[tokio::test]
async fn the_audit_log_holds_our_annotations() {
    let guarded = Guarded::start().await;
    let name = guarded.namespace.name.as_str();
    guarded.create(&pod("audited", "root"), &[]).await.refused();
    guarded.create(&pod("audited", "web"), &[]).await.succeeded();
    let entries = guarded
        .namespace
        .plane
        .audited(|entry| entry["objectRef"]["namespace"] == name && entry["objectRef"]["name"] == "audited");
    let note = |entry: &Value, key: &str| {
        entry["annotations"][format!("images.hullmark.dev/{key}")].as_str().unwrap_or_default().to_owned()
    };
    let verdicts: Vec<_> = entries
        .iter()
        .map(|entry| (entry["responseStatus"]["code"].as_u64(), note(entry, "verdict")))
        .collect();
    assert_eq!(verdicts, [(Some(403), "deny".to_owned()), (Some(201), "allow".to_owned())], "{entries:?}");
    let violations: Value = serde_json::from_str(&note(&entries[0], "violations")).unwrap();
    assert_eq!(violations[0]["policy"], "non-root", "{violations}");
    assert_eq!(violations[0]["field"], "spec.containers[0].image", "{violations}");
    let images: Value = serde_json::from_str(&note(&entries[1], "images")).unwrap();
    assert_eq!(images[0]["image"], "registry.acme.io/shop/web:1", "{images}");
    assert_eq!(note(&entries[0], "request-uid").len(), 36, "{entries:?}");
    assert!(images[0]["digest"].as_str().unwrap().starts_with("sha256:"), "{images}");
}
