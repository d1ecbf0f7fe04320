//! `hullmark check` against a real registry: the exit codes that a pipeline tells apart.

use crate::support::{Hullmark, Image, Registry};
use serde_json::json;

/// One policy of each answer to an image that cannot be looked at.
fn policy(on_resolution_failure: &str) -> String {
    format!(
        "apiVersion: hullmark.dev/v1alpha1\n\
         kind: ClusterImageConfigPolicy\n\
         metadata: {{ name: non-root }}\n\
         spec:\n  \
           validationActions: [Deny]\n  \
           onResolutionFailure: {on_resolution_failure}\n  \
           rules: {{ user: {{ runAsNonRoot: true }} }}\n"
    )
}

fn pod(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: web, namespace: shop }}\n\
         spec:\n  containers:\n  - {{ name: app, image: {image:?} }}\n"
    )
}

#[tokio::test]
async fn exit_codes_tell_clean_denied_and_not_looked_at_apart() {
    let registry = Registry::plain().await;
    for (tag, user) in [("good", "1000"), ("bad", "")] {
        let name = format!("demo/app:{tag}");
        Image::oci("linux/amd64", &json!({ "User": user })).push(&registry, &name).await;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, answer) in [("strict.yaml", "Deny"), ("lax.yaml", "Allow")] {
        std::fs::write(folder.path().join(name), policy(answer)).unwrap();
    }
    let [good, bad, missing] =
        ["good", "bad", "missing"].map(|tag| pod(&registry.image(&format!("demo/app:{tag}"))));
    for (name, policies, pods, code, said) in [
        ("clean", "strict.yaml", vec![&good], 0, ""),
        ("denied", "strict.yaml", vec![&good, &bad], 1, "non-root"),
        ("not looked at", "strict.yaml", vec![&good, &missing], 2, "no such tag"),
        ("denied and not looked at", "strict.yaml", vec![&missing, &bad], 1, "no such tag"),
        ("not looked at, which is allowed", "lax.yaml", vec![&missing], 0, "no such tag"),
        ("no such policies", "nothing.yaml", vec![&good], 2, "nothing.yaml"),
    ] {
        let manifests = pods.into_iter().map(String::as_str).collect::<Vec<_>>().join("---\n");
        let hullmark = Hullmark::for_registry(&registry).stdin(manifests);
        let policies = folder.path().join(policies);
        let output = hullmark.run(["check", "-f", "-", "--policies", policies.to_str().unwrap()]).await;
        let all = format!("{}{}", output.text(), output.stderr);
        assert_eq!(output.code, Some(code), "{name}:\n{all}");
        assert!(all.contains(said), "{name}: wanted {said:?} in:\n{all}");
    }
}
