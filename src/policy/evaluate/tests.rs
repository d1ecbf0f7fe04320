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
    assert_eq!(verdict.policies, ["test"]);
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
            "{prefix}{on} has nothing to run (no ENTRYPOINT and no CMD); wanted a program: set ENTRYPOINT in the image or command in the container"
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
    assert_eq!(verdict.policies, ["audits", "denies", "warns"]);
}

#[test]
fn an_unresolved_image_is_never_stricter_than_a_violation() {
    for (actions, on_failure, expected) in [
        ("[Deny]", "Deny", Enforcement::Deny),
        ("[Deny]", "Warn", Enforcement::Warn),
        ("[Deny]", "Allow", Enforcement::Record),
        ("[Warn]", "Deny", Enforcement::Warn),
        ("[Warn]", "Allow", Enforcement::Record),
        ("[Audit]", "Deny", Enforcement::Record),
        ("[Audit]", "Warn", Enforcement::Record),
    ] {
        let spec =
            format!("{{ validationActions: {actions}, onResolutionFailure: {on_failure}, {NON_ROOT} }}");
        let verdict = judge(&set(&spec), &pod_of("nginx:1.27"), &missing(), None);
        let [finding] = verdict.findings.as_slice() else { panic!("{actions} {on_failure}") };
        assert_eq!(finding.enforcement, expected, "{actions} {on_failure}");
        assert_eq!(finding.kind, FindingKind::Unresolved(UnresolvedKind::NotFound));
        assert_eq!(finding.rule, "resolution");
    }
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
fn selects_by_image_and_use() {
    let select = |matching: &str| set(&format!("{{ match: {matching}, {NON_ROOT} }}"));
    let workload = pod("initContainers: [{ name: init, image: registry.acme.io/init }]\n\
         containers: [{ name: app, image: nginx }, { name: port, image: 'REGISTRY.acme.io:443/a/b' }]");
    for (name, matching, expected) in [
        ("all", "{}", &["init", "app", "port"][..]),
        ("a glob", "{ images: [\"docker.io/library/*\"] }", &["app"]),
        ("another spelling of the registry", "{ images: [\"registry.acme.io/**\"] }", &["init", "port"]),
        ("without some", "{ excludeImages: [\"registry.acme.io/*\"] }", &["app", "port"]),
        ("init containers", "{ uses: [InitContainer] }", &["init"]),
        ("none", "{ images: [\"ghcr.io/**\"] }", &[]),
    ] {
        let set = select(matching);
        let verdict = judge(&set, &workload, &root(), None);
        let mut containers: Vec<&str> = verdict.findings.iter().map(|f| f.container.as_str()).collect();
        containers.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(containers, expected, "{name}");
        assert_eq!(verdict.policies.is_empty(), expected.is_empty(), "{name}");
        let needed = workload.uses.iter().filter(|usage| set.needs_image(&workload, usage)).count();
        assert_eq!(needed, expected.len(), "{name}: only what is selected is looked at");
    }
}

#[test]
fn selects_by_labels() {
    let prod = Namespace {
        name: "shop".to_owned(),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        object: serde_json::Value::Null,
    };
    for (name, matching, namespace, expected) in [
        ("namespace", "{ namespaceSelector: { matchLabels: { env: prod } } }", Some(&prod), true),
        ("another", "{ namespaceSelector: { matchLabels: { env: dev } } }", Some(&prod), false),
        ("labels not known", "{ namespaceSelector: { matchLabels: { env: prod } } }", None, false),
        (
            "the name is always known",
            "{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: shop } } }",
            None,
            true,
        ),
        (
            "not in",
            "{ namespaceSelector: { matchExpressions: [{ key: kubernetes.io/metadata.name, operator: NotIn, values: [shop] }] } }",
            None,
            false,
        ),
        ("empty selector", "{ namespaceSelector: {}, objectSelector: {} }", None, true),
        ("object", "{ objectSelector: { matchLabels: { app: web } } }", None, true),
        ("other object", "{ objectSelector: { matchLabels: { app: api } } }", None, false),
        ("exists", "{ objectSelector: { matchExpressions: [{ key: app, operator: Exists }] } }", None, true),
        (
            "does not exist",
            "{ objectSelector: { matchExpressions: [{ key: app, operator: DoesNotExist }] } }",
            None,
            false,
        ),
        (
            "not in, and absent",
            "{ objectSelector: { matchExpressions: [{ key: tier, operator: NotIn, values: [a] }] } }",
            None,
            true,
        ),
    ] {
        let set = set(&format!("{{ match: {matching}, {NON_ROOT} }}"));
        let workload = pod_of("app");
        let verdict = judge(&set, &workload, &root(), namespace);
        assert_eq!(!verdict.findings.is_empty(), expected, "{name}");
        assert!(
            !expected || set.needs_image(&workload, &workload.uses[0]),
            "{name}: what is judged is looked at"
        );
    }
}

#[test]
fn a_namespaced_policy_holds_in_its_namespace() {
    let set = PolicySet::compile(&[namespaced_policy("shop", "a", NON_ROOT)]).unwrap();
    let here = pod_of("app");
    let there = Workload { namespace: Some("bank".to_owned()), ..here.clone() };
    let bank = Namespace { name: "bank".to_owned(), ..Namespace::default() };
    assert_eq!(judge(&set, &here, &root(), None).findings[0].policy, "shop/a");
    assert!(judge(&set, &there, &root(), None).findings.is_empty());
    assert!(judge(&set, &here, &root(), Some(&bank)).findings.is_empty(), "the request's namespace counts");
    assert!(!set.needs_image(&there, &there.uses[0]));
}

#[test]
fn an_image_volume_is_judged_by_what_makes_sense() {
    let workload = pod("volumes: [{ name: model, image: { reference: 'acme.io/model' } }]");
    let not_an_image = || Err(unresolved(UnresolvedKind::NotAnImage, "acme.io/model is a helm chart"));
    let uses = "match: { uses: [Container, ImageVolume] }";
    for (name, spec, image, expected) in [
        ("not asked for", "rules: { reference: { digest: true } }".to_owned(), root(), vec![]),
        ("a config rule", format!("{{ {uses}, {NON_ROOT} }}"), root(), vec![]),
        ("a config rule and an artifact", format!("{{ {uses}, {NON_ROOT} }}"), not_an_image(), vec![]),
        (
            "reference and an artifact",
            format!("{{ {uses}, rules: {{ reference: {{ digest: true }} }} }}"),
            not_an_image(),
            vec!["reference"],
        ),
        ("size", format!("{{ {uses}, rules: {{ size: {{ maxLayers: 1 }} }} }}"), root(), vec!["size"]),
        (
            "size and an artifact",
            format!("{{ {uses}, rules: {{ size: {{ maxLayers: 1 }} }} }}"),
            not_an_image(),
            vec!["resolution"],
        ),
    ] {
        let verdict = judge(&set(&spec), &workload, &image, None);
        let rules: Vec<&str> = verdict.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!(rules, expected, "{name}");
    }
}

#[test]
fn rules_on_the_name_need_no_image() {
    let workload = pod_of("nginx");
    let needs = |spec: &str| set(spec).needs_image(&workload, &workload.uses[0]);
    assert!(!needs("rules: { reference: { digest: true } }"));
    assert!(needs(NON_ROOT));
    let invalid = pod_of("UPPER");
    assert!(set("rules: { reference: { digest: true } }").needs_image(&invalid, &invalid.uses[0]));
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

#[test]
fn validations_speak_for_themselves() {
    let config = json!({ "User": "1000", "Labels": { "team": "red" } });
    for (name, validation, expected) in [
        ("true", "{ expression: \"config.labels['team'] == 'red'\" }", None),
        (
            "no message",
            "{ expression: \"config.labels['team'] == 'blue'\" }",
            Some("does not satisfy config.labels['team'] == 'blue'"),
        ),
        ("message", "{ expression: 'false', message: no good }", Some("no good")),
        (
            "message expression",
            "{ expression: 'false', message: no good, messageExpression: \"'image of ' + config.labels['team']\" }",
            Some("image of red"),
        ),
        (
            "a message expression that fails",
            "{ expression: 'false', message: no good, messageExpression: \"config.labels['x']\" }",
            Some("no good"),
        ),
        (
            "a message expression that is empty",
            "{ expression: 'false', messageExpression: \"''\" }",
            Some("does not satisfy false"),
        ),
        (
            "several lines",
            "{ expression: 'false', message: no good, messageExpression: \"'a\\\\nb'\" }",
            Some("no good"),
        ),
        (
            "reason",
            "{ expression: 'false', message: no good, reason: Forbidden }",
            Some("no good (Forbidden)"),
        ),
    ] {
        let verdict = judge(
            &set(&format!("validations: [{validation}]")),
            &pod_of("app"),
            &Ok(image_of(&config)),
            None,
        );
        let found: Vec<&str> = verdict.findings.iter().map(|finding| finding.found.as_str()).collect();
        assert_eq!(found, Vec::from_iter(expected), "{name}");
        for finding in &verdict.findings {
            assert_eq!(
                (finding.kind, finding.enforcement),
                (FindingKind::Violation, Enforcement::Deny),
                "{name}"
            );
            assert_eq!(finding.rule, "validations[0]", "{name}");
        }
    }
}

#[test]
fn a_validation_is_judged_for_each_platform_if_it_reads_the_image() {
    let blue = || json!({ "Labels": { "team": "blue" } });
    let image = Ok(image(vec![platform("linux/amd64", &blue()), platform("linux/arm64", &json!({}))]));
    let spec = r#"
validations:
  - { name: team, expression: "config.labels[?'team'].orValue('') == 'blue'", message: is not blue }
  - { expression: "container.name == 'web'", message: the container is not web }
"#;
    let verdict = judge(&set(spec), &pod_of("app"), &image, None);
    assert_eq!(
        messages(&verdict),
        [
            "container \"app\": image app (linux/arm64): is not blue",
            "container \"app\": image app: the container is not web",
        ]
    );
    assert_eq!(verdict.findings[0].rule, "team");
    let verdict = judge(&set(spec), &pod_of("app"), &missing(), None);
    let rules: Vec<&str> = verdict.findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["resolution", "validations[1]"], "what needs no image is still judged");
}

#[test]
fn an_expression_that_fails_is_enforced_and_says_so() {
    let spec = "validations: [{ expression: \"config.labels['team'] == 'blue'\", message: is not blue }]";
    let verdict = judge(&set(spec), &pod_of("app"), &root(), None);
    let [finding] = verdict.findings.as_slice() else { panic!("{:?}", messages(&verdict)) };
    assert_eq!((finding.kind, finding.enforcement), (FindingKind::EvaluationError, Enforcement::Deny));
    assert!(
        finding.message.starts_with(
            "container \"app\": image app (linux/amd64, linux/arm64): validations[0] could not be evaluated: "
        ),
        "{}",
        finding.message
    );
}

#[test]
fn match_conditions_follow_validating_admission_policy() {
    let bad = "object.metadata.labels['nope'] == 'x'";
    for (name, conditions, expected) in [
        ("true", vec!["request.operation == 'CREATE'"], Some(FindingKind::Violation)),
        ("false", vec!["request.operation == 'UPDATE'"], None),
        ("an error", vec![bad], Some(FindingKind::EvaluationError)),
        ("an error and a false one after it", vec![bad, "false"], None),
        ("a false one and an error after it", vec!["false", bad], None),
    ] {
        let conditions: Vec<String> = conditions
            .iter()
            .enumerate()
            .map(|(i, expression)| format!("{{ name: c{i}, expression: \"{expression}\" }}"))
            .collect();
        let spec = format!("{{ matchConditions: [{}], {NON_ROOT} }}", conditions.join(", "));
        let verdict = judge(&set(&spec), &pod_of("app"), &root(), None);
        let kinds: Vec<FindingKind> = verdict.findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, Vec::from_iter(expected), "{name}");
        assert_eq!(verdict.policies.len(), usize::from(expected.is_some()), "{name}");
    }
}

#[test]
fn audit_annotations_are_joined_and_bounded() {
    let annotations = |expression: &str, config: &serde_json::Value| {
        let spec = format!("auditAnnotations: [{{ key: image-team, valueExpression: \"{expression}\" }}]");
        let image = Ok(image(vec![platform("linux/amd64", config), platform("linux/arm64", &json!({}))]));
        judge(&set(&spec), &pod_of("app"), &image, None).audit_annotations
    };
    let team = "config.labels[?'team'].orValue('none')";
    let value = |annotations: &BTreeMap<String, String>| annotations.get("image-team").cloned();
    let blue = json!({ "Labels": { "team": "blue" } });
    assert_eq!(value(&annotations(team, &blue)).as_deref(), Some("blue, none"));
    assert_eq!(value(&annotations("'a'", &blue)).as_deref(), Some("a"), "each value once");
    assert_eq!(value(&annotations("null", &blue)), None);
    assert_eq!(value(&annotations("''", &blue)), None);
    let long = json!({ "Labels": { "team": "ü".repeat(20_000) } });
    assert!(value(&annotations(team, &long)).unwrap().len() <= 10 * 1024);
}
