//! What Events say of a review: about the policy where a Pod was refused (its controller tells of that itself), about
//! whoever controls the Pod where it was let in, and nothing of dry runs and of templates, whose Pods come here too.

use crate::{
    admission::Mode,
    cluster::{
        events::{About, Events, News},
        policies,
    },
    policy::{Decision, Enforcement, Finding, FindingKind, Remark},
    server::Reviewed,
    text::count,
    workload::Workload,
};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};
use tokio::sync::watch;

/// Findings that a note tells; the rest is counted.
const MAX_TOLD: usize = 4;

/// Tells the cluster by Events.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) events: Events,
    /// Who the policies are to the API server.
    pub(super) policies: watch::Receiver<policies::State>,
    /// Whether findings are told; broken glass always is.
    pub(super) findings: bool,
}

impl Teller {
    pub(super) fn tell(&self, reviewed: &Reviewed<'_>) {
        let mut news: Vec<News> = glass_broken(reviewed).into_iter().collect();
        let has_findings = reviewed.review.is_some_and(|review| !review.verdict.findings.is_empty());
        if self.findings && has_findings {
            news.extend(of_findings(reviewed, &self.policies.borrow().uids));
        }
        for one in news {
            self.events.tell(one);
        }
    }
}

/// The Pod that was judged; none where nothing becomes of the answer, or it is a template.
fn pod<'a>(reviewed: &Reviewed<'a>) -> Option<&'a Workload> {
    let workload = reviewed.request.workload.as_ref().ok()?;
    (!reviewed.request.dry_run && !workload.is_template).then_some(workload)
}

/// That somebody who may has let a Pod through.
fn glass_broken(reviewed: &Reviewed<'_>) -> Option<News> {
    let pod = pod(reviewed).filter(|_| reviewed.mode == Mode::BreakGlass)?;
    let denials = reviewed.review.into_iter().flat_map(|review| review.verdict.with(Enforcement::Deny));
    let found = match denials.map(|finding| finding.message.as_str()).collect::<Vec<_>>().as_slice() {
        [] => "nothing that policies would have refused".to_owned(),
        messages => messages.join("; "),
    };
    Some(News {
        reason: "GlassBroken",
        action: "Admitted",
        regarding: about_pod(pod),
        related: None,
        topic: 0,
        note: format!("{} broke the glass for Pod {}: {found}", reviewed.request.user, pod.name),
    })
}

/// The findings of one piece of news.
struct Group<'a> {
    regarding: About,
    related: Option<About>,
    enforcement: Enforcement,
    reason: &'static str,
    findings: Vec<&'a Finding>,
}

/// What is told of the findings. `uids` are those of the policies in the cluster.
fn of_findings(reviewed: &Reviewed<'_>, uids: &BTreeMap<String, String>) -> Vec<News> {
    let (Some(pod), Some(review)) = (pod(reviewed), reviewed.review) else { return Vec::new() };
    let is_refused = reviewed.answer.decision == Decision::Deny;
    let mut groups: Vec<Group<'_>> = Vec::new();
    for finding in &review.verdict.findings {
        let is_denial = finding.enforcement == Enforcement::Deny;
        // Of a Pod that is not there, only what keeps it out; broken glass is told by its own Event.
        let is_told = if is_refused { is_denial } else { !(is_denial && reviewed.mode == Mode::BreakGlass) };
        if !is_told {
            continue;
        }
        let policy = uids.get(&finding.policy).filter(|_| is_refused);
        let (regarding, related) = match policy {
            Some(uid) => (about_policy(&finding.policy, uid), Some(who_made(pod, is_refused))),
            // What no policy asked for (`unmatched`), or one that is gone by now.
            None => (who_made(pod, is_refused), None),
        };
        let reason = reason(finding.kind);
        let same = groups.iter_mut().find(|group| {
            (group.reason, group.enforcement) == (reason, finding.enforcement) && group.regarding == regarding
        });
        match same {
            Some(group) => group.findings.push(finding),
            None => groups.push(Group {
                regarding,
                related,
                enforcement: finding.enforcement,
                reason,
                findings: vec![finding],
            }),
        }
    }
    groups.into_iter().map(|group| group.news(pod, is_refused)).collect()
}

impl Group<'_> {
    fn news(self, pod: &Workload, is_refused: bool) -> News {
        let (action, said) = match (self.enforcement, is_refused) {
            (_, true) => ("Refused", "was refused"),
            (Enforcement::Deny, _) => ("WouldRefuse", "would be refused if policies were enforced"),
            (Enforcement::Warn, _) => ("Warned", "was let in with a warning"),
            (Enforcement::Record, _) => ("Recorded", "was let in, and this is recorded"),
        };
        let remarks = Remark::all(self.findings.iter().copied());
        let told = remarks.iter().take(MAX_TOLD).map(|remark| {
            let message = &remark.finding.message;
            if self.related.is_some() { message.clone() } else { format!("{message} [{}]", remark.source()) }
        });
        let mut told: Vec<String> = told.collect();
        if remarks.len() > MAX_TOLD {
            told.push(format!("{} more", count(remarks.len() - MAX_TOLD, "finding")));
        }
        let namespace = pod.namespace.as_deref().unwrap_or("default");
        News {
            reason: self.reason,
            action,
            regarding: self.regarding,
            related: self.related,
            topic: topic(&self.findings),
            note: format!("Pod {namespace}/{} {said}: {}", pod.name, told.join("; ")),
        }
    }
}

/// The same for Pods that are alike.
fn topic(findings: &[&Finding]) -> u64 {
    let mut of: Vec<_> = findings.iter().map(|one| (&one.policy, &one.rule, &one.container)).collect();
    of.sort_unstable();
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn reason(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Violation => "PolicyViolation",
        FindingKind::Unresolved(_) => "ImageUnresolved",
        FindingKind::Stale(_) => "ImageStale",
        FindingKind::EvaluationError => "PolicyFailed",
    }
}

fn about_policy(name: &str, uid: &str) -> About {
    let (kind, namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => ("ImageConfigPolicy", Some(namespace.to_owned()), name),
        None => ("ClusterImageConfigPolicy", None, name),
    };
    About {
        api_version: crate::api::v1alpha1::API_VERSION.to_owned(),
        kind: kind.to_owned(),
        namespace,
        name: name.to_owned(),
        uid: Some(uid.to_owned()),
    }
}

/// The controller that made the Pod, else the Pod itself.
fn who_made(pod: &Workload, is_refused: bool) -> About {
    let owners = pod.object["metadata"]["ownerReferences"].as_array();
    let controller = owners.into_iter().flatten().find(|owner| owner["controller"] == true);
    // A Node stands above the mirrors of its static Pods, and has no namespace.
    let Some(owner) = controller.filter(|owner| owner["kind"] != "Node") else {
        let about = about_pod(pod);
        // The id of what was refused is nobody's.
        return About { uid: about.uid.filter(|_| !is_refused), ..about };
    };
    let text = |key: &str| owner[key].as_str().unwrap_or_default().to_owned();
    About {
        api_version: text("apiVersion"),
        kind: text("kind"),
        namespace: pod.namespace.clone(),
        name: text("name"),
        uid: owner["uid"].as_str().map(ToOwned::to_owned),
    }
}

fn about_pod(pod: &Workload) -> About {
    About {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.object["metadata"]["uid"].as_str().map(ToOwned::to_owned),
    }
}

#[cfg(test)]
mod tests;
