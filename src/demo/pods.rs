//! The demo's Pods, and the verdict that each must get.

use crate::policy::Decision;
use serde_json::{Value, json};

/// One Pod that the demo sends.
#[derive(Debug)]
pub(super) struct Sample {
    /// The Pod's name.
    pub(super) name: &'static str,
    /// What it shows, for the reader.
    pub(super) shows: &'static str,
    /// The Pod's spec.
    pub(super) spec: Value,
    /// The verdict that it must get.
    pub(super) expected: Decision,
    /// What the refusal or the warning must say.
    pub(super) says: &'static str,
}

/// Every sample, in the order in which they are sent.
pub(super) fn samples() -> Vec<Sample> {
    let ok = |name, shows, spec| Sample { name, shows, spec, expected: Decision::Allow, says: "" };
    let refused = |name, shows, spec, says| Sample { name, shows, spec, expected: Decision::Deny, says };
    vec![
        ok("web", "an index of two platforms, both fine", runs("shop/web:1.4")),
        ok("web-2", "the same image again: nothing is asked", runs("shop/web:1.4")),
        ok("api", "a single manifest, USER 10001", runs("shop/api:2.0")),
        refused("legacy", "no USER at all: root", runs("shop/legacy:0.9"), "runs as root"),
        refused("worker", "root on arm64 only", runs("shop/worker:3.1"), "linux/arm64"),
        ok("worker-amd64", "the same, but it cannot land on arm64", {
            let mut spec = runs("shop/worker:3.1");
            spec["nodeSelector"] = json!({ "kubernetes.io/arch": "amd64" });
            spec
        }),
        ok("worker-1000", "the same, but the Pod says runAsUser", {
            let mut spec = runs("shop/worker:3.1");
            spec["securityContext"] = json!({ "runAsUser": 1000 });
            spec
        }),
        refused("cron", "USER is a name: it may be root", runs("shop/cron:1.0"), "www-data"),
        refused("overflow", "USER 4294967296 (CVE-2024-40635)", runs("shop/overflow:1.0"), "4294967296"),
        refused("batch", "STOPSIGNAL is mistyped", runs("shop/batch:5.2"), "SIGQIUT"),
        refused("leaky", "a secret in ENV", runs("shop/leaky:1.1"), "AWS_SECRET_ACCESS_KEY"),
        refused(
            "sneaky",
            "a bad image in an init container",
            {
                let mut spec = runs("shop/web:1.4");
                spec["initContainers"] = json!([{ "name": "setup", "image": image("shop/legacy:0.9") }]);
                spec
            },
            "init container",
        ),
        Sample {
            name: "debug",
            shows: "latest: admitted with a warning",
            spec: runs("tools/debug"),
            expected: Decision::Warn,
            says: "latest",
        },
        refused(
            "ghost",
            "no such image: told apart from a violation",
            runs("shop/ghost:1.0"),
            "could not be checked",
        ),
    ]
}

fn runs(short: &str) -> Value {
    json!({ "containers": [{ "name": "app", "image": image(short) }] })
}

fn image(short: &str) -> String {
    format!("{}/{short}", super::DOMAIN)
}
