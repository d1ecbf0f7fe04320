//! `rules.stopSignal`: the signal that asks the container to stop.
//!
//! **Fields read:** `lifecycle.stopSignal` of the container, then STOPSIGNAL of the image, then
//! SIGTERM, which is what runtimes send when nobody says. With `source: Image`, the container's field
//! is passed over.
//!
//! **Allowed values:**
//! - `valid`: any signal that `ParseSignal` of containerd knows (`SIGTERM`, `TERM`, `15`,
//!   `SIGRTMIN+3`). containerd cannot stop a container with any other; CRI-O sends SIGTERM.
//! - `oneOf`: a signal with the number of one of these, so that `SIGTERM`, `TERM` and `15` are one. A
//!   signal that nobody knows is none of them. An empty list is not checked.
//!
//! **Odd values:** without STOPSIGNAL the signal is SIGTERM, and is judged as SIGTERM.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1::{self as api, Source},
    image::{InvalidStopSignal, StopSignal},
    policy::{
        message::{either, quoted},
        place::Place,
    },
    workload::{Effective, Origin},
};

#[derive(Debug)]
pub(super) struct StopSignalRule {
    valid: bool,
    one_of: Vec<StopSignal>,
    source: Source,
}

impl StopSignalRule {
    pub(super) fn compile(rule: &api::StopSignalRule, at: &Place<'_>) -> Option<Self> {
        let one_of = at
            .field("oneOf")
            .each(&rule.one_of, |text| StopSignal::parse(text).map_err(|error| error.to_string()));
        (rule.valid || !one_of.is_empty()).then_some(Self { valid: rule.valid, one_of, source: rule.source })
    }

    fn judge_signal(&self, signal: &Effective<Result<StopSignal, InvalidStopSignal>>) -> Option<Violation> {
        let passes = match &signal.value {
            Ok(signal) => {
                self.one_of.is_empty() || self.one_of.iter().any(|one| one.number() == signal.number())
            }
            Err(_) => !self.valid && self.one_of.is_empty(),
        };
        (!passes).then(|| Violation::new(found(signal), self.wanted()))
    }

    fn wanted(&self) -> String {
        let names: Vec<&str> = self.one_of.iter().map(StopSignal::name).collect();
        let what =
            if names.is_empty() { "a valid signal, such as SIGTERM".to_owned() } else { either(&names) };
        match self.source {
            Source::Effective => format!("{what}: set STOPSIGNAL in the image or lifecycle.stopSignal"),
            Source::Image => format!("{what}: set STOPSIGNAL in the image"),
        }
    }
}

fn found(signal: &Effective<Result<StopSignal, InvalidStopSignal>>) -> String {
    let field = if signal.origin == Origin::Container { "lifecycle.stopSignal" } else { "STOPSIGNAL" };
    match &signal.value {
        Ok(_) if signal.origin == Origin::Default => "stops by SIGTERM, as STOPSIGNAL is not set".to_owned(),
        Ok(signal) => format!("stops by {} ({field} is {})", signal.name(), quoted(signal.raw())),
        Err(error) => format!("has a stop signal that does not exist ({field} is {})", quoted(&error.raw)),
    }
}

impl ImageRule for StopSignalRule {
    fn name(&self) -> &'static str {
        "stopSignal"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_signal(&seen.by(self.source).stop_signal).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn compile(valid: bool, one_of: &[&str]) -> (Option<StopSignalRule>, Vec<(String, String)>) {
        let one_of = one_of.iter().map(|&s| s.to_owned()).collect();
        let rule = api::StopSignalRule { valid, one_of, source: Source::Effective };
        let problems = Problems::default();
        (StopSignalRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    #[test]
    fn compares_numbers_not_spellings() {
        for (name, valid, one_of, signal, expected) in [
            ("the same name", false, &["SIGTERM"][..], Some("SIGTERM"), None),
            ("without SIG", false, &["SIGTERM"], Some("TERM"), None),
            ("by number", false, &["SIGTERM"], Some("15"), None),
            ("by number in the policy", false, &["15"], Some("SIGTERM"), None),
            ("not set is SIGTERM", true, &["SIGTERM"], None, None),
            ("not set", true, &["SIGQUIT"], None, Some("stops by SIGTERM, as STOPSIGNAL is not set")),
            (
                "another",
                true,
                &["SIGTERM"],
                Some("SIGKILL"),
                Some("stops by SIGKILL (STOPSIGNAL is \"SIGKILL\")"),
            ),
            (
                "unknown",
                true,
                &[],
                Some("SIGTREM"),
                Some("has a stop signal that does not exist (STOPSIGNAL is \"SIGTREM\")"),
            ),
            (
                "unknown is none of them",
                false,
                &["SIGTERM"],
                Some("SIGTREM"),
                Some("has a stop signal that does not exist (STOPSIGNAL is \"SIGTREM\")"),
            ),
            ("real-time", true, &["SIGRTMIN+3"], Some("RTMIN+3"), None),
        ] {
            let origin = if signal.is_some() { Origin::Image } else { Origin::Default };
            let signal = Effective { value: StopSignal::parse(signal.unwrap_or("SIGTERM")), origin };
            let found = compile(valid, one_of).0.unwrap().judge_signal(&signal).map(|v| v.found);
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn refuses_signals_that_do_not_exist() {
        let (rule, problems) = compile(false, &["SIGTERM", "SIGTREM"]);
        assert!(rule.is_some());
        assert_eq!(problems[0].0, "oneOf[1]");
        assert!(problems[0].1.contains("SIGTREM"), "{}", problems[0].1);
        assert!(compile(false, &[]).0.is_none(), "an empty list checks nothing");
    }
}
