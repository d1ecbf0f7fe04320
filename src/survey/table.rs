//! A survey for a person at a terminal: how much complies, by policy and by namespace, then what does not, worst first.

use super::{Compliance, PolicyCount, Summary, Survey, Surveyed};
use crate::{
    policy::{Enforcement, FindingKind},
    text::{clean, count},
};
use std::{collections::BTreeMap, fmt::Write};

/// Characters of a message, and of a name in a column.
const MAX_MESSAGE: usize = 1000;
const MAX_NAME: usize = 48;

/// Everything that one owner's Pods have in common.
struct Group<'a> {
    title: String,
    /// The worst of its Pods.
    worst: Compliance,
    pods: usize,
    /// Lines, each once, and of how many Pods.
    lines: BTreeMap<(u8, String), usize>,
    /// The first image that drifted.
    drifted: Option<&'a str>,
}

/// The whole survey.
#[must_use]
pub fn text(survey: &Survey) -> String {
    let mut text = String::new();
    let summary = survey.summary();
    policies(&mut text, survey, &summary);
    namespaces(&mut text, survey);
    let groups = groups(survey);
    for group in groups.iter().filter(|group| !group.lines.is_empty() || group.drifted.is_some()) {
        let pods = if group.pods > 1 { format!("  {} Pods", group.pods) } else { String::new() };
        let _ = writeln!(text, "{:<11}  {}{pods}", group.worst.words(), group.title);
        for ((_, line), pods) in &group.lines {
            let some = if *pods < group.pods { format!(" ({pods} of them)") } else { String::new() };
            let _ = writeln!(text, "    {line}{some}");
        }
        if let Some(image) = group.drifted {
            let _ = writeln!(
                text,
                "    drift  {} now means another image than the one that runs",
                clean(image, 300)
            );
        }
    }
    if groups.iter().any(|group| !group.lines.is_empty() || group.drifted.is_some()) {
        text.push('\n');
    }
    for note in &survey.notes {
        let _ = writeln!(text, "note: {}", clean(note, MAX_MESSAGE));
    }
    text.push_str(&sum(survey, &summary));
    text
}

fn policies(text: &mut String, survey: &Survey, summary: &Summary) {
    if survey.policies.is_empty() {
        return;
    }
    let names = survey.policies.iter().map(|policy| policy.name.as_str());
    let width = width("POLICY", names);
    let _ = writeln!(
        text,
        "{:<width$}  {:<12}  {:>9}  {:>9}  {:>11}",
        "POLICY", "ACTIONS", "COMPLIANT", "VIOLATING", "NOT CHECKED"
    );
    for policy in &survey.policies {
        let PolicyCount { compliant, violating, not_checked } =
            summary.policies.get(&policy.name).copied().unwrap_or_default();
        let (name, actions) = (clean(&policy.name, 253), policy.actions.join(","));
        let _ = writeln!(
            text,
            "{name:<width$}  {actions:<12}  {compliant:>9}  {violating:>9}  {not_checked:>11}"
        );
    }
    text.push('\n');
}

fn namespaces(text: &mut String, survey: &Survey) {
    let mut all: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for pod in survey.objects.iter().filter(|one| !one.is_template) {
        let counts = all.entry(pod.object.namespace.as_deref().unwrap_or_default()).or_default();
        counts[0] += 1;
        match pod.compliance() {
            Compliance::Compliant => counts[1] += 1,
            Compliance::Violating => counts[2] += 1,
            Compliance::NotChecked => counts[3] += 1,
            Compliance::Unmatched => {}
        }
    }
    if all.is_empty() {
        return;
    }
    let width = width("NAMESPACE", all.keys().copied());
    let _ = writeln!(
        text,
        "{:<width$}  {:>12}  {:>9}  {:>9}  {:>11}",
        "NAMESPACE", "PODS", "COMPLIANT", "VIOLATING", "NOT CHECKED"
    );
    for (name, [pods, compliant, violating, not_checked]) in all {
        let _ =
            writeln!(text, "{name:<width$}  {pods:>12}  {compliant:>9}  {violating:>9}  {not_checked:>11}");
    }
    text.push('\n');
}

fn width<'a>(title: &str, names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0).min(MAX_NAME).max(title.len())
}

/// Pods by their owner, then templates; the worst first.
fn groups(survey: &Survey) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(bool, String), Group<'_>> = BTreeMap::new();
    for one in &survey.objects {
        let title = match (one.is_template, one.owners.last()) {
            (false, Some(owner)) => format!("Pods of {owner}"),
            _ => one.object.to_string(),
        };
        let group = groups.entry((one.is_template, title.clone())).or_insert_with(|| Group {
            title: clean(&title, 300),
            worst: Compliance::Unmatched,
            pods: 0,
            lines: BTreeMap::new(),
            drifted: None,
        });
        group.add(one);
    }
    let mut groups: Vec<((bool, String), Group<'_>)> = groups.into_iter().collect();
    groups.sort_by(|((a, _), one), ((b, _), other)| {
        (a, one.worst, other.pods).cmp(&(b, other.worst, one.pods))
    });
    groups.into_iter().map(|(_, group)| group).collect()
}

impl<'a> Group<'a> {
    fn add(&mut self, one: &'a Surveyed) {
        self.pods += 1;
        self.worst = self.worst.min(one.compliance());
        for finding in &one.verdict.findings {
            let action = match finding.enforcement {
                Enforcement::Deny => "deny",
                Enforcement::Warn => "warn",
                Enforcement::Record => "audit",
            };
            let order = u8::from(finding.kind != FindingKind::Violation);
            let source = format!("policy {}, {}", finding.policy, finding.rule);
            let line =
                format!("{action:<5}  {} [{}]", clean(&finding.message, MAX_MESSAGE), clean(&source, 300));
            *self.lines.entry((order, line)).or_default() += 1;
        }
        let drifted = one.facts.iter().find(|fact| one.has_drifted(fact));
        self.drifted = self.drifted.or(drifted.map(|fact| fact.usage.image.as_str()));
    }
}

fn sum(survey: &Survey, summary: &Summary) -> String {
    let judged = summary.pods - summary.unmatched;
    let parts = [
        (summary.violating, "violating"),
        (summary.not_checked, "not checked"),
        (summary.unmatched, "matched by no policy"),
        (summary.drifted, "drifted"),
        (summary.never_judged, "never judged at admission"),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let rest = if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) };
    let mut text = format!(
        "{}, {}, {}: {} of {} judged Pods comply{rest}\n",
        count(summary.pods, "Pod"),
        count(summary.templates, "template"),
        count(summary.images, "image"),
        summary.compliant,
        judged
    );
    if summary.denied > 0 {
        let _ = writeln!(text, "{} would be refused if they were created now", count(summary.denied, "Pod"));
    }
    if survey.exempt > 0 {
        let _ = writeln!(text, "{} in exempt namespaces passed over", count(survey.exempt, "object"));
    }
    text
}
