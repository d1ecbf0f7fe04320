//! Where the webhook takes from what it judges by: a folder and the user's auth files, or the cluster.

use super::{
    super::{now, pull_secrets},
    Recorder,
};
use crate::{
    auth_files::{AuthFiles, Environment},
    cli::{ClusterArgs, ServeArgs, UnmatchedImages},
    cluster::{
        self,
        namespaces::Namespaces,
        nodes,
        policies::{self, Statuses},
        pull_secrets::PullSecrets,
    },
    credential::Credentials,
    image::Reference,
    policy::{Defaults, ExceptionScope, PolicySet, Unmatched},
    policy_files::{self, Reload},
    review::{self, FindCredentials, KnowNamespaces, Nodes, OnlyNames},
    server::Readiness,
    workload::Workload,
};
use anyhow::{Context, Result, bail};
use kube::Client;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// How often policy files are looked at.
const POLICIES_CHECK: Duration = Duration::from_secs(2);
/// How long a start may wait until what is in the cluster is known.
const SYNC: Duration = Duration::from_mins(1);

/// What reviews are made from.
pub(super) struct Sources {
    pub(super) policies: watch::Receiver<Arc<PolicySet>>,
    pub(super) credentials: Keyring,
    pub(super) nodes: Nodes,
    pub(super) namespaces: Arc<dyn KnowNamespaces>,
    pub(super) news: News,
    /// Of the cluster, if that is where it all comes from.
    pub(super) client: Option<Client>,
}

/// Where credentials come from.
#[derive(Debug)]
pub(super) enum Keyring {
    Files(AuthFiles),
    Secrets(PullSecrets),
}

/// What becomes of the policies while the webhook runs.
#[derive(Clone)]
pub(super) enum News {
    Files(policy_files::Watched),
    Cluster(policies::Watched),
}

impl Sources {
    pub(super) async fn of(args: &ServeArgs) -> Result<Self> {
        let platforms = review::nodes((!args.platforms.is_empty()).then(|| args.platforms.clone()));
        match &args.policies {
            Some(folder) => Self::files(folder, platforms),
            None => Self::cluster(&args.cluster, platforms).await,
        }
    }

    fn files(folder: &Path, nodes: Nodes) -> Result<Self> {
        let loaded = policy_files::compile(folder)?;
        let watched = policy_files::watch(folder.to_owned(), &loaded, POLICIES_CHECK);
        Ok(Self {
            policies: watched.policies.clone(),
            credentials: Keyring::Files(AuthFiles::read(&Environment::read(|name| std::env::var_os(name)))),
            nodes,
            namespaces: Arc::new(OnlyNames),
            news: News::Files(watched),
            client: None,
        })
    }

    async fn cluster(args: &ClusterArgs, platforms: Nodes) -> Result<Self> {
        let client = cluster::connect(args.kubeconfig.as_deref()).await?;
        let mut watched = policies::watch(&client, defaults(args)?, now, Statuses::Keep);
        let namespaces = Namespaces::watch(client.clone());
        let is_given = platforms.borrow().is_some();
        let nodes =
            if args.platforms_from_nodes && !is_given { nodes::watch(client.clone()) } else { platforms };
        watched.synced(SYNC).await?;
        timeout(SYNC, namespaces.synced())
            .await
            .context("the namespaces of the cluster could not be read; see the log above")?;
        Ok(Self {
            policies: watched.policies.clone(),
            credentials: Keyring::Secrets(PullSecrets::new(
                client.clone(),
                pull_secrets(&args.pull_secrets),
                args.global_pull_secrets.clone(),
            )),
            nodes,
            namespaces,
            news: News::Cluster(watched),
            client: Some(client),
        })
    }
}

fn defaults(args: &ClusterArgs) -> Result<Defaults> {
    let exceptions = match args.exceptions.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["all"] => ExceptionScope::All,
        ["none"] => ExceptionScope::Namespaces([].into()),
        names if names.contains(&"all") || names.contains(&"none") => {
            bail!(
                "--exceptions: all and none stand alone; else give the namespaces in which exceptions count"
            )
        }
        names => ExceptionScope::Namespaces(names.iter().map(|&name| name.to_owned()).collect()),
    };
    let unmatched = match args.unmatched {
        UnmatchedImages::Allow => Unmatched::Allow,
        UnmatchedImages::Warn => Unmatched::Warn,
        UnmatchedImages::Deny => Unmatched::Deny,
    };
    Ok(Defaults { exceptions, unmatched })
}

impl Keyring {
    pub(super) fn notes(&self) -> Vec<String> {
        match self {
            Self::Files(files) => files.notes(),
            Self::Secrets(_) => Vec::new(),
        }
    }
}

impl FindCredentials for Keyring {
    async fn find(&self, reference: &Reference, workload: Option<&Workload>) -> Vec<Credentials> {
        match self {
            Self::Files(files) => files.find(reference, workload).await,
            Self::Secrets(secrets) => secrets.find(reference, workload).await,
        }
    }
}

impl News {
    /// How many policies are in force.
    pub(super) fn policies(&self) -> usize {
        match self {
            Self::Files(watched) => watched.reload.borrow().policies,
            Self::Cluster(watched) => watched.state.borrow().policies,
        }
    }

    /// Tells metrics and readiness what becomes of the policies, for as long as there is news.
    pub(super) async fn tell(mut self, readiness: Readiness, recorder: Arc<Recorder>) {
        loop {
            let note = match &mut self {
                Self::Files(watched) => {
                    let reload = watched.reload.borrow_and_update().clone();
                    let Reload { policies, refused, generation, error } = reload;
                    recorder.metrics.policies(policies, refused, generation, error.is_none());
                    error.map(|error| format!("the last good ones are in force: {error}"))
                }
                Self::Cluster(watched) => {
                    let state = watched.state.borrow_and_update().clone();
                    let refused = state.refused.len();
                    recorder.metrics.policies(state.policies, refused, state.generation, refused == 0);
                    recorder.metrics.exceptions(state.exceptions, state.expired.len());
                    state.note()
                }
            };
            readiness.note("policies", note);
            let changed = match &mut self {
                Self::Files(watched) => watched.reload.changed().await,
                Self::Cluster(watched) => watched.state.changed().await,
            };
            if changed.is_err() {
                return;
            }
        }
    }
}
