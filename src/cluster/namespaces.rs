//! The namespaces of the cluster with their labels, as they change.

use super::follow::{Change, follow};
use crate::{policy::Namespace, review::KnowNamespaces};
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api, Client, ResourceExt,
    runtime::watcher::{self, watcher},
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::watch;

/// What is known of namespaces.
#[derive(Debug)]
pub struct Namespaces {
    known: RwLock<HashMap<String, Arc<Namespace>>>,
    synced: watch::Sender<bool>,
}

impl Namespaces {
    /// Watches for as long as the process lives.
    #[must_use]
    pub fn watch(client: Client) -> Arc<Self> {
        let namespaces = Arc::new(Self { known: RwLock::default(), synced: watch::channel(false).0 });
        let told = Arc::clone(&namespaces);
        tokio::spawn(async move {
            let watched = watcher(Api::<core::Namespace>::all(client), watcher::Config::default());
            follow("namespaces", watched, |change| told.change(change)).await;
        });
        namespaces
    }

    /// Waits until all namespaces are known.
    pub async fn synced(&self) {
        // The sender is ours, so it cannot be gone.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    fn change(&self, change: Change<core::Namespace>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::All(all) => {
                *known = all.iter().map(|one| (one.name_any(), Arc::new(read(one)))).collect();
                self.synced.send_replace(true);
            }
            Change::One(one) => _ = known.insert(one.name_any(), Arc::new(read(&one))),
            Change::Gone(one) => _ = known.remove(&one.name_any()),
            Change::Failing(_) => {}
        }
    }
}

impl KnowNamespaces for Namespaces {
    fn namespace(&self, name: &str) -> Arc<Namespace> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        // One that was made a moment ago may not have been told yet.
        known.unwrap_or_else(|| Arc::new(Namespace::named(name)))
    }
}

fn read(namespace: &core::Namespace) -> Namespace {
    let mut read = Namespace::named(&namespace.name_any());
    read.labels.extend(namespace.labels().clone());
    let mut object = serde_json::to_value(namespace).unwrap_or_default();
    if let Some(metadata) = object.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    read.object = object;
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn namespace(name: &str, tier: &str) -> core::Namespace {
        serde_json::from_value(json!({ "metadata": { "name": name, "labels": { "tier": tier } } })).unwrap()
    }

    #[test]
    fn what_is_told_is_known() {
        let namespaces = Namespaces { known: RwLock::default(), synced: watch::channel(false).0 };
        let tier = |name: &str| namespaces.namespace(name).labels.get("tier").cloned();
        namespaces.change(Change::All(vec![namespace("a", "gold"), namespace("b", "iron")]));
        assert_eq!(
            (tier("a").as_deref(), tier("b").as_deref(), tier("c")),
            (Some("gold"), Some("iron"), None)
        );
        namespaces.change(Change::One(namespace("b", "gold")));
        namespaces.change(Change::Gone(namespace("a", "gold")));
        assert_eq!((tier("a"), tier("b").as_deref()), (None, Some("gold")));
        let unknown = namespaces.namespace("new");
        assert_eq!(unknown.labels["kubernetes.io/metadata.name"], "new");
        let known = namespaces.namespace("b");
        assert_eq!(known.labels["kubernetes.io/metadata.name"], "b");
        assert_eq!(known.object["kind"], "Namespace");
    }
}
