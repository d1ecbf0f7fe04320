//! Durations as Go writes them (`72h3m0.5s`).

use jiff::SignedDuration;

const UNITS: [(&str, i128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("ms", 1_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

/// Reads `1h30m`, `-1.5h`, `300ms`; none if it is not a duration or does not fit.
pub(super) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() || text.len() > 100 {
        return None;
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        // `m` must not take the `m` of `ms`: the two-letter units come first in the table.
        let (unit, factor) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        nanos = nanos.checked_add(scaled(number, *factor)?)?;
        rest = &tail[unit.len()..];
    }
    if negative {
        nanos = -nanos;
    }
    SignedDuration::try_from_nanos_i128(nanos)
}

/// `number` (decimal, with or without a fraction) times `factor`, rounded down.
fn scaled(number: &str, factor: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    let mut total = whole.checked_mul(factor)?;
    let mut scale = factor;
    for digit in fraction.bytes() {
        scale /= 10;
        total += i128::from(digit - b'0') * scale;
    }
    Some(total)
}

/// Writes a duration as Go does, in hours, minutes and seconds.
pub(super) fn format_duration(duration: SignedDuration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let sign = if duration.is_negative() { "-" } else { "" };
    let seconds = duration.as_secs().unsigned_abs();
    let fraction = format!("{:09}", duration.subsec_nanos().unsigned_abs());
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}{point}{fraction}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}{point}{fraction}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}{point}{fraction}s"),
    }
}
