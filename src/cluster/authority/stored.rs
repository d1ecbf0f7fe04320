//! What the Secret holds, and what is due to it. Pure, but for the randomness of new keys.

use super::Shared;
use crate::certificate::{Authority, AuthorityPem, CertificateError};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use std::collections::BTreeMap;

/// An authority's life.
const LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// The next one is made when this is left.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(365 * 24 / 3);
/// How long the next one is trusted before it signs: every API server has then seen it.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);

/// What the Secret holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stored {
    current: Option<AuthorityPem>,
    /// Published, and since when.
    next: Option<(AuthorityPem, Timestamp)>,
    /// The certificate of the one that signed before, and when it stopped.
    previous: Option<(String, Timestamp)>,
    /// What is wrong with it.
    pub(super) broken: Option<String>,
}

/// What is due.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    Keep(Stored),
    /// This, which gives that.
    Write(&'static str, Stored),
}

type Data = BTreeMap<String, ByteString>;

impl Stored {
    /// Reads what can be read; what cannot be is as if it were not there.
    pub(super) fn read(data: Option<&Data>) -> Self {
        let text = |key: &str| Some(String::from_utf8_lossy(&data?.get(key)?.0).into_owned());
        let pair = |certificate: &str, key: &str| {
            Some(AuthorityPem { certificate: text(certificate)?, key: text(key)? })
        };
        let time = |key: &str| text(key)?.parse::<Timestamp>().ok();
        let current = pair("ca.crt", "ca.key").ok_or_else(|| "it has no ca.crt and ca.key".to_owned());
        let checked = current.and_then(|pem| Authority::from_pem(&pem).map_err(|error| error.to_string()));
        let next = pair("next.crt", "next.key").filter(|pem| Authority::from_pem(pem).is_ok());
        Self {
            broken: checked.as_ref().err().cloned(),
            current: checked.ok().map(|authority| authority.pem().clone()),
            next: next.zip(time("next.since")),
            previous: text("previous.crt").zip(time("previous.until")),
        }
    }

    pub(super) fn data(&self) -> Data {
        let mut data = Data::new();
        let mut put =
            |key: &str, text: &str| _ = data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
        if let Some(pem) = &self.current {
            put("ca.crt", &pem.certificate);
            put("ca.key", &pem.key);
        }
        if let Some((pem, since)) = &self.next {
            put("next.crt", &pem.certificate);
            put("next.key", &pem.key);
            put("next.since", &since.to_string());
        }
        if let Some((certificate, until)) = &self.previous {
            put("previous.crt", certificate);
            put("previous.until", &until.to_string());
        }
        data
    }

    /// What the replicas share; none before there is an authority.
    pub(super) fn shared(&self) -> Option<Shared> {
        let signing = self.current.clone()?;
        let next = self.next.as_ref().map(|(pem, _)| pem.certificate.as_str());
        let previous = self.previous.as_ref().map(|(certificate, _)| certificate.as_str());
        let all = [Some(signing.certificate.as_str()), next, previous].into_iter().flatten();
        let bundle = all.flat_map(|pem| [pem.trim_end(), "\n"]).collect();
        Some(Shared { signing, bundle })
    }

    /// The one step that is due at `now`, while the API server trusts `trusted` (PEM); none: it does not
    /// call.
    pub(super) fn step(mut self, now: Timestamp, trusted: Option<&str>) -> Result<Step, CertificateError> {
        let make = || Authority::new(now, LIFE).map(|authority| authority.pem().clone());
        let left = self
            .current
            .as_ref()
            .and_then(AuthorityPem::validity)
            .map(|validity| validity.not_after.duration_since(now));
        let Some(left) = left.filter(SignedDuration::is_positive) else {
            // Nobody can trust what is there, so there is nothing to overlap with.
            self = Self { current: Some(make()?), ..Self::default() };
            return Ok(Step::Write("made", self));
        };
        if let Some((next, since)) = &self.next {
            let is_trusted = trusted.is_none_or(|trusted| trusted.contains(next.certificate.trim()));
            // A clock that went back makes the overlap longer, never shorter.
            if is_trusted && now.duration_since(*since) >= OVERLAP {
                let retired = self.current.take().map(|pem| (pem.certificate, now + Authority::LEAF_LIFE));
                self = Self { current: Some(next.clone()), next: None, previous: retired, broken: None };
                return Ok(Step::Write("the next one signs", self));
            }
        } else if left <= RENEW_BEFORE {
            self.next = Some((make()?, now));
            return Ok(Step::Write("the next one is published", self));
        }
        if self.previous.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.previous = None;
            return Ok(Step::Write("the previous one is trusted no longer", self));
        }
        Ok(Step::Keep(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_hours(24 * days)
    }

    fn written(step: Step, what: &str) -> Stored {
        match step {
            Step::Write(said, stored) if said == what => stored,
            other => panic!("wanted {what:?}, got {other:?}"),
        }
    }

    fn is_kept(stored: &Stored, now: Timestamp, trusted: &str) -> bool {
        matches!(stored.clone().step(now, Some(trusted)), Ok(Step::Keep(_)))
    }

    #[test]
    fn an_authority_changes_without_a_moment_in_which_nobody_trusts_us() {
        let first = written(Stored::read(None).step(at(0), Some("")).unwrap(), "made");
        let bundle = |stored: &Stored| stored.shared().unwrap().bundle;
        let signing = |stored: &Stored| stored.shared().unwrap().signing;
        assert!(is_kept(&first, at(200), &bundle(&first)));

        let published =
            written(first.clone().step(at(244), Some(&bundle(&first))).unwrap(), "the next one is published");
        assert_eq!(signing(&published), signing(&first), "it does not sign yet");
        assert_eq!(bundle(&published).matches("BEGIN CERTIFICATE").count(), 2);
        let soon = at(244) + SignedDuration::from_mins(9);
        let later = at(244) + SignedDuration::from_mins(10);
        assert!(is_kept(&published, soon, &bundle(&published)), "too early");
        assert!(is_kept(&published, later, &bundle(&first)), "the API server does not trust it yet");
        assert!(is_kept(&published, at(243), &bundle(&published)), "a clock that went back");

        let changed =
            written(published.clone().step(later, Some(&bundle(&published))).unwrap(), "the next one signs");
        assert_ne!(signing(&changed), signing(&first));
        assert!(bundle(&changed).contains(signing(&first).certificate.trim()), "its leaves still live");
        assert!(is_kept(&changed, at(250), &bundle(&changed)));
        let done = written(changed.step(at(252), Some("")).unwrap(), "the previous one is trusted no longer");
        assert_eq!(bundle(&done).matches("BEGIN CERTIFICATE").count(), 1);
        assert!(is_kept(&done, at(253), &bundle(&done)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let first = written(Stored::default().step(at(0), Some("")).unwrap(), "made");
        let published = written(first.step(at(300), Some("")).unwrap(), "the next one is published");
        let changed = written(
            published.clone().step(at(301), Some(&published.shared().unwrap().bundle)).unwrap(),
            "the next one signs",
        );
        for stored in [published, changed] {
            assert_eq!(Stored::read(Some(&stored.data())), stored);
        }
    }

    #[test]
    fn what_nobody_can_use_is_replaced() {
        let good = written(Stored::default().step(at(0), Some("")).unwrap(), "made");
        let with = |key: &str, text: &str| {
            let mut data = good.data();
            data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
            data
        };
        let mut without_key = good.data();
        without_key.remove("ca.key");
        for (name, data, now) in [
            ("empty", Data::new(), at(0)),
            ("no key", without_key, at(0)),
            ("a key that is none", with("ca.key", "x"), at(0)),
            ("a certificate that is none", with("ca.crt", "x"), at(0)),
            ("ended", good.data(), at(365)),
        ] {
            let stored = Stored::read(Some(&data));
            let made = written(stored.step(now, Some("")).unwrap(), "made");
            assert_ne!(made.shared().unwrap().signing, good.shared().unwrap().signing, "{name}");
        }
        let broken_next = with("next.crt", "x");
        assert!(
            is_kept(&Stored::read(Some(&broken_next)), at(1), ""),
            "a broken next one is as if it were not there"
        );
    }
}
