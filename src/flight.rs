//! Single flight: concurrent askers of one thing share one piece of work.
//!
//! The work runs in a task of its own, so it outlives the asker who started it: one whose deadline
//! is short, or who went away, costs the others nothing.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;
use tracing::{Instrument, info_span};

type Landing<T> = watch::Receiver<Option<T>>;
type UnderWay<K, T> = Arc<Mutex<HashMap<K, Landing<T>>>>;

/// Work under way, by key.
pub(crate) struct Flights<K, T> {
    under_way: UnderWay<K, T>,
}

/// The result of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landed<T> {
    pub(crate) value: T,
    /// Whether somebody else had started it.
    pub(crate) joined: bool,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// The result of the flight under way for `key`, or of `work`, which then becomes that flight.
    /// None if the work panicked.
    pub(crate) async fn join<F>(&self, key: &K, work: impl FnOnce() -> F) -> Option<Landed<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (mut landing, joined) = self.board(key, work);
        let landed = landing.wait_for(Option::is_some).await.ok()?;
        landed.clone().map(|value| Landed { value, joined })
    }

    /// Starts a flight for which nobody waits, unless one is under way.
    pub(crate) fn launch<F>(&self, key: &K, work: impl FnOnce() -> F)
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.board(key, work);
    }

    /// The flight for `key`, and whether it was under way before.
    fn board<F>(&self, key: &K, work: impl FnOnce() -> F) -> (Landing<T>, bool)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut under_way = lock(&self.under_way);
        if let Some(landing) = under_way.get(key) {
            return (landing.clone(), true);
        }
        let (landed, landing) = watch::channel(None);
        under_way.insert(key.clone(), landing.clone());
        let ended = Ended { under_way: Arc::clone(&self.under_way), key: key.clone() };
        let work = work();
        // A span of its own, for it may last longer than that of whoever started it.
        let flight = info_span!("flight");
        let flying = async move {
            let result = work.await;
            drop(ended);
            landed.send_replace(Some(result));
        };
        tokio::spawn(flying.instrument(flight));
        (landing, false)
    }
}

/// Takes a flight off the board, even if its work panics.
struct Ended<K: Eq + Hash, T> {
    under_way: UnderWay<K, T>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for Ended<K, T> {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.key);
    }
}

fn lock<T>(under_way: &Mutex<T>) -> MutexGuard<'_, T> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };
    use tokio::time::{sleep, timeout};

    async fn count(runs: Arc<AtomicUsize>) -> usize {
        sleep(Duration::from_millis(200)).await;
        runs.fetch_add(1, Ordering::SeqCst) + 1
    }

    #[tokio::test]
    async fn askers_share_one_flight_and_the_next_starts_anew() {
        let (flights, runs) = (Flights::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || flights.join(&"k", || count(Arc::clone(&runs)));
        let landed = |value, joined| Some(Landed { value, joined });
        let expected = (landed(1, false), landed(1, true), landed(1, true));
        assert_eq!(tokio::join!(ask(), ask(), ask()), expected);
        assert_eq!(ask().await, landed(2, false));
    }

    #[tokio::test]
    async fn a_flight_survives_its_leader() {
        let (flights, runs) = (Flights::default(), Arc::new(AtomicUsize::new(0)));
        let leader = flights.join(&"k", || count(Arc::clone(&runs)));
        assert!(timeout(Duration::from_millis(20), leader).await.is_err(), "the leader gives up");
        let landed = flights.join(&"k", || count(Arc::clone(&runs))).await;
        assert_eq!(landed, Some(Landed { value: 1, joined: true }), "its work goes on");
    }

    #[tokio::test]
    async fn nobody_needs_to_wait() {
        let (flights, runs) = (Flights::default(), Arc::new(AtomicUsize::new(0)));
        flights.launch(&"k", || count(Arc::clone(&runs)));
        flights.launch(&"k", || count(Arc::clone(&runs)));
        let landed = flights.join(&"k", || count(Arc::clone(&runs))).await;
        assert_eq!(landed, Some(Landed { value: 1, joined: true }));
    }

    #[tokio::test]
    async fn a_panic_ends_the_flight() {
        let flights = Flights::<_, usize>::default();
        assert_eq!(flights.join(&"k", || async { panic!("on purpose") }).await, None);
        let landed = flights.join(&"k", || async { 7 }).await;
        assert_eq!(landed, Some(Landed { value: 7, joined: false }));
    }
}
