use super::*;
use std::{os::unix::fs::symlink, time::Duration};
use tempfile::TempDir;
use tokio::time::timeout;

fn policy(name: &str) -> String {
    format!(
        "apiVersion: hullmark.dev/v1alpha1\nkind: ClusterImageConfigPolicy\nmetadata: {{ name: {name} }}\n\
         spec:\n  validationActions: [Deny]\n  rules:\n    user: {{ runAsNonRoot: true }}\n"
    )
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn sources(path: &Path) -> Vec<String> {
    let mut documents = Documents::default();
    documents.read(path, &read(path).unwrap()).unwrap();
    let below =
        |source: &str| source.rsplit_once(&format!("{}/", path.display())).map(|(_, name)| name.to_owned());
    documents
        .policies
        .iter()
        .map(|document| below(&document.source).unwrap_or(document.source.clone()))
        .collect()
}

#[test]
fn reads_policies_in_the_order_of_their_names_and_passes_over_the_rest() {
    let two = format!("{}---\n{}", policy("b1"), policy("b2"));
    let json = r#"{"apiVersion":"hullmark.dev/v1alpha1","kind":"ImageConfigPolicy"}"#;
    let folder = folder(&[
        ("b.yaml", &two),
        ("a.yml", &policy("a")),
        ("c/d.json", json),
        ("c/tests.yaml", "apiVersion: hullmark.dev/v1alpha1\nkind: PolicyTest\n"),
        ("kustomization.yaml", "resources: [a.yml]\n"),
        ("Kustomization.yml", "resources: [a.yml]\n"),
        ("overlay.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Component\n"),
        ("README.md", "not a policy"),
        (".hidden.yaml", "kind: ["),
        (".git/x.yaml", "kind: ["),
        ("empty.yaml", "# nothing\n"),
    ]);
    assert_eq!(sources(folder.path()), ["a.yml#1", "b.yaml#1", "b.yaml#2", "c/d.json#1"]);
    let file = folder.path().join("a.yml");
    assert_eq!(sources(&file), [format!("{}#1", file.display())]);
}

#[test]
fn a_config_map_volume_counts_once() {
    let folder = folder(&[("..2026/a.yaml", &policy("a"))]);
    symlink("..2026", folder.path().join("..data")).unwrap();
    symlink("..data/a.yaml", folder.path().join("a.yaml")).unwrap();
    assert_eq!(sources(folder.path()), ["a.yaml#1"]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let foreign = "apiVersion: v1\nkind: ConfigMap\n";
    let second = format!("{}---\n{foreign}", policy("a"));
    for (name, files, wanted) in [
        ("empty folder", vec![], "no policies in it (hullmark.dev/v1alpha1)"),
        ("nothing but notes", vec![("README.md", "x")], "no policies in it"),
        ("no YAML", vec![("a.yaml", "kind: [")], "a.yaml: line 1"),
        (
            "another group",
            vec![("a.yaml", second.as_str())],
            "a.yaml#2 (line 9): not a policy: it is \"ConfigMap\" of \"v1\"",
        ),
        (
            "no kind",
            vec![("a.yaml", "spec: {}")],
            "a.yaml#1 (line 1): not a policy: it has no apiVersion and no kind",
        ),
        ("no version", vec![("a.yaml", "kind: Pod")], "not a policy: Pod has no apiVersion"),
        ("a list", vec![("a.yaml", "- a\n- b\n")], "not a policy"),
    ] {
        let folder = folder(&files);
        let error = compile(folder.path()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{name}: {error}");
        assert!(error.starts_with(&folder.path().display().to_string()), "{name}: {error}");
    }
    assert!(compile(Path::new("/nowhere")).unwrap_err().to_string().starts_with("/nowhere: No such file"));
    let bytes = tempfile::tempdir().unwrap();
    fs::write(bytes.path().join("a.yaml"), [0xff, 0xfe]).unwrap();
    assert!(compile(bytes.path()).unwrap_err().to_string().ends_with("a.yaml: not UTF-8"));
    fs::write(bytes.path().join("a.yaml"), vec![b'#'; 5 * 1024 * 1024]).unwrap();
    assert!(compile(bytes.path()).unwrap_err().to_string().ends_with("a.yaml: larger than 4 MiB"));
}

#[test]
fn objects_that_policies_read_stand_beside_them() {
    let spec = "  paramKind: { apiVersion: v1, kind: ConfigMap }\n  \
                paramRef: { name: a, parameterNotFoundAction: Deny }\n";
    let reading = policy("a").replace("spec:\n", &format!("spec:\n{spec}"));
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n";
    let both = folder(&[("a.yaml", &reading), ("b.yaml", object)]);
    assert_eq!(compile(both.path()).unwrap().set.len(), 1);
    let apart = ["a.yaml", "b.yaml"].map(|name| both.path().join(name));
    assert_eq!(compile_all(&apart).unwrap().len(), 1);
    let other = folder(&[("a.yaml", &reading), ("b.yaml", &object.replace("ConfigMap", "Pod"))]);
    let error = compile(other.path()).unwrap_err().to_string();
    assert!(
        error.contains("it is \"Pod\" of \"v1\"; only documents of hullmark.dev/v1alpha1, and objects"),
        "{error}"
    );
}

#[test]
fn a_circle_of_folders_is_an_error_and_no_end() {
    let folder = folder(&[("a.yaml", &policy("a"))]);
    symlink(".", folder.path().join("self")).unwrap();
    let error = compile(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("more than 16 folders deep"), "{error}");
}

#[test]
fn every_error_of_every_policy_is_told() {
    let broken = |name: &str| policy(name).replace("runAsNonRoot", "runAsNonRot");
    let folder = folder(&[("a.yaml", &broken("a")), ("b.yaml", &broken("b"))]);
    let error = compile(folder.path()).unwrap_err().to_string();
    assert!(error.starts_with("2 errors in the policies:\n"), "{error}");
    assert!(error.contains("a.yaml#1") && error.contains("b.yaml#1"), "{error}");
}

#[tokio::test]
async fn a_watch_swaps_whole_sets_and_keeps_the_last_good_one() {
    let every = Duration::from_millis(16);
    let folder = folder(&[("a.yaml", &policy("a"))]);
    let file = folder.path().join("a.yaml");
    let mut watched = watch(folder.path().to_owned(), &compile(folder.path()).unwrap(), every);
    let first = Arc::clone(&watched.policies.borrow());
    let mut next = async || {
        timeout(Duration::from_secs(10), watched.reload.changed()).await.unwrap().unwrap();
        watched.reload.borrow_and_update().clone()
    };

    fs::write(&file, "kind: [").unwrap();
    let reload = next().await;
    assert!(reload.error.as_ref().is_some_and(|error| error.contains("a.yaml")), "{reload:?}");
    assert_eq!((reload.generation, reload.policies), (1, 1));

    // Back to what is in force: no new set, and no error any more.
    fs::write(&file, policy("a")).unwrap();
    assert_eq!(next().await, Reload { generation: 1, policies: 1, refused: 0, error: None });

    fs::write(folder.path().join("b.yaml"), policy("b")).unwrap();
    assert_eq!(next().await, Reload { generation: 2, policies: 2, refused: 0, error: None });
    assert_eq!(first.len(), 1, "a snapshot does not change");
    assert_eq!(watched.policies.borrow().len(), 2);
}
