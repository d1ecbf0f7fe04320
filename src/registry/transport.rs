//! One exchange with one host: connections, redirects, limits, time.
//!
//! In go a request and its deadline, out comes the whole answer, whatever its status, tried again where that
//! may help (`weather`). Redirects are
//! followed here and not by the HTTP client, because each hop is checked: no https to http, no
//! refused address, no credentials to another host. Each hop is told to the observer.

use super::{
    Exchange, Observer, Purpose, Settings, SettingsError,
    address::AddressGuard,
    error::{deadline as deadline_passed, failure, from_transport, retry_after},
    hosts::{Endpoint, Hosts, TlsProfile, authority, same_origin},
    pools::Pools,
    redirect,
    weather::{Outcome, Weather},
};
use crate::image::{Unresolved, UnresolvedKind};
use reqwest::{
    Method, Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
        HeaderValue,
    },
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

/// What is read of an answer that is no success.
const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// A request.
pub(super) struct Outgoing<'a> {
    pub(super) purpose: Purpose,
    pub(super) url: Url,
    /// `Accept`, for manifests.
    pub(super) accept: Option<&'static str>,
    /// `Authorization`, for the host of `url` alone.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) payload: Payload,
    /// The registry on whose behalf this is sent.
    pub(super) via: &'a Endpoint,
    /// Most bytes that a successful answer may have.
    pub(super) limit: usize,
    /// Most redirects that are followed.
    pub(super) redirects: usize,
    pub(super) deadline: Instant,
}

/// What is sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Payload {
    Get,
    /// Headers alone are wanted.
    Head,
    /// A POST of a form, which holds a secret.
    Form(String),
}

impl Payload {
    fn method(&self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Form(_) => Method::POST,
        }
    }

    /// As it is shown.
    fn name(&self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Form(_) => "POST",
        }
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Form(_))
    }
}

/// An answer, read to its end.
pub(super) struct Incoming {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body; of an answer that is no success, its first part.
    pub(super) body: Vec<u8>,
    /// Host and port that answered.
    pub(super) host: String,
    /// Whether a redirect led to another host than the one that was asked.
    pub(super) crossed: bool,
}

/// The way to the hosts.
pub(super) struct Transport {
    hosts: RwLock<Arc<Hosts>>,
    folder: Option<PathBuf>,
    texts: BTreeMap<String, String>,
    weather: Weather,
    guard: AddressGuard,
    observer: Option<Observer>,
    pools: Pools,
}

impl Transport {
    /// # Errors
    /// [`SettingsError`] if a `hosts.toml` cannot be read, or a certificate of it cannot be a root.
    pub(super) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let guard = AddressGuard::new(settings.allow_addresses);
        let transport = Self {
            hosts: RwLock::default(),
            folder: settings.hosts_dir,
            texts: settings.hosts,
            weather: Weather::new(),
            pools: Pools::new(guard.clone(), settings.connect_timeout, settings.idle_timeout),
            guard,
            observer: settings.observer,
        };
        transport.reload()?;
        Ok(transport)
    }

    /// Reads the hosts folder again; whether something has changed. What cannot be used changes nothing.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn reload(&self) -> Result<bool, SettingsError> {
        let hosts = Hosts::of(self.folder.as_deref(), &self.texts)?;
        if hosts == *self.hosts() {
            return Ok(false);
        }
        for (profile, file) in hosts.profiles().filter(|(tls, _)| !tls.roots.is_empty()) {
            let said = |e| SettingsError(format!("{}: {e}", file.display()));
            self.pools.client(profile).map_err(said)?;
        }
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hosts);
        // Connections to what is no longer so are let go; the others are made anew.
        self.pools.clear();
        Ok(true)
    }

    /// The settings of all hosts, as they are now.
    pub(super) fn hosts(&self) -> Arc<Hosts> {
        Arc::clone(&self.hosts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a request, follows redirects and reads the answer.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Incoming, Unresolved> {
        let (mut url, mut authorization) = (outgoing.url.clone(), outgoing.authorization.clone());
        let (mut hops, mut crossed) = (0, false);
        loop {
            let host = authority(&url);
            crossed |= !same_origin(&outgoing.url, &url);
            if crossed {
                authorization = None;
            }
            self.guard
                .check_url(&url)
                .map_err(|e| failure(UnresolvedKind::AddressRefused, &host, e.to_string()))?;
            let Answer { status, headers, body } =
                self.hop(&outgoing, &url, &host, authorization.as_ref()).await?;
            let Some(next) = redirect::target(status, &headers, &url, &host)? else {
                return Ok(Incoming { status, headers, body, host, crossed });
            };
            redirect::check(&outgoing, hops, &url, &next)?;
            hops += 1;
            url = next;
        }
    }

    /// One hop, tried again where that may help. A body that is a secret (a form) is sent once.
    async fn hop(
        &self,
        outgoing: &Outgoing<'_>,
        url: &Url,
        host: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Unresolved> {
        let mut nth = 0;
        loop {
            let request = self.request(outgoing, url, authorization)?;
            let pass = self.weather.enter(host, outgoing.deadline).await?;
            let started = Instant::now();
            let result = self.once(outgoing, request, url, host).await;
            let outcome = outcome(&result);
            let wait = pass.tell(&outcome, nth, started.elapsed(), outgoing.deadline);
            let Some(wait) = wait.filter(|_| !outgoing.payload.is_secret()) else { return result };
            sleep(wait).await;
            nth += 1;
        }
    }

    /// One exchange, told to the observer.
    async fn once(
        &self,
        outgoing: &Outgoing<'_>,
        request: reqwest::RequestBuilder,
        url: &Url,
        host: &str,
    ) -> Result<Answer, Unresolved> {
        let mut told = Exchange {
            purpose: outgoing.purpose,
            method: outgoing.payload.name(),
            url: shown(url),
            status: None,
            bytes: 0,
            elapsed: Duration::ZERO,
        };
        let started = Instant::now();
        let exchange = self.exchange(request, host, outgoing.limit, &mut told);
        let result = timeout_at(outgoing.deadline, exchange).await;
        told.elapsed = started.elapsed();
        if let Some(observer) = &self.observer {
            observer(&told);
        }
        result.unwrap_or_else(|_| Err(deadline_passed(host)))
    }

    fn request(
        &self,
        outgoing: &Outgoing<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::RequestBuilder, Unresolved> {
        // Plain http needs no roots, so a machine without any can still use it.
        let profile = match url.scheme() {
            "http" => TlsProfile { skip_verify: true, ..TlsProfile::default() },
            _ => self.hosts().profile(url, outgoing.via),
        };
        let client = self.pools.client(&profile).map_err(|e| {
            let detail = format!(
                "no certificate can be checked: {e}; install the system's CA certificates or name some as `ca` in a \
                 hosts.toml"
            );
            failure(UnresolvedKind::Misconfigured, &authority(url), detail)
        })?;
        let mut request =
            client.request(outgoing.payload.method(), url.clone()).header(ACCEPT_ENCODING, "identity");
        if let Some(accept) = outgoing.accept {
            request = request.header(ACCEPT, accept);
        }
        if same_origin(url, &outgoing.via.base) {
            let own = |name: &HeaderName| *name == AUTHORIZATION && authorization.is_some();
            for (name, value) in outgoing.via.headers.iter().filter(|(name, _)| !own(name)) {
                request = request.header(name, value);
            }
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Payload::Form(form) = &outgoing.payload {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        }
        Ok(request)
    }

    async fn exchange(
        &self,
        request: reqwest::RequestBuilder,
        host: &str,
        limit: usize,
        told: &mut Exchange,
    ) -> Result<Answer, Unresolved> {
        let response = request.send().await.map_err(|e| from_transport(host, &e))?;
        let status = response.status();
        told.status = Some(status.as_u16());
        let headers = response.headers().clone();
        let encoded =
            headers.get(CONTENT_ENCODING).filter(|e| !e.as_bytes().eq_ignore_ascii_case(b"identity"));
        if status.is_success() && encoded.is_some() {
            let detail =
                format!("{host} compressed its answer (Content-Encoding), although it was asked not to");
            return Err(failure(UnresolvedKind::ServerError, host, detail));
        }
        let body = read(response, host, limit, &mut told.bytes).await?;
        Ok(Answer { status, headers, body })
    }
}

/// One host's answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What a result says of the host.
fn outcome(result: &Result<Answer, Unresolved>) -> Outcome {
    match result {
        Ok(answer) => match answer.status.as_u16() {
            429 => Outcome::Paused(429, pause(&answer.headers)),
            503 if pause(&answer.headers).is_some() => Outcome::Paused(503, pause(&answer.headers)),
            408 | 425 | 500..=599 => Outcome::Overloaded,
            _ => Outcome::Answered,
        },
        Err(why) => match why.kind {
            UnresolvedKind::Unreachable => Outcome::Broken(why.detail.clone(), true),
            UnresolvedKind::Timeout | UnresolvedKind::Tls => Outcome::Broken(why.detail.clone(), false),
            // It answers, if not what it should.
            _ => Outcome::Answered,
        },
    }
}

fn pause(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers).map(|seconds| Duration::from_secs(seconds.into()))
}

/// Reads a body. A success beyond the limit is an error, any other answer is cut.
async fn read(
    mut response: Response,
    host: &str,
    limit: usize,
    bytes: &mut u64,
) -> Result<Vec<u8>, Unresolved> {
    let success = response.status().is_success();
    let limit = if success { limit } else { ERROR_BODY_LIMIT };
    let too_large = || {
        let detail = format!("{host} sent more than the {limit} bytes that were expected at most");
        failure(UnresolvedKind::TooLarge, host, detail)
    };
    if success && response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| from_transport(host, &e))? {
        *bytes += chunk.len() as u64;
        let room = limit - body.len();
        if chunk.len() > room {
            if success {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk[..room]);
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A URL that may be printed: signatures and the like in its query are masked, and so is a user.
pub(super) fn shown(url: &Url) -> String {
    const PLAIN: [&str; 3] = ["service", "scope", "ns"];
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    if url.query().is_some() {
        let query = url.query_pairs().map(|(name, value)| {
            if PLAIN.contains(&name.as_ref()) { format!("{name}={value}") } else { format!("{name}=***") }
        });
        shown.set_query(Some(&query.collect::<Vec<_>>().join("&")));
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn urls_are_shown_without_secrets() {
        let rows = [
            ("plain", "https://reg.io/v2/a/manifests/1", "https://reg.io/v2/a/manifests/1"),
            (
                "token",
                "https://auth.io/t?service=reg.io&scope=repository%3Aa%3Apull&account=me",
                "https://auth.io/t?service=reg.io&scope=repository:a:pull&account=***",
            ),
            (
                "presigned",
                "https://cdn.io/b?X-Amz-Signature=abc&sig=1",
                "https://cdn.io/b?X-Amz-Signature=***&sig=***",
            ),
            ("user", "https://u:pw@cdn.io/b#f", "https://cdn.io/b"),
            ("forged name", "https://cdn.io/b?a%0Ab=c", "https://cdn.io/b?ab=***"),
        ];
        for (name, url, expected) in rows {
            assert_eq!(shown(&url.parse().expect("a URL")), expected, "{name}");
        }
    }
}
