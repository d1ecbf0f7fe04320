//! One exchange with one host: connections, redirects, limits, time.
//!
//! In go a request and its deadline, out comes the whole answer, whatever its status, tried again where that
//! may help (`weather`). Redirects are followed here and not by the HTTP client, because each hop is checked: no
//! https to http, no refused address, no credentials to another host, none to a proxy that could read them.
//! Each hop is told to the observer.

use super::{
    Settings, SettingsError,
    address::AddressGuard,
    answer::{self, Answer, Failed},
    error::{deadline as deadline_passed, failure, from_transport, is_unasked},
    hosts::{ConnectionProfile, Endpoint, Hosts, authority, same_origin},
    observe::{Exchange, Observer, Purpose, shown},
    pools::Pools,
    proxy::Proxies,
    redirect,
    weather::{Outcome, Repeats, Weather},
};
use crate::image::{Unresolved, UnresolvedKind};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;
use url::Url;

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
    proxies: Proxies,
    observer: Option<Observer>,
    pools: Pools,
}

impl Transport {
    /// # Errors
    /// [`SettingsError`] if a `hosts.toml` cannot be read, or a certificate of it cannot be a root.
    pub(super) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let proxies = Proxies::new(&settings.proxies)?;
        let trusted = proxies.hosts().collect();
        let guard = AddressGuard::new(settings.allow_addresses, settings.refuse_addresses, trusted);
        let (connect, idle) = (settings.connect_timeout, settings.idle_timeout);
        let transport = Self {
            hosts: RwLock::default(),
            folder: settings.hosts_dir,
            texts: settings.hosts,
            weather: Weather::new(),
            pools: Pools::new(guard.clone(), proxies.clone(), connect, idle),
            guard,
            proxies,
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
        self.weather.forget();
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
            self.check(&outgoing, &url, &host, authorization.as_ref()).await?;
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

    /// Whether `url` may be asked like this at all.
    async fn check(
        &self,
        outgoing: &Outgoing<'_>,
        url: &Url,
        host: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<(), Unresolved> {
        let proxy = self.proxies.of(url);
        let mut checked = self.guard.check_url(url);
        if proxy.is_some() && checked.is_ok() {
            checked = self.guard.check_name(url).await;
        }
        checked.map_err(|refused| failure(UnresolvedKind::AddressRefused, host, refused.to_string()))?;
        let own = same_origin(url, &outgoing.via.base) && !outgoing.via.headers.is_empty();
        let is_secret = authorization.is_some() || outgoing.payload.is_secret() || own;
        if let Some(proxy) = proxy.filter(|_| is_secret && url.scheme() == "http") {
            let detail = format!(
                "{host} is reached over plain http through the proxy {}, which could read the credentials; add \
                 {host} to NO_PROXY, or use https",
                authority(proxy)
            );
            return Err(failure(UnresolvedKind::Misconfigured, host, detail));
        }
        Ok(())
    }

    /// One hop, tried again where that may help. A body that is a secret (a form) is read once at most: it goes to another
    /// connection only where none came to it.
    async fn hop(
        &self,
        outgoing: &Outgoing<'_>,
        url: &Url,
        host: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Unresolved> {
        let (profile, limits) = self.hosts().manners(url, outgoing.via);
        let mut repeats = Repeats::default();
        let mut nth = 0;
        loop {
            let request = self.request(outgoing, url, &profile, authorization)?;
            let pass = self.weather.enter(host, limits, outgoing.deadline).await?;
            let started = Instant::now();
            let result = self.once(outgoing, request, url, host, nth).await;
            let outcome = answer::outcome(&result);
            let wait = pass.tell(&outcome, &mut repeats, started.elapsed(), outgoing.deadline);
            let may_repeat = !outgoing.payload.is_secret() || outcome == Outcome::Unasked;
            let Some(wait) = wait.filter(|_| may_repeat) else {
                return result.map_err(|failed| failed.why);
            };
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
        nth: usize,
    ) -> Result<Answer, Failed> {
        let mut told = Exchange {
            purpose: outgoing.purpose,
            method: outgoing.payload.name(),
            host: host.to_owned(),
            url: shown(url),
            status: None,
            bytes: 0,
            rate_limit: None,
            warning: None,
            elapsed: Duration::ZERO,
        };
        let started = Instant::now();
        let span = told.span(url, nth);
        let exchange = self.exchange(request, host, outgoing.limit, &mut told).instrument(span.clone());
        let result = timeout_at(outgoing.deadline, exchange).await;
        told.elapsed = started.elapsed();
        told.end(&span);
        if let Some(observer) = &self.observer {
            observer(&told);
        }
        let result = result.unwrap_or_else(|_| Err(deadline_passed(host).into()));
        result.map_err(|mut failed| {
            if let Some(proxy) = self.proxies.of(url) {
                failed.why.detail.push_str(" (through the proxy ");
                failed.why.detail.push_str(&authority(proxy));
                failed.why.detail.push(')');
            }
            failed
        })
    }

    fn request(
        &self,
        outgoing: &Outgoing<'_>,
        url: &Url,
        profile: &ConnectionProfile,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::RequestBuilder, Unresolved> {
        let plain;
        let profile = if url.scheme() == "http" {
            // Plain http needs no roots, so a machine without any can still use it.
            let ConnectionProfile { dial_timeout, idle_timeout, .. } = *profile;
            plain = ConnectionProfile {
                skip_verify: true,
                dial_timeout,
                idle_timeout,
                ..ConnectionProfile::default()
            };
            &plain
        } else {
            profile
        };
        let client = self.pools.client(profile).map_err(|e| {
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
    ) -> Result<Answer, Failed> {
        let sent = request.send().await;
        let response = sent.map_err(|e| Failed { why: from_transport(host, &e), unasked: is_unasked(&e) })?;
        let status = response.status();
        told.status = Some(status.as_u16());
        let headers = response.headers().clone();
        told.rate_limit = answer::rate_limit(&headers);
        let body = answer::read(response, host, limit, &mut told.bytes).await?;
        told.warning = answer::warning(status, &headers, &body);
        Ok(Answer { status, headers, body })
    }
}
