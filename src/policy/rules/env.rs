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
//! it holds nothing and is passed over. The last of duplicates counts. One violation names all
//! forbidden variables.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1::{self as api, Source},
    policy::{
        glob::{Case, Globs},
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
        let forbidden = Globs::compile(&rule.forbidden, &at.field("forbidden"), Case::Counts, no_value);
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

    fn judge_env(&self, env: &[EnvValue]) -> Vec<Violation> {
        let mut violations = Vec::new();
        if let Some(globs) = &self.forbidden {
            let baked_in: Vec<&str> = env
                .iter()
                .filter(|variable| variable.origin == Origin::Image && !holds_nothing(variable))
                .filter(|variable| globs.is_match(&variable.name))
                .map(|variable| variable.name.as_str())
                .collect();
            if !baked_in.is_empty() {
                violations.push(Violation::new(
                    format!("has a value in its ENV for {}", several(&baked_in)),
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

fn holds_nothing(variable: &EnvValue) -> bool {
    variable.value.as_deref().is_some_and(str::is_empty)
}

impl ImageRule for EnvRule {
    fn name(&self) -> &'static str {
        "env"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_env(&seen.by(self.source).env)
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

    fn variable(name: &str, origin: Origin) -> EnvValue {
        EnvValue { name: name.to_owned(), value: Some("hunter2".to_owned()), origin }
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
                vec![EnvValue { value: Some(String::new()), ..variable("GH_TOKEN", Origin::Image) }],
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
            let violations = compile(forbidden, required).0.unwrap().judge_env(&env);
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
