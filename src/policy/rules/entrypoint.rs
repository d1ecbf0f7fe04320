//! `rules.entrypoint`: the program that the container runs.
//!
//! **Fields read:** `command` and `args` of the container over ENTRYPOINT and CMD of the image, joined
//! as the runtime joins them. With `source: Image`, ENTRYPOINT and CMD alone.
//!
//! **Allowed values:**
//! - `required`: there is a first word, and it is not empty. Without one the runtime refuses to start
//!   the container.
//! - `forbidden`: the first word is none of these. An item without `/` is the name of a program in any
//!   folder. An item with `/` is that very path; a first word without `/` is looked up in PATH, so it
//!   counts as that path if the name is the same. An empty list is not checked.
//!
//! **Odd values:** the shell form of ENTRYPOINT and CMD is `/bin/sh -c …`, so its first word is
//! `/bin/sh`. Only the first word is looked at: `env bash` runs `env`. With nothing to run, nothing
//! forbidden runs either: ask for `required` too.

use super::{ImageRule, Seen, Violation, not_empty};
use crate::{
    api::v1alpha1::{self as api, Source},
    policy::{message::quoted, place::Place},
    workload::{EffectiveContainer, Origin},
};

#[derive(Debug)]
pub(super) struct EntrypointRule {
    required: bool,
    forbidden: Vec<String>,
    source: Source,
}

impl EntrypointRule {
    pub(super) fn compile(rule: &api::EntrypointRule, at: &Place<'_>) -> Option<Self> {
        let forbidden = at.field("forbidden").each(&rule.forbidden, |program| {
            if program.contains(char::is_whitespace) {
                return Err(format!("{program:?} is more than a program: write its first word alone"));
            }
            if program.ends_with('/') {
                return Err(format!("{program:?} is a folder: write a name or a path"));
            }
            not_empty(program)
        });
        (rule.required || !forbidden.is_empty()).then_some(Self {
            required: rule.required,
            forbidden,
            source: rule.source,
        })
    }

    /// `origin` says who chose the first word.
    fn judge_program(&self, program: Option<&str>, origin: Origin) -> Option<Violation> {
        let Some(program) = program.filter(|program| !program.is_empty()) else {
            return self.required.then(|| {
                let wanted = match self.source {
                    Source::Effective => "a program: set ENTRYPOINT in the image or command in the container",
                    Source::Image => "a program: set ENTRYPOINT in the image",
                };
                Violation::new("has nothing to run (no first word in ENTRYPOINT and CMD)", wanted)
            });
        };
        let forbidden = self.forbidden.iter().find(|forbidden| is_program(program, forbidden))?;
        let by = if origin == Origin::Container { "the container's command or args" } else { "the image" };
        Some(Violation::new(
            format!("runs {}, chosen by {by}", quoted(program)),
            format!("another program than {forbidden}"),
        ))
    }
}

fn is_program(program: &str, forbidden: &str) -> bool {
    let name = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    match (program.contains('/'), forbidden.contains('/')) {
        (_, false) => name(program) == forbidden,
        (false, true) => name(program) == name(forbidden),
        (true, true) => components(program) == components(forbidden),
    }
}

/// The parts of a path; `/bin//./sh` has those of `/bin/sh`.
fn components(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

/// The first word, and who chose it.
fn first_word<'a>(container: &'a EffectiveContainer<'_>) -> (Option<&'a str>, Origin) {
    match (container.command.value.first(), container.args.value.first()) {
        (Some(word), _) => (Some(word), container.command.origin),
        (None, word) => (word.map(String::as_str), container.args.origin),
    }
}

impl ImageRule for EntrypointRule {
    fn name(&self) -> &'static str {
        "entrypoint"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        let (program, origin) = first_word(seen.by(self.source));
        self.judge_program(program, origin).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn compile(required: bool, forbidden: &[&str]) -> (Option<EntrypointRule>, Vec<(String, String)>) {
        let forbidden = forbidden.iter().map(|&s| s.to_owned()).collect();
        let rule = api::EntrypointRule { required, forbidden, source: Source::Effective };
        let problems = Problems::default();
        (EntrypointRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    #[test]
    fn judges_the_first_word() {
        for (name, required, forbidden, program, expected) in [
            ("a program", true, &["/bin/sh", "bash"][..], Some("/app"), None),
            ("nothing", true, &[], None, Some("has nothing to run (no first word in ENTRYPOINT and CMD)")),
            (
                "an empty word",
                true,
                &[],
                Some(""),
                Some("has nothing to run (no first word in ENTRYPOINT and CMD)"),
            ),
            ("nothing, not asked for", false, &["bash"], None, None),
            ("the path", false, &["/bin/sh"], Some("/bin/sh"), Some("runs \"/bin/sh\", chosen by the image")),
            ("the path, in another spelling", false, &["/bin/sh"], Some("/bin//./sh"), Some("")),
            ("another path", false, &["/bin/sh"], Some("/opt/sh"), None),
            ("found in PATH", false, &["/bin/sh"], Some("sh"), Some("")),
            ("a name in any folder", false, &["bash"], Some("/usr/local/bin/bash"), Some("")),
            ("a longer name", false, &["bash"], Some("/usr/bin/rbash"), None),
            ("Windows", false, &["cmd.exe"], Some("C:\\Windows\\System32\\cmd.exe"), Some("")),
        ] {
            let violation = compile(required, forbidden).0.unwrap().judge_program(program, Origin::Image);
            match expected {
                Some("") => assert!(violation.is_some(), "{name}"),
                expected => assert_eq!(violation.map(|v| v.found).as_deref(), expected, "{name}"),
            }
        }
    }

    #[test]
    fn refuses_what_is_no_program() {
        for text in ["", "/bin/sh -c", "/bin/"] {
            assert_eq!(compile(true, &["a", text]).1[0].0, "forbidden[1]", "{text:?}");
        }
        assert!(compile(false, &[]).0.is_none(), "an empty list checks nothing");
    }
}
