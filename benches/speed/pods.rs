//! Pods as clusters have them, and policies for them.

use serde_json::{Value, json};

/// Ten policies as a platform team has them; three are of CEL.
pub(crate) const POLICIES: &[&str] = &[
    "rules: { user: { runAsNonRoot: true } }",
    "rules: { labels: [{ key: team, required: true }, { key: org.opencontainers.image.source, required: true }] }",
    "rules: { stopSignal: { valid: true, oneOf: [SIGTERM, SIGQUIT, SIGINT] } }",
    "rules: { env: { forbidden: ['*_TOKEN', '*PASSWORD*'] } }",
    "rules: { ports: { allowed: ['1024-65535'] } }",
    "rules: { volumes: { forbidden: true } }",
    "rules: { size: { maxCompressed: 2Gi, maxLayers: 60 } }",
    "validations: [{ expression: \"config.labels['team'] == 'shop'\", message: not ours }]",
    "validations: [{ expression: \"!effective.env.exists(name, name.startsWith('DEBUG'))\", message: debug }]",
    "validations: [{ expression: \"image.layers.size() <= 60 && image.size < 2147483648\", message: too large }]",
];

/// A policy document.
pub(crate) fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: hullmark.dev/v1alpha1\nkind: ClusterImageConfigPolicy\nmetadata: {{ name: {name} }}\nspec: {{ {spec} }}\n"
    )
}

/// All of [`POLICIES`], as one file.
pub(crate) fn policies() -> String {
    let documents: Vec<_> =
        POLICIES.iter().enumerate().map(|(n, spec)| policy(&format!("p{n}"), spec)).collect();
    documents.join("---\n")
}

/// The config of an image that complies with them.
pub(crate) fn config(nth: usize) -> Value {
    json!({
        "User": "1000:1000",
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8", "NODE_VERSION=22.11.0", "YARN_VERSION=1.22.22", format!("BUILD={nth}"),
        ],
        "Entrypoint": ["/usr/local/bin/docker-entrypoint.sh"],
        "Cmd": ["node", "/srv/app/index.js"],
        "WorkingDir": "/srv/app",
        "ExposedPorts": { "8080/tcp": {} },
        "StopSignal": "SIGTERM",
        "Labels": {
            "team": "shop",
            "org.opencontainers.image.source": "https://git.acme.io/shop/app",
            "org.opencontainers.image.revision": format!("{nth:040x}"),
            "org.opencontainers.image.created": "2026-10-01T12:00:00Z",
            "org.opencontainers.image.version": "1.27.3",
            "org.opencontainers.image.title": "app",
        },
    })
}

fn container(name: &str, image: &str) -> Value {
    json!({
        "name": name, "image": image, "imagePullPolicy": "IfNotPresent",
        "env": [
            { "name": "LOG_LEVEL", "value": "info" },
            { "name": "POD_IP", "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": "status.podIP" } } },
        ],
        "ports": [{ "containerPort": 8080, "name": "http", "protocol": "TCP" }],
        "resources": { "limits": { "memory": "256Mi" }, "requests": { "cpu": "100m", "memory": "128Mi" } },
        "livenessProbe": { "httpGet": { "path": "/healthz", "port": "http", "scheme": "HTTP" }, "periodSeconds": 10,
            "failureThreshold": 3, "successThreshold": 1, "timeoutSeconds": 1 },
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "volumeMounts": [
            { "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access", "readOnly": true },
        ],
    })
}

/// A Pod with a container for each image, as the API server completes it.
pub(crate) fn pod(images: &[String]) -> Value {
    let containers: Vec<_> =
        images.iter().enumerate().map(|(nth, image)| container(&format!("c{nth}"), image)).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "app-6d4cf56db6-7xk2p", "generateName": "app-6d4cf56db6-", "namespace": "shop",
            "uid": "3d9a2b1c-0000-4000-8000-5b0c1d2e3f40", "creationTimestamp": "2026-11-24T00:00:00Z",
            "labels": { "app": "app", "pod-template-hash": "6d4cf56db6", "app.kubernetes.io/part-of": "shop" },
            "annotations": { "prometheus.io/scrape": "true", "checksum/config": "8f14e45fceea167a5a36dedd4bea2543" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app-6d4cf56db6",
                "uid": "7c1e0000-0000-4000-8000-000000000000", "controller": true, "blockOwnerDeletion": true }],
        },
        "spec": {
            "containers": containers,
            "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0, "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {}, "serviceAccount": "default", "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 30,
            "tolerations": [
                { "effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300 },
                { "effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300 },
            ],
            "volumes": [{ "name": "kube-api-access", "projected": { "defaultMode": 420, "sources": [
                { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
                { "configMap": { "items": [{ "key": "ca.crt", "path": "ca.crt" }], "name": "kube-root-ca.crt" } },
            ] } }],
        },
        "status": { "phase": "Pending", "qosClass": "Burstable" },
    })
}

/// The AdmissionReview of its creation, as the API server sends it.
pub(crate) fn review(images: &[String]) -> Vec<u8> {
    let user = "system:serviceaccount:kube-system:replicaset-controller";
    let review = json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "requestKind": { "group": "", "version": "v1", "kind": "Pod" },
            "requestResource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": "shop", "operation": "CREATE",
            "userInfo": { "username": user, "uid": "a5b1", "groups": ["system:serviceaccounts", "system:authenticated"] },
            "object": pod(images), "oldObject": null, "dryRun": false,
            "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" },
        },
    });
    serde_json::to_vec(&review).unwrap()
}
