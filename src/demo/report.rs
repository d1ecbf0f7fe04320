//! What the demo prints: one line for each Pod, and under it why.

use super::{client::Reply, pods::Sample};
use crate::policy::Decision;
use std::{fmt::Write, time::Duration};

/// One Pod's line, with the reasons under it, and whether its verdict was the expected one.
#[derive(Debug)]
pub(super) struct Line {
    /// The text, with its newline.
    pub(super) text: String,
    /// Whether the verdict and what it says were as expected.
    pub(super) as_expected: bool,
}

/// Puts `reply` to `sample` into words; `requests` is what the registry was asked for it.
pub(super) fn line(sample: &Sample, reply: &Reply, requests: usize) -> Line {
    let decision = match (reply.allowed, reply.warnings.is_empty()) {
        (true, true) => Decision::Allow,
        (true, false) => Decision::Warn,
        (false, _) => Decision::Deny,
    };
    let said = if reply.allowed { reply.warnings.join("\n") } else { reply.message.clone() };
    let as_expected = decision == sample.expected && said.contains(sample.says);
    let verdict = match decision {
        Decision::Allow => "admitted".to_owned(),
        Decision::Warn => "warned".to_owned(),
        Decision::Deny => format!("refused {}", reply.code),
    };
    let mut text = format!(
        "  {:<13} {:<12} {:>8}  {:>2} requests   {}\n",
        sample.name,
        verdict,
        millis(reply.took),
        requests,
        sample.shows,
    );
    for reason in said.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(text, "      {}", reason.trim());
    }
    if !as_expected {
        let _ = writeln!(text, "      UNEXPECTED: wanted {:?} saying {:?}", sample.expected, sample.says);
    }
    Line { text, as_expected }
}

/// `1.2 ms`
pub(super) fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(expected: Decision, says: &'static str) -> Sample {
        Sample { name: "web", shows: "a thing", spec: serde_json::Value::Null, expected, says }
    }

    fn reply(allowed: bool, message: &str, warnings: &[&str]) -> Reply {
        Reply {
            allowed,
            message: message.into(),
            code: if allowed { 200 } else { 403 },
            warnings: warnings.iter().map(|&warning| warning.into()).collect(),
            took: Duration::from_micros(1234),
        }
    }

    #[test]
    fn a_verdict_is_held_against_the_expected_one() {
        let rows = [
            ("admitted", sample(Decision::Allow, ""), reply(true, "", &[]), true),
            (
                "refused as it should be",
                sample(Decision::Deny, "root"),
                reply(false, "runs as root", &[]),
                true,
            ),
            (
                "refused for another reason",
                sample(Decision::Deny, "root"),
                reply(false, "no label", &[]),
                false,
            ),
            ("admitted but should not", sample(Decision::Deny, "root"), reply(true, "", &[]), false),
            ("warned", sample(Decision::Warn, "latest"), reply(true, "", &["tag latest"]), true),
            (
                "a warning nobody expected",
                sample(Decision::Allow, ""),
                reply(true, "", &["tag latest"]),
                false,
            ),
        ];
        for (name, sample, reply, expected) in rows {
            let line = line(&sample, &reply, 4);
            assert_eq!(line.as_expected, expected, "{name}: {}", line.text);
            assert_eq!(line.text.contains("UNEXPECTED"), !expected, "{name}: {}", line.text);
        }
    }

    #[test]
    fn a_refusal_reads_well() {
        let line = line(&sample(Decision::Deny, "root"), &reply(false, "one\ntwo root", &[]), 4);
        assert_eq!(
            line.text,
            "  web           refused 403    1.2 ms   4 requests   a thing\n      one\n      two root\n"
        );
    }
}
