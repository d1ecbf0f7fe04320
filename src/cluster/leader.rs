//! Leader election: of several replicas, one does what only one should, by a Lease of coordination.k8s.io/v1.
//!
//! Each candidate looks every [`Terms::retry`] and writes with the version that it read, so of two that want the Lease
//! one gets it. Whether a holder is gone is told by our own clock alone, from when we saw the Lease change, so clocks
//! need not agree. A leader that cannot renew steps down by itself before anybody else may take over.

use super::why;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use std::time::Duration;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout, timeout_at},
};

/// How long giving the Lease back may take.
const RESIGNS_WITHIN: Duration = Duration::from_secs(3);

/// Who stands, and for what.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The Lease's namespace: our own.
    pub namespace: String,
    /// The Lease's name.
    pub lease: String,
    /// Who we are: no two candidates may be the same. The Pod's name, best.
    pub identity: String,
    /// How long things take.
    pub terms: Terms,
}

/// How long things take; by default as in Kubernetes' own controllers.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// A holder that was not heard of for this long is gone. Whole seconds.
    pub lease: Duration,
    /// A leader that could not renew for this long steps down: shorter than `lease`.
    pub renew: Duration,
    /// How often to renew, and to look whether the Lease is free.
    pub retry: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { lease: Duration::from_secs(15), renew: Duration::from_secs(10), retry: Duration::from_secs(2) }
    }
}

/// A candidacy that goes on until it is resigned, or dropped: then the others wait until the Lease has run out.
#[derive(Debug)]
pub struct Leadership {
    leads: watch::Receiver<bool>,
    resign: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Leadership {
    /// Stands for it. `now` is the wall clock, for what people read in the Lease.
    #[must_use]
    pub fn stand(client: Client, candidate: Candidate, now: fn() -> Timestamp) -> Self {
        let (told, leads) = watch::channel(false);
        let (resign, resigned) = oneshot::channel();
        let leases = Api::namespaced(client, &candidate.namespace);
        let standing = Standing { leases, candidate, now, seen: None, held: None, told, error: None };
        Self { leads, resign: Some(resign), task: tokio::spawn(standing.run(resigned)) }
    }

    /// Whether we lead, as it changes.
    #[must_use]
    pub fn leads(&self) -> watch::Receiver<bool> {
        self.leads.clone()
    }

    /// Gives the Lease back, so that another one can have it at once.
    pub async fn resign(mut self) {
        if let Some(resign) = self.resign.take() {
            let _ = resign.send(());
        }
        let _ = timeout(RESIGNS_WITHIN, &mut self.task).await;
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Standing {
    leases: Api<Lease>,
    candidate: Candidate,
    now: fn() -> Timestamp,
    seen: Option<Seen>,
    held: Option<Held>,
    told: watch::Sender<bool>,
    /// What was logged last, so that it is logged once.
    error: Option<String>,
}

/// The Lease as it was seen last.
struct Seen {
    version: Option<String>,
    /// When it was first seen to be so.
    since: Instant,
}

/// The Lease while it is ours.
struct Held {
    lease: Lease,
    /// Until when we may believe so.
    until: Instant,
}

impl Standing {
    async fn run(mut self, mut resigned: oneshot::Receiver<()>) {
        loop {
            self.attempt().await;
            let next = Instant::now() + self.candidate.terms.retry;
            // Who leads must notice in time that it does no more.
            let next = self.held.as_ref().map_or(next, |held| next.min(held.until));
            tokio::select! {
                () = sleep_until(next) => {}
                _ = &mut resigned => break,
            }
        }
        self.told.send_replace(false);
        self.release().await;
    }

    /// Renews or takes the Lease if it can, and tells whether we lead then.
    async fn attempt(&mut self) {
        let asked = Instant::now();
        let Terms { renew, .. } = self.candidate.terms;
        let limit = self.held.as_ref().map_or(asked + renew, |held| held.until);
        let error = match timeout_at(limit, self.hold()).await {
            Ok(Ok(Some(lease))) => {
                self.held = Some(Held { lease, until: asked + renew });
                None
            }
            Ok(Ok(None)) => {
                self.held = None;
                None
            }
            Ok(Err(error)) => Some(why(&error)),
            Err(_) => Some("the API server does not answer".to_owned()),
        };
        self.held.take_if(|held| held.until <= Instant::now());
        self.tell(error);
    }

    /// Our Lease, as it is now; none: another one holds it.
    async fn hold(&mut self) -> kube::Result<Option<Lease>> {
        if let Some(held) = &self.held {
            match self.write(&held.lease).await {
                Err(error) if is_conflict(&error) => {}
                written => return written.map(Some),
            }
        }
        let written = match self.leases.get_opt(&self.candidate.lease).await? {
            None => {
                let metadata =
                    ObjectMeta { name: Some(self.candidate.lease.clone()), ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: None };
                self.leases.create(&PostParams::default(), &self.ours(&lease)).await
            }
            Some(lease) if self.may_take(&lease) => self.write(&lease).await,
            Some(_) => return Ok(None),
        };
        match written {
            // Another one was faster.
            Err(error) if is_conflict(&error) => Ok(None),
            written => written.map(Some),
        }
    }

    async fn write(&self, lease: &Lease) -> kube::Result<Lease> {
        self.leases.replace(&self.candidate.lease, &PostParams::default(), &self.ours(lease)).await
    }

    /// Whether it is free: nobody's, ours, or of somebody who has not been heard of for as long as it says.
    fn may_take(&mut self, lease: &Lease) -> bool {
        let now = Instant::now();
        let version = &lease.metadata.resource_version;
        let since = match &self.seen {
            Some(seen) if seen.version == *version => seen.since,
            _ => now,
        };
        self.seen = Some(Seen { version: version.clone(), since });
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|n| u64::try_from(n).ok());
        let life = seconds.map_or(self.candidate.terms.lease, Duration::from_secs);
        holder.is_empty() || holder == self.candidate.identity || now.duration_since(since) >= life
    }

    /// The same Lease, held by us from now on.
    fn ours(&self, lease: &Lease) -> Lease {
        let before = lease.spec.clone().unwrap_or_default();
        let now = Some(MicroTime((self.now)()));
        let is_ours = before.holder_identity.as_ref() == Some(&self.candidate.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        let spec = LeaseSpec {
            holder_identity: Some(self.candidate.identity.clone()),
            lease_duration_seconds: i32::try_from(self.candidate.terms.lease.as_secs()).ok(),
            acquire_time: if is_ours { before.acquire_time } else { now.clone() },
            renew_time: now,
            lease_transitions: Some(if is_ours { transitions } else { transitions.saturating_add(1) }),
            ..before
        };
        Lease { metadata: lease.metadata.clone(), spec: Some(spec) }
    }

    fn tell(&mut self, error: Option<String>) {
        let leads = self.held.is_some();
        let Candidate { namespace, lease, identity, .. } = &self.candidate;
        if let Some(error) = error.as_ref().filter(|error| self.error.as_ref() != Some(error)) {
            tracing::warn!(lease, namespace, error, "the Lease cannot be had or renewed; tried again");
        }
        self.error = error;
        let changed = self.told.send_if_modified(|told| std::mem::replace(told, leads) != leads);
        if changed && leads {
            tracing::info!(lease, namespace, identity, "leads");
        } else if changed {
            tracing::warn!(lease, namespace, identity, "leads no more");
        }
    }

    async fn release(&self) {
        let Some(Held { lease, .. }) = &self.held else { return };
        let mut freed = self.ours(lease);
        if let Some(spec) = &mut freed.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        let params = PostParams::default();
        let releasing = self.leases.replace(&self.candidate.lease, &params, &freed);
        // If this fails, the others wait until it has run out.
        if !matches!(timeout(self.candidate.terms.retry, releasing).await, Ok(Ok(_))) {
            tracing::warn!(lease = self.candidate.lease, "the Lease was not given back; it runs out");
        }
    }
}

/// Somebody else wrote in between, or made it.
fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
