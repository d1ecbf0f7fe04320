use super::*;

/// The expressions of the policy of design.md, section 4.
const EXPRESSIONS: &str = r#"
matchConditions: [{ name: not-system, expression: "!('system:nodes' in request.userInfo.groups)" }]
variables: [{ name: team, expression: "config.labels[?'team'].orValue('')" }]
validations:
  - expression: "variables.team == namespaceObject.metadata.labels['team']"
    messageExpression: "'image belongs to team ' + variables.team"
    reason: Forbidden
auditAnnotations: [{ key: image-team, valueExpression: variables.team }]
"#;

#[test]
fn accepts_the_expressions_of_the_design() {
    assert_eq!(errors(cluster_policy("baseline", &format!("{DECLARATIVE}{EXPRESSIONS}"))), []);
}

#[test]
fn refuses_expressions_by_field() {
    let long = "a".repeat(64);
    for (name, spec, field, why) in [
        (
            "unknown variable in a condition",
            "{ matchConditions: [{ name: a, expression: config.user == '' }], rules: { volumes: { forbidden: true } } }",
            "spec.matchConditions[0].expression",
            "config",
        ),
        (
            "unknown field",
            "validations: [{ expression: 'true' }, { expression: \"config.usr == ''\" }]",
            "spec.validations[1].expression",
            "user",
        ),
        (
            "not a bool",
            "validations: [{ expression: config.user }]",
            "spec.validations[0].expression",
            "bool",
        ),
        (
            "a message that is no string",
            "validations: [{ expression: 'true', messageExpression: '1' }]",
            "spec.validations[0].messageExpression",
            "string",
        ),
        (
            "a variable before it is there",
            "{ variables: [{ name: a, expression: variables.b }, { name: b, expression: '1' }], validations: [{ expression: 'true' }] }",
            "spec.variables[0].expression",
            "variables",
        ),
        (
            "a name that is no identifier",
            "{ variables: [{ name: a-b, expression: '1' }], validations: [{ expression: 'true' }] }",
            "spec.variables[0].name",
            "",
        ),
        (
            "the same condition twice",
            "{ matchConditions: [{ name: a, expression: 'true' }, { name: a, expression: 'true' }], rules: { volumes: { forbidden: true } } }",
            "spec.matchConditions[1].name",
            "is already there as item 0",
        ),
        (
            "the same name twice",
            "validations: [{ name: a, expression: 'true' }, { name: a, expression: 'true' }]",
            "spec.validations[1].name",
            "is already the name",
        ),
        (
            "a message of two lines",
            "validations: [{ expression: 'true', message: \"a\\nb\" }]",
            "spec.validations[0].message",
            "one line",
        ),
        (
            "an expression of two lines without a message",
            "validations: [{ expression: \"true ||\\n false\" }]",
            "spec.validations[0].message",
            "is required",
        ),
        (
            "a key with a slash",
            "auditAnnotations: [{ key: a/b, valueExpression: \"'x'\" }]",
            "spec.auditAnnotations[0].key",
            "is not a key",
        ),
        (
            "a key of ours",
            "auditAnnotations: [{ key: verdict, valueExpression: \"'x'\" }]",
            "spec.auditAnnotations[0].key",
            "Hullmark itself",
        ),
        (
            "a key that is too long",
            &format!("auditAnnotations: [{{ key: {long}, valueExpression: \"'x'\" }}]"),
            "spec.auditAnnotations[0].key",
            "63",
        ),
    ] {
        let errors = errors(cluster_policy("test", spec));
        assert_eq!(errors.first().map(|error| error.0.as_str()), Some(field), "{name}: {errors:?}");
        assert!(errors[0].1.contains(why), "{name}: {}", errors[0].1);
    }
}

#[test]
fn a_broken_variable_is_complained_of_once() {
    let spec = "{ variables: [{ name: a, expression: config.usr }], validations: [{ expression: variables.a == '' }] }";
    let errors = errors(cluster_policy("test", spec));
    assert_eq!(errors.len(), 1, "{errors:?}");
}
