//! `hullmark inspect` beside `skopeo inspect --config`: cold processes, the same images, over TLS with a token server,
//! with a round trip of 20 ms to both.

mod support;

use real::{Entry, Image, Index};
use serde_json::{Value, json};
use std::{ffi::OsString, process::Stdio, time::Duration};
use support::{Far, Spread, milliseconds, real, report};
use tokio::{process::Command, time::Instant};

/// How often each command is run.
const ROUNDS: usize = 20;

/// One way to ask for one image.
struct Contender {
    program: &'static str,
    arguments: Vec<OsString>,
}

impl Contender {
    async fn run(&self) -> Duration {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let output = command.output().await.expect(real::INSTALL);
        let took = started.elapsed();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", self.program);
        assert!(!output.stdout.is_empty());
        took
    }
}

/// Both commands for one image.
fn contenders(far: &Far, certificates: &std::path::Path, name: &str) -> [Contender; 2] {
    let image = format!("{}/{name}", far.host);
    let ours = ["inspect", "-o", "raw", "--platform", "linux/arm64", "--allow-address", "127.0.0.0/8"];
    let mut hullmark: Vec<OsString> = ours.into_iter().map(Into::into).collect();
    hullmark.extend(["--hosts-dir".into(), far.hosts_dir().into(), image.clone().into()]);
    let theirs =
        ["inspect", "--config", "--raw", "--no-creds", "--override-arch", "arm64", "--override-os", "linux"];
    let mut skopeo: Vec<OsString> = theirs.into_iter().map(Into::into).collect();
    skopeo.extend(["--cert-dir".into(), certificates.into(), format!("docker://{image}").into()]);
    [
        Contender { program: env!("CARGO_BIN_EXE_hullmark"), arguments: hullmark },
        Contender { program: "skopeo", arguments: skopeo },
    ]
}

async fn compare(far: &Far, certificates: &std::path::Path, name: &str) -> (String, Value) {
    let contenders = contenders(far, certificates, name);
    let mut requests = [0; 2];
    for (nth, contender) in contenders.iter().enumerate() {
        let before = far.requests();
        contender.run().await;
        requests[nth] = far.requests() - before;
    }
    let (mut ratios, mut times) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        let mut took = [Duration::ZERO; 2];
        for (nth, contender) in contenders.iter().enumerate() {
            took[nth] = contender.run().await;
            times[nth].push(milliseconds(took[nth]));
        }
        ratios.push(took[0].as_secs_f64() / took[1].as_secs_f64());
    }
    let [ours, theirs] = times.map(Spread::of);
    let ratio = Spread::of(ratios);
    let [own, other] = requests;
    let line = format!("{name}: {ratio} of skopeo's time ({ours} ms, {theirs} ms); {own} requests, {other}");
    let figures = json!({
        "ratio": ratio.json(), "hullmark_ms": ours.json(), "skopeo_ms": theirs.json(),
        "hullmark_requests": own, "skopeo_requests": other,
    });
    (line, figures)
}

#[tokio::main]
async fn main() {
    let far = Far::start().await;
    let image = |platform| Image::oci(platform, &json!({ "User": "1000" }));
    image("linux/arm64").push(&far.registry, "public/single:1").await;
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    Index::oci(platforms.map(|one| Entry::Image(image(one)))).push(&far.registry, "public/multi:1").await;
    let certificates = tempfile::tempdir().expect("a folder");
    std::fs::write(certificates.path().join("ca.crt"), far.authority.pem()).expect("a file");
    let (mut lines, mut figures) = (Vec::new(), json!({ "rounds": ROUNDS }));
    for name in ["public/single:1", "public/multi:1"] {
        let (line, found) = compare(&far, certificates.path(), name).await;
        lines.push(line);
        figures[name] = found;
    }
    report("inspect", &lines, &figures);
}
