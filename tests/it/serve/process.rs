//! `hullmark serve` as a process: flags, files, signals, exit codes.

use super::{
    client::{connect, exchange, post, trusting},
    world::{NON_ROOT, eventually, pod},
};
use crate::support::{
    Image, Registry,
    process::{Process, command, with_policies},
};
use serde_json::json;
use std::{fs, process::Stdio, time::Duration};
use tokio::{io::AsyncReadExt, process::Command, time::timeout};

#[tokio::test]
async fn serves_until_a_signal() {
    let mut process = Process::start(NON_ROOT, &["--write-ca=ca.pem", "--audit", "--drain=200ms"]);
    let serving = process.logged("serving").await;
    assert_eq!(serving["policies.count"], 1, "{serving}");
    assert_eq!(serving["mode"], "audit");
    assert!(serving["tls.certificate"].as_str().unwrap().contains("ca.pem"), "{serving}");
    let ca = fs::read_to_string(process.folder.path().join("ca.pem")).unwrap();
    assert!(!ca.contains("PRIVATE"), "{ca}");

    let address = serving["listen"].as_str().unwrap().parse().unwrap();
    let mut stream = connect(address, trusting(&ca)).await.unwrap();
    // Loopback is refused, so this resolves to nothing without leaving the process.
    let review = post("/validate?timeout=5s", &pod("127.0.0.1:1/app:1"));
    let answer = exchange(&mut stream, &review).await.unwrap();
    assert_eq!(answer.json()["response"]["allowed"], true, "{answer:?}");
    let line = process.logged("review").await;
    assert_eq!(line["would_be"], "deny", "{line}");
    assert_eq!(line["mode"], "audit");
    assert_eq!(line["request.user"], "tester");
    assert_eq!(line["findings"][0]["policy"], "non-root");
    assert_eq!(line["findings"][0]["kind"], "unresolved");

    process.signal("TERM");
    process.logged("stopping").await;
    process.logged("stopped").await;
    assert_eq!(process.exit_code().await, Some(0));
    assert!(connect(address, trusting(&ca)).await.is_err());
}

/// What runs already is looked at before anybody asks; then the registry may go.
#[tokio::test]
async fn starts_warm() {
    let registry = Registry::plain().await;
    Image::oci("linux/amd64", &json!({ "User": "0" })).push(&registry, "demo/app:1").await;
    let host = registry.host();
    let folder = with_policies(NON_ROOT);
    fs::create_dir_all(folder.path().join("hosts").join(&host)).unwrap();
    fs::write(
        folder.path().join("hosts").join(&host).join("hosts.toml"),
        format!("server = 'http://{host}'"),
    )
    .unwrap();
    let list = format!("# what we run\n{host}/demo/app:1\n\n{host}/demo/ghost:1\n");
    fs::write(folder.path().join("images.txt"), list).unwrap();
    let arguments = [
        "--write-ca=ca.pem",
        "--hosts-dir=hosts",
        "--allow-address=127.0.0.0/8",
        "--warm-up-images=images.txt",
        "--warm-up-wait=30s",
    ];
    let mut process = Process::start_in(folder, &arguments, &[]);
    let (mut serving, mut done) = (None, None);
    while serving.is_none() || done.is_none() {
        let line = process.log.next_line().await.unwrap().expect("it runs");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        match line["message"].as_str() {
            Some("serving") => serving = Some(line),
            Some("warm start done") => done = Some(line),
            _ => {}
        }
    }
    let (serving, done) = (serving.unwrap(), done.unwrap());
    assert_eq!((&done["images"], &done["failed"]), (&json!(2), &json!(1)), "{done}");
    drop(registry);

    let ca = fs::read_to_string(process.folder.path().join("ca.pem")).unwrap();
    let address = serving["listen"].as_str().unwrap().parse().unwrap();
    let mut stream = connect(address, trusting(&ca)).await.unwrap();
    let review = post("/validate?timeout=5s", &pod(&format!("{host}/demo/app:1")));
    exchange(&mut stream, &review).await.unwrap();
    let line = process.logged("review").await;
    assert_eq!(line["findings"][0]["kind"], "violation", "{line}");
    let image = &line["images"][0];
    assert_eq!(image["name"], format!("{host}/demo/app:1"), "{line}");
    assert_eq!(image["from"], "cached", "{line}");
    assert!(image["digest"].as_str().unwrap().starts_with("sha256:") && image["age_s"].is_u64(), "{line}");
}

#[tokio::test]
async fn a_list_that_cannot_be_read_keeps_it_from_starting() {
    for (list, why) in
        [(Some("demo/app:1\nNOT AN IMAGE\n"), "images.txt, line 2"), (None, "--warm-up-images images.txt")]
    {
        let folder = with_policies(NON_ROOT);
        if let Some(list) = list {
            fs::write(folder.path().join("images.txt"), list).unwrap();
        }
        let output = command(&folder)
            .args(["--policies=policies", "--warm-up-images=images.txt"])
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

/// A Pod whose container has this many variables: small on the wire, large in memory.
fn of_many_values(count: usize) -> String {
    let mut review: serde_json::Value = serde_json::from_str(&pod("127.0.0.1:1/app:1")).unwrap();
    review["request"]["object"]["spec"]["containers"][0]["env"] =
        vec![serde_json::json!({ "name": "A" }); count].into();
    review.to_string()
}

/// What the chart allows the container is never used up, whatever Pods somebody makes.
#[tokio::test]
async fn memory_is_bounded() {
    const ALLOWED_KIB: u64 = 256 * 1024;
    let mut process = Process::start(NON_ROOT, &["--write-ca=ca.pem"]);
    let (address, ca) = process.serving().await;
    let send = async |body: &str| {
        let mut stream = connect(address, trusting(&ca)).await.unwrap();
        exchange(&mut stream, &post("/validate?timeout=30s", body)).await.unwrap()
    };
    let refused = send(&of_many_values(250_000)).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert!(refused.body.contains("so many fields"), "{refused:?}");
    let large = of_many_values(35_000);
    let answers = futures_util::future::join_all((0..10).map(|_| send(&large))).await;
    let judged = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(judged > 0, "{answers:?}");
    assert!(answers.iter().all(|answer| [200, 503].contains(&answer.status)), "judged, or busy: {answers:?}");
    let peak = process.peak_memory();
    assert!(peak < ALLOWED_KIB, "{peak} KiB at most");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut process = Process::start(NON_ROOT, &["--drain=1h"]);
    process.logged("serving").await;
    process.signal("INT");
    process.logged("stopping").await;
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(1));
}

#[tokio::test]
async fn broken_policies_are_shouted_about() {
    let mut process = Process::start(NON_ROOT, &[]);
    let health = process.logged("serving").await["health_listen"].as_str().unwrap().parse().unwrap();
    fs::write(process.folder.path().join("policies/b.yaml"), "kind: [").unwrap();
    let line = process.logged("policies are broken; the last good ones stay in force").await;
    assert_eq!(line["level"], "ERROR");
    assert!(line["error"].as_str().unwrap().contains("b.yaml"), "{line}");
    let metric = "hullmark_policies_last_reload_success 0\n";
    eventually("told", async || super::client::get(health, "/metrics").await.unwrap().body.contains(metric))
        .await;
    let ready = super::client::get(health, "/readyz").await.unwrap();
    assert_eq!(ready.status, 200);
    assert!(ready.body.contains("note: policies: the last good ones are in force: "), "{ready:?}");
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_said_and_is_exit_code_2() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--listen={}", taken.local_addr().unwrap());
    let broken = NON_ROOT.replace("runAsNonRoot", "runAsNonRot");
    for (name, policies, arguments, wanted) in [
        ("no such folder", NON_ROOT, vec!["--policies=elsewhere"], "elsewhere: No such file"),
        ("no policies", "", vec!["--policies=policies"], "policies: no policies in it"),
        ("broken policy", broken.as_str(), vec!["--policies=policies"], "runAsNonRot"),
        ("no policies given", NON_ROOT, vec![], "--policies"),
        ("port in use", NON_ROOT, vec!["--policies=policies", &taken], "another process listens there"),
        ("key without certificate", NON_ROOT, vec!["--policies=policies", "--tls-key=k"], "--tls-cert"),
        (
            "no certificate",
            NON_ROOT,
            vec!["--policies=policies", "--tls-cert=c", "--tls-key=k"],
            "c: No such file",
        ),
        ("bad name", NON_ROOT, vec!["--policies=policies", "--tls-name=größe"], "--tls-name"),
        ("bad filter", NON_ROOT, vec!["--policies=policies", "--log=inof"], "--log"),
        ("bad address", NON_ROOT, vec!["--policies=policies", "--listen=everywhere"], "--listen"),
        (
            "bad place for the CA",
            NON_ROOT,
            vec!["--policies=policies", "--write-ca=a/b/c"],
            "--write-ca a/b/c",
        ),
    ] {
        let folder = with_policies(policies);
        let mut command = command(&folder);
        if arguments.iter().any(|argument| argument.starts_with("--listen")) {
            command = Command::new(env!("CARGO_BIN_EXE_hullmark"));
            command.current_dir(folder.path()).args(["serve", "--health-listen=127.0.0.1:0"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        }
        let mut child = command.args(&arguments).spawn().unwrap();
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        timeout(Duration::from_secs(20), stderr.read_to_string(&mut said)).await.unwrap().unwrap();
        let code = child.wait().await.unwrap().code();
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(said.contains(wanted), "{name}: {said}");
    }
}
