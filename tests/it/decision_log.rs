//! The decision log of the real server, held to the schema that is documented.

mod schema;

use crate::{
    serve::client::{connect, exchange, post, trusting},
    support::{Entry, Image, Index, PASSWORD, Registry, USER, process::Process},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use hullmark::telemetry::Sample;
use schema::Schema;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::timeout;

const SCHEMA: &str = include_str!("../../docs/decision-log.schema.json");
const PAGE: &str = include_str!("../../docs/decision-log.md");

/// Policies by the last part of an image's name; `HOST` is the registry.
const POLICIES: &str = r"
apiVersion: hullmark.dev/v1alpha1
kind: ClusterImageConfigPolicy
metadata: { name: refuses }
spec:
  validationActions: [Deny]
  match: { images: [HOST/demo/denied, HOST/demo/gone, HOST/demo/excepted] }
  rules: { user: { runAsNonRoot: true } }
---
apiVersion: hullmark.dev/v1alpha1
kind: ClusterImageConfigPolicy
metadata: { name: warns }
spec:
  validationActions: [Warn]
  match: { images: [HOST/demo/warned] }
  rules: { user: { runAsNonRoot: true } }
---
apiVersion: hullmark.dev/v1alpha1
kind: ClusterImageConfigPolicy
metadata: { name: records }
spec:
  validationActions: [Audit]
  onResolutionFailure: Allow
  match: { images: [HOST/demo/recorded, HOST/demo/good, HOST/demo/gone-too] }
  rules: { user: { runAsNonRoot: true } }
---
apiVersion: hullmark.dev/v1alpha1
kind: ImageConfigException
metadata: { name: legacy, namespace: shop }
spec:
  policies: [{ name: refuses }]
  match: { images: [HOST/demo/excepted] }
  reason: until the new release
  expires: 2099-01-01T00:00:00Z
";

/// A server with a registry that wants a password, and what it was sent.
struct World {
    registry: Registry,
    process: Process,
    ca: String,
    address: std::net::SocketAddr,
    sent: AtomicUsize,
}

impl World {
    async fn start(arguments: &[&str]) -> Self {
        let registry = Registry::basic().await;
        for (name, user) in
            [("denied", "0"), ("excepted", "0"), ("warned", "0"), ("recorded", "0"), ("good", "1000")]
        {
            let settings = json!({ "User": user, "Env": ["TOKEN=hunter2"] });
            let of = |platform| Entry::Image(Image::oci(platform, &settings));
            let index = Index::oci([of("linux/amd64"), of("linux/arm64/v8")]);
            index.push(&registry, &format!("demo/{name}:1")).await;
        }
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "policies/a.yaml", &POLICIES.replace("HOST", &registry.host()));
        let login = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let login = json!({ "auths": { registry.host(): { "auth": login } } });
        write(&folder, ".docker/config.json", &login.to_string());
        let hosts = format!("--hosts-dir={}", registry.hosts_dir().display());
        let mut all = vec!["--write-ca=ca.pem", "--allow-address=127.0.0.0/8", "--drain=10ms", &hosts];
        all.extend(arguments);
        let mut process = Process::start_in(folder, &all, &[]);
        let (address, ca) = process.serving().await;
        Self { registry, process, ca, address, sent: AtomicUsize::new(0) }
    }

    /// A request to create a Pod with this image, and nothing special.
    fn pod(&self, image: &str) -> Value {
        let uid = format!("{image}-{}", self.sent.fetch_add(1, Ordering::Relaxed));
        json!({
            "uid": uid, "operation": "CREATE", "namespace": "shop", "name": "web",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "userInfo": { "username": "jane", "groups": ["on-call"] },
            "object": {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": "web", "namespace": "shop", "ownerReferences": [
                    { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c", "uid": "r1", "controller": true },
                ] },
                "spec": { "containers": [{
                    "name": "app", "image": self.registry.image(&format!("demo/{image}:1")),
                    "env": [{ "name": "PASSWORD", "value": "hunter2" }],
                }] },
            },
        })
    }

    /// Sends it; its uid.
    async fn send(&self, request: &Value) -> String {
        let review =
            json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request });
        let mut stream = connect(self.address, trusting(&self.ca)).await.unwrap();
        let answer =
            exchange(&mut stream, &post("/validate?timeout=10s", &review.to_string())).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        request["uid"].as_str().unwrap().to_owned()
    }

    /// Stops the server. How each request was judged, by its uid; each is told once, and no secret is.
    async fn told(mut self) -> BTreeMap<String, Value> {
        self.process.signal("TERM");
        let (mut told, log) = (BTreeMap::new(), &mut self.process.log);
        let reading = async {
            while let Some(text) = log.next_line().await.unwrap() {
                assert!(!text.contains("hunter2") && !text.contains(PASSWORD), "{text}");
                let line: Value = serde_json::from_str(&text).unwrap();
                if line["target"] == "hullmark::decision" {
                    let uid = line["request.uid"].as_str().unwrap().to_owned();
                    assert!(told.insert(uid, line).is_none(), "told twice: {text}");
                }
            }
        };
        timeout(Duration::from_secs(20), reading).await.unwrap();
        told
    }
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A Deployment with the Pod of this request as its template.
fn as_template(mut request: Value) -> Value {
    let pod = request["object"].take();
    request["kind"] = json!({ "group": "apps", "version": "v1", "kind": "Deployment" });
    request["object"] = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "template": { "spec": pod["spec"] } },
    });
    request
}

#[tokio::test]
async fn every_line_is_as_documented() {
    let arguments = ["--log-admits=1", "--break-glass-label=urgent", "--break-glass-groups=on-call"];
    let world = World::start(&arguments).await;
    let host = world.registry.host();
    let mut glass = world.pod("denied");
    glass["object"]["metadata"]["labels"] = json!({ "urgent": "INC-7" });
    let mut deletion = world.pod("denied");
    deletion["operation"] = json!("DELETE");
    let mut unreadable = world.pod("good");
    unreadable["object"]["spec"]["containers"][0]["image"] = json!("NOT AN IMAGE");
    let mut uids = Vec::new();
    for request in [
        world.pod("denied"),
        world.pod("denied"),
        world.pod("gone"),
        world.pod("gone-too"),
        world.pod("warned"),
        world.pod("recorded"),
        world.pod("good"),
        world.pod("elsewhere"),
        world.pod("excepted"),
        as_template(world.pod("denied")),
        glass,
        deletion,
        unreadable,
    ] {
        uids.push(world.send(&request).await);
    }
    let told = world.told().await;
    assert_eq!(told.len(), uids.len(), "each is told: {told:#?}");
    let lines: Vec<&Value> = uids.iter().map(|uid| &told[uid]).collect();

    let schema = Schema::read(SCHEMA);
    for line in &lines {
        assert_eq!(schema.errors(line), Vec::<String>::new(), "{line:#}");
    }

    // What was done, what would have been, and what would be with Deny everywhere; where the image is from.
    for (nth, verdict, would_be, if_enforced, code, from) in [
        (0, "deny", "deny", "deny", 403, "fetched"),
        (1, "deny", "deny", "deny", 403, "cached"),
        (2, "deny", "deny", "deny", 503, "unresolved"),
        (3, "allow", "allow", "allow", 200, "unresolved"),
        (4, "warn", "warn", "deny", 200, "fetched"),
        (5, "allow", "allow", "deny", 200, "fetched"),
        (6, "allow", "allow", "allow", 200, "fetched"),
        (7, "allow", "allow", "allow", 200, "unneeded"),
        (8, "allow", "allow", "allow", 200, "fetched"),
        (9, "warn", "warn", "warn", 200, "cached"),
        (10, "warn", "deny", "deny", 200, "cached"),
    ] {
        let line = lines[nth];
        let found = ["verdict", "would_be", "if_enforced", "code"].map(|name| line[name].clone());
        assert_eq!(found, [json!(verdict), json!(would_be), json!(if_enforced), json!(code)], "{line:#}");
        assert_eq!(line["images"][0]["from"], from, "{line:#}");
        assert_eq!(line["request.owner"], if nth == 9 { Value::Null } else { json!("ReplicaSet/web-5d9c") });
    }
    let image = &lines[0]["images"][0];
    assert_eq!((&image["auth"], &image["digest_of"]), (&json!("basic"), &json!("index")), "{image:#}");
    assert_eq!(image["name"], format!("{host}/demo/denied:1"));
    assert_eq!(image["platforms"][1]["platform"], "linux/arm64");
    assert_ne!(image["platforms"][0]["digest"], image["digest"]);
    let finding = &lines[5]["findings"][0];
    let shown = ["policy", "rule", "action", "if_enforced", "kind"].map(|name| finding[name].clone());
    assert_eq!(shown, ["records", "user", "audit", "deny", "violation"].map(Value::from), "{finding:#}");
    assert!(
        !finding["found"].as_str().unwrap().is_empty() && !finding["wanted"].as_str().unwrap().is_empty()
    );
    assert_eq!(lines[8]["excepted"][0]["exception"], "shop/legacy", "{:#}", lines[8]);
    assert_eq!(lines[10]["level"], "WARN");
    assert_eq!(lines[11]["verdict"], "unjudged");
    assert_eq!((&lines[6]["sampled"], &lines[5]["sampled"]), (&json!(1.0), &Value::Null));
}

#[tokio::test]
async fn audit_says_what_would_have_been() {
    let world = World::start(&["--audit"]).await;
    let uid = world.send(&world.pod("denied")).await;
    let line = &world.told().await[&uid];
    assert_eq!(Schema::read(SCHEMA).errors(line), Vec::<String>::new(), "{line:#}");
    let found = ["mode", "verdict", "would_be", "if_enforced"].map(|name| line[name].clone());
    assert_eq!(found, ["audit", "allow", "deny", "deny"].map(Value::from), "{line:#}");
}

/// Which of the plain admits are told is decided by their uids alone; whatever was found is always told.
#[tokio::test]
async fn admits_are_sampled_by_their_uid() {
    let world = World::start(&["--log-admits=0.3"]).await;
    let (mut wanted, mut admits) = (Vec::new(), 0);
    for nth in 0..60 {
        let request = world.pod(if nth % 6 == 0 { "recorded" } else { "good" });
        let uid = world.send(&request).await;
        admits += usize::from(nth % 6 != 0);
        if nth % 6 == 0 || Sample::of(0.3).keeps(&uid) {
            wanted.push(uid);
        }
    }
    wanted.sort_unstable();
    assert!((11..10 + admits).contains(&wanted.len()), "some of them, and not all: {}", wanted.len());
    let told: Vec<String> = world.told().await.into_keys().collect();
    assert_eq!(told, wanted);
}

#[test]
fn the_example_is_valid_and_the_page_names_every_field() {
    let schema = Schema::read(SCHEMA);
    let example = PAGE.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    assert_eq!(schema.errors(&example), Vec::<String>::new());

    let text: Value = serde_json::from_str(SCHEMA).unwrap();
    for place in ["/properties", "/$defs/image/properties", "/$defs/finding/properties"] {
        for name in text.pointer(place).unwrap().as_object().unwrap().keys() {
            assert!(PAGE.contains(&format!("`{name}`")), "docs/decision-log.md does not name {name}");
        }
    }

    // And the check can fail.
    for (pointer, wrong) in [
        ("/verdict", json!("maybe")),
        ("/log_version", json!(2)),
        ("/findings/0/action", json!("record")),
        ("/findings/0/secret", json!("x")),
        ("/images/0/digest", json!("latest")),
        ("/duration_ms", json!("3")),
        ("/request.name", json!("x".repeat(254))),
    ] {
        let mut line = example.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        line.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), wrong);
        assert!(!schema.errors(&line).is_empty(), "{pointer}");
    }
    let mut line = example.clone();
    line.as_object_mut().unwrap().remove("if_enforced");
    assert!(!schema.errors(&line).is_empty(), "a field is missing");
}
