use super::*;
use std::path::PathBuf;
use tempfile::TempDir;

const POLICY: &str = r"
apiVersion: hullmark.dev/v1alpha1
kind: ClusterImageConfigPolicy
metadata: { name: non-root }
spec:
  validationActions: [Deny]
  rules:
    user: { runAsNonRoot: true }
";

const HEAD: &str = "apiVersion: hullmark.dev/v1alpha1\nkind: PolicyTest\n";

const IMAGES: &str = r#"
images:
  reg.io/good:1: { config: { User: "1000" } }
  reg.io/bad:1: { config: {} }
  reg.io/half:1:
    platforms:
      - { platform: linux/amd64, config: { User: "1000" } }
      - { platform: linux/arm64, config: {} }
  reg.io/gone:1: { unresolved: NotFound }
"#;

fn folder(test: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    fs::write(folder.path().join("test.yaml"), test).unwrap();
    folder
}

async fn run_in(folder: &TempDir, output: PolicyTestOutput) -> (Result<ExitCode>, String) {
    let mut out = Vec::new();
    let args = PolicyTestArgs { dirs: vec![PathBuf::from(folder.path())], output };
    let code = run(&args, &mut out).await;
    (code, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn cases_that_are_as_expected_pass() {
    let test = format!(
        r#"{HEAD}{IMAGES}
cases:
  - {{ name: a numeric user, image: "reg.io/good:1", expect: allow }}
  - {{ name: no user, image: "reg.io/bad:1", expect: deny, findings: [{{ policy: non-root, rule: user, container: app, message: root }}] }}
  - {{ name: one platform, image: "reg.io/half:1", expect: deny, findings: [{{ rule: user, platforms: [linux/arm64] }}] }}
  - {{ name: gone, image: "reg.io/gone:1", expect: deny, findings: [{{ rule: resolution }}] }}
"#
    );
    let folder = folder(&test);
    let (code, out) = run_in(&folder, PolicyTestOutput::Text).await;
    assert_eq!(code.unwrap(), ExitCode::SUCCESS, "{out}");
    assert!(out.contains("  ok    one platform\n"), "{out}");
    assert!(out.ends_with("4 cases in 1 file\n4 passed, 0 failed\n"), "{out}");
    let (_, junit) = run_in(&folder, PolicyTestOutput::Junit).await;
    assert!(junit.contains("tests=\"4\" failures=\"0\""), "{junit}");
    let (_, json) = run_in(&folder, PolicyTestOutput::Json).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["passed"], &json["files"][0]["cases"][3]["name"]), (&4.into(), &"gone".into()));
}

#[tokio::test]
async fn a_case_that_is_not_as_expected_fails_and_says_why() {
    let rows = [
        ("wrong decision", r#"image: "reg.io/bad:1", expect: allow"#, "expected allow, got deny"),
        (
            "unexpected finding",
            r#"image: "reg.io/bad:1", expect: allow"#,
            "found and not expected: non-root/user:",
        ),
        (
            "missing finding",
            r#"image: "reg.io/good:1", expect: deny, findings: [{ rule: user }]"#,
            "expected and not found: user",
        ),
        (
            "other rule",
            r#"image: "reg.io/bad:1", expect: deny, findings: [{ rule: age }]"#,
            "expected and not found: age",
        ),
        (
            "other text",
            r#"image: "reg.io/bad:1", expect: deny, findings: [{ rule: user, message: zzz }]"#,
            "saying \"zzz\"",
        ),
        (
            "no fixture",
            r#"image: "reg.io/other:1", expect: deny, findings: [{ rule: resolution }]"#,
            "image reg.io/other:1 has no fixture",
        ),
    ];
    for (name, case, why) in rows {
        let folder = folder(&format!("{HEAD}{IMAGES}\ncases:\n  - {{ name: x, {case} }}\n"));
        let (code, out) = run_in(&folder, PolicyTestOutput::Text).await;
        assert_eq!(code.unwrap(), ExitCode::from(1), "{name}: {out}");
        assert!(out.contains("  FAIL  x\n") && out.contains(why), "{name}: {out}");
    }
}

#[tokio::test]
async fn a_policy_that_finds_nothing_in_any_case_is_named() {
    let folder = folder(&format!(
        "{HEAD}{IMAGES}\ncases:\n  - {{ name: x, image: \"reg.io/good:1\", expect: allow }}\n"
    ));
    let (_, out) = run_in(&folder, PolicyTestOutput::Text).await;
    assert!(out.contains("note  no case shows policy non-root finding anything"), "{out}");
}

#[tokio::test]
async fn bad_files_are_refused_with_the_reason() {
    let case = r#"cases: [{ name: x, image: "reg.io/good:1", expect: allow }]"#;
    let rows = [
        ("no case", format!("{HEAD}{IMAGES}"), "no case in"),
        ("unknown field", format!("{HEAD}image: {{}}\n{case}"), "unknown field `image`"),
        (
            "unknown field of a case",
            format!("{HEAD}cases: [{{ name: x, image: a, expect: allow, finding: [] }}]"),
            "unknown field `finding`",
        ),
        (
            "neither image nor object",
            format!("{HEAD}cases: [{{ name: x, expect: allow }}]"),
            "give either an image or an object",
        ),
        (
            "deny without findings",
            format!("{HEAD}cases: [{{ name: x, image: a, expect: deny }}]"),
            "says which rules",
        ),
        (
            "bad decision",
            format!("{HEAD}cases: [{{ name: x, image: a, expect: block }}]"),
            "unknown variant `block`",
        ),
        ("bad reference", format!("{HEAD}images: {{ \"A:b\": {{}} }}\n{case}"), "must be lowercase"),
        (
            "reference twice",
            format!("{HEAD}images: {{ nginx: {{}}, \"docker.io/nginx\": {{}} }}\n{case}"),
            "is there twice",
        ),
        (
            "mistyped config field",
            format!("{HEAD}images: {{ a: {{ config: {{ Volume: {{}} }} }} }}\n{case}"),
            "did you mean Volumes?",
        ),
        (
            "config of a wrong type",
            format!("{HEAD}images: {{ a: {{ config: {{ Env: x }} }} }}\n{case}"),
            "config.Env: expected a list, found a string",
        ),
        (
            "unknown failure",
            format!("{HEAD}images: {{ a: {{ unresolved: Lost }} }}\n{case}"),
            "no failure is called \"Lost\"",
        ),
        (
            "both",
            format!("{HEAD}images: {{ a: {{ unresolved: NotFound, config: {{}} }} }}\n{case}"),
            "either unresolved or an image",
        ),
        (
            "platform missing",
            format!("{HEAD}images: {{ a: {{ platforms: [{{ config: {{}} }}] }} }}\n{case}"),
            "each needs a platform",
        ),
        ("bad platform", format!("{HEAD}nodes: [linux]\n{case}"), "is not a platform"),
        (
            "no Pod in it",
            format!(
                "{HEAD}cases: [{{ name: x, object: {{ apiVersion: v1, kind: Service }}, expect: allow }}]"
            ),
            "carries no Pod",
        ),
        ("policy missing", format!("{HEAD}policies: [other.yaml]\n{case}"), "other.yaml"),
        (
            "other version",
            format!("apiVersion: hullmark.dev/v2\nkind: PolicyTest\n{case}"),
            "a PolicyTest is of hullmark.dev/v1alpha1",
        ),
        ("not yaml", "a: [".to_owned(), "line 1"),
    ];
    for (name, test, why) in rows {
        let folder = folder(&test);
        let (code, out) = run_in(&folder, PolicyTestOutput::Text).await;
        let error = format!("{:#}", code.expect_err(name));
        assert!(error.contains(why), "{name}: {error}\n{out}");
    }
}
