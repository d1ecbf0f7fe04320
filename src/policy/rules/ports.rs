//! `rules.ports`: ports that the image exposes.
//!
//! **Fields read:** `config.ExposedPorts`. Kubernetes does not look at it, and a container may listen
//! where it likes; the rule is about what the image was made for. `ports` of the container are not read.
//!
//! **Allowed values:** `allowed`: every exposed port (each port of a range such as `8000-8010/tcp`) is
//! in one of the ranges. A range without a protocol is for any protocol. An empty list is not checked.
//!
//! **Odd values:** an image that exposes nothing has nothing to judge, and passes. A key that cannot be
//! read as a port is a violation. One violation names all ports.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1 as api,
    image::ExposedPort,
    policy::{
        amount::{Range, range},
        message::{either, several},
        place::Place,
    },
};

const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

#[derive(Debug)]
pub(super) struct PortsRule {
    allowed: Vec<Ports>,
    written: Vec<String>,
}

#[derive(Debug)]
struct Ports {
    range: Range,
    protocol: Option<String>,
}

impl PortsRule {
    pub(super) fn compile(rule: &api::PortsRule, at: &Place<'_>) -> Option<Self> {
        let allowed = at.field("allowed").each(&rule.allowed, Ports::parse);
        (!allowed.is_empty()).then(|| Self { allowed, written: rule.allowed.clone() })
    }

    fn judge_ports(&self, ports: &[ExposedPort]) -> Option<Violation> {
        let wrong = |port: &&ExposedPort| match &port.range {
            Some((first, last, protocol)) => !self.allows(*first, *last, protocol),
            None => true,
        };
        let wrong: Vec<&str> = ports.iter().filter(wrong).map(|port| port.raw.as_str()).collect();
        (!wrong.is_empty()).then(|| {
            Violation::new(
                format!("exposes {}", several(&wrong)),
                format!("only ports in {}", either(&self.written)),
            )
        })
    }

    /// Goes from one allowed range to the next that goes on from it.
    fn allows(&self, first: u16, last: u16, protocol: &str) -> bool {
        let ranges = || self.allowed.iter().filter(|ports| ports.is_for(protocol)).map(|ports| ports.range);
        let mut next = u32::from(first);
        while next <= u32::from(last) {
            let containing = ranges().filter(|range| (range.first..=range.last).contains(&next));
            match containing.map(|range| range.last).max() {
                Some(end) => next = end + 1,
                None => return false,
            }
        }
        true
    }
}

impl Ports {
    fn parse(text: &str) -> Result<Self, String> {
        let (numbers, protocol) = match text.split_once('/') {
            Some((numbers, protocol)) => (numbers, Some(protocol.to_ascii_lowercase())),
            None => (text, None),
        };
        if protocol.as_deref().is_some_and(|protocol| !PROTOCOLS.contains(&protocol)) {
            return Err(format!("{text:?} names a protocol that is not one of {}", PROTOCOLS.join(", ")));
        }
        Ok(Self { range: range(numbers, u32::from(u16::MAX))?, protocol })
    }

    fn is_for(&self, protocol: &str) -> bool {
        self.protocol.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(protocol))
    }
}

impl ImageRule for PortsRule {
    fn name(&self) -> &'static str {
        "ports"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_ports(&seen.platform.config.exposed_ports).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn compile(allowed: &[&str]) -> (Option<PortsRule>, Vec<(String, String)>) {
        let rule = api::PortsRule { allowed: allowed.iter().map(|&s| s.to_owned()).collect() };
        let problems = Problems::default();
        (PortsRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    #[test]
    fn judges_every_exposed_port() {
        let port = |raw: &str, first, last, protocol: &str| ExposedPort {
            raw: raw.to_owned(),
            range: Some((first, last, protocol.to_owned())),
        };
        let unreadable = ExposedPort { raw: "http".to_owned(), range: None };
        for (name, allowed, ports, expected) in [
            ("inside", &["1024-65535"][..], vec![port("8080/tcp", 8080, 8080, "tcp")], None),
            ("nothing exposed", &["1024-65535"], vec![], None),
            ("outside", &["1024-65535"], vec![port("80", 80, 80, "tcp")], Some("exposes \"80\"")),
            (
                "range that leaves it",
                &["1024-65535"],
                vec![port("1000-1100/tcp", 1000, 1100, "tcp")],
                Some("exposes \"1000-1100/tcp\""),
            ),
            ("range over two", &["1-10", "11-20"], vec![port("5-15", 5, 15, "tcp")], None),
            ("protocol", &["53/udp"], vec![port("53/udp", 53, 53, "udp")], None),
            ("other protocol", &["53/udp"], vec![port("53/tcp", 53, 53, "tcp")], Some("exposes \"53/tcp\"")),
            ("no port", &["1-65535"], vec![unreadable], Some("exposes \"http\"")),
        ] {
            let found = compile(allowed).0.unwrap().judge_ports(&ports).map(|v| v.found);
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn refuses_bad_ranges() {
        for (text, why) in [
            ("http", "is not a range"),
            ("70000", "is not a range"),
            ("20-10", "ends before it begins"),
            ("80/http", "protocol"),
        ] {
            let problems = compile(&["80", text]).1;
            assert_eq!(problems[0].0, "allowed[1]", "{text}");
            assert!(problems[0].1.contains(why), "{text}: {}", problems[0].1);
        }
        assert!(compile(&[]).0.is_none(), "an empty list checks nothing");
    }
}
