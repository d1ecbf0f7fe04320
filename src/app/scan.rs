//! `hullmark scan`: what it needs of a cluster and of registries, wired together.

use super::{credential_providers, label, now, pull_secrets, settings, tell_credentials};
use crate::{
    auth_files::{AuthFiles, Environment},
    cli::ScanArgs,
    cluster::{
        self,
        namespaces::Namespaces,
        nodes,
        policies::{self, Statuses},
        pull_secrets::PullSecrets,
        workloads,
    },
    policy::{Defaults, PolicySet},
    policy_files,
    registry::Registry,
    review::{self, Chain, KnowNamespaces, Nodes, OnlyNames, Reviewer},
    scan::{self, Called, Exempt, Page, Scene},
};
use anyhow::Result;
use futures_util::{Stream, StreamExt};
use kube::Client;
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

/// How long the policies of the cluster may take to be read.
const POLICIES: Duration = Duration::from_secs(30);
/// How long namespaces may: without their labels, less is known, and that is told.
const NAMESPACES: Duration = Duration::from_secs(10);

pub(super) async fn run(args: &ScanArgs) -> Result<ExitCode> {
    let cluster = cluster::connect_to(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let client = cluster.client;
    let (policies, policy_source) = policies(args, &client).await?;
    let images = Registry::new(settings(&args.registry, None)?)?;
    let mut unseen = images.notes();
    let own = Chain {
        first: AuthFiles::read(&Environment::read(|name| std::env::var_os(name))),
        then: credential_providers(&args.registry)?,
    };
    let secrets = PullSecrets::new(client.clone(), pull_secrets(&args.pull_secrets), Vec::new());
    let namespaces = namespaces(&client, &mut unseen).await;
    let nodes = nodes(args, &client, &mut unseen).await;
    let reviewer = Reviewer { images, credentials: Chain { first: secrets, then: Some(own) }, nodes };
    let pages = pages(&client, args.namespace.as_deref());
    let scene = Scene {
        policies: &policies,
        policy_source,
        cluster: cluster.address,
        namespaces: namespaces.as_ref(),
        exempt: &Exempt { names: args.exempt_namespaces.clone(), label: label(&args.ignore_label) },
        called: called(&client, &args.webhook_configuration, &mut unseen).await,
        notes: unseen,
        now: now(),
        patience: args.timeout,
        most: usize::MAX,
    };
    let mut stderr = io::stderr();
    let terminal = stderr.is_terminal().then_some(&mut stderr as &mut (dyn Write + Send));
    let survey = scan::look(&reviewer, scene, pages, terminal).await?;
    let ended = scan::print(args, &survey, &mut io::stdout());
    if let Some(own) = &reviewer.credentials.then {
        tell_credentials(own, false, &ended);
    }
    ended
}

/// What runs in one namespace, or in all.
pub(super) fn pages(client: &Client, namespace: Option<&str>) -> impl Stream<Item = Page> + Send + use<> {
    let pages = workloads::all(client, namespace);
    pages.map(|page| (page.kind, page.objects.map_err(|error| error.to_string())))
}

/// Since when the webhook is called.
pub(super) async fn called(client: &Client, configuration: &str, unseen: &mut Vec<String>) -> Called {
    match workloads::webhook_since(client, configuration).await {
        Ok(since) => since.map_or(Called::Never, Called::Since),
        Err(error) => {
            unseen.push(error.to_string());
            Called::Unknown
        }
    }
}

/// The policies, and where they come from.
async fn policies(args: &ScanArgs, client: &Client) -> Result<(Arc<PolicySet>, String)> {
    if let Some(folder) = &args.policies {
        let loaded = policy_files::compile(folder)?;
        return Ok((loaded.set, format!("files: {} (not installed)", folder.display())));
    }
    policies::readable(client).await?;
    // Somebody else's word on them stays.
    let mut watched = policies::watch(client, Defaults::default(), now, Statuses::Leave);
    watched.synced(POLICIES).await?;
    let policies = Arc::clone(&watched.policies.borrow());
    Ok((policies, "cluster".to_owned()))
}

async fn namespaces(client: &Client, unseen: &mut Vec<String>) -> Arc<dyn KnowNamespaces> {
    let namespaces = Namespaces::watch(client.clone());
    if timeout(NAMESPACES, namespaces.synced()).await.is_ok() {
        return namespaces;
    }
    unseen.push(
        "the labels of namespaces could not be read: policies that select by them may not hold".to_owned(),
    );
    Arc::new(OnlyNames)
}

async fn nodes(args: &ScanArgs, client: &Client, unseen: &mut Vec<String>) -> Nodes {
    if !args.platforms.is_empty() {
        return review::nodes(Some(args.platforms.clone()));
    }
    let platforms = nodes::platforms(client.clone()).await.unwrap_or_else(|error| {
        unseen.push(error.to_string());
        None
    });
    if platforms.is_none() {
        unseen.push("no node says its platform: every platform of an image is judged".to_owned());
    }
    review::nodes(platforms)
}
