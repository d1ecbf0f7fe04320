//! What is kept: for how long it is believed, what it is good for when a registry is down, and who may be told.

use super::{Client, Reply, Server, Shelf, assert_failed, basic};
use hullmark::{
    image::{Digest, Freshness, ResolvedImage, Unresolved, UnresolvedKind},
    registry::{Lookup, Settings},
    review::ResolveImage,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

const LIFE: Duration = Duration::from_secs(1);

/// The user of `app:1`, by which a push is told from what was before.
fn user(image: &ResolvedImage) -> String {
    image.platforms[0].config.user.raw().to_owned()
}

/// A registry whose `app:1` can be pushed anew, and which can be made to answer everything with a status.
struct Registry {
    server: Server,
    shelf: Arc<Mutex<Shelf>>,
    status: Arc<AtomicU16>,
    /// Seconds of `Retry-After`; zero: none.
    pause: Arc<AtomicU16>,
}

impl Registry {
    async fn start() -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::with_image()));
        let status = Arc::new(AtomicU16::new(200));
        let pause = Arc::new(AtomicU16::new(0));
        let (shown, answers, waits) = (Arc::clone(&shelf), Arc::clone(&status), Arc::clone(&pause));
        let server = Server::start(move |seen| match answers.load(Ordering::SeqCst) {
            200 => {
                let reply = shown.lock().expect("a lock").serve(seen);
                let digest = Digest::sha256(&shown.lock().expect("a lock").bytes("app/manifests/1"));
                if seen.target.ends_with("/manifests/1") {
                    reply.with("docker-content-digest", digest.to_string())
                } else {
                    reply
                }
            }
            status => match waits.load(Ordering::SeqCst) {
                0 => Reply::new(status, ""),
                seconds => Reply::new(status, "").with("retry-after", seconds.to_string()),
            },
        })
        .await;
        Self { server, shelf, status, pause }
    }

    fn push(&self, runs_as: &str) {
        let mut on_it = self.shelf.lock().expect("a lock");
        let image = on_it.add_image("app", runs_as);
        on_it.add_tag("app", "1", &image);
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn pause(&self, status: u16, seconds: u16) {
        self.pause.store(seconds, Ordering::SeqCst);
        self.answer(status);
    }

    fn client(&self, settings: Settings) -> Client {
        let toml = format!("server = 'http://{}'\n[hullmark]\ntries = 1\n", self.server.authority());
        Client::set(&[(self.server.authority(), toml)], &[], settings)
    }

    async fn resolve(&self, client: &Client) -> Result<Arc<ResolvedImage>, Unresolved> {
        client.resolve(&format!("{}/app:1", self.server.authority())).await
    }

    fn methods(&self) -> Vec<String> {
        let methods = self.server.seen().into_iter().map(|seen| seen.method).collect();
        self.server.forget();
        methods
    }
}

#[tokio::test]
async fn a_tag_is_believed_then_asked_about_in_the_background_then_before() {
    let registry = Registry::start().await;
    let client = registry.client(Settings { tag_life: LIFE, ..Settings::default() });
    assert_eq!(user(&registry.resolve(&client).await.expect("an image")), "1000");
    assert_eq!(registry.methods(), ["GET", "GET"]);
    registry.push("2000");

    let found = registry.resolve(&client).await.expect("an image");
    assert_eq!((user(&found).as_str(), registry.methods().len()), ("1000", 0), "it is fresh");
    assert!(matches!(found.freshness, Freshness::Cached { age } if age < LIFE));

    tokio::time::sleep(LIFE).await;
    let found = registry.resolve(&client).await.expect("an image");
    assert_eq!(user(&found), "1000", "it is served");
    assert!(matches!(found.freshness, Freshness::Cached { age } if age >= LIFE));
    tokio::time::sleep(LIFE / 2).await;
    assert_eq!(registry.methods(), ["HEAD", "GET", "GET"], "while it is asked about");
    let found = registry.resolve(&client).await.expect("an image");
    assert_eq!((user(&found).as_str(), registry.methods().len()), ("2000", 0), "what came of it");

    registry.push("3000");
    tokio::time::sleep(2 * LIFE).await;
    assert_eq!(
        user(&registry.resolve(&client).await.expect("an image")),
        "3000",
        "asked about before it is used"
    );
    registry.methods();
    tokio::time::sleep(2 * LIFE).await;
    let found = registry.resolve(&client).await.expect("an image");
    assert_eq!((found.freshness.as_str(), registry.methods()), ("revalidated", vec!["HEAD".to_owned()]));
}

#[tokio::test]
async fn a_registry_that_is_down_is_answered_for_up_to_a_limit() {
    let registry = Registry::start().await;
    let limited =
        |stale_limit| Settings { tag_life: Duration::from_millis(1), stale_limit, ..Settings::default() };
    let told = Arc::new(Mutex::new(Vec::new()));
    let lookups = Arc::clone(&told);
    let observer = Arc::new(move |lookup| lookups.lock().expect("a lock").push(lookup));
    let stale = registry.client(Settings { lookup_observer: Some(observer), ..limited(8 * LIFE) });
    let strict = registry.client(limited(Duration::ZERO));
    for client in [&stale, &strict] {
        registry.resolve(client).await.expect("an image");
    }
    tokio::time::sleep(LIFE).await;
    registry.answer(503);

    let failed = registry.resolve(&strict).await.expect_err("it is down");
    assert_failed(&failed, UnresolvedKind::ServerError, "answered 503");
    let found = registry.resolve(&stale).await.expect("what was known");
    let Freshness::Stale { age, failure } = &found.freshness else { panic!("{:?}", found.freshness) };
    assert!((LIFE..8 * LIFE).contains(age), "{age:?}");
    assert_failed(failure, UnresolvedKind::ServerError, "answered 503");
    let is_told = |lookup: &Lookup| matches!(lookup, Lookup::Stale { age } if *age >= LIFE);
    assert!(told.lock().expect("a lock").iter().any(is_told));

    tokio::time::sleep(8 * LIFE).await;
    let failed = registry.resolve(&stale).await.expect_err("that was too long ago");
    assert_failed(&failed, UnresolvedKind::ServerError, "answered 503");
}

/// The whole config of an image is kept only once somebody reads it; until then it is not there, and then it is fetched
/// again rather than missed.
#[tokio::test]
async fn a_whole_config_is_kept_for_those_who_read_it() {
    let registry = Registry::start().await;
    let client = registry.client(Settings { keep_documents: false, ..Settings::default() });
    let found = registry.resolve(&client).await.expect("an image");
    assert!(found.platforms[0].raw_config.is_none());
    registry.methods();
    client.registry.keep_documents();
    let found = registry.resolve(&client).await.expect("an image");
    let raw = found.platforms[0].raw_config.as_ref().expect("the whole config").to_vec();
    assert_eq!(Digest::sha256(&raw), found.platforms[0].config_digest);
    assert_eq!(registry.methods(), ["GET", "GET"], "fetched again");
    registry.resolve(&client).await.expect("an image");
    assert_eq!(registry.methods().len(), 0, "once");
}

/// A failure is told again for no longer than the registry's own `Retry-After`, with which status it ever came.
#[tokio::test]
async fn a_failure_is_not_remembered_beyond_the_pause_that_was_asked_for() {
    for status in [429, 503] {
        let registry = Registry::start().await;
        let client = registry.client(Settings::default());
        registry.pause(status, 1);
        let failed = registry.resolve(&client).await.expect_err("it asks for a pause");
        let kind = UnresolvedKind::RateLimited { retry_after_seconds: Some(1) };
        assert_failed(&failed, kind, &format!("answered {status}"));
        registry.answer(200);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        registry.resolve(&client).await.expect("the pause is over");
    }
}

#[tokio::test]
async fn what_a_registry_denies_is_never_answered_for() {
    for (status, kind) in [(403, UnresolvedKind::Denied), (404, UnresolvedKind::NotFound)] {
        let registry = Registry::start().await;
        let settings =
            Settings { tag_life: Duration::from_millis(1), stale_limit: 600 * LIFE, ..Settings::default() };
        let client = registry.client(settings);
        registry.resolve(&client).await.expect("an image");
        tokio::time::sleep(Duration::from_millis(20)).await;
        registry.answer(status);
        assert_eq!(registry.resolve(&client).await.expect_err("denied").kind, kind);
        registry.answer(503);
        tokio::time::sleep(Duration::from_millis(3200)).await;
        let failed = registry.resolve(&client).await.expect_err("what was denied is forgotten");
        assert_eq!(failed.kind, UnresolvedKind::ServerError);
    }
}

/// Namespace B, without the secret, asks for A's private image: what it is told and what the registry is asked are the
/// same whether or not A's image is in the cache.
#[tokio::test]
async fn strangers_learn_nothing_of_what_others_have_read() {
    let shelf = Shelf::with_image();
    let digest = Digest::sha256(&shelf.bytes("app/manifests/1"));
    let server = Server::start(move |seen| match seen.header("authorization") {
        Some("Basic b3duZXI6cHc=") => shelf.serve(seen),
        Some(_) => {
            Reply::new(403, r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#)
        }
        None => Reply::challenge("Basic realm=\"x\""),
    })
    .await;
    let tagged = format!("{}/app:1", server.authority());
    let pinned = format!("{}/app@{digest}", server.authority());
    let strangers = [vec![], vec![basic("stranger", "pw")]];
    let mut told = Vec::new();
    for is_cached in [false, true] {
        let client = Client::plain(&[&server]);
        if is_cached {
            for image in [&tagged, &pinned] {
                client.resolve_as(image, &[basic("owner", "pw")]).await.expect("an image");
            }
        }
        for image in [&tagged, &pinned] {
            for credentials in &strangers {
                // The challenge is known or not; that is no secret.
                let _ = client.resolve_as(&format!("{}/other:1", server.authority()), credentials).await;
                server.forget();
                let failed = client.resolve_as(image, credentials).await.expect_err("denied");
                assert_eq!(failed.kind, UnresolvedKind::Denied, "{failed}");
                told.push((failed.detail, server.seen().len()));
            }
        }
    }
    let (cold, warm) = told.split_at(told.len() / 2);
    assert_eq!(cold, warm);
}

/// A new identity that may read what is cached proves it by HEAD, for manifest and config alike.
#[tokio::test]
async fn those_who_may_read_prove_it_without_fetching() {
    let shelf = Shelf::with_image();
    let digest = Digest::sha256(&shelf.bytes("app/manifests/1"));
    let server = Server::start(move |seen| match seen.header("authorization") {
        Some(_) => shelf.serve(seen),
        None => Reply::challenge("Basic realm=\"x\""),
    })
    .await;
    let client = Client::plain(&[&server]);
    let pinned = format!("{}/app@{digest}", server.authority());
    client.resolve_as(&pinned, &[basic("a", "pw")]).await.expect("an image");
    server.forget();
    let found = client.resolve_as(&pinned, &[basic("b", "pw")]).await.expect("an image");
    let mut methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
    methods.sort();
    assert_eq!(
        (found.freshness.as_str(), methods),
        ("revalidated", vec!["HEAD".to_owned(), "HEAD".to_owned()])
    );
}

/// Whoever has a manifest's bytes in a repository of their own, but not the config, is not given the config.
#[tokio::test]
async fn a_manifest_alone_gives_no_right_to_its_config() {
    let shelf = Shelf::with_image();
    let manifest = shelf.bytes("app/manifests/1");
    let digest = Digest::sha256(&manifest);
    let copied = manifest.clone();
    let server = Server::start(move |seen| match seen.target.strip_prefix("/v2/thief/") {
        Some(path) if path.starts_with("manifests/") => {
            Reply::new(200, copied.clone()).with("content-type", super::content::MANIFEST)
        }
        Some(_) => Reply::new(404, ""),
        None => shelf.serve(seen),
    })
    .await;
    let client = Client::plain(&[&server]);
    client.resolve(&format!("{}/app:1", server.authority())).await.expect("an image");
    for name in ["thief:1".to_owned(), format!("thief@{digest}")] {
        let failed = client.failure(&format!("{}/{name}", server.authority())).await;
        assert_failed(&failed, UnresolvedKind::NotFound, "answered 404");
    }
}
