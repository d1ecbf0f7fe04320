//! Registries that have a bad moment, ask for a pause, or are down: what is tried again, and what is not.

use super::{Client, Reply, Server, Shelf, UnresolvedKind, assert_failed};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::Instant;

type Make = fn() -> Reply;

/// A server whose first answers are these, by number; then none, and the truth comes.
async fn at_first(bad: impl Fn(usize) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let (shelf, count) = (Shelf::with_image(), AtomicUsize::new(0));
    Server::start(move |seen| bad(count.fetch_add(1, Ordering::SeqCst)).unwrap_or_else(|| shelf.serve(seen)))
        .await
}

#[tokio::test]
async fn a_bad_moment_costs_a_moment() {
    let rows: [(&str, usize, Make); 7] = [
        ("a connection that ends", 1, || Reply::new(200, "").hanging_up()),
        ("a body that is cut off", 1, || Reply::new(200, "{").claiming(48)),
        ("408", 1, || Reply::new(408, "")),
        ("502", 1, || Reply::new(502, "<html>")),
        ("503 twice", 2, || Reply::new(503, "")),
        ("429 with a short pause", 1, || Reply::new(429, "").with("retry-after", "1")),
        ("503 with a short pause", 1, || Reply::new(503, "").with("retry-after", "1")),
    ];
    for (name, times, reply) in rows {
        let server = at_first(move |nth| (nth < times).then(reply)).await;
        let image = format!("{}/app:1", server.authority());
        let resolved = Client::plain(&[&server]).resolve(&image).await;
        assert!(resolved.is_ok(), "{name}: {resolved:?}");
        assert_eq!(server.targets().len(), times + 2, "{name}: manifest and config, once more for each");
    }
}

#[tokio::test]
async fn what_stays_bad_is_told_after_a_few_tries() {
    let rows: [(&str, usize, Make, UnresolvedKind, &str); 4] = [
        ("503", 3, || Reply::new(503, ""), UnresolvedKind::ServerError, "answered 503"),
        ("hanging up", 2, || Reply::new(200, "").hanging_up(), UnresolvedKind::Unreachable, "broke"),
        ("404 is an answer", 1, || Reply::new(404, ""), UnresolvedKind::NotFound, "answered 404"),
        ("501 stays", 3, || Reply::new(501, ""), UnresolvedKind::ServerError, "answered 501"),
    ];
    for (name, requests, reply, kind, text) in rows {
        let server = Server::start(move |_| reply()).await;
        let failed = Client::plain(&[&server]).failure(&format!("{}/app:1", server.authority())).await;
        assert_failed(&failed, kind, text);
        assert_eq!(server.targets().len(), requests, "{name}");
    }
}

#[tokio::test]
async fn a_pause_that_is_too_long_is_told_to_everybody_at_once() {
    let date = "Mon, 23 Nov 2026 12:00:00 GMT";
    for until in ["60", "Mon, 23 Nov 2026 12:01:00 GMT"] {
        let server =
            Server::start(move |_| Reply::new(429, "").with("date", date).with("retry-after", until)).await;
        let client = Client::plain(&[&server]);
        let started = Instant::now();
        let failed = client.failure(&format!("{}/app:1", server.authority())).await;
        let kind = UnresolvedKind::RateLimited { retry_after_seconds: Some(60) };
        assert_failed(&failed, kind, "answered 429: too many requests, come back in 60 s");
        let other = client.failure(&format!("{}/other:1", server.authority())).await;
        assert_eq!(other.status, Some(429));
        assert!(other.detail.contains("answered 429 and asked for a pause, which lasts another"), "{other}");
        assert!(started.elapsed() < Duration::from_secs(4), "nobody waits for what cannot come in time");
        assert_eq!(server.targets().len(), 1, "and nobody asks");
    }
}

#[tokio::test]
async fn a_host_that_is_down_is_left_alone() {
    let server = Server::start(|_| Reply::new(200, "").hanging_up()).await;
    let client = Client::plain(&[&server]);
    let mut asked = 0;
    for nth in 0..6 {
        let failed = client.failure(&format!("{}/app{nth}:1", server.authority())).await;
        let now = server.targets().len();
        if now == asked {
            assert_failed(&failed, UnresolvedKind::Unreachable, "failed 5 times in a row and is left alone");
            assert!(failed.detail.contains("broke"), "and what it was: {failed}");
            return;
        }
        asked = now;
    }
    panic!("it was asked {asked} times");
}
