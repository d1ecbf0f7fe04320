//! The chart in a real cluster: installed, upgraded, guarding its labels, and gone without a trace.

use super::CHART;
use crate::support::{ControlPlane, Output};
use serde_json::json;

struct Release {
    plane: &'static ControlPlane,
}

impl Release {
    async fn helm(&self, command: &[&str], values: &[&str]) -> Output {
        let mut arguments = command.to_vec();
        arguments.extend(["--namespace", "hullmark", "--timeout=60s"]);
        for value in values {
            arguments.extend(["--set", value]);
        }
        self.plane.helm(arguments).await
    }

    async fn install(&self, values: &[&str]) {
        // No kubelet would run the hook's Pod.
        let values = [values, &["webhook.removeOnUninstall=false"]].concat();
        self.helm(&["install", "hullmark", CHART, "--create-namespace"], &values).await.succeeded();
    }

    async fn upgrade(&self, values: &[&str]) {
        let values = [values, &["webhook.removeOnUninstall=false"]].concat();
        self.helm(&["upgrade", "hullmark", CHART], &values).await.succeeded();
    }

    async fn uninstall(&self) {
        self.helm(&["uninstall", "hullmark"], &[]).await.succeeded();
        assert_eq!(self.starters().await, [""; 0], "after the uninstall");
    }

    /// Name and action of each starter policy.
    async fn starters(&self) -> Vec<String> {
        let columns = "jsonpath={range .items[*]}{.metadata.name}={.spec.validationActions[0]}{\"\\n\"}{end}";
        let output = self.plane.kubectl(["get", "cicp", "-o", columns]).await.succeeded();
        output.text().lines().map(str::to_owned).collect()
    }
}

fn all(action: &str) -> Vec<String> {
    ["no-latest", "no-secrets-in-env", "non-root", "valid-stop-signal"]
        .map(|name| format!("starter-{name}={action}"))
        .into()
}

#[tokio::test]
async fn the_chart_comes_and_goes() {
    let (plane, _turn) = ControlPlane::operated().await;
    let release = Release { plane };
    release.install(&["starterPolicies.mode=audit", super::BREAK_GLASS]).await;
    assert_eq!(release.starters().await, all("Audit"));
    labels_are_guarded(release.plane).await;
    restricted_pods_are_made(release.plane).await;
    // From a hook's to the release's own.
    release.upgrade(&["starterPolicies.mode=warn"]).await;
    assert_eq!(release.starters().await, all("Warn"));
    release.upgrade(&["starterPolicies.mode=enforce"]).await;
    assert_eq!(release.starters().await, all("Deny"));
    release.upgrade(&["starterPolicies.mode=enforce,starterPolicies.policies={non-root}"]).await;
    assert_eq!(release.starters().await, ["starter-non-root=Deny"]);
    release.uninstall().await;
    nothing_is_left_but_crds(release.plane).await;

    // The definitions were kept; those of a release that was never upgraded go too.
    release.install(&["starterPolicies.mode=enforce"]).await;
    assert_eq!(release.starters().await, all("Deny"));
    release.uninstall().await;
    // An upgrade that no longer wants what a hook made.
    release.install(&["starterPolicies.mode=audit"]).await;
    release.upgrade(&["starterPolicies.mode=off"]).await;
    assert_eq!(release.starters().await, [""; 0]);
    release.uninstall().await;

    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/install.yaml");
    let apply = ["apply", "--server-side", "--force-conflicts", "--filename", manifest];
    release.plane.kubectl(apply).await.succeeded();
    // Definitions that were made a moment ago may take minutes to go; the next test waits for that.
    release.plane.kubectl(["delete", "--wait=false", "--filename", manifest]).await.succeeded();
}

/// What came before is a chart of an older version, with policies of the chart and of its users in place.
#[tokio::test]
async fn an_upgrade_leaves_policies_in_place() {
    let (plane, _turn) = ControlPlane::operated().await;
    let release = Release { plane };
    let folder = tempfile::tempdir().unwrap();
    let older = ["package", CHART, "--version=0.0.9", "--app-version=0.0.9", "--destination"];
    let older = older.into_iter().chain([folder.path().to_str().unwrap()]);
    plane.helm(older).await.succeeded();
    let package = folder.path().join("hullmark-0.0.9.tgz");
    let values = ["starterPolicies.mode=enforce", "webhook.removeOnUninstall=false"];
    let install = ["install", "hullmark", package.to_str().unwrap(), "--create-namespace"];
    release.helm(&install, &values).await.succeeded();
    let own = json!({
        "apiVersion": "hullmark.dev/v1alpha1", "kind": "ClusterImageConfigPolicy",
        "metadata": { "name": "own" }, "spec": { "rules": { "user": { "runAsNonRoot": true } } },
    });
    plane.kubectl_with(&own.to_string(), ["apply", "-f", "-"]).await.succeeded();
    let uids = ["get", "cicp,crd", "-o", "jsonpath={.items[*].metadata.uid}"];
    let before = plane.kubectl(uids).await.succeeded().text().to_owned();
    assert_eq!(before.split(' ').count(), 4 + 1 + 3);
    let get = ["get", "deployment", "hullmark", "-n", "hullmark", "-o"];
    let version = "jsonpath={.metadata.labels.app\\.kubernetes\\.io/version}";
    let version =
        || async { plane.kubectl(get.into_iter().chain([version])).await.succeeded().text().to_owned() };
    assert_eq!(version().await, "0.0.9");

    let upgrade = ["upgrade", "hullmark", CHART, "--reuse-values"];
    release.helm(&upgrade, &[]).await.succeeded();
    assert_eq!(version().await, env!("CARGO_PKG_VERSION"));
    let after = plane.kubectl(uids).await.succeeded().text().to_owned();
    assert_eq!(before, after, "the same policies and definitions, none of them made anew");
    let actions = ["get", "cicp", "-o", "jsonpath={.items[*].spec.validationActions[0]}"];
    assert_eq!(plane.kubectl(actions).await.succeeded().text(), "Deny Deny Deny Deny Deny");
}

async fn labels_are_guarded(plane: &ControlPlane) {
    for user in ["editor", "sre"] {
        let binding = ["create", "clusterrolebinding", user, "--clusterrole=cluster-admin"];
        let binding = binding.map(str::to_owned).into_iter().chain([format!("--user={user}")]);
        plane.kubectl(binding).await.succeeded();
    }
    let label = ["label", "--dry-run=server", "namespace", "default"];
    let pod = ["run", "x", "--image=registry.invalid/x:1", "--dry-run=server"];
    let editor = &["--as=editor"][..];
    let sre = &["--as=sre", "--as-group=sre"][..];
    let rows = [
        (
            "mode",
            [&label[..], &["hullmark.dev/mode=audit"]].concat(),
            editor,
            Some("only members of system:masters"),
        ),
        (
            "ignore",
            [&label[..], &["hullmark.dev/ignore=1"]].concat(),
            editor,
            Some("hullmark.dev/ignore says how"),
        ),
        ("another label", [&label[..], &["team=shop"]].concat(), editor, None),
        ("an administrator", [&label[..], &["hullmark.dev/mode=audit"]].concat(), &[], None),
        ("a Pod", pod.to_vec(), editor, None),
        (
            "glass",
            [&pod[..], &["-l", "acme.io/break-glass=1"]].concat(),
            editor,
            Some("only members of sre, oncall"),
        ),
        ("glass of those who may", [&pod[..], &["-l", "acme.io/break-glass=1"]].concat(), sre, None),
    ];
    // The API server takes up a new policy within a second or so.
    for (name, command, who, refused) in rows {
        let command = [&command[..], who].concat();
        let mut output = plane.kubectl(&command).await;
        for _ in 0..100 {
            if refused.is_some() == (output.code != Some(0)) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            output = plane.kubectl(&command).await;
        }
        match refused {
            None => assert_eq!(output.code, Some(0), "{name}: {}", output.stderr),
            Some(why) => assert!(output.stderr.contains(why), "{name}: {}", output.stderr),
        }
    }
}

/// Pod Security lets the chart's own Pods into a namespace that is restricted.
async fn restricted_pods_are_made(plane: &ControlPlane) {
    let level = "pod-security.kubernetes.io/enforce=restricted";
    let label = ["label", "--dry-run=server", "namespace", "hullmark", level];
    let output = plane.kubectl(label).await.succeeded();
    assert_eq!(output.stderr, "", "Pods that are there already would be named in a warning");
    let pods = ["wait", "--for=create", "pod", "-l", "app.kubernetes.io/name=hullmark", "-n", "hullmark"];
    plane.kubectl(pods).await.succeeded();
}

async fn nothing_is_left_but_crds(plane: &ControlPlane) {
    let crds = plane.kubectl(["get", "crd", "-o", "name"]).await.succeeded();
    assert_eq!(crds.text().lines().count(), 3, "{}", crds.text());
    for kinds in [
        "clusterroles,clusterrolebindings",
        "validatingadmissionpolicies,validatingadmissionpolicybindings",
        "validatingwebhookconfigurations,mutatingwebhookconfigurations",
        "deployments,services,secrets,configmaps,jobs,roles,rolebindings,poddisruptionbudgets",
    ] {
        let get = ["get", kinds, "-A", "-o", "name", "-l", "app.kubernetes.io/instance=hullmark"];
        let left = plane.kubectl(get).await.succeeded();
        assert_eq!(left.text(), "", "{kinds}");
    }
}
