//! What was said, how often, and what is due to be written: pure, the clock is an argument.
//!
//! New news is due at once. The same again is counted, and the count is written when [`PAUSE`] has passed, so a
//! controller that tries a hundred times costs a handful of writes. All writes take a token of one bucket: what it does
//! not have yet waits, and beyond [`MAX_KNOWN`] different news, news is dropped and counted.

use super::News;
use jiff::{SignedDuration, Timestamp};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Different news that are remembered.
const MAX_KNOWN: usize = 1000;
/// Between two writes of the same.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// What was not heard of for this long is new when it is heard of again (as client-go has it).
const FORGET: SignedDuration = SignedDuration::from_mins(6);
/// Writes at once, and how many a second after that.
const BURST: f64 = 50.0;
const PER_SECOND: f64 = 5.0;

/// What was said so far.
#[derive(Debug)]
pub(super) struct Series {
    /// By what tells them apart: the news without its note.
    known: HashMap<News, Said>,
    tokens: f64,
    /// When there were that many.
    counted: Timestamp,
    started: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Said {
    news: Arc<News>,
    number: u64,
    first: Timestamp,
    last: Timestamp,
    count: i32,
    /// The count that the API server has.
    written: i32,
    /// When it may be written next.
    due: Timestamp,
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) news: Arc<News>,
    /// When it was heard of first, and last.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// 1: it is new; else it is there, and this is how often it was heard of.
    pub(super) count: i32,
    /// Tells it from others of the same instant.
    pub(super) number: u64,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Write this, and say how that went.
    Write(Write),
    /// Nothing is due for this long, unless something is heard.
    Wait(Duration),
}

fn key(news: &News) -> News {
    News { note: String::new(), ..news.clone() }
}

impl Series {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { known: HashMap::new(), tokens: BURST, counted: now, started: 0, dropped: 0 }
    }

    pub(super) fn add(&mut self, news: News, now: Timestamp) {
        if let Some(said) = self.known.get_mut(&key(&news)) {
            said.count = said.count.saturating_add(1);
            said.last = now;
            return;
        }
        if self.known.len() >= MAX_KNOWN {
            self.forget(now);
        }
        if self.known.len() >= MAX_KNOWN {
            self.dropped += 1;
            return;
        }
        self.started += 1;
        let said = Said {
            number: self.started,
            first: now,
            last: now,
            count: 1,
            written: 0,
            due: now,
            news: Arc::new(news),
        };
        self.known.insert(key(&said.news), said);
    }

    fn forget(&mut self, now: Timestamp) {
        self.known.retain(|_, said| said.written < said.count || now.duration_since(said.last) < FORGET);
    }

    /// What to do now. What it gives to write counts as written until [`Self::written`] says otherwise.
    pub(super) fn next(&mut self, now: Timestamp) -> Next {
        self.refill(now);
        self.forget(now);
        let waiting = self.known.values_mut().filter(|said| said.written < said.count);
        let Some(said) = waiting.min_by_key(|said| (said.due, said.number)) else {
            return Next::Wait(FORGET.unsigned_abs());
        };
        if now < said.due {
            return Next::Wait(said.due.duration_since(now).unsigned_abs());
        }
        if self.tokens < 1.0 {
            return Next::Wait(Duration::from_secs_f64((1.0 - self.tokens) / PER_SECOND));
        }
        self.tokens -= 1.0;
        // The first time it is made, whatever was heard since: a count needs something to stand at.
        said.written = if said.written == 0 { 1 } else { said.count };
        said.due = now.saturating_add(PAUSE).unwrap_or(now);
        let Said { ref news, number, first, last, written, .. } = *said;
        Next::Write(Write { news: Arc::clone(news), first, last, count: written, number })
    }

    /// Whether the API server took it. If not, it is forgotten: heard again, it is new.
    pub(super) fn written(&mut self, news: &News, was_taken: bool) {
        if !was_taken {
            self.dropped += 1;
            self.known.remove(&key(news));
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = now.duration_since(self.counted).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * PER_SECOND).min(BURST);
        self.counted = now;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::About, *};

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
    }

    fn news(name: &str, note: &str) -> News {
        let regarding = About {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: Some("shop".to_owned()),
            name: name.to_owned(),
            uid: None,
        };
        News {
            reason: "PolicyViolation",
            action: "Warned",
            regarding,
            related: None,
            topic: 7,
            note: note.to_owned(),
        }
    }

    /// The name, the note and the count of what is written now.
    fn written(series: &mut Series, now: Timestamp) -> Option<(String, String, i32)> {
        match series.next(now) {
            Next::Write(write) => {
                Some((write.news.regarding.name.clone(), write.news.note.clone(), write.count))
            }
            Next::Wait(_) => None,
        }
    }

    fn of(name: &str, note: &str, count: i32) -> (String, String, i32) {
        (name.to_owned(), note.to_owned(), count)
    }

    #[test]
    fn the_same_again_is_counted_after_a_pause() {
        let mut series = Series::new(at(0));
        series.add(news("a", "first"), at(0));
        series.add(news("a", "second"), at(1));
        assert_eq!(written(&mut series, at(1)), Some(of("a", "first", 1)));
        assert_eq!(series.next(at(2)), Next::Wait(Duration::from_millis(4999)));
        series.add(news("a", "third"), at(2000));
        assert_eq!(written(&mut series, at(5001)), Some(of("a", "first", 3)));
        assert_eq!(written(&mut series, at(60_000)), None, "nothing was heard since");
        series.add(news("a", "fourth"), at(60_000));
        assert_eq!(written(&mut series, at(60_000)), Some(of("a", "first", 4)));
    }

    #[test]
    fn after_a_long_silence_it_is_new() {
        let mut series = Series::new(at(0));
        series.add(news("a", "then"), at(0));
        assert_eq!(written(&mut series, at(0)), Some(of("a", "then", 1)));
        series.next(at(359_000));
        series.add(news("a", "again"), at(359_000));
        assert_eq!(written(&mut series, at(359_000)), Some(of("a", "then", 2)));
        series.next(at(719_000));
        series.add(news("a", "now"), at(719_000));
        assert_eq!(written(&mut series, at(719_000)), Some(of("a", "now", 1)));
    }

    #[test]
    fn what_was_not_taken_is_new_when_heard_again() {
        let mut series = Series::new(at(0));
        series.add(news("a", "then"), at(0));
        let Next::Write(write) = series.next(at(0)) else { panic!("it is new") };
        series.written(&write.news, false);
        assert_eq!((written(&mut series, at(1)), series.dropped()), (None, 1));
        series.add(news("a", "now"), at(2));
        let Next::Write(write) = series.next(at(2)) else { panic!("it is new again") };
        assert_eq!((write.count, write.number), (1, 2));
        series.written(&write.news, true);
        assert_eq!(series.dropped(), 1);
    }

    #[test]
    fn writes_are_paced_in_the_order_in_which_things_were_heard() {
        let mut series = Series::new(at(0));
        let total = 60_u16;
        for nth in 0..total {
            series.add(news(&format!("n{nth:02}"), ""), at(0));
        }
        let mut names = Vec::new();
        while let Some((name, ..)) = written(&mut series, at(0)) {
            names.push(name);
        }
        assert_eq!(names.len(), 50, "a burst");
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(series.next(at(0)), Next::Wait(Duration::from_millis(200)));
        assert_eq!(written(&mut series, at(199)), None);
        assert_eq!(written(&mut series, at(201)), Some(of("n50", "", 1)));
        assert_eq!(written(&mut series, at(202)), None);
        let rest = std::iter::from_fn(|| written(&mut series, at(3000))).count();
        assert_eq!(rest, 9, "nothing that waited was lost");
        assert_eq!(series.dropped(), 0);
    }

    #[test]
    fn too_many_different_ones_are_dropped_and_counted() {
        let mut series = Series::new(at(0));
        for nth in 0..MAX_KNOWN + 5 {
            series.add(news(&nth.to_string(), ""), at(0));
        }
        assert_eq!((series.known.len(), series.dropped()), (MAX_KNOWN, 5));
        // What was written long ago makes room.
        while written(&mut series, at(1_000_000)).is_some() {}
        series.add(news("late", ""), at(1_000_000));
        assert_eq!((series.known.len(), series.dropped()), (MAX_KNOWN - 50 + 1, 5));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let mut series = Series::new(at(10_000));
        for nth in 0..51 {
            series.add(news(&nth.to_string(), ""), at(0));
        }
        let burst = std::iter::from_fn(|| written(&mut series, at(0))).count();
        assert_eq!(burst, 50);
    }
}
