//! Single flight: concurrent askers of one thing share one piece of work.
//!
//! The work runs in a task of its own, so it outlives the asker who started it: one whose deadline
//! is short, or who went away, costs the others nothing.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

type Landing<T> = watch::Receiver<Option<T>>;

/// Work under way, by key.
pub(crate) struct Flights<T> {
    under_way: Arc<Mutex<HashMap<String, Landing<T>>>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// The result of the flight under way for `key`, or of `work`, which then becomes that flight.
    /// None if the work panicked.
    pub(crate) async fn join<F>(&self, key: &str, work: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut landing = self.board(key, work);
        let landed = landing.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }

    fn board<F>(&self, key: &str, work: impl FnOnce() -> F) -> Landing<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut under_way = lock(&self.under_way);
        if let Some(landing) = under_way.get(key) {
            return landing.clone();
        }
        let (landed, landing) = watch::channel(None);
        under_way.insert(key.to_owned(), landing.clone());
        let ended = Ended { under_way: Arc::clone(&self.under_way), key: key.to_owned() };
        let work = work();
        tokio::spawn(async move {
            let result = work.await;
            drop(ended);
            landed.send_replace(Some(result));
        });
        landing
    }
}

/// Takes a flight off the board, even if its work panics.
struct Ended<T> {
    under_way: Arc<Mutex<HashMap<String, Landing<T>>>>,
    key: String,
}

impl<T> Drop for Ended<T> {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.key);
    }
}

fn lock<T>(under_way: &Mutex<HashMap<String, Landing<T>>>) -> MutexGuard<'_, HashMap<String, Landing<T>>> {
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
        let ask = || flights.join("k", || count(Arc::clone(&runs)));
        assert_eq!(tokio::join!(ask(), ask(), ask()), (Some(1), Some(1), Some(1)));
        assert_eq!(ask().await, Some(2));
    }

    #[tokio::test]
    async fn a_flight_survives_its_leader() {
        let (flights, runs) = (Flights::default(), Arc::new(AtomicUsize::new(0)));
        let leader = flights.join("k", || count(Arc::clone(&runs)));
        assert!(timeout(Duration::from_millis(20), leader).await.is_err(), "the leader gives up");
        assert_eq!(flights.join("k", || count(Arc::clone(&runs))).await, Some(1), "its work goes on");
    }

    #[tokio::test]
    async fn a_panic_ends_the_flight() {
        let flights = Flights::<usize>::default();
        assert_eq!(flights.join("k", || async { panic!("on purpose") }).await, None);
        assert_eq!(flights.join("k", || async { 7 }).await, Some(7));
    }
}
