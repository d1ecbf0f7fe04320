//! A survey as the reports that policy tools read: openreports.io/v1alpha1, or its predecessor wgpolicyk8s.io/v1alpha2.
//!
//! One for each object that a person wrote (a Deployment, a CronJob, a Pod of nobody), with what was found on its Pods
//! and on its own template; the same on several Pods is one result. What surprises: templates that another object
//! made (old `ReplicaSets`) do not count, and a violation is a `fail` whatever the policy's actions say, since that is
//! what compliance means here. An image that could not be looked at is an `error`, what an exception lets pass a `skip`,
//! what was judged by old knowledge a `warn`.

mod document;

pub use document::Form;

use super::{ObjectRef, Survey, Surveyed};
use crate::{
    policy::{Enforcement, Fact, Finding, FindingKind},
    text::clean,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Characters of a message, and of a property.
const MAX_MESSAGE: usize = 1000;
const MAX_PROPERTY: usize = 300;

/// What goes into reports.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Results of one report; the rest is counted.
    pub max_results: usize,
    /// Whether what complies is told too.
    pub passes: bool,
}

/// What was found on what one person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it is about.
    pub scope: ObjectRef,
    /// The uid of that.
    pub uid: String,
    /// The namespace in which it is.
    pub namespace: String,
    /// When it was looked at.
    pub at: Timestamp,
    /// The worst first.
    pub entries: Vec<Entry>,
    /// How many are not among the entries.
    pub left_out: usize,
    /// How many there are of each grade, with those that are left out.
    pub counts: BTreeMap<Grade, usize>,
}

/// One result of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How it ended.
    pub grade: Grade,
    /// The policy.
    pub policy: String,
    /// The rule; none for a policy that is content.
    pub rule: Option<String>,
    /// How bad that is: `high` where the policy denies, `medium` where it warns, `low` where it records.
    pub severity: Option<&'static str>,
    /// What was found and what to do.
    pub message: String,
    /// The image, and more.
    pub properties: BTreeMap<&'static str, String>,
}

/// How a result ended; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// A violation.
    Fail,
    /// It could not be looked at.
    Error,
    /// It was judged by what was known before.
    Warn,
    /// An exception lets it pass.
    Skip,
    /// Nothing was found.
    Pass,
}

impl Grade {
    /// All, the worst first.
    pub const ALL: [Self; 5] = [Self::Fail, Self::Error, Self::Warn, Self::Skip, Self::Pass];

    /// As reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Skip => "skip",
            Self::Pass => "pass",
        }
    }
}

/// The reports of a survey, by namespace and name. Objects whose uid is not known have none: nothing could own them.
#[must_use]
pub fn reports(survey: &Survey, extent: Extent) -> Vec<Report> {
    // By uid: those who name an object may name it by another version.
    let mut scopes: BTreeMap<[&str; 4], Vec<&Surveyed>> = BTreeMap::new();
    for one in &survey.objects {
        let scope = scope(one);
        let (Some(namespace), Some(uid)) = (&one.object.namespace, &scope.uid) else { continue };
        if !one.is_template || one.object.uid.as_ref() == Some(uid) {
            scopes.entry([namespace, &scope.kind, &scope.name, uid]).or_default().push(one);
        }
    }
    let reports = scopes.into_iter().filter_map(|([namespace, .., uid], objects)| {
        let mut entries = entries(&objects);
        if extent.passes {
            entries.extend(passes(&objects, &entries));
        }
        let mut counts = BTreeMap::new();
        for entry in &entries {
            *counts.entry(entry.grade).or_default() += 1;
        }
        let left_out = entries.len().saturating_sub(extent.max_results);
        entries.truncate(extent.max_results);
        let scope = scope(objects.first()?).clone();
        let (uid, namespace) = (uid.to_owned(), namespace.to_owned());
        Some(Report { scope, uid, namespace, at: survey.at, entries, left_out, counts })
    });
    reports.filter(|report| !report.counts.is_empty()).collect()
}

/// What a person wrote. A Node stands above the mirrors of its static Pods, and wrote nothing.
fn scope(one: &Surveyed) -> &ObjectRef {
    Some(one.top()).filter(|top| top.kind != "Node").unwrap_or(&one.object)
}

/// What makes two findings the same, on whichever Pod. The words of what could not be looked at may change with
/// each look.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    grade: Grade,
    policy: &'a str,
    rule: &'a str,
    container: &'a str,
    image: &'a str,
    found: &'a str,
    exception: &'a str,
}

/// Everything found on these objects, each once, the worst first.
fn entries(objects: &[&Surveyed]) -> Vec<Entry> {
    let mut found: BTreeMap<Key<'_>, (Entry, HashSet<&str>)> = BTreeMap::new();
    for one in objects {
        let digests: HashMap<&str, String> = one.facts.iter().filter_map(digest).collect();
        let excepted = one.verdict.excepted.iter().map(|one| (&one.finding, Some(one.exception.as_str())));
        for (finding, exception) in one.verdict.findings.iter().map(|finding| (finding, None)).chain(excepted)
        {
            let key = key(finding, exception);
            let digest = digests.get(finding.field_path.as_str());
            let (_, pods) =
                found.entry(key).or_insert_with(|| (entry(finding, exception, digest), HashSet::new()));
            if !one.is_template {
                pods.insert(&one.object.name);
            }
        }
    }
    found
        .into_values()
        .map(|(mut entry, pods)| {
            entry.properties.insert("pods", pods.len().to_string());
            entry
        })
        .collect()
}

fn digest(fact: &Fact) -> Option<(&str, String)> {
    let image = fact.image.as_ref()?.as_ref().ok()?;
    Some((fact.usage.field_path.as_str(), image.digest.to_string()))
}

fn key<'a>(finding: &'a Finding, exception: Option<&'a str>) -> Key<'a> {
    Key {
        grade: grade(finding, exception),
        policy: &finding.policy,
        rule: &finding.rule,
        container: &finding.container,
        image: &finding.image,
        found: match finding.kind {
            FindingKind::Violation | FindingKind::EvaluationError => &finding.found,
            FindingKind::Unresolved(kind) | FindingKind::Stale(kind) => kind.as_str(),
        },
        exception: exception.unwrap_or_default(),
    }
}

fn grade(finding: &Finding, exception: Option<&str>) -> Grade {
    match finding.kind {
        _ if exception.is_some() => Grade::Skip,
        FindingKind::Violation => Grade::Fail,
        FindingKind::Unresolved(_) | FindingKind::EvaluationError => Grade::Error,
        FindingKind::Stale(_) => Grade::Warn,
    }
}

fn entry(finding: &Finding, exception: Option<&str>, digest: Option<&String>) -> Entry {
    let message = match (finding.kind, exception) {
        (_, Some(exception)) => format!("{} (let pass by the exception {exception})", finding.message),
        // Its own words count the seconds, and would make a new report each time.
        (FindingKind::Stale(kind), None) => format!(
            "{} {:?}: image {} was judged by what was known of it before, as its registry cannot be asked ({})",
            finding.use_kind.noun(),
            finding.container,
            finding.image,
            kind.as_str()
        ),
        _ => finding.message.clone(),
    };
    let unresolved = match finding.kind {
        FindingKind::Unresolved(kind) | FindingKind::Stale(kind) => Some(kind.as_str().to_owned()),
        FindingKind::Violation | FindingKind::EvaluationError => None,
    };
    let is_stale = matches!(finding.kind, FindingKind::Stale(_));
    let platforms: Vec<String> = finding.platforms.iter().map(ToString::to_string).collect();
    let properties = [
        ("action", Some(finding.enforcement.as_str().to_owned())),
        ("container", Some(finding.container.clone())),
        ("digest", digest.cloned()),
        ("exception", exception.map(ToOwned::to_owned)),
        ("found", Some(finding.found.clone()).filter(|_| !is_stale)),
        ("image", Some(finding.image.clone())),
        ("platforms", Some(platforms.join(","))),
        ("unresolved", unresolved),
        ("use", Some(finding.use_kind.as_str().to_owned())),
        ("wanted", Some(finding.wanted.clone())),
    ];
    let known = |value: Option<String>| value.filter(|value| !value.is_empty());
    Entry {
        grade: grade(finding, exception),
        policy: finding.policy.clone(),
        rule: Some(clean(&finding.rule, MAX_PROPERTY)),
        severity: Some(severity(finding.enforcement)),
        message: clean(&message, MAX_MESSAGE),
        properties: properties
            .into_iter()
            .filter_map(|(name, value)| Some((name, clean(&known(value)?, MAX_PROPERTY))))
            .collect(),
    }
}

fn severity(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Deny => "high",
        Enforcement::Warn => "medium",
        Enforcement::Record => "low",
    }
}

/// The policies that judged these objects and have nothing among `entries`.
fn passes(objects: &[&Surveyed], entries: &[Entry]) -> Vec<Entry> {
    let mut pods: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for one in objects {
        for policy in &one.verdict.policies {
            let of_policy = pods.entry(policy).or_default();
            if !one.is_template {
                of_policy.insert(&one.object.name);
            }
        }
    }
    let is_content = |policy: &str| entries.iter().all(|entry| entry.policy != policy);
    pods.into_iter()
        .filter(|(policy, _)| is_content(policy))
        .map(|(policy, pods)| Entry {
            grade: Grade::Pass,
            policy: policy.to_owned(),
            rule: None,
            severity: None,
            message: "every image complies".to_owned(),
            properties: BTreeMap::from([("pods", pods.len().to_string())]),
        })
        .collect()
}

#[cfg(test)]
mod tests;
