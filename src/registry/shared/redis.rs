//! Redis or Valkey: one server, the master that Sentinels name, or a cluster.

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, RedisResult, TlsCertificates,
    TlsMode,
    aio::MultiplexedConnection,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use std::time::Duration;
use tokio::sync::Mutex;
use url::Url;

/// How long making a connection may take; nobody waits for it.
const CONNECT: Duration = Duration::from_secs(2);
/// How long the connection waits for an answer before it is given up; who asks has given up long before.
const RESPONSE: Duration = Duration::from_secs(1);

/// How connections are made.
pub(super) enum Target {
    One(Client),
    Sentinels(Mutex<SentinelClient>),
    Cluster(ClusterClient),
}

/// A connection; cheap to clone, shared by all.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A URL, taken apart: the `url` crate does not know several hosts.
struct Parts {
    tls: bool,
    kind: Kind,
    /// Host and port.
    hosts: Vec<(String, u16)>,
    username: Option<String>,
    password: Option<String>,
    path: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    Sentinels,
    Cluster,
}

impl Target {
    /// Reads `redis://[user[:password]@]host[:port][/database]`, the same with `rediss://` for TLS,
    /// `redis-cluster://` (and `rediss-…`) with several hosts, and `redis-sentinel://` with the name of the master as
    /// its path, a database after it. `roots`: PEM, instead of the system's.
    ///
    /// # Errors
    /// What is wrong with it; never the URL itself, which may hold a password.
    pub(super) fn new(url: &str, roots: Option<&[u8]>) -> Result<Self, String> {
        // The process's provider, as for registries.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parts = Parts::read(url)?;
        let certificates = || TlsCertificates { client_tls: None, root_cert: roots.map(<[u8]>::to_vec) };
        let made = match parts.kind {
            Kind::One => parts.one(certificates()).map(Self::One),
            Kind::Sentinels => parts.sentinels(certificates()).map(Self::Sentinels),
            Kind::Cluster => parts.cluster(certificates()).map(Self::Cluster),
        };
        made.map_err(|error| match error.detail() {
            Some(detail) => detail.to_owned(),
            None => error.kind_text(),
        })
    }

    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE));
        Ok(match self {
            Self::One(client) => {
                Connection::One(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Self::Sentinels(client) => {
                Connection::One(client.lock().await.get_async_connection_with_config(&config).await?)
            }
            Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }
}

impl Connection {
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

impl Parts {
    fn read(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme; write redis://host:6379")?;
        let (tls, kind) = match scheme {
            "redis" | "valkey" => (false, Kind::One),
            "rediss" | "valkeys" => (true, Kind::One),
            "redis-sentinel" => (false, Kind::Sentinels),
            "rediss-sentinel" => (true, Kind::Sentinels),
            "redis-cluster" => (false, Kind::Cluster),
            "rediss-cluster" => (true, Kind::Cluster),
            other => {
                return Err(format!(
                    "its scheme {other:?} is none of redis, rediss (with TLS), redis-sentinel, rediss-sentinel, \
                     redis-cluster and rediss-cluster"
                ));
            }
        };
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = place.rsplit_once('@').unwrap_or(("", place));
        let port = if kind == Kind::Sentinels { 26379 } else { 6379 };
        let hosts = hosts.split(',').map(|host| address(host, port)).collect::<Result<Vec<_>, _>>()?;
        if kind == Kind::One && hosts.len() > 1 {
            return Err("it names several hosts; write redis-cluster:// or redis-sentinel://".to_owned());
        }
        let (username, password) = user.split_once(':').unwrap_or((user, ""));
        let decoded = |text: &str| (!text.is_empty()).then(|| decode(text));
        let (username, password) = (decoded(username), decoded(password));
        Ok(Self { tls, kind, hosts, username, password, path: path.to_owned() })
    }

    fn one(&self, certificates: TlsCertificates) -> RedisResult<Client> {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let (host, port) = &self.hosts[0];
        let host = bracketed(host);
        let mut url = Url::parse(&format!("{scheme}://{host}:{port}/{}", self.path))
            .map_err(|error| (::redis::ErrorKind::InvalidClientConfig, "no URL", error.to_string()))?;
        // `redis` is no scheme that cannot have them.
        let _ = url.set_username(self.username.as_deref().unwrap_or_default());
        let _ = url.set_password(self.password.as_deref());
        if self.tls { Client::build_with_tls(url, certificates) } else { Client::open(url) }
    }

    fn sentinels(&self, certificates: TlsCertificates) -> RedisResult<Mutex<SentinelClient>> {
        let (service, database) = self.path.split_once('/').unwrap_or((&self.path, ""));
        if service.is_empty() {
            let what = "the name of the master is missing; write redis-sentinel://host:26379/mymaster";
            return Err((::redis::ErrorKind::InvalidClientConfig, "no master", what.to_owned()).into());
        }
        let addresses = self.hosts.iter().cloned().map(|(host, port)| {
            if self.tls {
                ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            } else {
                ConnectionAddr::Tcp(host, port)
            }
        });
        let mut builder = SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)?;
        if self.tls {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
        if let Ok(database) = database.parse() {
            builder = builder.set_client_to_redis_db(database);
        }
        if let Some(username) = &self.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_redis_password(password);
        }
        builder.build().map(Mutex::new)
    }

    fn cluster(&self, certificates: TlsCertificates) -> RedisResult<ClusterClient> {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let nodes = self.hosts.iter().map(|(host, port)| {
            let host = bracketed(host);
            format!("{scheme}://{host}:{port}")
        });
        let mut builder =
            ClusterClient::builder(nodes).connection_timeout(CONNECT).response_timeout(RESPONSE).retries(1);
        if self.tls {
            builder = builder.tls(TlsMode::Secure).certs(certificates);
        }
        if let Some(username) = &self.username {
            builder = builder.username(username);
        }
        if let Some(password) = &self.password {
            builder = builder.password(password);
        }
        builder.build()
    }
}

/// `host`, `host:port`, `[address]`, `[address]:port`.
fn address(text: &str, usual: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err("it names no host; write redis://host:6379".to_owned());
    }
    let port = port.map_or(Ok(usual), |port| port.parse().map_err(|_| format!("{port:?} is no port")))?;
    Ok((host.to_owned(), port))
}

/// A host as URLs have it: an address of IPv6 in brackets.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> String {
    let escaped = text.replace('+', "%2B");
    let pair = url::form_urlencoded::parse(escaped.as_bytes()).next();
    pair.map_or_else(String::new, |(name, _)| name.into_owned())
}

/// The kind of an error as a text of its own: the whole would name the URL.
trait KindText {
    fn kind_text(&self) -> String;
}

impl KindText for ::redis::RedisError {
    fn kind_text(&self) -> String {
        format!("it cannot be used ({:?})", self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused_without_their_password() {
        let good = [
            "redis://cache",
            "redis://cache:6380/2",
            "rediss://user:p%40ss@cache:6380",
            "redis://:secret@[::1]:6379/0",
            "valkey://cache",
            "redis-cluster://u:secret@a:1,b:2,c",
            "rediss-sentinel://:secret@a,b:26380/mymaster/3",
        ];
        for url in good {
            assert!(Target::new(url, None).is_ok(), "{url}: {:?}", Target::new(url, None).err());
        }
        let bad = [
            ("cache:6379", "no scheme"),
            ("http://cache", "\"http\" is none of redis"),
            ("redis://u:secret@", "no host"),
            ("redis://u:secret@cache:port", "\"port\" is no port"),
            ("redis://u:secret@a,b", "redis-cluster://"),
            ("redis-sentinel://:secret@a", "mymaster"),
        ];
        for (url, expected) in bad {
            let refused = Target::new(url, None).err().expect(url);
            assert!(refused.contains(expected) && !refused.contains("secret"), "{url}: {refused}");
        }
    }

    #[test]
    fn percent_encoding_is_undone() {
        let parts = Parts::read("redis://a%2Bb:p%40s+s%3A@h").expect("a URL");
        assert_eq!((parts.username.as_deref(), parts.password.as_deref()), (Some("a+b"), Some("p@s+s:")));
    }
}
