//! Everything that talks to the API server.
//!
//! Each part watches or keeps one kind of thing and tells what it knows by value: the policies in
//! force, the labels of namespaces, the platforms of nodes, the pull secrets of a Pod, the authority of
//! the webhook's certificate, and the webhook configuration itself; or it tells the cluster what was found ([`events`]).
//! Nothing here judges.

pub mod authority;
pub mod events;
mod follow;
pub mod leader;
pub mod namespaces;
pub mod nodes;
mod owner;
mod parameters;

pub mod policies;
pub mod pull_secrets;
pub mod webhook;
pub mod workloads;

use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};
use std::{error::Error, path::Path};

/// Why something of the cluster could not be had or kept: what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClusterError(pub String);

/// What went wrong, for a person: the API server's own words where it said something, else what each
/// layer says.
fn why(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(kube::Error::Api(status)) = error.downcast_ref() {
            return format!("{} ({})", status.message, status.code);
        }
        let text = error.to_string();
        // Many layers repeat the next one.
        if let Some(last) = words.last_mut()
            && let Some(at) = last.find(&text)
        {
            last.truncate(at);
            *last = last.trim_end_matches([':', ' ']).to_owned();
        }
        words.push(text);
        current = error.source();
    }
    words.retain(|word| !word.is_empty());
    words.join(": ")
}

/// Connects with the kubeconfig in `file`; without one, as `kubectl` would (`$KUBECONFIG`,
/// `~/.kube/config`) or as a Pod does. Nothing is asked yet.
///
/// # Errors
/// [`ClusterError`] when there is no usable configuration.
pub async fn connect(file: Option<&Path>) -> Result<Client, ClusterError> {
    Ok(connect_to(file, None).await?.client)
}

/// A cluster that can be talked to.
pub struct Connected {
    /// By which it is asked.
    pub client: Client,
    /// The URL of its API server.
    pub address: String,
}

/// The same with this context of the kubeconfig, in place of its current one.
///
/// # Errors
/// As for [`connect`], and when there is no such context.
pub async fn connect_to(file: Option<&Path>, context: Option<&str>) -> Result<Connected, ClusterError> {
    let options =
        KubeConfigOptions { context: context.map(ToOwned::to_owned), ..KubeConfigOptions::default() };
    let config = match file {
        Some(file) => {
            let failed = |error: &dyn std::fmt::Display| {
                ClusterError(format!("--kubeconfig {}: {error}", file.display()))
            };
            let kubeconfig = Kubeconfig::read_from(file).map_err(|error| failed(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| failed(&error))?
        }
        None if context.is_some() => Config::from_kubeconfig(&options)
            .await
            .map_err(|error| ClusterError(format!("--context {}: {error}", context.unwrap_or_default())))?,
        None => Config::infer().await.map_err(|error| {
            ClusterError(format!("there is no cluster to connect to: {error}; give --kubeconfig FILE"))
        })?,
    };
    let address = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = Client::try_from(config)
        .map_err(|error| ClusterError(format!("the connection to the cluster cannot be set up: {error}")))?;
    Ok(Connected { client, address })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn errors_are_told_in_the_api_servers_words() {
        let status = Status::failure("configmaps is forbidden", "Forbidden").with_code(403).boxed();
        let refused = kube::Error::Api(status);
        assert_eq!(why(&refused), "configmaps is forbidden (403)");
        let nested = kube::runtime::watcher::Error::InitialListFailed(refused);
        assert_eq!(why(&nested), "configmaps is forbidden (403)");
        let io = std::io::Error::other("connection refused");
        let nested = kube::Error::Service(Box::new(io));
        assert_eq!(why(&nested), "ServiceError: connection refused");
    }
}
