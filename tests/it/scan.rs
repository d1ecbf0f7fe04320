//! `hullmark scan` on a real cluster: what runs there, judged by policies of a folder or of the cluster.

use crate::support::{ControlPlane, Hullmark, Image, Namespace, Output, Pushed, Registry};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tempfile::TempDir;

/// A namespace in which something runs, and a folder with a policy that is not installed.
struct Scene {
    namespace: Namespace,
    registry: Registry,
    policies: TempDir,
    /// `demo/app:bad`
    bad: Pushed,
}

impl Scene {
    async fn set() -> Self {
        let registry = Registry::plain().await;
        let image = |user: &str, created: &str| {
            let config = json!({
                "architecture": "amd64", "os": "linux", "created": created,
                "config": { "User": user }, "rootfs": { "type": "layers", "diff_ids": [] },
            });
            Image::oci("linux/amd64", &json!({})).with_config(config.to_string().as_bytes())
        };
        image("1000", "2026-10-01T00:00:00Z").push(&registry, "demo/app:good").await;
        let bad = image("root", "2026-09-01T00:00:00Z").push(&registry, "demo/app:bad").await;
        let policies = tempfile::tempdir().unwrap();
        let policy = json!({
            "apiVersion": "hullmark.dev/v1alpha1", "kind": "ClusterImageConfigPolicy",
            "metadata": { "name": "non-root" }, "spec": { "rules": { "user": { "runAsNonRoot": true } } },
        });
        fs::write(policies.path().join("policy.yaml"), policy.to_string()).unwrap();
        let namespace = ControlPlane::shared().await.namespace().await;
        Self { namespace, registry, policies, bad }
    }

    async fn create(&self, object: &Value) {
        self.namespace.kubectl_with(&object.to_string(), ["create", "-f", "-"]).await.succeeded();
    }

    fn pod(&self, name: &str, tag: &str) -> Value {
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": self.spec(tag) })
    }

    fn spec(&self, tag: &str) -> Value {
        json!({ "containers": [{ "name": "app", "image": self.registry.image(&format!("demo/app:{tag}")) }] })
    }

    /// Two Pods of a Deployment, made by Kubernetes' own controllers.
    async fn deploy(&self, name: &str, tag: &str) {
        let labels = json!({ "app": name });
        self.create(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
            "spec": {
                "replicas": 2, "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": self.spec(tag) },
            },
        }))
        .await;
        let there = format!("app={name}");
        for _ in 0..300 {
            let pods = self.namespace.kubectl(["get", "pods", "-l", &there, "-o", "name"]).await.succeeded();
            if pods.text().lines().count() == 2 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("the Deployment has no Pods after 30 s");
    }

    /// What the kubelet says of a Pod's one container.
    async fn runs(&self, pod: &str, image_id: &str) {
        let status = json!({
            "name": "app", "image": "x", "imageID": image_id, "ready": true, "restartCount": 0,
            "state": { "running": {} },
        });
        let patch = json!({ "status": { "phase": "Running", "containerStatuses": [status] } }).to_string();
        let patch = ["patch", "pod", pod, "--subresource=status", "-p", &patch];
        self.namespace.kubectl(patch).await.succeeded();
    }

    async fn scan(&self, more: &[&str]) -> Output {
        let kubeconfig = self.namespace.plane.kubeconfig();
        let own = ["scan", "--kubeconfig", kubeconfig.to_str().unwrap(), "--namespace", &self.namespace.name];
        Hullmark::for_registry(&self.registry).run(own.iter().chain(more)).await
    }

    /// By the policies of the folder.
    async fn what_if(&self, more: &[&str]) -> Output {
        let policies = ["--policies", self.policies.path().to_str().unwrap()];
        self.scan(&[&policies, more].concat()).await
    }
}

fn object<'a>(document: &'a Value, kind: &str, name: &str) -> &'a Value {
    let objects = document["objects"].as_array().unwrap();
    let is_it = |one: &&Value| one["kind"] == kind && one["name"] == name;
    objects.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name} in {document:#}"))
}

#[tokio::test]
async fn what_runs_is_judged_by_policies_that_are_not_installed() {
    let scene = Scene::set().await;
    scene.deploy("web", "bad").await;
    scene.create(&scene.pod("good", "good")).await;
    scene.create(&scene.pod("gone", "gone")).await;
    let as_now = format!("{}@{}", scene.registry.image("demo/app"), scene.bad.digest);
    scene.create(&scene.pod("same", "bad")).await;
    scene.runs("same", &as_now).await;
    scene.create(&scene.pod("moved", "good")).await;
    scene.runs("moved", &as_now).await;

    let output = scene.what_if(&["-o", "json"]).await;
    assert_eq!(output.code, Some(1), "Pods would be refused: {}", output.stderr);
    let document = output.json();
    // The Deployment's two Pods and `same`; `good` and `moved`; `gone`.
    let summary = json!({
        "pods": 6, "templates": 1, "images": 3, "compliant": 2, "violating": 3, "notChecked": 1, "unmatched": 0,
        "denied": 4, "drifted": 1, "neverJudged": 6, "exempt": 0,
    });
    assert_eq!(document["summary"], summary);
    let policy = json!({
        "name": "non-root", "actions": ["Deny"], "pods": { "compliant": 2, "violating": 3, "notChecked": 1 },
    });
    assert_eq!(document["policies"], json!([policy]));
    assert_eq!(document["cluster"].as_str().unwrap().split(':').next(), Some("https"));
    assert_eq!(document["notes"], json!(["no node says its platform: every platform of an image is judged"]));

    let deployment = object(&document, "Deployment", "web");
    assert_eq!((&deployment["isTemplate"], &deployment["owner"]), (&json!(true), &Value::Null));
    let is_of_web = |one: &&Value| one["owner"] == json!({ "kind": "Deployment", "name": "web" });
    assert_eq!(document["objects"].as_array().unwrap().iter().filter(is_of_web).count(), 2, "{document:#}");

    let same = object(&document, "Pod", "same");
    assert_eq!((&same["compliance"], &same["outcome"]), (&json!("violating"), &json!("denied")));
    let image = &same["images"][0];
    assert_eq!((&image["drifted"], &image["digest"]), (&json!(false), &json!(scene.bad.digest)));
    assert_eq!(image["created"], "2026-09-01T00:00:00Z");
    assert_eq!(same["findings"][0]["found"], "runs as root (USER is \"root\")");
    let moved = &object(&document, "Pod", "moved")["images"][0];
    assert_eq!((&moved["drifted"], &moved["runningDigest"]), (&json!(true), &json!(scene.bad.digest)));
    let gone = object(&document, "Pod", "gone");
    assert_eq!((&gone["compliance"], &gone["outcome"]), (&json!("notChecked"), &json!("notChecked")));
    assert_eq!(gone["images"][0]["error"]["kind"], "NotFound");

    told_otherwise(&scene).await;
}

/// The same scene as tables, as SARIF, and with what changes the exit code.
async fn told_otherwise(scene: &Scene) {
    let table = scene.what_if(&[]).await;
    let text = table.text();
    assert_eq!(table.code, Some(1));
    for line in [
        "POLICY    ACTIONS       COMPLIANT  VIOLATING  NOT CHECKED",
        "non-root  Deny                  2          3            1",
        &format!("violating    Pods of Deployment {}/web  2 Pods", scene.namespace.name),
        &format!(
            "    drift  {} now means another image than the one that runs",
            scene.registry.image("demo/app:good")
        ),
        "6 Pods, 1 template, 3 images: 2 of 6 judged Pods comply; 3 violating, 1 not checked, 1 drifted, 6 never judged at admission",
        "4 Pods would be refused if they were created now",
    ] {
        assert!(text.lines().any(|one| one == line), "no line {line:?} in:\n{text}");
    }
    let sarif = scene.what_if(&["-o", "sarif", "--exit-zero"]).await.succeeded().json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    // Three Pods and a Deployment that violate, and one that could not be looked at.
    assert_eq!(results.len(), 5, "{sarif:#}");
    let place = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(place, &format!("{}/deployment/web", scene.namespace.name));

    let exempt = scene.what_if(&["--exempt-namespaces", &scene.namespace.name]).await.succeeded();
    assert!(exempt.text().contains("7 objects in exempt namespaces passed over\n"), "{}", exempt.text());
}

#[tokio::test]
async fn what_cannot_be_had_is_told() {
    let scene = Scene::set().await;
    let unknown = Hullmark::new().run(["scan", "--kubeconfig", "/nowhere", "--policies", "x"]).await.failed();
    assert!(unknown.starts_with("hullmark: --kubeconfig /nowhere: "), "{unknown}");
    let context = scene.scan(&["--context", "none"]).await.failed();
    assert!(context.contains("none"), "{context}");
    let folder = scene.scan(&["--policies", "/nowhere"]).await.failed();
    assert!(folder.starts_with("hullmark: /nowhere: "), "{folder}");

    // An account that may do nothing.
    let file = scene.policies.path().join("kubeconfig");
    scene.namespace.plane.write_kubeconfig_of(&scene.namespace.name, "default", &file).await;
    let refused = as_account(&scene, &file, &["--policies", scene.policies.path().to_str().unwrap()]).await;
    assert!(refused.starts_with("hullmark: pods cannot be listed: pods is forbidden: "), "{refused}");
}

async fn as_account(scene: &Scene, kubeconfig: &Path, more: &[&str]) -> String {
    // The folder has the kubeconfig too, which is no policy and has no such ending.
    let own = ["scan", "--kubeconfig", kubeconfig.to_str().unwrap()];
    Hullmark::for_registry(&scene.registry).run(own.iter().chain(more)).await.failed()
}
