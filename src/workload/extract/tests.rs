use super::*;
use crate::workload::objects;
use serde_json::json;

fn read(object: &Value) -> Workload {
    Workload::from_object(object).expect("the object is valid").expect("the object carries a Pod")
}

fn pod_spec() -> Value {
    json!({ "containers": [{ "name": "app", "image": "nginx" }] })
}

fn paths(workload: &Workload) -> Vec<&str> {
    workload.uses.iter().map(|usage| usage.field_path.as_str()).collect()
}

#[test]
fn reads_every_kind_that_carries_a_pod() {
    let template = json!({ "metadata": { "labels": { "of": "template" } }, "spec": pod_spec() });
    let under_spec = json!({ "template": template });
    let cron = json!({ "jobTemplate": { "spec": { "template": template } } });
    for (api_version, kind, spec, path) in [
        ("v1", "ReplicationController", &under_spec, "spec.template.spec.containers[0].image"),
        ("apps/v1", "Deployment", &under_spec, "spec.template.spec.containers[0].image"),
        ("apps/v1", "ReplicaSet", &under_spec, "spec.template.spec.containers[0].image"),
        ("apps/v1", "StatefulSet", &under_spec, "spec.template.spec.containers[0].image"),
        ("apps/v1beta2", "DaemonSet", &under_spec, "spec.template.spec.containers[0].image"),
        ("batch/v1", "Job", &under_spec, "spec.template.spec.containers[0].image"),
        ("batch/v1", "CronJob", &cron, "spec.jobTemplate.spec.template.spec.containers[0].image"),
    ] {
        let metadata = json!({ "name": "web", "namespace": "shop", "labels": { "of": "object" } });
        let object = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec });
        let workload = read(&object);
        assert_eq!(paths(&workload), [path], "{kind}");
        assert_eq!((workload.api_version.as_str(), workload.kind.as_str()), (api_version, kind));
        assert_eq!((workload.name.as_str(), workload.namespace.as_deref()), ("web", Some("shop")), "{kind}");
        assert_eq!(workload.labels["of"], "template", "{kind}");
        assert!(workload.is_template, "{kind}");
    }

    let pod_template = read(&json!({ "apiVersion": "v1", "kind": "PodTemplate", "template": template }));
    assert_eq!(paths(&pod_template), ["template.spec.containers[0].image"]);
    assert!(pod_template.is_template);

    let pod = read(&json!({
        "apiVersion": "v1", "kind": "Pod", "spec": pod_spec(),
        "metadata": { "generateName": "web-", "labels": { "of": "pod" }, "annotations": { "a": null } },
    }));
    assert_eq!(paths(&pod), ["spec.containers[0].image"]);
    assert_eq!((pod.name.as_str(), &pod.namespace, pod.is_template), ("web-", &None, false));
    assert_eq!((pod.labels["of"].as_str(), pod.annotations["a"].as_str()), ("pod", ""));
}

#[test]
fn passes_over_kinds_that_carry_no_pod() {
    for (name, api_version, kind) in [
        ("another kind", "v1", "Service"),
        ("a Deployment of another group", "example.com/v1", "Deployment"),
        ("a Pod of another group", "metrics.k8s.io/v1beta1", "Pod"),
        ("a Job of another group", "apps/v1", "Job"),
        ("another case", "v1", "pod"),
        ("a scale", "autoscaling/v1", "Scale"),
    ] {
        let object = json!({ "apiVersion": api_version, "kind": kind, "spec": { "containers": 1 } });
        assert!(Workload::from_object(&object).unwrap().is_none(), "{name}");
    }
}

#[test]
fn finds_every_place_that_names_an_image() {
    let workload = read(&json!({ "apiVersion": "v1", "kind": "Pod", "spec": {
        "volumes": [
            { "name": "tmp", "emptyDir": {} },
            { "name": "model", "image": { "reference": "models/llm:1", "pullPolicy": "Always" } },
            { "name": "later", "image": {} },
        ],
        "initContainers": [
            { "name": "setup", "image": "busybox" },
            { "name": "proxy", "image": "envoy", "restartPolicy": "Always" },
        ],
        "containers": [{ "name": "app", "image": "nginx" }, { "name": "later", "image": "" }, { "name": "none" }],
        "ephemeralContainers": [{ "name": "debug", "image": "alpine", "targetContainerName": "app" }],
    } }));
    let found: Vec<_> = workload
        .uses
        .iter()
        .map(|usage| (usage.kind, usage.name.as_str(), usage.image.as_str(), usage.field_path.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (UseKind::Container, "app", "nginx", "spec.containers[0].image"),
            (UseKind::InitContainer, "setup", "busybox", "spec.initContainers[0].image"),
            (UseKind::InitContainer, "proxy", "envoy", "spec.initContainers[1].image"),
            (UseKind::EphemeralContainer, "debug", "alpine", "spec.ephemeralContainers[0].image"),
            (UseKind::ImageVolume, "model", "models/llm:1", "spec.volumes[1].image.reference"),
        ]
    );
    assert_eq!(workload.written(&workload.uses[2]).unwrap()["restartPolicy"], "Always");
    assert_eq!(workload.written(&workload.uses[4]).unwrap()["image"]["pullPolicy"], "Always");
    assert_eq!(
        workload.uses[0].reference.as_ref().map(ToString::to_string).unwrap(),
        "docker.io/library/nginx:latest"
    );
}

#[test]
fn an_invalid_reference_is_data() {
    let spec = json!({ "containers": [{ "name": "app", "image": "NGINX:latest" }] });
    let workload = read(&json!({ "apiVersion": "v1", "kind": "Pod", "spec": spec }));
    assert!(workload.uses[0].reference.is_err());
}

#[test]
fn reads_what_lies_over_the_image() {
    let workload = read(&json!({ "apiVersion": "v1", "kind": "Pod", "spec": {
        "os": { "name": "linux" },
        "hostUsers": false,
        "serviceAccountName": "web",
        "imagePullSecrets": [{ "name": "registry" }, { "name": "" }, {}],
        "securityContext": { "runAsUser": 1000, "runAsGroup": 2000, "windowsOptions": { "runAsUserName": "u" } },
        "containers": [{
            "name": "app", "image": "nginx", "command": ["/app"], "args": ["-v"], "workingDir": "/srv",
            "securityContext": { "runAsUser": 0, "runAsNonRoot": true },
            "env": [
                { "name": "A", "value": "1" },
                { "name": "B" },
                { "name": "C", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } },
            ],
            "lifecycle": { "stopSignal": "SIGQUIT" },
            "volumeMounts": [{ "name": "data", "mountPath": "/data" }, { "name": "broken" }],
        }],
    } }));
    assert_eq!(workload.os.as_deref(), Some("linux"));
    assert_eq!(workload.host_users, Some(false));
    assert_eq!(workload.service_account.as_deref(), Some("web"));
    assert_eq!(workload.pull_secrets, ["registry"]);
    let pod = Security {
        run_as_user: Some(1000),
        run_as_group: Some(2000),
        run_as_non_root: None,
        windows_user: Some("u".to_owned()),
    };
    assert_eq!(workload.security, pod);
    let text = |text: &str| Some(text.to_owned());
    let expected = Overrides {
        security: Security { run_as_user: Some(0), run_as_non_root: Some(true), ..Security::default() },
        command: vec!["/app".to_owned()],
        args: vec!["-v".to_owned()],
        env: vec![("A".to_owned(), text("1")), ("B".to_owned(), text("")), ("C".to_owned(), None)],
        working_dir: text("/srv"),
        stop_signal: text("SIGQUIT"),
        mount_paths: vec!["/data".to_owned()],
    };
    assert_eq!(workload.uses[0].overrides, expected);
}

#[test]
fn nulls_and_absent_fields_are_empty() {
    for (name, object) in [
        ("no spec", json!({ "apiVersion": "v1", "kind": "Pod" })),
        ("null spec", json!({ "apiVersion": "v1", "kind": "Pod", "metadata": null, "spec": null })),
        ("no template", json!({ "apiVersion": "v1", "kind": "ReplicationController", "spec": {} })),
        (
            "null lists",
            json!({ "apiVersion": "v1", "kind": "Pod", "spec": { "containers": null, "volumes": null } }),
        ),
    ] {
        assert!(read(&object).uses.is_empty(), "{name}");
    }
    let container =
        json!({ "name": null, "image": "a", "env": null, "command": null, "securityContext": null });
    let pod = read(&json!({ "apiVersion": "v1", "kind": "Pod", "spec": { "containers": [container] } }));
    assert_eq!(pod.uses[0].overrides, Overrides::default());
}

#[test]
fn errors_name_the_field_and_never_echo_the_value() {
    let pod = |spec: Value| json!({ "apiVersion": "v1", "kind": "Pod", "spec": spec });
    let container = |field: &str, value: Value| {
        let mut container = json!({ "name": "a", "image": "a" });
        container[field] = value;
        pod(json!({ "containers": [{ "name": "b", "image": "b" }, container] }))
    };
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "spec": { "template": { "spec": { "initContainers": [{}, { "image": 5 }] } } },
    });
    for (name, object, expected) in [
        ("no object", json!("secret"), "the document: expected an object, found a string"),
        ("no kind", json!({ "apiVersion": "v1" }), "kind: missing or empty"),
        ("no version", json!({ "kind": "Pod" }), "apiVersion: missing or empty"),
        (
            "kind of another type",
            json!({ "apiVersion": "v1", "kind": 1 }),
            "kind: expected a string, found a number",
        ),
        ("spec", pod(json!([])), "spec: expected an object, found a list"),
        ("containers", pod(json!({ "containers": {} })), "spec.containers: expected a list, found an object"),
        (
            "container",
            pod(json!({ "containers": [null] })),
            "spec.containers[0]: expected an object, found null",
        ),
        (
            "image",
            container("image", json!(true)),
            "spec.containers[1].image: expected a string, found a boolean",
        ),
        (
            "image in a template",
            deployment,
            "spec.template.spec.initContainers[1].image: expected a string, found a number",
        ),
        (
            "command",
            container("command", json!(["a", 1])),
            "spec.containers[1].command[1]: expected a string, found a number",
        ),
        ("args", container("args", json!("-v")), "spec.containers[1].args: expected a list, found a string"),
        (
            "env value",
            container("env", json!([{ "name": "PORT", "value": 80 }])),
            "spec.containers[1].env[0].value: expected a string, found a number",
        ),
        (
            "fraction",
            container("securityContext", json!({ "runAsUser": 1.5 })),
            "spec.containers[1].securityContext.runAsUser: expected a whole number of at most 64 bits",
        ),
        (
            "quoted number",
            container("securityContext", json!({ "runAsUser": "0" })),
            "spec.containers[1].securityContext.runAsUser: expected a whole number, found a string",
        ),
        (
            "quoted boolean",
            container("securityContext", json!({ "runAsNonRoot": "true" })),
            "spec.containers[1].securityContext.runAsNonRoot: expected true or false, found a string",
        ),
        (
            "volume",
            pod(json!({ "volumes": [{ "name": "v", "image": { "reference": [] } }] })),
            "spec.volumes[0].image.reference: expected a string, found a list",
        ),
        (
            "label",
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "labels": { "a/b": 1 } } }),
            "metadata.labels[\"a/b\"]: expected a string, found a number",
        ),
        (
            "node selector",
            pod(json!({ "nodeSelector": { "kubernetes.io/os": true } })),
            "spec.nodeSelector[\"kubernetes.io/os\"]: expected a string, found a boolean",
        ),
    ] {
        assert_eq!(Workload::from_object(&object).unwrap_err().to_string(), expected, "{name}");
    }
}

#[test]
fn lists_are_flattened_in_order() {
    let item = |name: &str| json!({ "kind": "Pod", "metadata": { "name": name } });
    for (name, document, expected) in [
        ("a document", item("a"), vec![("", "a")]),
        (
            "a list",
            json!({ "apiVersion": "v1", "kind": "List", "items": [item("a"), item("b")] }),
            vec![("items[0]", "a"), ("items[1]", "b")],
        ),
        (
            "a list in a list",
            json!({ "kind": "List", "items": [
                item("a"), { "kind": "PodList", "items": [item("b"), item("c")] }, item("d"),
            ] }),
            vec![
                ("items[0]", "a"),
                ("items[1].items[0]", "b"),
                ("items[1].items[1]", "c"),
                ("items[2]", "d"),
            ],
        ),
        ("an empty list", json!({ "kind": "List", "items": [] }), vec![]),
        (
            "a resource whose name ends in List",
            json!({ "kind": "DenyList", "metadata": { "name": "x" }, "items": ["10.0.0.1"] }),
            vec![("", "x")],
        ),
        ("a list without items", json!({ "kind": "List", "metadata": { "name": "x" } }), vec![("", "x")]),
    ] {
        let found = objects(&document);
        let found: Vec<_> = found
            .iter()
            .map(|(path, value)| (path.as_str(), value["metadata"]["name"].as_str().unwrap()))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_pod_names_a_bounded_number_of_images() {
    let deployment = |containers: usize| {
        let containers: Vec<_> =
            (0..containers).map(|n| json!({ "name": format!("c{n}"), "image": "nginx" })).collect();
        let volumes = json!([{ "name": "v", "image": { "reference": "models/llm:1" } }]);
        let spec = json!({ "template": { "spec": { "containers": containers, "volumes": volumes } } });
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": spec })
    };
    assert_eq!(read(&deployment(MAX_USES - 1)).uses.len(), MAX_USES);
    let error = Workload::from_object(&deployment(MAX_USES)).unwrap_err().to_string();
    assert_eq!(error, "spec.template.spec: names 1001 images; at most 1000 in one Pod are looked at");
}
