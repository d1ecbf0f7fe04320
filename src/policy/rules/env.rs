//! `rules.env`: environment variables, by name. Values are never shown: they may be secrets.
//!
//! **Fields read:** `config.Env` of the image, `env` of the container. Not `envFrom`: what a ConfigMap
//! or a Secret holds is not seen at admission.
//!
//! **Allowed values:**
//! - `forbidden`: no variable with a value in the image has a name that one of the globs matches; case
//!   counts. A variable that the container sets itself (by value or `valueFrom`) is passed over, as the image's
//!   value is not what runs; with `source: Image` it counts all the same, since whoever can read the
//!   image can read it. What the Pod sets is not judged: this is about what is baked into images.
//! - `required`: each name is set by the image or by the container (by value or `valueFrom`); with
//!   `source: Image`, by the image.
//!
//! Empty lists are not checked.
//!
//! **Odd values:** an empty value, or an entry without `=`, counts as set for `required`; for `forbidden`
//! it holds nothing and is passed over. Of duplicates each counts for `forbidden`, since each can be read
//! in the image; the last one does for `required`. A slash in a name is a character like others. One
//! violation names all forbidden variables.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1::{self as api, Source},
    image::Texts,
    policy::{
        glob::{Case, Globs, Stars},
        message::{either, quoted, several},
        place::Place,
    },
    workload::{EnvValue, Origin},
};

#[derive(Debug)]
pub(super) struct EnvRule {
    forbidden: Option<Globs>,
    required: Vec<String>,
    source: Source,
}

impl EnvRule {
    pub(super) fn compile(rule: &api::EnvRule, at: &Place<'_>) -> Option<Self> {
        let no_value = |text: &str| match text.split_once('=') {
            Some((name, _)) => Err(format!("is a name and a value; write the name alone: {name}")),
            None => Ok(()),
        };
        let forbidden = Globs::compile(
            &rule.forbidden,
            &at.field("forbidden"),
            Case::Counts,
            Stars::Everything,
            no_value,
        );
        let required = at.field("required").each(&rule.required, |name| {
            no_value(name)?;
            super::not_empty(name)
        });
        (forbidden.is_some() || !required.is_empty()).then_some(Self {
            forbidden,
            required,
            source: rule.source,
        })
    }

    /// `baked_in`: the entries of ENV as they stand in the image, duplicates and all.
    fn judge_env(&self, baked_in: &Texts, env: &[EnvValue<'_>]) -> Vec<Violation> {
        let mut violations = Vec::new();
        let is_replaced = |name: &str| {
            let by_container =
                |variable: &EnvValue<'_>| variable.origin == Origin::Container && variable.name == name;
            self.source == Source::Effective && env.iter().any(by_container)
        };
        if let Some(globs) = &self.forbidden {
            let mut names: Vec<&str> = baked_in
                .iter()
                .filter_map(|entry| entry.split_once('='))
                .filter(|(name, value)| !value.is_empty() && globs.is_match(name) && !is_replaced(name))
                .map(|(name, _)| name)
                .collect();
            names.dedup();
            if !names.is_empty() {
                violations.push(Violation::new(
                    format!("has a value in its ENV for {}", several(&names)),
                    format!("no variable like {}: let the Pod set it by valueFrom", either(globs.patterns())),
                ));
            }
        }
        let is_set = |name: &String| env.iter().any(|variable| variable.name == *name);
        violations.extend(self.required.iter().filter(|name| !is_set(name)).map(|name| {
            let how = match self.source {
                Source::Effective => "set ENV in the image or env in the container",
                Source::Image => "set ENV in the image",
            };
            Violation::new(format!("does not set the variable {}", quoted(name)), how)
        }));
        violations
    }
}

impl ImageRule for EnvRule {
    fn name(&self) -> &'static str {
        "env"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_env(&seen.platform.config.env, &seen.by(self.source).env)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|&item| item.to_owned()).collect()
    }

    fn compile(forbidden: &[&str], required: &[&str]) -> (Option<EnvRule>, Vec<(String, String)>) {
        let rule =
            api::EnvRule { forbidden: list(forbidden), required: list(required), source: Source::Effective };
        let problems = Problems::default();
        (EnvRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    fn variable(name: &str, origin: Origin) -> EnvValue<'_> {
        EnvValue { name, value: Some("hunter2".into()), origin }
    }

    /// ENV as the image has it.
    fn baked_in(env: &[EnvValue<'_>]) -> Texts {
        let of_image = env.iter().filter(|variable| variable.origin == Origin::Image);
        of_image
            .map(|variable| format!("{}={}", variable.name, variable.value.as_deref().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn every_entry_of_the_image_counts() {
        let rule = compile(&["*PASSWORD*"], &[]).0.unwrap();
        for (name, entries, found) in [
            ("an empty one after it", &["DB_PASSWORD=x", "DB_PASSWORD="][..], 1),
            ("an empty one before it", &["DB_PASSWORD=", "DB_PASSWORD=x"], 1),
            ("a slash in the name", &["app/DB_PASSWORD=x"], 1),
            ("no value", &["DB_PASSWORD", "DB_PASSWORD="], 0),
        ] {
            let entries: Texts = entries.iter().collect();
            assert_eq!(rule.judge_env(&entries, &[]).len(), found, "{name}");
        }
    }

    #[test]
    fn judges_names_and_never_shows_values() {
        let forbidden = ["*_TOKEN", "*PASSWORD*"];
        for (name, forbidden, required, env, expected) in [
            ("clean", &forbidden[..], &[][..], vec![variable("PATH", Origin::Image)], vec![]),
            (
                "baked in",
                &forbidden,
                &[],
                vec![variable("GH_TOKEN", Origin::Image)],
                vec!["has a value in its ENV for \"GH_TOKEN\""],
            ),
            (
                "an empty value",
                &forbidden,
                &[],
                vec![EnvValue { value: Some("".into()), ..variable("GH_TOKEN", Origin::Image) }],
                vec![],
            ),
            ("case counts", &forbidden, &[], vec![variable("gh_token", Origin::Image)], vec![]),
            ("set by the Pod", &forbidden, &[], vec![variable("GH_TOKEN", Origin::Container)], vec![]),
            ("required and set", &[], &["TZ"], vec![variable("TZ", Origin::Container)], vec![]),
            (
                "required and missing",
                &[],
                &["TZ"],
                vec![variable("tz", Origin::Image)],
                vec!["does not set the variable \"TZ\""],
            ),
        ] {
            let violations = compile(forbidden, required).0.unwrap().judge_env(&baked_in(&env), &env);
            let found: Vec<&str> = violations.iter().map(|v| v.found.as_str()).collect();
            assert_eq!(found, expected, "{name}");
            assert!(!format!("{violations:?}").contains("hunter2"), "{name}");
        }
    }

    #[test]
    fn refuses_values_and_bad_globs() {
        for (name, forbidden, required, field) in [
            ("a value", &["TOKEN=x"][..], &[][..], "forbidden[0]"),
            ("no glob", &["[A"], &[], "forbidden[0]"),
            ("empty", &[], &["A", ""], "required[1]"),
            ("a required value", &[], &["A=1"], "required[0]"),
        ] {
            assert_eq!(compile(forbidden, required).1[0].0, field, "{name}");
        }
    }
}
