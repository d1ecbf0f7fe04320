//! What stands between Hullmark and images in real clusters: client certificates, mirrors, pull-through caches, nginx
//! with its redirects, prefixes, compression, limits and ends of connections; and a second kind of registry. All
//! of them real.

use crate::support::{Authority, Entry, Hullmark, Image, Index, Nginx, PASSWORD, Pushed, Registry, USER};
use flate2::{Compression, read::GzEncoder};
use futures_util::future::join_all;
use hullmark::{
    credential::{Access, Credentials},
    image::{PlatformFilter, ResolvedImage, Unresolved, UnresolvedKind},
    registry::{self, Exchange, Settings},
    review::ResolveImage,
};
use serde_json::json;
use std::{
    fs,
    io::Read,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// Hullmark's client with these `hosts.toml` files, and what it exchanged.
struct Client {
    registry: registry::Registry,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    folder: TempDir,
}

impl Client {
    fn new(hosts: &[(&str, String)], files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (host, toml) in hosts {
            let own = folder.path().join(host);
            fs::create_dir_all(&own).unwrap();
            fs::write(own.join("hosts.toml"), toml).unwrap();
            for (name, content) in files {
                fs::write(own.join(name), content).unwrap();
            }
        }
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&exchanges);
        let settings = Settings {
            hosts_dir: Some(folder.path().to_owned()),
            allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
            observer: Some(Arc::new(move |exchange: &Exchange| told.lock().unwrap().push(exchange.clone()))),
            ..Settings::default()
        };
        Self { registry: registry::Registry::new(settings).unwrap(), exchanges, folder }
    }

    async fn resolve(
        &self,
        image: &str,
        credentials: &[Credentials],
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        let access: Access = credentials.to_vec().into();
        let deadline = Instant::now() + Duration::from_secs(10);
        let reference = image.parse().unwrap();
        self.registry.resolve(&reference, &PlatformFilter::default(), &access, deadline).await
    }

    fn statuses(&self) -> Vec<u16> {
        self.exchanges.lock().unwrap().iter().filter_map(|exchange| exchange.status).collect()
    }
}

fn alice() -> Vec<Credentials> {
    vec![Credentials::Basic { username: USER.to_owned(), password: PASSWORD.to_owned() }]
}

/// An index of two platforms at `demo/multi:1` and an image at `demo/app:1`.
async fn push(registry: &Registry) -> [Pushed; 2] {
    let image =
        |platform| Image::oci(platform, &json!({ "User": "1000", "Labels": { "platform": platform } }));
    let entries = ["linux/amd64", "linux/arm64"].map(|platform| Entry::Image(image(platform)));
    let index = Index::oci(entries);
    [index.push(registry, "demo/multi:1").await, image("linux/amd64").push(registry, "demo/app:1").await]
}

/// That both images are found below `host`, with their configs byte for byte.
async fn assert_found(client: &Client, host: &str, pushed: &[Pushed; 2], credentials: &[Credentials]) {
    for (name, pushed) in ["demo/multi:1", "demo/app:1"].iter().zip(pushed) {
        let image = client.resolve(&format!("{host}/{name}"), credentials).await;
        let image = image.unwrap_or_else(|failed| panic!("{name}: {failed}"));
        assert_eq!(image.digest.to_string(), pushed.digest, "{name}");
        let found: Vec<_> =
            image.platforms.iter().map(|one| one.raw_config.as_ref().unwrap().to_vec()).collect();
        let expected: Vec<_> = pushed.configs.iter().map(|(_, config)| config.clone()).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn a_registry_that_wants_a_client_certificate() {
    let behind = Registry::plain().await;
    let pushed = push(&behind).await;
    let registry = Registry::facing(&behind, &["tls", "clients"]).await;
    let authority = registry.authority().unwrap();
    let leaf = authority.client("hullmark", "webhooks");
    let ca = authority.pem();
    let files = [("ca.crt", &*ca), ("client.crt", &*leaf.certificate), ("client.key", &*leaf.key)];
    let host = registry.host();
    let toml = "ca = 'ca.crt'\nclient = [['client.crt', 'client.key']]".to_owned();
    assert_found(&Client::new(&[(&host, toml)], &files), &host, &pushed, &[]).await;

    let without = Client::new(&[(&host, "ca = 'ca.crt'".to_owned())], &files);
    let failed = without.resolve(&format!("{host}/demo/app:1"), &[]).await.unwrap_err();
    // The alert is a race: the server closes right after it, and the end may be seen first.
    let told = match failed.kind {
        UnresolvedKind::Tls => "it may want another client certificate",
        _ => "broke the ",
    };
    assert!(failed.detail.contains(told), "{failed}");
}

#[tokio::test]
async fn a_mirror_with_fallback() {
    let (mirror, upstream) = (Registry::plain().await, Registry::basic().await);
    let at_upstream = push(&upstream).await;
    let toml = |mirror: &str| {
        format!(
            "server = 'http://{}'\n[host.'http://{mirror}']\ncapabilities = ['pull', 'resolve']",
            upstream.host()
        )
    };
    let client = Client::new(&[("registry.test", toml(&mirror.host()))], &[]);
    mirror.new_requests().await;
    upstream.new_requests().await;
    assert_found(&client, "registry.test", &at_upstream, &alice()).await;
    let missed = mirror.new_requests().await;
    assert!(missed.iter().all(|request| request.ends_with(" 404")) && missed.len() == 2, "{missed:?}");

    push(&mirror).await;
    mirror.new_requests().await;
    upstream.new_requests().await;
    let fresh = Client::new(&[("registry.test", toml(&mirror.host()))], &[]);
    assert_found(&fresh, "registry.test", &at_upstream, &[]).await;
    assert_eq!(mirror.new_requests().await.len(), 5 + 2);
    assert_eq!(upstream.new_requests().await, Vec::<String>::new());

    let gone = mirror.host();
    drop(mirror);
    let orphan = Client::new(&[("registry.test", toml(&gone))], &[]);
    assert_found(&orphan, "registry.test", &at_upstream, &alice()).await;
}

#[tokio::test]
async fn a_pull_through_cache() {
    let upstream = Registry::token().await;
    let pushed = push(&upstream).await;
    let cache = Registry::caching(&upstream).await;
    let toml = format!("server = 'http://{}'\n[host.'http://{}']", upstream.host(), cache.host());
    let client = Client::new(&[("registry.test", toml.clone())], &[]);
    upstream.new_requests().await;
    assert_found(&client, "registry.test", &pushed, &[]).await;
    assert!(!upstream.new_requests().await.is_empty(), "the cache asks with its own credentials");
    let later = Client::new(&[("registry.test", toml)], &[]);
    assert_found(&later, "registry.test", &pushed, &[]).await;
    let again = upstream.new_requests().await;
    assert!(
        again.iter().all(|request| !(request.starts_with("GET ") && request.contains("/manifests/"))),
        "{again:?}"
    );
}

/// `listen` for TLS with HTTP/2, and the files that it needs.
fn tls(authority: &Authority) -> (&'static str, [(&'static str, Vec<u8>); 2]) {
    let leaf = authority.leaf();
    let listen = "listen 127.0.0.1:PORT0 ssl http2; ssl_certificate tls.crt; ssl_certificate_key tls.key;";
    (listen, [("tls.crt", leaf.certificate.into_bytes()), ("tls.key", leaf.key.into_bytes())])
}

fn borrowed<'a>(files: &'a [(&'a str, Vec<u8>)]) -> Vec<(&'a str, &'a [u8])> {
    files.iter().map(|(name, content)| (*name, content.as_slice())).collect()
}

#[tokio::test]
async fn nginx_with_a_path_prefix() {
    let (registry, authority) = (Registry::basic().await, Authority::new());
    let pushed = push(&registry).await;
    let (listen, files) = tls(&authority);
    let upstream = registry.host();
    let servers = format!(
        "server {{ {listen} location /api/docker/remote/v2/ {{ proxy_pass http://{upstream}/v2/; }} }}"
    );
    let nginx = Nginx::start(&servers, &borrowed(&files)).await;
    let toml = format!(
        "server = 'https://{}/api/docker/remote/v2'\noverride_path = true\nca = 'ca.crt'",
        nginx.host(0)
    );
    let client = Client::new(&[("registry.test", toml)], &[("ca.crt", &authority.pem())]);
    assert_found(&client, "registry.test", &pushed, &alice()).await;
    assert!(nginx.log().contains("GET /api/docker/remote/v2/demo/app/manifests/1?ns=registry.test HTTP/2.0"));

    let inspected = Hullmark::new()
        .env("HULLMARK_HOSTS_DIR", client.folder.path())
        .allowing_loopback()
        .docker_config(&json!({ "auths": { "registry.test": { "username": USER, "password": PASSWORD } } }))
        .run(["inspect", "registry.test/demo/app:1", "-o", "json"])
        .await
        .succeeded();
    assert_eq!(inspected.json()["digest"], *pushed[1].digest, "{}", inspected.text());
}

#[tokio::test]
async fn nginx_sends_blobs_to_a_store_that_refuses_authorization() {
    let (registry, authority) = (Registry::basic().await, Authority::new());
    let pushed = push(&registry).await;
    let open = Registry::facing(&registry, &[]).await;
    let (listen, files) = tls(&authority);
    let store = listen.replace("PORT0", "PORT1");
    let (upstream, blobs) = (registry.host(), open.host());
    let servers = format!(
        "log_format with_auth '$server_port $status [$http_authorization]'; access_log access.log with_auth;
         server {{ {listen} location ~ /blobs/ {{ return 307 https://localhost:PORT1$request_uri?X-Amz-Signature=x; }}
                   location / {{ proxy_pass http://{upstream}; }} }}
         server {{ {store} if ($http_authorization != '') {{ return 400; }}
                   location / {{ proxy_pass http://{blobs}; }} }}"
    );
    let nginx = Nginx::start(&servers, &borrowed(&files)).await;
    let host = nginx.host(0);
    let client = Client::new(&[(&host, "ca = 'ca.crt'".to_owned())], &[("ca.crt", &authority.pem())]);
    assert_found(&client, &host, &pushed, &alice()).await;
    let port = nginx.host(1).split_off("127.0.0.1:".len());
    let log = nginx.log();
    let at_store: Vec<_> = log.lines().filter(|line| line.starts_with(&port)).collect();
    assert_eq!(at_store.len(), 3, "{log}");
    assert!(at_store.iter().all(|line| line.ends_with(" 200 [-]")), "{log}");
}

#[tokio::test]
async fn nginx_that_compresses() {
    let registry = Registry::plain().await;
    let pushed = push(&registry).await;
    let upstream = registry.host();
    let gzip = |plain: &[u8]| {
        let mut bytes = Vec::new();
        GzEncoder::new(plain, Compression::default()).read_to_end(&mut bytes).unwrap();
        bytes
    };
    let read = |digest: &str| fs::read(registry.blob_file(digest)).unwrap();
    let manifest = gzip(&read(&pushed[1].digest));
    let config = gzip(&read(&pushed[1].config_digest));
    let files = [("manifest.gz", manifest), ("config.gz", config)];
    // The first server compresses for those who take it, the second whatever it is asked.
    let servers = format!(
        "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
         server {{ listen 127.0.0.1:PORT0; location / {{ proxy_pass http://{upstream}; }} }}
         server {{ listen 127.0.0.1:PORT1; root .; types {{ }}
           location ~ /manifests/ {{ default_type application/vnd.oci.image.manifest.v1+json;
             add_header Content-Encoding gzip always; try_files /manifest.gz =404; }}
           location ~ /blobs/ {{ add_header Content-Encoding gzip always; try_files /config.gz =404; }} }}"
    );
    let nginx = Nginx::start(&servers, &borrowed(&files)).await;
    let asked_not_to = nginx.host(0);
    let client = Client::new(&[(&asked_not_to, format!("server = 'http://{asked_not_to}'"))], &[]);
    assert_found(&client, &asked_not_to, &pushed, &[]).await;
    let always = nginx.host(1);
    let client = Client::new(&[(&always, format!("server = 'http://{always}'"))], &[]);
    let image = client.resolve(&format!("{always}/demo/app:1"), &[]).await.unwrap();
    assert_eq!(image.digest.to_string(), pushed[1].digest);
    assert_eq!(image.platforms[0].raw_config.as_ref().unwrap().to_vec(), pushed[1].configs[0].1);
}

#[tokio::test]
async fn nginx_that_limits_the_rate() {
    let registry = Registry::plain().await;
    let pushed = push(&registry).await;
    let upstream = registry.host();
    let servers = format!(
        "limit_req_zone $server_port zone=one:1m rate=2r/s; limit_req_status 429;
         server {{ listen 127.0.0.1:PORT0; limit_req zone=one burst=2 nodelay;
           error_page 429 @limited; location @limited {{ add_header Retry-After 1 always; return 429; }}
           location / {{ proxy_pass http://{upstream}; }} }}"
    );
    let nginx = Nginx::start(&servers, &[]).await;
    let host = nginx.host(0);
    let client = Client::new(&[(&host, format!("server = 'http://{host}'"))], &[]);
    let image = client.resolve(&format!("{host}/demo/multi:1"), &[]).await.unwrap();
    assert_eq!(image.digest.to_string(), pushed[0].digest);
    assert!(client.statuses().contains(&429), "{:?}", client.statuses());
}

#[tokio::test]
async fn nginx_that_ends_connections() {
    let (registry, authority) = (Registry::plain().await, Authority::new());
    let image = Image::oci("linux/amd64", &json!({ "User": "1000" }));
    for nth in 0..40 {
        image.push(&registry, &format!("demo/app{nth}:1")).await;
    }
    let (listen, files) = tls(&authority);
    let upstream = registry.host();
    // Over HTTP/2 nginx says GOAWAY after so many requests.
    let servers =
        format!("keepalive_requests 3; server {{ {listen} location / {{ proxy_pass http://{upstream}; }} }}");
    let nginx = Nginx::start(&servers, &borrowed(&files)).await;
    let host = nginx.host(0);
    let client = Client::new(&[(&host, "ca = 'ca.crt'".to_owned())], &[("ca.crt", &authority.pem())]);
    for batch in 0..4 {
        let images = (0..10).map(|nth| format!("{host}/demo/app{}:1", 10 * batch + nth));
        let found =
            join_all(images.map(|image| async { client.resolve(&{ image }, &[]).await.map(drop) })).await;
        assert!(found.iter().all(Result::is_ok), "{found:?}");
    }
    assert!(nginx.log().contains("HTTP/2.0"));
}

#[tokio::test]
async fn another_kind_of_registry() {
    let ferro = Registry::ferro().await;
    let pushed = push(&ferro).await;
    let host = ferro.host();
    let client = Client::new(&[(&host, format!("server = 'http://{host}'"))], &[]);
    assert_found(&client, &host, &pushed, &[]).await;
    let by_digest = format!("{host}/demo/multi@{}", pushed[0].digest);
    assert_eq!(client.resolve(&by_digest, &[]).await.unwrap().platforms.len(), 2);
    let list = Index::docker(vec![Entry::Image(Image::docker("linux/arm/v7", &json!({ "User": "7" })))]);
    let list = list.push(&ferro, "demo/list:1").await;
    assert_eq!(
        client.resolve(&format!("{host}/demo/list:1"), &[]).await.unwrap().digest.to_string(),
        list.digest
    );
    for missing in ["demo/app:2", "demo/none:1"] {
        let failed = client.resolve(&format!("{host}/{missing}"), &[]).await.unwrap_err();
        assert_eq!(failed.kind, UnresolvedKind::NotFound, "{missing}: {failed}");
    }
    assert!(Path::new(&client.folder.path().join(&host)).exists());
}
