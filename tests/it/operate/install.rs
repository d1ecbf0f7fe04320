//! docs/install.md, followed to the letter: each of its commands is run, and says what stands under it.
//!
//! What is added to them is only what a machine without kubelets needs: the webhook is reached by a URL
//! instead of the Service, and registries on loopback stand in for Docker Hub.

use super::stage::{eventually_in, replica};
use crate::support::{Balancer, ControlPlane, Image, Kubelet, Output, Registry, own_address};
use serde_json::json;
use std::fs;

const INSTALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/install.md");
const ROLLOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rollout.md");

/// A command and what it prints; nothing: that is not shown.
struct Step {
    command: String,
    prints: String,
}

fn steps(page: &str) -> Vec<Step> {
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    commands
        .map(|text| {
            let (command, prints) = text.split_once('\n').unwrap();
            Step { command: command.to_owned(), prints: prints.to_owned() }
        })
        .collect()
}

/// What a terminal shows of it, in the order in which kubectl prints: warnings, then results.
fn shown(output: &Output) -> String {
    format!("{}{}", output.stderr, output.text())
}

#[tokio::test]
async fn the_page_is_followed_to_the_letter() {
    let (plane, _turn) = ControlPlane::operated().await;
    let registry = Registry::plain().await;
    let own = concat!("hullmark/hullmark:", env!("CARGO_PKG_VERSION"));
    for (name, user) in
        [("library/nginx:1.27", ""), ("nginxinc/nginx-unprivileged:1.27", "101"), (own, "65532:65532")]
    {
        Image::oci("linux/amd64", &json!({ "User": user })).push(&registry, name).await;
    }
    let values = json!({
        "webhook": { "url": format!("https://{}:8443", own_address(1)) },
        "registries": { "allowAddresses": ["127.0.0.0/8"] },
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.json");
    fs::write(&file, values.to_string()).unwrap();
    let _balancer = Balancer::start(replica(0).0, (1..=4).map(replica).collect()).await;
    let _kubelet = Kubelet::start(plane, registry.hosts_dir_as(&["docker.io", "ghcr.io"]));

    let steps = steps(INSTALL);
    assert!(steps.len() > 15, "the page has fewer commands than it had");
    for Step { command, prints } in steps {
        follow(plane, &command, &prints, &file.display().to_string()).await;
    }
    let pod = "kubectl run after --image=docker.io/library/nginx:1.27";
    assert_eq!(plane.shell(pod).await.succeeded().text(), "pod/after created\n", "nobody is locked out");
    let left = ["get", "pods,secrets,validatingwebhookconfigurations", "-n", "hullmark", "-o", "name"];
    eventually_in("nothing is left", async || plane.kubectl(left).await.succeeded().text().is_empty()).await;
}

async fn follow(plane: &ControlPlane, command: &str, prints: &str, values: &str) {
    let mut command = command.to_owned();
    if command.starts_with("helm install") || command.starts_with("helm upgrade") {
        command = format!("{command} --values {values}");
    }
    // Whoever types sees changes in force; a dry run shows when they are.
    if command.contains(" run ") {
        let is_dry = command.contains("--dry-run");
        let dry = if is_dry { command.clone() } else { format!("{command} --dry-run=server") };
        let wanted =
            if is_dry { prints.to_owned() } else { prints.replace(" created", " created (server dry run)") };
        let mut said = String::new();
        eventually_in(&format!("{command}\n{prints}"), async || {
            said = shown(&plane.shell(&dry).await);
            said == wanted
        })
        .await;
        if is_dry {
            return;
        }
    }
    let output = plane.shell(&command).await;
    let is_refused = prints.starts_with("Error");
    assert_eq!(output.code == Some(0), !is_refused, "{command}\n{}", shown(&output));
    if !prints.is_empty() && !command.contains("rollout") {
        assert_eq!(shown(&output), prints, "{command}");
    }
    assert!(
        !command.contains("rollout") || shown(&output).ends_with(prints),
        "{command}\n{}",
        shown(&output)
    );
}

/// docs/rollout.md shows no output: that each command works is what is held here, and that the audit saw the Pod.
#[tokio::test]
async fn each_command_of_a_rollout_works() {
    let (plane, _turn) = ControlPlane::operated().await;
    let registry = Registry::plain().await;
    Image::oci("linux/amd64", &json!({ "User": "" })).push(&registry, "library/nginx:1.27").await;
    let own = concat!("hullmark/hullmark:", env!("CARGO_PKG_VERSION"));
    Image::oci("linux/amd64", &json!({ "User": "65532:65532" })).push(&registry, own).await;
    let values = json!({
        "webhook": { "url": format!("https://{}:8443", own_address(1)) },
        "registries": { "allowAddresses": ["127.0.0.0/8"] },
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.json");
    fs::write(&file, values.to_string()).unwrap();
    let hosts = registry.hosts_dir_as(&["docker.io", "ghcr.io"]);
    let program = env!("CARGO_BIN_EXE_hullmark");
    let scan = format!("HULLMARK_HOSTS_DIR={} HULLMARK_ALLOW_ADDRESS=127.0.0.0/8 {program}", hosts.display());
    let _balancer = Balancer::start(replica(0).0, (1..=4).map(replica).collect()).await;
    let _kubelet = Kubelet::start(plane, hosts);
    plane.shell("kubectl run older --image=docker.io/library/nginx:1.27").await.succeeded();
    let (mut scans, mut count) = (0, 0);
    for Step { command, .. } in steps(ROLLOUT) {
        count += 1;
        if let Some(rest) = command.strip_prefix("hullmark ") {
            let said = plane.shell(&format!("{scan} {rest}")).await.succeeded();
            assert!(said.text().contains("runs as root"), "{command}: {}", said.text());
            scans += 1;
        } else {
            follow(plane, &command, "", &file.display().to_string()).await;
        }
    }
    assert_eq!((scans, count), (2, 10), "of the page's commands");
    plane.shell("kubectl delete pod older --now").await.succeeded();
}
