//! What `policy test` prints: one line for each case, and under a failed one what was not as expected.

use super::Suite;
use crate::{
    junit::{TestCase, TestSuite, document},
    text::{clean, count},
};
use anyhow::Result;
use serde_json::json;
use std::fmt::Write;

/// The longest line of a problem.
const MAX_LINE: usize = 600;

/// For a person.
pub(super) fn text(suites: &[Suite]) -> String {
    let mut text = String::new();
    for suite in suites {
        let _ = writeln!(text, "{}", suite.file);
        for outcome in &suite.outcomes {
            let mark = if outcome.problems.is_empty() { "ok  " } else { "FAIL" };
            let _ = writeln!(text, "  {mark}  {}", clean(&outcome.name, MAX_LINE));
            for problem in &outcome.problems {
                let _ = writeln!(text, "          {}", clean(problem, MAX_LINE));
            }
        }
        for policy in &suite.silent {
            let _ = writeln!(text, "  note  no case shows policy {policy} finding anything: can it?");
        }
    }
    let (passed, failed) = totals(suites);
    let cases = count(passed + failed, "case");
    let _ = writeln!(text, "\n{cases} in {}\n{passed} passed, {failed} failed", count(suites.len(), "file"));
    text
}

/// For a program.
pub(super) fn json(suites: &[Suite]) -> Result<String> {
    let (passed, failed) = totals(suites);
    let suites: Vec<_> = suites
        .iter()
        .map(|suite| {
            let cases: Vec<_> = suite
                .outcomes
                .iter()
                .map(|outcome| {
                    json!({
                        "name": outcome.name,
                        "passed": outcome.problems.is_empty(),
                        "problems": outcome.problems,
                    })
                })
                .collect();
            json!({ "file": suite.file, "cases": cases, "silentPolicies": suite.silent })
        })
        .collect();
    let report = json!({ "passed": passed, "failed": failed, "files": suites });
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn totals(suites: &[Suite]) -> (usize, usize) {
    let outcomes = suites.iter().flat_map(|suite| &suite.outcomes);
    let (passed, failed): (Vec<_>, Vec<_>) = outcomes.partition(|outcome| outcome.problems.is_empty());
    (passed.len(), failed.len())
}

/// For a CI server.
pub(super) fn junit(suites: &[Suite]) -> String {
    let suite = |suite: &Suite| TestSuite {
        name: suite.file.clone(),
        cases: suite
            .outcomes
            .iter()
            .map(|outcome| TestCase {
                name: outcome.name.clone(),
                class: suite.file.clone(),
                failures: outcome.problems.clone(),
                ..TestCase::default()
            })
            .collect(),
    };
    document(&suites.iter().map(suite).collect::<Vec<_>>())
}
