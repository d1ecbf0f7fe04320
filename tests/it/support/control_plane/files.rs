//! Certificates, keys, kubeconfigs and policies of the control plane.

use super::super::tls::{Authority, Leaf};
use serde_json::json;
use std::{fs, net::Ipv4Addr, path::Path};

/// What the API server notes of each request that changes something: who, what, and annotations.
const AUDIT_POLICY: &str = r"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
# Of Hullmark, everything: what it may do is held against what it does.
- { level: Metadata, users: ['system:serviceaccount:hullmark:hullmark'] }
- { level: None, verbs: [get, list, watch] }
- { level: None, resources: [{ group: '', resources: [events] }, { group: coordination.k8s.io }] }
- { level: Metadata }
";

/// How the API server shows webhooks who it is, whatever their host (Kubernetes, "Authenticate API
/// servers").
const ADMISSION: &str = r"
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ValidatingAdmissionWebhook
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: WebhookAdmissionConfiguration
";
const WEBHOOK_CLIENT: &str = r"
apiVersion: v1
kind: Config
users:
- name: '*'
  user: { client-certificate: webhook-client.crt, client-key: webhook-client.key }
";

/// Certificates, keys, kubeconfigs and the audit policy. Every program starts in this folder.
pub(super) fn write(folder: &Path, address: Ipv4Addr) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let pair = |name: &str, leaf: &Leaf| {
        write(&format!("{name}.crt"), &leaf.certificate);
        write(&format!("{name}.key"), &leaf.key);
    };
    let authority = Authority::new();
    write("ca.crt", &authority.pem());
    write("audit-policy.yaml", AUDIT_POLICY);
    let tokens = rcgen::KeyPair::generate().unwrap();
    write("service-accounts.key", &tokens.serialize_pem());
    write("service-accounts.pub", &tokens.public_key_pem());
    pair("kube-apiserver", &authority.server(&["localhost", "kubernetes.default.svc", &address.to_string()]));
    // What the API server shows to webhooks that ask who it is.
    pair("webhook-client", &authority.client("kube-apiserver", "system:masters"));
    write("webhook-client.kubeconfig", WEBHOOK_CLIENT);
    let admission =
        format!("{ADMISSION}    kubeConfigFile: {}/webhook-client.kubeconfig\n", folder.display());
    write("admission.yaml", &admission);
    for (file, user, group) in [
        ("admin", "admin", "system:masters"),
        ("controller-manager", "system:kube-controller-manager", "system:controllers"),
    ] {
        pair(file, &authority.client(user, group));
        let at = |name: String| folder.join(name).display().to_string();
        // JSON is YAML.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": user } }],
            "clusters": [{ "name": "test", "cluster": {
                "server": format!("https://{address}:6443"),
                "certificate-authority": at("ca.crt".to_owned()),
            } }],
            "users": [{ "name": user, "user": {
                "client-certificate": at(format!("{file}.crt")),
                "client-key": at(format!("{file}.key")),
            } }],
        });
        write(&format!("{file}.kubeconfig"), &config.to_string());
    }
}
