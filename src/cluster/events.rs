//! Events: what operators should see with `kubectl get events` beside the log. Written by the side: when the
//! queue is full, the oldest news wait and the newest are dropped, with a word in the log.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc;

/// Events that wait to be written.
const QUEUE: usize = 100;
/// Characters of a note (events.k8s.io/v1: 1 KiB).
const MAX_NOTE: usize = 1000;

/// A Pod that was let through although policies would have refused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenGlass {
    /// The Pod's namespace.
    pub namespace: String,
    /// Its name; empty while it has none.
    pub name: String,
    /// Who let it through.
    pub user: String,
    /// What was found.
    pub findings: Vec<String>,
}

/// Takes events to write.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<BrokenGlass>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// Writes events for as long as somebody may have some.
    #[must_use]
    pub fn write(client: Client) -> Self {
        let (events, mut queue) = mpsc::channel::<BrokenGlass>(QUEUE);
        let reporter =
            Reporter { controller: "hullmark".to_owned(), instance: std::env::var("HOSTNAME").ok() };
        let recorder = Recorder::new(client, reporter);
        tokio::spawn(async move {
            while let Some(glass) = queue.recv().await {
                if let Err(error) = recorder.publish(&event(&glass), &pod(&glass)).await {
                    tracing::warn!(
                        namespace = glass.namespace,
                        error = super::why(&error),
                        "cannot write an Event"
                    );
                }
            }
        });
        Self { queue: events, dropped: Arc::default() }
    }

    /// Never waits: admission does not.
    pub fn broken_glass(&self, glass: BrokenGlass) {
        if self.queue.try_send(glass).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("too many Events at once: one is dropped");
        }
    }

    /// How many were dropped since the start, because too many came at once.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn event(glass: &BrokenGlass) -> Event {
    let found = match glass.findings.as_slice() {
        [] => "nothing that policies would have refused".to_owned(),
        findings => findings.join("; "),
    };
    let note = format!("{} broke the glass for Pod {}: {found}", glass.user, glass.name);
    Event {
        type_: EventType::Warning,
        reason: "GlassBroken".to_owned(),
        note: Some(crate::text::clean(&note, MAX_NOTE)),
        action: "Admitted".to_owned(),
        secondary: None,
    }
}

fn pod(glass: &BrokenGlass) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(glass.namespace.clone()),
        name: Some(glass.name.clone()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_who_and_what_within_its_limits() {
        let glass = |findings: &[String]| BrokenGlass {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            user: "jane".to_owned(),
            findings: findings.to_vec(),
        };
        let note = |findings: &[String]| event(&glass(findings)).note.unwrap();
        assert_eq!(note(&[]), "jane broke the glass for Pod web: nothing that policies would have refused");
        let findings = ["runs as root".to_owned(), "has no label team".to_owned()];
        assert_eq!(note(&findings), "jane broke the glass for Pod web: runs as root; has no label team");
        assert_eq!(note(&["x".repeat(5000)]).chars().count(), MAX_NOTE);
        assert_eq!(pod(&glass(&[])).namespace.as_deref(), Some("shop"));
    }
}
