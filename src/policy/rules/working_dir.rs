//! `rules.workingDir`: the working directory.
//!
//! **Fields read:** `workingDir` of the container, then WORKDIR of the image, then `/`. With
//! `source: Image`, WORKDIR alone.
//!
//! **Allowed values:** `oneOf`: one of these paths; a slash at the end does not count. An empty list is
//! not checked.
//!
//! **Odd values:** without WORKDIR the directory is `/` (on Windows `C:\`), and is judged as that.

use super::{ImageRule, Seen, Violation, not_empty};
use crate::{
    api::v1alpha1::{self as api, Source},
    policy::{
        message::{either, quoted},
        place::Place,
    },
    workload::{Effective, Origin},
};

#[derive(Debug)]
pub(super) struct WorkingDirRule {
    one_of: Vec<String>,
    source: Source,
}

impl WorkingDirRule {
    pub(super) fn compile(rule: &api::WorkingDirRule, at: &Place<'_>) -> Option<Self> {
        let one_of = at.field("oneOf").each(&rule.one_of, |path| {
            let is_absolute = path.starts_with('/') || path.get(1..3) == Some(":\\");
            if path.is_empty() || is_absolute {
                not_empty(path)
            } else {
                Err(format!("{path:?} is not an absolute path"))
            }
        });
        (!one_of.is_empty()).then_some(Self { one_of, source: rule.source })
    }

    fn judge_dir(&self, dir: &Effective<&str>) -> Option<Violation> {
        let trim = |path: &str| path.trim_end_matches('/').to_owned();
        if self.one_of.iter().any(|one| trim(one) == trim(dir.value)) {
            return None;
        }
        let by = match dir.origin {
            Origin::Container | Origin::Pod => "set by the container's workingDir",
            Origin::Image => "set by WORKDIR",
            Origin::Default => "as WORKDIR is not set",
        };
        Some(Violation::new(format!("works in {}, {by}", quoted(dir.value)), either(&self.one_of)))
    }
}

impl ImageRule for WorkingDirRule {
    fn name(&self) -> &'static str {
        "workingDir"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_dir(&seen.by(self.source).working_dir).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn compile(one_of: &[&str]) -> (Option<WorkingDirRule>, Vec<(String, String)>) {
        let one_of = one_of.iter().map(|&s| s.to_owned()).collect();
        let problems = Problems::default();
        let rule = api::WorkingDirRule { one_of, source: Source::Effective };
        (WorkingDirRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    #[test]
    fn judges_the_directory() {
        for (name, dir, origin, expected) in [
            ("one of them", "/app", Origin::Image, None),
            ("slash at the end", "/app/", Origin::Image, None),
            ("another", "/", Origin::Default, Some("works in \"/\", as WORKDIR is not set")),
            (
                "below",
                "/app/x",
                Origin::Container,
                Some("works in \"/app/x\", set by the container's workingDir"),
            ),
        ] {
            let dir = Effective { value: dir, origin };
            let found = compile(&["/app", "/srv"]).0.unwrap().judge_dir(&dir).map(|v| v.found);
            assert_eq!(found.as_deref(), expected, "{name}");
        }
        assert!(
            compile(&["/"])
                .0
                .unwrap()
                .judge_dir(&Effective { value: "/", origin: Origin::Default })
                .is_none()
        );
    }

    #[test]
    fn refuses_relative_paths() {
        for text in ["app", ""] {
            assert_eq!(compile(&["/app", text]).1[0].0, "oneOf[1]", "{text:?}");
        }
        assert!(compile(&[]).0.is_none(), "an empty list checks nothing");
    }
}
