//! The authority that all replicas share, in a Secret: made by whichever comes first, changed in two
//! phases, so that no call is refused while it changes.
//!
//! What happens next is a pure function of what the Secret holds, of what the API server trusts, and of
//! the time (`Stored::step`); writes carry the version that was read, so of two replicas one wins and the
//! other reads again. The phases: the next authority is published beside the current one; once the API
//! server trusts both, and some minutes more, it signs; the previous one is trusted until its last leaf
//! has ended.

mod stored;

use super::{ClusterError, owner::owner, why};
use crate::certificate::AuthorityPem;
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use std::{collections::BTreeMap, time::Duration};
use stored::{Step, Stored};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// How often the Secret is looked at: far more often than anything in it is due.
const LOOK: Duration = Duration::from_secs(20);
/// After a failure, or when another replica was first.
const AGAIN: Duration = Duration::from_secs(1);

/// What the replicas share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Signs leaves.
    pub signing: AuthorityPem,
    /// What callers have to trust: the signing one, and the next and the previous one where there are.
    pub bundle: String,
}

/// The authority, as it changes.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What signs.
    pub signing: watch::Receiver<AuthorityPem>,
    /// What callers have to trust (PEM).
    pub bundle: watch::Receiver<String>,
}

/// The Secret that the authority is in.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The ClusterRole that owns it; none: nobody takes it away.
    pub owner: Option<String>,
}

/// Reads or makes the authority at `place`, then looks after it for as long as the
/// process lives. `trusted` is what the API server trusts (PEM), as the webhook configuration says;
/// none: nobody calls.
///
/// # Errors
/// [`ClusterError`] when that cannot be done within `limit`: no access, or no answer.
pub async fn keep(
    client: Client,
    place: Place,
    trusted: watch::Receiver<Option<String>>,
    now: fn() -> Timestamp,
    limit: Duration,
) -> Result<Watched, ClusterError> {
    let at = format!("the Secret {}/{} with the webhook's authority", place.namespace, place.name);
    let secrets = Api::namespaced(client.clone(), &place.namespace);
    let keeper = Keeper { client, secrets, name: place.name, owner: place.owner, trusted, now };
    let first = timeout(limit, keeper.first()).await.unwrap_or_else(|_| {
        Err(ClusterError(format!(
            "{at} could not be read or made within {} s; see the log above",
            limit.as_secs()
        )))
    })?;
    let (signing, receive_signing) = watch::channel(first.signing.clone());
    let (bundle, receive_bundle) = watch::channel(first.bundle.clone());
    tokio::spawn(async move {
        loop {
            sleep(LOOK).await;
            match keeper.look().await {
                Ok(Some(shared)) => {
                    // What is trusted goes out before what signs.
                    bundle.send_if_modified(|old| replace(old, shared.bundle));
                    signing.send_if_modified(|old| replace(old, shared.signing));
                }
                Ok(None) => {}
                Err(error) => tracing::error!(error = why(&error), "cannot look after {at}"),
            }
        }
    });
    Ok(Watched { signing: receive_signing, bundle: receive_bundle })
}

fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    let changed = *old != new;
    *old = new;
    changed
}

struct Keeper {
    client: Client,
    secrets: Api<Secret>,
    name: String,
    owner: Option<String>,
    trusted: watch::Receiver<Option<String>>,
    now: fn() -> Timestamp,
}

impl Keeper {
    async fn first(&self) -> Result<Shared, ClusterError> {
        let mut told = None;
        loop {
            match self.look().await {
                Ok(Some(shared)) => return Ok(shared),
                Ok(None) => {}
                Err(error) => {
                    let error = why(&error);
                    if told.as_ref() != Some(&error) {
                        tracing::error!(secret = self.name, error, "cannot read the webhook's authority");
                    }
                    told = Some(error);
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// What the Secret holds, after what was due; none: another replica was first, so look again.
    async fn look(&self) -> Result<Option<Shared>, kube::Error> {
        let secret = self.secrets.get_opt(&self.name).await?;
        let stored = Stored::read(secret.as_ref().and_then(|secret| secret.data.as_ref()));
        if let Some(broken) = stored.broken.as_ref().filter(|_| secret.is_some()) {
            tracing::error!(secret = self.name, broken, "the authority cannot be used; a new one is made");
        }
        let (step, stored) = match stored.step((self.now)(), self.trusted.borrow().as_deref()) {
            Ok(Step::Keep(stored)) => return Ok(stored.shared()),
            Ok(Step::Write(step, stored)) => (step, stored),
            Err(error) => {
                tracing::error!(error = why(&error), "the next authority cannot be made");
                return Ok(None);
            }
        };
        let written = match secret {
            Some(mut secret) => {
                secret.data = Some(stored.data());
                self.secrets.replace(&self.name, &PostParams::default(), &secret).await
            }
            None => self.create(stored.data()).await,
        };
        match written {
            Ok(_) => {
                tracing::info!(secret = self.name, step, "the webhook's authority");
                Ok(stored.shared())
            }
            // Conflict, AlreadyExists.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, data: BTreeMap<String, ByteString>) -> Result<Secret, kube::Error> {
        let owner = owner(&self.client, self.owner.as_deref()).await;
        self.secrets.create(&PostParams::default(), &new(&self.name, data, owner)).await
    }
}

fn new(name: &str, data: BTreeMap<String, ByteString>, owner: Option<OwnerReference>) -> Secret {
    let labels = [("app.kubernetes.io/managed-by", "hullmark"), ("app.kubernetes.io/name", "hullmark")];
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}
