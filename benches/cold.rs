//! Images that nobody has asked for: the time of a resolution, divided by the round trips that the protocol needs at
//! least. A round trip is 20 ms by design; what it takes on this machine is measured before.

#![expect(clippy::panic, reason = "an image that is not found ends the benchmark")]

mod support;

use hullmark::{
    credential::Access,
    image::PlatformFilter,
    registry::{Registry, Settings},
    review::ResolveImage,
};
use real::{Entry, Image, Index};
use serde_json::json;
use std::time::Duration;
use support::{Far, Spread, milliseconds, real, report};
use tokio::time::Instant;

const IMAGES: usize = 100;
const PLATFORMS: [&str; 4] = ["linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le"];

/// Round trips one after the other of a process that knows nothing: TCP and TLS 1.3 with the registry, the manifest
/// that is refused, TCP and TLS with the token server, the token, the manifest; with an index the manifests
/// below it; the configs.
fn cold_round_trips(platforms: usize) -> u32 {
    2 + 1 + 2 + 1 + 1 + u32::from(platforms > 1) + 1
}

/// The same, with open connections and a challenge that is known: the token (of this repository), and the documents.
fn warm_round_trips(platforms: usize) -> u32 {
    1 + 1 + u32::from(platforms > 1) + 1
}

fn client(far: &Far) -> Registry {
    let settings = Settings {
        hosts_dir: Some(far.hosts_dir()),
        allow_addresses: vec!["127.0.0.0/8".parse().expect("a network")],
        ..Settings::default()
    };
    Registry::new(settings).expect("settings")
}

async fn resolve(registry: &Registry, image: &str) -> Duration {
    let reference = image.parse().expect("a reference");
    let started = Instant::now();
    let deadline = started + Duration::from_secs(20);
    let found = registry.resolve(&reference, &PlatformFilter::default(), &Access::default(), deadline).await;
    let took = started.elapsed();
    found.unwrap_or_else(|failed| panic!("{image}: {failed}"));
    took
}

fn ratio(took: Duration, round_trip: Duration, round_trips: u32) -> f64 {
    took.as_secs_f64() / (round_trip * round_trips).as_secs_f64()
}

#[tokio::main]
async fn main() {
    let far = Far::start().await;
    let round_trip = support::round_trip().await;
    let mut lines = vec![format!("a round trip takes {:.1} ms", milliseconds(round_trip))];
    let mut figures = json!({ "images": IMAGES, "round_trip_ms": milliseconds(round_trip) });
    for count in [1, 2, 4] {
        let names: Vec<_> = (0..IMAGES).map(|nth| format!("public/{count}-{nth}")).collect();
        for (nth, name) in names.iter().enumerate() {
            let image = |platform: &str| {
                Image::oci(platform, &json!({ "User": "1000", "Labels": { "nth": nth.to_string() } }))
            };
            if count == 1 {
                image(PLATFORMS[0]).push(&far.registry, &format!("{name}:1")).await;
            } else {
                let entries: Vec<_> = PLATFORMS[..count].iter().map(|one| Entry::Image(image(one))).collect();
                Index::oci(entries).push(&far.registry, &format!("{name}:1")).await;
            }
        }
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        let one = client(&far);
        resolve(&one, &format!("{}/{}:1", far.host, names[0])).await;
        for name in &names {
            let image = format!("{}/{name}:1", far.host);
            cold.push(resolve(&client(&far), &image).await);
            if *name != names[0] {
                warm.push(resolve(&one, &image).await);
            }
        }
        for (what, times, round_trips) in
            [("cold", cold, cold_round_trips(count)), ("warm connections", warm, warm_round_trips(count))]
        {
            let ratios = Spread::of(times.iter().map(|took| ratio(*took, round_trip, round_trips)).collect());
            let times = Spread::of(times.into_iter().map(milliseconds).collect());
            lines.push(format!(
                "{count} platforms, {what}: {ratios} of {round_trips} round trips ({times} ms)"
            ));
            figures[format!("{count} platforms, {what}")] = json!({
                "ratio": ratios.json(), "ms": times.json(), "round_trips": round_trips,
            });
        }
    }
    report("cold", &lines, &figures);
}
