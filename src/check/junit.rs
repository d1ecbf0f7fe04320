//! A check for a CI server: a suite for each file, a case for each object. What a violation denies is a
//! failure; what could not be checked is an error.

use super::Judged;
use crate::{
    junit::{TestCase, TestSuite, document},
    policy::{Enforcement, FindingKind, Remark},
};

pub(super) fn text(judged: &[Judged]) -> String {
    let mut suites: Vec<TestSuite> = Vec::new();
    for one in judged {
        if suites.last().is_none_or(|suite| suite.name != one.object.file) {
            suites.push(TestSuite { name: one.object.file.clone(), cases: Vec::new() });
        }
        suites.last_mut().into_iter().for_each(|suite| suite.cases.push(case(one)));
    }
    document(&suites)
}

fn case(one: &Judged) -> TestCase {
    let mut case = TestCase { name: one.title(), class: one.object.file.clone(), ..TestCase::default() };
    for remark in Remark::all(one.findings()) {
        let list = match (remark.finding.enforcement, remark.finding.kind) {
            (Enforcement::Deny, FindingKind::Violation) => &mut case.failures,
            (Enforcement::Deny, _) => &mut case.errors,
            (Enforcement::Warn | Enforcement::Record, _) => &mut case.notes,
        };
        list.push(format!("{} [{}]", remark.finding.message, remark.source()));
    }
    case
}
