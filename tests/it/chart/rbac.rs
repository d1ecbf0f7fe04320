//! What Hullmark's service account may do, for each value that decides it: no more, and no less.

use super::{BREAK_GLASS, CERT_MANAGER, release};
use serde_json::Value;
use std::collections::BTreeSet;

fn words(value: &Value) -> String {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|one| one.as_str().unwrap()).collect::<Vec<_>>().join(",")
}

/// Each rule that a binding gives to the account: `where: verbs resources[/names]`.
pub(crate) fn granted(objects: &[Value]) -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for binding in objects {
        let kind = binding["kind"].as_str().unwrap();
        if !["RoleBinding", "ClusterRoleBinding"].contains(&kind) {
            continue;
        }
        assert_eq!(binding["subjects"][0]["name"], "hullmark");
        let reference = &binding["roleRef"];
        let place = if kind == "RoleBinding" { &binding["metadata"]["namespace"] } else { &Value::Null };
        let role = objects
            .iter()
            .find(|role| {
                let is_near = role["kind"] != "Role" || role["metadata"]["namespace"] == *place;
                role["kind"] == reference["kind"] && role["metadata"]["name"] == reference["name"] && is_near
            })
            .unwrap_or_else(|| panic!("{binding} gives a role that is not there"));
        for rule in role["rules"].as_array().unwrap() {
            let place = place.as_str().unwrap_or("everywhere");
            let only = words(&rule["resourceNames"]);
            let named = if only.is_empty() { String::new() } else { format!(" named {only}") };
            granted.insert(format!(
                "{place}: {} {}{named}",
                words(&rule["verbs"]),
                words(&rule["resources"])
            ));
        }
    }
    granted
}

const KINDS: [&str; 2] = [
    "everywhere: list,watch clusterimageconfigpolicies,imageconfigpolicies,imageconfigexceptions",
    "everywhere: patch clusterimageconfigpolicies/status,imageconfigpolicies/status,imageconfigexceptions/status",
];
const NAMESPACES: &str = "everywhere: list,watch namespaces";
const PARAMETERS: &str = "everywhere: list,watch configmaps";
const NODES: &str = "everywhere: list,watch nodes";
const WEBHOOK: [&str; 2] = [
    "everywhere: get clusterroles named hullmark",
    "everywhere: get,create,patch validatingwebhookconfigurations named hullmark",
];
const WEBHOOK_READ: &str = "everywhere: get validatingwebhookconfigurations named hullmark";
const AUTHORITY: [&str; 2] =
    ["hullmark: create secrets", "hullmark: get,update secrets named hullmark-authority"];
const EVENTS: &str = "everywhere: create,patch events";
const LEASE: [&str; 2] = ["hullmark: create leases", "hullmark: get,update leases named hullmark"];
const WORKLOADS: [&str; 3] = [
    "everywhere: list pods,podtemplates,replicationcontrollers",
    "everywhere: list deployments,replicasets,statefulsets,daemonsets",
    "everywhere: list jobs,cronjobs",
];
const REPORTS: [&str; 2] = [
    "everywhere: get,list,create,patch,delete reports",
    "everywhere: get,list,create,patch,delete policyreports",
];
const PULL_SECRETS: &str = "everywhere: get secrets,serviceaccounts";

#[test]
fn each_mode_gives_what_it_needs_and_no_more() {
    let others = [NAMESPACES, NODES, PARAMETERS, EVENTS, PULL_SECRETS];
    let default = [&KINDS[..], &WEBHOOK, &AUTHORITY, &LEASE, &WORKLOADS, &REPORTS, &others].concat();
    let without = |gone: &[&'static str]| {
        default.iter().copied().filter(|rule| !gone.contains(rule)).collect::<Vec<_>>()
    };
    let with = |more: &[&'static str]| [&default[..], more].concat();
    let rows: Vec<(&str, &[&str], Vec<&str>)> = vec![
        ("default", &[], default.clone()),
        ("no pull secrets", &["pullSecrets.mode=disabled"], without(&[PULL_SECRETS])),
        (
            "of two namespaces",
            &["pullSecrets.mode=namespaces,pullSecrets.namespaces={shop,web}"],
            [
                without(&[PULL_SECRETS]),
                vec!["shop: get secrets,serviceaccounts", "web: get secrets,serviceaccounts"],
            ]
            .concat(),
        ),
        (
            "the operator's own",
            &["pullSecrets.mode=disabled,pullSecrets.global={ops/registry}"],
            [without(&[PULL_SECRETS]), vec!["ops: get secrets named registry"]].concat(),
        ),
        (
            "the operator's own are among those of the cluster",
            &["pullSecrets.global={ops/registry}"],
            default.clone(),
        ),
        ("no parameters", &["parameters=null"], without(&[PARAMETERS])),
        (
            "parameters of another kind",
            &["parameters[0].apiGroup=acme.io,parameters[0].resource=limits"],
            [without(&[PARAMETERS]), vec!["everywhere: list,watch limits"]].concat(),
        ),
        ("given platforms", &["platforms.only={linux/amd64}"], without(&[NODES])),
        ("every platform", &["platforms.fromNodes=false"], without(&[NODES])),
        (
            "pinning",
            &["pin=true"],
            with(&["everywhere: create,patch mutatingwebhookconfigurations named hullmark"]),
        ),
        ("no reports", &["reports.enabled=false"], without(&REPORTS)),
        ("no events", &["events.enabled=false"], without(&[EVENTS])),
        ("no events but of broken glass", &["events.enabled=false", BREAK_GLASS], default.clone()),
        ("no scans", &["scan.interval="], without(&[&LEASE[..], &WORKLOADS, &REPORTS].concat())),
        (
            "a warm start alone",
            &["scan.interval=,cache.warmUp.enabled=true"],
            [without(&[&LEASE[..], &WORKLOADS, &REPORTS].concat()), vec!["everywhere: list pods"]].concat(),
        ),
        (
            "a CronJob alone",
            &["scan.interval=,scan.cronJob.enabled=true"],
            without(&[&LEASE[..], &REPORTS].concat()),
        ),
        (
            "cert-manager",
            &[CERT_MANAGER],
            [without(&[&WEBHOOK[..], &AUTHORITY].concat()), vec![WEBHOOK_READ]].concat(),
        ),
        (
            "cert-manager, and a CronJob alone",
            &[CERT_MANAGER, "scan.interval=,scan.cronJob.enabled=true"],
            [without(&[&WEBHOOK[..], &AUTHORITY, &LEASE, &REPORTS].concat()), vec![WEBHOOK_READ]].concat(),
        ),
        (
            "cert-manager, and nothing of our own namespace",
            &[CERT_MANAGER, "scan.interval="],
            without(&[&WEBHOOK[..], &AUTHORITY, &LEASE, &WORKLOADS, &REPORTS].concat()),
        ),
    ];
    for (name, values, expected) in rows {
        let granted = granted(&release(values));
        assert_eq!(
            granted.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            expected.into_iter().collect(),
            "{name}"
        );
    }
}

#[test]
fn nothing_lists_secrets_and_nothing_is_wild() {
    for object in release(&["pin=true", BREAK_GLASS]) {
        for rule in object["rules"].as_array().into_iter().flatten() {
            let text = rule.to_string();
            assert!(!text.contains('*'), "{text}");
            let lists = words(&rule["verbs"]).contains("list") || words(&rule["verbs"]).contains("watch");
            assert!(!(lists && words(&rule["resources"]).contains("secrets")), "{text}");
        }
    }
}
