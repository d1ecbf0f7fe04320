//! One case: the same review as the webhook's, held against what was expected.

use super::{
    file::{Case, Expected, ExpectedFinding, TestFile},
    fixture::{Fixtures, NoCredentials},
};
use crate::{
    admission,
    policy::{Decision, Finding, Namespace, PolicySet, Verdict},
    review::{self, Circumstances, Reviewer},
    workload::Workload,
};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// Far more than a review without a network takes.
const DEADLINE: Duration = Duration::from_mins(1);

/// How a case ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The case's name.
    pub(super) name: String,
    /// What is not as expected; empty: the case passed.
    pub(super) problems: Vec<String>,
    /// The policies that found something.
    pub(super) fired: BTreeSet<String>,
}

/// Runs the cases of a file, in order.
pub(super) async fn run_all(test: &TestFile, policies: &PolicySet) -> Result<Vec<Outcome>> {
    let nodes = review::nodes((!test.nodes.is_empty()).then(|| test.nodes.clone()));
    let reviewer = Reviewer { images: Fixtures::new(&test.images)?, credentials: NoCredentials, nodes };
    let now = test.now.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let mut outcomes = Vec::new();
    for case in &test.cases {
        outcomes.push(
            run(case, &reviewer, policies, now).await.with_context(|| format!("case {:?}", case.name))?,
        );
    }
    Ok(outcomes)
}

async fn run(
    case: &Case,
    reviewer: &Reviewer<Fixtures, NoCredentials>,
    policies: &PolicySet,
    now: jiff::Timestamp,
) -> Result<Outcome> {
    let object = object(case);
    let Some(mut workload) = Workload::from_object(&object)? else {
        bail!("object: {} carries no Pod", object["kind"]);
    };
    let namespace = namespace(case, workload.namespace.as_deref());
    workload.namespace = Some(namespace.name.clone());
    let old_object = case.old_object.clone().unwrap_or_default();
    let review = reviewer
        .review(
            &workload,
            policies,
            Circumstances {
                request: &request(case, &workload),
                old_object: &old_object,
                namespace: Some(&namespace),
                now,
                deadline: Instant::now() + DEADLINE,
            },
        )
        .await;
    let mut problems: Vec<String> = reviewer
        .images
        .take_missing()
        .into_iter()
        .map(|image| format!("image {image} has no fixture: add it under images"))
        .collect();
    problems.extend(compare(case, &review.verdict));
    let fired = review.verdict.findings.iter().map(|finding| finding.policy.clone()).collect();
    Ok(Outcome { name: case.name.clone(), problems, fired })
}

fn object(case: &Case) -> Value {
    case.object.clone().unwrap_or_else(|| {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "app" },
            "spec": { "containers": [{ "name": "app", "image": case.image }] },
        })
    })
}

fn namespace(case: &Case, written: Option<&str>) -> Namespace {
    let (name, mut labels) = match &case.namespace {
        Some(fixture) => (fixture.name.clone(), fixture.labels.clone()),
        None => (written.unwrap_or("default").to_owned(), BTreeMap::new()),
    };
    let annotations = case.namespace.as_ref().map(|fixture| &fixture.annotations);
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.clone());
    let object = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": labels, "annotations": annotations },
    });
    Namespace { name, labels, object }
}

fn request(case: &Case, workload: &Workload) -> Value {
    let user = case.user.as_ref();
    admission::attributes(json!({
        "operation": if case.old_object.is_some() { "UPDATE" } else { "CREATE" },
        "name": workload.name,
        "namespace": workload.namespace,
        "userInfo": {
            "username": user.map_or("policy-test", |user| &user.username),
            "groups": user.map(|user| user.groups.clone()).unwrap_or_default(),
        },
    }))
}

/// Every expectation is met by a finding of its own, and every finding was expected.
fn compare(case: &Case, verdict: &Verdict) -> Vec<String> {
    let mut problems = Vec::new();
    let decision = match verdict.decision() {
        Decision::Allow => Expected::Allow,
        Decision::Warn => Expected::Warn,
        Decision::Deny => Expected::Deny,
    };
    if decision != case.expect {
        problems.push(format!("expected {}, got {}", name(case.expect), name(decision)));
    }
    let mut left: Vec<&Finding> = verdict.findings.iter().collect();
    for expected in &case.findings {
        match left.iter().position(|finding| agrees(expected, finding)) {
            Some(at) => {
                left.remove(at);
            }
            None => problems.push(format!("expected and not found: {}", describe(expected))),
        }
    }
    problems.extend(left.iter().map(|finding| {
        format!("found and not expected: {}/{}: {}", finding.policy, finding.rule, finding.message)
    }));
    problems
}

fn agrees(expected: &ExpectedFinding, finding: &Finding) -> bool {
    expected.rule == finding.rule
        && expected.policy.as_ref().is_none_or(|policy| *policy == finding.policy)
        && expected.container.as_ref().is_none_or(|container| *container == finding.container)
        && expected.platforms.as_ref().is_none_or(|platforms| *platforms == finding.platforms)
        && expected.message.as_ref().is_none_or(|message| finding.message.contains(message))
}

fn describe(expected: &ExpectedFinding) -> String {
    let policy = expected.policy.iter().map(|policy| format!("{policy}/"));
    let container = expected.container.iter().map(|container| format!(" on {container}"));
    let platforms = expected.platforms.iter().map(|platforms| {
        let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        format!(" for {}", platforms.join(", "))
    });
    let message = expected.message.iter().map(|message| format!(" saying {message:?}"));
    policy.chain([expected.rule.clone()]).chain(container).chain(platforms).chain(message).collect()
}

fn name(expected: Expected) -> &'static str {
    match expected {
        Expected::Allow => "allow",
        Expected::Warn => "warn",
        Expected::Deny => "deny",
    }
}
