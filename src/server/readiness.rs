//! What `/readyz` says: latches that must all be reached, and notes for who reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What must be there before the server is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Latch {
    /// Policies are compiled and in force.
    Policies,
    /// A certificate that is valid now.
    Certificate,
    /// The webhook's port is open.
    Listener,
    /// Callers trust our certificate, as far as that is ours to see to.
    Trust,
    /// What runs already was looked at, as far as that is waited for.
    Warm,
}

/// Whether the server is ready, and why not. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    reached: BTreeSet<Latch>,
    stopping: bool,
    notes: BTreeMap<&'static str, String>,
}

impl Latch {
    const ALL: [Self; 5] = [Self::Policies, Self::Certificate, Self::Listener, Self::Trust, Self::Warm];

    fn missing(self) -> &'static str {
        match self {
            Self::Policies => "policies are not compiled yet",
            Self::Certificate => "there is no certificate that is valid now",
            Self::Listener => "the webhook does not listen yet",
            Self::Trust => "the webhook configuration does not trust our certificate yet",
            Self::Warm => "the images of what runs already are not all looked at yet (--warm-up-wait)",
        }
    }
}

impl Readiness {
    /// This latch holds.
    pub fn reached(&self, latch: Latch) {
        self.state().reached.insert(latch);
    }

    /// This latch no longer holds.
    pub fn lost(&self, latch: Latch) {
        self.state().reached.remove(&latch);
    }

    /// A stop was asked for: not ready from now on.
    pub fn stopping(&self) {
        self.state().stopping = true;
    }

    /// Something to read that does not change readiness, such as a broken policy file while the last
    /// good set is in force. None takes the note away.
    pub fn note(&self, topic: &'static str, text: Option<String>) {
        let mut state = self.state();
        match text {
            Some(text) => state.notes.insert(topic, text),
            None => state.notes.remove(topic),
        };
    }

    /// Whether the server is ready, and what to print.
    #[must_use]
    pub fn report(&self) -> (bool, String) {
        let state = self.state();
        let stopping = state.stopping.then_some("stopping");
        let missing = Latch::ALL.into_iter().filter(|latch| !state.reached.contains(latch));
        let reasons: Vec<_> = stopping.into_iter().chain(missing.map(Latch::missing)).collect();
        let mut text = if reasons.is_empty() {
            "ready\n".to_owned()
        } else {
            format!("not ready: {}\n", reasons.join("; "))
        };
        text.extend(state.notes.iter().map(|(topic, note)| format!("note: {topic}: {note}\n")));
        (reasons.is_empty(), text)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_every_latch_is_reached_and_no_stop_was_asked_for() {
        let readiness = Readiness::default();
        let (ready, text) = readiness.report();
        assert!(!ready);
        assert_eq!(text.matches(';').count(), Latch::ALL.len() - 1, "{text}");

        for latch in Latch::ALL {
            readiness.reached(latch);
        }
        assert_eq!(readiness.report(), (true, "ready\n".to_owned()));

        readiness.lost(Latch::Certificate);
        assert_eq!(
            readiness.report(),
            (false, "not ready: there is no certificate that is valid now\n".to_owned())
        );

        readiness.reached(Latch::Certificate);
        readiness.stopping();
        assert_eq!(readiness.report(), (false, "not ready: stopping\n".to_owned()));
    }

    #[test]
    fn a_note_is_shown_and_changes_nothing() {
        let readiness = Readiness::default();
        for latch in Latch::ALL {
            readiness.reached(latch);
        }
        readiness.note("policies", Some("a.yaml is broken".to_owned()));
        assert_eq!(readiness.report(), (true, "ready\nnote: policies: a.yaml is broken\n".to_owned()));
        readiness.note("policies", None);
        assert_eq!(readiness.report(), (true, "ready\n".to_owned()));
    }
}
