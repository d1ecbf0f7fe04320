//! Events: what operators should see with `kubectl get events` beside the log (events.k8s.io/v1). Written by the
//! side; what is said again is counted, and what is too much is dropped and counted too (`series`).

mod series;

use self::series::{Next, Series, Write};
use super::why;
use crate::{
    survey::ObjectRef,
    text::{clean, cut_bytes},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};

/// Who reports, in every Event.
const REPORTER: &str = "hullmark";
/// Bytes of a note (events.k8s.io/v1, validation of `note`).
const MAX_NOTE: usize = 1024;
/// Bytes of the first part of an Event's name; with the rest it stays within 253.
const MAX_STEM: usize = 220;
/// How long the API server may take for one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where Events about objects without a namespace are, as the API server demands.
const OF_CLUSTER: &str = "default";

/// Something to write an Event of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct News {
    /// Why, in CamelCase: `PolicyViolation`.
    pub reason: &'static str,
    /// What was done, in CamelCase: `Refused`.
    pub action: &'static str,
    /// What it is object. Without its uid, `kubectl describe` does not show it.
    pub regarding: ObjectRef,
    /// What else it is object.
    pub related: Option<ObjectRef>,
    /// What tells it from other news of the same reason about the same objects; the note does not, for it may name
    /// one Pod of many that are alike.
    pub topic: u64,
    /// What happened and what to do; cut where it is too long.
    pub note: String,
}

/// Takes news and writes Events.
#[derive(Clone, Debug)]
pub struct Events(Arc<Desk>);

#[derive(Debug)]
struct Desk {
    series: Mutex<Series>,
    /// Told when there is something to write.
    more: Notify,
    now: fn() -> Timestamp,
}

impl Events {
    /// Writes Events as `instance` (the Pod's name) for as long as the runtime lives. `now` is the wall clock.
    #[must_use]
    pub fn write(client: Client, instance: String, now: fn() -> Timestamp) -> Self {
        let series = Mutex::new(Series::new(now()));
        let desk = Arc::new(Desk { series, more: Notify::new(), now });
        let writer = Writer { client, instance, desk: Arc::clone(&desk) };
        tokio::spawn(writer.run());
        Self(desk)
    }

    /// Never waits: admission does not.
    pub fn tell(&self, mut news: News) {
        news.note = within_limits(&news.note);
        let now = (self.0.now)();
        self.0.series().add(news, now);
        self.0.more.notify_one();
    }

    /// How many were dropped so far, because there were too many or the API server did not take them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.series().dropped()
    }
}

impl Desk {
    fn series(&self) -> MutexGuard<'_, Series> {
        // Whatever panicked, the series is whole.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    client: Client,
    instance: String,
    desk: Arc<Desk>,
}

impl Writer {
    async fn run(self) {
        loop {
            let next = self.desk.series().next((self.desk.now)());
            match next {
                Next::Write(write) => {
                    let written = self.write(&write).await;
                    self.desk.series().written(&write.news, written);
                }
                Next::Wait(pause) => {
                    let _ = timeout(pause, self.desk.more.notified()).await;
                }
            }
        }
    }

    /// Whether the API server took it.
    async fn write(&self, write: &Write) -> bool {
        let namespace = write.news.regarding.namespace.as_deref().unwrap_or(OF_CLUSTER);
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let name = name(write);
        let writing = async {
            if write.count > 1 {
                let series = EventSeries { count: write.count, last_observed_time: MicroTime(write.last) };
                let patch = Patch::Merge(json!({ "series": series }));
                events.patch(&name, &PatchParams::default(), &patch).await
            } else {
                events.create(&PostParams::default(), &event(write, name.clone(), &self.instance)).await
            }
        };
        let error = match timeout(PATIENCE, writing).await {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => why(&error),
            Err(_) => "the API server does not answer".to_owned(),
        };
        let regarding = &write.news.regarding;
        tracing::warn!(
            reason = write.news.reason,
            kind = regarding.kind,
            namespace = regarding.namespace,
            name = regarding.name,
            error,
            "cannot write an Event"
        );
        false
    }
}

fn within_limits(note: &str) -> String {
    cut_bytes(clean(note, MAX_NOTE), MAX_NOTE)
}

/// What it is about and when it was first seen: unique, and the same each time that it is counted.
fn name(write: &Write) -> String {
    let legal = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let stem: String = write.news.regarding.name.chars().filter(legal).take(MAX_STEM).collect();
    let stem = stem.trim_matches(['-', '.']);
    let stem = if stem.is_empty() { REPORTER } else { stem };
    format!("{stem}.{:x}.{:x}", write.first.as_nanosecond(), write.number)
}

fn event(write: &Write, name: String, instance: &str) -> Event {
    let Write { news, first, .. } = write;
    let namespace = news.regarding.namespace.clone().unwrap_or_else(|| OF_CLUSTER.to_owned());
    Event {
        metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
        event_time: Some(MicroTime(*first)),
        type_: Some("Warning".to_owned()),
        reason: Some(news.reason.to_owned()),
        action: Some(news.action.to_owned()),
        note: Some(news.note.clone()),
        regarding: Some(reference(&news.regarding)),
        related: news.related.as_ref().map(reference),
        reporting_controller: Some(REPORTER.to_owned()),
        reporting_instance: Some(clean(instance, 128)),
        ..Event::default()
    }
}

fn reference(object: &ObjectRef) -> ObjectReference {
    ObjectReference {
        api_version: Some(object.api_version.clone()),
        kind: Some(object.kind.clone()),
        namespace: object.namespace.clone(),
        name: Some(object.name.clone()),
        uid: object.uid.clone(),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str, note: &str) -> Write {
        let regarding = ObjectRef {
            api_version: "hullmark.dev/v1alpha1".to_owned(),
            kind: "ClusterImageConfigPolicy".to_owned(),
            namespace: None,
            name: name.to_owned(),
            uid: Some("u1".to_owned()),
        };
        let news = News {
            reason: "PolicyViolation",
            action: "Refused",
            regarding,
            related: None,
            topic: 0,
            note: note.to_owned(),
        };
        let first = Timestamp::from_second(1_800_000_000).unwrap();
        Write { news: Arc::new(news), first, last: first, count: 1, number: 7 }
    }

    #[test]
    fn a_note_has_its_bytes_and_not_more() {
        for (name, note, bytes) in [
            ("short", "runs as root".to_owned(), 12),
            ("just right", "x".repeat(MAX_NOTE), MAX_NOTE),
            ("too long", "x".repeat(5000), MAX_NOTE),
            ("of wide characters", "日".repeat(1000), MAX_NOTE - 1),
        ] {
            let note = within_limits(&note);
            assert_eq!(note.len(), bytes, "{name}: {note}");
        }
    }

    #[test]
    fn names_are_legal_and_tell_events_apart() {
        for (name, expected) in [
            ("non-root", "non-root.18fae27693b40000.7"),
            ("Upper_Case:x-", "pperasex.18fae27693b40000.7"),
            (":", "hullmark.18fae27693b40000.7"),
        ] {
            assert_eq!(super::name(&write(name, "")), expected);
        }
        assert!(super::name(&write(&"a".repeat(253), "")).len() <= 253);
        assert_ne!(
            super::name(&Write { number: 8, ..write("a", "") }),
            super::name(&write("a", "")),
            "in the same nanosecond"
        );
    }

    #[test]
    fn what_has_no_namespace_is_told_in_default() {
        let event = event(&write("non-root", "x"), "a".to_owned(), "hullmark-0");
        assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
        let regarding = event.regarding.unwrap();
        assert_eq!((regarding.namespace, regarding.uid.as_deref()), (None, Some("u1")));
        assert_eq!(event.reporting_instance.as_deref(), Some("hullmark-0"));
    }
}
