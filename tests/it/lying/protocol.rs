//! Which requests are sent, how many, and with which credentials.

use super::{
    Client, Reply, Seen, Server, Shelf, UnresolvedKind, assert_failed, basic,
    content::{MANIFEST, entry, index},
};
use hullmark::{
    credential::{Access, Credentials},
    image::Freshness,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// A registry that wants the token `good` and issues it itself under `/token`.
async fn bearer(shelf: Shelf) -> Server {
    let challenge = r#"Bearer realm="/token",service="reg.io",scope="repository:evil:pull,push""#;
    Server::start(move |seen| tokens(seen).unwrap_or_else(|| guarded(&shelf, seen, challenge))).await
}

fn tokens(seen: &Seen) -> Option<Reply> {
    seen.target.starts_with("/token").then(|| Reply::new(200, r#"{"token":"good","expires_in":300}"#))
}

fn guarded(shelf: &Shelf, seen: &Seen, challenge: &str) -> Reply {
    match seen.header("authorization") {
        Some("Bearer good") => shelf.serve(seen),
        _ => Reply::challenge(challenge),
    }
}

fn two_images() -> Shelf {
    let mut shelf = Shelf::with_image();
    let second = shelf.add_image("app", "2000");
    shelf.add_tag("app", "2", &second);
    let third = shelf.add_image("other", "1000");
    shelf.add_tag("other", "1", &third);
    shelf
}

#[tokio::test]
async fn the_fewest_requests_are_sent() {
    let server = bearer(two_images()).await;
    let client = Client::plain(&[&server]);
    let image = |name: &str| format!("{}/{name}", server.authority());
    let kinds = || {
        let kinds: Vec<_> = server
            .targets()
            .iter()
            .map(|target| target.split('/').nth(1).unwrap_or("?").split('?').next().unwrap_or("?").to_owned())
            .collect();
        server.forget();
        kinds.join(" ")
    };

    let first = client.resolve(&image("app:1")).await.expect("an image");
    assert_eq!(first.freshness, Freshness::Fetched);
    assert_eq!(kinds(), "v2 token v2 v2", "one try, one token, one manifest, one config");

    client.resolve(&image("app:2")).await.expect("an image");
    assert_eq!(kinds(), "v2 v2", "second image of the repository: no new token");

    let again = client.resolve(&image("app:1")).await.expect("an image");
    assert_eq!((again.freshness.as_str(), kinds().as_str()), ("cached", ""), "a fresh tag");

    let pinned = client.resolve(&image(&format!("app@{}", first.digest))).await.expect("an image");
    assert_eq!((pinned.freshness.as_str(), kinds().as_str()), ("cached", ""), "a known digest");
    assert_eq!(pinned.digest, first.digest);

    client.resolve(&image("other:1")).await.expect("an image");
    assert_eq!(kinds(), "token v2 v2", "another repository: the challenge is known");
}

#[tokio::test]
async fn only_pull_on_the_repository_is_asked_for() {
    let server = bearer(two_images()).await;
    Client::plain(&[&server]).resolve(&format!("{}/app:1", server.authority())).await.expect("an image");
    let asked = &server.targets()[1];
    assert_eq!(asked, "GET /token?service=reg.io&scope=repository%3Aapp%3Apull");
    let manifests: Vec<_> =
        server.seen().into_iter().filter(|seen| seen.target.contains("manifests")).collect();
    assert!(
        manifests.iter().all(|seen| seen.header("accept").is_some_and(|accept| accept.contains(MANIFEST)))
    );
    let agent = concat!("hullmark/", env!("CARGO_PKG_VERSION"));
    for seen in server.seen() {
        assert_eq!(seen.header("user-agent"), Some(agent));
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
    }
    let blob = server.seen().pop().expect("a request");
    assert!(blob.target.contains("/blobs/") && blob.header("accept").is_none_or(|accept| accept == "*/*"));
}

#[tokio::test]
async fn many_askers_share_one_walk() {
    let server = bearer(two_images()).await;
    let client = Client::plain(&[&server]);
    let image = format!("{}/app:1", server.authority());
    let askers = (0..50).map(|_| client.resolve(&image));
    for found in futures_util::future::join_all(askers).await {
        found.expect("an image");
    }
    assert_eq!(server.seen().len(), 4, "{:?}", server.targets());
}

#[tokio::test]
async fn a_walk_survives_the_asker_who_started_it() {
    let shelf = Shelf::with_image();
    let server = Server::start(move |seen| shelf.serve(seen).after(Duration::from_millis(300))).await;
    let client = Client::plain(&[&server]);
    let image = format!("{}/app:1", server.authority());
    let hasty = client.resolve_within(&image, &[], Duration::from_millis(50));
    let (hasty, patient) = tokio::join!(hasty, client.resolve(&image));
    assert_failed(&hasty.expect_err("too hasty"), UnresolvedKind::Timeout, "before the deadline");
    patient.expect("an image");
    assert_eq!(server.seen().len(), 2, "one manifest, one config: {:?}", server.targets());
}

#[tokio::test]
async fn the_cache_knows_who_may_read_what() {
    let shelf = Shelf::with_image();
    let server = Server::start(move |seen| match seen.header("authorization") {
        Some("Basic b3duZXI6cHc=") => shelf.serve(seen),
        _ => Reply::challenge("Basic realm=\"x\""),
    })
    .await;
    let client = Client::plain(&[&server]);
    let image = format!("{}/app:1", server.authority());
    let found = client.resolve_as(&image, &[basic("owner", "pw")]).await.expect("an image");
    let pinned = format!("{}/app@{}", server.authority(), found.digest);
    for image in [&image, &pinned] {
        for credentials in [&[][..], &[basic("stranger", "pw")]] {
            let failed = client.resolve_as(image, credentials).await.expect_err("denied");
            assert_failed(&failed, UnresolvedKind::Denied, "answered 401");
        }
    }
    server.forget();
    client.resolve_as(&pinned, &[basic("owner", "pw")]).await.expect("an image");
    assert_eq!(server.targets(), Vec::<String>::new());
}

#[tokio::test]
async fn credentials_are_tried_in_order_until_one_may_read() {
    let shelf = Shelf::with_image();
    let server = Server::start(move |seen| match seen.header("authorization") {
        Some("Basic b3duZXI6cHc=") => shelf.serve(seen),
        Some(_) => Reply::new(403, ""),
        None => Reply::challenge("Basic realm=\"x\""),
    })
    .await;
    let client = Client::plain(&[&server]);
    let image = format!("{}/app:1", server.authority());
    let keys = [basic("a", "x"), basic("b", "x"), basic("owner", "pw")];
    client.resolve_as(&image, &keys).await.expect("an image");
    assert_eq!(server.seen().len(), 1 + 1 + 1 + 1 + 1, "no preface is asked twice: {:?}", server.targets());
    server.forget();
    let again = client.resolve_as(&image, &keys).await.expect("an image");
    assert_eq!((again.freshness.as_str(), server.seen().len()), ("cached", 0), "those that can are known");
    let failed = client.resolve_as(&image, &keys[..2]).await.expect_err("denied");
    assert_failed(&failed, UnresolvedKind::Denied, "the given user name and password");
    assert!(failed.detail.contains("2 sets of credentials") && !failed.detail.contains("owner"));
    let failed = client.failure(&image).await;
    assert_failed(&failed, UnresolvedKind::Denied, "to an anonymous request");
}

#[tokio::test]
async fn a_401_without_a_challenge_is_looked_up_at_the_base() {
    let shelf = Shelf::with_image();
    let server = Server::start(move |seen| {
        if seen.target == "/v2/" {
            return Reply::challenge(r#"Bearer realm="/token""#);
        }
        tokens(seen).unwrap_or_else(|| match seen.header("authorization") {
            Some("Bearer good") => shelf.serve(seen),
            _ => Reply::new(401, ""),
        })
    })
    .await;
    Client::plain(&[&server]).resolve(&format!("{}/app:1", server.authority())).await.expect("an image");
    let targets = server.targets();
    assert_eq!(targets[1..3], ["GET /v2/", "GET /token?scope=repository%3Aapp%3Apull"], "{targets:?}");

    let rows = [
        ("no challenge anywhere", Reply::new(401, ""), "does not say where to get a token"),
        ("no realm", Reply::challenge("Bearer service=\"x\""), "does not say where to get a token"),
        ("other schemes", Reply::challenge("Negotiate, NTLM"), "does not speak (Negotiate, NTLM)"),
    ];
    for (name, reply, text) in rows {
        let server = Server::start(move |_| reply.clone()).await;
        let failed = Client::plain(&[&server]).failure(&format!("{}/app:1", server.authority())).await;
        assert_failed(&failed, UnresolvedKind::Denied, text);
        assert_eq!(server.seen().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn malicious_realms_get_nothing() {
    let rows = [
        ("metadata", "http://169.254.169.254/token", UnresolvedKind::AddressRefused, "metadata service"),
        ("loopback over IPv6", "http://[::1]/token", UnresolvedKind::AddressRefused, "loopback"),
        ("another scheme", "file:///etc/passwd", UnresolvedKind::ServerError, "is no URL"),
        ("user in the URL", "http://a:b@127.0.0.1/token", UnresolvedKind::ServerError, "a user in its URL"),
    ];
    for (_, realm, kind, text) in rows {
        let server = Server::start(move |_| Reply::challenge(format!("Bearer realm=\"{realm}\""))).await;
        let client = Client::plain(&[&server]);
        let image = format!("{}/app:1", server.authority());
        let failed = client.resolve_as(&image, &[basic("me", "hunter2")]).await.expect_err("refused");
        assert_failed(&failed, kind, text);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn bad_token_servers_are_named() {
    let rows = [
        ("no token", Reply::new(200, "{}"), UnresolvedKind::ServerError, "holds no token"),
        (
            "header injection",
            Reply::new(200, "{\"token\":\"a\\nb\"}"),
            UnresolvedKind::ServerError,
            "characters",
        ),
        ("too long", Reply::new(200, vec![b' '; 70_000]), UnresolvedKind::TooLarge, "65536 bytes"),
        ("refused", Reply::new(401, ""), UnresolvedKind::Denied, "no token: "),
        ("down", Reply::new(503, ""), UnresolvedKind::ServerError, "answered 503"),
        (
            "limited",
            Reply::new(429, "").with("retry-after", "9"),
            UnresolvedKind::RateLimited { retry_after_seconds: Some(9) },
            "9 s",
        ),
        ("redirect loop", Reply::redirect("/token"), UnresolvedKind::ServerError, "the 3 hops"),
    ];
    for (_, reply, kind, text) in rows {
        let server = Server::start(move |seen| {
            if seen.target.starts_with("/token") {
                reply.clone()
            } else {
                Reply::challenge("Bearer realm=/token")
            }
        })
        .await;
        assert_failed(
            &Client::plain(&[&server]).failure(&format!("{}/app:1", server.authority())).await,
            kind,
            text,
        );
    }
}

#[tokio::test]
async fn a_token_that_is_no_longer_good_is_renewed_once() {
    let (shelf, issued) = (two_images(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&issued);
    // The registry takes only the newest token, and forgets the first one after the first image.
    let server = Server::start(move |seen| {
        if seen.target.starts_with("/token") {
            let n = count.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::new(200, format!("{{\"token\":\"t{n}\",\"expires_in\":300}}"));
        }
        let wanted = if seen.target.ends_with("manifests/2") { "Bearer t2" } else { "Bearer t1" };
        match seen.header("authorization") {
            Some(sent) if sent == wanted || sent == "Bearer t2" => shelf.serve(seen),
            Some(_) => Reply::challenge(r#"Bearer realm="/token",error="invalid_token""#),
            None => Reply::challenge(r#"Bearer realm="/token""#),
        }
    })
    .await;
    let client = Client::plain(&[&server]);
    client.resolve(&format!("{}/app:1", server.authority())).await.expect("an image");
    client.resolve(&format!("{}/app:2", server.authority())).await.expect("an image");
    assert_eq!(issued.load(Ordering::SeqCst), 2);

    let stubborn = Server::start(|seen| {
        tokens(seen).unwrap_or_else(|| Reply::challenge(r#"Bearer realm="/token",error="invalid_token""#))
    })
    .await;
    let failed = Client::plain(&[&stubborn]).failure(&format!("{}/app:1", stubborn.authority())).await;
    assert_failed(&failed, UnresolvedKind::Denied, "answered 401");
    assert_eq!(stubborn.seen().len(), 5, "one try, then twice a token and a try: {:?}", stubborn.targets());
}

#[tokio::test]
async fn identity_tokens_are_exchanged_by_post() {
    for (post, requests) in [(200, 2), (404, 3)] {
        let shelf = Shelf::with_image();
        let server = Server::start(move |seen| {
            if !seen.target.starts_with("/token") {
                return guarded(&shelf, seen, r#"Bearer realm="/token",service="reg.io""#);
            }
            match (seen.method.as_str(), seen.header("authorization")) {
                ("POST", _) => Reply::new(post, r#"{"access_token":"good"}"#),
                // `<token>:refresh`
                ("GET", Some("Basic PHRva2VuPjpyZWZyZXNo")) => Reply::new(200, r#"{"token":"good"}"#),
                _ => Reply::new(401, ""),
            }
        })
        .await;
        let client = Client::plain(&[&server]);
        let token = Credentials::IdentityToken("refresh".to_owned());
        client.resolve_as(&format!("{}/app:1", server.authority()), &[token]).await.expect("an image");
        let posted = server.seen().into_iter().find(|seen| seen.method == "POST").expect("a POST");
        assert_eq!(
            posted.body,
            "grant_type=refresh_token&service=reg.io&client_id=hullmark&scope=repository%3Aapp%3Apull&refresh_token=refresh"
        );
        assert_eq!(posted.target, "/token");
        assert_eq!(server.seen().len(), 2 + requests, "{:?}", server.targets());
    }
}

#[tokio::test]
async fn registry_tokens_are_sent_as_they_are() {
    let shelf = Shelf::with_image();
    let server = Server::start(move |seen| guarded(&shelf, seen, r#"Bearer realm="/token""#)).await;
    let client = Client::plain(&[&server]);
    let image = format!("{}/app:1", server.authority());
    client.resolve_as(&image, &[Credentials::RegistryToken("good".to_owned())]).await.expect("an image");
    assert_eq!(server.seen().len(), 2);
    let bad = [Credentials::RegistryToken("bad".to_owned())];
    let failed = client.resolve_as(&image, &bad).await.expect_err("denied");
    assert_failed(&failed, UnresolvedKind::Denied, "the given registry token");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn every_platform_is_read_and_attestations_are_not() {
    let mut shelf = Shelf::default();
    let (amd, arm) = (shelf.add_image("app", "1000"), shelf.add_image("app", "2000"));
    let top = shelf.add_document(
        "app",
        &index(&json!([
            entry(MANIFEST, &amd, "linux/amd64"),
            entry(MANIFEST, &arm, "linux/arm64"),
            entry(MANIFEST, b"attestation", "unknown/unknown"),
        ])),
    );
    shelf.add_tag("app", "1", &top);
    let server = Server::start(move |seen| shelf.serve(seen)).await;
    let client = Client::plain(&[&server]);
    let image = client.resolve(&format!("{}/app:1", server.authority())).await.expect("an image");
    let platforms = |list: Vec<String>| list.join(" ");
    assert_eq!(
        platforms(image.available.iter().map(ToString::to_string).collect()),
        "linux/amd64 linux/arm64"
    );
    let judged = image.platforms.iter().map(|one| one.platform.as_ref().expect("named").to_string());
    assert_eq!(platforms(judged.collect()), "linux/amd64 linux/arm64");
    assert_eq!(server.seen().len(), 1 + 2 + 2);

    let filter = hullmark::image::PlatformFilter {
        nodes: Some(vec!["linux/s390x".parse().expect("a platform")]),
        ..Default::default()
    };
    let reference = format!("{}/app:1", server.authority()).parse().expect("a reference");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let found = hullmark::review::ResolveImage::resolve(
        &client.registry,
        &reference,
        &filter,
        &Access::default(),
        deadline,
    )
    .await;
    let failed = found.expect_err("no such platform");
    assert_failed(&failed, UnresolvedKind::NoMatchingPlatform, "there are linux/amd64, linux/arm64");
}

#[tokio::test]
async fn addresses_that_are_refused_are_never_dialled() {
    let registry =
        hullmark::registry::Registry::new(hullmark::registry::Settings::default()).expect("settings");
    let rows = [
        ("127.0.0.1:5000/app", "--allow-address 127.0.0.1/32"),
        ("localhost:5000/app", "own pod"),
        ("169.254.169.254/app", "metadata service"),
        ("[::1]:5000/app", "--allow-address ::1/128"),
        ("0x7f.1/app", "loopback"),
    ];
    for (image, text) in rows {
        let reference = image.parse().expect("a reference");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        let filter = hullmark::image::PlatformFilter::default();
        let found = hullmark::review::ResolveImage::resolve(
            &registry,
            &reference,
            &filter,
            &Access::default(),
            deadline,
        )
        .await;
        assert_failed(&found.expect_err(image), UnresolvedKind::AddressRefused, text);
    }
}
