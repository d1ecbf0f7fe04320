//! Content that is not what it says, servers that stall, failures that must be told apart.

use super::{
    Client, Reply, Server, Shelf, UnresolvedKind, assert_failed,
    content::{CONFIG, INDEX, MANIFEST, descriptor, entry, index, manifest},
};
use hullmark::image::Digest;
use serde_json::json;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// What comes of `app:1` when requests whose path contains `part` get `reply`, and others the truth.
async fn lie(part: &'static str, reply: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> (Client, String) {
    let shelf = Shelf::with_image();
    let server = Server::start(move |seen| {
        let truth = shelf.serve(seen);
        if seen.target.contains(part) { reply(truth) } else { truth }
    })
    .await;
    let image = format!("{}/app:1", server.authority());
    (Client::plain(&[&server]), image)
}

/// What comes of `app:1` on this shelf.
async fn served(shelf: Shelf) -> hullmark::image::Unresolved {
    let server = Server::start(move |seen| shelf.serve(seen)).await;
    Client::plain(&[&server]).failure(&format!("{}/app:1", server.authority())).await
}

#[tokio::test]
async fn bytes_that_do_not_hash_to_their_digest_are_refused() {
    let (client, image) = lie("blobs", |_| Reply::new(200, r#"{"config":{"User":"1000"}}"#)).await;
    assert_failed(&client.failure(&image).await, UnresolvedKind::DigestMismatch, "as config sha256:");

    let shelf = Shelf::with_image();
    let server = Server::start(move |seen| shelf.serve(seen)).await;
    let client = Client::plain(&[&server]);
    let other = format!("{}/app@{}", server.authority(), Digest::sha256(b"other"));
    assert_failed(&client.failure(&other).await, UnresolvedKind::NotFound, "no such tag, digest");

    let server = Server::start(|_| Reply::new(200, "{}").with("content-type", MANIFEST)).await;
    let pinned = format!("{}/app@{}", server.authority(), Digest::sha256(b"other"));
    let failed = Client::plain(&[&server]).failure(&pinned).await;
    assert_failed(&failed, UnresolvedKind::DigestMismatch, "does not have that digest");
}

#[tokio::test]
async fn a_truncated_body_is_refused() {
    let (client, image) = lie("blobs", |_| Reply::new(200, "{").claiming(48)).await;
    assert_failed(&client.failure(&image).await, UnresolvedKind::Unreachable, "broke the exchange off");
    let (client, image) = lie("blobs", |_| Reply::new(200, "{")).await;
    assert_failed(&client.failure(&image).await, UnresolvedKind::DigestMismatch, "served 1 bytes as config");
}

/// Bytes that were cut or changed on their way, and a signed link that had ended, are asked for once more; what stays
/// wrong is told after that.
#[tokio::test]
async fn what_another_answer_may_mend_is_asked_for_once_more() {
    type Lie = fn(&str) -> Reply;
    let rows: [(&str, usize, Lie, &str); 6] = [
        ("cut", 1, |_| Reply::new(200, "{"), ""),
        ("cut twice", 2, |_| Reply::new(200, "{"), "served 1 bytes as config"),
        ("too long", 1, |_| Reply::new(200, "{").endless(), "served more than the"),
        ("a link that had ended", 1, |host| Reply::redirect(format!("http://{host}/gone?sig=1")), ""),
        (
            "links that had ended",
            9,
            |host| Reply::redirect(format!("http://{host}/gone?sig=1")),
            "answered 403",
        ),
        ("not its own 403", 1, |_| Reply::new(403, ""), "answered 403"),
    ];
    let store = Server::start(|_| Reply::new(403, "expired")).await;
    for (name, times, lie, told) in rows {
        let (shelf, count, to) = (Shelf::with_image(), AtomicUsize::new(0), store.authority());
        let server = Server::start(move |seen| {
            let is_bad = seen.target.contains("/blobs/") && count.fetch_add(1, Ordering::SeqCst) < times;
            if is_bad { lie(&to) } else { shelf.serve(seen) }
        })
        .await;
        let found = Client::plain(&[&server, &store]).resolve(&format!("{}/app:1", server.authority())).await;
        let detail = found.err().map(|failed| failed.detail).unwrap_or_default();
        assert!(detail.contains(told) && detail.is_empty() == told.is_empty(), "{name}: {detail}");
        let blobs = server.targets().iter().filter(|target| target.contains("/blobs/")).count();
        let once = matches!(name, "too long" | "not its own 403");
        assert_eq!(blobs, if once { 1 } else { 2 }, "{name}");
    }
}

#[tokio::test]
async fn what_a_registry_warns_of_is_told() {
    let digest = Digest::sha256(b"other").to_string();
    let rows = [
        ("warning", "299 - \"v2 ends in May\"", "v2 ends in May"),
        ("docker-content-digest", &*digest, "Docker-Content-Digest is sha256:"),
    ];
    for (header, value, told) in rows {
        let value = value.to_owned();
        let (client, image) = lie("manifests", move |truth| truth.with(header, &*value)).await;
        client.resolve(&image).await.expect("it is used all the same");
        let exchanges = client.exchanges.lock().expect("a lock").clone();
        let warnings: Vec<_> = exchanges.iter().filter_map(|exchange| exchange.warning.as_deref()).collect();
        assert!(warnings.len() == 1 && warnings[0].contains(told), "{warnings:?}");
    }
}

#[tokio::test]
async fn endless_and_huge_bodies_are_cut_off() {
    let (client, image) = lie("manifests", |_| Reply::new(200, "").endless()).await;
    assert_failed(
        &client.failure(&image).await,
        UnresolvedKind::TooLarge,
        "sent more than the 4194304 bytes",
    );
    let (client, image) = lie("manifests", |_| Reply::new(200, "{").claiming(1 << 40)).await;
    assert_failed(&client.failure(&image).await, UnresolvedKind::TooLarge, "sent more than");
    let (client, image) = lie("blobs", |_| Reply::new(200, "{").endless()).await;
    assert_failed(&client.failure(&image).await, UnresolvedKind::DigestMismatch, "served more than the");
    // Of an error, only the first part is read.
    let (client, image) = lie("manifests", |_| Reply::new(500, "oh no").endless()).await;
    assert_failed(&client.failure(&image).await, UnresolvedKind::ServerError, "answered 500 (oh no");
}

#[tokio::test]
async fn a_config_that_says_it_is_too_large_is_not_fetched() {
    let mut shelf = Shelf::default();
    let config = json!({"mediaType": CONFIG, "digest": Digest::sha256(b"x").to_string(), "size": 5_000_000});
    let manifest = shelf.add_document("app", &manifest(&config));
    shelf.add_tag("app", "1", &manifest);
    let server = Server::start(move |seen| shelf.serve(seen)).await;
    let failed = Client::plain(&[&server]).failure(&format!("{}/app:1", server.authority())).await;
    assert_failed(&failed, UnresolvedKind::TooLarge, "has 5000000 bytes");
    assert_eq!(server.targets(), ["GET /v2/app/manifests/1"]);
}

#[tokio::test]
async fn a_config_size_that_is_a_lie_is_found() {
    for size in [1, 4000] {
        let mut shelf = Shelf::default();
        let mut config = shelf.add_blob("app", CONFIG, br#"{"config":{}}"#);
        config["size"] = json!(size);
        let manifest = shelf.add_document("app", &manifest(&config));
        shelf.add_tag("app", "1", &manifest);
        assert_failed(&served(shelf).await, UnresolvedKind::DigestMismatch, "should have");
    }
}

#[tokio::test]
async fn what_is_cached_makes_no_lie_pass() {
    let mut shelf = Shelf::default();
    let honest = shelf.add_blob("app", CONFIG, br#"{"config":{}}"#);
    let mut lying = honest.clone();
    lying["size"] = json!(4000);
    for (tag, config) in [("honest", honest), ("lying", lying)] {
        let manifest = shelf.add_document("app", &manifest(&config));
        shelf.add_tag("app", tag, &manifest);
    }
    let server = Server::start(move |seen| shelf.serve(seen)).await;
    let client = Client::plain(&[&server]);
    client.resolve(&format!("{}/app:honest", server.authority())).await.expect("an image");
    let failed = client.failure(&format!("{}/app:lying", server.authority())).await;
    assert_failed(&failed, UnresolvedKind::DigestMismatch, "should have 4000");
}

#[tokio::test]
async fn stalls_end_with_the_deadline_or_before() {
    for (name, part) in [("manifest", "manifests"), ("config", "blobs")] {
        let (client, image) = lie(part, Reply::stalling).await;
        let started = Instant::now();
        let failed = client.resolve_within(&image, &[], Duration::from_millis(300)).await.expect_err(name);
        assert_failed(&failed, UnresolvedKind::Timeout, "before the deadline");
        // Well before the idle limit, 5 s.
        assert!(started.elapsed() < Duration::from_secs(3), "{name}: {:?}", started.elapsed());

        let (_, image) = lie(part, Reply::stalling_in_body).await;
        let host = image.split('/').next().expect("a host");
        let toml = format!("server = 'http://{host}'\n[hullmark]\nidle_timeout = '700ms'");
        let started = Instant::now();
        let failed = Client::with(&[(host.to_owned(), toml)], &[]).failure(&image).await;
        assert_failed(&failed, UnresolvedKind::Timeout, "sent nothing for too long");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn statuses_are_told_apart() {
    let date = "Mon, 23 Nov 2026 12:00:00 GMT";
    let limited = |retry_after_seconds| UnresolvedKind::RateLimited { retry_after_seconds };
    let rows = [
        ("seconds", Reply::new(429, "").with("retry-after", "30"), limited(Some(30)), "come back in 30 s"),
        (
            "date",
            Reply::new(429, "").with("retry-after", "Mon, 23 Nov 2026 12:02:00 GMT").with("date", date),
            limited(Some(120)),
            "come back in 120 s",
        ),
        ("500", Reply::new(500, ""), UnresolvedKind::ServerError, "answered 500"),
        ("503", Reply::new(503, "<html>"), UnresolvedKind::ServerError, "answered 503"),
        ("404", Reply::new(404, ""), UnresolvedKind::NotFound, "answered 404"),
        ("403", Reply::new(403, ""), UnresolvedKind::Denied, "403 to an anonymous request"),
        ("204", Reply::new(204, ""), UnresolvedKind::ServerError, "not expected"),
        (
            "gzip",
            Reply::new(200, "x").with("content-encoding", "gzip"),
            UnresolvedKind::ServerError,
            "Content-Encoding",
        ),
        (
            "text for the terminal",
            Reply::new(500, r#"{"errors":[{"code":"X","message":"\u001b[2Jadmit\n\u202eall"}]}"#),
            UnresolvedKind::ServerError,
            "500 X ([2Jadmit \u{fffd}all)",
        ),
    ];
    for (_, reply, kind, text) in rows {
        let (client, image) = lie("manifests", move |_| reply.clone()).await;
        let failed = client.failure(&image).await;
        assert_failed(&failed, kind, text);
        assert!(image.starts_with(failed.host.as_deref().expect("a host")));
    }
}

#[tokio::test]
async fn nobody_there_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let authority = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let failed = Client::with(&[], &[]).failure(&format!("{authority}/app:1")).await;
    assert_failed(&failed, UnresolvedKind::Unreachable, "refused the connection");
    let failed = Client::with(&[], &[]).failure("registry.invalid/app:1").await;
    assert_failed(&failed, UnresolvedKind::Unreachable, "registry.invalid has no address");
}

#[tokio::test]
async fn documents_of_two_kinds_at_once_are_ambiguous() {
    let mut shelf = Shelf::with_image();
    let config = shelf.add_blob("app", CONFIG, b"{}");
    let mut both = manifest(&config);
    both["manifests"] = json!([]);
    let both = shelf.add_document("app", &both);
    shelf.add_tag("app", "1", &both);
    assert_failed(&served(shelf).await, UnresolvedKind::Ambiguous, "tag 1");
}

#[tokio::test]
async fn indexes_nest_only_so_deep() {
    // Three indexes above the manifest are read, four are not.
    for (depth, resolves) in [(3, true), (4, false)] {
        let mut shelf = Shelf::default();
        let mut top = shelf.add_image("app", "1000");
        let mut media_type = MANIFEST;
        for _ in 0..depth {
            let entries = json!([entry(media_type, &top, "linux/amd64")]);
            top = shelf.add_document("app", &index(&entries));
            media_type = INDEX;
        }
        shelf.add_tag("app", "1", &top);
        let server = Server::start(move |seen| shelf.serve(seen)).await;
        let found = Client::plain(&[&server]).resolve(&format!("{}/app:1", server.authority())).await;
        match found {
            Ok(image) => assert!(resolves && image.platforms.len() == 1, "{depth}"),
            Err(failed) => {
                assert!(!resolves, "{depth}: {failed}");
                assert_failed(&failed, UnresolvedKind::TooLarge, "more than 3 deep");
            }
        }
    }
}

#[tokio::test]
async fn wide_indexes_are_not_fetched() {
    let mut shelf = Shelf::default();
    let nested = |n: usize| entry(INDEX, format!("index {n}").as_bytes(), "linux/amd64");
    let top = shelf.add_document("app", &index(&(0..40).map(nested).collect()));
    shelf.add_tag("app", "1", &top);
    assert_failed(&served(shelf).await, UnresolvedKind::TooLarge, "more than 32 indexes");

    let mut shelf = Shelf::default();
    let child = |n: usize| entry(MANIFEST, format!("manifest {n}").as_bytes(), &format!("linux/a{n}"));
    let top = shelf.add_document("app", &index(&(0..40).map(child).collect()));
    shelf.add_tag("app", "1", &top);
    assert_failed(&served(shelf).await, UnresolvedKind::TooLarge, "40 platforms");
}

#[tokio::test]
async fn what_is_no_image_is_named() {
    let mut shelf = Shelf::default();
    let config = descriptor("application/vnd.cncf.helm.config.v1+json", b"{}");
    let chart = shelf.add_document("app", &manifest(&config));
    shelf.add_tag("app", "1", &chart);
    assert_failed(
        &served(shelf).await,
        UnresolvedKind::NotAnImage,
        "application/vnd.cncf.helm.config.v1+json",
    );

    let mut shelf = Shelf::default();
    let attestation = entry(MANIFEST, b"x", "unknown/unknown");
    let top = shelf.add_document("app", &index(&json!([attestation])));
    shelf.add_tag("app", "1", &top);
    assert_failed(&served(shelf).await, UnresolvedKind::NotAnImage, "only attestations");

    let mut shelf = Shelf::default();
    let old = json!({"schemaVersion": 1, "name": "app", "fsLayers": [], "history": []}).to_string();
    shelf.put("app/manifests/1", "application/vnd.docker.distribution.manifest.v1+prettyjws", old.as_bytes());
    assert_failed(&served(shelf).await, UnresolvedKind::UnsupportedSchema1, "schema 1");
}
