mod expressions;

use super::*;
use crate::policy::{
    PolicySet,
    fixtures::{cluster_policy, errors, namespaced_policy},
};
use serde_json::json;

/// The policy of design.md, section 4, without its expressions.
const DECLARATIVE: &str = r#"
validationActions: [Deny]
onResolutionFailure: Deny
match:
  namespaceSelector: {}
  objectSelector: {}
  images: ["registry.acme.io/**", "docker.io/library/*"]
  excludeImages: []
  uses: [Container, InitContainer, EphemeralContainer]
rules:
  user: { runAsNonRoot: true, numeric: true, ranges: ["1000-65535"] }
  labels:
    - { key: org.opencontainers.image.source, pattern: "^https://git.acme.io/" }
    - { key: team, required: true }
  stopSignal: { valid: true, oneOf: [SIGTERM, SIGQUIT, SIGINT] }
  env: { forbidden: ["*_TOKEN", "*PASSWORD*"], required: [] }
  ports: { allowed: ["1024-65535"] }
  volumes: { forbidden: true }
  entrypoint: { required: true, forbidden: ["/bin/sh", "bash"] }
  workingDir: { oneOf: [] }
  age: { max: 90d }
  size: { maxCompressed: 2Gi, maxLayers: 60 }
  platforms: { required: [linux/amd64, linux/arm64] }
  reference: { digest: true, registries: ["registry.acme.io"], tags: { forbidden: [latest] } }
  base: { names: ["docker.io/library/debian:*"], digests: [] }
"#;

#[test]
fn accepts_the_policy_of_the_design() {
    assert_eq!(errors(cluster_policy("baseline", DECLARATIVE)), []);
    let Ok(Compiled::Policy(policy)) = compile(&cluster_policy("baseline", DECLARATIVE)) else { panic!() };
    let rules: Vec<&str> = policy.rules.of_image.iter().map(|rule| rule.name()).collect();
    assert_eq!(
        rules,
        [
            "user",
            "labels",
            "stopSignal",
            "env",
            "ports",
            "volumes",
            "entrypoint",
            "age",
            "size",
            "platforms",
            "base"
        ],
        "an empty workingDir.oneOf checks nothing"
    );
}

#[test]
fn accepts_what_kubectl_get_prints() {
    let mut document = cluster_policy("baseline", "rules: { volumes: { forbidden: true } }");
    document.value["metadata"] = json!({
        "name": "baseline", "uid": "1", "resourceVersion": "5", "generation": 1, "creationTimestamp": null,
        "labels": { "a": "b" }, "managedFields": [{ "manager": "kubectl" }],
    });
    document.value["status"] = json!({
        "observedGeneration": 1,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Compiled", "message": "",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        }],
    });
    assert_eq!(errors(document), []);
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn refuses_specs_field_by_field() {
    for (name, spec, field, why) in [
        ("unknown field", "rulez: {}", "spec.rulez", "is no field that exists; did you mean rules?"),
        (
            "unknown rule",
            "rules: { stopsignal: { valid: true } }",
            "spec.rules.stopsignal",
            "is no field that exists; did you mean stopSignal?",
        ),
        (
            "unknown field of a rule",
            "rules: { user: { runAsNonroot: true } }",
            "spec.rules.user.runAsNonroot",
            "is no field that exists; did you mean runAsNonRoot?",
        ),
        (
            "unknown field in a list",
            "rules: { labels: [{ key: a }, { key: b, patern: x }] }",
            "spec.rules.labels[1].patern",
            "is no field that exists; did you mean pattern?",
        ),
        (
            "unknown field in a selector",
            "{ match: { namespaceSelector: { matchLabel: {} } }, rules: { volumes: { forbidden: true } } }",
            "spec.match.namespaceSelector.matchLabel",
            "is no field that exists; did you mean matchLabels?",
        ),
        (
            "unknown and far",
            "rules: { healthcheck: {} }",
            "spec.rules.healthcheck",
            "is no field that exists",
        ),
        ("wrong type", "rules: []", "spec.rules", "must be an object (fields with values), not a list"),
        (
            "string for a list",
            "rules: { reference: { registries: docker.io } }",
            "spec.rules.reference.registries",
            "must be a list, not the string \"docker.io\"",
        ),
        (
            "number for a string",
            "rules: { ports: { allowed: [8080] } }",
            "spec.rules.ports.allowed[0]",
            "must be a string, not 8080; put it in quotes",
        ),
        (
            "string for a truth",
            "rules: { volumes: { forbidden: \"true\" } }",
            "spec.rules.volumes.forbidden",
            "must be true or false, not the string \"true\"",
        ),
        (
            "nothing",
            "rules: { user: { runAsNonRoot: } }",
            "spec.rules.user.runAsNonRoot",
            "has no value; leave it out, or give true or false",
        ),
        (
            "a fraction",
            "rules: { size: { maxLayers: 1.5 } }",
            "spec.rules.size.maxLayers",
            "must be a whole number, not 1.5",
        ),
        ("too few", "rules: { size: { maxLayers: 0 } }", "spec.rules.size.maxLayers", "0 is less than 1"),
        (
            "too many",
            "rules: { size: { maxLayers: 99999999999 } }",
            "spec.rules.size.maxLayers",
            "99999999999 is too large",
        ),
        ("required", "rules: { age: {} }", "spec.rules.age.max", "is required"),
        ("an empty rule", "rules: { user: {} }", "spec.rules.user", "is empty, so it checks nothing"),
        (
            "enum",
            "{ validationActions: [deny], rules: { volumes: { forbidden: true } } }",
            "spec.validationActions[0]",
            "\"deny\" is not one of Deny, Warn, Audit; did you mean Deny?",
        ),
        (
            "twice",
            "{ validationActions: [Deny, Deny], rules: { volumes: { forbidden: true } } }",
            "spec.validationActions[1]",
            "is already there as item 0",
        ),
        (
            "no action",
            "{ validationActions: [], rules: { volumes: { forbidden: true } } }",
            "spec.validationActions",
            "is empty",
        ),
        (
            "deny and warn",
            "{ validationActions: [Deny, Warn], rules: { volumes: { forbidden: true } } }",
            "spec.validationActions",
            "Deny and Warn exclude each other; choose one of them",
        ),
        (
            "a glob that matches nothing",
            "{ match: { images: [nginx] }, rules: { volumes: { forbidden: true } } }",
            "spec.match.images[0]",
            "matches no image: a glob is held against the normalised name, such as docker.io/library/nginx; \
             did you mean docker.io/library/nginx?",
        ),
        (
            "operator",
            "{ match: { objectSelector: { matchExpressions: [{ key: a, operator: in, values: [b] }] } }, \
             rules: { volumes: { forbidden: true } } }",
            "spec.match.objectSelector.matchExpressions[0].operator",
            "\"in\" is not one of In, NotIn, Exists, DoesNotExist; did you mean In?",
        ),
        (
            "operator without values",
            "{ match: { objectSelector: { matchExpressions: [{ key: a, operator: In }] } }, \
             rules: { volumes: { forbidden: true } } }",
            "spec.match.objectSelector.matchExpressions[0].values",
            "In takes at least one value",
        ),
        (
            "a rule that could never fire",
            "{ match: { uses: [ImageVolume] }, rules: { volumes: { forbidden: true } } }",
            "spec.rules.volumes",
            "has no meaning for image volumes, and the policy looks at nothing else",
        ),
        (
            "duration",
            "rules: { age: { max: 3 months } }",
            "spec.rules.age.max",
            "\"3 months\" is not a duration such as 90d, 12w, 36h or 1d12h",
        ),
        (
            "quantity",
            "rules: { size: { maxCompressed: 2GB } }",
            "spec.rules.size.maxCompressed",
            "\"2GB\" is not a size such as 2Gi, 500Mi or 1G",
        ),
        (
            "nothing to check",
            "{}",
            "spec",
            "checks nothing: give rules that are not empty, validations or auditAnnotations",
        ),
        (
            "nothing but empty lists",
            "rules: { workingDir: { oneOf: [] } }",
            "spec",
            "checks nothing: give rules that are not empty, validations or auditAnnotations",
        ),
    ] {
        let errors = errors(cluster_policy("test", spec));
        assert_eq!(errors, [(field.to_owned(), why.to_owned())], "{name}");
    }
}

#[test]
fn refuses_what_is_no_policy() {
    type Change = dyn Fn(&mut Value);
    let policy = |change: &Change| {
        let mut document = namespaced_policy("shop", "test", "rules: { volumes: { forbidden: true } }");
        change(&mut document.value);
        errors(document)
    };
    let rows: [(&str, &Change, &str, &str); 11] = [
        ("a list", &|v| *v = json!([]), "document", "is not an object"),
        ("no kind", &|v| _ = v.as_object_mut().unwrap().remove("kind"), "kind", "is required"),
        (
            "a mistyped kind",
            &|v| v["kind"] = json!("ImageConfigPolcy"),
            "kind",
            "did you mean ImageConfigPolicy?",
        ),
        ("another kind", &|v| v["kind"] = json!("Pod"), "kind", "\"Pod\" is not one of"),
        (
            "version",
            &|v| v["apiVersion"] = json!("hullmark.dev/v1"),
            "apiVersion",
            "write hullmark.dev/v1alpha1",
        ),
        ("group", &|v| v["apiVersion"] = json!("v1"), "apiVersion", "this is no policy of ours"),
        ("no metadata", &|v| v["metadata"] = json!(null), "metadata", "is required"),
        ("no namespace", &|v| v["metadata"] = json!({ "name": "test" }), "metadata.namespace", "is required"),
        ("a bad name", &|v| v["metadata"]["name"] = json!("A b"), "metadata.name", "is not a name"),
        (
            "mistyped metadata",
            &|v| v["metadata"]["lables"] = json!({}),
            "metadata.lables",
            "did you mean labels?",
        ),
        (
            "a namespace selector",
            &|v| v["spec"]["match"] = json!({ "namespaceSelector": {} }),
            "spec.match.namespaceSelector",
            "does not belong here",
        ),
    ];
    for (name, change, field, why) in rows {
        let errors = policy(change);
        assert_eq!(errors.len(), 1, "{name}: {errors:?}");
        assert_eq!(errors[0].0, field, "{name}");
        assert!(errors[0].1.contains(why), "{name}: {}", errors[0].1);
    }
    let mut cluster = cluster_policy("test", "rules: { volumes: { forbidden: true } }");
    cluster.value["metadata"]["namespace"] = json!("shop");
    assert_eq!(errors(cluster)[0].0, "metadata.namespace");
}

#[test]
fn shows_every_error_of_every_document() {
    let spec = "{ rules: { user: { rnges: [] }, age: { max: x }, env: { forbidden: [\"[\"] } } }";
    let again = cluster_policy("good", "rules: { volumes: { forbidden: true } }");
    let documents = [cluster_policy("bad", spec), again.clone(), again];
    let errors: Vec<String> =
        PolicySet::compile(&documents).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "bad.yaml (policy bad): spec.rules.user.rnges: is no field that exists; did you mean ranges?",
            "bad.yaml (policy bad): spec.rules.env.forbidden[0]: is not a glob: unclosed character class; missing ']'",
            "bad.yaml (policy bad): spec.rules.age.max: \"x\" is not a duration such as 90d, 12w, 36h or 1d12h",
            "good.yaml: metadata.name: good is already there, in good.yaml; rename one of them",
        ]
    );
}

#[test]
fn the_same_name_in_two_namespaces_is_two_policies() {
    let spec = "rules: { volumes: { forbidden: true } }";
    let set = PolicySet::compile(&[
        cluster_policy("a", spec),
        namespaced_policy("shop", "a", spec),
        namespaced_policy("bank", "a", spec),
    ])
    .unwrap();
    let names: Vec<&str> = set.policies().map(|policy| policy.name).collect();
    assert_eq!(names, ["a", "shop/a", "bank/a"]);
    assert_eq!(set.policies().next().unwrap().actions, [ValidationAction::Deny], "by default");
}

#[test]
fn nothing_in_a_document_makes_it_panic() {
    let good = cluster_policy("baseline", DECLARATIVE).value;
    let mut paths = Vec::new();
    walk(&good, &mut String::new(), &mut paths);
    for path in paths {
        for odd in ["null", "[]", "{}", "true", "-1", "1e300", "\"\"", "\"\\u0000*[\"", "[null]", "{\"\":{}}"]
        {
            let mut value = good.clone();
            *value.pointer_mut(&path).unwrap() = serde_json::from_str(odd).unwrap();
            drop(PolicySet::compile(&[PolicyDocument { source: path.clone(), value }]));
        }
    }
}

fn walk(value: &Value, path: &mut String, paths: &mut Vec<String>) {
    paths.push(path.clone());
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| (i.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let length = path.len();
        path.push('/');
        path.push_str(&name);
        walk(child, path, paths);
        path.truncate(length);
    }
}
