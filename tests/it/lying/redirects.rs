//! Redirects: how far, where to, and with which credentials.

use super::{Client, Reply, Server, Shelf, UnresolvedKind, assert_failed, basic};
use hullmark::{
    credential::Access,
    image::PlatformFilter,
    registry::{Registry, Settings},
    review::ResolveImage,
};

/// A server whose blobs are somewhere else, and everything else is honest.
async fn redirecting(to: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
    let shelf = Shelf::with_image();
    Server::start(move |seen| {
        if seen.target.contains("/blobs/") { Reply::redirect(to(&seen.target)) } else { shelf.serve(seen) }
    })
    .await
}

#[tokio::test]
async fn five_hops_are_followed_and_no_more() {
    for (hops, resolves) in [(5, true), (6, false)] {
        let shelf = Shelf::with_image();
        let server = Server::start(move |seen| {
            let (path, hop) = seen.target.split_once("?hop=").unwrap_or((&seen.target, "0"));
            let hop: usize = hop.parse().expect("a number");
            if !path.contains("/blobs/") || hop == hops {
                return shelf.serve(seen);
            }
            // A relative location is resolved against the URL that was asked.
            Reply::redirect(format!("{path}?hop={}", hop + 1))
        })
        .await;
        let found = Client::plain(&[&server]).resolve(&format!("{}/app:1", server.authority())).await;
        match found {
            Ok(_) => assert!(resolves, "{hops}"),
            Err(failed) => {
                assert!(!resolves, "{hops}: {failed}");
                assert_failed(&failed, UnresolvedKind::ServerError, "further than the 5 hops");
            }
        }
    }
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server = redirecting(str::to_owned).await;
    let failed = Client::plain(&[&server]).failure(&format!("{}/app:1", server.authority())).await;
    assert_failed(&failed, UnresolvedKind::ServerError, "further than the 5 hops");
    assert_eq!(server.seen().len(), 1 + 6);
}

#[tokio::test]
async fn refused_addresses_are_not_dialled_by_redirects() {
    let rows = [
        ("http://169.254.169.254/latest/meta-data", "metadata service"),
        ("http://[::ffff:169.254.169.254]/", "metadata service"),
        ("http://[::1]:5000/", "--allow-address ::1/128"),
        ("http://0.0.0.0/", "unspecified"),
    ];
    for (to, text) in rows {
        let server = redirecting(|_| to.to_owned()).await;
        let failed = Client::plain(&[&server]).failure(&format!("{}/app:1", server.authority())).await;
        assert_failed(&failed, UnresolvedKind::AddressRefused, text);
    }
}

#[tokio::test]
async fn odd_locations_are_refused() {
    for (to, text) in [("ftp://reg.io/x", "neither http nor https"), ("", "404"), ("http://", "where to go")]
    {
        let server = redirecting(|_| to.to_owned()).await;
        let found = Client::plain(&[&server]).resolve(&format!("{}/app:1", server.authority())).await;
        let failed = found.expect_err(to);
        // An empty location is the same URL again, which ends as a loop.
        let text = if to.is_empty() { "5 hops" } else { text };
        assert_failed(&failed, UnresolvedKind::ServerError, text);
    }
}

#[tokio::test]
async fn credentials_stay_with_their_host() {
    let shelf = Shelf::with_image();
    let cdn = Server::start(move |seen| shelf.serve(seen)).await;
    let (shelf, to) = (Shelf::with_image(), cdn.authority());
    let server = Server::start(move |seen| {
        if seen.header("authorization").is_none() {
            return Reply::challenge("Basic realm=\"x\"");
        }
        if seen.target.contains("/blobs/") {
            return Reply::redirect(format!("http://user:pw@{to}{}?sig=hunter2", seen.target));
        }
        shelf.serve(seen)
    })
    .await;
    let client = Client::plain(&[&server]);
    let image = format!("{}/app:1", server.authority());
    client.resolve_as(&image, &[basic("me", "hunter2")]).await.expect("an image");
    assert_eq!(cdn.seen().len(), 1);
    assert_eq!(cdn.seen()[0].header("authorization"), None, "another port is another host");
    let told = format!("{:?}", client.exchanges.lock().expect("a lock"));
    assert!(told.contains("sig=***") && !told.contains("hunter2") && !told.contains("user"), "{told}");
}

#[tokio::test]
async fn another_hosts_401_is_no_challenge() {
    let cdn = Server::start(|_| Reply::challenge("Basic realm=\"give me your password\"")).await;
    let to = cdn.authority();
    let server = redirecting(move |target| format!("http://{to}{target}")).await;
    let client = Client::plain(&[&server]);
    let image = format!("{}/app:1", server.authority());
    let failed = client.resolve_as(&image, &[basic("me", "hunter2")]).await.expect_err("denied");
    assert_failed(&failed, UnresolvedKind::Denied, "401 UNAUTHORIZED to a redirected request");
    assert_eq!(failed.host, Some(cdn.authority()));
    assert!(cdn.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn names_in_redirects_are_checked_where_they_lead() {
    // The registry's own address is allowed, and no other of loopback.
    let shelf = Shelf::with_image();
    let server = Server::start_at("127.0.0.2", move |seen| {
        if seen.target.contains("/blobs/") {
            Reply::redirect("http://localhost:5000/")
        } else {
            shelf.serve(seen)
        }
    })
    .await;
    let settings = Settings {
        hosts: [(server.authority(), format!("server = 'http://{}'", server.authority()))].into(),
        allow_addresses: vec!["127.0.0.2/32".parse().expect("a network")],
        ..Settings::default()
    };
    let registry = Registry::new(settings).expect("settings");
    let reference = format!("{}/app:1", server.authority()).parse().expect("a reference");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    let found = registry.resolve(&reference, &PlatformFilter::default(), &Access::default(), deadline).await;
    assert_failed(&found.expect_err("refused"), UnresolvedKind::AddressRefused, "localhost is at ");
}
