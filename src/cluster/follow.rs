//! One watch, told as changes; it never ends, and comes back by itself when the API server does.

use futures_util::StreamExt;
use kube::{
    Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use std::{fmt::Debug, pin::pin};

/// What became of the objects that are watched.
#[derive(Debug)]
pub(super) enum Change<K> {
    /// These are all that there are.
    All(Vec<K>),
    /// This one is new, or has changed.
    One(K),
    /// This one is gone.
    Gone(K),
    /// They cannot be watched, for now; why. What was told before stays in force.
    Failing(String),
}

/// Tells each change of `watched`; the first is [`Change::All`]. What fails is logged once, and tried
/// again with growing pauses.
pub(super) async fn follow<K, S>(what: &'static str, watched: S, mut tell: impl FnMut(Change<K>))
where
    K: Resource + Clone + Debug + Send + 'static,
    S: futures_util::Stream<Item = Result<Event<K>, watcher::Error>> + Send,
{
    let mut events = pin!(watched.default_backoff());
    let mut all = Vec::new();
    let mut failing: Option<String> = None;
    while let Some(event) = events.next().await {
        match event {
            // Only the whole list says that it works again.
            Ok(Event::Init) => {
                all.clear();
                continue;
            }
            Ok(Event::InitApply(object)) => {
                all.push(object);
                continue;
            }
            Ok(Event::InitDone) => tell(Change::All(std::mem::take(&mut all))),
            Ok(Event::Apply(object)) => tell(Change::One(object)),
            Ok(Event::Delete(object)) => tell(Change::Gone(object)),
            Err(error) => {
                let error = super::why(&error);
                if failing.as_ref() != Some(&error) {
                    tracing::error!(what, error, "cannot watch; what was known stays in force");
                }
                tell(Change::Failing(error.clone()));
                failing = Some(error);
                continue;
            }
        }
        if failing.take().is_some() {
            tracing::info!(what, "watching again");
        }
    }
}
