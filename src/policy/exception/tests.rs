use crate::policy::{
    Decision, Defaults, ExceptionScope, PolicyDocument, PolicySet, Verdict,
    fixtures::{cluster_policy, errors, image_of, judge, parse, pod_of},
};
use serde_json::json;

const POLICY: &str = "rules: { user: { runAsNonRoot: true }, reference: { digest: true } }";

/// An exception in the namespace of the fixtures' Pods.
fn exception(spec: &str) -> PolicyDocument {
    PolicyDocument {
        source: "exception.yaml".to_owned(),
        value: json!({
            "apiVersion": "hullmark.dev/v1alpha1",
            "kind": "ImageConfigException",
            "metadata": { "name": "legacy", "namespace": "shop" },
            "spec": parse(spec),
        }),
    }
}

fn verdict(documents: &[PolicyDocument], defaults: Defaults) -> Verdict {
    let set = PolicySet::compile(documents).unwrap_or_else(|errors| panic!("{errors:#?}"));
    judge(&set.with_defaults(defaults), &pod_of("registry.acme.io/app:1"), &Ok(image_of(&json!({}))), None)
}

#[test]
fn lets_pass_what_it_names_and_nothing_else() {
    let rest = "reason: old, expires: 2030-01-01T00:00:00Z";
    for (name, spec, left, excepted) in [
        (
            "whole policy",
            format!("{{ policies: [{{ name: test }}], {rest} }}"),
            &[][..],
            &["user", "reference"][..],
        ),
        (
            "one rule",
            format!("{{ policies: [{{ name: test, rules: [user] }}], {rest} }}"),
            &["reference"],
            &["user"],
        ),
        (
            "another policy",
            format!("{{ policies: [{{ name: other }}], {rest} }}"),
            &["user", "reference"],
            &[],
        ),
        (
            "another image",
            format!("{{ policies: [{{ name: test }}], match: {{ images: [\"ghcr.io/**\"] }}, {rest} }}"),
            &["user", "reference"],
            &[],
        ),
        (
            "other Pods",
            format!(
                "{{ policies: [{{ name: test }}], match: {{ objectSelector: {{ matchLabels: {{ app: db }} }} }}, {rest} }}"
            ),
            &["user", "reference"],
            &[],
        ),
        (
            "expired",
            "{ policies: [{ name: test }], reason: old, expires: 2026-01-01T00:00:00Z }".to_owned(),
            &["user", "reference"],
            &[],
        ),
    ] {
        let verdict = verdict(&[cluster_policy("test", POLICY), exception(&spec)], Defaults::default());
        let mut found: Vec<&str> = verdict.findings.iter().map(|finding| finding.rule.as_str()).collect();
        let mut passed: Vec<&str> = verdict.excepted.iter().map(|one| one.finding.rule.as_str()).collect();
        let (mut left, mut excepted) = (left.to_vec(), excepted.to_vec());
        for list in [&mut found, &mut passed, &mut left, &mut excepted] {
            list.sort_unstable();
        }
        assert_eq!((found, passed), (left, excepted), "{name}");
        assert!(verdict.excepted.iter().all(|one| one.exception == "shop/legacy"), "{name}");
    }
}

/// Policies are for a name that cannot be read, lest it be a way round; exceptions for a named image are not.
#[test]
fn an_image_whose_name_cannot_be_read_is_excepted_only_with_all() {
    let rest = "policies: [{ name: test }], reason: old, expires: 2030-01-01T00:00:00Z";
    for (matched, passes) in [
        ("", true),
        ("match: { images: [\"registry.acme.io/app\"] },", false),
        ("match: { excludeImages: [\"registry.acme.io/app\"] },", false),
    ] {
        let documents = [cluster_policy("test", POLICY), exception(&format!("{{ {matched} {rest} }}"))];
        let set = PolicySet::compile(&documents).unwrap_or_else(|errors| panic!("{errors:#?}"));
        let verdict = judge(&set, &pod_of("NOT AN IMAGE"), &Ok(image_of(&json!({}))), None);
        assert_eq!(
            (verdict.findings.is_empty(), verdict.excepted.is_empty()),
            (passes, !passes),
            "{matched}"
        );
    }
}

#[test]
fn counts_where_the_operator_lets_it_count() {
    let spec = "{ policies: [{ name: test }], reason: old, expires: 2030-01-01T00:00:00Z }";
    let only =
        |names: &[&str]| ExceptionScope::Namespaces(names.iter().map(|&name| name.to_owned()).collect());
    for (name, exceptions, decision) in [
        ("everywhere", ExceptionScope::All, Decision::Allow),
        ("here", only(&["shop"]), Decision::Allow),
        ("elsewhere", only(&["lab"]), Decision::Deny),
        ("nowhere", only(&[]), Decision::Deny),
    ] {
        let documents = [cluster_policy("test", POLICY), exception(spec)];
        let verdict = verdict(&documents, Defaults { exceptions, ..Defaults::default() });
        assert_eq!(verdict.decision(), decision, "{name}");
    }
}

#[test]
fn says_what_is_wrong_with_it() {
    for (name, spec, field, why) in [
        (
            "no reason",
            "{ policies: [{ name: a }], expires: 2030-01-01T00:00:00Z }",
            "spec.reason",
            "required",
        ),
        (
            "blank",
            "{ policies: [{ name: a }], reason: ' ', expires: 2030-01-01T00:00:00Z }",
            "spec.reason",
            "say why",
        ),
        ("no end", "{ policies: [{ name: a }], reason: x }", "spec.expires", "required"),
        ("not a time", "{ policies: [{ name: a }], reason: x, expires: soon }", "spec", "year"),
        (
            "a policy of another namespace",
            "{ policies: [{ name: lab/a }], reason: x, expires: 2030-01-01T00:00:00Z }",
            "spec.policies[0].name",
            "another namespace",
        ),
        (
            "a mistyped field",
            "{ polices: [], policies: [{ name: a }], reason: x, expires: 2030-01-01T00:00:00Z }",
            "spec.polices",
            "did you mean policies?",
        ),
        (
            "a selector of namespaces",
            "{ policies: [{ name: a }], match: { namespaceSelector: {} }, reason: x, expires: 2030-01-01T00:00:00Z }",
            "spec.match.namespaceSelector",
            "own namespace",
        ),
    ] {
        let errors = errors(exception(spec));
        assert!(errors.iter().any(|(at, text)| at == field && text.contains(why)), "{name}: {errors:?}");
    }
}
