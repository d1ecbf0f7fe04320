//! `rules.labels`: labels in the image's config.
//!
//! **Fields read:** `config.Labels`. Nothing in a Pod overrides them; the Pod's own labels and the
//! manifest's annotations are not read (CEL sees `image.annotations`).
//!
//! **Allowed values**, for each entry:
//! - with `required` (the default): the label is there. With a `pattern`, the pattern is found in its
//!   value; without one, the value is not empty.
//! - with `required: false`: the label is not there, or the pattern is found in its value.
//!
//! **Odd values:** a pattern is searched for, not matched whole: anchor it. An empty value counts as
//! no value unless a pattern accepts it. Each label gives its own violation.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1::LabelRule,
    image::TextMap,
    policy::{message::quoted, place::Place},
    text::clean,
};
use regex::{Regex, RegexBuilder};

/// Bytes that a compiled pattern may take.
const MAX_PATTERN: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct LabelsRule(Vec<Label>);

#[derive(Debug)]
struct Label {
    key: String,
    required: bool,
    pattern: Option<Regex>,
}

impl LabelsRule {
    pub(super) fn compile(rules: &[LabelRule], at: &Place<'_>) -> Option<Self> {
        let labels: Vec<Label> =
            rules.iter().enumerate().filter_map(|(i, rule)| Label::compile(rule, &at.item(i))).collect();
        (!labels.is_empty()).then_some(Self(labels))
    }

    fn judge_labels(&self, labels: &TextMap) -> Vec<Violation> {
        self.0.iter().filter_map(|label| label.judge(labels.get(&label.key))).collect()
    }
}

impl Label {
    fn compile(rule: &LabelRule, at: &Place<'_>) -> Option<Self> {
        if !rule.required && rule.pattern.is_none() {
            at.refuse("checks nothing: give a pattern, or leave required out");
        }
        let pattern = match &rule.pattern {
            Some(text) => Some(at.field("pattern").accept(pattern(text))?),
            None => None,
        };
        Some(Self { key: rule.key.clone(), required: rule.required, pattern })
    }

    fn judge(&self, value: Option<&str>) -> Option<Violation> {
        let key = || clean(&self.key, 100);
        let wanted = || match &self.pattern {
            Some(pattern) => format!("a value that matches {}", clean(pattern.as_str(), 80)),
            None => "a value: set LABEL in the image".to_owned(),
        };
        match (value, &self.pattern) {
            (None, _) if self.required => Some(Violation::new(format!("has no label {}", key()), wanted())),
            (Some(value), Some(pattern)) if !pattern.is_match(value) => {
                Some(Violation::new(format!("has label {} = {}", key(), quoted(value)), wanted()))
            }
            (Some(""), None) => {
                Some(Violation::new(format!("has label {} with an empty value", key()), wanted()))
            }
            _ => None,
        }
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN).build().map_err(|error| {
        // The library draws the place over several lines; its last line says what is wrong.
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default();
        format!("is not a regular expression: {}", why.strip_prefix("error: ").unwrap_or(why))
    })
}

impl ImageRule for LabelsRule {
    fn name(&self) -> &'static str {
        "labels"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_labels(&seen.platform.config.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn rule(required: bool, pattern: Option<&str>) -> (Option<LabelsRule>, Vec<(String, String)>) {
        let rule = LabelRule { key: "team".to_owned(), required, pattern: pattern.map(ToOwned::to_owned) };
        let problems = Problems::default();
        let compiled = LabelsRule::compile(&[rule], &Place::root(&problems).field("labels"));
        (compiled, problems.into_inner())
    }

    #[test]
    fn an_absent_label_never_passes_by_accident() {
        for (name, required, pattern, value, expected) in [
            ("there", true, None, Some("blue"), None),
            ("missing", true, None, None, Some("has no label team")),
            ("empty", true, None, Some(""), Some("has label team with an empty value")),
            ("missing, with a pattern", true, Some("^b"), None, Some("has no label team")),
            ("missing, with a pattern for everything", true, Some(".*"), None, Some("has no label team")),
            ("matches", true, Some("^b"), Some("blue"), None),
            ("does not match", true, Some("^b"), Some("red"), Some("has label team = \"red\"")),
            ("empty, which the pattern accepts", true, Some("^$"), Some(""), None),
            ("optional and missing", false, Some("^b"), None, None),
            ("optional and wrong", false, Some("^b"), Some("red"), Some("has label team = \"red\"")),
            (
                "control characters",
                true,
                Some("^b"),
                Some("r\u{1b}\n"),
                Some("has label team = \"r\\u{1b}\\n\""),
            ),
        ] {
            let rule = rule(required, pattern).0.unwrap();
            let labels = value.map(|value| ("team".to_owned(), value.to_owned())).into_iter().collect();
            let found: Vec<String> = rule.judge_labels(&labels).into_iter().map(|v| v.found).collect();
            assert_eq!(found, Vec::from_iter(expected.map(ToOwned::to_owned)), "{name}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_checked() {
        for (name, required, pattern, field, why) in [
            ("nothing to check", false, None, "labels[0]", "checks nothing"),
            (
                "no expression",
                true,
                Some("("),
                "labels[0].pattern",
                "is not a regular expression: unclosed group",
            ),
            (
                "look-around",
                true,
                Some("(?=a)"),
                "labels[0].pattern",
                "is not a regular expression: look-around",
            ),
            ("too large", true, Some("(\\w{99}){99}{99}"), "labels[0].pattern", "exceeds size limit"),
        ] {
            let problems = rule(required, pattern).1;
            assert_eq!(problems.len(), 1, "{name}: {problems:?}");
            assert_eq!(problems[0].0, field, "{name}");
            assert!(problems[0].1.contains(why), "{name}: {}", problems[0].1);
        }
    }
}
