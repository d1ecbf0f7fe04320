//! The objects that policies read as `params`: each watched for as long as a policy wants it, and no
//! others.
//!
//! What surprises: what cannot be read is not the same as what is not there. A policy whose objects cannot
//! be read is not judged and not skipped: that is an error, which its `validationActions` enforce.

use super::{
    follow::{Change, follow},
    why,
};
use crate::policy::{Parameters, WantedParameters};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    discovery::{self, Scope},
    runtime::watcher::{self, watcher},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::task::AbortHandle;

/// How often a kind that does not exist is looked for again.
const AGAIN: Duration = Duration::from_secs(10);

/// What is told of one of the wants.
pub(super) type Told = (WantedParameters, Change<DynamicObject>);

/// What is wanted, and what is known of it.
pub(super) struct Followed<T> {
    client: Client,
    tell: T,
    wants: BTreeMap<WantedParameters, Want>,
}

struct Want {
    task: AbortHandle,
    known: Known,
}

enum Known {
    /// Nothing was told yet.
    Waiting,
    /// It cannot be read, and never could; why.
    Unreadable(String),
    /// By namespace and name.
    Objects(BTreeMap<(String, String), Value>),
}

impl<T: Fn(Told) + Clone + Send + Sync + 'static> Followed<T> {
    /// `tell` gets every change, to be given back to [`Self::apply`].
    pub(super) fn new(client: Client, tell: T) -> Self {
        Self { client, tell, wants: BTreeMap::new() }
    }

    /// Watches these and nothing else.
    pub(super) fn want(&mut self, wanted: &BTreeSet<WantedParameters>) {
        self.wants.retain(|one, want| {
            let stays = wanted.contains(one);
            if !stays {
                want.task.abort();
            }
            stays
        });
        for one in wanted {
            if !self.wants.contains_key(one) {
                let watching = watch(self.client.clone(), one.clone(), self.tell.clone());
                let task = tokio::spawn(watching).abort_handle();
                self.wants.insert(one.clone(), Want { task, known: Known::Waiting });
            }
        }
    }

    pub(super) fn apply(&mut self, (wanted, change): Told) {
        if let Some(want) = self.wants.get_mut(&wanted) {
            want.known.apply(change);
        }
    }

    /// Whether something was told of each.
    pub(super) fn is_settled(&self) -> bool {
        self.wants.values().all(|want| !matches!(want.known, Known::Waiting))
    }

    /// Why this cannot be read.
    pub(super) fn trouble(&self, wanted: &WantedParameters) -> Option<&str> {
        match &self.wants.get(wanted)?.known {
            Known::Unreadable(why) => Some(why),
            Known::Waiting | Known::Objects(_) => None,
        }
    }

    /// All that is known.
    pub(super) fn parameters(&self) -> Parameters {
        let mut objects = BTreeMap::new();
        let mut unread = Vec::new();
        for (wanted, want) in &self.wants {
            match &want.known {
                Known::Objects(found) => {
                    // Two policies may want the same object in two ways.
                    objects.extend(found.iter().map(|(name, object)| ((&wanted.kind, name), object.clone())));
                }
                Known::Waiting => unread.push((wanted.clone(), "they were not read yet".to_owned())),
                Known::Unreadable(why) => unread.push((wanted.clone(), why.clone())),
            }
        }
        Parameters::new(objects.into_values()).without(unread)
    }
}

impl Known {
    fn apply(&mut self, change: Change<DynamicObject>) {
        match change {
            Change::All(all) => *self = Self::Objects(all.into_iter().map(entry).collect()),
            Change::One(object) => {
                if let Self::Objects(objects) = self {
                    objects.extend([entry(object)]);
                }
            }
            Change::Gone(object) => {
                if let Self::Objects(objects) = self {
                    objects.remove(&entry(object).0);
                }
            }
            // What was known stays in force.
            Change::Failing(_) if matches!(self, Self::Objects(_)) => {}
            Change::Failing(why) => *self = Self::Unreadable(why),
        }
    }
}

fn entry(mut object: DynamicObject) -> ((String, String), Value) {
    object.metadata.managed_fields = None;
    let metadata = &object.metadata;
    let key = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
    (key, serde_json::to_value(object).unwrap_or_default())
}

async fn watch(client: Client, wanted: WantedParameters, tell: impl Fn(Told)) {
    let (resource, scope) = loop {
        match find(&client, &wanted).await {
            Ok(found) => break found,
            Err(why) => tell((wanted.clone(), Change::Failing(why))),
        }
        tokio::time::sleep(AGAIN).await;
    };
    let api: Api<DynamicObject> = match (&wanted.namespace, scope) {
        (Some(namespace), Scope::Namespaced) => Api::namespaced_with(client, namespace, &resource),
        (Some(_), Scope::Cluster) => {
            let why = format!("{} has no namespace, and paramRef gives one", wanted.kind.kind);
            return tell((wanted, Change::Failing(why)));
        }
        (None, _) => Api::all_with(client, &resource),
    };
    let mut config = watcher::Config::default();
    if let Some(name) = &wanted.name {
        config = config.fields(&format!("metadata.name={name}"));
    }
    if let Some(labels) = &wanted.labels {
        config = config.labels(labels);
    }
    let typed = |mut object: DynamicObject| {
        // Items of a list come without them.
        object.types = Some(kube::api::TypeMeta {
            api_version: wanted.kind.api_version.clone(),
            kind: wanted.kind.kind.clone(),
        });
        object
    };
    follow("parameters", watcher(api, config), |change| {
        let change = match change {
            Change::All(all) => Change::All(all.into_iter().map(typed).collect()),
            Change::One(object) => Change::One(typed(object)),
            other => other,
        };
        tell((wanted.clone(), change));
    })
    .await;
}

/// The resource of a kind, by the API server's own word.
async fn find(client: &Client, wanted: &WantedParameters) -> Result<(ApiResource, Scope), String> {
    let kind = &wanted.kind;
    let (group, version) = kind.api_version.split_once('/').unwrap_or(("", &kind.api_version));
    let asked = GroupVersionKind::gvk(group, version, &kind.kind);
    let (resource, capabilities) = discovery::pinned_kind(client, &asked).await.map_err(|error| {
        format!("there is no kind {} in {}: {}", kind.kind, kind.api_version, why(&error))
    })?;
    Ok((resource, capabilities.scope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::ParamKind;
    use serde_json::json;

    fn wanted(name: &str) -> WantedParameters {
        WantedParameters {
            kind: ParamKind { api_version: "v1".to_owned(), kind: "ConfigMap".to_owned() },
            namespace: Some("ops".to_owned()),
            name: Some(name.to_owned()),
            labels: None,
        }
    }

    fn object(name: &str, value: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "namespace": "ops", "name": name, "managedFields": [{ "manager": "kubectl" }] },
            "data": { "value": value },
        }))
        .unwrap()
    }

    fn values(known: &Known) -> Option<Vec<&str>> {
        match known {
            Known::Objects(objects) => {
                Some(objects.values().map(|object| object["data"]["value"].as_str().unwrap()).collect())
            }
            Known::Waiting | Known::Unreadable(_) => None,
        }
    }

    #[test]
    fn what_was_read_stays_known_when_the_watch_fails() {
        let mut known = Known::Waiting;
        known.apply(Change::Failing("forbidden".to_owned()));
        assert!(matches!(&known, Known::Unreadable(why) if why == "forbidden"));
        known.apply(Change::One(object("a", "early")));
        assert_eq!(values(&known), None, "all of it is not known yet");
        known.apply(Change::All(vec![object("a", "1"), object("b", "2")]));
        assert_eq!(values(&known), Some(vec!["1", "2"]));
        known.apply(Change::Failing("the API server is away".to_owned()));
        known.apply(Change::One(object("a", "3")));
        known.apply(Change::Gone(object("b", "2")));
        assert_eq!(values(&known), Some(vec!["3"]));
        let Known::Objects(objects) = &known else { unreachable!() };
        assert_eq!(objects[&("ops".to_owned(), "a".to_owned())]["metadata"].get("managedFields"), None);
    }

    #[tokio::test]
    async fn only_what_is_wanted_is_followed() {
        // No server is there: nothing is ever told, and nothing waits for it.
        let config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        let mut followed = Followed::new(Client::try_from(config).unwrap(), |_| {});
        assert!(followed.is_settled(), "nothing is wanted");
        followed.want(&[wanted("a"), wanted("b")].into());
        assert!(!followed.is_settled());
        followed.apply((wanted("a"), Change::All(vec![object("a", "1")])));
        followed.apply((wanted("b"), Change::Failing("forbidden".to_owned())));
        followed.apply((wanted("c"), Change::All(vec![object("c", "1")])));
        assert!(followed.is_settled());
        assert_eq!(followed.trouble(&wanted("a")), None);
        assert_eq!(followed.trouble(&wanted("b")), Some("forbidden"));
        let mut stripped = object("a", "1");
        stripped.metadata.managed_fields = None;
        let expected = Parameters::new([serde_json::to_value(stripped).unwrap()])
            .without(vec![(wanted("b"), "forbidden".to_owned())]);
        assert_eq!(followed.parameters(), expected);
        followed.want(&[wanted("b")].into());
        assert_eq!(
            followed.parameters(),
            Parameters::default().without(vec![(wanted("b"), "forbidden".to_owned())])
        );
    }
}
