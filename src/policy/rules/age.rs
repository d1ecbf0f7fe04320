//! `rules.age`: how old the image may be.
//!
//! **Fields read:** `created` of the config. Not the manifest's annotations, and not when it was pushed,
//! which registries do not tell.
//!
//! **Allowed values:** `max`: created no longer ago than this.
//!
//! **Odd values:** no `created`, one that is no time, one that reproducible builds write (year 1, 1970,
//! 1980), and one more than a day in the future are violations: the age cannot be known.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1 as api,
    image::Created,
    policy::{amount::seconds, message::quoted, place::Place},
};
use jiff::{Timestamp, tz::TimeZone};

const DAY: i64 = 86_400;

#[derive(Debug)]
pub(super) struct AgeRule {
    max: i64,
    written: String,
}

impl AgeRule {
    pub(super) fn compile(rule: &api::AgeRule, at: &Place<'_>) -> Option<Self> {
        let max = at.field("max").accept(seconds(&rule.max))?;
        Some(Self { max, written: rule.max.clone() })
    }

    fn judge_created(&self, created: &Created, now: Timestamp) -> Option<Violation> {
        let found = match created {
            Created::At(created) => {
                let age = now.as_second() - created.as_second();
                if age > self.max {
                    format!("was created on {}, {} ago", date(*created), human(age))
                } else if age < -DAY {
                    format!("says that it was created on {}, which is yet to come", date(*created))
                } else {
                    return None;
                }
            }
            Created::Placeholder(created) => {
                format!(
                    "has no known age (created is {}, which reproducible builds write)",
                    quoted(&created.to_string())
                )
            }
            Created::Unknown => "has no known age (it does not say when it was created)".to_owned(),
            Created::Invalid(text) => {
                format!("has no known age (created is {}, which is no time)", quoted(text))
            }
        };
        Some(Violation::new(found, format!("an image of at most {}", self.written)))
    }
}

fn date(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).date().to_string()
}

fn human(seconds: i64) -> String {
    match seconds / DAY {
        0 | 1 => format!("{} hours", seconds / 3600),
        days => format!("{days} days"),
    }
}

impl ImageRule for AgeRule {
    fn name(&self) -> &'static str {
        "age"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_created(&seen.platform.config.created, seen.now).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn compile(max: &str) -> (Option<AgeRule>, Vec<(String, String)>) {
        let problems = Problems::default();
        let rule = api::AgeRule { max: max.to_owned() };
        (AgeRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    #[test]
    fn an_unknown_age_is_never_young() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-23T12:00:00Z");
        for (name, max, created, expected) in [
            ("young", "90d", Created::At(at("2026-11-01T00:00:00Z")), None),
            ("to the second", "1d", Created::At(at("2026-11-22T12:00:00Z")), None),
            (
                "old",
                "90d",
                Created::At(at("2026-01-01T00:00:00Z")),
                Some("was created on 2026-01-01, 326 days ago"),
            ),
            (
                "a few hours too old",
                "12h",
                Created::At(at("2026-11-22T18:00:00Z")),
                Some("was created on 2026-11-22, 18 hours ago"),
            ),
            ("a clock that is ahead", "90d", Created::At(at("2026-11-23T13:00:00Z")), None),
            (
                "in the future",
                "90d",
                Created::At(at("2999-01-01T00:00:00Z")),
                Some("says that it was created on 2999-01-01, which is yet to come"),
            ),
            (
                "placeholder",
                "90d",
                Created::Placeholder(at("1970-01-01T00:00:00Z")),
                Some(
                    "has no known age (created is \"1970-01-01T00:00:00Z\", which reproducible builds write)",
                ),
            ),
            (
                "missing",
                "90d",
                Created::Unknown,
                Some("has no known age (it does not say when it was created)"),
            ),
            (
                "invalid",
                "90d",
                Created::Invalid("yesterday".to_owned()),
                Some("has no known age (created is \"yesterday\", which is no time)"),
            ),
        ] {
            let found = compile(max).0.unwrap().judge_created(&created, now).map(|v| v.found);
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn refuses_bad_durations() {
        for text in ["90", "six months", "0d"] {
            let (rule, problems) = compile(text);
            assert!(rule.is_none());
            assert_eq!(problems[0].0, "max", "{text}");
        }
    }
}
