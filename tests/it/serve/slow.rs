//! Callers that send little, slowly, or a lot.

use super::{
    client::{connect, post, trusting},
    world::{Plan, World, pod},
};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn announced_bodies_take_no_place_from_others() {
    let world = World::start(Plan::default()).await;
    let head = "POST /validate?timeout=30s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8388608\r\n\r\n{";
    let mut waiting = Vec::new();
    // Together they announce more than all the memory that there is for bodies.
    for _ in 0..64 {
        let mut stream = connect(world.running.https, trusting(&world.ca)).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        waiting.push(stream);
    }
    while !world.metrics().await.contains("hullmark_requests_in_flight 64\n") {
        tokio::task::yield_now().await;
    }
    let answer = world.send(&post("/validate?timeout=2s", &pod("registry.test/good:1"))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["response"]["allowed"], true, "{answer:?}");
}

#[tokio::test]
async fn a_large_review_is_judged() {
    let world = World::start(Plan::default()).await;
    let mut review: serde_json::Value = serde_json::from_str(&pod("registry.test/root:1")).unwrap();
    review["request"]["object"]["metadata"]["annotations"]["large"] = "x".repeat(7 * 1024 * 1024).into();
    let answer = world.send(&post("/validate", &review.to_string())).await;
    assert_eq!(answer.json()["response"]["status"]["code"], 403, "{answer:?}");
}
