//! Everything that talks to the API server.
//!
//! Each part watches or keeps one kind of thing and tells what it knows by value: the policies in
//! force, the labels of namespaces, the platforms of nodes, the pull secrets of a Pod, the authority of
//! the webhook's certificate, and the webhook configuration itself. Nothing here judges.

pub mod authority;
pub mod events;
mod follow;
pub mod namespaces;
pub mod nodes;
pub mod policies;
pub mod pull_secrets;
pub mod webhook;

use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};
use std::path::Path;

/// Why something of the cluster could not be had or kept: what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClusterError(pub String);

/// Connects with the kubeconfig in `file`; without one, as `kubectl` would (`$KUBECONFIG`,
/// `~/.kube/config`) or as a Pod does. Nothing is asked yet.
///
/// # Errors
/// [`ClusterError`] when there is no usable configuration.
pub async fn connect(file: Option<&Path>) -> Result<Client, ClusterError> {
    let config = match file {
        Some(file) => {
            let failed = |error: &dyn std::fmt::Display| {
                ClusterError(format!("--kubeconfig {}: {error}", file.display()))
            };
            let kubeconfig = Kubeconfig::read_from(file).map_err(|error| failed(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(|error| failed(&error))?
        }
        None => Config::infer().await.map_err(|error| {
            ClusterError(format!("there is no cluster to connect to: {error}; give --kubeconfig FILE"))
        })?,
    };
    Client::try_from(config)
        .map_err(|error| ClusterError(format!("the connection to the cluster cannot be set up: {error}")))
}
