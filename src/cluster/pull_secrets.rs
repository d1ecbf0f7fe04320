//! The credentials of a Pod: the pull secrets that it names, and the operator's own.
//!
//! Secrets are read by name when they are needed, never listed or watched. For a Pod only
//! `spec.imagePullSecrets` counts (the API server has copied the service account's already); for a
//! template, which has no copy yet, the service account's too. What was read is remembered for a
//! moment, by namespace and name: a Pod can name secrets of its own namespace only.

use crate::{
    credential::{Credentials, DockerConfig, Keychain},
    image::Reference,
    review::FindCredentials,
    workload::Workload,
};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, Client};
use moka::future::Cache;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long a secret is remembered: its owner changes it rarely, and waits a minute for it.
const REMEMBERED: Duration = Duration::from_mins(1);
/// How long it is remembered that there is none: whoever forgot it makes it and tries again.
const MISSED: Duration = Duration::from_secs(5);
/// Secrets and service accounts that are remembered.
const MOST: u64 = 10_000;
/// The keys of a Secret that hold credentials, and the types that say so.
const KEYS: [&str; 2] = [".dockerconfigjson", ".dockercfg"];

/// From which namespaces pull secrets are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// From none.
    Disabled,
    /// From these.
    Namespaces(BTreeSet<String>),
    /// From every one.
    Cluster,
}

/// Finds credentials in Secrets.
#[derive(Clone)]
pub struct PullSecrets {
    client: Client,
    scope: Scope,
    /// Secrets of the operator's own, for every Pod: namespace and name.
    global: Vec<(String, String)>,
    secrets: Cache<(String, String), Arc<Keychain>>,
    accounts: Cache<(String, String), Arc<Vec<String>>>,
}

impl std::fmt::Debug for PullSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PullSecrets")
            .field("scope", &self.scope)
            .field("global", &self.global)
            .finish_non_exhaustive()
    }
}

impl PullSecrets {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(client: Client, scope: Scope, global: Vec<(String, String)>) -> Self {
        let secrets = Cache::builder().max_capacity(MOST).expire_after(Soon).build();
        let accounts = Cache::builder().max_capacity(MOST).time_to_live(REMEMBERED).build();
        Self { client, scope, global, secrets, accounts }
    }

    fn reads(&self, namespace: &str) -> bool {
        match &self.scope {
            Scope::Disabled => false,
            Scope::Namespaces(names) => names.contains(namespace),
            Scope::Cluster => true,
        }
    }

    async fn names(&self, namespace: &str, workload: &Workload) -> Vec<String> {
        let mut names = workload.pull_secrets.clone();
        if workload.is_template {
            let account = workload.service_account.clone().unwrap_or_else(|| "default".to_owned());
            let key = (namespace.to_owned(), account);
            let of_account = self.accounts.get_with(key.clone(), self.account(key.0, key.1)).await;
            names.extend(of_account.iter().filter(|name| !workload.pull_secrets.contains(name)).cloned());
        }
        names
    }

    async fn account(&self, namespace: String, name: String) -> Arc<Vec<String>> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &namespace);
        let found = accounts.get_opt(&name).await.unwrap_or_else(|error| {
            tracing::warn!(namespace, name, error = super::why(&error), "cannot read a service account");
            None
        });
        let secrets = found.and_then(|account| account.image_pull_secrets).unwrap_or_default();
        Arc::new(secrets.into_iter().map(|secret| secret.name).collect())
    }

    async fn secret(&self, namespace: &str, name: &str) -> Arc<Keychain> {
        let read = async {
            let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
            let read = match secrets.get_opt(name).await {
                Ok(Some(secret)) => keychain(&secret),
                Ok(None) => Err("there is no such Secret".to_owned()),
                Err(error) => Err(super::why(&error)),
            };
            Arc::new(read.unwrap_or_else(|why| {
                tracing::warn!(namespace, name, why, "a pull secret is not used");
                Keychain::default()
            }))
        };
        self.secrets.get_with((namespace.to_owned(), name.to_owned()), read).await
    }
}

impl FindCredentials for PullSecrets {
    async fn find(&self, reference: &Reference, workload: Option<&Workload>) -> Vec<Credentials> {
        let (mut own, mut global) = (Vec::new(), Vec::new());
        let namespace = workload.and_then(|workload| workload.namespace.as_deref());
        if let (Some(workload), Some(namespace)) = (workload, namespace.filter(|name| self.reads(name))) {
            for name in self.names(namespace, workload).await {
                own.push(self.secret(namespace, &name).await);
            }
        }
        for (namespace, name) in &self.global {
            global.push(self.secret(namespace, name).await);
        }
        // As the kubelet does: the Pod's secrets are one keyring, and what is known besides comes after it.
        let found = [own, global].map(|secrets| Keychain::lookup_in(&secrets, reference));
        let mut distinct = Vec::new();
        for one in found.into_iter().flatten() {
            if !distinct.contains(&one) {
                distinct.push(one);
            }
        }
        distinct
    }
}

/// What a Secret holds. Entries that cannot be read are passed over with a word in the log.
fn keychain(secret: &Secret) -> Result<Keychain, String> {
    let data = secret.data.as_ref();
    let Some((key, bytes)) = KEYS.iter().find_map(|key| Some((key, data?.get(*key)?))) else {
        return Err(format!("it has neither {}", KEYS.join(" nor ")));
    };
    let config = DockerConfig::parse(&bytes.0).map_err(|invalid| format!("{key}: {invalid}"))?;
    for problem in &config.problems {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        tracing::warn!(name, problem, "an entry of a pull secret is not used");
    }
    Ok(config.keychain)
}

/// An empty keychain is forgotten sooner.
struct Soon;

impl moka::Expiry<(String, String), Arc<Keychain>> for Soon {
    fn expire_after_create(
        &self,
        _key: &(String, String),
        keychain: &Arc<Keychain>,
        _at: std::time::Instant,
    ) -> Option<Duration> {
        Some(if keychain.is_empty() { MISSED } else { REMEMBERED })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_of_both_types_are_read_and_others_named() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let auth = STANDARD.encode("alice:s3cret");
        let entry = json!({ "registry.acme.io": { "auth": auth } });
        let secret = |key: &str, content: &str| -> Secret {
            serde_json::from_value(
                json!({ "metadata": { "name": "pull" }, "data": { key: STANDARD.encode(content) } }),
            )
            .unwrap()
        };
        let reference: Reference = "registry.acme.io/app:1".parse().unwrap();
        for (name, secret, found, error) in [
            ("config", secret(".dockerconfigjson", &json!({ "auths": entry }).to_string()), 1, ""),
            ("legacy", secret(".dockercfg", &entry.to_string()), 1, ""),
            ("another host", secret(".dockerconfigjson", r#"{"auths":{"ghcr.io":{"auth":"YTpi"}}}"#), 0, ""),
            ("not JSON", secret(".dockerconfigjson", "{"), 0, ".dockerconfigjson: "),
            ("another kind", secret("password", "x"), 0, "neither .dockerconfigjson nor .dockercfg"),
        ] {
            match keychain(&secret) {
                Ok(keychain) => assert_eq!((keychain.lookup(&reference).len(), error), (found, ""), "{name}"),
                Err(why) => assert!(!error.is_empty() && why.contains(error), "{name}: {why}"),
            }
        }
    }
}
