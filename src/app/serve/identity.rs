//! Who we are to callers: the certificate, and in a cluster the authority that all replicas share and the
//! webhook configuration that trusts it.

use super::super::{label, now};
use crate::{
    certificate::AuthorityPem,
    cli::{ClusterArgs, ServeArgs},
    cluster::{
        authority::{self, Place},
        webhook::{self, Caller, Configuration},
    },
    server::Certificates,
};
use anyhow::Result;
use kube::Client;
use std::time::Duration;
use tokio::sync::watch;

/// How long a start may wait for the shared authority.
const AUTHORITY: Duration = Duration::from_mins(1);

/// Who we are to callers.
pub(super) struct Identity {
    pub(super) certificates: Certificates,
    /// Whether callers trust the certificate, where that is ours to see to.
    pub(super) trusted: Option<watch::Receiver<bool>>,
    /// Told when calls can be answered: the webhook configuration waits for it.
    pub(super) ready: watch::Sender<bool>,
}

impl Identity {
    /// `client`: of the cluster, if there is one.
    pub(super) async fn of(args: &ServeArgs, client: Option<&Client>) -> Result<Self> {
        let (ready, is_ready) = watch::channel(false);
        let own_files = args.tls_cert.as_ref().zip(args.tls_key.as_ref());
        let Some(client) = client else {
            let certificates = match own_files {
                Some((certificate, key)) => Certificates::files(certificate.clone(), key.clone(), now)?,
                None => Certificates::own(&args.tls_names, now)?,
            };
            return Ok(Self { certificates, trusted: None, ready });
        };
        if let Some((certificate, key)) = own_files {
            // Whoever made the files sees to it that callers trust them.
            let certificates = Certificates::files(certificate.clone(), key.clone(), now)?;
            return Ok(Self { certificates, trusted: None, ready });
        }
        let cluster = &args.cluster;
        let (told, trusted) = watch::channel(None);
        let shared = authority::keep(
            client.clone(),
            Place {
                namespace: cluster.own_namespace.clone(),
                name: cluster.ca_secret.clone(),
                owner: cluster.owner_cluster_role.clone(),
            },
            trusted.clone(),
            now,
            AUTHORITY,
        )
        .await?;
        let certificates = Certificates::shared(shared.signing.clone(), &names(args), now)?;
        if !cluster.manage_webhook {
            return Ok(Self { certificates, trusted: None, ready });
        }
        webhook::keep(client.clone(), configuration(args), shared.bundle, is_ready, told);
        let trusted = Some(trusts(shared.signing, trusted));
        Ok(Self { certificates, trusted, ready })
    }
}

/// Whether what callers trust holds what signs.
fn trusts(
    mut signing: watch::Receiver<AuthorityPem>,
    mut trusted: watch::Receiver<Option<String>>,
) -> watch::Receiver<bool> {
    let (told, trusts) = watch::channel(true);
    tokio::spawn(async move {
        loop {
            let certificate = signing.borrow_and_update().certificate.trim().to_owned();
            let holds =
                trusted.borrow_and_update().as_ref().is_none_or(|bundle| bundle.contains(&certificate));
            told.send_replace(holds);
            let changed = tokio::select! {
                changed = signing.changed() => changed,
                changed = trusted.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    });
    trusts
}

/// The names of the certificate: those of the Service, or of the URL.
fn names(args: &ServeArgs) -> Vec<String> {
    let ClusterArgs { service, own_namespace, webhook_url, .. } = &args.cluster;
    match webhook_url.as_ref().and_then(url::Url::host_str) {
        Some(host) => vec![host.trim_matches(['[', ']']).to_owned()],
        None => ["", ".svc", ".svc.cluster.local"]
            .map(|suffix| format!("{service}.{own_namespace}{suffix}"))
            .into_iter()
            .chain([service.clone()])
            .collect(),
    }
}

fn configuration(args: &ServeArgs) -> Configuration {
    let cluster = &args.cluster;
    let caller = match &cluster.webhook_url {
        Some(url) => Caller::Url(url.to_string()),
        None => Caller::Service {
            namespace: cluster.own_namespace.clone(),
            name: cluster.service.clone(),
            port: cluster.service_port,
        },
    };
    Configuration {
        name: cluster.webhook_configuration.clone(),
        caller,
        namespace: cluster.own_namespace.clone(),
        exempt: cluster.exempt_namespaces.clone(),
        ignore_label: label(&cluster.ignore_label),
        enforce: !args.audit,
        timeout_seconds: cluster.webhook_timeout,
        pin: cluster.pin,
        owner: cluster.owner_cluster_role.clone(),
    }
}
