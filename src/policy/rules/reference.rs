//! `rules.reference`: how the Pod names the image. This rule needs no registry.
//!
//! **Fields read:** the image of the container or volume, as the kubelet reads it: `nginx` is
//! `docker.io/library/nginx:latest`.
//!
//! **Allowed values:**
//! - `digest: true`: there is a digest.
//! - `registries`: the registry's domain matches one of the globs. Case does not count, and the port
//!   443 may be left out. An empty list is not checked.
//! - `tags.forbidden`: no glob matches the tag. Without tag and digest the tag is `latest`. Beside a
//!   digest a tag is not used by any runtime, and not judged. An empty list is not checked.
//!
//! **Odd values:** a name that cannot be read cannot be judged: it is an image that could not be looked
//! at, and `onResolutionFailure` decides. For image volumes too.

use super::Violation;
use crate::{
    api::v1alpha1 as api,
    image::Reference,
    policy::{
        glob::{Case, Globs, Stars, domains, of_registries},
        message::{either, quoted},
        place::Place,
    },
};

/// The tag of a reference without tag and digest.
const LATEST: &str = "latest";

#[derive(Debug)]
pub(in crate::policy) struct ReferenceRule {
    digest: bool,
    registries: Option<Globs>,
    forbidden_tags: Option<Globs>,
}

impl ReferenceRule {
    /// The rule's name in the policy.
    pub(in crate::policy) const NAME: &'static str = "reference";

    pub(super) fn compile(rule: &api::ReferenceRule, at: &Place<'_>) -> Option<Self> {
        let registries = of_registries(&rule.registries, &at.field("registries"));
        let tags = rule.tags.as_ref().map(|tags| tags.forbidden.as_slice()).unwrap_or_default();
        let tags_at = at.field("tags").field("forbidden");
        let forbidden_tags = Globs::compile(tags, &tags_at, Case::Counts, Stars::WithinComponents, |tag| {
            if tag.contains([':', '/', '@']) {
                return Err(format!("{tag:?} is more than a tag"));
            }
            Ok(())
        });
        (rule.digest || registries.is_some() || forbidden_tags.is_some()).then_some(Self {
            digest: rule.digest,
            registries,
            forbidden_tags,
        })
    }

    /// What is wrong with the name.
    pub(in crate::policy) fn judge(&self, reference: &Reference) -> Vec<Violation> {
        let mut violations = Vec::new();
        let tag = reference.tag().unwrap_or(LATEST);
        let is_moving = reference.digest().is_none();
        if self.digest && is_moving {
            violations.push(Violation::new(
                format!("is named by the tag {}, which can move", quoted(tag)),
                "a digest (name@sha256:…), which cannot",
            ));
        }
        if let Some(globs) = &self.registries
            && !domains(reference.domain()).any(|domain| globs.is_match(domain))
        {
            violations.push(Violation::new(
                format!("comes from the registry {}", quoted(reference.domain())),
                format!("an image from {}", either(globs.patterns())),
            ));
        }
        if let Some(globs) = &self.forbidden_tags
            && is_moving
            && globs.is_match(tag)
        {
            violations.push(Violation::new(
                format!("has the tag {}", quoted(tag)),
                format!("a tag other than {}, or a digest", either(globs.patterns())),
            ));
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|&item| item.to_owned()).collect()
    }

    fn compile(
        digest: bool,
        registries: &[&str],
        tags: &[&str],
    ) -> (Option<ReferenceRule>, Vec<(String, String)>) {
        let tags = Some(api::TagsRule { forbidden: list(tags) });
        let rule = api::ReferenceRule { digest, registries: list(registries), tags };
        let problems = Problems::default();
        (ReferenceRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    #[test]
    fn judges_names_as_the_kubelet_reads_them() {
        let digest = format!("nginx:latest@sha256:{}", "a".repeat(64));
        for (name, rule, image, expected) in [
            ("digest", (true, &[][..], &["latest"][..]), digest.as_str(), vec![]),
            ("tag", (true, &[], &[]), "nginx:1.27", vec!["is named by the tag \"1.27\", which can move"]),
            ("neither", (true, &[], &[]), "nginx", vec!["is named by the tag \"latest\", which can move"]),
            ("registry", (false, &["docker.io"], &[]), "nginx", vec![]),
            ("registry by glob", (false, &["*.acme.io"], &[]), "eu.acme.io/app:1", vec![]),
            (
                "another registry",
                (false, &["registry.acme.io"], &[]),
                "nginx",
                vec!["comes from the registry \"docker.io\""],
            ),
            (
                "a longer name",
                (false, &["acme.io"], &[]),
                "acme.io.evil.example/app",
                vec!["comes from the registry \"acme.io.evil.example\""],
            ),
            ("port 443", (false, &["acme.io"], &[]), "acme.io:443/app", vec![]),
            ("upper case", (false, &["acme.io"], &[]), "ACME.io/app", vec![]),
            ("implied latest", (false, &[], &["latest"]), "nginx", vec!["has the tag \"latest\""]),
            ("tag by glob", (false, &[], &["*-dev"]), "app:1-dev", vec!["has the tag \"1-dev\""]),
            ("another tag", (false, &[], &["latest"]), "nginx:1.27", vec![]),
        ] {
            let rule = compile(rule.0, rule.1, rule.2).0.unwrap();
            let violations = rule.judge(&image.parse().unwrap());
            assert_eq!(violations.iter().map(|v| v.found.as_str()).collect::<Vec<_>>(), expected, "{name}");
        }
    }

    #[test]
    fn refuses_what_matches_nothing() {
        for (name, registries, tags, field) in [
            ("a path", &["acme.io/team"][..], &[][..], "registries[0]"),
            ("an alias", &["index.docker.io"], &[], "registries[0]"),
            ("a whole image", &[], &["nginx:latest"], "tags.forbidden[0]"),
        ] {
            assert_eq!(compile(true, registries, tags).1[0].0, field, "{name}");
        }
        assert!(compile(false, &[], &[]).0.is_none(), "empty lists check nothing");
    }
}
