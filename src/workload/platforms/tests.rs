use super::*;
use serde_json::{Value, json};

/// `only` (if given) and `except` of one side of a term.
type Side<'a> = (Option<&'a [&'a str]>, &'a [&'a str]);
/// A name, a Pod spec, and the os and architecture of each alternative.
type Row<'a> = (&'a str, Value, Vec<(Side<'a>, Side<'a>)>);

const ANY: Side<'_> = (None, &[]);
const LINUX: Side<'_> = (Some(&["linux"]), &[]);
const AMD64: Side<'_> = (Some(&["amd64"]), &[]);
const ARM64: Side<'_> = (Some(&["arm64"]), &[]);

fn check(rows: Vec<Row<'_>>) {
    for (name, spec, expected) in rows {
        let fields = Fields::new(&spec, "spec").unwrap();
        let found = filter(&fields, spec.pointer("/os/name").and_then(Value::as_str)).unwrap();
        assert_eq!(found.nodes, None, "{name}: nodes are known to the edges only");
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(os, architecture)| PlatformTerm { os: side(os), architecture: side(architecture) })
            .collect();
        assert_eq!(found.terms, expected, "{name}");
    }
}

fn side((only, except): Side<'_>) -> Allowed {
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    Allowed { only: only.map(set), except: set(except) }
}

/// A required affinity of these terms.
fn affinity(terms: &[Value]) -> Value {
    json!({ "affinity": { "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms },
    } } })
}

/// A term of one expression on the architecture.
fn arch(operator: &str, values: &[&str]) -> Value {
    json!({ "matchExpressions": [{ "key": "kubernetes.io/arch", "operator": operator, "values": values }] })
}

#[test]
fn node_selector_and_os_narrow() {
    check(vec![
        ("nothing said", json!({}), vec![]),
        ("another label", json!({ "nodeSelector": { "disk": "ssd" } }), vec![]),
        (
            "node selector",
            json!({ "nodeSelector": { "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" } }),
            vec![(LINUX, ARM64)],
        ),
        (
            "legacy labels",
            json!({ "nodeSelector": { "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64" } }),
            vec![(LINUX, AMD64)],
        ),
        ("os", json!({ "os": { "name": "linux" } }), vec![(LINUX, ANY)]),
    ]);
}

#[test]
fn operators_that_say_nothing_of_a_platform_do_not_narrow() {
    check(vec![
        ("In", affinity(&[arch("In", &["amd64"])]), vec![(ANY, AMD64)]),
        ("In, two", affinity(&[arch("In", &["arm", "386"])]), vec![(ANY, (Some(&["386", "arm"]), &[]))]),
        ("NotIn", affinity(&[arch("NotIn", &["arm64"])]), vec![(ANY, (None, &["arm64"]))]),
        ("Exists", affinity(&[arch("Exists", &[])]), vec![]),
        ("DoesNotExist", affinity(&[arch("DoesNotExist", &[])]), vec![]),
        ("Gt", affinity(&[arch("Gt", &["1"])]), vec![]),
        ("an operator that does not exist", affinity(&[arch("Is", &["amd64"])]), vec![]),
        ("In without values", affinity(&[arch("In", &[])]), vec![]),
        (
            "preferred affinity is a wish",
            json!({ "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 1, "preference": arch("In", &["amd64"]),
            }] } } }),
            vec![],
        ),
    ]);
}

#[test]
fn terms_are_alternatives_and_expressions_hold_together() {
    let by_name = json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["n1"] }] });
    let three = json!({ "matchExpressions": [
        { "key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"] },
        { "key": "beta.kubernetes.io/arch", "operator": "In", "values": ["arm64", "s390x"] },
        { "key": "kubernetes.io/os", "operator": "NotIn", "values": ["windows"] },
    ] });
    let (amd64, arm64) = (arch("In", &["amd64"]), arch("In", &["arm64"]));
    check(vec![
        ("two terms", affinity(&[amd64.clone(), arm64]), vec![(ANY, AMD64), (ANY, ARM64)]),
        ("the same twice", affinity(&[amd64.clone(), amd64.clone()]), vec![(ANY, AMD64)]),
        ("one without limits allows everything", affinity(&[amd64.clone(), by_name]), vec![]),
        (
            "an empty term matches no node",
            affinity(&[amd64, json!({}), json!({ "matchExpressions": [] })]),
            vec![(ANY, AMD64)],
        ),
        ("empty terms only", affinity(&[json!({})]), vec![]),
        ("three expressions", affinity(&[three]), vec![((None, &["windows"]), ARM64)]),
    ]);
}

#[test]
fn all_of_it_holds_together_but_never_narrows_to_nothing() {
    let with = |mut spec: Value, key: &str, value: Value| {
        spec[key] = value;
        spec
    };
    let on_arm64 = |spec: Value| with(spec, "nodeSelector", json!({ "kubernetes.io/arch": "arm64" }));
    check(vec![
        (
            "selector, affinity and os",
            with(on_arm64(affinity(&[arch("NotIn", &["arm"])])), "os", json!({ "name": "linux" })),
            vec![(LINUX, (Some(&["arm64"]), &["arm"]))],
        ),
        (
            "an impossible alternative falls away",
            on_arm64(affinity(&[arch("In", &["amd64"]), arch("NotIn", &["arm64"]), arch("Exists", &[])])),
            vec![(ANY, ARM64)],
        ),
        ("no alternative is possible", on_arm64(affinity(&[arch("In", &["amd64"])])), vec![]),
        (
            "selector against os",
            json!({ "nodeSelector": { "kubernetes.io/os": "linux" }, "os": { "name": "windows" } }),
            vec![],
        ),
        (
            "selector against itself",
            json!({ "nodeSelector": { "kubernetes.io/arch": "arm64", "beta.kubernetes.io/arch": "amd64" } }),
            vec![],
        ),
    ]);
}

#[test]
fn wrong_types_are_named() {
    let number = json!({ "key": "kubernetes.io/os", "operator": "In", "values": [1] });
    let spec = affinity(&[json!({ "matchExpressions": [number] })]);
    let error = filter(&Fields::new(&spec, "spec").unwrap(), None).unwrap_err();
    assert_eq!(
        error.path,
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]\
         .matchExpressions[0].values[0]"
    );
}

#[test]
fn too_many_alternatives_narrow_nothing() {
    let terms: Vec<_> = (0..50_000).map(|n| arch("In", &[&format!("arch{n}")])).collect();
    let narrowed: Vec<_> = (0..MAX_TERMS).map(|n| arch("In", &[&format!("arch{n}")])).collect();
    let read = |terms: &[Value]| {
        let spec = affinity(terms);
        filter(&Fields::new(&spec, "spec").unwrap(), None).unwrap().terms
    };
    assert_eq!(read(&narrowed).len(), MAX_TERMS);
    let started = tokio::time::Instant::now();
    assert_eq!(read(&terms), []);
    // Comparing each with each takes minutes.
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}
