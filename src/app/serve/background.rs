//! The background scan: the leader looks at what runs, again and again, and tells it by metrics and reports.
//!
//! It begins when the leadership does, when policies have changed and have settled, and after a while in any case. What it
//! finds is of that moment: a replica that no longer leads shows nothing.

use super::{
    super::{
        now,
        scan::{called, pages},
    },
    Recorder,
};
use crate::{
    cluster::reports::{Reports, Written},
    policy::PolicySet,
    review::{FindCredentials, KnowNamespaces, ResolveImage, Reviewer},
    scan::{self, Exempt, Scene},
    survey::{
        Survey,
        report::{self, Extent},
    },
};
use kube::Client;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

/// How long policies stay as they are before what runs is judged by them.
const SETTLE: Duration = Duration::from_secs(10);
/// When to try again after a scan that did not work.
const RETRY: Duration = Duration::from_mins(1);
/// Objects that are looked at: at some 5 KiB for each, they and the cache stay within what the chart gives a replica. The
/// webhook must not end because there is much to look at.
const MOST: usize = 20_000;
/// How long an object's images may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it needs.
pub(super) struct Background<R, C> {
    pub(super) client: Client,
    pub(super) reviewer: Arc<Reviewer<R, C>>,
    pub(super) policies: watch::Receiver<Arc<PolicySet>>,
    pub(super) namespaces: Arc<dyn KnowNamespaces>,
    pub(super) exempt: Exempt,
    pub(super) webhook_configuration: String,
    pub(super) interval: Duration,
    /// What goes into reports; none: there are none.
    pub(super) extent: Option<Extent>,
    pub(super) recorder: Arc<Recorder>,
}

impl<R, C> Background<R, C>
where
    R: ResolveImage + 'static,
    C: FindCredentials + Send + Sync + 'static,
{
    /// Scans while `leads` says so, for as long as somebody can say so.
    pub(super) async fn run(mut self, mut leads: watch::Receiver<bool>) {
        while leads.wait_for(|leads| *leads).await.is_ok() {
            tokio::select! {
                () = self.lead() => {}
                _ = leads.wait_for(|leads| !*leads) => {}
            }
            self.recorder.metrics.scan_ended_elsewhere();
        }
    }

    async fn lead(&mut self) {
        loop {
            self.policies.mark_unchanged();
            let began = Instant::now();
            let worked = self.scan().await;
            let due = began + if worked { self.interval } else { self.interval.min(RETRY) };
            tokio::select! {
                () = sleep_until(due) => {}
                changed = self.policies.changed() => match changed {
                    Ok(()) => sleep(SETTLE).await,
                    Err(_) => return,
                }
            }
        }
    }

    /// Whether it worked.
    async fn scan(&self) -> bool {
        let started = Instant::now();
        match self.look().await {
            Ok(survey) => {
                let summary = survey.summary();
                let took = started.elapsed();
                self.recorder.metrics.scanned(crate::telemetry::Scanned {
                    summary: &summary,
                    at: now(),
                    took,
                });
                tracing::info!(
                    pods = summary.pods,
                    templates = summary.templates,
                    images = summary.images,
                    compliant = summary.compliant,
                    violating = summary.violating,
                    not_checked = summary.not_checked,
                    unmatched = summary.unmatched,
                    drifted = summary.drifted,
                    notes = survey.notes.join("; "),
                    seconds = took.as_secs_f64(),
                    "scan done"
                );
                self.report(&survey).await;
                true
            }
            Err(error) => {
                self.recorder.metrics.scan_failed();
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the scan of what runs failed; it will be tried again"
                );
                false
            }
        }
    }

    async fn report(&self, survey: &Survey) {
        let Some(extent) = self.extent else { return };
        let reports = report::reports(survey, extent);
        match Reports::new(self.client.clone()).write(reports).await {
            Ok(Written { form: None, .. }) => tracing::debug!("the cluster has no kind for reports"),
            Ok(Written { written, unchanged, deleted, failed: 0, .. }) => {
                tracing::info!(written, unchanged, deleted, "reports written");
            }
            Ok(Written { written, unchanged, deleted, failed, error, .. }) => {
                tracing::warn!(
                    written,
                    unchanged,
                    deleted,
                    failed,
                    error,
                    "some reports could not be written"
                );
            }
            Err(error) => tracing::warn!(error = error.to_string(), "reports could not be written"),
        }
    }

    async fn look(&self) -> anyhow::Result<Survey> {
        let policies = Arc::clone(&self.policies.borrow());
        let pages = pages(&self.client, None);
        let mut unseen = Vec::new();
        let called = called(&self.client, &self.webhook_configuration, &mut unseen).await;
        let scene = Scene {
            policies: &policies,
            policy_source: "cluster".to_owned(),
            cluster: String::new(),
            namespaces: self.namespaces.as_ref(),
            exempt: &self.exempt,
            called,
            notes: unseen,
            now: now(),
            patience: PATIENCE,
            most: MOST,
        };
        scan::look(&self.reviewer, scene, pages, None).await
    }
}
