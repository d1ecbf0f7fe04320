//! What the chart brings for those who watch Hullmark: a dashboard, alerts, and the page that says what to do.
//!
//! `operate/monitoring.rs` holds every expression here against a real Prometheus that reads a real Hullmark and a real
//! API server; this holds what needs neither.

pub(crate) mod dashboard;

use crate::{
    chart::{release, the},
    support::promtool,
};
use hullmark::yaml;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const RULES: &str = "monitoring.prometheusRule.enabled=true";

/// The groups of rules that the chart renders with these values.
pub(crate) fn groups(values: &[&str]) -> Value {
    the(&release(&[&[RULES], values].concat()), "PrometheusRule")["spec"]["groups"].clone()
}

/// The alerts in these groups.
pub(crate) fn alerts(groups: &Value) -> Vec<&Value> {
    groups.as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()).collect()
}

fn names<'a>(alerts: &[&'a Value]) -> Vec<&'a str> {
    alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect()
}

#[test]
fn the_dashboard_is_in_order() {
    let faults = dashboard::faults(&dashboard::read());
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Whether the test above would see a mistake.
#[test]
fn disorder_is_seen() {
    let panel = "/panels/1";
    let rows: &[(&str, &str, Value, &str)] = &[
        (panel, "id", json!(1), "the id 1 is not its own"),
        (panel, "description", json!(""), "has no description"),
        (panel, "datasource", json!({ "type": "prometheus", "uid": "P1" }), "is not ${datasource}"),
        ("/panels/1/fieldConfig/defaults", "unit", json!(null), "has no unit"),
        ("/panels/1/targets/0", "expr", json!(""), "asks nothing"),
        ("/panels/1/targets/0", "legendFormat", json!(""), "has no legend"),
        ("/panels/1/targets/0", "expr", json!("sum(up{job=\"$jobs\"})"), "$jobs is no variable"),
        ("/panels/1/targets/0", "expr", json!("sum(up)"), "up without braces"),
        ("/panels/2/gridPos", "x", json!(1), "lie over each other"),
        ("/panels/1/gridPos", "w", json!(25), "is wider than the page"),
        (panel, "title", json!("Verdicts"), "the title is not its own"),
        ("", "schemaVersion", json!(16), "schemaVersion"),
    ];
    for (at, key, value, expected) in rows {
        let mut dashboard = dashboard::read();
        dashboard.pointer_mut(at).unwrap()[*key] = value.clone();
        let faults = dashboard::faults(&dashboard);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{at} {key}: {faults:?}");
    }
}

#[test]
fn grafana_finds_the_dashboard() {
    let values = ["monitoring.dashboard.enabled=true", "monitoring.dashboard.folder=Admission"];
    let objects = release(&values);
    let map = the(&objects, "ConfigMap");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["metadata"]["annotations"], json!({ "grafana_folder": "Admission" }));
    let text = map["data"]["hullmark.json"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), dashboard::read());
    let objects = release(&values[..1]);
    assert!(the(&objects, "ConfigMap")["metadata"].get("annotations").is_none());
}

#[test]
fn the_service_monitor_says_what_it_is_told() {
    let of = |values: &[&str]| {
        let values = [&["monitoring.serviceMonitor.enabled=true"], values].concat();
        the(&release(&values), "ServiceMonitor").clone()
    };
    let plain = of(&[]);
    let endpoint = json!({ "port": "health", "path": "/metrics", "interval": "30s" });
    assert_eq!(plain["spec"]["endpoints"], json!([endpoint]));
    let full = of(&[
        "monitoring.serviceMonitor.labels.release=prometheus,monitoring.serviceMonitor.interval=15s",
        "monitoring.serviceMonitor.scrapeTimeout=5s",
        "monitoring.serviceMonitor.relabelings[0].action=labeldrop,monitoring.serviceMonitor.relabelings[0].regex=pod",
        "monitoring.serviceMonitor.metricRelabelings[0].action=drop",
    ]);
    assert_eq!(full["metadata"]["labels"]["release"], "prometheus");
    let endpoint = json!({
        "port": "health", "path": "/metrics", "interval": "15s", "scrapeTimeout": "5s",
        "relabelings": [{ "action": "labeldrop", "regex": "pod" }], "metricRelabelings": [{ "action": "drop" }],
    });
    assert_eq!(full["spec"]["endpoints"], json!([endpoint]));
}

#[test]
fn alerts_are_of_their_release() {
    let values = "fullnameOverride=gate,mode=audit,monitoring.prometheusRule.disabled={HullmarkSlow}";
    let (usual, named) = (groups(&[]), groups(&[values]));
    assert!(named.to_string().contains(r#"job=\"gate\",namespace=\"hullmark\""#));
    assert!(!named.to_string().contains(r#"job=\"hullmark\""#));
    let (usual, named) = (alerts(&usual), alerts(&named));
    let without: Vec<_> = names(&usual).into_iter().filter(|name| *name != "HullmarkSlow").collect();
    assert_eq!(names(&named), without);
    let severity = |alerts: &[&Value]| {
        let absent = alerts.iter().find(|alert| alert["alert"] == "HullmarkAbsent").unwrap();
        absent["labels"]["severity"].clone()
    };
    assert_eq!((severity(&usual), severity(&named)), (json!("critical"), json!("warning")));
}

#[test]
fn alerts_of_scans_are_of_their_interval() {
    for (interval, seconds) in [("1h", 10_800), ("1h30m", 16_200), ("5m30s500ms", 990), ("1ms", 3)] {
        let groups = groups(&[&format!("scan.interval={interval}")]);
        let of = |name: &str| {
            let alerts = alerts(&groups);
            let alert = alerts.iter().find(|alert| alert["alert"] == name).unwrap();
            alert["expr"].as_str().unwrap().to_owned()
        };
        assert!(of("HullmarkScanStale").contains(&format!(" > {seconds} or")), "{interval}: {groups}");
        assert!(of("HullmarkScanFails").contains(&format!("[{seconds}s]")), "{interval}: {groups}");
    }
    let (usual, never) = (groups(&[]), groups(&["scan.interval="]));
    let without: Vec<_> =
        names(&alerts(&usual)).into_iter().filter(|name| !name.starts_with("HullmarkScan")).collect();
    assert_eq!(names(&alerts(&never)), without);
}

/// The heading of each alert on the page that `runbook_url` leads to, which stands where it leads.
#[test]
fn each_alert_says_what_to_do() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/monitoring.md")).unwrap();
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### ")?.strip_prefix("Hullmark").map(|_| &line[4..]))
        .collect();
    let groups = groups(&[]);
    let alerts = alerts(&groups);
    assert_eq!(names(&alerts), headings, "alerts, and their headings in docs/monitoring.md");
    for alert in alerts {
        let (name, notes) = (alert["alert"].as_str().unwrap(), &alert["annotations"]);
        let url = notes["runbook_url"].as_str().unwrap();
        assert!(url.ends_with(&format!("/docs/monitoring.md#{}", name.to_lowercase())), "{url}");
        for note in ["summary", "description"] {
            assert!(notes[note].as_str().is_some_and(|note| note.len() > 10), "{name} has no {note}");
        }
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
    }
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    let cases = fs::read_to_string(Path::new(ROOT).join("tests/it/monitoring/alerts.test.yaml")).unwrap();
    let mut groups = groups(&[]);
    let folder = tempfile::tempdir().unwrap();
    // JSON is YAML.
    let write = |groups: &Value| {
        fs::write(folder.path().join("rules.yaml"), json!({ "groups": groups }).to_string()).unwrap();
    };
    write(&groups);
    fs::write(folder.path().join("alerts.test.yaml"), &cases).unwrap();
    promtool(folder.path(), &["check", "rules", "rules.yaml"]).unwrap_or_else(|said| panic!("{said}"));

    // promtool compares annotations word by word; the cases are about when.
    for alert in groups[0]["rules"].as_array_mut().unwrap() {
        alert.as_object_mut().unwrap().remove("annotations");
    }
    write(&groups);
    let test = ["test", "rules", "alerts.test.yaml"];
    promtool(folder.path(), &test).unwrap_or_else(|said| panic!("{said}"));

    let cases = &yaml::documents(&cases).unwrap()[0].value;
    let tests = cases["tests"].as_array().unwrap().iter();
    let (mut fires, mut is_silent) = (BTreeSet::new(), BTreeSet::new());
    for case in tests.flat_map(|test| test["alert_rule_test"].as_array().unwrap()) {
        let nothing = case["exp_alerts"].as_array().unwrap().is_empty();
        (if nothing { &mut is_silent } else { &mut fires }).insert(case["alertname"].as_str().unwrap());
    }
    let all: BTreeSet<_> = names(&alerts(&groups)).into_iter().collect();
    assert_eq!((&fires, &is_silent), (&all, &all), "each has a case in which it fires, and one in which not");
}
