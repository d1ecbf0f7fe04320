use super::super::{
    Decision, PolicySet,
    fixtures::{cluster_policy, errors, image_of, judge, namespaced_policy, pod, pod_of, set},
};
use super::*;
use crate::workload::Workload;
use serde_json::json;

const NAMED: &str = "
paramKind: { apiVersion: v1, kind: ConfigMap }
paramRef: { name: limits, namespace: ops, parameterNotFoundAction: Deny }
validations:
  - expression: config.user in params.data.users.split(',')
    messageExpression: \"'wanted one of ' + params.data.users\"
";

fn config_map(namespace: &str, name: &str, users: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "namespace": namespace, "name": name, "labels": { "for": "hullmark" } },
        "data": { "users": users },
    })
}

/// The rules that found something when a Pod in `shop`, whose image runs as `app`, is judged.
fn found(set: PolicySet, objects: &[Value]) -> Vec<(String, String)> {
    found_in(&pod_of("app"), set, objects)
}

fn found_in(workload: &Workload, set: PolicySet, objects: &[Value]) -> Vec<(String, String)> {
    let set = set.with_parameters(Parameters::new(objects.to_vec()));
    let verdict = judge(&set, workload, &Ok(image_of(&json!({ "User": "app" }))), None);
    assert_eq!(verdict.findings.is_empty(), verdict.decision() == Decision::Allow);
    verdict.findings.into_iter().map(|finding| (finding.rule, finding.found)).collect()
}

#[test]
fn a_policy_reads_the_object_that_it_names() {
    let wrong = ("validations[0]".to_owned(), "wanted one of web,www".to_owned());
    let missing = "there is no ConfigMap limits in ops, which it reads as params";
    let missing = ("paramRef".to_owned(), missing.to_owned());
    let rows = [
        ("allowed there", vec![config_map("ops", "limits", "app,web")], vec![]),
        ("not allowed there", vec![config_map("ops", "limits", "web,www")], vec![wrong]),
        ("no object", vec![], vec![missing.clone()]),
        ("another name", vec![config_map("ops", "limit", "app")], vec![missing.clone()]),
        ("another namespace", vec![config_map("shop", "limits", "app")], vec![missing]),
    ];
    for (name, objects, expected) in rows {
        assert_eq!(found(set(NAMED), &objects), expected, "{name}");
    }
    let mut other_kind = config_map("ops", "limits", "app");
    other_kind["kind"] = json!("Limits");
    assert_eq!(found(set(NAMED), &[other_kind])[0].0, "paramRef");
}

#[test]
fn a_missing_object_can_be_allowed() {
    let allowed = NAMED.replace("Action: Deny", "Action: Allow");
    assert_eq!(found(set(&allowed), &[]), []);
    assert_eq!(found(set(&allowed), &[config_map("ops", "limits", "web")]).len(), 1);
}

#[test]
fn without_a_namespace_it_is_the_pods() {
    let own = NAMED.replace(" namespace: ops,", "");
    let objects = [config_map("shop", "limits", "app"), config_map("other", "limits", "web")];
    assert_eq!(found(set(&own), &objects), []);
    let mut cluster_wide = config_map("", "limits", "app");
    cluster_wide["metadata"].as_object_mut().unwrap().remove("namespace");
    assert_eq!(found(set(&own), std::slice::from_ref(&cluster_wide)), []);
    assert_eq!(found(set(NAMED), &[cluster_wide])[0].0, "paramRef", "it is not of that namespace");
}

#[test]
fn a_namespaced_policy_reads_its_own_namespace_only() {
    let spec = NAMED.replace(" namespace: ops,", "");
    let compiled = || PolicySet::compile(&[namespaced_policy("shop", "own", &spec)]).unwrap();
    assert_eq!(found(compiled(), &[config_map("shop", "limits", "app")]), []);
    assert_eq!(found(compiled(), &[config_map("ops", "limits", "app")])[0].0, "paramRef");
    let mut cluster_wide = config_map("", "limits", "app");
    cluster_wide["metadata"].as_object_mut().unwrap().remove("namespace");
    assert_eq!(found(compiled(), &[cluster_wide])[0].0, "paramRef");
    let problems = errors(namespaced_policy("shop", "own", NAMED));
    let why = "is another one: an ImageConfigPolicy reads its own namespace".to_owned();
    assert_eq!(problems, [("spec.paramRef.namespace".to_owned(), why)]);
}

#[test]
fn with_several_objects_the_validations_must_hold_for_each() {
    let selected = NAMED.replace("name: limits", "selector: { matchLabels: { for: hullmark } }");
    let objects = [
        config_map("ops", "a", "app"),
        config_map("ops", "b", "web"),
        config_map("ops", "c", "www"),
        config_map("ops", "d", "web"),
    ];
    let texts: Vec<String> = found(set(&selected), &objects).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["wanted one of web", "wanted one of www"], "each once");
    let conditional = format!(
        "{selected}matchConditions: [{{ name: only, expression: \"params.metadata.name in ['a', 'c']\" }}]"
    );
    let texts: Vec<String> = found(set(&conditional), &objects).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["wanted one of www"], "conditions read params too");
    let gone = found(set(&selected), &[config_map("shop", "a", "app")]);
    assert_eq!(
        gone[0].1,
        "there is no ConfigMap with the labels for in (hullmark) in ops, which it reads as params"
    );
}

#[test]
fn rules_are_judged_once_whatever_the_parameters() {
    let spec = format!("{NAMED}rules: {{ user: {{ numeric: true }} }}")
        .replace("name: limits", "selector: { matchLabels: { for: hullmark } }");
    let objects = [config_map("ops", "a", "app"), config_map("ops", "b", "app")];
    let pod = pod("containers: [{ name: app, image: app }]");
    let rules: Vec<String> = found_in(&pod, set(&spec), &objects).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, ["user"]);
}

#[test]
fn what_is_wanted_is_as_little_as_is_named() {
    let own = NAMED.replace(" namespace: ops,", "");
    let expressions = "selector: { matchLabels: { a: b }, matchExpressions: [
      { key: c, operator: In, values: [d, e] }, { key: f, operator: NotIn, values: [g] },
      { key: h, operator: Exists }, { key: i, operator: DoesNotExist } ] }";
    let labelled = NAMED.replace("name: limits", expressions);
    let documents = [
        cluster_policy("a", NAMED),
        cluster_policy("b", &own),
        cluster_policy("c", &labelled),
        cluster_policy("d", NAMED),
    ];
    let wanted = PolicySet::compile(&documents).unwrap().wanted_parameters();
    let rows: Vec<(Option<&str>, Option<&str>, Option<&str>)> = wanted
        .iter()
        .map(|one| (one.namespace.as_deref(), one.name.as_deref(), one.labels.as_deref()))
        .collect();
    assert_eq!(
        rows,
        [
            (None, Some("limits"), None),
            (Some("ops"), None, Some("a in (b),c in (d,e),f notin (g),h,!i")),
            (Some("ops"), Some("limits"), None),
        ]
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    let rows = [
        ("Secret", "kind: ConfigMap", "kind: Secret", "spec.paramKind.kind", "a Secret is not read"),
        ("version", "apiVersion: v1", "apiVersion: a/b/c", "spec.paramKind.apiVersion", "is not like v1"),
        ("kind", "kind: ConfigMap", "kind: Config Map", "spec.paramKind.kind", "is not like ConfigMap"),
        ("both", "name: limits", "name: limits, selector: {}", "spec.paramRef", "not both"),
        ("neither", "name: limits, ", "", "spec.paramRef", "needs a name or a selector"),
        (
            "action",
            ", parameterNotFoundAction: Deny",
            "",
            "spec.paramRef.parameterNotFoundAction",
            "required",
        ),
    ];
    for (name, from, to, field, why) in rows {
        let problems = errors(cluster_policy("test", &NAMED.replace(from, to)));
        assert!(
            problems.iter().any(|(place, text)| place == field && text.contains(why)),
            "{name}: {problems:?}"
        );
    }
    let half = |gone: &str| {
        let lines = NAMED.lines().filter(|line| !line.starts_with(gone));
        errors(cluster_policy("test", &lines.collect::<Vec<_>>().join("\n")))
    };
    assert!(half("paramRef").iter().any(|(field, _)| field == "spec.paramRef"), "{:?}", half("paramRef"));
    let without_kind = half("paramKind");
    assert!(without_kind.iter().any(|(field, _)| field == "spec.paramKind"), "{without_kind:?}");
    assert!(
        without_kind.iter().any(|(_, why)| why.contains("`params` is known only where")),
        "{without_kind:?}"
    );
}

#[test]
fn what_is_no_object_is_left_out() {
    let objects = [json!(null), json!({}), json!({ "kind": "ConfigMap" }), json!([1])];
    assert_eq!(Parameters::new(objects), Parameters::default());
}
