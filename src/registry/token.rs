//! A token server's answer: the token, and for how long it is good.
//!
//! In go the body and the answer's own date, out comes a [`Token`]. No clock of ours takes part:
//! `issued_at` is compared with the `Date` of the same answer, so skew between us and the server
//! does not matter. A token is opaque; what may be inside it is not read.

use jiff::Timestamp;
use reqwest::header::HeaderValue;
use serde_json::Value;
use std::time::Duration;

/// Life of a token whose server does not say (distribution's token specification).
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// No token is kept for longer.
const LONGEST_LIFE: Duration = Duration::from_hours(1);
/// A token is not used in its last seconds: it must outlive the request.
const MARGIN: Duration = Duration::from_secs(10);

/// A bearer token. There is no `Debug`: it is a secret.
#[derive(Clone)]
pub(super) struct Token {
    /// The whole `Authorization` header, marked as sensitive.
    pub(super) header: HeaderValue,
    /// How long it may be used, from the moment of the answer.
    pub(super) usable: Duration,
}

/// Reads a token server's answer. `date` is when the server says that it answered.
///
/// # Errors
/// A text that never holds a part of the body.
pub(super) fn parse(body: &[u8], date: Option<Timestamp>) -> Result<Token, &'static str> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "its answer is not JSON")?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let token = text("token").or_else(|| text("access_token")).ok_or("its answer holds no token")?;
    let header = bearer(token).ok_or("its token holds characters that no header may hold")?;
    let age = match (text("issued_at").and_then(|at| at.parse::<Timestamp>().ok()), date) {
        // A time in the future makes no sense and shortens nothing.
        (Some(issued), Some(date)) => Duration::try_from(date.duration_since(issued)).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    Ok(Token { header, usable: usable(life(answer.get("expires_in")), age) })
}

/// `Authorization: Bearer …`; none if no header can hold the token.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// `expires_in` in seconds: a number, or a string with one; absent, zero or less means the default.
fn life(expires_in: Option<&Value>) -> Duration {
    let seconds = match expires_in {
        Some(Value::Number(n)) => n.as_f64(),
        Some(Value::String(s)) => s.parse().ok(),
        _ => None,
    };
    match seconds.filter(|s| *s > 0.0).map(Duration::try_from_secs_f64) {
        Some(life) => life.map_or(LONGEST_LIFE, |life| life.min(LONGEST_LIFE)),
        None => DEFAULT_LIFE,
    }
}

/// Four fifths of the life, or all but the margin if that is less, less the time already gone. An
/// age beyond the life is not believed, for the server has just handed the token out.
fn usable(life: Duration, age: Duration) -> Duration {
    let usable = (life * 4 / 5).min(life.saturating_sub(MARGIN));
    if age < life { usable.saturating_sub(age) } else { usable }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "2026-11-23T12:00:00Z";

    #[test]
    fn tokens_are_used_for_as_long_as_they_are_good() {
        let rows = [
            ("usual", r#"{"token":"t","expires_in":300}"#, 240),
            ("missing", r#"{"token":"t"}"#, 48),
            ("null", r#"{"token":"t","expires_in":null}"#, 48),
            ("zero", r#"{"token":"t","expires_in":0}"#, 48),
            ("negative", r#"{"token":"t","expires_in":-5}"#, 48),
            ("short", r#"{"token":"t","expires_in":30}"#, 20),
            ("too short to be kept", r#"{"token":"t","expires_in":5}"#, 0),
            ("a day", r#"{"token":"t","expires_in":86400}"#, 2880),
            ("absurd", r#"{"token":"t","expires_in":1e300}"#, 2880),
            ("a string", r#"{"token":"t","expires_in":"300"}"#, 240),
            ("not a number", r#"{"token":"t","expires_in":"soon"}"#, 48),
            ("issued before", r#"{"token":"t","expires_in":300,"issued_at":"2026-11-23T11:58:20Z"}"#, 140),
            (
                "issued in the future",
                r#"{"token":"t","expires_in":300,"issued_at":"2026-11-23T13:00:00Z"}"#,
                240,
            ),
            ("issued long ago", r#"{"token":"t","expires_in":300,"issued_at":"2020-01-01T00:00:00Z"}"#, 240),
            ("issued at no time", r#"{"token":"t","expires_in":300,"issued_at":"yesterday"}"#, 240),
        ];
        for (name, body, expected) in rows {
            let token = parse(body.as_bytes(), DATE.parse().ok()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(token.usable, Duration::from_secs(expected), "{name}");
        }
    }

    #[test]
    fn the_first_token_that_is_not_empty_is_taken() {
        let rows = [
            ("token", r#"{"token":"a"}"#, Ok("Bearer a")),
            ("access_token", r#"{"access_token":"b"}"#, Ok("Bearer b")),
            ("both", r#"{"access_token":"b","token":"a"}"#, Ok("Bearer a")),
            ("empty token", r#"{"access_token":"b","token":""}"#, Ok("Bearer b")),
            ("none", r#"{"expires_in":60}"#, Err("its answer holds no token")),
            ("a number", r#"{"token":7}"#, Err("its answer holds no token")),
            ("an array", "[]", Err("its answer holds no token")),
            ("a page", "<html>", Err("its answer is not JSON")),
            (
                "a line break",
                "{\"token\":\"a\\nb\"}",
                Err("its token holds characters that no header may hold"),
            ),
        ];
        for (name, body, expected) in rows {
            let found = parse(body.as_bytes(), None).map(|token| token.header);
            assert_eq!(
                found.as_ref().map(|header| header.to_str().expect("ASCII")),
                expected.as_ref().map(|text| *text),
                "{name}"
            );
        }
    }

    #[test]
    fn the_header_is_not_shown() {
        let token = parse(br#"{"token":"hunter2"}"#, None).unwrap_or_else(|e| panic!("{e}"));
        assert!(token.header.is_sensitive() && !format!("{:?}", token.header).contains("hunter2"));
    }
}
