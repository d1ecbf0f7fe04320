//! The walk of `hullmark::registry` against real registries: which requests it makes, and how often.

use crate::support::{Entry, Image, Index, PASSWORD, Registry, TokenRequest, USER};
use hullmark::{
    credential::Credentials,
    image::{PlatformFilter, ResolvedImage, RunsAsRoot, Unresolved, UnresolvedKind},
    registry::{Purpose, Settings},
    review::ResolveImage,
};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// What was asked for, and the answer's status.
type Seen = (Purpose, Option<u16>);

/// Hullmark's client, and what it says that it sent.
struct Walker {
    registry: hullmark::registry::Registry,
    exchanges: Arc<Mutex<Vec<Seen>>>,
    host: String,
}

impl Walker {
    fn new(registry: &Registry) -> Self {
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&exchanges);
        let settings = Settings {
            hosts_dir: Some(registry.hosts_dir()),
            allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
            observer: Some(Arc::new(move |exchange| {
                seen.lock().unwrap().push((exchange.purpose, exchange.status));
            })),
            ..Settings::default()
        };
        let host = registry.host();
        Self { registry: hullmark::registry::Registry::new(settings).unwrap(), exchanges, host }
    }

    async fn resolve(
        &self,
        name: &str,
        credentials: &[Credentials],
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let reference = format!("{}/{name}", self.host).parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        self.registry
            .resolve(&reference, &PlatformFilter::default(), &credentials.to_vec().into(), deadline)
            .await
    }

    /// The exchanges since the last call.
    fn new_exchanges(&self) -> Vec<Seen> {
        std::mem::take(&mut self.exchanges.lock().unwrap())
    }
}

fn alice() -> Vec<Credentials> {
    vec![Credentials::Basic { username: USER.to_owned(), password: PASSWORD.to_owned() }]
}

fn image(user: &str) -> Image {
    Image::oci("linux/amd64", &json!({ "User": user }))
}

#[tokio::test]
async fn the_walk_takes_four_requests_then_two_then_none() {
    let registry = Registry::token().await;
    let first = image("1000").push(&registry, "private/app:1").await;
    let second = image("2000").push(&registry, "private/app:2").await;
    registry.new_requests().await;
    let walker = Walker::new(&registry);
    let manifest = |tag: &str, status: u16| format!("GET /v2/private/app/manifests/{tag} {status}");
    let blob = |digest: &str| format!("GET /v2/private/app/blobs/{digest} 200");

    // Cold: one try without a token, one token, one manifest, one config.
    let resolved = walker.resolve("private/app:1", &alice()).await.unwrap();
    assert_eq!(resolved.digest.to_string(), first.digest);
    assert_eq!(resolved.platforms[0].raw_config.as_ref().unwrap().to_vec(), first.configs[0].1);
    assert_eq!(
        walker.new_exchanges(),
        [
            (Purpose::Manifest, Some(401)),
            (Purpose::Token, Some(200)),
            (Purpose::Manifest, Some(200)),
            (Purpose::Config, Some(200)),
        ]
    );
    assert_eq!(
        registry.new_requests().await,
        [manifest("1", 401), manifest("1", 200), blob(&first.config_digest)],
        "the registry saw the same, and no ping of /v2/"
    );
    assert_eq!(
        registry.tokens().new_requests(),
        [TokenRequest {
            method: "GET",
            user: Some(USER.to_owned()),
            scopes: vec!["repository:private/app:pull".to_owned()],
        }]
    );

    // Another image of the same repository: the token is known.
    let resolved = walker.resolve("private/app:2", &alice()).await.unwrap();
    assert_eq!(resolved.digest.to_string(), second.digest);
    assert_eq!(walker.new_exchanges(), [(Purpose::Manifest, Some(200)), (Purpose::Config, Some(200))]);
    assert_eq!(registry.new_requests().await, [manifest("2", 200), blob(&second.config_digest)]);
    assert_eq!(registry.tokens().new_requests(), []);

    // A digest that is known: nothing is asked.
    let by_digest = format!("private/app@{}", first.digest);
    let resolved = walker.resolve(&by_digest, &alice()).await.unwrap();
    assert_eq!(resolved.platforms[0].raw_config.as_ref().unwrap().to_vec(), first.configs[0].1);
    assert_eq!(resolved.freshness.as_str(), "cached");
    assert_eq!(walker.new_exchanges(), []);
    assert_eq!(registry.new_requests().await, Vec::<String>::new());
    assert_eq!(registry.tokens().new_requests(), []);
}

#[tokio::test]
async fn an_index_costs_one_more_document_and_attestations_cost_nothing() {
    let registry = Registry::token().await;
    let entries = [
        Entry::Image(Image::oci("linux/amd64", &json!({ "User": "1" }))),
        Entry::Attestation,
        Entry::Image(Image::oci("linux/arm64/v8", &json!({ "User": "2" }))),
        Entry::Attestation,
    ];
    let pushed = Index::oci(entries).push(&registry, "public/app:1").await;
    registry.new_requests().await;
    let walker = Walker::new(&registry);
    let resolved = walker.resolve("public/app:1", &[]).await.unwrap();
    assert_eq!(resolved.digest.to_string(), pushed.digest);
    let platforms: Vec<_> = resolved.available.iter().map(ToString::to_string).collect();
    assert_eq!(platforms.len(), 2, "the attestations are no platforms: {platforms:?}");
    let configs: Vec<_> =
        resolved.platforms.iter().map(|platform| platform.raw_config.as_ref().unwrap().to_vec()).collect();
    let expected: Vec<_> = pushed.configs.iter().map(|(_, config)| config.clone()).collect();
    assert_eq!(configs, expected);
    let mut exchanges = walker.new_exchanges();
    let documents = exchanges.split_off(3);
    assert_eq!(
        exchanges,
        [(Purpose::Manifest, Some(401)), (Purpose::Token, Some(200)), (Purpose::Manifest, Some(200))]
    );
    let count = |purpose| documents.iter().filter(|exchange| **exchange == (purpose, Some(200))).count();
    assert_eq!((count(Purpose::Manifest), count(Purpose::Config), documents.len()), (2, 2, 4));
    assert_eq!(registry.tokens().new_requests().len(), 1);
    assert_eq!(registry.new_requests().await.len(), 6);
}

#[tokio::test]
async fn many_askers_of_a_new_image_cost_one_walk() {
    let registry = Registry::token().await;
    image("1000").push(&registry, "public/app:1").await;
    registry.new_requests().await;
    let walker = Walker::new(&registry);
    let askers = (0..100).map(|_| walker.resolve("public/app:1", &[]));
    for resolved in futures_util::future::join_all(askers).await {
        assert_eq!(resolved.unwrap().platforms.len(), 1);
    }
    assert_eq!(walker.new_exchanges().len(), 4);
    assert_eq!(registry.new_requests().await.len(), 3);
}

#[tokio::test]
async fn a_cached_digest_is_not_given_to_a_caller_who_may_not_read_it() {
    let registry = Registry::token().await;
    let pushed = image("1000").push(&registry, "private/app:1").await;
    let walker = Walker::new(&registry);
    for name in ["private/app:1".to_owned(), format!("private/app@{}", pushed.digest)] {
        walker.resolve(&name, &alice()).await.unwrap();
        let refused = walker.resolve(&name, &[]).await.unwrap_err();
        assert_eq!(refused.kind, UnresolvedKind::Denied, "{name}: {refused}");
        let stranger = Credentials::Basic { username: "mallory".to_owned(), password: "guess".to_owned() };
        let refused = walker.resolve(&name, &[stranger]).await.unwrap_err();
        assert_eq!(refused.kind, UnresolvedKind::Denied, "{name}: {refused}");
    }
}

#[tokio::test]
async fn the_first_credentials_that_may_read_win() {
    let registry = Registry::basic().await;
    image("1000").push(&registry, "demo/app:1").await;
    let walker = Walker::new(&registry);
    let wrong = Credentials::Basic { username: USER.to_owned(), password: "old".to_owned() };
    let both = [vec![wrong], alice()].concat();
    assert_eq!(walker.resolve("demo/app:1", &both).await.unwrap().platforms.len(), 1);
}

#[tokio::test]
async fn bytes_that_do_not_match_their_digest_are_refused_and_not_kept() {
    let registry = Registry::plain().await;
    let pushed = image("1000").push(&registry, "demo/app:1").await;
    let walker = Walker::new(&registry);
    for (what, digest) in [("config", &pushed.config_digest), ("manifest", &pushed.digest)] {
        let file = registry.blob_file(digest);
        let good = std::fs::read(&file).unwrap();
        // Still JSON of the same length, so that nothing but the digest can tell.
        let evil = String::from_utf8(good.clone()).unwrap().replacen('2', "3", 1);
        std::fs::write(&file, evil).unwrap();
        let refused = walker.resolve("demo/app:1", &[]).await.unwrap_err();
        assert_eq!(refused.kind, UnresolvedKind::DigestMismatch, "{what}: {refused}");
        assert_eq!(refused.host.as_deref(), Some(&*registry.host()), "{what}");
        std::fs::write(&file, good).unwrap();
    }
    // A failure is remembered for seconds at most, and never as content.
    let fresh = Walker::new(&registry);
    assert_eq!(fresh.resolve("demo/app:1", &[]).await.unwrap().platforms.len(), 1);
}

#[tokio::test]
async fn what_is_no_image_is_told_apart_from_what_is_not_there() {
    let registry = Registry::plain().await;
    crate::support::helm_chart().push(&registry, "demo/chart:1").await;
    Index::oci([]).push(&registry, "demo/empty:1").await;
    let lost = image("1000").push(&registry, "demo/lost:1").await;
    std::fs::remove_file(registry.blob_file(&lost.config_digest)).unwrap();
    let walker = Walker::new(&registry);
    for (name, expected) in [
        ("demo/chart:1", UnresolvedKind::NotAnImage),
        ("demo/chart:2", UnresolvedKind::NotFound),
        ("demo/other:1", UnresolvedKind::NotFound),
        ("demo/lost:1", UnresolvedKind::NotFound),
        ("demo/empty:1", UnresolvedKind::NotAnImage),
    ] {
        let failure = walker.resolve(name, &[]).await.unwrap_err();
        assert_eq!(failure.kind, expected, "{name}: {failure}");
    }
}

#[tokio::test]
async fn odd_users_come_through_a_registry_with_their_meaning() {
    use RunsAsRoot::{No, Unknown, Yes};
    let registry = Registry::plain().await;
    let walker = Walker::new(&registry);
    for (number, (user, expected)) in [
        ("", Yes),
        (":", Yes),
        (":0", Yes),
        (":1000", Yes),
        ("0", Yes),
        ("00", Yes),
        ("+0", Yes),
        ("-0", Yes),
        ("0000:0", Yes),
        ("root", Yes),
        ("root:root", Yes),
        ("1000", No),
        ("1000:1000", No),
        ("1000:0", No),
        ("2147483647", No),
        ("2147483648", Yes),
        ("4294967296", Yes),
        ("99999999999999999999", Yes),
        ("nginx", Unknown),
        ("user:group", Unknown),
        ("$UID", Unknown),
        ("0x0", Unknown),
        ("1e3", Unknown),
        ("a b", Unknown),
        ("nul\0", Unknown),
    ]
    .into_iter()
    .enumerate()
    {
        for make in [Image::oci, Image::docker] {
            let image = make("linux/amd64", &json!({ "User": user }));
            let name = format!("demo/user{number}:{:?}", image.format);
            image.push(&registry, &name).await;
            let resolved = walker.resolve(&name, &[]).await.unwrap();
            let config = &resolved.platforms[0].config;
            assert_eq!(config.user.raw(), user, "as written");
            assert_eq!(config.user.runs_as_root(), expected, "{user:?}");
        }
    }
    for (tag, settings) in [("absent", json!({})), ("null", json!({ "User": null })), ("none", json!(null))] {
        let name = format!("demo/user:{tag}");
        Image::oci("linux/amd64", &settings).push(&registry, &name).await;
        let resolved = walker.resolve(&name, &[]).await.unwrap();
        assert_eq!(resolved.platforms[0].config.user.runs_as_root(), Yes, "{tag}");
    }
}

#[tokio::test]
async fn odd_stop_signals_come_through_a_registry_with_their_meaning() {
    let registry = Registry::plain().await;
    let walker = Walker::new(&registry);
    for (number, (signal, expected)) in [
        ("SIGTERM", Some(("SIGTERM", 15))),
        ("TERM", Some(("SIGTERM", 15))),
        ("sigterm", Some(("SIGTERM", 15))),
        ("15", Some(("SIGTERM", 15))),
        ("9", Some(("SIGKILL", 9))),
        ("SIGRTMIN+3", Some(("SIGRTMIN+3", 37))),
        ("RTMAX-1", Some(("SIGRTMAX-1", 63))),
        ("64", Some(("SIGRTMAX", 64))),
        ("0", None),
        ("SIGFOO", None),
        ("SIGSIGTERM", None),
        ("SIGRTMIN+16", None),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("demo/signal{number}:1");
        Image::docker("linux/amd64", &json!({ "StopSignal": signal })).push(&registry, &name).await;
        let resolved = walker.resolve(&name, &[]).await.unwrap();
        let stop_signal = resolved.platforms[0].config.stop_signal.as_ref().expect(signal);
        let found = stop_signal.as_ref().ok().map(|known| (known.name(), known.number()));
        assert_eq!(found, expected, "{signal:?}");
    }
    for (tag, settings) in [("absent", json!({})), ("empty", json!({ "StopSignal": "" }))] {
        let name = format!("demo/signal:{tag}");
        Image::oci("linux/amd64", &settings).push(&registry, &name).await;
        let resolved = walker.resolve(&name, &[]).await.unwrap();
        assert_eq!(resolved.platforms[0].config.stop_signal, None, "{tag}");
    }
}

#[tokio::test]
async fn a_config_that_two_readers_would_read_differently_is_refused() {
    let registry = Registry::plain().await;
    let walker = Walker::new(&registry);
    for (tag, config) in [
        ("twice", r#"{"config":{"User":"1000","User":"0"}}"#),
        ("case", r#"{"config":{"User":"1000","user":"0"}}"#),
        ("folded", "{\"config\":{\"User\":\"1000\",\"U\u{17f}er\":\"0\"}}"),
        ("outer", r#"{"config":{"User":"1000"},"Config":{"User":"0"}}"#),
    ] {
        let name = format!("demo/ambiguous:{tag}");
        image("1000").with_config(config.as_bytes()).push(&registry, &name).await;
        let refused = walker.resolve(&name, &[]).await.unwrap_err();
        assert_eq!(refused.kind, UnresolvedKind::Ambiguous, "{tag}: {refused}");
    }
    // Docker's leftovers of the build container are not ambiguous, and not what runs.
    let leftovers = br#"{"container_config":{"User":"0"},"config":{"User":"1000"}}"#;
    image("1000").with_config(leftovers).push(&registry, "demo/leftovers:1").await;
    let resolved = walker.resolve("demo/leftovers:1", &[]).await.unwrap();
    assert_eq!(resolved.platforms[0].config.user.raw(), "1000");
}

#[tokio::test]
async fn annotations_and_sizes_of_the_manifest_come_through() {
    let registry = Registry::plain().await;
    let base = "org.opencontainers.image.base.name";
    let mut image = image("1000").with_annotations(json!({ base: "docker.io/library/debian:12" }));
    image.layers = vec![vec![1; 1000], vec![2; 24]];
    image.push(&registry, "demo/app:1").await;
    let resolved = Walker::new(&registry).resolve("demo/app:1", &[]).await.unwrap();
    let [platform] = &resolved.platforms[..] else { panic!("one platform: {resolved:?}") };
    assert_eq!(platform.annotations.get(base), Some("docker.io/library/debian:12"));
    assert_eq!((&*platform.layer_sizes, platform.compressed_size()), (&[1000, 24][..], 1024));
}
