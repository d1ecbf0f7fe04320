//! `rules.platforms`: platforms that the image must be there for.
//!
//! **Fields read:** the platforms of every runnable entry of the index, whether the Pod could land there
//! or not; for a single manifest, the platform that its config names.
//!
//! **Allowed values:** `required`: each of these is there. Platforms are compared in their normal form,
//! so that `linux/arm64` is `linux/arm64/v8`; a variant counts, and Windows' version does not. An empty
//! list is not checked.
//!
//! **Odd values:** an image that names no platform is there for none. An image is judged once, not once
//! for each platform. For image volumes too.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1 as api,
    image::Platform,
    policy::{message::either, place::Place},
};

#[derive(Debug)]
pub(super) struct PlatformsRule {
    required: Vec<Platform>,
}

impl PlatformsRule {
    pub(super) fn compile(rule: &api::PlatformsRule, at: &Place<'_>) -> Option<Self> {
        let required = at.field("required").each(&rule.required, |text| {
            text.parse::<Platform>().map_err(|error| format!("{text:?} is not a platform: {error}"))
        });
        (!required.is_empty()).then_some(Self { required })
    }

    fn judge_platforms(&self, available: &[Platform]) -> Option<Violation> {
        let names = |platforms: &[&Platform]| platforms.iter().map(ToString::to_string).collect::<Vec<_>>();
        let is_there = |wanted: &Platform| available.iter().any(|has| is_same(has, wanted));
        let missing: Vec<&Platform> = self.required.iter().filter(|wanted| !is_there(wanted)).collect();
        if missing.is_empty() {
            return None;
        }
        let has = match available {
            [] => "it names none".to_owned(),
            available => format!("it is for {}", either(&names(&available.iter().collect::<Vec<_>>()))),
        };
        let required = names(&self.required.iter().collect::<Vec<_>>()).join(", ");
        Some(Violation::new(format!("is not there for {} ({has})", either(&names(&missing))), required))
    }
}

fn is_same(a: &Platform, b: &Platform) -> bool {
    (&a.os, &a.architecture, &a.variant) == (&b.os, &b.architecture, &b.variant)
}

impl ImageRule for PlatformsRule {
    fn name(&self) -> &'static str {
        "platforms"
    }

    fn is_for_volumes(&self) -> bool {
        true
    }

    fn is_per_platform(&self) -> bool {
        false
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_platforms(&seen.image.available).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn compile(required: &[&str]) -> (Option<PlatformsRule>, Vec<(String, String)>) {
        let problems = Problems::default();
        let rule = api::PlatformsRule { required: required.iter().map(|&s| s.to_owned()).collect() };
        (PlatformsRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    #[test]
    fn compares_normal_forms() {
        for (name, required, available, expected) in [
            ("there", &["linux/amd64"][..], &["linux/amd64", "linux/s390x"][..], None),
            ("normal form", &["linux/arm64"], &["linux/arm64/v8"], None),
            (
                "missing",
                &["linux/amd64", "linux/arm64"],
                &["linux/amd64"],
                Some("is not there for linux/arm64 (it is for linux/amd64)"),
            ),
            (
                "a newer machine only",
                &["linux/amd64"],
                &["linux/amd64/v3"],
                Some("is not there for linux/amd64 (it is for linux/amd64/v3)"),
            ),
            ("none", &["linux/amd64"], &[], Some("is not there for linux/amd64 (it names none)")),
        ] {
            let available: Vec<Platform> = available.iter().map(|text| text.parse().unwrap()).collect();
            let found = compile(required).0.unwrap().judge_platforms(&available).map(|v| v.found);
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn refuses_what_is_no_platform() {
        let (_, problems) = compile(&["linux/amd64", "amd64!"]);
        assert_eq!(problems[0].0, "required[1]");
        assert!(compile(&[]).0.is_none(), "an empty list checks nothing");
    }
}
