//! The Pods that are there, page by page.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};
use serde_json::{Value, json};

/// How many Pods are asked for at once.
const PAGE: u32 = 500;

/// Every Pod that has not ended, as a manifest with its kind.
///
/// # Errors
/// When the API server does not give them.
pub async fn running(client: Client) -> kube::Result<Vec<Value>> {
    let pods: Api<Pod> = Api::all(client);
    let mut found = Vec::new();
    let mut page = ListParams::default().limit(PAGE).fields("status.phase!=Succeeded,status.phase!=Failed");
    loop {
        let list = pods.list(&page).await?;
        found.extend(list.items.into_iter().map(
            |pod| json!({ "apiVersion": "v1", "kind": "Pod", "metadata": pod.metadata, "spec": pod.spec }),
        ));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}
