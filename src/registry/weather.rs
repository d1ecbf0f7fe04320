//! What a host can take, and what it says of itself by failing: how many requests are under way, a pause
//! that it asked for, whether it is down, and whether trying again helps.
//!
//! The state of a host is a pure machine ([`Sky`]): what happened goes in with the time, whether to ask comes
//! out. What surprises:
//! - tries beyond the first are paid from a budget that answers fill, a fifth of a try each, so that a host
//!   that is going down is not asked three times as much;
//! - a host that failed several times in a row is left alone for a while; then one request finds out;
//! - a pause (`Retry-After`, RFC 9110 section 10.2.3) that fits into the deadline is waited for, else everybody is
//!   told at once, and nobody asks, until it is over;
//! - a connection that ends in order (HTTP/2's GOAWAY) is no failure: what it did not come to goes to the next.

use super::{error::failure, hosts::Limits};
use crate::image::{Unresolved, UnresolvedKind};
use moka::future::Cache;
use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};

/// Requests under way to one host, unless its limits say otherwise; others wait.
const IN_FLIGHT: usize = 32;
/// Failures in a row after which a host is left alone, and for how long.
const FAILURES: u32 = 5;
const LEFT_ALONE: Duration = Duration::from_secs(10);
/// Further tries of a request that no connection came to: a server may end each after a few.
const UNASKED_TRIES: usize = 10;
/// Tries beyond the first that can be saved up, in fifths.
const SAVINGS: u32 = 50;
const PRICE: u32 = 5;
/// Tries of one request, unless the host's limits say otherwise.
const TRIES: usize = 3;
/// The longest random wait before the second try, the third, and all further ones.
const WAITS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1)];
/// A failure that took longer than this is not tried again: the deadline is better spent on saying so.
const QUICK: Duration = Duration::from_secs(1);
/// A pause where the host names none, and the longest that is believed.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The part of the time left that may be waited, a third: an answer now beats one that comes too late.
const PART_FOR_WAITING: u32 = 3;
/// What must be left after waiting, for the answer.
const FOR_AN_ANSWER: Duration = Duration::from_millis(500);
/// Hosts that are remembered; whoever writes a Pod can name any.
const HOSTS: u64 = 10_000;
const FORGOTTEN: Duration = Duration::from_mins(10);

/// The hosts.
pub(super) struct Weather {
    hosts: Cache<String, Arc<Host>>,
}

struct Host {
    sky: Mutex<Sky>,
    slots: Arc<Semaphore>,
    in_flight: usize,
    tries: usize,
}

/// How often a request was sent, beyond the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Repeats {
    /// Because no connection came to it.
    unasked: usize,
    /// For any other reason.
    failed: usize,
}

/// The right to ask a host once.
pub(super) struct Pass {
    host: Arc<Host>,
    _slot: OwnedSemaphorePermit,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer, whatever it says.
    Answered,
    /// An answer that says that the host cannot answer now (408, 425, 5xx).
    Overloaded,
    /// An answer with this status that asks for a pause (429, or 503 with `Retry-After`); how long, if it says
    /// so.
    Paused(u16, Option<Duration>),
    /// No answer; why, and whether another connection may bring one.
    Broken(String, bool),
    /// The connection ended in order before it came to this request: another one will take it.
    Unasked,
}

/// What is known of a host.
#[derive(Debug)]
struct Sky {
    /// Until when it asked for a pause, and with which status.
    paused_until: Option<(Instant, u16)>,
    failures: u32,
    /// When it failed last, and why.
    failed: Option<Instant>,
    last: String,
    /// Left alone until then; then one request may find out.
    closed_until: Option<Instant>,
    savings: u32,
}

/// Why a host is not asked.
#[derive(Debug, PartialEq, Eq)]
enum Closed {
    Paused(u16, Duration),
    Down(String),
}

impl Weather {
    pub(super) fn new() -> Self {
        Self { hosts: Cache::builder().max_capacity(HOSTS).time_to_idle(FORGOTTEN).build() }
    }

    /// Forgets what was learned, and which limits hold.
    pub(super) fn forget(&self) {
        self.hosts.invalidate_all();
    }

    /// Waits for a turn to ask `host`.
    ///
    /// # Errors
    /// Why it is not asked now.
    pub(super) async fn enter(
        &self,
        host: &str,
        limits: Limits,
        deadline: Instant,
    ) -> Result<Pass, Unresolved> {
        let own = self.hosts.get_with_by_ref(host, async { Arc::new(Host::new(limits)) }).await;
        loop {
            let asked = own.sky().ask(Instant::now());
            match asked {
                Ok(()) => break,
                Err(Closed::Paused(_, pause)) if has_time(pause, deadline) => {
                    sleep(pause + WAITS[0].mul_f64(random())).await;
                }
                Err(closed) => return Err(closed.told(host)),
            }
        }
        let slot = timeout_at(deadline, Arc::clone(&own.slots).acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            let detail = format!(
                "{} requests to {host} are under way, and none ended before the deadline",
                own.in_flight
            );
            return Err(failure(UnresolvedKind::Timeout, host, detail));
        };
        Ok(Pass { host: own, _slot: slot })
    }
}

impl Host {
    fn new(limits: Limits) -> Self {
        let in_flight = limits.in_flight.unwrap_or(IN_FLIGHT);
        Self {
            sky: Mutex::new(Sky::new()),
            slots: Arc::new(Semaphore::new(in_flight)),
            in_flight,
            tries: limits.tries.unwrap_or(TRIES),
        }
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.sky.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Notes what became of the request, which took `elapsed` this time. Some: try again after this time, which is
    /// counted among its `repeats`.
    pub(super) fn tell(
        self,
        outcome: &Outcome,
        repeats: &mut Repeats,
        elapsed: Duration,
        deadline: Instant,
    ) -> Option<Duration> {
        let now = Instant::now();
        let mut sky = self.host.sky();
        sky.note(outcome, now - elapsed, now);
        if *outcome == Outcome::Unasked {
            repeats.unasked += 1;
            return (repeats.unasked <= UNASKED_TRIES).then_some(Duration::ZERO);
        }
        let nth = repeats.failed;
        repeats.failed += 1;
        let wait = wait(outcome, nth, elapsed, random()).filter(|_| repeats.failed < self.host.tries)?;
        (has_time(wait, deadline) && sky.pay()).then_some(wait)
    }
}

/// Whether so much may be waited.
fn has_time(wait: Duration, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    wait <= left / PART_FOR_WAITING && wait + FOR_AN_ANSWER < left
}

impl Sky {
    fn new() -> Self {
        Self {
            paused_until: None,
            failures: 0,
            failed: None,
            last: String::new(),
            closed_until: None,
            savings: SAVINGS,
        }
    }

    fn ask(&mut self, now: Instant) -> Result<(), Closed> {
        if let Some((until, status)) = self.paused_until.filter(|(until, _)| now < *until) {
            return Err(Closed::Paused(status, until - now));
        }
        match self.closed_until {
            Some(until) if now < until => Err(Closed::Down(self.last.clone())),
            Some(_) => {
                // This one finds out; until it has, others wait for another while.
                self.closed_until = Some(now + LEFT_ALONE);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What became of a request that was sent at `started`.
    fn note(&mut self, outcome: &Outcome, started: Instant, now: Instant) {
        match outcome {
            Outcome::Answered | Outcome::Overloaded => {
                self.failures = 0;
                self.closed_until = None;
                self.savings = (self.savings + u32::from(*outcome == Outcome::Answered)).min(SAVINGS);
            }
            Outcome::Paused(status, pause) => {
                self.failures = 0;
                self.closed_until = None;
                let until = now + pause.unwrap_or(PAUSE).min(LONGEST_PAUSE);
                self.paused_until = self.paused_until.max(Some((until, *status)));
            }
            Outcome::Unasked => {}
            // Requests that shared a connection, or were on their way together, fail together: that is one failure.
            Outcome::Broken(_, true) if self.failed.is_some_and(|failed| started < failed) => {}
            Outcome::Broken(why, _) => {
                self.failures += 1;
                self.failed = Some(now);
                self.last.clone_from(why);
                if self.failures >= FAILURES {
                    self.closed_until = Some(now + LEFT_ALONE);
                }
            }
        }
    }

    /// Pays for another try, if it can.
    fn pay(&mut self) -> bool {
        let left = self.savings.checked_sub(PRICE);
        self.savings = left.unwrap_or(self.savings);
        left.is_some()
    }
}

/// How long to wait before another try, if one may help. `random` is from 0 to 1.
fn wait(outcome: &Outcome, nth: usize, elapsed: Duration, random: f64) -> Option<Duration> {
    match outcome {
        Outcome::Answered | Outcome::Unasked => None,
        Outcome::Overloaded => Some(WAITS[nth.min(WAITS.len() - 1)].mul_f64(random)),
        // Jitter, so that those who were sent away together do not come back together.
        Outcome::Paused(_, pause) => {
            let pause = pause.unwrap_or(PAUSE).min(LONGEST_PAUSE);
            Some(pause + WAITS[0].mul_f64(random))
        }
        // A connection that was idle, or went to a replica that has gone: the next one is another.
        Outcome::Broken(_, again) => (*again && nth == 0 && elapsed < QUICK).then_some(Duration::ZERO),
    }
}

/// From 0 to 1. It only has to differ between processes and calls.
fn random() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}

impl Closed {
    fn told(self, host: &str) -> Unresolved {
        match self {
            Self::Paused(status, left) => {
                let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                let kind = UnresolvedKind::RateLimited { retry_after_seconds: Some(seconds) };
                let detail = format!(
                    "{host} answered {status} and asked for a pause, which lasts another {seconds} s"
                );
                Unresolved { status: Some(status), ..failure(kind, host, detail) }
            }
            Self::Down(last) => {
                let detail =
                    format!("{host} failed {FAILURES} times in a row and is left alone for a while: {last}");
                failure(UnresolvedKind::Unreachable, host, detail)
            }
        }
    }
}

#[cfg(test)]
mod tests;
