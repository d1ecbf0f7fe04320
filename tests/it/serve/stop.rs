//! How the webhook stops: no call is lost, and no connection is kept.

use super::{
    client::{self, connect, exchange, post, trusting},
    world::{Plan, World, eventually, pod},
};
use std::time::Duration;
use tokio::{
    io::AsyncReadExt,
    time::{Instant, sleep},
};

#[tokio::test]
async fn a_stop_drains_then_finishes_then_is_gone() {
    let world = World::start(Plan { drain: Duration::from_millis(500), ..Plan::default() }).await;
    let (https, health) = (world.running.https, world.running.health);
    let mut used = connect(https, trusting(&world.ca)).await.unwrap();
    let mut idle = connect(https, trusting(&world.ca)).await.unwrap();
    let mut slow = connect(https, trusting(&world.ca)).await.unwrap();
    let good = post("/validate", &pod("registry.test/good:1"));
    for stream in [&mut used, &mut idle] {
        let answer = exchange(stream, &good).await.unwrap();
        assert!(!answer.has_header("connection: close"), "{answer:?}");
    }

    let ca = world.ca.clone();
    let started = Instant::now();
    let stopping = tokio::spawn(world.running.stop());
    eventually("not ready", async || client::get(health, "/readyz").await.unwrap().status == 503).await;
    let report = client::get(health, "/readyz").await.unwrap();
    assert_eq!(report.body, "not ready: stopping\n");
    assert_eq!(client::get(health, "/livez").await.unwrap().status, 200);

    // Still serving, on old and new connections, and each answer closes its connection.
    let answer = exchange(&mut used, &good).await.unwrap();
    assert!(answer.status == 200 && answer.has_header("connection: close"), "{answer:?}");
    assert_eq!(used.read(&mut [0]).await.unwrap_or(0), 0, "closed");
    let mut new = connect(https, trusting(&ca)).await.unwrap();
    let answer = exchange(&mut new, &good).await.unwrap();
    assert!(answer.status == 200 && answer.has_header("connection: close"), "{answer:?}");

    // A request that begins in the drain and takes longer than it.
    sleep(Duration::from_millis(250)).await;
    let answer = exchange(&mut slow, &post("/validate", &pod("registry.test/slow:1"))).await.unwrap();
    assert_eq!(answer.json()["response"]["allowed"], true, "{answer:?}");
    assert!(started.elapsed() > Duration::from_millis(500), "it outlived the drain");

    stopping.await.unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0, "idle connections are closed");
    assert!(connect(https, trusting(&ca)).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_a_stop_for_ever() {
    let world = World::start(Plan { drain: Duration::ZERO, ..Plan::default() }).await;
    let mut stream = connect(world.running.https, trusting(&world.ca)).await.unwrap();
    let silent = post("/validate?timeout=30s", &pod("registry.test/silent:1"));
    let asking = tokio::spawn(async move { exchange(&mut stream, &silent).await });
    let health = world.running.health;
    let in_flight = "hullmark_requests_in_flight 1\n";
    eventually("in flight", async || client::get(health, "/metrics").await.unwrap().body.contains(in_flight))
        .await;
    let started = Instant::now();
    world.running.stop().await;
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    assert!(asking.await.unwrap().is_err());
}
