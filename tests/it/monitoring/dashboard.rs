//! The dashboard as a value: what its panels ask, and what is wrong with it.

use regex::Regex;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path, sync::LazyLock};

/// What Grafana knows without a variable of that name.
const BUILT_IN: [&str; 2] = ["__rate_interval", "__range"];
/// The schema of Grafana 11, which newer ones read.
const SCHEMA: u64 = 39;
/// Columns of the page.
const COLUMNS: u64 = 24;

static VARIABLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$\{?([A-Za-z_]+)\}?").unwrap());
static SELECTOR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"([A-Za-z_:][A-Za-z0-9_:]*)\{[^{}]*\}").unwrap());
/// A metric of ours, of the API server or of a process.
static METRIC: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(?:hullmark_|apiserver_|process_)\w+|\bup\b").unwrap());

/// One expression that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// The panel's title, or the alert's name.
    pub(crate) of: String,
    pub(crate) expression: String,
}

pub(crate) fn read() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/hullmark/files/dashboard.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The panels that ask something.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(&dashboard["panels"]).filter(|panel| panel["type"] != "row")
}

/// What each panel asks, with these values for variables: `(name, value)`.
pub(crate) fn queries(dashboard: &Value, variables: &[(&str, &str)]) -> Vec<Query> {
    let filled = |expression: &str| {
        let value = |found: &regex::Captures<'_>| {
            let known = variables.iter().find(|(name, _)| *name == &found[1]);
            known.map_or_else(|| found[0].to_owned(), |(_, value)| (*value).to_owned())
        };
        VARIABLE.replace_all(expression, value).into_owned()
    };
    let of_panel = |panel: &Value| -> Vec<Query> {
        let of = text(panel, "title").to_owned();
        list(&panel["targets"])
            .map(|target| Query { of: of.clone(), expression: filled(text(target, "expr")) })
            .collect()
    };
    panels(dashboard).flat_map(of_panel).collect()
}

/// The selectors of an expression, each with its metric's name; an error if it names a metric without braces, so
/// without saying whose.
pub(crate) fn selectors(expression: &str) -> Result<Vec<(String, String)>, String> {
    let found: Vec<_> =
        SELECTOR.captures_iter(expression).map(|found| (found[1].to_owned(), found[0].to_owned())).collect();
    let rest = SELECTOR.replace_all(expression, "");
    match METRIC.find(&rest) {
        Some(bare) => Err(format!("{} without braces", bare.as_str())),
        None if found.is_empty() => Err(format!("no selector in {expression:?}")),
        None => Ok(found),
    }
}

/// Everything that is wrong with a dashboard, as far as that can be seen without a Prometheus.
pub(crate) fn faults(dashboard: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if dashboard["schemaVersion"].as_u64().is_none_or(|version| version < SCHEMA) {
        faults.push(format!("schemaVersion is not {SCHEMA} or later"));
    }
    let variables: BTreeSet<&str> =
        list(&dashboard["templating"]["list"]).map(|variable| text(variable, "name")).collect();
    for needed in ["datasource", "namespace", "job"] {
        if !variables.contains(needed) {
            faults.push(format!("there is no variable {needed}"));
        }
    }
    let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard["panels"]) {
        let title = text(panel, "title");
        let mut wrong = if panel["type"] == "row" { Vec::new() } else { faults_of(panel, &variables) };
        if !ids.insert(panel["id"].as_u64()) {
            wrong.push(format!("the id {} is not its own", panel["id"]));
        }
        if title.is_empty() || !titles.insert(title) {
            wrong.push("the title is not its own".to_owned());
        }
        faults.extend(wrong.into_iter().map(|fault| format!("{title:?}: {fault}")));
    }
    faults.extend(faults_of_places(dashboard));
    faults
}

fn faults_of(panel: &Value, variables: &BTreeSet<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut unless = |is_right: bool, fault: &str| {
        if !is_right {
            faults.push(fault.to_owned());
        }
    };
    unless(!text(panel, "description").is_empty(), "has no description");
    unless(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "has no unit");
    unless(list(&panel["targets"]).next().is_some(), "asks nothing");
    for asked in list(&panel["targets"]).chain([panel]) {
        unless(text(&asked["datasource"], "uid") == "${datasource}", "its data source is not ${datasource}");
    }
    for target in list(&panel["targets"]) {
        // A table has columns.
        unless(
            panel["type"] == "table" || !text(target, "legendFormat").is_empty(),
            "an expression has no legend",
        );
        let expression = text(target, "expr");
        unless(!expression.is_empty(), "asks nothing");
        if let Err(fault) = selectors(expression) {
            unless(false, &fault);
        }
        for variable in VARIABLE.captures_iter(expression) {
            let known = variables.contains(&variable[1]) || BUILT_IN.contains(&&variable[1]);
            unless(known, &format!("{} is no variable", &variable[0]));
        }
    }
    faults
}

/// Panels that lie over each other or beyond the page.
fn faults_of_places(dashboard: &Value) -> Vec<String> {
    struct Place<'a> {
        title: &'a str,
        columns: std::ops::Range<u64>,
        lines: std::ops::Range<u64>,
    }
    let places: Vec<Place<'_>> = list(&dashboard["panels"])
        .map(|panel| {
            let number = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_default();
            Place {
                title: text(panel, "title"),
                columns: number("x")..number("x") + number("w"),
                lines: number("y")..number("y") + number("h"),
            }
        })
        .collect();
    let mut faults = Vec::new();
    for (nth, one) in places.iter().enumerate() {
        if one.columns.is_empty() || one.lines.is_empty() {
            faults.push(format!("{:?} has no size", one.title));
        }
        if one.columns.end > COLUMNS {
            faults.push(format!("{:?} is wider than the page", one.title));
        }
        let meet = |a: &std::ops::Range<u64>, b: &std::ops::Range<u64>| a.start < b.end && b.start < a.end;
        for other in &places[nth + 1..] {
            if meet(&one.columns, &other.columns) && meet(&one.lines, &other.lines) {
                faults.push(format!("{:?} and {:?} lie over each other", one.title, other.title));
            }
        }
    }
    faults
}
