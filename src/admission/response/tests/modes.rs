use super::*;
use crate::policy::Excepted;

#[test]
fn modes_that_block_nothing_say_what_they_let_through() {
    for (mode, kind, decision, warning) in [
        (Mode::Enforce, "Pod", Decision::Deny, None),
        (
            Mode::Warn,
            "Pod",
            Decision::Warn,
            Some("would be refused if it were enforced: bad [policy baseline, user]"),
        ),
        (Mode::Audit, "Pod", Decision::Allow, None),
        (
            Mode::BreakGlass,
            "Pod",
            Decision::Warn,
            Some("let through, for the glass was broken: bad [policy baseline, user]"),
        ),
        (
            Mode::BreakGlass,
            "Deployment",
            Decision::Warn,
            Some("would be refused as a Pod: bad [policy baseline, user]"),
        ),
        (Mode::Audit, "Deployment", Decision::Allow, None),
    ] {
        let answer = respond(&request(kind), &verdict(vec![deny("bad")]), &[], mode);
        assert_eq!(answer.decision, decision, "{mode:?} {kind}");
        assert_eq!(answer.allowed, decision != Decision::Deny, "{mode:?} {kind}");
        let body = body(&answer);
        assert_eq!(body["warnings"][0].as_str(), warning, "{mode:?} {kind}");
        let told = (mode != Mode::Enforce).then(|| mode.as_str());
        assert_eq!(body["auditAnnotations"]["mode"].as_str(), told, "{mode:?} {kind}");
    }
}

#[test]
fn what_exceptions_let_pass_is_in_the_audit_log() {
    let excepted = Excepted { exception: "shop/legacy".to_owned(), finding: deny("bad") };
    let verdict = Verdict { excepted: vec![excepted], ..Verdict::default() };
    let body = body(&respond(&request("Pod"), &verdict, &[], Mode::Enforce));
    assert_eq!(body["allowed"], true);
    let text = body["auditAnnotations"]["excepted"].as_str().unwrap();
    assert!(text.contains("\"exception\":\"shop/legacy\"") && text.contains("bad"), "{text}");
}
