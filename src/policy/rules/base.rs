//! `rules.base`: what the image says it was built on. It is the image's own word: a signature or an
//! attestation would be a proof.
//!
//! **Fields read:** `org.opencontainers.image.base.name` and `org.opencontainers.image.base.digest`
//! (image-spec, annotations.md): the manifest's annotations, then the index's, then the config's labels.
//! The first that is not empty counts.
//!
//! **Allowed values:**
//! - `names`: one of the globs matches the name, as written or in its normal form (`debian:12` is
//!   `docker.io/library/debian:12`). `*` stays within a path component.
//! - `digests`: one of these digests.
//!
//! Where both are given, both must hold. An empty list is not checked.
//!
//! **Odd values:** an image that does not say its base is a violation; so is a digest that is none.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1 as api,
    image::{Digest, Reference, TextMap},
    policy::{
        glob::{Case, Globs, Stars},
        message::{either, quoted},
        place::Place,
    },
};

const NAME: &str = "org.opencontainers.image.base.name";
const DIGEST: &str = "org.opencontainers.image.base.digest";

#[derive(Debug)]
pub(super) struct BaseRule {
    names: Option<Globs>,
    digests: Vec<Digest>,
}

/// Where an image may say its base, in the order in which it is believed.
type Places<'a> = [&'a TextMap; 3];

impl BaseRule {
    pub(super) fn compile(rule: &api::BaseRule, at: &Place<'_>) -> Option<Self> {
        let names = Globs::compile(
            &rule.names,
            &at.field("names"),
            Case::Counts,
            Stars::WithinComponents,
            |_| Ok(()),
        );
        let digests = at.field("digests").each(&rule.digests, |text| {
            text.parse::<Digest>().map_err(|error| format!("{text:?} is not a digest: {error}"))
        });
        (names.is_some() || !digests.is_empty()).then_some(Self { names, digests })
    }

    fn judge_base(&self, places: Places<'_>) -> Vec<Violation> {
        let mut violations = Vec::new();
        let of = |key| places.into_iter().filter_map(|place| place.get(key)).find(|value| !value.is_empty());
        let unknown = |key: &str| format!("does not say what it was built on (no {key})");
        if let Some(globs) = &self.names {
            let found = match of(NAME) {
                Some(name) => (!is_match(globs, name)).then(|| format!("was built on {}", quoted(name))),
                None => Some(unknown(NAME)),
            };
            let wanted = || format!("a base image like {}", either(globs.patterns()));
            violations.extend(found.map(|found| Violation::new(found, wanted())));
        }
        if !self.digests.is_empty() {
            let is_one =
                |digest: &str| digest.parse::<Digest>().is_ok_and(|digest| self.digests.contains(&digest));
            let found = match of(DIGEST) {
                Some(digest) => {
                    (!is_one(digest)).then(|| format!("was built on a base with digest {}", quoted(digest)))
                }
                None => Some(unknown(DIGEST)),
            };
            let wanted = || match self.digests.as_slice() {
                [digest] => format!("the base {digest}"),
                digests => format!("one of the {} digests of the policy", digests.len()),
            };
            violations.extend(found.map(|found| Violation::new(found, wanted())));
        }
        violations
    }
}

fn is_match(globs: &Globs, name: &str) -> bool {
    globs.is_match(name)
        || name.parse::<Reference>().is_ok_and(|reference| globs.is_match(&reference.to_string()))
}

impl ImageRule for BaseRule {
    fn name(&self) -> &'static str {
        "base"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        let platform = seen.platform;
        self.judge_base([&platform.annotations, &seen.image.index_annotations, &platform.config.labels])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn compile(names: &[&str], digests: &[&str]) -> (Option<BaseRule>, Vec<(String, String)>) {
        let list = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect();
        let rule = api::BaseRule { names: list(names), digests: list(digests) };
        let problems = Problems::default();
        (BaseRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    fn map(key: &str, value: &str) -> TextMap {
        [(key, value)].into_iter().collect()
    }

    #[test]
    fn judges_names() {
        let none = TextMap::default();
        let (debian, alpine, empty) =
            (map(NAME, "docker.io/library/debian:12"), map(NAME, "alpine:3"), map(NAME, ""));
        let short = map(NAME, "debian:12");
        let unknown = "does not say what it was built on (no org.opencontainers.image.base.name)";
        for (name, places, expected) in [
            ("the manifest says it", [&debian, &none, &none], None),
            ("the index says it", [&none, &debian, &none], None),
            ("a label says it", [&none, &none, &debian], None),
            ("a short name", [&short, &none, &none], None),
            ("the manifest goes first", [&alpine, &debian, &none], Some("was built on \"alpine:3\"")),
            ("empty is not said", [&empty, &debian, &none], None),
            ("nobody says it", [&none, &none, &none], Some(unknown)),
        ] {
            let rule = compile(&["docker.io/library/debian:*"], &[]).0.unwrap();
            let found: Vec<String> = rule.judge_base(places).into_iter().map(|v| v.found).collect();
            assert_eq!(found, Vec::from_iter(expected.map(ToOwned::to_owned)), "{name}");
        }
    }

    #[test]
    fn judges_digests() {
        let digest = |c: &str| format!("sha256:{}", c.repeat(64));
        let none = TextMap::default();
        for (name, said, passes) in [
            ("this one", Some(digest("a")), true),
            ("another", Some(digest("b")), false),
            ("no digest", Some("latest".to_owned()), false),
            ("nothing", None, false),
        ] {
            let labels = said.map(|said| map(DIGEST, &said)).unwrap_or_default();
            let rule = compile(&[], &[&digest("a")]).0.unwrap();
            assert_eq!(rule.judge_base([&labels, &none, &none]).is_empty(), passes, "{name}");
        }
    }

    #[test]
    fn refuses_what_is_no_digest() {
        assert_eq!(compile(&["["], &["sha256:abc"]).1.len(), 2);
        assert!(compile(&[], &[]).0.is_none(), "empty lists check nothing");
    }
}
