//! The one use case: resolve every image, then judge once. Every front door comes through here.

use crate::{
    credential::{Access, Credentials},
    image::{Platform, PlatformFilter, Reference, ResolvedImage, Unresolved, UnresolvedKind},
    policy::{Fact, Namespace, PolicySet, Subject, Verdict},
    workload::{ImageUse, Workload},
};
use futures_util::future::join_all;
use std::{fmt, future::Future, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// Resolves references. Implemented by the registry edge.
pub trait ResolveImage: Send + Sync {
    /// What the image is called at the mirrors that would be asked for it, each with its host and port.
    fn at_mirrors(&self, _reference: &Reference) -> Vec<(String, Reference)> {
        Vec::new()
    }

    /// From now on, images come with their whole config, which may be left out before: few read it.
    fn keep_documents(&self) {}

    /// Resolves `reference` for the platforms that `platforms` chooses, with the first credentials of
    /// `access` that may read it (none: anonymously), before `deadline`.
    fn resolve(
        &self,
        reference: &Reference,
        platforms: &PlatformFilter,
        access: &Access,
        deadline: Instant,
    ) -> impl Future<Output = Result<Arc<ResolvedImage>, Unresolved>> + Send;
}

/// The credentials for an image, and those for its mirrors.
pub async fn access<R: ResolveImage, C: FindCredentials>(
    images: &R,
    credentials: &C,
    reference: &Reference,
    workload: Option<&Workload>,
) -> Access {
    let mut access = Access::from(credentials.find(reference, workload).await);
    for (host, called) in images.at_mirrors(reference) {
        access.mirrors.insert(host, credentials.find(&called, workload).await);
    }
    access
}

/// Finds the credentials that may read an image. Implemented by auth files, pull secrets and credential plugins.
pub trait FindCredentials: Send + Sync {
    /// In the order to try; empty: anonymous.
    fn find(
        &self,
        reference: &Reference,
        workload: Option<&Workload>,
    ) -> impl Future<Output = Vec<Credentials>> + Send;
}

/// Credentials of two places: those of `first` before those of `then`, each once.
#[derive(Debug)]
pub struct Chain<A, B> {
    /// Asked first.
    pub first: A,
    /// Asked second, if it is there.
    pub then: Option<B>,
}

impl<A: FindCredentials, B: FindCredentials> FindCredentials for Chain<A, B> {
    async fn find(&self, reference: &Reference, workload: Option<&Workload>) -> Vec<Credentials> {
        let mut found = self.first.find(reference, workload).await;
        if let Some(then) = &self.then {
            for credentials in then.find(reference, workload).await {
                if !found.contains(&credentials) {
                    found.push(credentials);
                }
            }
        }
        found
    }
}

/// Knows namespaces by name. Implemented by the cluster edge.
pub trait KnowNamespaces: Send + Sync + fmt::Debug {
    /// The namespace, as far as it is known; without a cluster to ask, it has the one label that the API
    /// server gives to all.
    fn namespace(&self, name: &str) -> Arc<Namespace>;
}

/// Knows namespaces by their names alone.
#[derive(Clone, Copy, Debug)]
pub struct OnlyNames;

impl KnowNamespaces for OnlyNames {
    fn namespace(&self, name: &str) -> Arc<Namespace> {
        Arc::new(Namespace::named(name))
    }
}

/// What is reviewed besides the workload itself.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The admission request without its objects, as CEL sees it.
    pub request: &'a serde_json::Value,
    /// The old object on UPDATE, else null.
    pub old_object: &'a serde_json::Value,
    /// The namespace, as far as it is known.
    pub namespace: Option<&'a Namespace>,
    /// The wall clock.
    pub now: jiff::Timestamp,
    /// When the answer must be there.
    pub deadline: Instant,
}

/// What a review found, and how long it took. Effects (logs, metrics, bytes) are made from it.
#[derive(Clone, Debug)]
pub struct Review {
    /// The verdict.
    pub verdict: Verdict,
    /// What was known of each image.
    pub facts: Vec<Fact>,
    /// Time spent on resolving images.
    pub resolving: Duration,
    /// Time spent on judging.
    pub judging: Duration,
}

/// Resolves and judges.
#[derive(Debug)]
pub struct Reviewer<R, C> {
    /// The registry.
    pub images: R,
    /// The credentials.
    pub credentials: C,
    /// The platforms of the nodes.
    pub nodes: Nodes,
}

/// The platforms of the nodes, as they change; none where they are not known.
pub type Nodes = watch::Receiver<Option<Vec<Platform>>>;

/// Platforms that never change.
#[must_use]
pub fn nodes(platforms: Option<Vec<Platform>>) -> Nodes {
    watch::channel(platforms).1
}

impl<R: ResolveImage, C: FindCredentials> Reviewer<R, C> {
    /// Resolves the images of `workload` side by side, then evaluates `policies` once.
    pub async fn review(&self, workload: &Workload, policies: &PolicySet, at: Circumstances<'_>) -> Review {
        let started = Instant::now();
        if policies.reads_document() {
            self.images.keep_documents();
        }
        let facts = self
            .facts(workload, |usage| policies.needs_image(workload, usage, at.namespace), at.deadline)
            .await;
        let resolving = started.elapsed();
        let verdict = policies.evaluate(&Subject {
            workload,
            facts: &facts,
            request: at.request,
            old_object: at.old_object,
            namespace: at.namespace,
            now: at.now,
        });
        Review { verdict, facts, resolving, judging: started.elapsed().saturating_sub(resolving) }
    }

    /// Resolves the images of `workload` that are `wanted`, side by side.
    pub async fn facts(
        &self,
        workload: &Workload,
        wanted: impl Fn(&ImageUse) -> bool,
        deadline: Instant,
    ) -> Vec<Fact> {
        let platforms = PlatformFilter { nodes: self.nodes.borrow().clone(), ..workload.platforms.clone() };
        let facts = workload.uses.iter().map(|usage| {
            let is_wanted = wanted(usage);
            let platforms = &platforms;
            async move {
                let image = match &usage.reference {
                    _ if !is_wanted => None,
                    Err(invalid) => Some(Err(Unresolved {
                        kind: UnresolvedKind::InvalidReference,
                        host: None,
                        status: None,
                        detail: invalid.to_string(),
                    })),
                    Ok(reference) => Some(self.resolve(reference, workload, platforms, deadline).await),
                };
                Fact { usage: usage.clone(), image }
            }
        });
        join_all(facts).await
    }

    async fn resolve(
        &self,
        reference: &Reference,
        workload: &Workload,
        platforms: &PlatformFilter,
        deadline: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let resolving = async {
            let access = access(&self.images, &self.credentials, reference, Some(workload)).await;
            self.images.resolve(reference, platforms, &access, deadline).await
        };
        tokio::time::timeout_at(deadline, resolving).await.unwrap_or_else(|_| {
            Err(Unresolved {
                kind: UnresolvedKind::Timeout,
                host: Some(reference.domain().to_owned()),
                status: None,
                detail: format!("{} did not answer before the deadline", reference.domain()),
            })
        })
    }
}
