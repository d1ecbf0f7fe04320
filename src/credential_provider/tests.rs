use super::*;
use std::{fmt::Write, process::Command};

/// A folder with a configuration of these providers, and a plugin for each that runs its script. A shell writes
/// them: were it this process, another test's fork could keep a file open for writing, and running it would fail.
fn plugins(rows: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config =
        "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n".to_owned();
    for (name, images, script) in rows {
        let entry = write!(
            config,
            "- {{ name: {name}, matchImages: [{images:?}], defaultCacheDuration: 1h, args: [one, 'two words'],\n    \
             apiVersion: credentialprovider.kubelet.k8s.io/v1, env: [{{ name: SHOP, value: bread }}] }}\n"
        );
        entry.expect("a string takes all");
        let shell = r#"printf '#!/bin/sh\ncd "$(dirname "$0")"\n%s\n' "$2" > "$1" && chmod +x "$1""#;
        let status =
            Command::new("sh").current_dir(folder.path()).args(["-c", shell, "sh", name, script]).status();
        assert!(status.expect("a shell").success());
    }
    fs::write(folder.path().join("config.yaml"), config).expect("a file");
    folder
}

fn load(folder: &tempfile::TempDir) -> CredentialProviders {
    CredentialProviders::load(&folder.path().join("config.yaml"), folder.path())
        .unwrap_or_else(|e| panic!("{e}"))
}

async fn users(providers: &CredentialProviders, image: &str) -> Vec<String> {
    let found = providers.find(&image.parse().expect("a reference"), None).await;
    found
        .into_iter()
        .map(|credentials| match credentials {
            Credentials::Basic { username, password } => format!("{username}:{password}"),
            other => format!("{other:?}"),
        })
        .collect()
}

/// A script that counts its calls in `calls`, and answers; `more` goes into the answer.
fn answering(user: &str, kept: &str, more: &str) -> String {
    format!(
        r#"cat >> requests; echo >> calls
echo '{{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse",
"cacheKeyType":"{kept}",{more} "auth":{{"*.acme.io":{{"username":"{user}","password":"p"}}}}}}'"#
    )
}

fn calls(folder: &tempfile::TempDir) -> usize {
    fs::read(folder.path().join("calls")).map_or(0, |calls| calls.len())
}

/// A folder with one provider for `*.acme.io`.
fn one(script: &str) -> tempfile::TempDir {
    plugins(&[("p", "*.acme.io", script)])
}

#[tokio::test]
async fn a_plugin_is_asked_as_the_kubelet_asks_it() {
    let folder = one(&(answering("alice", "Image", "") + "\necho \"$1|$2|$SHOP|$HULLMARK_X\" > said"));
    let providers = load(&folder);
    assert_eq!(users(&providers, "reg.acme.io/shop/app:1").await, ["alice:p"]);
    let request: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("requests")).unwrap()).unwrap();
    let expected = serde_json::json!({
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": "reg.acme.io/shop/app",
    });
    assert_eq!(request, expected);
    assert_eq!(fs::read_to_string(folder.path().join("said")).unwrap(), "one|two words|bread|\n");
    assert_eq!(users(&providers, "ghcr.io/shop/app:1").await, [""; 0], "not one of its images");
    assert_eq!(calls(&folder), 1);
}

#[tokio::test]
async fn answers_are_kept_as_they_say() {
    for (name, kept, more, expected) in [
        ("for the image", "Image", "", 4),
        ("for the registry", "Registry", "", 2),
        ("for all", "Global", "", 1),
        ("not at all", "Global", r#""cacheDuration":"0s","#, 6),
        ("for long", "Image", r#""cacheDuration":"6h0m0s","#, 4),
        ("shortly", "Global", r#""cacheDuration":"1ms","#, 6),
    ] {
        let folder = one(&answering("alice", kept, more));
        let providers = load(&folder);
        for image in
            ["a.acme.io/x:1", "a.acme.io/x:2", "a.acme.io/y", "b.acme.io/x", "b.acme.io/z", "a.acme.io/x"]
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!(users(&providers, image).await, ["alice:p"], "{name}");
        }
        assert_eq!(calls(&folder), expected, "{name}");
    }
}

#[tokio::test]
async fn many_askers_start_it_once() {
    let folder = one(&format!("sleep 0.2; {}", answering("alice", "Image", "")));
    let providers = load(&folder);
    let asked = (0..20).map(|_| users(&providers, "a.acme.io/x:1"));
    for found in futures_util::future::join_all(asked).await {
        assert_eq!(found, ["alice:p"]);
    }
    assert_eq!(calls(&folder), 1);
}

#[tokio::test]
async fn a_plugin_that_fails_is_told_and_the_others_count() {
    let secret = "hunter2";
    for (name, script, expected) in [
        ("fails", format!("echo {secret}; echo 'no role' >&2; exit 3"), "exit status: 3: no role"),
        ("says nothing", "exit 0".to_owned(), "is not a CredentialProviderResponse (line 1, column 0)"),
        ("no JSON", format!("echo '{{\"{secret}'"), "is not a CredentialProviderResponse"),
        (
            "another kind",
            format!("{{ {}\n}} | sed s/ProviderResponse/ProviderThing/", answering(secret, "Image", "")),
            "it answered with a",
        ),
        ("no key type", answering(secret, "Host", ""), "is not a CredentialProviderResponse"),
        (
            "a bad time",
            answering(secret, "Image", r#""cacheDuration":"soon","#),
            "`cacheDuration` is not a time",
        ),
        ("too much", "yes | head -c 3000000".to_owned(), "its answer is too long"),
        ("stalls", "exec sleep 60".to_owned(), "did not answer within 0.5 s"),
    ] {
        let folder = one(&script);
        let providers = load(&folder).with_patience(Duration::from_millis(500));
        let started = Instant::now();
        assert_eq!(users(&providers, "a.acme.io/x:1").await, [""; 0], "{name}");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}");
        let notes = providers.notes().join("\n");
        assert!(notes.contains(expected) && notes.contains("a.acme.io/x"), "{name}: {notes}");
        assert!(!notes.contains(secret), "{name}: {notes}");
        users(&providers, "a.acme.io/x:1").await;
        assert_eq!(providers.notes().len(), 1, "{name}: it is not asked again at once");
    }
    let folder =
        plugins(&[("bad", "*.acme.io", "exit 1"), ("good", "*.acme.io", &answering("bob", "Image", ""))]);
    assert_eq!(users(&load(&folder), "a.acme.io/x:1").await, ["bob:p"]);
}

#[test]
fn configurations_that_cannot_be_used_are_told_with_their_file() {
    let folder = plugins(&[("p", "acme.io", "exit 0")]);
    let config = folder.path().join("config.yaml");
    let text = fs::read_to_string(&config).unwrap();
    let load = |path: &Path| CredentialProviders::load(path, folder.path()).map(|p| p.plugins.len());
    assert_eq!(load(&config), Ok(1));
    assert_eq!(load(folder.path()), Ok(1), "a folder of files");
    fs::write(folder.path().join("again.json"), &text).unwrap();
    let twice = load(folder.path()).unwrap_err().to_string();
    assert!(twice.contains("config.yaml: the provider \"p\" is there twice"), "{twice}");
    fs::write(&config, text.replace("name: p", "name: q")).unwrap();
    let missing = load(&config).unwrap_err().to_string();
    assert!(missing.contains("config.yaml: there is no plugin ") && missing.ends_with("/q"), "{missing}");
    fs::write(&config, "kind: 7").unwrap();
    assert!(load(&config).unwrap_err().to_string().contains("config.yaml: "));
    let empty = tempfile::tempdir().unwrap();
    assert!(load(empty.path()).unwrap_err().to_string().contains("holds no .yaml"));
    assert!(load(Path::new("/does/not/exist")).is_err());
}

#[tokio::test]
async fn what_was_refused_is_asked_for_anew_but_not_without_end() {
    let folder = one(&answering("alice", "Registry", ""));
    let mut providers = load(&folder);
    let (image, other) = ("reg.acme.io/app:1", "ghcr.io/app:1".parse().unwrap());
    let reference = image.parse().unwrap();
    assert!(!providers.renew(&reference).await, "nothing is kept");
    assert_eq!(users(&providers, image).await, ["alice:p"]);
    assert!(!providers.renew(&reference).await, "it is too fresh");
    assert_eq!((users(&providers, image).await, calls(&folder)), (vec!["alice:p".to_owned()], 1));
    providers.renewed = Duration::ZERO;
    assert!(!providers.renew(&other).await, "none of its images");
    assert!(providers.renew(&reference).await);
    assert_eq!((users(&providers, image).await, calls(&folder)), (vec!["alice:p".to_owned()], 2));
}

#[tokio::test]
async fn a_rollout_of_many_images_runs_few_plugins() {
    for (kept, most) in [("Registry", AT_ONCE), ("Image", 3 * AT_ONCE)] {
        let script = format!(
            "mkdir running.$$; sleep 0.3; ls -d running.* | wc -l >> seen; rmdir running.$$\n{}",
            answering("alice", kept, "")
        );
        let folder = one(&script);
        let providers = load(&folder);
        let images = (0..3 * AT_ONCE).map(|nth| format!("reg.acme.io/app{nth}:1"));
        let found =
            futures_util::future::join_all(images.map(|image| async { users(&providers, &{ image }).await }))
                .await;
        assert!(found.iter().all(|one| *one == ["alice:p"]), "{found:?}");
        assert!(calls(&folder) <= most, "{kept}: {}", calls(&folder));
        let seen = fs::read_to_string(folder.path().join("seen")).unwrap();
        let at_once = seen.lines().map(|line| line.trim().parse::<usize>().unwrap()).max().unwrap();
        assert!(at_once <= AT_ONCE, "{kept}: {seen}");
    }
}
