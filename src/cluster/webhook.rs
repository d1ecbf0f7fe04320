//! The webhook configuration: made and kept by Hullmark itself, once it is ready to be called.
//!
//! What it should be is a pure function of the settings (`desired`); it is written by server-side apply,
//! so whatever others change of ours is put right again, and what they add stays. It is owned by a
//! ClusterRole of the chart, and so goes when that goes.

mod desired;

pub use desired::{Caller, Configuration};

use super::{ClusterError, owner::owner, why};
use desired::{mutating, validating};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Debug, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// Who writes, for server-side apply.
const FIELD_MANAGER: &str = "hullmark";
/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// From being ready until others know it: a probe and the endpoints of a Service.
const SETTLE: Duration = Duration::from_secs(5);

/// Keeps the configuration for as long as the process lives. Where there is none yet, it is made once
/// `ready` says so, and a moment later, so that whoever routes to us knows it too. Tells what the API server
/// trusts (PEM), as it is read back; none: there is no configuration, so nobody calls.
pub fn keep(
    client: Client,
    configuration: Configuration,
    mut bundle: watch::Receiver<String>,
    ready: watch::Receiver<bool>,
    trusted: watch::Sender<Option<String>>,
) {
    tokio::spawn(async move {
        let keeper = Keeper { client, configuration };
        let mut told = None;
        let mut due: Option<Instant> = None;
        loop {
            let wanted = bundle.borrow_and_update().clone();
            if due.is_none() && *ready.borrow() {
                due = Some(Instant::now() + SETTLE);
            }
            let is_due = due.is_some_and(|due| Instant::now() >= due);
            match keeper.look(&wanted, is_due).await {
                Ok(read_back) => {
                    trusted.send_if_modified(|old| replace(old, read_back));
                    if told.take().is_some() {
                        tracing::info!(
                            name = keeper.configuration.name,
                            "the webhook configuration is kept again"
                        );
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    if told.as_ref() != Some(&error) {
                        tracing::error!(
                            name = keeper.configuration.name,
                            error,
                            "cannot keep the webhook configuration"
                        );
                    }
                    told = Some(error);
                }
            }
            // A new bundle is written at once.
            let pause = sleep(if is_due { LOOK } else { SETTLE / 5 });
            tokio::select! {
                () = pause => {}
                changed = bundle.changed() => if changed.is_err() { return },
            }
        }
    });
}

fn replace(old: &mut Option<String>, new: Option<String>) -> bool {
    let changed = *old != new;
    *old = new;
    changed
}

/// Removes the configurations, so that nobody is locked out by a webhook that is gone.
///
/// # Errors
/// [`ClusterError`] when the API server refuses.
pub async fn remove(client: Client, name: &str) -> Result<(), ClusterError> {
    async fn one<K>(client: Client, name: &str) -> Result<(), ClusterError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        match Api::<K>::all(client).delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => {
                Err(ClusterError(format!("{} {name} cannot be removed: {}", K::kind(&()), why(&error))))
            }
        }
    }
    one::<ValidatingWebhookConfiguration>(client.clone(), name).await?;
    one::<MutatingWebhookConfiguration>(client, name).await
}

struct Keeper {
    client: Client,
    configuration: Configuration,
}

impl Keeper {
    /// Puts right what is not as it should be; gives the bundle that callers trust.
    async fn look(&self, bundle: &str, is_due: bool) -> Result<Option<String>, ClusterError> {
        let name = &self.configuration.name;
        let existing = Api::<ValidatingWebhookConfiguration>::all(self.client.clone()).get_opt(name).await;
        let existing = existing.map_err(|error| {
            ClusterError(format!("ValidatingWebhookConfiguration {name}: {}", why(&error)))
        })?;
        if existing.is_none() && !is_due {
            return Ok(None);
        }
        let owner = owner(&self.client, self.configuration.owner.as_deref()).await;
        let applied = self.apply(&validating(&self.configuration, bundle, owner.clone())).await?;
        if self.configuration.pin {
            self.apply(&mutating(&self.configuration, bundle, owner)).await?;
        }
        if existing.is_none() {
            tracing::info!(name, "the webhook configuration is there: Pods are judged from now on");
        }
        let first = applied.webhooks.unwrap_or_default().into_iter().next();
        let trusted = first.and_then(|webhook| webhook.client_config.ca_bundle).unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(&trusted.0).into_owned()))
    }

    async fn apply<K>(&self, desired: &K) -> Result<K, ClusterError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let name = desired.name_any();
        api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(desired))
            .await
            .map_err(|error| ClusterError(format!("{} {name}: {}", K::kind(&()), why(&error))))
    }
}
