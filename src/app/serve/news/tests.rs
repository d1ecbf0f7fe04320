use super::*;
use crate::{
    admission::{Request, respond},
    image::UnresolvedKind,
    policy::fixtures,
    review::Review,
};
use serde_json::{Value, json};
use std::time::Duration;

fn request(pod: &Value, dry_run: bool) -> Request {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "r1", "operation": "CREATE", "namespace": "shop", "name": pod["metadata"]["name"],
            "kind": { "group": "", "version": "v1", "kind": "Pod" }, "dryRun": dry_run,
            "userInfo": { "username": "jane" }, "object": pod,
        },
    });
    Request::parse(review.to_string().as_bytes()).unwrap()
}

/// A Pod of a ReplicaSet, or of nobody.
fn pod(name: &str, owner: Option<&str>) -> Value {
    let owners = owner.map(|kind| {
        json!([
            { "apiVersion": "x/v1", "kind": "Other", "name": "not-the-controller", "uid": "o0" },
            { "apiVersion": "apps/v1", "kind": kind, "name": "web-7d9f", "uid": "o1", "controller": true },
        ])
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "uid": "p1", "ownerReferences": owners },
        "spec": { "containers": [{ "name": "app", "image": "r.test/app:1" }] },
    })
}

fn finding(policy: &str, enforcement: Enforcement, kind: FindingKind) -> Finding {
    Finding {
        policy: policy.to_owned(),
        kind,
        enforcement,
        message: format!("app {}", kind.as_str()),
        ..fixtures::finding()
    }
}

/// Everything that is told of a Pod with these findings.
fn told(pod: &Value, findings: &[Finding], mode: Mode, dry_run: bool) -> Vec<News> {
    let mut findings = findings.to_vec();
    findings.sort_by_key(|finding| finding.enforcement);
    let request = request(pod, dry_run);
    let review = Review {
        verdict: crate::policy::Verdict { findings, ..Default::default() },
        facts: Vec::new(),
        resolving: Duration::ZERO,
        judging: Duration::ZERO,
    };
    let answer = respond(&request, &review.verdict, &review.facts, mode);
    let reviewed = Reviewed {
        request: &request,
        review: Some(&review),
        answer: &answer,
        mode,
        reading: Duration::ZERO,
        elapsed: Duration::ZERO,
    };
    let uids = [("non-root", "c1"), ("shop/owned", "n1")];
    let uids = uids.map(|(name, uid)| (name.to_owned(), uid.to_owned())).into();
    glass_broken(&reviewed).into_iter().chain(of_findings(&reviewed, &uids)).collect()
}

/// `reason action regarding [related]: note`
fn line(news: &News) -> String {
    let about = |about: &ObjectRef| {
        let id = about.uid.as_deref().unwrap_or("-");
        format!("{}/{}/{id}", about.kind, about.name)
    };
    let related = news.related.as_ref().map(|related| format!(" {}", about(related))).unwrap_or_default();
    format!("{} {} {}{related}: {}", news.reason, news.action, about(&news.regarding), news.note)
}

use Enforcement::{Deny, Record, Warn};
use FindingKind::{EvaluationError, Stale, Unresolved, Violation};

const OWN: &str = "non-root";
const GONE: FindingKind = Unresolved(UnresolvedKind::NotFound);

/// A Pod, what was found and what is told of it.
type Row<'a> = (&'a str, &'a Value, Vec<Finding>, Mode, Vec<&'a str>);

fn check(rows: Vec<Row<'_>>) {
    for (name, pod, findings, mode, expected) in rows {
        let news = told(pod, &findings, mode, false);
        assert_eq!(news.iter().map(line).collect::<Vec<_>>(), expected, "{name}");
        assert!(
            news.iter().all(|one| one.regarding.namespace.is_some() || one.action == "Refused"),
            "{name}"
        );
        assert_eq!(told(pod, &findings, mode, true), [], "{name}: a dry run");
    }
}

#[test]
fn a_refusal_is_told_about_its_policies() {
    let owned = pod("web-7d9f-x", Some("ReplicaSet"));
    let bare = pod("bare", None);
    check(vec![
        ("nothing", &owned, vec![], Mode::Enforce, vec![]),
        (
            "refused: about each policy, and never about what only warns",
            &owned,
            vec![
                finding(OWN, Deny, Violation),
                finding("shop/owned", Deny, GONE),
                finding(OWN, Warn, EvaluationError),
            ],
            Mode::Enforce,
            vec![
                "PolicyViolation Refused ClusterImageConfigPolicy/non-root/c1 ReplicaSet/web-7d9f/o1: \
                 Pod shop/web-7d9f-x was refused: app violation",
                "ImageUnresolved Refused ImageConfigPolicy/owned/n1 ReplicaSet/web-7d9f/o1: \
                 Pod shop/web-7d9f-x was refused: app unresolved",
            ],
        ),
        (
            "a refused Pod has an id that is nobody's",
            &bare,
            vec![finding(OWN, Deny, Violation)],
            Mode::Enforce,
            vec![
                "PolicyViolation Refused ClusterImageConfigPolicy/non-root/c1 Pod/bare/-: \
                 Pod shop/bare was refused: app violation",
            ],
        ),
        (
            "refused by what is no policy of the cluster",
            &owned,
            vec![finding("hullmark", Deny, Violation)],
            Mode::Enforce,
            vec![
                "PolicyViolation Refused ReplicaSet/web-7d9f/o1: \
                 Pod shop/web-7d9f-x was refused: app violation [policy hullmark, user]",
            ],
        ),
    ]);
}

#[test]
fn what_is_let_in_is_told_about_its_controller() {
    let owned = pod("web-7d9f-x", Some("ReplicaSet"));
    let bare = pod("bare", None);
    let of_node = pod("etcd-node", Some("Node"));
    check(vec![
        (
            "let in: about the controller, the same of two policies once",
            &owned,
            vec![
                finding(OWN, Warn, Violation),
                finding("shop/owned", Warn, Violation),
                finding(OWN, Record, Stale(UnresolvedKind::Timeout)),
            ],
            Mode::Enforce,
            vec![
                "PolicyViolation Warned ReplicaSet/web-7d9f/o1: Pod shop/web-7d9f-x was let in with a warning: \
                 app violation [policies non-root and shop/owned, user]",
                "ImageStale Recorded ReplicaSet/web-7d9f/o1: Pod shop/web-7d9f-x was let in, and this is recorded: \
                 app stale [policy non-root, user]",
            ],
        ),
        (
            "audit: what would be refused",
            &bare,
            vec![finding(OWN, Deny, GONE)],
            Mode::Audit,
            vec![
                "ImageUnresolved WouldRefuse Pod/bare/p1: Pod shop/bare would be refused if policies were enforced: \
                 app unresolved [policy non-root, user]",
            ],
        ),
        (
            "a static Pod is told of by its mirror",
            &of_node,
            vec![finding(OWN, Record, EvaluationError)],
            Mode::Enforce,
            vec![
                "PolicyFailed Recorded Pod/etcd-node/p1: Pod shop/etcd-node was let in, and this is recorded: \
                 app evaluation-error [policy non-root, user]",
            ],
        ),
        (
            "broken glass is told once, about the Pod",
            &owned,
            vec![finding(OWN, Deny, Violation), finding(OWN, Warn, GONE)],
            Mode::BreakGlass,
            vec![
                "GlassBroken Admitted Pod/web-7d9f-x/p1: jane broke the glass for Pod web-7d9f-x: app violation",
                "ImageUnresolved Warned ReplicaSet/web-7d9f/o1: Pod shop/web-7d9f-x was let in with a warning: \
                 app unresolved [policy non-root, user]",
            ],
        ),
        (
            "broken for nothing",
            &bare,
            vec![],
            Mode::BreakGlass,
            vec![
                "GlassBroken Admitted Pod/bare/p1: jane broke the glass for Pod bare: \
                 nothing that policies would have refused",
            ],
        ),
    ]);
}

#[test]
fn templates_are_told_of_by_their_pods() {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "r1", "operation": "CREATE", "namespace": "shop", "name": "web",
            "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
            "object": {
                "metadata": { "name": "web" },
                "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "r.test/app:1" }] } } },
            },
        },
    });
    let request = Request::parse(review.to_string().as_bytes()).unwrap();
    let findings = vec![finding("non-root", Enforcement::Deny, FindingKind::Violation)];
    let verdict = crate::policy::Verdict { findings, ..Default::default() };
    let answer = respond(&request, &verdict, &[], Mode::Enforce);
    assert_eq!(answer.decision, Decision::Warn);
    let review = Review { verdict, facts: Vec::new(), resolving: Duration::ZERO, judging: Duration::ZERO };
    let reviewed = Reviewed {
        request: &request,
        review: Some(&review),
        answer: &answer,
        mode: Mode::BreakGlass,
        reading: Duration::ZERO,
        elapsed: Duration::ZERO,
    };
    assert_eq!((glass_broken(&reviewed), of_findings(&reviewed, &BTreeMap::new())), (None, Vec::new()));
}

#[test]
fn pods_that_are_alike_are_one_series() {
    let findings = [finding("non-root", Enforcement::Warn, FindingKind::Violation)];
    let of = |name: &str, findings: &[Finding]| {
        let mut news = told(&pod(name, Some("ReplicaSet")), findings, Mode::Enforce, false);
        for one in &mut news {
            one.note.clear();
        }
        news
    };
    assert_eq!(of("web-7d9f-a", &findings), of("web-7d9f-b", &findings));
    let mut other = findings.clone();
    other[0].container = "sidecar".to_owned();
    assert_ne!(of("web-7d9f-a", &findings), of("web-7d9f-a", &other));
}

#[test]
fn a_note_tells_the_first_and_counts_the_rest() {
    let findings: Vec<Finding> = (0..9)
        .map(|nth| Finding {
            message: format!("m{nth}"),
            ..finding("non-root", Enforcement::Deny, FindingKind::Violation)
        })
        .collect();
    let news = told(&pod("bare", None), &findings, Mode::Enforce, false);
    assert_eq!(news[0].note, "Pod shop/bare was refused: m0; m1; m2; m3; 5 findings more");
}
