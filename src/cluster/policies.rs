//! The policies and exceptions of the cluster: watched, compiled on each change, and told in their
//! status what became of them.
//!
//! Each document is compiled for itself: one that does not compile is not in force, whole, and its
//! status says which field and why; the others are. They are watched as they are written, not as types,
//! so that a field that does not exist is told rather than dropped.

mod status;

use super::{
    ClusterError,
    follow::{Change, follow},
    parameters::{self, Followed},
    why,
};
use crate::{
    api::v1alpha1::{ClusterImageConfigPolicy, ImageConfigException, ImageConfigPolicy},
    policy::{Defaults, PolicyDocument, PolicyError, PolicySet},
    text::count,
};
use jiff::Timestamp;
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, ListParams},
    runtime::watcher::{self, watcher},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

/// Changes that come one after the other are compiled together.
const SETTLE: Duration = Duration::from_millis(100);
/// How often exceptions are looked at for having ended.
const EXPIRY: Duration = Duration::from_secs(30);

/// The policies of the cluster, as they change.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The set in force.
    pub policies: watch::Receiver<Arc<PolicySet>>,
    /// What is known of it.
    pub state: watch::Receiver<State>,
}

/// What is known of the set in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether every policy and exception of the cluster was seen.
    pub synced: bool,
    /// Counts the sets that were in force.
    pub generation: u64,
    /// How many policies are in force.
    pub policies: usize,
    /// How many exceptions are.
    pub exceptions: usize,
    /// Documents that are not in force, and the first reason of each.
    pub refused: Vec<String>,
    /// Exceptions that have ended.
    pub expired: Vec<String>,
    /// The API server's ids of the policies, by name; `namespace/name` for a namespaced one.
    pub uids: BTreeMap<String, String>,
}

/// What becomes of the status of policies and exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// It is kept: the word of whoever judges by them.
    Keep,
    /// It is left alone: whoever only looks has no say.
    Leave,
}

/// A document by its kind, namespace and name.
type Key = (&'static str, String, String);

/// What is told to the keeper.
enum Told {
    Document(&'static str, Change<DynamicObject>),
    Parameter(parameters::Told),
}

/// One of the three kinds.
#[derive(Clone)]
struct Kind {
    name: &'static str,
    resource: ApiResource,
}

/// Watches for as long as somebody receives the policies. `now` is the wall clock.
#[must_use]
pub fn watch(client: &Client, defaults: Defaults, now: fn() -> Timestamp, statuses: Statuses) -> Watched {
    let (changes, received) = mpsc::unbounded_channel();
    for kind in kinds() {
        let watched = watcher(
            Api::<DynamicObject>::all_with(client.clone(), &kind.resource),
            watcher::Config::default(),
        );
        let changes = changes.clone();
        tokio::spawn(async move {
            follow(kind.name, watched, |change| {
                // Nobody listens any more: the process ends.
                let _ = changes.send(Told::Document(kind.name, change));
            })
            .await;
        });
    }
    let (policies, receive_policies) = watch::channel(Arc::default());
    let (state, receive_state) = watch::channel(State::default());
    let keeper = Keeper {
        client: client.clone(),
        defaults,
        statuses,
        now,
        documents: BTreeMap::new(),
        listed: Vec::new(),
        parameters: Followed::new(client.clone(), move |told| {
            let _ = changes.send(Told::Parameter(told));
        }),
        policies,
        state,
    };
    tokio::spawn(keeper.run(received));
    Watched { policies: receive_policies, state: receive_state }
}

/// Asks for a policy of each kind, so that what is wrong is told at once and in the API server's words.
///
/// # Errors
/// [`ClusterError`] when the kinds are not there, or may not be read.
pub async fn readable(client: &Client) -> Result<(), ClusterError> {
    for kind in kinds() {
        let api = Api::<DynamicObject>::all_with(client.clone(), &kind.resource);
        match api.list(&ListParams::default().limit(1)).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {
                return Err(ClusterError(format!(
                    "the cluster does not know {}: Hullmark is not installed there; give --policies DIR",
                    kind.name
                )));
            }
            Err(error) => {
                return Err(ClusterError(format!("{} cannot be listed: {}", kind.name, why(&error))));
            }
        }
    }
    Ok(())
}

impl Watched {
    /// Waits until every policy and exception was seen and compiled.
    ///
    /// # Errors
    /// [`ClusterError`] when that takes longer than `limit`: the API server does not answer, or does not
    /// know our kinds.
    pub async fn synced(&mut self, limit: Duration) -> Result<(), ClusterError> {
        match timeout(limit, self.state.wait_for(|state| state.synced)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(ClusterError(format!(
                "the policies of the cluster could not be read within {} s; see the log above. \
                 Are the CustomResourceDefinitions there? hullmark crds | kubectl apply -f -",
                limit.as_secs()
            ))),
        }
    }
}

fn kinds() -> [Kind; 3] {
    fn kind<K: Resource<DynamicType = ()>>(name: &'static str) -> Kind {
        Kind { name, resource: ApiResource::erase::<K>(&()) }
    }
    [
        kind::<ClusterImageConfigPolicy>("ClusterImageConfigPolicy"),
        kind::<ImageConfigPolicy>("ImageConfigPolicy"),
        kind::<ImageConfigException>("ImageConfigException"),
    ]
}

struct Keeper<T> {
    client: Client,
    defaults: Defaults,
    statuses: Statuses,
    now: fn() -> Timestamp,
    documents: BTreeMap<Key, DynamicObject>,
    /// The kinds of which all documents are known.
    listed: Vec<&'static str>,
    parameters: Followed<T>,
    policies: watch::Sender<Arc<PolicySet>>,
    state: watch::Sender<State>,
}

impl<T: Fn(parameters::Told) + Clone + Send + Sync + 'static> Keeper<T> {
    async fn run(mut self, mut changed: mpsc::UnboundedReceiver<Told>) {
        let mut looked = Instant::now();
        let mut is_new = false;
        while !self.policies.is_closed() {
            tokio::select! {
                change = changed.recv() => {
                    let Some(told) = change else { return };
                    self.hear(told);
                    is_new = true;
                    tokio::time::sleep(SETTLE).await;
                    while let Ok(told) = changed.try_recv() {
                        self.hear(told);
                    }
                }
                () = sleep_until(looked + EXPIRY) => {}
            }
            looked = Instant::now();
            if self.listed.len() == kinds().len() {
                self.put_in_force(is_new).await;
                is_new = false;
            }
        }
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Document(kind, change) => self.apply(kind, change),
            Told::Parameter(told) => self.parameters.apply(told),
        }
    }

    fn apply(&mut self, kind: &'static str, change: Change<DynamicObject>) {
        let key = |object: &DynamicObject| {
            let metadata = &object.metadata;
            (kind, metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
        };
        match change {
            Change::All(all) => {
                self.documents.retain(|(other, ..), _| *other != kind);
                self.documents.extend(all.into_iter().map(|object| (key(&object), object)));
                if !self.listed.contains(&kind) {
                    self.listed.push(kind);
                }
            }
            Change::One(object) => _ = self.documents.insert(key(&object), object),
            Change::Gone(object) => _ = self.documents.remove(&key(&object)),
            Change::Failing(_) => {}
        }
    }

    /// `is_new`: something has changed since the last time; else only the time has.
    async fn put_in_force(&mut self, is_new: bool) {
        let now = (self.now)();
        let documents: Vec<PolicyDocument> =
            self.documents.iter().map(|(key, object)| document(key, object)).collect();
        let (set, refused) = PolicySet::compile_each(&documents);
        self.parameters.want(&set.wanted_parameters());
        let set = set.with_defaults(self.defaults.clone()).with_parameters(self.parameters.parameters());
        let set = Arc::new(set);
        let refused: BTreeMap<usize, Vec<PolicyError>> = refused.into_iter().collect();
        let expired: Vec<String> = set
            .exceptions()
            .filter(|exception| exception.expires <= now)
            .map(|exception| exception.name.to_owned())
            .collect();
        let holding = set.exceptions().filter(|exception| exception.counts && now < exception.expires);
        let state = State {
            synced: self.parameters.is_settled(),
            generation: self.state.borrow().generation + u64::from(is_new),
            policies: set.len(),
            exceptions: holding.count(),
            refused: refused.values().filter_map(|errors| Some(errors.first()?.to_string())).collect(),
            expired,
            uids: self.uids(),
        };
        self.tell(&state);
        if is_new {
            self.policies.send_replace(Arc::clone(&set));
        }
        self.state.send_replace(state);
        if self.statuses == Statuses::Keep {
            self.keep_statuses(&set, &refused, now).await;
        }
    }

    async fn keep_statuses(
        &self,
        set: &PolicySet,
        refused: &BTreeMap<usize, Vec<PolicyError>>,
        now: Timestamp,
    ) {
        for (i, (key, object)) in self.documents.iter().enumerate() {
            let errors = refused.get(&i).map(Vec::as_slice).unwrap_or_default();
            let exception = set.exceptions().find(|one| is_named(one.name, key));
            let wanted = set.parameters_of(&name(key)).filter(|_| is_policy(key));
            let trouble = wanted.as_ref().and_then(|wanted| self.parameters.trouble(wanted));
            let counts = set.counts_of(&name(key), now).filter(|_| is_policy(key));
            let verdict = status::Verdict::of(errors, exception, trouble, now).counting(counts);
            let Some(status) = status::due(object, &verdict, now) else { continue };
            if let Err(error) = status::write(&self.client, key, object, &status).await {
                tracing::warn!(policy = name(key), error = why(&error), "cannot write a status");
            }
        }
    }

    fn uids(&self) -> BTreeMap<String, String> {
        let policies = self.documents.iter().filter(|(key, _)| is_policy(key));
        policies.filter_map(|(key, object)| Some((name(key), object.metadata.uid.clone()?))).collect()
    }

    /// Says what has changed, once.
    fn tell(&self, state: &State) {
        let before = self.state.borrow();
        if (before.policies, &before.refused) != (state.policies, &state.refused) || !before.synced {
            tracing::info!(
                policies.count = state.policies,
                policies.refused = state.refused.len(),
                "policies in force"
            );
        }
        for error in state.refused.iter().filter(|error| !before.refused.contains(error)) {
            tracing::error!(error, "a policy is not in force");
        }
        for name in state.expired.iter().filter(|name| !before.expired.contains(name)) {
            tracing::warn!(exception = name, "an exception has ended");
        }
    }
}

fn is_policy(key: &Key) -> bool {
    key.0 != "ImageConfigException"
}

fn is_named(name: &str, key: &Key) -> bool {
    !is_policy(key) && name == self::name(key)
}

fn name((_, namespace, name): &Key) -> String {
    if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") }
}

/// The document as a user would have written it into a file.
fn document(key: &Key, object: &DynamicObject) -> PolicyDocument {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        // Items of a list come without them.
        fields.insert("apiVersion".to_owned(), crate::api::v1alpha1::API_VERSION.into());
        fields.insert("kind".to_owned(), key.0.into());
        fields.remove("status");
    }
    PolicyDocument { source: format!("{} {}", key.0, name(key)), value }
}

impl State {
    /// What readiness says of it; none: all is well.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let first = self.refused.first()?;
        Some(format!("{} not in force, such as {first}", count(self.refused.len(), "policy document")))
    }
}

#[cfg(test)]
mod tests;
