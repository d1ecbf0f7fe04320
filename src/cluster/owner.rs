//! Who owns what Hullmark makes: a ClusterRole of the chart, so that it goes when the chart goes.

use k8s_openapi::{api::rbac::v1::ClusterRole, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{Api, Client, Resource};

/// A reference to the ClusterRole of this name; none where there is none, or it may not be read.
pub(super) async fn owner(client: &Client, name: Option<&str>) -> Option<OwnerReference> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let mut owner = roles.get_opt(name?).await.ok().flatten()?.controller_owner_ref(&())?;
    owner.controller = None;
    owner.block_owner_deletion = None;
    Some(owner)
}
