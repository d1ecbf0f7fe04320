//! The one use case: resolve every image, then judge once. Every front door comes through here.

use crate::{
    credential::{Access, Credentials},
    image::{Platform, PlatformFilter, Reference, ResolvedImage, Unresolved, UnresolvedKind},
    policy::{Fact, Namespace, PolicySet, Subject, Verdict},
    text::clean,
    workload::{ImageUse, Workload},
};
use futures_util::future::join_all;
use std::{fmt, future::Future, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};
use tracing::{Instrument, Span, field::Empty, info_span};

/// Characters of a reference in a span.
const MAX_NAME: usize = 512;

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

/// Resolves `reference` with the credentials that fit it. Where all are refused, those that are only kept for a while are
/// asked for anew, once: a plugin's password may have ended before its time.
///
/// # Errors
/// As [`ResolveImage::resolve`].
pub async fn resolve<R: ResolveImage, C: FindCredentials>(
    images: &R,
    credentials: &C,
    reference: &Reference,
    workload: Option<&Workload>,
    platforms: &PlatformFilter,
    deadline: Instant,
) -> Result<Arc<ResolvedImage>, Unresolved> {
    let known = access(images, credentials, reference, workload).await;
    let resolved = images.resolve(reference, platforms, &known, deadline).await;
    let is_denied = resolved.as_ref().is_err_and(|failed| failed.kind == UnresolvedKind::Denied);
    if !is_denied || !credentials.renew(reference).await {
        return resolved;
    }
    let renewed = access(images, credentials, reference, workload).await;
    if renewed == known { resolved } else { images.resolve(reference, platforms, &renewed, deadline).await }
}

/// Finds the credentials that may read an image. Implemented by auth files, pull secrets and credential plugins.
pub trait FindCredentials: Send + Sync {
    /// In the order to try; empty: anonymous.
    fn find(
        &self,
        reference: &Reference,
        workload: Option<&Workload>,
    ) -> impl Future<Output = Vec<Credentials>> + Send;

    /// Forgets what is only kept for a while, since it was refused; whether there was any.
    fn renew(&self, _reference: &Reference) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }
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

    async fn renew(&self, reference: &Reference) -> bool {
        let first = self.first.renew(reference).await;
        match &self.then {
            Some(then) => then.renew(reference).await || first,
            None => first,
        }
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
    /// Resolves the images of `workload` that a policy needs side by side, then evaluates `policies` once.
    pub async fn review(&self, workload: &Workload, policies: &PolicySet, at: Circumstances<'_>) -> Review {
        let namespace = at.namespace;
        let wanted = |usage: &_| policies.needs_image(workload, usage, namespace);
        self.review_with(wanted, workload, policies, at).await
    }

    /// The same with every image looked at, for those who tell of more than the verdict.
    pub async fn review_whole(
        &self,
        workload: &Workload,
        policies: &PolicySet,
        at: Circumstances<'_>,
    ) -> Review {
        self.review_with(|_| true, workload, policies, at).await
    }

    async fn review_with(
        &self,
        wanted: impl Fn(&ImageUse) -> bool,
        workload: &Workload,
        policies: &PolicySet,
        at: Circumstances<'_>,
    ) -> Review {
        let started = Instant::now();
        if policies.reads_document() {
            self.images.keep_documents();
        }
        let facts = self.facts(workload, wanted, at.deadline).await;
        let resolving = started.elapsed();
        let subject = Subject {
            workload,
            facts: &facts,
            request: at.request,
            old_object: at.old_object,
            namespace: at.namespace,
            now: at.now,
        };
        let verdict = info_span!("judge").in_scope(|| policies.evaluate(&subject));
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
                    Ok(reference) => Some(self.traced(reference, workload, platforms, deadline).await),
                };
                Fact { usage: usage.clone(), image }
            }
        });
        join_all(facts).await
    }

    /// [`Self::resolve`], in a span that says how it went.
    async fn traced(
        &self,
        reference: &Reference,
        workload: &Workload,
        platforms: &PlatformFilter,
        deadline: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let span = info_span!(
            "resolve",
            otel.status_code = Empty,
            error.type = Empty,
            hullmark.image.reference = clean(&reference.to_string(), MAX_NAME),
            hullmark.image.digest = Empty,
            hullmark.image.from = Empty,
        );
        let resolved = self.resolve(reference, workload, platforms, deadline).instrument(span.clone()).await;
        tell(&span, &resolved);
        resolved
    }

    async fn resolve(
        &self,
        reference: &Reference,
        workload: &Workload,
        platforms: &PlatformFilter,
        deadline: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let resolving =
            resolve(&self.images, &self.credentials, reference, Some(workload), platforms, deadline);
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

fn tell(span: &Span, resolved: &Result<Arc<ResolvedImage>, Unresolved>) {
    match resolved {
        _ if span.is_disabled() => {}
        Ok(image) => {
            span.record("hullmark.image.digest", image.digest.to_string());
            span.record("hullmark.image.from", image.freshness.as_str());
        }
        Err(unresolved) => {
            span.record("otel.status_code", "error");
            span.record("error.type", unresolved.kind.as_str());
        }
    }
}

#[cfg(test)]
mod tests;
