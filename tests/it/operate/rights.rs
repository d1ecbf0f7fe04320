//! That each right which the chart gives is used, by the API server's own audit log; and that nothing was
//! asked for in vain.

use super::stage::Stage;
use crate::chart;
use std::collections::BTreeSet;

const ACCOUNT: &str = "system:serviceaccount:hullmark:hullmark";
/// Server-side apply is a patch in the log; that it may make the object is asked with these.
const OF_APPLY: [&str; 3] =
    ["create validatingwebhookconfigurations", "create reports", "create policyreports"];

/// What Hullmark did since the plane was started, against what the chart with `values` allows.
pub(super) fn are_all_used(stage: &Stage, values: &[&str]) {
    let granted: BTreeSet<String> = chart::rbac::granted(&chart::release(values))
        .iter()
        .flat_map(|line| {
            // `where: verb,verb resource,resource named name`
            let (_, rule) = line.split_once(": ").unwrap();
            let mut words = rule.split(' ');
            let (verbs, resources) = (words.next().unwrap(), words.next().unwrap());
            verbs
                .split(',')
                .flat_map(move |verb| resources.split(',').map(move |one| format!("{verb} {one}")))
        })
        .collect();
    let asked = stage.plane.audited(|entry| entry["user"]["username"] == ACCOUNT);
    let (mut used, mut refused) = (BTreeSet::from(OF_APPLY.map(str::to_owned)), BTreeSet::new());
    for entry in &asked {
        let object = &entry["objectRef"];
        let Some(resource) = object["resource"].as_str() else { continue };
        let sub = object["subresource"].as_str().map(|sub| format!("/{sub}")).unwrap_or_default();
        let what = format!("{} {resource}{sub}", entry["verb"].as_str().unwrap());
        if entry["responseStatus"]["code"] == 403 {
            refused.insert(what);
        } else {
            used.insert(what);
        }
    }
    // One test wants what it may not have: a policy that reads Services.
    assert!(refused.iter().all(|one| one.ends_with(" services")), "asked for, and not given: {refused:?}");
    let unused: Vec<&String> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "given, and never used: {unused:?}; used: {used:?}");
}
