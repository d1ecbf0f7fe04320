mod places;

use super::*;
use serde_json::json;

/// A review of a Pod; `change` makes it what a row is about.
fn review(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "operation": "CREATE",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "name": "web", "namespace": "shop",
            "userInfo": { "username": "alice", "groups": ["dev"] },
            "object": pod(&[("app", "nginx")]),
        },
    });
    change(&mut review);
    serde_json::to_vec(&review).unwrap()
}

fn pod(containers: &[(&str, &str)]) -> Value {
    let containers: Vec<_> =
        containers.iter().map(|(name, image)| json!({ "name": name, "image": image })).collect();
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" }, "spec": { "containers": containers } })
}

fn deployment(pod_spec: &Value) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
            "spec": { "template": { "metadata": { "labels": { "app": "web" } }, "spec": pod_spec } } })
}

fn parse(change: impl FnOnce(&mut Value)) -> Request {
    let body = review(change);
    let whole = Request::parse(&body).expect("the review is valid");
    let pruned = Request::parse_pruned(&body).expect("so is what is left of it");
    assert_eq!(but_for_objects(&whole), but_for_objects(&pruned));
    whole
}

/// All that is judged without the trees.
fn but_for_objects(request: &Request) -> String {
    let mut request = request.clone();
    request.old_object = Value::Null;
    if let Ok(workload) = &mut request.workload {
        workload.object = Arc::default();
    }
    format!("{request:?}")
}

/// Names of the uses that are judged, or why none is.
fn judged_names(request: &Request) -> Result<Vec<&str>, &'static str> {
    let workload = request.workload.as_ref().map_err(|reason| *reason)?;
    Ok(workload.uses.iter().map(|usage| usage.name.as_str()).collect())
}

#[test]
fn reads_a_review() {
    let request = parse(|review| {
        review["request"]["dryRun"] = json!(true);
        review["request"]["object"]["metadata"] = json!({ "generateName": "web-" });
        review["request"]["name"] = json!("");
    });
    assert_eq!(request.uid, "u-1");
    assert_eq!(request.operation, Operation::Create);
    assert_eq!((request.kind.as_str(), request.name.as_str()), ("Pod", "web-"));
    assert_eq!((request.namespace.as_deref(), request.user.as_str()), (Some("shop"), "alice"));
    assert!(request.dry_run);
    assert_eq!(request.old_object, Value::Null);
    let workload = request.workload.unwrap();
    assert_eq!(workload.namespace.as_deref(), Some("shop"), "the object names none, the request does");
    assert_eq!(workload.object["kind"], "Pod");
    assert!(request.attributes.get("object").is_none());
}

#[test]
fn names_come_from_the_request_then_from_the_object() {
    for (case, name, metadata, expected) in [
        ("request", json!("a"), json!({ "name": "b" }), "a"),
        ("object", json!(null), json!({ "name": "b", "generateName": "c-" }), "b"),
        ("generated", json!(""), json!({ "generateName": "c-" }), "c-"),
        ("none", json!(""), json!({}), ""),
    ] {
        let request = parse(|review| {
            review["request"]["name"] = name;
            review["request"]["object"]["metadata"] = metadata;
        });
        assert_eq!(request.name, expected, "{case}");
    }
}

#[test]
fn bodies_that_cannot_be_answered_are_refused_with_the_reason() {
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    for (case, body, expected) in [
        ("empty", String::new(), "the body is empty; expected an AdmissionReview of admission.k8s.io/v1"),
        (
            "not JSON",
            "password=hunter2".to_owned(),
            "the body is not valid JSON: expected value at line 1 column 1",
        ),
        (
            "cut short",
            "{\"kind\":\"Adm".to_owned(),
            "the body is not valid JSON: EOF while parsing a string at line 1 column 12",
        ),
        (
            "two documents",
            "{} {}".to_owned(),
            "the body is not valid JSON: trailing characters at line 1 column 4",
        ),
        ("too deep", deep, "the body is not valid JSON: recursion limit exceeded at line 1 column 128"),
        ("a list", "[]".to_owned(), "the document: expected an object, found a list"),
        ("no version", "{}".to_owned(), "apiVersion: missing or empty"),
    ] {
        assert_eq!(Request::parse(body.as_bytes()).unwrap_err().to_string(), expected, "{case}");
    }
    let not_utf8 = Request::parse(b"{\"kind\":\"\xff\xfe\"}").unwrap_err().to_string();
    assert!(not_utf8.starts_with("the body is not valid JSON: "), "{not_utf8}");
}

#[test]
fn fields_of_a_wrong_kind_are_named() {
    type Change = fn(&mut Value);
    let rows: [(&str, Change, &str); 15] = [
        ("another kind", |r| r["kind"] = json!("Pod\n"), "kind: expected AdmissionReview, found \"Pod \""),
        (
            "v1beta1",
            |r| r["apiVersion"] = json!("admission.k8s.io/v1beta1"),
            "apiVersion: \"admission.k8s.io/v1beta1\" is not supported, only admission.k8s.io/v1; \
             set admissionReviewVersions: [v1] in the webhook's configuration",
        ),
        ("no request", |r| r["request"] = json!(null), "request: missing"),
        ("request", |r| r["request"] = json!("x"), "request: expected an object, found a string"),
        ("no uid", |r| r["request"]["uid"] = json!(null), "request.uid: missing or empty"),
        ("empty uid", |r| r["request"]["uid"] = json!(""), "request.uid: missing or empty"),
        ("uid", |r| r["request"]["uid"] = json!(7), "request.uid: expected a string, found a number"),
        ("no operation", |r| r["request"]["operation"] = json!(null), "request.operation: missing or empty"),
        (
            "operation",
            |r| r["request"]["operation"] = json!("create"),
            "request.operation: expected CREATE, UPDATE, DELETE or CONNECT",
        ),
        ("kind", |r| r["request"]["kind"] = json!("Pod"), "request.kind: expected an object, found a string"),
        ("no kind", |r| r["request"]["kind"] = json!({}), "request.kind.kind: missing or empty"),
        (
            "dryRun",
            |r| r["request"]["dryRun"] = json!("no"),
            "request.dryRun: expected true or false, found a string",
        ),
        ("no object", |r| r["request"]["object"] = json!(null), "request.object: missing"),
        (
            "in the object",
            |r| r["request"]["object"]["spec"]["containers"][0]["env"] = json!([{ "value": 5 }]),
            "request.object.spec.containers[0].env[0].value: expected a string, found a number",
        ),
        (
            "in the old object",
            |r| {
                r["request"]["operation"] = json!("UPDATE");
                r["request"]["oldObject"] = json!({ "spec": { "containers": 1 } });
            },
            "request.oldObject.spec.containers: expected a list, found a number",
        ),
    ];
    for (case, change, expected) in rows {
        assert_eq!(Request::parse(&review(change)).unwrap_err().to_string(), expected, "{case}");
    }
}

#[test]
fn a_long_name_in_a_bad_review_is_not_echoed_whole() {
    let error = Request::parse(&review(|r| r["kind"] = json!("x".repeat(10_000)))).unwrap_err();
    assert!(error.0.len() < 200, "{error}");
}

#[test]
fn the_kind_comes_from_the_request_else_from_the_object() {
    let of_object = parse(|review| {
        review["request"]["kind"] = json!(null);
    });
    assert_eq!(judged_names(&of_object), Ok(vec!["app"]));
    let of_request = parse(|review| {
        review["request"]["object"]["kind"] = json!(null);
        review["request"]["object"]["apiVersion"] = json!(null);
    });
    assert_eq!(judged_names(&of_request), Ok(vec!["app"]));
}

#[test]
fn what_is_not_judged_says_why() {
    let kind =
        |group: &str, version: &str, kind: &str| json!({ "group": group, "version": version, "kind": kind });
    for (case, operation, kind, object, expected) in [
        ("delete", "DELETE", kind("", "v1", "Pod"), json!(null), "a deletion adds no image"),
        ("connect", "CONNECT", kind("", "v1", "PodExecOptions"), json!({}), "a connection adds no image"),
        ("a Service", "CREATE", kind("", "v1", "Service"), json!({}), "this kind carries no Pod"),
        (
            "another group's",
            "CREATE",
            kind("example.com", "v1", "Deployment"),
            json!({}),
            "this kind carries no Pod",
        ),
        (
            "no image",
            "CREATE",
            kind("", "v1", "Pod"),
            json!({ "spec": { "containers": [] } }),
            "it names no image",
        ),
    ] {
        let request = parse(|review| {
            review["request"]["operation"] = json!(operation);
            review["request"]["kind"] = kind;
            review["request"]["object"] = object;
        });
        assert_eq!(judged_names(&request), Err(expected), "{case}");
    }
}

#[test]
fn sub_resources() {
    let ignored = Err("this sub-resource cannot change an image");
    for (sub_resource, kind, expected) in [
        ("", "Pod", Ok(vec!["app"])),
        ("ephemeralcontainers", "Pod", Ok(vec!["app"])),
        ("exec", "PodExecOptions", ignored.clone()),
        ("attach", "PodAttachOptions", ignored.clone()),
        ("portforward", "PodPortForwardOptions", ignored.clone()),
        ("proxy", "PodProxyOptions", ignored.clone()),
        ("log", "Pod", ignored.clone()),
        ("binding", "Binding", ignored.clone()),
        ("eviction", "Eviction", ignored.clone()),
        ("status", "Pod", ignored.clone()),
        ("resize", "Pod", ignored),
        ("a new one that carries a Pod", "Pod", Ok(vec!["app"])),
        ("scale", "Scale", Err("this kind carries no Pod")),
    ] {
        let request = parse(|review| {
            review["request"]["subResource"] = json!(sub_resource);
            review["request"]["kind"]["kind"] = json!(kind);
        });
        assert_eq!(judged_names(&request), expected, "{sub_resource:?}");
        assert_eq!(request.sub_resource, sub_resource);
    }
}

#[test]
fn an_update_of_a_pod_is_judged_on_its_new_images() {
    let unchanged = Err("no image was added or changed");
    let old = pod(&[("app", "nginx:1"), ("log", "fluent")]);
    let with = |key: &str, value: Value| {
        let mut pod = old.clone();
        pod["spec"][key] = value;
        pod
    };
    let mut labelled = old.clone();
    labelled["metadata"]["labels"] = json!({ "a": "b" });
    let mut deleted = pod(&[("app", "nginx:2")]);
    deleted["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    for (case, new, expected) in [
        ("nothing changed", old.clone(), unchanged.clone()),
        ("labels changed", labelled, unchanged.clone()),
        ("order changed", pod(&[("log", "fluent"), ("app", "nginx:1")]), unchanged.clone()),
        ("an image changed", pod(&[("app", "nginx:2"), ("log", "fluent")]), Ok(vec!["app"])),
        ("images swapped", pod(&[("app", "fluent"), ("log", "nginx:1")]), Ok(vec!["app", "log"])),
        ("a container renamed", pod(&[("web", "nginx:1"), ("log", "fluent")]), Ok(vec!["web"])),
        ("a container removed", pod(&[("app", "nginx:1")]), unchanged.clone()),
        (
            "an ephemeral container added",
            with("ephemeralContainers", json!([{ "name": "debug", "image": "alpine" }])),
            Ok(vec!["debug"]),
        ),
        (
            "the same name and image in another list",
            with("initContainers", json!([{ "name": "app", "image": "nginx:1" }])),
            Ok(vec!["app"]),
        ),
        ("being deleted", deleted, Err("the object is being deleted")),
    ] {
        let request = parse(|review| {
            review["request"]["operation"] = json!("UPDATE");
            review["request"]["object"] = new;
            review["request"]["oldObject"] = old.clone();
        });
        assert_eq!(judged_names(&request), expected, "{case}");
        assert_eq!(request.old_object, old, "{case}");
    }
}

#[test]
fn an_update_without_an_old_object_is_judged_whole() {
    let request = parse(|review| review["request"]["operation"] = json!("UPDATE"));
    assert_eq!(judged_names(&request), Ok(vec!["app"]));
}

#[test]
fn an_update_of_a_template_is_judged_on_all_that_makes_its_pods() {
    let unchanged = Err("no image was added or changed");
    let spec = pod(&[("app", "nginx:1"), ("log", "fluent")])["spec"].clone();
    let with = |key: &str, value: Value| {
        let mut spec = spec.clone();
        spec[key] = value;
        deployment(&spec)
    };
    let mut scaled = deployment(&spec);
    scaled["spec"]["replicas"] = json!(5);
    let mut labelled = deployment(&spec);
    labelled["spec"]["template"]["metadata"]["labels"] = json!({ "app": "api" });
    let mut restarted = deployment(&spec);
    restarted["spec"]["template"]["metadata"]["annotations"] =
        json!({ "kubectl.kubernetes.io/restartedAt": "now" });
    let mut deleted = labelled.clone();
    deleted["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    let mut container = spec.clone();
    container["containers"][1]["securityContext"] = json!({ "runAsUser": 0 });
    for (case, new, expected) in [
        ("scaled", scaled, unchanged.clone()),
        ("restarted", restarted, unchanged),
        ("a container's user", deployment(&container), Ok(vec!["log"])),
        ("the Pod's user", with("securityContext", json!({ "runAsUser": 0 })), Ok(vec!["app", "log"])),
        (
            "the Pod's platforms",
            with("nodeSelector", json!({ "kubernetes.io/arch": "arm64" })),
            Ok(vec!["app", "log"]),
        ),
        ("user namespace", with("hostUsers", json!(false)), Ok(vec!["app", "log"])),
        ("os", with("os", json!({ "name": "linux" })), Ok(vec!["app", "log"])),
        ("labels of its Pods", labelled, Ok(vec!["app", "log"])),
        ("being deleted", deleted, Err("the object is being deleted")),
    ] {
        let request = parse(|review| {
            review["request"]["kind"] = json!({ "group": "apps", "version": "v1", "kind": "Deployment" });
            review["request"]["operation"] = json!("UPDATE");
            review["request"]["object"] = new;
            review["request"]["oldObject"] = deployment(&spec);
        });
        assert_eq!(judged_names(&request), expected, "{case}");
    }
}

#[test]
fn mirror_pods_are_judged_like_others() {
    let request = parse(|review| {
        review["request"]["userInfo"] = json!({ "username": "system:node:n1", "groups": ["system:nodes"] });
        review["request"]["object"]["metadata"]["annotations"] =
            json!({ "kubernetes.io/config.mirror": "x" });
    });
    assert_eq!(judged_names(&request), Ok(vec!["app"]));
}

#[test]
fn attributes_have_every_declared_field() {
    let nobody = attributes(Value::Null);
    for field in [
        "/uid",
        "/name",
        "/namespace",
        "/operation",
        "/subResource",
        "/requestSubResource",
        "/kind/kind",
        "/resource/resource",
        "/requestKind/group",
        "/requestResource/version",
        "/userInfo/username",
        "/userInfo/groups",
        "/userInfo/extra",
        "/dryRun",
        "/options",
    ] {
        assert!(nobody.pointer(field).is_some_and(|value| !value.is_null()), "{field}");
    }
    let given = attributes(json!({
        "object": {}, "oldObject": null, "name": null, "dryRun": true,
        "userInfo": { "username": "a", "groups": ["b"], "uid": null }, "new": 1,
    }));
    assert_eq!(given["userInfo"], json!({ "username": "a", "uid": "", "groups": ["b"], "extra": {} }));
    assert_eq!((&given["name"], &given["dryRun"], &given["new"]), (&json!(""), &json!(true), &json!(1)));
    assert!(given.get("object").is_none() && given.get("oldObject").is_none());
}
