//! The platforms of the cluster's nodes, from the labels that kubelets set.

use super::{
    ClusterError,
    follow::{Change, follow},
    why,
};
use crate::{image::Platform, review::Nodes};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, ResourceExt,
    api::ListParams,
    core::PartialObjectMeta,
    runtime::watcher::{self, watcher},
};
use std::collections::BTreeMap;
use tokio::sync::watch;

/// Watches the nodes' metadata for as long as the process lives. Until nodes are known, and while there
/// are none, the platforms are not known, and every platform of an image is judged.
#[must_use]
pub fn watch(client: Client) -> Nodes {
    let (told, nodes) = watch::channel(None);
    tokio::spawn(async move {
        let watched = watcher(Api::<PartialObjectMeta<Node>>::all(client), watcher::Config::default());
        let mut known: BTreeMap<String, Platform> = BTreeMap::new();
        follow("nodes", watched, |change: Change<PartialObjectMeta<Node>>| {
            apply(&mut known, change);
            told.send_if_modified(|platforms| replace(platforms, distinct(&known)));
        })
        .await;
    });
    nodes
}

/// The platforms of the nodes as they are now; none while none is known.
///
/// # Errors
/// [`ClusterError`] when the API server does not give the nodes.
pub async fn platforms(client: Client) -> Result<Option<Vec<Platform>>, ClusterError> {
    let nodes = Api::<Node>::all(client).list_metadata(&ListParams::default()).await;
    let nodes = nodes.map_err(|error| ClusterError(format!("nodes cannot be listed: {}", why(&error))))?;
    let mut known = BTreeMap::new();
    apply(&mut known, Change::All(nodes.items));
    Ok(distinct(&known))
}

fn apply(known: &mut BTreeMap<String, Platform>, change: Change<PartialObjectMeta<Node>>) {
    let one = |node: &PartialObjectMeta<Node>| Some((node.name_any(), platform(node.labels())?));
    match change {
        Change::All(all) => *known = all.iter().filter_map(one).collect(),
        Change::One(node) => known.extend(one(&node)),
        Change::Gone(node) => _ = known.remove(&node.name_any()),
        Change::Failing(_) => {}
    }
}

/// The architecture's variant is in no label, so images for any variant are judged.
fn platform(labels: &BTreeMap<String, String>) -> Option<Platform> {
    let [os, architecture] = ["kubernetes.io/os", "kubernetes.io/arch"].map(|label| labels.get(label));
    Some(Platform::new(os?, architecture?, None, None))
}

fn distinct(known: &BTreeMap<String, Platform>) -> Option<Vec<Platform>> {
    let mut platforms: Vec<Platform> = Vec::new();
    for platform in known.values() {
        if !platforms.contains(platform) {
            platforms.push(platform.clone());
        }
    }
    platforms.sort_by_key(ToString::to_string);
    (!platforms.is_empty()).then_some(platforms)
}

fn replace(platforms: &mut Option<Vec<Platform>>, new: Option<Vec<Platform>>) -> bool {
    let changed = *platforms != new;
    if changed {
        *platforms = new;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(name: &str, labels: &serde_json::Value) -> PartialObjectMeta<Node> {
        serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap()
    }

    #[test]
    fn platforms_are_those_of_nodes_that_say_theirs() {
        let amd64 = json!({ "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" });
        let arm64 = json!({ "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" });
        let mut known = BTreeMap::new();
        let mut after = |change| {
            apply(&mut known, change);
            distinct(&known).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(after(Change::All(vec![])), None, "no nodes");
        let all = vec![node("a", &arm64), node("b", &amd64), node("c", &amd64), node("d", &json!({}))];
        assert_eq!(after(Change::All(all)).as_deref(), Some("linux/amd64 linux/arm64"));
        assert_eq!(after(Change::Gone(node("a", &arm64))).as_deref(), Some("linux/amd64"));
        assert_eq!(after(Change::One(node("e", &arm64))).as_deref(), Some("linux/amd64 linux/arm64"));
        let mut platforms = None;
        assert!(!replace(&mut platforms, None));
        assert!(replace(&mut platforms, Some(vec![])));
    }
}
