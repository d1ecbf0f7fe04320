//! `config.StopSignal`, read as moby/sys `signal.ParseSignal` reads it.

use crate::nearest::nearest;

/// Linux' signals, in the order of their numbers from 1 (`signal(7)`, x86 and ARM).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names of the same signals that moby/sys knows.
const ALIASES: [(&str, i32); 3] = [("IOT", 6), ("CLD", 17), ("POLL", 29)];

/// `SIGRTMIN` as moby/sys counts it: glibc keeps 32 and 33 for itself.
const RTMIN: i32 = 34;

/// `SIGRTMAX`, the last signal.
const LAST: i32 = 64;

/// A signal that a runtime accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSignal {
    raw: String,
    number: i32,
    name: String,
}

/// A value that runtimes do not know: containerd cannot stop such a container, CRI-O sends SIGTERM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{raw:?} is not a signal ({why})")]
pub struct InvalidStopSignal {
    /// As written.
    pub raw: String,
    /// Why, and the nearest valid value where there is one.
    pub why: String,
}

impl StopSignal {
    /// Reads `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`, …
    ///
    /// # Errors
    /// [`InvalidStopSignal`] when no runtime would accept it.
    pub fn parse(raw: &str) -> Result<Self, InvalidStopSignal> {
        let refuse = |why: String| InvalidStopSignal { raw: raw.to_owned(), why };
        let digits = raw.strip_prefix(['+', '-']).unwrap_or(raw);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match raw.parse::<i32>() {
                Ok(number @ 1..=LAST) => {
                    Ok(Self { raw: raw.to_owned(), number, name: canonical_name(number) })
                }
                _ => Err(refuse(format!("signals have the numbers 1 to {LAST}"))),
            };
        }
        let upper = upper_case(raw);
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        match number_of(name) {
            Some(number) => Ok(Self { raw: raw.to_owned(), number, name: canonical_name(number) }),
            None if raw.trim() != raw => Err(refuse("it has white space around it".into())),
            None => Err(refuse(nearest(name, NAMES).map_or_else(
                || "no such name".to_owned(),
                |nearest| format!("no such name; did you mean SIG{nearest}?"),
            ))),
        }
    }

    /// As written.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The number on Linux.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.number
    }

    /// The canonical name: `SIGTERM`, `SIGRTMIN+3`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Upper case letter by letter, as Go does it: a letter whose upper case is not one letter stays
/// (the ligature `ﬆ` does not become `ST`, and a runtime refuses it).
fn upper_case(text: &str) -> String {
    let upper = |c: char| {
        let mut letters = c.to_uppercase();
        if let (Some(one), None) = (letters.next(), letters.next()) { one } else { c }
    };
    text.chars().map(upper).collect()
}

fn number_of(name: &str) -> Option<i32> {
    let offset = |text: &str, max: i32| {
        let plain = !text.starts_with(['+', '0']);
        text.parse().ok().filter(|offset| plain && (1..=max).contains(offset))
    };
    if let Some(position) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(position + 1).ok();
    }
    if let Some((_, number)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Some(*number);
    }
    match name {
        "RTMIN" => Some(RTMIN),
        "RTMAX" => Some(LAST),
        _ => None,
    }
    .or_else(|| name.strip_prefix("RTMIN+").and_then(|text| offset(text, 15)).map(|offset| RTMIN + offset))
    .or_else(|| name.strip_prefix("RTMAX-").and_then(|text| offset(text, 14)).map(|offset| LAST - offset))
}

/// `SIGTERM`, `SIGRTMIN+3`, `SIGRTMAX-2`; 32 and 33 have no name.
fn canonical_name(number: i32) -> String {
    let named = usize::try_from(number - 1).ok().and_then(|at| NAMES.get(at));
    match (named, number) {
        (Some(name), _) => format!("SIG{name}"),
        (None, RTMIN) => "SIGRTMIN".to_owned(),
        (None, LAST) => "SIGRTMAX".to_owned(),
        (None, 35..=49) => format!("SIGRTMIN+{}", number - RTMIN),
        (None, 50..=63) => format!("SIGRTMAX-{}", LAST - number),
        (None, _) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_as_runtimes_read_them() {
        let rows = [
            ("SIGTERM", 15, "SIGTERM"),
            ("TERM", 15, "SIGTERM"),
            ("sigterm", 15, "SIGTERM"),
            ("Term", 15, "SIGTERM"),
            ("15", 15, "SIGTERM"),
            ("+15", 15, "SIGTERM"),
            ("015", 15, "SIGTERM"),
            ("1", 1, "SIGHUP"),
            ("9", 9, "SIGKILL"),
            ("SIGQUIT", 3, "SIGQUIT"),
            ("SIGWINCH", 28, "SIGWINCH"),
            ("SIGIOT", 6, "SIGABRT"),
            ("CLD", 17, "SIGCHLD"),
            ("SIGPOLL", 29, "SIGIO"),
            ("RTMIN", 34, "SIGRTMIN"),
            ("SIGRTMIN+3", 37, "SIGRTMIN+3"),
            ("rtmin+15", 49, "SIGRTMIN+15"),
            ("RTMAX-1", 63, "SIGRTMAX-1"),
            ("SIGRTMAX-14", 50, "SIGRTMAX-14"),
            ("SIGRTMAX", 64, "SIGRTMAX"),
            ("64", 64, "SIGRTMAX"),
            ("37", 37, "SIGRTMIN+3"),
            ("33", 33, "33"),
            ("\u{17f}\u{131}gterm", 15, "SIGTERM"),
        ];
        for (raw, number, name) in rows {
            let signal = StopSignal::parse(raw).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!((signal.number(), signal.name(), signal.raw()), (number, name, raw));
        }
    }

    #[test]
    fn what_no_runtime_can_send_is_refused_with_the_nearest_name() {
        let rows = [
            ("", "no such name"),
            ("0", "1 to 64"),
            ("65", "1 to 64"),
            ("-9", "1 to 64"),
            ("99999999999", "1 to 64"),
            ("SIGFOO", "no such name"),
            ("SIGQIUT", "did you mean SIGQUIT?"),
            ("SIGTREM", "did you mean SIGTERM?"),
            ("SIGKIL", "did you mean SIGKILL?"),
            ("SIGSIGTERM", "no such name"),
            ("RTMIN+16", "no such name"),
            ("RTMIN+0", "no such name"),
            ("RTMIN+03", "no such name"),
            ("RTMAX-15", "no such name"),
            ("RTMIN-1", "no such name"),
            (" SIGTERM", "white space"),
            ("15 ", "white space"),
            ("0x0f", "no such name"),
            ("SIGUNUSED", "no such name"),
            ("\u{fb06}op", "no such name"),
        ];
        for (raw, why) in rows {
            let error = StopSignal::parse(raw).expect_err(raw);
            assert!(error.why.contains(why), "{raw:?}: {error}");
            assert_eq!(error.raw, raw);
        }
    }
}
