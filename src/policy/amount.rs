//! Amounts as policies write them: durations, sizes and ranges of numbers.

/// Seconds of `90d`, `12w`, `1d12h`; units w, d, h, m, s.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is not a duration such as 90d, 12w, 36h or 1d12h");
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: i64 = rest[..end].parse().map_err(|_| wrong())?;
        let mut units = rest[end..].chars();
        let unit = match units.next() {
            Some('w') => 7 * 86_400,
            Some('d') => 86_400,
            Some('h') => 3_600,
            Some('m') => 60,
            Some('s') => 1,
            _ => return Err(wrong()),
        };
        total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = units.as_str();
    }
    if total == 0 { Err(wrong()) } else { Ok(total) }
}

/// Bytes of a Kubernetes quantity (apimachinery, `resource.Quantity`): `2Gi`, `1.5G`, `1e9`.
///
/// # Errors
/// What is wrong with the text.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size such as 2Gi, 500Mi or 1G");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.is_empty() || number == "." || fraction.contains('.') || number.len() > 30 {
        return Err(wrong());
    }
    let unit = multiplier(suffix).ok_or_else(wrong)?;
    let digits = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<u128>() };
    let whole = digits(whole).ok().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)?;
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).map_err(|_| wrong())?).ok_or_else(wrong)?;
    let part = digits(fraction).ok().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)? / scale;
    match whole.checked_add(part).and_then(|total| u64::try_from(total).ok()) {
        Some(0) | None => Err(wrong()),
        Some(total) => Ok(total),
    }
}

fn multiplier(suffix: &str) -> Option<u128> {
    Some(match suffix {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "P" => 1_000_000_000_000_000,
        "E" => 1_000_000_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        "Ei" => 1 << 60,
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            10_u128.checked_pow(exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?)?
        }
    })
}

/// A range of numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) last: u32,
}

/// `1000-65535` or `1000`, up to `max`.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn range(text: &str, max: u32) -> Result<Range, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten().filter(|number| *number <= max)
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Range { first, last }),
        (Some(_), Some(_)) => Err(format!("{text:?} ends before it begins")),
        _ => Err(format!("{text:?} is not a range such as 1000-{max} or 1000 (0 to {max})")),
    }
}

/// A size for people: `2.0 GiB`.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(size);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        for (text, expected) in [
            ("90d", Some(90 * 86_400)),
            ("12w", Some(12 * 7 * 86_400)),
            ("1d12h", Some(36 * 3600)),
            ("5m30s", Some(330)),
            ("0d", None),
            ("90", None),
            ("d", None),
            ("", None),
            ("-1d", None),
            ("1.5d", None),
            ("90D", None),
            ("6 months", None),
            ("99999999999999999999d", None),
            ("9223372036854775807w", None),
        ] {
            assert_eq!(seconds(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn reads_quantities() {
        for (text, expected) in [
            ("2Gi", Some(2 << 30)),
            ("500Mi", Some(500 << 20)),
            ("1G", Some(1_000_000_000)),
            ("1.5Gi", Some(3 << 29)),
            (".5Ki", Some(512)),
            ("1000", Some(1000)),
            ("1e9", Some(1_000_000_000)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("0", None),
            ("1m", None),
            ("2GB", None),
            ("2 Gi", None),
            ("-1Gi", None),
            ("1.2.3", None),
            (".", None),
            ("", None),
            ("99999999Ei", None),
            ("1e99", None),
            ("é", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn reads_ranges() {
        for (text, expected) in [
            ("1000-65535", Some((1000, 65535))),
            ("1000", Some((1000, 1000))),
            ("0-0", Some((0, 0))),
            ("65535-1000", None),
            ("1-65536", None),
            ("-5", None),
            ("+5", None),
            ("1 - 5", None),
            ("", None),
            ("1-2-3", None),
        ] {
            assert_eq!(range(text, 65535).ok().map(|r| (r.first, r.last)), expected, "{text:?}");
        }
        assert_eq!(range("9-1", 10), Err("\"9-1\" ends before it begins".to_owned()));
    }

    #[test]
    fn writes_sizes_for_people() {
        for (bytes, expected) in
            [(5, "5 bytes"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB"), (u64::MAX, "17179869183.9 GiB")]
        {
            assert_eq!(human(bytes), expected);
        }
    }
}
