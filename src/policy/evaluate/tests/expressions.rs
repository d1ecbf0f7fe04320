use super::*;

#[test]
fn validations_speak_for_themselves() {
    let config = json!({ "User": "1000", "Labels": { "team": "red" } });
    for (name, validation, expected) in [
        ("true", "{ expression: \"config.labels['team'] == 'red'\" }", None),
        (
            "no message",
            "{ expression: \"config.labels['team'] == 'blue'\" }",
            Some("does not satisfy config.labels['team'] == 'blue'"),
        ),
        ("message", "{ expression: 'false', message: no good }", Some("no good")),
        (
            "message expression",
            "{ expression: 'false', message: no good, messageExpression: \"'image of ' + config.labels['team']\" }",
            Some("image of red"),
        ),
        (
            "a message expression that fails",
            "{ expression: 'false', message: no good, messageExpression: \"config.labels['x']\" }",
            Some("no good"),
        ),
        (
            "a message expression that is empty",
            "{ expression: 'false', messageExpression: \"''\" }",
            Some("does not satisfy false"),
        ),
        (
            "several lines",
            "{ expression: 'false', message: no good, messageExpression: \"'a\\\\nb'\" }",
            Some("no good"),
        ),
        (
            "reason",
            "{ expression: 'false', message: no good, reason: Forbidden }",
            Some("no good (Forbidden)"),
        ),
    ] {
        let verdict = judge(
            &set(&format!("validations: [{validation}]")),
            &pod_of("app"),
            &Ok(image_of(&config)),
            None,
        );
        let found: Vec<&str> = verdict.findings.iter().map(|finding| finding.found.as_str()).collect();
        assert_eq!(found, Vec::from_iter(expected), "{name}");
        for finding in &verdict.findings {
            assert_eq!(
                (finding.kind, finding.enforcement),
                (FindingKind::Violation, Enforcement::Deny),
                "{name}"
            );
            assert_eq!(finding.rule, "validations[0]", "{name}");
        }
    }
}

#[test]
fn a_validation_is_judged_for_each_platform_if_it_reads_the_image() {
    let blue = || json!({ "Labels": { "team": "blue" } });
    let image = Ok(image(vec![platform("linux/amd64", &blue()), platform("linux/arm64", &json!({}))]));
    let spec = r#"
validations:
  - { name: team, expression: "config.labels[?'team'].orValue('') == 'blue'", message: is not blue }
  - { expression: "container.name == 'web'", message: the container is not web }
"#;
    let verdict = judge(&set(spec), &pod_of("app"), &image, None);
    assert_eq!(
        messages(&verdict),
        [
            "container \"app\": image app (linux/arm64): is not blue",
            "container \"app\": image app: the container is not web",
        ]
    );
    assert_eq!(verdict.findings[0].rule, "team");
    let verdict = judge(&set(spec), &pod_of("app"), &missing(), None);
    let rules: Vec<&str> = verdict.findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["resolution", "validations[1]"], "what needs no image is still judged");
}

#[test]
fn an_expression_that_fails_is_enforced_and_says_so() {
    let spec = "validations: [{ expression: \"config.labels['team'] == 'blue'\", message: is not blue }]";
    let verdict = judge(&set(spec), &pod_of("app"), &root(), None);
    let [finding] = verdict.findings.as_slice() else { panic!("{:?}", messages(&verdict)) };
    assert_eq!((finding.kind, finding.enforcement), (FindingKind::EvaluationError, Enforcement::Deny));
    assert!(
        finding.message.starts_with(
            "container \"app\": image app (linux/amd64, linux/arm64): validations[0] could not be evaluated: "
        ),
        "{}",
        finding.message
    );
}

#[test]
fn match_conditions_follow_validating_admission_policy() {
    let bad = "object.metadata.labels['nope'] == 'x'";
    for (name, conditions, expected) in [
        ("true", vec!["request.operation == 'CREATE'"], Some(FindingKind::Violation)),
        ("false", vec!["request.operation == 'UPDATE'"], None),
        ("an error", vec![bad], Some(FindingKind::EvaluationError)),
        ("an error and a false one after it", vec![bad, "false"], None),
        ("a false one and an error after it", vec!["false", bad], None),
    ] {
        let conditions: Vec<String> = conditions
            .iter()
            .enumerate()
            .map(|(i, expression)| format!("{{ name: c{i}, expression: \"{expression}\" }}"))
            .collect();
        let spec = format!("{{ matchConditions: [{}], {NON_ROOT} }}", conditions.join(", "));
        let verdict = judge(&set(&spec), &pod_of("app"), &root(), None);
        let kinds: Vec<FindingKind> = verdict.findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, Vec::from_iter(expected), "{name}");
        assert_eq!(verdict.policies.len(), usize::from(expected.is_some()), "{name}");
    }
}

#[test]
fn audit_annotations_are_joined_and_bounded() {
    let annotations = |expression: &str, config: &serde_json::Value| {
        let spec = format!("auditAnnotations: [{{ key: image-team, valueExpression: \"{expression}\" }}]");
        let image = Ok(image(vec![platform("linux/amd64", config), platform("linux/arm64", &json!({}))]));
        judge(&set(&spec), &pod_of("app"), &image, None).audit_annotations
    };
    let team = "config.labels[?'team'].orValue('none')";
    let value = |annotations: &BTreeMap<String, String>| annotations.get("image-team").cloned();
    let blue = json!({ "Labels": { "team": "blue" } });
    assert_eq!(value(&annotations(team, &blue)).as_deref(), Some("blue, none"));
    assert_eq!(value(&annotations("'a'", &blue)).as_deref(), Some("a"), "each value once");
    assert_eq!(value(&annotations("null", &blue)), None);
    assert_eq!(value(&annotations("''", &blue)), None);
    let long = json!({ "Labels": { "team": "ü".repeat(20_000) } });
    assert!(value(&annotations(team, &long)).unwrap().len() <= 10 * 1024);
}

#[test]
fn a_registry_has_one_name_in_expressions() {
    let policy = set(
        "validations: [{ expression: \"image.registry != 'k8s.gcr.io' && image.name != 'k8s.gcr.io/pause'\" }]",
    );
    for (image, decision) in [
        ("k8s.gcr.io/pause", Decision::Deny),
        ("K8S.gcr.io/pause", Decision::Deny),
        ("k8s.gcr.io:443/pause", Decision::Deny),
        ("k8s.gcr.io:8443/pause", Decision::Allow),
        ("registry.k8s.io/pause", Decision::Allow),
    ] {
        let verdict = judge(&policy, &pod_of(image), &missing(), None);
        assert_eq!(verdict.decision(), decision, "{image}");
    }
}
