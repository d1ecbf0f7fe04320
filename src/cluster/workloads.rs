//! What runs: every Pod that has not ended, and every template of Pods, page by page.

use super::{ClusterError, why};
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

/// How many objects are asked for at once.
const PAGE: u32 = 500;
/// Pods that have not ended.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// What carries Pods, as whole objects.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The objects.
    pub objects: Vec<Value>,
    /// Kinds that could not be listed, and why.
    pub notes: Vec<String>,
}

/// Every Pod that has not ended, as a manifest with its kind.
///
/// # Errors
/// When the API server does not give them.
pub async fn pods(client: &Client, namespace: Option<&str>) -> Result<Vec<Value>, ClusterError> {
    list(client, &ApiResource::erase::<Pod>(&()), namespace, RUNNING)
        .await
        .map_err(|error| ClusterError(format!("Pods cannot be listed: {}", why(&error))))
}

/// Every Pod that has not ended and every object with a template of Pods: of one namespace, or of all. A kind of
/// template that may not be read is a note.
///
/// # Errors
/// When the API server does not give the Pods.
pub async fn all(client: &Client, namespace: Option<&str>) -> Result<Listed, ClusterError> {
    let mut listed = Listed { objects: pods(client, namespace).await?, notes: Vec::new() };
    for kind in templates() {
        match list(client, &kind, namespace, "").await {
            Ok(objects) => listed.objects.extend(objects),
            Err(error) => {
                listed.notes.push(format!("{} cannot be listed: {}", kind.plural, why(&error)));
            }
        }
    }
    Ok(listed)
}

/// Since when there is a webhook configuration of this name; none: there is none, or it may not be read.
pub async fn webhook_since(client: &Client, name: &str) -> Option<jiff::Timestamp> {
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let found = configurations.get_opt(name).await.ok().flatten()?;
    Some(found.creation_timestamp()?.0)
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

async fn list(
    client: &Client,
    kind: &ApiResource,
    namespace: Option<&str>,
    fields: &str,
) -> kube::Result<Vec<Value>> {
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, kind),
        None => Api::all_with(client.clone(), kind),
    };
    let mut found = Vec::new();
    let mut page = ListParams::default().limit(PAGE).fields(fields);
    loop {
        let list = api.list(&page).await?;
        found.extend(list.items.into_iter().map(|object| whole(object, kind)));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Items of a list come without their kind. Who wrote which field is of no use here, and most of the bytes.
fn whole(mut object: DynamicObject, kind: &ApiResource) -> Value {
    object.metadata.managed_fields = None;
    object.types =
        Some(kube::api::TypeMeta { api_version: kind.api_version.clone(), kind: kind.kind.clone() });
    serde_json::to_value(object).unwrap_or_default()
}
