//! What runs: every Pod that has not ended, and every template of Pods, page by page.

use super::{ClusterError, why};
use futures_util::{Stream, StreamExt, stream};
use k8s_openapi::api::{
    admissionregistration::v1::ValidatingWebhookConfiguration,
    apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{Pod, PodTemplate, ReplicationController},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
};
use serde_json::Value;
use std::{collections::VecDeque, pin::pin};

/// How many objects are asked for at once.
const PAGE: u32 = 500;
/// Pods that have not ended.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// A page of objects of one kind, whole; or why that kind cannot be listed.
#[derive(Debug)]
pub struct Page {
    /// The plural: `deployments`.
    pub kind: String,
    /// The objects, with their kind.
    pub objects: Result<Vec<Value>, ClusterError>,
}

/// Every Pod that has not ended.
///
/// # Errors
/// When the API server does not give them.
pub async fn pods(client: &Client) -> Result<Vec<Value>, ClusterError> {
    let mut pods = Vec::new();
    let mut pages = pin!(Lister::of(client, None, vec![(ApiResource::erase::<Pod>(&()), RUNNING)]).pages());
    while let Some(page) = pages.next().await {
        pods.extend(page.objects?);
    }
    Ok(pods)
}

/// Every object with a template of Pods, then every Pod that has not ended: of one namespace, or of all. Page by page,
/// so that not all need be held. After a page that failed, the next kind follows.
pub fn all(client: &Client, namespace: Option<&str>) -> impl Stream<Item = Page> + Send + use<> {
    let mut kinds: Vec<(ApiResource, &'static str)> = templates().map(|kind| (kind, "")).into();
    kinds.push((ApiResource::erase::<Pod>(&()), RUNNING));
    Lister::of(client, namespace, kinds).pages()
}

/// Since when there is a webhook configuration of this name; none: there is none.
///
/// # Errors
/// When it cannot be read.
pub async fn webhook_since(client: &Client, name: &str) -> Result<Option<jiff::Timestamp>, ClusterError> {
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    match configurations.get_opt(name).await {
        Ok(found) => Ok(found.and_then(|found| Some(found.creation_timestamp()?.0))),
        Err(error) => Err(ClusterError(format!(
            "the webhook configuration {name} cannot be read, so it is not known which Pods are older: {}",
            why(&error)
        ))),
    }
}

fn templates() -> [ApiResource; 8] {
    fn kind<K: Resource<DynamicType = ()>>() -> ApiResource {
        ApiResource::erase::<K>(&())
    }
    [
        kind::<Deployment>(),
        kind::<ReplicaSet>(),
        kind::<StatefulSet>(),
        kind::<DaemonSet>(),
        kind::<Job>(),
        kind::<CronJob>(),
        kind::<ReplicationController>(),
        kind::<PodTemplate>(),
    ]
}

/// Lists kinds, one after the other.
struct Lister {
    client: Client,
    namespace: Option<String>,
    /// With their field selectors.
    kinds: VecDeque<(ApiResource, &'static str)>,
    /// Where the first kind goes on.
    token: Option<String>,
}

impl Lister {
    fn of(client: &Client, namespace: Option<&str>, kinds: Vec<(ApiResource, &'static str)>) -> Self {
        let namespace = namespace.map(ToOwned::to_owned);
        Self { client: client.clone(), namespace, kinds: kinds.into(), token: None }
    }

    fn pages(self) -> impl Stream<Item = Page> + Send + use<> {
        stream::unfold(self, |mut lister| async move {
            let (kind, fields) = lister.kinds.front()?.clone();
            let objects = lister.page(&kind, fields).await;
            if objects.is_err() || lister.token.is_none() {
                lister.kinds.pop_front();
                lister.token = None;
            }
            Some((Page { kind: kind.plural, objects }, lister))
        })
    }

    async fn page(&mut self, kind: &ApiResource, fields: &str) -> Result<Vec<Value>, ClusterError> {
        let client = self.client.clone();
        let api: Api<DynamicObject> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, kind),
            None => Api::all_with(client, kind),
        };
        let mut page = ListParams::default().limit(PAGE).fields(fields);
        if let Some(token) = &self.token {
            page = page.continue_token(token);
        }
        let list = api
            .list(&page)
            .await
            .map_err(|error| ClusterError(format!("{} cannot be listed: {}", kind.plural, why(&error))))?;
        self.token = list.metadata.continue_.filter(|token| !token.is_empty());
        Ok(list.items.into_iter().map(|object| whole(object, kind)).collect())
    }
}

/// Items of a list come without their kind. Who wrote which field is of no use here, and most of the bytes.
fn whole(mut object: DynamicObject, kind: &ApiResource) -> Value {
    object.metadata.managed_fields = None;
    object.types =
        Some(kube::api::TypeMeta { api_version: kind.api_version.clone(), kind: kind.kind.clone() });
    serde_json::to_value(object).unwrap_or_default()
}
