//! Secrets: a whole run at the most verbose level, with every kind of secret there is, leaves none in the log,
//! in an answer, or in a metric.

use super::{Reply, Server, Shelf};
use crate::{
    serve::{
        client::{connect, exchange, get, post, trusting},
        world::{NON_ROOT, pod},
    },
    support::{
        Image, Registry,
        process::{Process, with_policies},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{fs, net::SocketAddr, path::Path};

/// Every secret of this test begins like this.
const MARK: &str = "hunter";

/// A registry that wants a password, sends to a token server, and keeps its blobs behind signed URLs.
async fn with_tokens() -> Server {
    let shelf = Shelf::with_image();
    Server::start(move |seen| {
        if seen.target.starts_with("/token") {
            return Reply::new(200, r#"{"token":"hunter-token","refresh_token":"hunter-refresh"}"#);
        }
        if seen.target.contains("/blobs/") && !seen.target.contains("Signature") {
            return Reply::redirect(format!("{}?X-Amz-Signature=hunter-signature", seen.target));
        }
        match seen.header("authorization") {
            Some(_) => shelf.serve(seen),
            None => Reply::challenge("Bearer realm=\"/token\",service=\"test\""),
        }
    })
    .await
}

/// A registry that takes no password, and says so with the words that it was given.
async fn that_refuses() -> Server {
    Server::start(|_| Reply::challenge("Basic realm=\"x\"")).await
}

fn write(folder: &Path, file: &str, text: &str) {
    let file = folder.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// What `docker login` leaves, for these hosts.
fn docker_config(passwords: &[(&str, &str)], identity: &str, registry: &str) -> String {
    let mut auths = json!({
        identity: { "identitytoken": "hunter-identity" },
        registry: { "registrytoken": "hunter-registry" },
    });
    for (host, password) in passwords {
        auths[*host] = json!({ "auth": STANDARD.encode(format!("me:{password}")) });
    }
    json!({ "auths": auths }).to_string()
}

/// Its secrets stand in the Pod itself.
fn pod_with_secrets(image: &str) -> String {
    let mut review: Value = serde_json::from_str(&pod(image)).unwrap();
    let pod = &mut review["request"]["object"];
    pod["spec"]["containers"][0]["env"] = json!([{ "name": "PASSWORD", "value": "hunter-env" }]);
    pod["metadata"]["annotations"] = json!({ "token": "hunter-annotation" });
    review.to_string()
}

#[tokio::test]
async fn no_secret_is_ever_told() {
    let (passwords, identity_server, tokens, refusing) =
        (with_tokens().await, with_tokens().await, with_tokens().await, that_refuses().await);
    let http2 = Registry::tls().await;
    Image::oci("linux/amd64", &json!({ "User": "1000" })).push(&http2, "demo/app:1").await;
    let folder = with_policies(NON_ROOT);
    let plugin = "#!/bin/sh\necho '{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"kind\":\
                  \"CredentialProviderResponse\",\"cacheKeyType\":\"Image\",\"auth\":{\"*.invalid\":\
                  {\"username\":\"me\",\"password\":\"hunter-plugin\"}}}'\n";
    write(folder.path(), "plugins/p", plugin);
    let made =
        std::process::Command::new("chmod").args(["755", "plugins/p"]).current_dir(folder.path()).status();
    assert!(made.unwrap().success());
    let providers = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n\
                     - { name: p, matchImages: ['*.invalid'], defaultCacheDuration: 1h,\n    \
                     apiVersion: credentialprovider.kubelet.k8s.io/v1 }\n";
    write(folder.path(), "providers.yaml", providers);
    let hosts = [&passwords, &identity_server, &tokens, &refusing].map(Server::authority);
    for host in &hosts {
        let toml = format!("server = 'http://{host}'\n[header]\nx-key = 'hunter-header'");
        write(folder.path(), &format!("hosts/{host}/hosts.toml"), &toml);
    }
    let [basic, identity, registry, refused] = hosts;
    let secret = [(basic.as_str(), "hunter-password"), (refused.as_str(), "hunter-refused")];
    write(folder.path(), ".docker/config.json", &docker_config(&secret, &identity, &registry));
    let ca = http2.authority().unwrap().pem();
    write(folder.path(), &format!("hosts/{}/ca.pem", http2.host()), &ca);
    let toml = "ca = 'ca.pem'\n[header]\nauthorization = 'Basic hunter-http2'";
    write(folder.path(), &format!("hosts/{}/hosts.toml", http2.host()), toml);

    let arguments = [
        "--write-ca=ca.pem",
        "--hosts-dir=hosts",
        "--allow-address=127.0.0.1/32",
        "--log=trace",
        "--image-credential-provider-config=providers.yaml",
        "--image-credential-provider-bin-dir=plugins",
    ];
    let variables = [
        ("HTTPS_PROXY", "http://me:hunter-proxy@127.0.0.1:1"),
        ("NO_PROXY", "127.0.0.1"),
        ("PATH", "/usr/bin:/bin"),
    ];
    let mut process = Process::start_in(folder, &arguments, &variables);
    let serving = process.logged("serving").await;
    let address: SocketAddr = serving["listen"].as_str().unwrap().parse().unwrap();
    let health: SocketAddr = serving["health_listen"].as_str().unwrap().parse().unwrap();
    let own_ca = fs::read_to_string(process.folder.path().join("ca.pem")).unwrap();
    // The pipe must not fill up while requests are answered.
    let Process { child, mut log, folder } = process;
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(line) = log.next_line().await.unwrap() {
            all.push(line);
        }
        all
    });
    let mut told = Vec::new();
    let http2_image = format!("{}/demo/app:1", http2.host());
    for (image, expected) in [
        (format!("{basic}/app:1"), true),
        (format!("{identity}/app:1"), true),
        (format!("{registry}/app:1"), true),
        (http2_image, true),
        (format!("{refused}/app:1"), false),
        ("registry.invalid/app:1".to_owned(), false),
    ] {
        let mut stream = connect(address, trusting(&own_ca)).await.unwrap();
        let answer =
            exchange(&mut stream, &post("/validate?timeout=10s", &pod_with_secrets(&image))).await.unwrap();
        assert_eq!(answer.json()["response"]["allowed"], expected, "{image}: {answer:?}");
        told.push(answer.body);
    }
    told.push(get(health, "/metrics").await.unwrap().body);
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
    told.extend(reading.await.unwrap());
    drop(folder);
    // Every one was really used.
    let sent = format!(
        "{:?} {:?} {:?} {:?}",
        passwords.seen(),
        identity_server.seen(),
        tokens.seen(),
        refusing.seen()
    );
    let password = STANDARD.encode("me:hunter-password");
    for secret in
        ["hunter-token", "hunter-signature", "hunter-header", "hunter-identity", "hunter-registry", &password]
    {
        assert!(sent.contains(secret), "{secret} was never sent");
    }
    for source in ["h2::", "hyper_util::"] {
        assert!(told.iter().any(|line| line.contains(source)), "{source}: {told:#?}");
    }
    let leaks: Vec<_> = told.iter().filter(|line| line.contains(MARK) || is_encoded(line)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// Whether a line holds a secret as Basic authentication encodes it.
fn is_encoded(line: &str) -> bool {
    ["me:hunter-password", "me:hunter-refused", "me:hunter-proxy", "me:hunter-plugin"]
        .iter()
        .any(|secret| line.contains(&STANDARD.encode(secret)))
}
