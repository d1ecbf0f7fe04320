//! Mirrors of a hosts.toml: asked first and in order, never with the registry's credentials, and never the
//! reason that an image cannot be looked at.

use super::{Client, Reply, Server, Shelf, UnresolvedKind, assert_failed, basic};
use base64::{Engine, engine::general_purpose::STANDARD};
use hullmark::{
    credential::{Access, Credentials},
    image::{PlatformFilter, Reference},
    review::ResolveImage,
};
use std::time::Duration;
use tokio::time::Instant;

/// A client for `registry.test`, which is `upstream`, with these mirrors; `more` goes to the first one's table.
fn mirrored(mirrors: &[&Server], upstream: &Server, more: &str) -> Client {
    let table = |(nth, mirror): (usize, &&Server)| {
        let more = if nth == 0 { more } else { "" };
        format!("[host.'http://{}']\n{more}\n", mirror.authority())
    };
    let tables: String = mirrors.iter().enumerate().map(table).collect();
    let toml = format!("server = 'http://{}'\n{tables}", upstream.authority());
    Client::with(&[("registry.test".to_owned(), toml)], &[])
}

async fn truthful() -> Server {
    let shelf = Shelf::with_image();
    Server::start(move |seen| shelf.serve(seen)).await
}

/// The upstream wants a user and a password.
async fn private() -> Server {
    let shelf = Shelf::with_image();
    Server::start(move |seen| match seen.header("authorization") {
        Some(_) => shelf.serve(seen),
        None => Reply::challenge("Basic realm=\"upstream\""),
    })
    .await
}

type Make = fn() -> Reply;

const IMAGE: &str = "registry.test/app:1";

#[tokio::test]
async fn a_mirror_that_answers_is_all_that_is_asked() {
    let (mirror, second, upstream) = (truthful().await, truthful().await, private().await);
    let more = format!("[host.'http://{}'.header]\nx-team = 'shop'", mirror.authority());
    let client = mirrored(&[&mirror, &second], &upstream, &more);
    client.resolve_as(IMAGE, &[basic("alice", "s3cret")]).await.expect("an image");
    assert_eq!(mirror.targets().len(), 2);
    for seen in mirror.seen() {
        assert!(seen.target.ends_with("?ns=registry.test"), "{}", seen.target);
        assert_eq!(seen.header("authorization"), None, "its credentials are the registry's alone");
        assert_eq!(seen.header("x-team"), Some("shop"));
    }
    assert!(second.targets().is_empty() && upstream.targets().is_empty());
}

#[tokio::test]
async fn what_a_mirror_cannot_give_the_next_one_does() {
    let rows: [(&str, Make); 6] = [
        ("not there", || Reply::new(404, "")),
        ("not allowed", || Reply::challenge("Basic realm=\"mirror\"")),
        ("overloaded", || Reply::new(503, "")),
        ("gone", || Reply::new(200, "").hanging_up()),
        ("still", || Reply::new(200, "").stalling()),
        ("something else", || Reply::new(200, "<html>login</html>").with("content-type", "text/html")),
    ];
    for (name, reply) in rows {
        let (mirror, second, upstream) =
            (Server::start(move |_| reply()).await, truthful().await, private().await);
        let client = mirrored(&[&mirror, &second], &upstream, "");
        let resolved = client.resolve(IMAGE).await;
        assert!(resolved.is_ok(), "{name}: {resolved:?}");
        assert_eq!((second.targets().len(), upstream.targets().len()), (2, 0), "{name}");

        let alone = mirrored(&[&mirror], &upstream, "");
        let resolved = alone.resolve_as(IMAGE, &[basic("alice", "s3cret")]).await;
        assert!(resolved.is_ok(), "{name}: {resolved:?}");
        assert!(mirror.seen().iter().all(|seen| seen.header("authorization").is_none()), "{name}");
    }
}

#[tokio::test]
async fn when_nobody_can_the_registrys_word_counts_and_the_mirrors_is_told() {
    let (mirror, upstream) = (
        Server::start(|_| Reply::new(503, "")).await,
        Server::start(|_| Reply::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#)).await,
    );
    let failed = mirrored(&[&mirror], &upstream, "").failure(IMAGE).await;
    assert_failed(&failed, UnresolvedKind::NotFound, "no such tag or digest (before, a mirror: ");
    assert!(failed.detail.contains(&format!("{} answered 503", mirror.authority())), "{failed}");
}

#[tokio::test]
async fn a_mirror_that_is_down_is_skipped_for_a_while() {
    let (mirror, upstream) = (Server::start(|_| Reply::new(200, "").hanging_up()).await, truthful().await);
    let client = mirrored(&[&mirror], &upstream, "");
    for nth in 0..8 {
        // None of these is there, so each is asked of both.
        client.failure(&format!("registry.test/app{nth}:1")).await;
    }
    let asked = mirror.targets().len();
    client.resolve(IMAGE).await.expect("an image");
    assert_eq!(mirror.targets().len(), asked, "it is left alone");
}

#[tokio::test]
async fn a_mirror_that_stalls_leaves_time_for_the_registry() {
    let (mirror, upstream) = (Server::start(|_| Reply::new(200, "").stalling()).await, truthful().await);
    let client = mirrored(&[&mirror], &upstream, "");
    let resolved = client.resolve_within(IMAGE, &[], Duration::from_secs(3)).await;
    assert!(resolved.is_ok(), "{resolved:?}");
}

#[tokio::test]
async fn a_hosts_folder_is_read_again_whole_or_not_at_all() {
    let (old, new) = (truthful().await, truthful().await);
    let toml = |server: &Server| format!("server = 'http://{}'", server.authority());
    let client = Client::with(&[("registry.test".to_owned(), toml(&old))], &[]);
    let file = client.hosts.path().join("registry.test/hosts.toml");
    assert_eq!(client.registry.reload(), Ok(false), "nothing has changed");
    std::fs::write(&file, "server = 7").unwrap();
    let error = client.registry.reload().unwrap_err().to_string();
    assert!(error.contains("registry.test/hosts.toml:1: `server` is not a string"), "{error}");
    client.resolve(IMAGE).await.expect("an image, from where it was before");
    std::fs::write(&file, toml(&new)).unwrap();
    assert_eq!(client.registry.reload(), Ok(true));
    client.failure("registry.test/other:1").await;
    assert_eq!((old.targets().len(), new.targets().len()), (2, 1));
}

#[tokio::test]
async fn a_mirror_gets_the_credentials_that_are_kept_for_it() {
    let (mirror, upstream) = (private().await, private().await);
    let client = mirrored(&[&mirror], &upstream, "");
    let reference: Reference = IMAGE.parse().unwrap();
    let called = client.registry.at_mirrors(&reference);
    assert_eq!(called.len(), 1);
    let (host, at_mirror) = &called[0];
    assert_eq!(
        (host, at_mirror.domain(), at_mirror.path()),
        (&mirror.authority(), &*mirror.authority(), "app")
    );
    let access = Access {
        registry: vec![basic("alice", "upstream-password")],
        mirrors: [(host.clone(), vec![basic("bob", "mirror-password")])].into(),
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    let resolved = client.registry.resolve(&reference, &PlatformFilter::default(), &access, deadline).await;
    assert!(resolved.is_ok(), "{resolved:?}");
    let sent: Vec<_> =
        mirror.seen().iter().filter_map(|seen| seen.header("authorization").map(str::to_owned)).collect();
    let Some(Credentials::Basic { username, password }) = access.mirrors[host].first() else { panic!("one") };
    let expected = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    assert!(!sent.is_empty() && sent.iter().all(|header| *header == expected), "{sent:?}");
    assert!(upstream.targets().is_empty());
}
