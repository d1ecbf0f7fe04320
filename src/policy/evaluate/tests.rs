mod expressions;
mod selection;

use super::*;
use crate::{
    image::{Digest, PlatformImage, ResolvedImage},
    policy::{
        Decision, Namespace, PolicySet,
        fixtures::{
            cluster_policy, image, image_of, judge, namespaced_policy, platform, pod, pod_of, set, unresolved,
        },
    },
    workload::Workload,
};
use serde_json::json;
use std::sync::Arc;

const NON_ROOT: &str = "rules: { user: { runAsNonRoot: true } }";

fn messages(verdict: &Verdict) -> Vec<&str> {
    verdict.findings.iter().map(|finding| finding.message.as_str()).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "it is what looking at an image gives")]
fn root() -> Result<ResolvedImage, Unresolved> {
    Ok(image_of(&json!({})))
}

fn missing() -> Result<ResolvedImage, Unresolved> {
    Err(unresolved(UnresolvedKind::NotFound, "docker.io has no tag 1.27 of library/nginx"))
}

#[test]
fn a_finding_says_it_all() {
    let verdict = judge(&set(NON_ROOT), &pod_of("nginx:1.27"), &root(), None);
    assert_eq!(
        verdict.findings,
        [Finding {
            policy: "test".to_owned(),
            rule: "user".to_owned(),
            kind: FindingKind::Violation,
            enforcement: Enforcement::Deny,
            if_enforced: Enforcement::Deny,
            audit: false,
            use_kind: UseKind::Container,
            container: "app".to_owned(),
            field_path: "spec.containers[0].image".to_owned(),
            image: "nginx:1.27".to_owned(),
            platforms: vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()],
            found: "runs as root (USER is empty)".to_owned(),
            wanted: "a non-root user: set USER in the image or runAsUser in the Pod".to_owned(),
            message: "container \"app\": image nginx:1.27 (linux/amd64, linux/arm64) runs as root (USER is \
                      empty); wanted a non-root user: set USER in the image or runAsUser in the Pod"
                .to_owned(),
        }]
    );
    assert_eq!(verdict.policy_names(), ["test"]);
    assert_eq!(verdict.decision(), Decision::Deny);
}

#[test]
fn every_rule_speaks() {
    let policy = set(r#"
rules:
  user: { runAsNonRoot: true }
  labels: [{ key: team }]
  stopSignal: { valid: true }
  env: { forbidden: ["*_TOKEN"] }
  ports: { allowed: ["1024-65535"] }
  volumes: { forbidden: true }
  entrypoint: { required: true }
  workingDir: { oneOf: [/app] }
  age: { max: 7d }
  size: { maxCompressed: 1Ki, maxLayers: 1 }
  platforms: { required: [linux/amd64, linux/s390x] }
  reference: { digest: true, registries: [registry.acme.io], tags: { forbidden: [latest] } }
  base: { names: ["docker.io/library/debian:*"] }
"#);
    let config = json!({
        "StopSignal": "SIGTREM",
        "Env": ["GH_TOKEN=hunter2"],
        "ExposedPorts": { "80/tcp": {} },
        "Volumes": { "/data": {} },
    });
    let image = Ok(image(vec![platform("linux/amd64", &config)]));
    let verdict = judge(&policy, &pod_of("nginx"), &image, None);
    let prefix = "container \"app\": image nginx";
    let on = " (linux/amd64)";
    let expected = [
        format!(
            "{prefix} is named by the tag \"latest\", which can move; wanted a digest (name@sha256:…), which cannot"
        ),
        format!("{prefix} comes from the registry \"docker.io\"; wanted an image from registry.acme.io"),
        format!("{prefix} has the tag \"latest\"; wanted a tag other than latest, or a digest"),
        format!(
            "{prefix}{on} runs as root (USER is empty); wanted a non-root user: set USER in the image or runAsUser in the Pod"
        ),
        format!("{prefix}{on} has no label team; wanted a value: set LABEL in the image"),
        format!(
            "{prefix}{on} has a stop signal that does not exist (STOPSIGNAL is \"SIGTREM\"); wanted a valid signal, such as SIGTERM: set STOPSIGNAL in the image or lifecycle.stopSignal"
        ),
        format!(
            "{prefix}{on} has a value in its ENV for \"GH_TOKEN\"; wanted no variable like *_TOKEN: let the Pod set it by valueFrom"
        ),
        format!("{prefix}{on} exposes \"80/tcp\"; wanted only ports in 1024-65535"),
        format!(
            "{prefix}{on} declares a volume at \"/data\"; wanted no VOLUME in the image, or a volumeMount at the same path"
        ),
        format!(
            "{prefix}{on} has nothing to run (no first word in ENTRYPOINT and CMD); wanted a program: set ENTRYPOINT in the image or command in the container"
        ),
        format!("{prefix}{on} works in \"/\", as WORKDIR is not set; wanted /app"),
        format!("{prefix}{on} was created on 2026-11-01, 22 days ago; wanted an image of at most 7d"),
        format!("{prefix}{on} has 3.0 KiB of compressed layers; wanted at most 1Ki"),
        format!("{prefix}{on} has 2 layers; wanted at most 1"),
        format!(
            "{prefix} is not there for linux/s390x (it is for linux/amd64); wanted linux/amd64, linux/s390x"
        ),
        format!(
            "{prefix}{on} does not say what it was built on (no org.opencontainers.image.base.name); wanted a base image like docker.io/library/debian:*"
        ),
    ];
    assert_eq!(messages(&verdict), expected);
}

#[test]
fn a_good_image_passes() {
    let policy = set(r#"
rules:
  user: { runAsNonRoot: true, numeric: true, ranges: ["1000-65535"] }
  labels: [{ key: team, pattern: "^b" }]
  stopSignal: { valid: true, oneOf: [SIGTERM] }
  env: { forbidden: ["*_TOKEN"], required: [PATH] }
  ports: { allowed: ["1024-65535"] }
  volumes: { forbidden: true }
  entrypoint: { required: true, forbidden: [sh] }
  workingDir: { oneOf: [/app] }
  age: { max: 90d }
  size: { maxCompressed: 1Mi, maxLayers: 60 }
  platforms: { required: [linux/amd64, linux/arm64] }
  reference: { digest: true, registries: [docker.io] }
  base: { names: ["docker.io/library/debian:*"] }
"#);
    let config = json!({
        "User": "1000:0",
        "Labels": { "team": "blue", "org.opencontainers.image.base.name": "debian:12" },
        "StopSignal": "15",
        "Env": ["PATH=/bin"],
        "ExposedPorts": { "8080": {} },
        "Entrypoint": ["/app/server"],
        "WorkingDir": "/app",
    });
    let workload = pod_of(&format!("nginx@{}", Digest::sha256(b"")));
    let verdict = judge(&policy, &workload, &Ok(image_of(&config)), None);
    assert_eq!(messages(&verdict), Vec::<&str>::new());
    assert_eq!(verdict.decision(), Decision::Allow);
}

#[test]
fn platforms_that_agree_share_a_finding() {
    let user = |user: &str| json!({ "User": user });
    let root_here = platform("linux/amd64", &user("root"));
    for (name, others, expected) in [
        ("one violates", vec![platform("linux/arm64", &user("1"))], vec![vec!["linux/amd64"]]),
        (
            "both, alike",
            vec![platform("linux/arm64", &user("root"))],
            vec![vec!["linux/amd64", "linux/arm64"]],
        ),
        (
            "both, each its way",
            vec![platform("linux/arm64", &user("0"))],
            vec![vec!["linux/amd64"], vec!["linux/arm64"]],
        ),
    ] {
        let image = Ok(image([vec![root_here.clone()], others].concat()));
        let verdict = judge(&set(NON_ROOT), &pod_of("app"), &image, None);
        let platforms: Vec<Vec<String>> = verdict
            .findings
            .iter()
            .map(|finding| finding.platforms.iter().map(ToString::to_string).collect())
            .collect();
        assert_eq!(platforms, expected, "{name}");
    }
}

#[test]
fn actions_say_what_follows() {
    for (actions, enforcement, audit, decision) in [
        ("[Deny]", Enforcement::Deny, false, Decision::Deny),
        ("[Deny, Audit]", Enforcement::Deny, true, Decision::Deny),
        ("[Warn]", Enforcement::Warn, false, Decision::Warn),
        ("[Warn, Audit]", Enforcement::Warn, true, Decision::Warn),
        ("[Audit]", Enforcement::Record, true, Decision::Allow),
    ] {
        let set = set(&format!("{{ validationActions: {actions}, {NON_ROOT} }}"));
        let verdict = judge(&set, &pod_of("app"), &root(), None);
        let finding = &verdict.findings[0];
        assert_eq!((finding.enforcement, finding.audit, verdict.decision()), (enforcement, audit, decision));
        assert_eq!((finding.if_enforced, verdict.if_enforced()), (Enforcement::Deny, Decision::Deny));
    }
}

#[test]
fn denials_come_first() {
    let set = PolicySet::compile(&[
        cluster_policy("audits", &format!("{{ validationActions: [Audit], {NON_ROOT} }}")),
        cluster_policy("denies", NON_ROOT),
        cluster_policy("warns", &format!("{{ validationActions: [Warn], {NON_ROOT} }}")),
    ])
    .unwrap();
    let verdict = judge(&set, &pod_of("app"), &root(), None);
    let policies: Vec<&str> = verdict.findings.iter().map(|finding| finding.policy.as_str()).collect();
    assert_eq!(policies, ["denies", "warns", "audits"]);
    assert_eq!(verdict.policy_names(), ["audits", "denies", "warns"]);
}

#[test]
fn an_unresolved_image_is_never_stricter_than_a_violation() {
    for (actions, on_failure, expected, if_enforced) in [
        ("[Deny]", "Deny", Enforcement::Deny, Decision::Deny),
        ("[Deny]", "Warn", Enforcement::Warn, Decision::Warn),
        ("[Deny]", "Allow", Enforcement::Record, Decision::Allow),
        ("[Warn]", "Deny", Enforcement::Warn, Decision::Deny),
        ("[Warn]", "Allow", Enforcement::Record, Decision::Allow),
        ("[Audit]", "Deny", Enforcement::Record, Decision::Deny),
        ("[Audit]", "Warn", Enforcement::Record, Decision::Warn),
    ] {
        let spec =
            format!("{{ validationActions: {actions}, onResolutionFailure: {on_failure}, {NON_ROOT} }}");
        let verdict = judge(&set(&spec), &pod_of("nginx:1.27"), &missing(), None);
        let [finding] = verdict.findings.as_slice() else { panic!("{actions} {on_failure}") };
        assert_eq!(finding.enforcement, expected, "{actions} {on_failure}");
        assert_eq!(verdict.if_enforced(), if_enforced, "{actions} {on_failure}");
        assert_eq!(finding.kind, FindingKind::Unresolved(UnresolvedKind::NotFound));
        assert_eq!(finding.rule, "resolution");
    }
}

#[test]
fn what_was_known_before_is_good_for_those_who_can_do_without_a_registry() {
    let stale = |config: &serde_json::Value| {
        let failure = Arc::new(unresolved(UnresolvedKind::Unreachable, "docker.io refused the connection"));
        let freshness = Freshness::Stale { age: Duration::from_mins(5), failure };
        Ok(ResolvedImage { freshness, ..image_of(config) })
    };
    let why = FindingKind::Unresolved(UnresolvedKind::Unreachable);
    let known = FindingKind::Stale(UnresolvedKind::Unreachable);
    let rows = [
        ("Deny", json!({}), vec![(why, Enforcement::Deny)]),
        ("Warn", json!({}), vec![(FindingKind::Violation, Enforcement::Deny), (known, Enforcement::Warn)]),
        ("Allow", json!({}), vec![(FindingKind::Violation, Enforcement::Deny), (known, Enforcement::Record)]),
        ("Warn", json!({ "User": "1000" }), vec![(known, Enforcement::Warn)]),
        ("Allow", json!({ "User": "1000" }), vec![(known, Enforcement::Record)]),
    ];
    for (on_failure, config, expected) in rows {
        let spec = format!("{{ onResolutionFailure: {on_failure}, {NON_ROOT} }}");
        let verdict = judge(&set(&spec), &pod_of("nginx:1.27"), &stale(&config), None);
        let found: Vec<_> = verdict.findings.iter().map(|one| (one.kind, one.enforcement)).collect();
        assert_eq!(found, expected, "{on_failure} {config}");
    }
    let spec = format!("{{ onResolutionFailure: Warn, {NON_ROOT} }}");
    let verdict = judge(&set(&spec), &pod_of("nginx:1.27"), &stale(&json!({ "User": "1000" })), None);
    assert_eq!(
        messages(&verdict),
        [
            "container \"app\": image nginx:1.27 was judged by what was known 300 s ago: docker.io refused the connection"
        ]
    );
    let by_reference = set("rules: { reference: { digest: true } }");
    let verdict = judge(&by_reference, &pod_of("nginx:1.27"), &stale(&json!({})), None);
    assert_eq!(verdict.findings.len(), 1, "a policy that needs no image does not care");
}

#[test]
fn an_unresolved_image_reads_like_nothing_else() {
    let spec =
        "rules: { user: { runAsNonRoot: true }, volumes: { forbidden: true }, reference: { digest: true } }";
    let verdict = judge(&set(spec), &pod_of("nginx:1.27"), &missing(), None);
    assert_eq!(
        messages(&verdict),
        [
            "container \"app\": image nginx:1.27 could not be checked: docker.io has no tag 1.27 of library/nginx; \
             check the name and the tag, and that the image was pushed",
            "container \"app\": image nginx:1.27 is named by the tag \"1.27\", which can move; wanted a digest \
             (name@sha256:…), which cannot",
        ],
        "one finding for two rules that need the image, and the rule that needs none is still judged"
    );
}

#[test]
fn a_name_that_cannot_be_read_is_not_waved_through() {
    let id = format!("sha256:{}", "a".repeat(64));
    for (name, spec, image, findings) in [
        ("reference rule", "rules: { reference: { digest: true } }", id.as_str(), 1),
        ("image rule", NON_ROOT, "UPPER", 1),
        (
            "globs select it and do not exclude it",
            "{ match: { images: [\"registry.acme.io/**\"], excludeImages: [\"**\"] }, rules: { reference: { digest: true } } }",
            "registry.acme.io/UPPER",
            1,
        ),
        (
            "an expression on its parts",
            "validations: [{ expression: \"image.registry == 'docker.io'\" }]",
            "UPPER",
            1,
        ),
    ] {
        let verdict = judge(&set(spec), &pod_of(image), &missing(), None);
        assert_eq!(verdict.findings.len(), findings, "{name}");
        assert_eq!(verdict.decision(), Decision::Deny, "{name}");
        assert!(matches!(verdict.findings[0].kind, FindingKind::Unresolved(_)), "{name}");
    }
}

#[test]
fn what_nobody_looked_at_is_not_waved_through() {
    let (set, workload) = (set(NON_ROOT), pod_of("app"));
    let facts = [Fact { usage: workload.uses[0].clone(), image: None }];
    let null = serde_json::Value::Null;
    let now = "2026-11-23T12:00:00Z".parse().unwrap();
    let subject = Subject {
        workload: &workload,
        facts: &facts,
        request: &null,
        old_object: &null,
        namespace: None,
        now,
    };
    assert_eq!(set.evaluate(&subject).decision(), Decision::Deny);
}

#[test]
fn an_image_without_a_platform_is_not_waved_through() {
    let verdict = judge(&set(NON_ROOT), &pod_of("app"), &Ok(image(Vec::new())), None);
    assert_eq!(verdict.findings[0].kind, FindingKind::Unresolved(UnresolvedKind::NoMatchingPlatform));
    assert_eq!(verdict.decision(), Decision::Deny);
}

#[test]
fn a_hostile_image_makes_no_long_and_no_broken_message() {
    let policy = set(
        "rules: { user: { runAsNonRoot: true }, labels: [{ key: team, pattern: ^x$ }], volumes: { forbidden: true } }",
    );
    let nasty = "\u{1b}[31m\n\u{202e}\u{0}".repeat(50);
    let volumes: serde_json::Map<String, serde_json::Value> =
        (0..200).map(|i| (format!("/{i}/{nasty}"), json!({}))).collect();
    let config = json!({ "User": nasty, "Labels": { "team": nasty }, "Volumes": volumes });
    let many = (0..50).map(|i| PlatformImage {
        platform: Some(Platform::new("linux", &format!("arch{i}"), None, None)),
        ..platform("linux/amd64", &config)
    });
    let name =
        format!("registry.acme.io/{}/app@{}", "team/".repeat(40).trim_end_matches('/'), Digest::sha256(b""));
    let verdict = judge(&policy, &pod_of(&name), &Ok(image(many.collect())), None);
    assert_eq!(verdict.findings.len(), 3);
    for finding in &verdict.findings {
        assert!(finding.message.chars().count() <= 300, "{}", finding.message);
        for text in [&finding.message, &finding.found, &finding.wanted] {
            assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        }
    }
    assert!(verdict.findings[0].message.contains("(linux/arch0, linux/arch1, linux/arch2, 47 more)"));
}
