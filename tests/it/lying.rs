//! The registry edge against servers that lie, stall and misdirect, and against one that counts.
//!
//! What a real registry never does is shown by a small server of the tests' own on loopback.

mod cache;
mod content;
mod faults;
mod http2;
mod lies;
mod mirrors;
mod protocol;
mod proxies;
mod redirects;
mod secrets;
mod server;
mod tags;
mod tls;
mod weather;

use content::Shelf;
use hullmark::{
    credential::Credentials,
    image::{PlatformFilter, Reference, ResolvedImage, Unresolved, UnresolvedKind},
    registry::{Exchange, Registry, Settings},
    review::ResolveImage,
};
use server::{Reply, Seen, Server};
use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// A registry edge that may dial loopback and knows these servers, with what it told its observer.
struct Client {
    registry: Registry,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    hosts: TempDir,
}

impl Client {
    /// Knows `servers` as plain http.
    fn plain(servers: &[&Server]) -> Self {
        let rows = servers.iter().map(|s| (s.authority(), format!("server = 'http://{}'", s.authority())));
        Self::with(&rows.collect::<Vec<_>>(), &[])
    }

    /// Knows these `hosts.toml` files, and other files to lie beside each.
    fn with(hosts: &[(String, String)], beside: &[(&str, &str)]) -> Self {
        Self::believing(hosts, beside, Settings::default().tag_life)
    }

    /// The same; what a tag points to is believed for `tag_life`.
    fn believing(hosts: &[(String, String)], beside: &[(&str, &str)], tag_life: Duration) -> Self {
        Self::set(hosts, beside, Settings { tag_life, ..Settings::default() })
    }

    /// The same, with further settings.
    fn set(hosts: &[(String, String)], beside: &[(&str, &str)], settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (host, toml) in hosts {
            let own = folder.path().join(host);
            fs::create_dir(&own).expect("a folder");
            fs::write(own.join("hosts.toml"), toml).expect("a file");
            for (name, content) in beside {
                fs::write(own.join(name), content).expect("a file");
            }
        }
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&exchanges);
        let settings = Settings {
            hosts_dir: Some(folder.path().to_owned()),
            allow_addresses: vec!["127.0.0.0/8".parse().expect("a network")],
            observer: Some(Arc::new(move |exchange| told.lock().expect("a lock").push(exchange.clone()))),
            ..settings
        };
        Self { registry: Registry::new(settings).expect("valid settings"), exchanges, hosts: folder }
    }

    async fn resolve(&self, image: &str) -> Result<Arc<ResolvedImage>, Unresolved> {
        self.resolve_as(image, &[]).await
    }

    async fn resolve_as(
        &self,
        image: &str,
        credentials: &[Credentials],
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        self.resolve_within(image, credentials, Duration::from_secs(10)).await
    }

    async fn resolve_within(
        &self,
        image: &str,
        credentials: &[Credentials],
        time: Duration,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let reference: Reference = image.parse().expect("a reference");
        let deadline = Instant::now() + time;
        self.registry
            .resolve(&reference, &PlatformFilter::default(), &credentials.to_vec().into(), deadline)
            .await
    }

    /// The failure of an image that must not resolve.
    async fn failure(&self, image: &str) -> Unresolved {
        self.resolve(image).await.expect_err("it must not resolve")
    }
}

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic { username: username.to_owned(), password: password.to_owned() }
}

/// Asserts a failure's kind and a part of its text.
#[track_caller]
fn assert_failed(found: &Unresolved, kind: UnresolvedKind, text: &str) {
    assert_eq!(found.kind, kind, "{found}");
    assert!(found.detail.contains(text), "{text:?} is not in {:?}", found.detail);
    assert!(found.detail.len() < 600 && !found.detail.contains(char::is_control), "{found:?}");
}
