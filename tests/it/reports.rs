//! Reports in a real API server with the real definitions of both kinds, with the rights that the chart gives.

use crate::{
    chart,
    support::{ControlPlane, INSTALL, Namespace},
};
use hullmark::{
    cluster::{self, reports::Reports, reports::Written},
    policy::{Enforcement, Finding, FindingKind, Verdict},
    survey::{
        ObjectRef, Survey, Surveyed,
        report::{Extent, Form, Report, reports},
    },
    workload::UseKind,
};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// The garbage collector looks for new kinds every half a minute.
const COLLECTED_WITHIN: Duration = Duration::from_mins(2);

#[tokio::test]
async fn reports_are_of_the_kind_that_there_is() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace().await;
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&namespace, folder.path()).await;
    let (web, shop) = (deployment(&namespace, "web").await, deployment(&namespace, "shop").await);
    let both = of(0, &[(&web, "user"), (&shop, "user")], 10);
    // Of another tool: not ours to touch.
    let other = |[group, version, kind, _]: [&str; 4]| json!({ "apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": { "name": "others" } });

    assert_eq!(writer.write(both.clone()).await.unwrap(), Written::default(), "there is no kind of them");

    define(plane, "wgpolicy", "policyreports.wgpolicyk8s.io").await;
    create(&namespace, &other(Form::PolicyReport.names())).await;
    assert_eq!(writer.write(both.clone()).await.unwrap(), counts(Form::PolicyReport, 2, 0, 0));
    assert_eq!(names(&namespace, "policyreports").await.len(), 3);
    every_document_is_accepted(&namespace, Form::PolicyReport, &web).await;
    assert_eq!(
        writer.write(of(60, &[(&shop, "user")], 10)).await.unwrap(),
        counts(Form::PolicyReport, 0, 1, 1)
    );

    define(plane, "openreports", "reports.openreports.io").await;
    create(&namespace, &other(Form::OpenReports.names())).await;
    assert_eq!(
        writer.write(both.clone()).await.unwrap(),
        counts(Form::OpenReports, 2, 0, 1),
        "the successor"
    );
    assert_eq!(names(&namespace, "policyreports").await, ["others"]);
    every_document_is_accepted(&namespace, Form::OpenReports, &web).await;

    what_changes_is_written(&namespace, &writer, &web, &shop).await;
    what_cannot_be_written_keeps_nothing_else(&writer, &web, &shop).await;

    // Its owner takes it along.
    namespace.kubectl(["delete", "deployment", "web", "--cascade=orphan"]).await.succeeded();
    let started = Instant::now();
    let mine = format!("hullmark-{}", web.uid.as_ref().unwrap());
    while names(&namespace, "reports").await.contains(&mine) {
        assert!(started.elapsed() < COLLECTED_WITHIN, "the report outlives its owner");
        sleep(Duration::from_millis(500)).await;
    }
    assert!(names(&namespace, "reports").await.contains(&"others".to_owned()));
}

async fn what_changes_is_written(namespace: &Namespace, writer: &Reports, web: &ObjectRef, shop: &ObjectRef) {
    let both = of(0, &[(web, "user"), (shop, "user")], 10);
    let before = report(namespace, web).await;
    assert_eq!(before["summary"]["fail"], 1);
    assert_eq!(before["results"][0]["timestamp"]["seconds"], 1_800_000_000);
    let listed = namespace.kubectl(["get", "reports"]).await.succeeded();
    let columns = listed.text().lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    assert_eq!(columns, ["NAME", "PASS", "FAIL", "WARN", "ERROR", "SKIP", "AGE"], "{}", listed.text());

    let later = of(60, &[(web, "user"), (shop, "user")], 10);
    assert_eq!(writer.write(later).await.unwrap(), counts(Form::OpenReports, 0, 2, 0));
    assert_eq!(
        report(namespace, web).await["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );

    let changed = of(120, &[(web, "user"), (web, "ports"), (web, "volumes"), (shop, "user")], 2);
    assert_eq!(writer.write(changed).await.unwrap(), counts(Form::OpenReports, 1, 1, 0));
    let after = report(namespace, web).await;
    let times: Vec<&Value> =
        after["results"].as_array().unwrap().iter().map(|one| &one["timestamp"]["seconds"]).collect();
    assert_eq!(times, [1_800_000_120, 1_800_000_000], "what was there keeps its time; the third is left out");
    assert_eq!(after["metadata"]["annotations"]["hullmark.dev/results-left-out"], "1");
    assert_eq!(after["summary"]["fail"], 3);

    // One complies now.
    assert_eq!(
        writer.write(of(180, &[(shop, "user")], 10)).await.unwrap(),
        counts(Form::OpenReports, 0, 1, 1)
    );
    assert_eq!(writer.write(both.clone()).await.unwrap(), counts(Form::OpenReports, 1, 1, 0));
}

async fn what_cannot_be_written_keeps_nothing_else(writer: &Reports, web: &ObjectRef, shop: &ObjectRef) {
    let elsewhere =
        ObjectRef { namespace: Some("not-there".to_owned()), uid: Some("no-uid".to_owned()), ..web.clone() };
    let all = of(240, &[(web, "age"), (&elsewhere, "user"), (shop, "age")], 10);
    let written = writer.write(all).await.unwrap();
    assert_eq!((written.written, written.failed), (2, 1));
    let error = written.error.unwrap();
    assert!(error.starts_with("not-there/hullmark-no-uid: namespaces \"not-there\" not found"), "{error}");
}

/// As strictly as the API server can: every field is known, and of its type.
async fn every_document_is_accepted(namespace: &Namespace, form: Form, owner: &ObjectRef) {
    let kinds = [
        ("user", FindingKind::Violation),
        ("resolution", FindingKind::Unresolved(hullmark::image::UnresolvedKind::NotFound)),
        ("resolution", FindingKind::Stale(hullmark::image::UnresolvedKind::Timeout)),
        ("validations[0]", FindingKind::EvaluationError),
    ];
    let mut one = surveyed(owner, &[]);
    one.verdict.policies = vec!["content".into()];
    one.verdict.findings = kinds.map(|(rule, kind)| Finding { kind, ..finding(rule) }).to_vec();
    let exception = "shop/legacy".to_owned();
    one.verdict.excepted = vec![hullmark::policy::Excepted { exception, finding: finding("ports") }];
    for (max_results, results) in [(10, 6), (1, 1)] {
        let mut report =
            reports(&survey(0, vec![one.clone()]), Extent { max_results, passes: true }).remove(0);
        assert_eq!(report.entries.len(), results);
        report.uid = format!("{}-strict", report.uid);
        let document = report.document(form, None).to_string();
        let strictly = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
        let output = namespace.kubectl_with(&document, strictly).await.succeeded();
        assert_eq!(output.stderr, "");
    }
}

/// A writer with what the chart's roles say of reports, and no more.
async fn writer(namespace: &Namespace, folder: &Path) -> Reports {
    let objects = chart::release(&[]);
    let is_of_reports = |rule: &&Value| {
        ["openreports.io", "wgpolicyk8s.io"].iter().any(|group| rule["apiGroups"][0] == *group)
    };
    let all = objects.iter().filter(|object| object["kind"] == "ClusterRole");
    let rules: Vec<&Value> =
        all.flat_map(|role| role["rules"].as_array().unwrap()).filter(is_of_reports).collect();
    assert_eq!(rules.len(), 2);
    let name = format!("{}-reporter", namespace.name);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name },
        "rules": rules,
    });
    namespace.kubectl_with(&role.to_string(), ["create", "-f", "-"]).await.succeeded();
    namespace.kubectl(["create", "serviceaccount", "reporter"]).await.succeeded();
    let (role, account) =
        (format!("--clusterrole={name}"), format!("--serviceaccount={}:reporter", namespace.name));
    namespace.kubectl(["create", "clusterrolebinding", &name, &role, &account]).await.succeeded();
    let kubeconfig = folder.join("kubeconfig");
    namespace.plane.write_kubeconfig_of(&namespace.name, "reporter", &kubeconfig).await;
    Reports::new(cluster::connect(Some(&kubeconfig)).await.unwrap())
}

/// Makes a kind of reports known.
pub(crate) async fn define(plane: &ControlPlane, file: &str, crd: &str) {
    let folder = std::env::var("REPORT_CRDS").unwrap_or_else(|_| panic!("REPORT_CRDS is not set; {INSTALL}"));
    plane.kubectl(["create", "-f", &format!("{folder}/{file}.yaml")]).await.succeeded();
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd", crd];
    plane.kubectl(wait).await.succeeded();
}

async fn create(namespace: &Namespace, object: &Value) {
    namespace.kubectl_with(&object.to_string(), ["create", "-f", "-"]).await.succeeded();
}

async fn names(namespace: &Namespace, plural: &str) -> Vec<String> {
    let get = ["get", plural, "-o", "jsonpath={.items[*].metadata.name}"];
    let found = namespace.kubectl(get).await.succeeded();
    found.text().split_whitespace().map(ToOwned::to_owned).collect()
}

async fn report(namespace: &Namespace, owner: &ObjectRef) -> Value {
    let name = format!("hullmark-{}", owner.uid.as_ref().unwrap());
    namespace.kubectl(["get", "report", &name, "-o", "json"]).await.succeeded().json()
}

fn counts(form: Form, written: usize, unchanged: usize, deleted: usize) -> Written {
    Written { form: Some(form), written, unchanged, deleted, ..Written::default() }
}

async fn deployment(namespace: &Namespace, name: &str) -> ObjectRef {
    let create = ["create", "deployment", name, "--image=r.test/app:1", "--replicas=0", "-o", "json"];
    ObjectRef::of(&namespace.kubectl(create).await.succeeded().json())
}

/// Reports of a look at these Deployments, in which these rules were broken.
fn of(second: i64, broken: &[(&ObjectRef, &str)], max_results: usize) -> Vec<Report> {
    let mut objects: Vec<Surveyed> = Vec::new();
    for (owner, rule) in broken {
        match objects.iter_mut().find(|one| one.top() == *owner) {
            Some(one) => one.verdict.findings.push(finding(rule)),
            None => objects.push(surveyed(owner, &[rule])),
        }
    }
    reports(&survey(second, objects), Extent { max_results, passes: false })
}

fn survey(second: i64, objects: Vec<Surveyed>) -> Survey {
    Survey {
        at: jiff::Timestamp::from_second(1_800_000_000 + second).unwrap(),
        cluster: "test".to_owned(),
        policy_source: "cluster".to_owned(),
        policies: Vec::new(),
        objects,
        exempt: 0,
        notes: Vec::new(),
    }
}

/// A Pod of this Deployment.
fn surveyed(owner: &ObjectRef, rules: &[&str]) -> Surveyed {
    let pod = ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: format!("{}-x", owner.name),
        uid: Some("of-the-pod".to_owned()),
        namespace: owner.namespace.clone(),
    };
    let findings = rules.iter().map(|rule| finding(rule)).collect();
    Surveyed {
        object: pod,
        owners: vec![owner.clone()],
        is_template: false,
        created: None,
        never_judged: false,
        verdict: Verdict { findings, ..Verdict::default() },
        facts: Vec::new(),
        running: Vec::new(),
    }
}

fn finding(rule: &str) -> Finding {
    Finding {
        policy: "non-root".to_owned(),
        rule: rule.to_owned(),
        kind: FindingKind::Violation,
        enforcement: Enforcement::Deny,
        if_enforced: Enforcement::Deny,
        audit: false,
        use_kind: UseKind::Container,
        container: "app".to_owned(),
        field_path: "spec.containers[0].image".to_owned(),
        image: "r.test/app:1".to_owned(),
        platforms: vec!["linux/amd64".parse().unwrap()],
        found: format!("{rule} is wrong"),
        wanted: "a better one".to_owned(),
        message: format!("container \"app\": {rule} is wrong; wanted a better one"),
    }
}
