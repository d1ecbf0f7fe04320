//! `hullmark check` against a real registry: the exit codes that a pipeline tells apart, and every form of
//! output.

use crate::support::{Hullmark, Image, Output, Registry};
use serde_json::{Value, json};

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

/// A folder as a chart's output would be: a template that denies, a Pod that is fine, a Pod of an image
/// that is not there, a Service, in namespaces of which one is labelled.
struct Folder {
    registry: Registry,
    folder: tempfile::TempDir,
}

impl Folder {
    async fn new() -> Self {
        let registry = Registry::plain().await;
        for (tag, user) in [("good", "1000"), ("bad", "root")] {
            let image = Image::oci("linux/amd64", &json!({ "User": user }));
            image.push(&registry, &format!("demo/app:{tag}")).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let [good, bad, missing] =
            ["good", "bad", "missing"].map(|tag| registry.image(&format!("demo/app:{tag}")));
        let deployment = format!(
            "---\n# Source: chart/templates/web.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n\
             spec:\n  template:\n    spec:\n      containers:\n      - name: app\n        image: {bad}\n\
             ---\napiVersion: v1\nkind: Service\nmetadata: {{ name: web }}\n"
        );
        let file = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("deploy")).unwrap();
        file("deploy/a web.yaml", deployment);
        file("deploy/b.yml", pod(&good));
        file("deploy/c.json", json!({
            "apiVersion": "v1", "kind": "List", "items": [
                { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "gold", "labels": { "tier": "gold" } } },
                { "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "late", "namespace": "gold" },
                  "spec": { "containers": [{ "name": "app", "image": missing }] } },
            ],
        }).to_string());
        file("deploy/Chart.yaml", "name: chart\nversion: 0.1.0\n".to_owned());
        file("policy.yaml", policy("Deny"));
        Self { registry, folder }
    }

    async fn check(&self, output: &str) -> Output {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let (manifests, policies) = (path("deploy"), path("policy.yaml"));
        Hullmark::for_registry(&self.registry)
            .run(["check", "-f", &manifests, "--policies", &policies, "-n", "shop", "-o", output])
            .await
    }
}

#[tokio::test]
async fn a_person_gets_a_row_for_each_object_and_the_sum() {
    let folder = Folder::new().await;
    let output = folder.check("table").await;
    let text = output.text();
    let row = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert!(
        row("denied").contains("Deployment shop/web") && row("denied").ends_with("a web.yaml:3"),
        "{text}"
    );
    assert!(row("clean").contains("Pod shop/web"), "{text}");
    assert!(row("not checked").contains("Pod gold/late"), "{text}");
    assert!(row("    deny  container \"app\"").contains("[policy non-root, user]"), "{text}");
    assert!(
        text.ends_with(
            "3 objects, 3 images: 1 denied, 1 not checked, 1 clean (2 objects without a Pod passed over)\n"
        ),
        "{text}"
    );
    assert_eq!((output.code, output.stderr.as_str()), (Some(1), ""));
}

#[tokio::test]
async fn programs_get_json_sarif_and_junit() {
    let folder = Folder::new().await;

    let report: Value = folder.check("json").await.json();
    assert_eq!(report["schemaVersion"], 1);
    assert_eq!(
        report["summary"],
        json!({ "objects": 3, "images": 3, "denied": 1, "notChecked": 1, "warned": 0, "clean": 1 })
    );
    let [web, clean, late] = report["objects"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!(
        (&web["outcome"], &clean["outcome"], &late["outcome"]),
        (&json!("denied"), &json!("clean"), &json!("notChecked"))
    );
    let finding = &web["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["kind"], &finding["line"]),
        (&json!("user"), &json!("violation"), &json!(12))
    );
    assert_eq!(finding["platforms"], json!(["linux/amd64"]));
    assert!(web["images"][0]["digest"].as_str().unwrap().starts_with("sha256:"), "{web}");
    assert_eq!(late["findings"][0]["unresolvedKind"], "NotFound");
    assert_eq!(late["images"][0]["error"]["kind"], "NotFound");

    let sarif: Value = folder.check("sarif").await.json();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{sarif}");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with("/deploy/a%20web.yaml"), "{place}");
    assert_eq!((&place["region"]["startLine"], &results[0]["level"]), (&json!(12), &json!("error")));
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }
    assert_eq!(results[1]["ruleId"], "non-root/resolution");

    let junit = folder.check("junit").await;
    let junit = junit.text();
    assert!(junit.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{junit}");
    assert!(junit.contains("<testcase name=\"Deployment shop/web\""), "{junit}");
}

#[tokio::test]
async fn bad_manifests_are_told_all_at_once_before_any_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("policy.yaml"), policy("Deny")).unwrap();
    for (name, manifests, said) in [
        ("nothing", "", vec!["there is no object"]),
        ("comments only", "# empty chart\n---\n", vec!["there is no object"]),
        ("not YAML", "a: [", vec!["stdin:1:", "1 manifest cannot be read"]),
        ("a template", "kind: {{ .Values.kind }}\n", vec!["helm template"]),
        ("no kind", "metadata: { name: a }\n", vec!["stdin:1:", "apiVersion"]),
        ("two faults", "- 1\n---\n- 2\n", vec!["stdin:1:", "stdin:3:", "2 manifests"]),
        (
            "a number for an image",
            "apiVersion: v1\nkind: Pod\nspec: { containers: [{ name: a, image: 5 }] }\n",
            vec!["spec.containers[0].image"],
        ),
    ] {
        let output = Hullmark::new()
            .stdin(manifests.to_owned())
            .run(["check", "-f", "-", "--policies", &path("policy.yaml")])
            .await;
        assert_eq!((output.code, output.text()), (Some(2), ""), "{name}: {}", output.stderr);
        for part in said {
            assert!(output.stderr.contains(part), "{name}: wanted {part:?} in:\n{}", output.stderr);
        }
    }
    let output = Hullmark::new()
        .stdin("apiVersion: v1\nkind: Service\nmetadata: { name: a }\n".to_owned())
        .run(["check", "-f", "-", "--policies", &path("policy.yaml")])
        .await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(output.text(), "nothing to judge (1 object without a Pod passed over)\n");
}
