//! How long a review may take: the API server's `?timeout=`, as a Go duration.
//!
//! The API server sends the time that is left, rounded **up** to whole seconds, so the real time may be
//! shorter by almost a second (`reference/kubernetes.md`, 1.2). Half a second is kept back for it
//! and for the way.

use std::time::Duration;

/// What a caller without `?timeout=` gets: the default of `timeoutSeconds`.
const DEFAULT: Duration = Duration::from_secs(10);
/// The API server never waits longer.
const LONGEST: Duration = Duration::from_secs(30);
/// Kept back, but never more than half of the time.
const RESERVE: Duration = Duration::from_millis(500);

/// A `?timeout=` that is not a positive Go duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the query's timeout is not a positive duration such as 10s, 1.5s, 500ms or 1m")]
pub(super) struct InvalidTimeout;

/// The time that the whole journey has, by the query of the request's URL.
///
/// # Errors
/// [`InvalidTimeout`] when there is a timeout that cannot be read, or that is zero.
pub(super) fn budget(query: Option<&str>) -> Result<Duration, InvalidTimeout> {
    let timeout = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find_map(|(key, value)| (key == "timeout").then_some(value));
    let timeout = match timeout {
        None => DEFAULT,
        Some(text) => go_duration(&text).filter(|timeout| !timeout.is_zero()).ok_or(InvalidTimeout)?,
    };
    let timeout = timeout.min(LONGEST);
    Ok(timeout.saturating_sub(RESERVE).max(timeout / 2))
}

/// Go's `time.ParseDuration` without a sign: decimal numbers, each with a unit.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(number);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        // Rust's `parse` takes forms that Go refuses (`inf`), but only from other characters.
        seconds += digits.parse::<f64>().ok()? * seconds_of(unit)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        // Both micro signs that Unicode has.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_time_for_the_way_back() {
        for (query, milliseconds) in [
            (None, 9_500),
            (Some(""), 9_500),
            (Some("other=1"), 9_500),
            (Some("timeout=10s"), 9_500),
            (Some("timeout=1.5s"), 1_000),
            (Some("timeout=1s"), 500),
            (Some("timeout=500ms"), 250),
            (Some("timeout=1m"), 29_500),
            (Some("timeout=1h2m"), 29_500),
            (Some("timeout=1s500ms"), 1_000),
            (Some("timeout=.5s"), 250),
            (Some("timeout=2.s"), 1_500),
            (Some("timeout=2000000%C2%B5s"), 1_500),
            (Some("a=b&timeout=3s&timeout=9s"), 2_500),
        ] {
            assert_eq!(budget(query), Ok(Duration::from_millis(milliseconds)), "{query:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for query in [
            "timeout=",
            "timeout=0",
            "timeout=0s",
            "timeout=10",
            "timeout=s",
            "timeout=-5s",
            "timeout=%2B5s",
            "timeout=1x",
            "timeout=1.2.3s",
            "timeout=.s",
            "timeout=infs",
            "timeout=NaN",
            "timeout=1e3s",
            "timeout=1 s",
            "timeout=99999999999999999999h",
        ] {
            assert_eq!(budget(Some(query)), Err(InvalidTimeout), "{query}");
        }
    }
}
