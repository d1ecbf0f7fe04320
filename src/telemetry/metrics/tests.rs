use super::*;
use crate::{
    survey::{PolicyCount, Summary},
    telemetry::trace,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

#[test]
fn findings_are_capped() {
    let metrics = Metrics::new("1.2.3");
    for n in 0..MAX_FINDINGS + 10 {
        metrics.found(FindingLabels {
            policy: format!("p{n}"),
            rule: "user".into(),
            kind: "violation",
            action: "deny",
        });
    }
    metrics.found(FindingLabels {
        policy: "p1".into(),
        rule: "user".into(),
        kind: "violation",
        action: "deny",
    });
    let text = metrics.exposition();
    assert!(text.contains(
        "hullmark_findings_total{policy=\"p1\",rule=\"user\",kind=\"violation\",action=\"deny\"} 2\n"
    ));
    assert!(text.contains("{policy=\"other\",rule=\"other\",kind=\"violation\",action=\"deny\"} 10\n"));
    assert!(text.lines().filter(|line| line.starts_with("hullmark_findings_total{")).count() <= 1001);
}

#[test]
fn exposes_what_alerts_need() {
    let metrics = Metrics::new("1.2.3");
    metrics.policies(3, 1, 2, false);
    metrics.certificate(jiff::Timestamp::from_second(1_800_000_000).unwrap(), true);
    metrics.refused(413);
    metrics.in_flight(1);
    let text = metrics.exposition();
    for line in [
        "hullmark_policies_refused 1",
        "hullmark_policies_loaded 3",
        "hullmark_policies_generation 2",
        "hullmark_policies_last_reload_success 0",
        "hullmark_tls_certificate_expiry_timestamp_seconds 1800000000",
        "hullmark_tls_certificate_last_renewal_success 1",
        "hullmark_requests_refused_total{status=\"413\"} 1",
        "hullmark_requests_in_flight 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

/// Each metric by its name: its type, and the names of its labels.
type Table = BTreeMap<String, (String, BTreeSet<String>)>;

/// Everything that there is, with at least one sample of each.
fn everything() -> String {
    let mut metrics = Metrics::new("1.2.3");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settings = trace::Settings::read(Some("http://127.0.0.1:1"), |_| None).unwrap().unwrap();
    metrics.with_traces(&runtime.block_on(async { Traces::new(&settings, "1.2.3") }).unwrap());
    metrics.reviewed(&ReviewLabels {
        verdict: "allow",
        would_be: "allow",
        mode: "enforce",
        operation: "CREATE",
        code: 200,
        if_enforced: "allow",
    });
    metrics.refused(413);
    metrics.took(Stage::Total, Duration::from_millis(1), None);
    metrics.found(FindingLabels {
        policy: "p".into(),
        rule: "user".into(),
        kind: "violation",
        action: "deny",
    });
    metrics.resolved("fetched");
    metrics.unresolved("NotFound");
    metrics.exceptions(1, 0);
    metrics.exchanged(&Exchanged {
        purpose: "manifest",
        method: "GET",
        status: Some(200),
        bytes: 1,
        elapsed: Duration::from_millis(1),
        host: "ghcr.io",
        rate_limit: Some((100, 76)),
    });
    let age = Some(Duration::from_secs(3));
    metrics.looked_up(LookedUp { tier: "memory", outcome: "hit", age, bytes: 0 });
    metrics.looked_up(LookedUp { tier: "shared", outcome: "miss", age: None, bytes: 1 });
    let policies = [("p".to_owned(), PolicyCount::default())].into();
    let summary = Summary { policies, ..Summary::default() };
    metrics.scanned(Scanned { summary: &summary, at: jiff::Timestamp::UNIX_EPOCH, took: Duration::ZERO });
    metrics.scan_failed();
    metrics.exposition()
}

fn exposed(text: &str) -> Table {
    let mut table = Table::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            table.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
            continue;
        }
        let Some((sample, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) else { continue };
        let (labels, _) = rest.rsplit_once('}').unwrap();
        let names = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        // A histogram's `le` is its type's own.
        let names: Vec<String> = names.filter(|name| name != "le").collect();
        let family = ["_total", "_info", "_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| sample.strip_suffix(suffix))
            .unwrap_or(sample);
        table.get_mut(family).unwrap_or_else(|| panic!("{sample} has no TYPE")).1.extend(names);
    }
    table
}

/// What the second column of the page's first table says, and no other's does.
const TYPES: [&str; 4] = ["counter", "gauge", "histogram", "info"];

fn documented() -> Table {
    let quoted = |cell: &str| cell.trim().trim_matches('`').to_owned();
    include_str!("../../../docs/metrics.md")
        .lines()
        .map(|line| line.split('|').collect::<Vec<&str>>())
        .filter(|cells| cells.len() > 3 && TYPES.contains(&cells[2].trim()))
        .map(|cells| {
            let labels = cells[3].split(',').map(quoted).filter(|label| !label.is_empty());
            (quoted(cells[1]), (cells[2].trim().to_owned(), labels.collect()))
        })
        .collect()
}

#[test]
fn every_metric_is_documented_and_no_other() {
    let exposed = exposed(&everything());
    assert_eq!(exposed, documented(), "docs/metrics.md, the table");
    // A family without a sample is not exposed: this test must give each one. Those of the process have no register.
    assert_eq!(
        exposed.keys().filter(|name| name.starts_with("hullmark_")).count(),
        registrations(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/telemetry")))
    );
}

/// How many metrics the sources below `folder` register.
fn registrations(folder: &Path) -> usize {
    let count = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.matches(".register(").count() + text.matches(".register_with_unit(").count()
    };
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !path.ends_with("tests.rs"))
        .map(|path| if path.is_dir() { registrations(&path) } else { count(&path) })
        .sum()
}
