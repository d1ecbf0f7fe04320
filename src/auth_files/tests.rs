use super::*;
use std::{process::Command, time::Duration};

/// A home folder with these files, each a path and its content.
fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    for (path, content) in files {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    home
}

fn entry(user: &str) -> String {
    format!(r#"{{"auths":{{"acme.io":{{"username":"{user}","password":"pw"}}}}}}"#)
}

/// Puts a helper into `folder/bin`. A shell writes it: were it this process, another test's fork
/// could keep the file open for writing, and running it would fail.
fn install(folder: &Path, name: &str, script: &str) {
    let shell = r#"mkdir -p bin && printf '#!/bin/sh\n%s\n' "$2" > "bin/docker-credential-$1" && chmod +x "bin/docker-credential-$1""#;
    let status = Command::new("sh").current_dir(folder).args(["-c", shell, "sh", name, script]).status();
    assert!(status.expect("a shell").success());
}

fn users(found: Vec<Credentials>) -> Vec<String> {
    found
        .into_iter()
        .map(|credentials| match credentials {
            Credentials::Basic { username, .. } => username,
            Credentials::IdentityToken(token) => format!("identity {token}"),
            Credentials::RegistryToken(token) => format!("registry {token}"),
        })
        .collect()
}

async fn find(files: &AuthFiles, image: &str) -> Vec<String> {
    users(files.find(&image.parse().expect("a reference"), None).await)
}

#[test]
fn files_are_read_in_order() {
    let set = |name: &str| Some(OsString::from(format!("/{name}")));
    let names = |unset: &[&str]| -> Vec<String> {
        let environment = Environment::read(|name| if unset.contains(&name) { None } else { set(name) });
        environment.files().iter().map(|path| path.display().to_string()).collect()
    };
    assert_eq!(names(&[]), ["/REGISTRY_AUTH_FILE"]);
    assert_eq!(
        names(&["REGISTRY_AUTH_FILE"]),
        [
            "/XDG_RUNTIME_DIR/containers/auth.json",
            "/XDG_CONFIG_HOME/containers/auth.json",
            "/DOCKER_CONFIG/config.json",
            "/HOME/.dockercfg"
        ]
    );
    assert_eq!(
        names(&["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"]),
        ["/HOME/.config/containers/auth.json", "/HOME/.docker/config.json", "/HOME/.dockercfg"]
    );
    assert_eq!(Environment::read(|_| Some(OsString::new())), Environment::default());
}

#[tokio::test]
async fn all_files_count_and_a_bad_one_becomes_a_note() {
    let home = home(&[
        (".config/containers/auth.json", "hunter2"),
        (".docker/config.json", &entry("docker")),
        (".dockercfg", r#"{"acme.io":{"username":"legacy","password":"pw"},"bad.io":{"auth":"%"}}"#),
    ]);
    let environment = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
    let files = AuthFiles::read(&environment);
    assert_eq!(find(&files, "acme.io/app").await, ["docker", "legacy"]);
    assert_eq!(find(&files, "other.io/app").await, Vec::<String>::new());
    let notes = files.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("auth.json is ignored") && !notes[0].contains("hunter2"), "{notes:?}");
    assert!(notes[1].contains(".dockercfg") && notes[1].contains("bad.io"), "{notes:?}");
}

#[tokio::test]
async fn a_named_file_replaces_the_others_and_must_exist() {
    let home = home(&[(".docker/config.json", &entry("docker"))]);
    let missing = home.path().join("none.json");
    let environment = Environment {
        home: Some(home.path().to_owned()),
        registry_auth_file: Some(missing),
        ..Environment::default()
    };
    let files = AuthFiles::read(&environment);
    assert_eq!(find(&files, "acme.io/app").await, Vec::<String>::new());
    assert!(files.notes()[0].contains("none.json is ignored"), "{:?}", files.notes());
}

#[tokio::test]
async fn helpers_are_asked_once_for_each_server() {
    let home = home(&[(
        ".docker/config.json",
        r#"{"auths":{"acme.io":{"username":"file","password":"pw"}},"credsStore":"store",
            "credHelpers":{"own.io":"own"}}"#,
    )]);
    install(
        home.path(),
        "store",
        r#"read server; echo "$1 $server" >> "$(dirname "$0")/log"; printf '{"ServerURL":"x","Username":"store","Secret":"s"}'"#,
    );
    install(home.path(), "own", r#"printf '{"Username":"<token>","Secret":"t"}'"#);
    let environment = Environment {
        home: Some(home.path().to_owned()),
        path: Some(home.path().join("bin").into()),
        ..Environment::default()
    };
    // The scripts need the shell's own tools.
    let path = std::env::join_paths(
        std::env::split_paths(environment.path.as_ref().expect("set"))
            .chain(["/usr/bin".into(), "/bin".into()]),
    );
    let files = AuthFiles::read(&Environment { path: path.ok(), ..environment });
    assert_eq!(find(&files, "acme.io/app").await, ["store", "file"]);
    assert_eq!(find(&files, "acme.io/other").await, ["store", "file"]);
    assert_eq!(find(&files, "nginx").await, ["store"]);
    assert_eq!(find(&files, "own.io/app").await, ["identity t"]);
    let log = fs::read_to_string(home.path().join("bin/log")).expect("a log");
    assert_eq!(log, "get acme.io\nget https://index.docker.io/v1/\n");
    assert_eq!(files.notes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_helper_that_fails_becomes_a_note() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = [
        ("none", "echo 'credentials not found in native keychain'; exit 1", None),
        ("fails", "echo hunter2; exit 1", Some("it failed")),
        ("mute", "exit 0", Some("not JSON")),
        ("half", "echo '{\"Username\":\"hunter2\"}'", Some("no Username and Secret")),
        ("long", "head -c 100000 /dev/zero", Some("too long")),
        ("slow", "sleep 30", Some("no answer within")),
    ];
    for (name, script, _) in rows {
        install(folder.path(), name, script);
    }
    let path = Some(folder.path().join("bin").into());
    let helpers = Helpers::with_patience(path, Duration::from_secs(2));
    for (name, _, expected) in rows {
        let answer = helpers.ask(name, "acme.io").await;
        match (answer, expected) {
            (Ok(None), None) => {}
            (Err(note), Some(text)) => {
                assert!(note.contains(text) && note.contains(name) && !note.contains("hunter2"), "{note}");
            }
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
    for (name, expected) in
        [("absent", "was not found in PATH"), ("../evil", "no plain name"), ("", "no plain name")]
    {
        let note = helpers.ask(name, "acme.io").await.expect_err("not asked");
        assert!(note.contains(expected), "{note}");
    }
}
