use super::*;
use crate::policy::{
    fixtures::{image, judge, platform, pod, set},
    place::Problems,
};
use serde_json::json;

/// Messages of the rule for a container that may set runAsUser, in a Pod that may, with an image's USER.
fn messages(rule: &str, container: &str, pod_context: &str, user: &str) -> Vec<String> {
    let set = set(&format!("rules: {{ user: {rule} }}"));
    let workload = pod(&format!(
        "securityContext: {pod_context}\ncontainers: [{{ name: app, image: app, securityContext: {container} }}]"
    ));
    let image = Ok(image(vec![platform("linux/amd64", &json!({ "User": user }))]));
    let verdict = judge(&set, &workload, &image, None);
    verdict.findings.into_iter().map(|finding| finding.found).collect()
}

#[test]
fn non_root_looks_at_what_will_run() {
    let rule = "{ runAsNonRoot: true }";
    for (name, container, pod, user, expected) in [
        ("uid", "{}", "{}", "1000", None),
        ("uid and group 0", "{}", "{}", "1000:0", None),
        ("empty", "{}", "{}", "", Some("runs as root (USER is empty)")),
        ("zero", "{}", "{}", "0", Some("runs as root (USER is \"0\")")),
        ("zeros", "{}", "{}", "00", Some("runs as root (USER is \"00\")")),
        ("plus zero", "{}", "{}", "+0", Some("runs as root (USER is \"+0\")")),
        ("zero with a group", "{}", "{}", "0:1000", Some("runs as root (USER is \"0:1000\")")),
        ("root", "{}", "{}", "root", Some("runs as root (USER is \"root\")")),
        (
            "a name",
            "{}",
            "{}",
            "app",
            Some("runs as a name, which cannot be proven to be non-root (USER is \"app\")"),
        ),
        (
            "out of range",
            "{}",
            "{}",
            "4294967296",
            Some("has a uid beyond 2147483647, which runtimes have run as root (USER is \"4294967296\")"),
        ),
        (
            "malformed",
            "{}",
            "{}",
            "1:2:3",
            Some("has a user that no runtime understands (USER is \"1:2:3\")"),
        ),
        ("the container wins", "{ runAsUser: 1000 }", "{ runAsUser: 0 }", "root", None),
        ("the Pod wins", "{}", "{ runAsUser: 1000 }", "root", None),
        (
            "the container makes it root",
            "{ runAsUser: 0 }",
            "{ runAsUser: 1000 }",
            "1000",
            Some("runs as root (runAsUser of the container is \"0\")"),
        ),
        (
            "the Pod makes it root",
            "{}",
            "{ runAsUser: 0 }",
            "1000",
            Some("runs as root (runAsUser of the Pod is \"0\")"),
        ),
        (
            "runAsNonRoot is no cure",
            "{}",
            "{ runAsNonRoot: true }",
            "",
            Some("runs as root (USER is empty), so that runAsNonRoot keeps it from starting"),
        ),
    ] {
        assert_eq!(messages(rule, container, pod, user), Vec::from_iter(expected), "{name}");
    }
}

#[test]
fn numeric_and_ranges_want_a_uid() {
    for (name, rule, user, passes) in [
        ("uid", "{ numeric: true }", "1000", true),
        ("root's uid", "{ numeric: true }", "0", true),
        ("name", "{ numeric: true }", "app", false),
        ("empty", "{ numeric: true }", "", false),
        ("out of range", "{ numeric: true }", "99999999999", false),
        ("in the range", "{ ranges: [\"1000-65535\"] }", "1000", true),
        ("below", "{ ranges: [\"1000-65535\"] }", "999", false),
        ("one number", "{ ranges: [\"65532\", \"1\"] }", "65532", true),
        ("name in no range", "{ ranges: [\"0-65535\"] }", "app", false),
        ("empty in no range", "{ ranges: [\"0-65535\"] }", "", false),
    ] {
        assert_eq!(messages(rule, "{}", "{}", user).is_empty(), passes, "{name}");
    }
}

#[test]
fn source_image_passes_over_the_pod() {
    let rule = "{ runAsNonRoot: true, source: Image }";
    let found = messages(rule, "{ runAsUser: 1000 }", "{ runAsNonRoot: true }", "");
    assert_eq!(found, ["runs as root (USER is empty)"]);
    assert_eq!(messages(rule, "{ runAsUser: 0 }", "{}", "1000"), Vec::<String>::new());
}

#[test]
fn says_what_is_wanted() {
    for (rule, expected) in [
        ("{ runAsNonRoot: true }", "a non-root user: set USER in the image or runAsUser in the Pod"),
        (
            "{ runAsNonRoot: true, numeric: true, ranges: [\"1000-65535\"] }",
            "a numeric non-root user with a uid in 1000-65535: set USER in the image or runAsUser in the Pod",
        ),
        ("{ numeric: true, source: Image }", "a numeric user: set USER in the image"),
    ] {
        let rule: api::UserRule = serde_json::from_value(crate::policy::fixtures::parse(rule)).unwrap();
        let compiled = UserRule::compile(&rule, &Place::root(&Problems::default())).unwrap();
        assert_eq!(compiled.wanted(), expected);
    }
}

#[test]
fn refuses_bad_ranges() {
    let problems = Problems::default();
    let rule =
        api::UserRule { ranges: vec!["1-2".to_owned(), "1-3000000000".to_owned()], ..Default::default() };
    UserRule::compile(&rule, &Place::root(&problems));
    assert_eq!(problems.into_inner()[0].0, "ranges[1]");
    assert!(UserRule::compile(&api::UserRule::default(), &Place::root(&Problems::default())).is_none());
}
