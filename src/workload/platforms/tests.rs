use super::*;
use serde_json::{Value, json};

fn terms(spec: &Value) -> Vec<PlatformTerm> {
    let fields = Fields::new(spec, "spec".to_owned()).unwrap();
    let os = spec.pointer("/os/name").and_then(Value::as_str);
    let filter = filter(&fields, os).unwrap();
    assert_eq!(filter.nodes, None, "nodes are known to the edges only");
    filter.terms
}

fn allowed(only: Option<&[&str]>, except: &[&str]) -> Allowed {
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    Allowed { only: only.map(set), except: set(except) }
}

fn affinity(terms: Value) -> Value {
    json!({ "affinity": { "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms },
    } } })
}

fn with(mut spec: Value, key: &str, value: Value) -> Value {
    spec[key] = value;
    spec
}

const ANY: (Option<&[&str]>, &[&str]) = (None, &[]);
type Sides<'a> = (Option<&'a [&'a str]>, &'a [&'a str]);

#[test]
fn narrows_to_what_the_scheduler_would_allow() {
    let arch = |operator: &str, values: Value| json!([{ "matchExpressions": [{ "key": "kubernetes.io/arch", "operator": operator, "values": values }] }]);
    let linux: Sides<'_> = (Some(&["linux"]), &[]);
    let amd64: Sides<'_> = (Some(&["amd64"]), &[]);
    let arm64: Sides<'_> = (Some(&["arm64"]), &[]);
    let rows: Vec<(&str, Value, Vec<(Sides<'_>, Sides<'_>)>)> = vec![
        ("nothing said", json!({}), vec![]),
        ("another label", json!({ "nodeSelector": { "disk": "ssd" } }), vec![]),
        (
            "node selector",
            json!({ "nodeSelector": { "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" } }),
            vec![(linux, arm64)],
        ),
        (
            "legacy labels",
            json!({ "nodeSelector": { "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64" } }),
            vec![(linux, amd64)],
        ),
        ("os", json!({ "os": { "name": "linux" } }), vec![(linux, ANY)]),
        (
            "In",
            affinity(arch("In", json!(["amd64", "arm64"]))),
            vec![(ANY, (Some(&["amd64", "arm64"]), &[]))],
        ),
        ("NotIn", affinity(arch("NotIn", json!(["arm64"]))), vec![(ANY, (None, &["arm64"]))]),
        ("Exists", affinity(arch("Exists", json!([]))), vec![]),
        ("DoesNotExist", affinity(arch("DoesNotExist", json!(null))), vec![]),
        ("Gt", affinity(arch("Gt", json!(["1"]))), vec![]),
        ("an operator that does not exist", affinity(arch("Is", json!(["amd64"]))), vec![]),
        ("In without values", affinity(arch("In", json!([]))), vec![]),
        (
            "terms are alternatives",
            affinity(json!([arch("In", json!(["amd64"]))[0], arch("In", json!(["arm64"]))[0]])),
            vec![(ANY, amd64), (ANY, arm64)],
        ),
        (
            "an alternative without limits allows everything",
            affinity(
                json!([arch("In", json!(["amd64"]))[0], { "matchFields": [{ "key": "metadata.name" }] }]),
            ),
            vec![],
        ),
        (
            "an empty term matches no node",
            affinity(json!([arch("In", json!(["amd64"]))[0], {}, { "matchExpressions": [] }])),
            vec![(ANY, amd64)],
        ),
        ("empty terms only", affinity(json!([{}])), vec![]),
        (
            "expressions of a term hold together",
            affinity(json!([{ "matchExpressions": [
                { "key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"] },
                { "key": "beta.kubernetes.io/arch", "operator": "In", "values": ["arm64", "s390x"] },
                { "key": "kubernetes.io/os", "operator": "NotIn", "values": ["windows"] },
            ] }])),
            vec![((None, &["windows"]), arm64)],
        ),
        (
            "selector, affinity and os hold together",
            with(
                with(
                    affinity(arch("NotIn", json!(["arm"]))),
                    "nodeSelector",
                    json!({ "kubernetes.io/arch": "arm64" }),
                ),
                "os",
                json!({ "name": "linux" }),
            ),
            vec![(linux, (Some(&["arm64"]), &["arm"]))],
        ),
        (
            "an impossible alternative falls away",
            with(
                affinity(json!([
                    arch("In", json!(["amd64"]))[0],
                    arch("NotIn", json!(["arm64"]))[0],
                    arch("Exists", json!([]))[0]
                ])),
                "nodeSelector",
                json!({ "kubernetes.io/arch": "arm64" }),
            ),
            vec![(ANY, arm64)],
        ),
        (
            "nothing possible: every platform is judged",
            json!({ "nodeSelector": { "kubernetes.io/os": "linux" }, "os": { "name": "windows" } }),
            vec![],
        ),
        (
            "nothing possible by two selectors: every platform is judged",
            json!({ "nodeSelector": { "kubernetes.io/arch": "arm64", "beta.kubernetes.io/arch": "amd64" } }),
            vec![],
        ),
        (
            "the same twice",
            affinity(json!([arch("In", json!(["amd64"]))[0], arch("In", json!(["amd64"]))[0]])),
            vec![(ANY, amd64)],
        ),
        (
            "preferred affinity is a wish",
            json!({ "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 1, "preference": arch("In", json!(["amd64"]))[0],
            }] } } }),
            vec![],
        ),
    ];
    for (name, spec, expected) in rows {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(os, architecture)| PlatformTerm {
                os: allowed(os.0, os.1),
                architecture: allowed(architecture.0, architecture.1),
            })
            .collect();
        assert_eq!(terms(&spec), expected, "{name}");
    }
}

#[test]
fn wrong_types_are_named() {
    let spec = affinity(
        json!([{ "matchExpressions": [{ "key": "kubernetes.io/os", "operator": "In", "values": [1] }] }]),
    );
    let error = filter(&Fields::new(&spec, "spec".to_owned()).unwrap(), None).unwrap_err();
    assert_eq!(
        error.path,
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]\
         .matchExpressions[0].values[0]"
    );
}
