//! What the README shows is what happens: its commands are run, and print what stands under them.
//! A real registry stands in for Docker Hub and for the registry of the examples.

use crate::{
    serve::client::{connect, exchange, post, trusting},
    support::{Hullmark, Image, Registry},
};
use regex::Regex;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn readme() -> String {
    fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap()
}

/// The arguments and the output of the first command that begins with `start`.
fn example(start: &str) -> (Vec<String>, String) {
    let readme = readme();
    let prompt = format!("$ {start}");
    let at = readme.find(&prompt).unwrap_or_else(|| panic!("the README does not show {prompt}"));
    let block = readme[at..].split("```").next().unwrap();
    let (command, rest) = block.split_once('\n').unwrap();
    let output = rest.split("\n$ ").next().unwrap();
    let arguments = command.split_whitespace().skip(2).map(str::to_owned).collect();
    (arguments, output.to_owned())
}

/// nginx as Docker Hub has it, as far as the examples show it, and the image of the examples.
async fn registry() -> Registry {
    let registry = Registry::plain().await;
    for (name, user) in [("library/nginx:1.27", ""), ("nginxinc/nginx-unprivileged:1.27", "101")] {
        let image = Image::oci("linux/amd64", &json!({ "User": user, "StopSignal": "SIGQUIT" }));
        image.push(&registry, name).await;
    }
    let web = json!({
        "User": "10001",
        "StopSignal": "SIGQUIT",
        "Entrypoint": ["/usr/bin/web"],
        "Cmd": ["--listen", ":8080"],
        "Env": ["PATH=/usr/bin", "LANG=C.UTF-8"],
        "ExposedPorts": { "8080/tcp": {} },
        "Labels": {
            "org.opencontainers.image.source": "https://git.acme.io/shop/web",
            "team": "shop",
        },
    });
    let mut image = Image::oci("linux/amd64", &web);
    image.layers = vec![vec![0; 3_400_000], vec![1; 2_100_000]];
    image.push(&registry, "shop/web:1.4").await;
    registry
}

fn hullmark(registry: &Registry) -> Hullmark {
    let hosts = registry.hosts_dir_as(&["docker.io", "registry.acme.io"]);
    Hullmark::new().env("HULLMARK_HOSTS_DIR", hosts).allowing_loopback().in_folder(ROOT)
}

#[tokio::test]
async fn the_demo_says_what_the_readme_shows() {
    let (_, shown) = example("cargo run --release -- demo");
    let output = Hullmark::new().run(["demo"]).await.succeeded();
    // Times and ports differ from run to run.
    let varies = Regex::new(r" +\d+\.\d ms|127\.0\.0\.1:\d+").unwrap();
    let same = |text: &str| varies.replace_all(text, "…").into_owned();
    let printed = same(output.text());
    let lines: Vec<&str> =
        shown.lines().filter(|line| !line.trim().is_empty() && line.trim() != "…").collect();
    assert!(lines.len() > 10, "{shown}");
    for line in lines {
        assert!(
            printed.lines().any(|one| one == same(line)),
            "the README shows {line:?}; printed was:\n{printed}"
        );
    }
}

#[tokio::test]
async fn commands_print_what_the_readme_shows() {
    let registry = registry().await;
    let age = Regex::new(r"\(\d+ days ago\)").unwrap();
    for (start, code) in [("hullmark inspect", 0), ("hullmark check", 1), ("hullmark policy test", 0)] {
        let (arguments, shown) = example(start);
        let output = hullmark(&registry).run(&arguments).await;
        let [printed, shown] =
            [output.text(), &shown].map(|text| age.replace_all(text, "(long ago)").into_owned());
        assert_eq!(printed, shown, "{start}: {}", output.stderr);
        assert_eq!(output.code, Some(code), "{start}");
    }
}

#[tokio::test]
async fn serve_gives_the_verdicts_that_the_readme_shows() {
    let registry = registry().await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let mut webhook = Command::new(env!("CARGO_BIN_EXE_hullmark"))
        .args(["serve", "--policies", "manifests/policies/non-root", "--listen", "127.0.0.1:0"])
        .args(["--health-listen", "127.0.0.1:0", "--allow-address", "127.0.0.0/8", "--hosts-dir"])
        .arg(registry.hosts_dir_as(&["docker.io"]))
        .arg("--write-ca")
        .arg(&ca)
        .current_dir(ROOT)
        .env("HOME", folder.path())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(webhook.stderr.take().unwrap()).lines();
    let address = loop {
        let line = log.next_line().await.unwrap().expect("it says where it listens");
        let line: Value = serde_json::from_str(&line).unwrap();
        if let Some(address) = line["listen"].as_str() {
            break address.parse().unwrap();
        }
    };
    let ca = fs::read_to_string(ca).unwrap();
    let mut shown = 0;
    for (start, file) in [("review-root", "review-root.json"), ("review-non-root", "review-non-root.json")] {
        let command = format!(
            "curl -s --cacert ca.pem -H 'Content-Type: application/json' -d @manifests/samples/{start}"
        );
        let (_, expected) = example(&command);
        let review = fs::read_to_string(Path::new(ROOT).join("manifests/samples").join(file)).unwrap();
        let mut stream = connect(address, trusting(&ca)).await.unwrap();
        let answer = exchange(&mut stream, &post("/validate", &review)).await.unwrap().json();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let keep = |key: &str| answer["response"].pointer(key).cloned().unwrap_or_default();
        // The README's jq keeps these.
        let printed = json!({ "allowed": keep("/allowed"), "code": keep("/status/code"), "message": keep("/status/message") });
        assert_eq!(printed, expected, "{file}");
        shown += 1;
    }
    assert_eq!(shown, 2);
}
