//! The cache that replicas share, in a real Redis: what it spares, that it cannot lie, and that it cannot hurt.

use crate::support::{Authority, Entry, Image, Index, Redis, Registry};
use hullmark::{
    credential::{Access, Credentials},
    image::{Freshness, PlatformFilter, ResolvedImage, Unresolved},
    registry::{self, Exchange, Lookup, Settings, SharedLookup, SharedSettings},
    review::ResolveImage,
};
use serde_json::json;
use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// One of several processes, with what it exchanged with the registry and what its caches said.
struct Replica {
    registry: registry::Registry,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    lookups: Arc<Mutex<Vec<Lookup>>>,
    _hosts: TempDir,
}

impl Replica {
    async fn new(host: &str, url: String, roots: Option<Vec<u8>>) -> Self {
        let hosts = tempfile::tempdir().unwrap();
        fs::create_dir(hosts.path().join(host)).unwrap();
        fs::write(hosts.path().join(host).join("hosts.toml"), format!("server = 'http://{host}'")).unwrap();
        let (exchanges, lookups) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (told, looked_up) = (Arc::clone(&exchanges), Arc::clone(&lookups));
        let settings = Settings {
            hosts_dir: Some(hosts.path().to_owned()),
            allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
            observer: Some(Arc::new(move |one: &Exchange| told.lock().unwrap().push(one.clone()))),
            lookup_observer: Some(Arc::new(move |one| looked_up.lock().unwrap().push(one))),
            shared_cache: Some(SharedSettings { url, roots, patience: Duration::from_millis(50) }),
            ..Settings::default()
        };
        let registry = registry::Registry::new(settings).unwrap();
        // It connects in the background.
        sleep(Duration::from_millis(300)).await;
        Self { registry, exchanges, lookups, _hosts: hosts }
    }

    async fn resolve_as(
        &self,
        image: &str,
        credentials: &[Credentials],
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let access: Access = credentials.to_vec().into();
        let deadline = Instant::now() + Duration::from_secs(10);
        let reference = image.parse().unwrap();
        self.registry.resolve(&reference, &PlatformFilter::default(), &access, deadline).await
    }

    async fn resolve(&self, image: &str) -> Arc<ResolvedImage> {
        self.resolve_as(image, &[]).await.unwrap()
    }

    /// What was asked of the registry since the last time, in order of the alphabet.
    fn asked(&self) -> Vec<String> {
        let mut asked: Vec<_> = std::mem::take(&mut *self.exchanges.lock().unwrap())
            .iter()
            .map(|one| format!("{} {}", one.method, one.purpose.as_str()))
            .collect();
        asked.sort();
        asked
    }

    /// What the shared cache said since the last time.
    fn said(&self) -> Vec<SharedLookup> {
        let told = std::mem::take(&mut *self.lookups.lock().unwrap());
        told.iter()
            .filter_map(|one| if let Lookup::Shared { outcome, .. } = one { Some(*outcome) } else { None })
            .collect()
    }
}

/// A registry with an index of two platforms, and its name.
async fn registry() -> (Registry, String) {
    let registry = Registry::plain().await;
    let image = |platform| Image::oci(platform, &json!({ "User": "1000", "Labels": { "for": platform } }));
    let entries = ["linux/amd64", "linux/arm64"].map(|platform| Entry::Image(image(platform)));
    Index::oci(entries).push(&registry, "demo/app:1").await;
    let name = format!("{}/demo/app:1", registry.host());
    (registry, name)
}

/// Waits until what was learned is written.
async fn written(redis: &Redis, count: usize) -> Vec<String> {
    for _ in 0..200 {
        let keys = redis.keys();
        if keys.len() == count {
            return keys;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", redis.keys());
}

/// Two replicas, one after the other: what the second asks of the registry, having the first's work.
async fn second_replica(redis: &Redis, url: String, roots: Option<Vec<u8>>) {
    let (registry, image) = registry().await;
    let first = Replica::new(&registry.host(), url.clone(), roots.clone()).await;
    let one = first.resolve(&image).await;
    assert_eq!(first.asked(), ["GET config", "GET config", "GET manifest", "GET manifest", "GET manifest"]);
    assert_eq!(first.said(), [SharedLookup::Miss; 2], "{url}: both manifests below the index");
    let keys = written(redis, 3).await;
    let expected = format!("hullmark:1:{}/demo/app@sha256:", registry.host());
    assert!(keys.iter().all(|key| key.starts_with(&expected)), "{keys:?}");

    let second = Replica::new(&registry.host(), url.clone(), roots).await;
    let other = second.resolve(&image).await;
    assert_eq!(
        second.asked(),
        ["GET manifest", "HEAD config", "HEAD config", "HEAD manifest", "HEAD manifest"],
        "{url}: the tag is read, what is below it proven"
    );
    assert_eq!(second.said(), [SharedLookup::Hit; 2], "{url}");
    let configs = |image: &ResolvedImage| -> Vec<_> {
        image
            .platforms
            .iter()
            .map(|one| (one.platform.clone(), one.raw_config.as_ref().unwrap().to_vec()))
            .collect()
    };
    assert_eq!(configs(&one), configs(&other));
}

#[tokio::test]
async fn a_second_replica_fetches_nothing_that_the_first_has() {
    let redis = Redis::plain().await;
    second_replica(&redis, format!("redis://127.0.0.1:{}/0", redis.port), None).await;
}

#[tokio::test]
async fn over_tls_with_a_password() {
    let authority = Authority::new();
    let redis = Redis::guarded(&authority.leaf(), "s3cret-of-redis").await;
    let url = format!("rediss://:s3cret-of-redis@127.0.0.1:{}", redis.port);
    second_replica(&redis, url, Some(authority.pem().into())).await;
}

#[tokio::test]
async fn in_a_cluster() {
    let redis = Redis::cluster().await;
    second_replica(&redis, format!("redis-cluster://127.0.0.1:{}", redis.port), None).await;
}

#[tokio::test]
async fn by_sentinels() {
    let redis = Redis::plain().await;
    let sentinel = Redis::sentinel(&redis).await;
    second_replica(&redis, format!("redis-sentinel://127.0.0.1:{}/mymaster", sentinel.port), None).await;
}

#[tokio::test]
async fn a_poisoned_cache_is_a_miss_and_an_alarm() {
    let redis = Redis::plain().await;
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let (registry, image) = registry().await;
    let before = Replica::new(&registry.host(), url.clone(), None).await.resolve(&image).await;
    let keys = written(&redis, 3).await;
    // Each is another's: well-formed, and a lie.
    let values: Vec<_> = keys.iter().map(|key| format!("return redis.call('GET', '{key}')")).collect();
    for (nth, key) in keys.iter().enumerate() {
        let other = &keys[(nth + 1) % keys.len()];
        redis.ask(&["RENAME", key, &format!("was:{key}")]);
        assert!(!values[nth].is_empty() && other != key);
    }
    for (nth, key) in keys.iter().enumerate() {
        redis.ask(&["COPY", &format!("was:{}", keys[(nth + 1) % keys.len()]), key]);
    }
    let replica = Replica::new(&registry.host(), url, None).await;
    let after = replica.resolve(&image).await;
    assert_eq!(replica.said(), [SharedLookup::Poisoned; 2]);
    assert_eq!(replica.asked().iter().filter(|asked| asked.starts_with("GET")).count(), 5);
    let users = |image: &ResolvedImage| -> Vec<_> {
        image.platforms.iter().map(|one| one.config_digest.clone()).collect()
    };
    assert_eq!(users(&before), users(&after));
}

#[tokio::test]
async fn a_slow_or_dead_one_costs_next_to_nothing() {
    let mut redis = Redis::plain().await;
    let (registry, image) = registry().await;
    let pinned = |image: &ResolvedImage| format!("{}/demo/app@{}", registry.host(), image.digest);
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let replica = Replica::new(&registry.host(), url.clone(), None).await;
    // Everything waits, for as long as the test runs.
    redis.ask(&["CLIENT", "PAUSE", "60000", "ALL"]);
    let started = Instant::now();
    let found = replica.resolve(&image).await;
    let paused = started.elapsed();
    assert_eq!(replica.said(), [SharedLookup::Failed; 2], "they were given up");
    let again = Replica::new(&registry.host(), url, None).await;
    let _ = again.resolve(&pinned(&found)).await;
    assert!(again.said().iter().all(|said| *said != SharedLookup::Hit), "nobody waits for a connection");
    // Beside what the registry itself takes: one wait of 50 ms, for both platforms at once.
    assert!(paused < Duration::from_secs(2), "{paused:?}");

    redis.kill();
    for nth in 0..4 {
        let other = Image::oci("linux/amd64", &json!({ "User": nth.to_string() }));
        other.push(&registry, &format!("demo/other{nth}:1")).await;
        let name = format!("{}/demo/other{nth}:1", registry.host());
        let found = replica.resolve(&name).await;
        replica.resolve(&format!("{}/demo/other{nth}@{}", registry.host(), found.digest)).await;
    }
    let _ = replica.said();
    replica.resolve_as(&image, &[basic("another")]).await.unwrap();
    let said = replica.said();
    assert!(said.iter().all(|said| matches!(said, SharedLookup::Skipped | SharedLookup::Failed)), "{said:?}");
}

fn basic(username: &str) -> Credentials {
    Credentials::Basic { username: username.to_owned(), password: "x".to_owned() }
}

/// A digest in the shared cache is given to nobody whom the registry would not give it.
#[tokio::test]
async fn it_gives_no_right_to_read() {
    let redis = Redis::plain().await;
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let registry = Registry::basic().await;
    let pushed = Image::oci("linux/amd64", &json!({ "User": "1000" })).push(&registry, "demo/app:1").await;
    let owner = Credentials::Basic {
        username: crate::support::USER.to_owned(),
        password: crate::support::PASSWORD.to_owned(),
    };
    let name = format!("{}/demo/app@{}", registry.host(), pushed.digest);
    let first = Replica::new(&registry.host(), url.clone(), None).await;
    first.resolve_as(&name, std::slice::from_ref(&owner)).await.unwrap();
    written(&redis, 1).await;

    let second = Replica::new(&registry.host(), url.clone(), None).await;
    let empty = Replica::new(&registry.host(), "redis://127.0.0.1:1".to_owned(), None).await;
    for credentials in [vec![], vec![basic("stranger")]] {
        let denied = second.resolve_as(&name, &credentials).await.expect_err("denied");
        let as_ever = empty.resolve_as(&name, &credentials).await.expect_err("denied");
        assert_eq!(denied.detail, as_ever.detail);
    }
    let found = second.resolve_as(&name, &[owner]).await.unwrap();
    assert_eq!(found.freshness, Freshness::Revalidated);
}
