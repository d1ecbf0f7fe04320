//! A check for a person: a row for each object, what was found under it, and the sum at the end.

use super::Judged;
use crate::{
    policy::{Enforcement, Remark},
    survey::Outcome,
    text::{clean, count},
};
use std::fmt::Write;

/// Characters of a remark.
const MAX_REMARK: usize = 1000;
/// Wider objects push the rest of their row to the right, rather than all rows.
const MAX_COLUMN: usize = 48;

pub(super) fn text(judged: &[Judged], passed_over: usize) -> String {
    let titles: Vec<String> = judged.iter().map(Judged::title).collect();
    let width = titles.iter().map(|title| title.chars().count()).max().unwrap_or(0).min(MAX_COLUMN);
    let mut text = String::new();
    for (one, title) in judged.iter().zip(&titles) {
        let place = clean(&format!("{}:{}", one.object.file, one.object.line), 300);
        let _ = writeln!(text, "{:<11}  {title:<width$}  {place}", one.outcome().words());
        for remark in Remark::all(one.findings()) {
            let mark = match remark.finding.enforcement {
                Enforcement::Deny => "deny",
                Enforcement::Warn => "warn",
                Enforcement::Record => "note",
            };
            let message = clean(&remark.finding.message, MAX_REMARK);
            let _ = writeln!(text, "    {mark}  {message} [{}]", clean(&remark.source(), 300));
        }
    }
    if !judged.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{}", sum(judged, passed_over));
    text
}

fn sum(judged: &[Judged], passed_over: usize) -> String {
    let others = match passed_over {
        0 => String::new(),
        n => format!(" ({} without a Pod passed over)", count(n, "object")),
    };
    if judged.is_empty() {
        return format!("nothing to judge{others}");
    }
    let images = judged.iter().map(|one| one.object.workload.uses.len()).sum();
    let outcomes = [Outcome::Denied, Outcome::NotChecked, Outcome::Warned, Outcome::Clean];
    let parts: Vec<String> = outcomes
        .into_iter()
        .map(|outcome| (judged.iter().filter(|one| one.outcome() == outcome).count(), outcome))
        .filter(|(n, _)| *n > 0)
        .map(|(n, outcome)| format!("{n} {}", outcome.words()))
        .collect();
    let (objects, images) = (count(judged.len(), "object"), count(images, "image"));
    format!("{objects}, {images}: {}{others}", parts.join(", "))
}
