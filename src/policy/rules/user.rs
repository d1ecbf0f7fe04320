//! `rules.user`: who the container runs as.
//!
//! **Fields read:** `runAsUser` of the container, then of the Pod, then USER of the image (on Windows
//! `windowsOptions.runAsUserName` and USER). With `source: Image`, USER alone. The group is not read:
//! Kubernetes ignores the image's.
//!
//! **Allowed values:**
//! - `runAsNonRoot`: a uid of 1 or more. Not: an empty USER (root), 0 in any spelling (`00`, `+0`,
//!   `0:1000`), `root`, any other name (only the image's `/etc/passwd` knows its uid, so it cannot be
//!   proven), a number beyond 2147483647 (runtimes have run it as root: CVE-2024-40635,
//!   CVE-2026-46680), more than one colon.
//! - `numeric`: a uid, 0 included. Not: an empty USER, a name.
//! - `ranges`: a uid in one of the ranges. Not: an empty USER, even where 0 is in a range; a name. An
//!   empty list is not checked.
//!
//! **Odd values:** `runAsNonRoot: true` in the Pod does not satisfy the rule: it keeps the container
//! from starting, and the message says so. One user gives one violation, however much is wanted.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1::{self as api, Source},
    image::{RunsAsRoot, UserKind},
    policy::{
        amount::{Range, range},
        message::{either, quoted},
        place::Place,
    },
    workload::{Effective, EffectiveUser, Origin},
};

/// The largest uid that runtimes take.
const MAX_UID: u32 = i32::MAX.unsigned_abs();

#[derive(Debug)]
pub(super) struct UserRule {
    non_root: bool,
    numeric: bool,
    ranges: Vec<Range>,
    written: Vec<String>,
    source: Source,
}

impl UserRule {
    pub(super) fn compile(rule: &api::UserRule, at: &Place<'_>) -> Option<Self> {
        let ranges = at.field("ranges").each(&rule.ranges, |text| range(text, MAX_UID));
        (rule.run_as_non_root || rule.numeric || !ranges.is_empty()).then(|| Self {
            non_root: rule.run_as_non_root,
            numeric: rule.numeric,
            ranges,
            written: rule.ranges.clone(),
            source: rule.source,
        })
    }

    fn judge_user(&self, user: &Effective<EffectiveUser>, run_as_non_root: bool) -> Option<Violation> {
        let uid = match user.value.kind {
            UserKind::Uid(uid) => Some(uid),
            _ => None,
        };
        let in_range = |uid| self.ranges.iter().any(|range| (range.first..=range.last).contains(&uid));
        let passes = (!self.non_root || user.value.runs_as_root == RunsAsRoot::No)
            && (!self.numeric || uid.is_some())
            && (self.ranges.is_empty() || uid.is_some_and(in_range));
        (!passes).then(|| {
            let may_be_root = user.value.runs_as_root != RunsAsRoot::No;
            let stopped = if run_as_non_root && may_be_root {
                ", so that runAsNonRoot keeps it from starting"
            } else {
                ""
            };
            Violation::new(format!("{}{stopped}", found(user)), self.wanted())
        })
    }

    fn wanted(&self) -> String {
        let kind = match (self.non_root, self.numeric) {
            (true, true) => "a numeric non-root user",
            (true, false) => "a non-root user",
            (false, true) => "a numeric user",
            (false, false) => "a user",
        };
        let range = match self.ranges.as_slice() {
            [] => String::new(),
            _ => format!(" with a uid in {}", either(&self.written)),
        };
        let how = match self.source {
            Source::Effective => "set USER in the image or runAsUser in the Pod",
            Source::Image => "set USER in the image",
        };
        format!("{kind}{range}: {how}")
    }
}

/// What the user is, and who says so.
fn found(user: &Effective<EffectiveUser>) -> String {
    let raw = &user.value.raw;
    let said = match user.origin {
        Origin::Container => format!("runAsUser of the container is {}", quoted(raw)),
        Origin::Pod => format!("runAsUser of the Pod is {}", quoted(raw)),
        Origin::Image => format!("USER is {}", quoted(raw)),
        Origin::Default => "USER is empty".to_owned(),
    };
    match (&user.value.kind, user.value.runs_as_root) {
        (UserKind::OutOfRange, _) => {
            format!("has a uid beyond {MAX_UID}, which runtimes have run as root ({said})")
        }
        (UserKind::Malformed, _) => format!("has a user that no runtime understands ({said})"),
        (_, RunsAsRoot::Yes) => format!("runs as root ({said})"),
        (UserKind::Name(_), RunsAsRoot::Unknown) => {
            format!("runs as a name, which cannot be proven to be non-root ({said})")
        }
        (UserKind::Name(_), RunsAsRoot::No) => format!("runs as a name ({said})"),
        (UserKind::Uid(uid), _) => format!("runs as uid {uid} ({said})"),
        (UserKind::Unset, _) => format!("runs as an unknown user ({said})"),
    }
}

impl ImageRule for UserRule {
    fn name(&self) -> &'static str {
        "user"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        let container = seen.by(self.source);
        let run_as_non_root =
            seen.effective.run_as_non_root == Some(true) && self.source == Source::Effective;
        self.judge_user(&container.user, run_as_non_root).into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
