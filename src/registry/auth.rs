//! Authentication: challenges remembered by host, tokens by credentials, realm, service and scope.
//!
//! In goes a request for one repository, out comes the answer to it, authenticated. There is no
//! `/v2/` ping: the real request is sent, and its 401 says what is wanted. Next time that is known,
//! and the token is fetched first. Only `pull` on the repository itself is ever asked for.

use super::{
    Purpose,
    challenge::{self, Bearer, Challenge},
    error::{date, failure, from_answer},
    hosts::authority,
    source::{Source, basic},
    token::{self, Token},
    transport::{Incoming, Outgoing, Payload, Transport},
};
use crate::{
    credential::Credentials,
    flight::Flights,
    image::{Unresolved, UnresolvedKind},
};
use moka::future::Cache;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, timeout_at},
};
use url::{Url, form_urlencoded::Serializer};

/// Most bytes of a token server's answer.
const TOKEN_LIMIT: usize = 64 * 1024;
/// Most redirects of a token request.
const TOKEN_REDIRECTS: usize = 3;
/// How long a host's challenge is remembered.
const CHALLENGE_LIFE: Duration = Duration::from_hours(1);
/// Most challenges and tokens that are remembered.
const REMEMBERED: u64 = 10_000;

/// What a host is known to want.
#[derive(Clone, PartialEq, Eq)]
enum Scheme {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// A token and until when it may be used.
#[derive(Clone)]
struct Held {
    token: Token,
    until: Instant,
}

/// Authenticates requests.
pub(super) struct Authorizer {
    transport: Arc<Transport>,
    schemes: Cache<String, Scheme>,
    tokens: Cache<String, Held>,
    flights: Flights<String, Result<Held, Unresolved>>,
    /// By origin: whether it was ever asked.
    contacts: Cache<String, Arc<Mutex<bool>>>,
}

/// A request for something of a repository, before it is known who asks.
pub(super) struct Asked {
    pub(super) purpose: Purpose,
    pub(super) url: Url,
    pub(super) payload: Payload,
    /// `Accept`, for manifests.
    pub(super) accept: Option<&'static str>,
    /// Most bytes that a successful answer may have.
    pub(super) limit: usize,
    /// Whether an error's text must not depend on the answer's body: HEAD has none, and whether a digest is asked for
    /// by HEAD or by GET must not show to whoever may not read it.
    pub(super) terse: bool,
}

/// What was sent to prove who asks.
struct Proof {
    header: HeaderValue,
    /// The key of a token that was in the cache: if it is refused, a new one may help.
    cached: Option<String>,
}

impl Authorizer {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self {
            transport,
            schemes: Cache::builder().max_capacity(REMEMBERED).time_to_live(CHALLENGE_LIFE).build(),
            tokens: Cache::builder().max_capacity(REMEMBERED).time_to_live(CHALLENGE_LIFE).build(),
            flights: Flights::default(),
            contacts: Cache::builder().max_capacity(REMEMBERED).time_to_live(CHALLENGE_LIFE).build(),
        }
    }

    /// Asks `source` for what is `asked`. Any answer but 401 is given as it is; a 401 that stands is an error.
    pub(super) async fn get(
        self: &Arc<Self>,
        source: &Source,
        asked: &Asked,
        deadline: Instant,
    ) -> Result<Incoming, Unresolved> {
        let (mut learned, mut renewed) = (false, false);
        let mut first = self.first_contact(source, deadline).await;
        loop {
            let proof = self.proof(source, deadline).await?;
            let outgoing = Outgoing {
                purpose: asked.purpose,
                url: asked.url.clone(),
                accept: asked.accept,
                authorization: proof.as_ref().map(|proof| proof.header.clone()),
                payload: asked.payload.clone(),
                via: &source.endpoint,
                limit: asked.limit,
                redirects: 5,
                deadline,
            };
            let mut answer = self.transport.send(outgoing).await?;
            if asked.terse && !answer.crossed && !answer.status.is_success() {
                answer.body.clear();
            }
            // Another host's 401 (a CDN's, say) is no challenge for us: it gets no credentials.
            if answer.status.as_u16() != 401 || answer.crossed {
                return Ok(answer);
            }
            let challenges = self.challenges(source, &answer, deadline).await;
            let Some(scheme) = self.scheme(source, &challenges)? else {
                return Err(unusable(&answer, &challenges));
            };
            let news = self.schemes.get(&source.origin()).await.as_ref() != Some(&scheme);
            self.schemes.insert(source.origin(), scheme).await;
            drop(first.take());
            let refused = challenges.iter().any(
                |c| matches!(c, Challenge::Bearer(Bearer { error: Some(e), .. }) if e == "invalid_token"),
            );
            match proof {
                // Someone else may have learned the scheme while this request was on its way.
                _ if !learned && source.can_answer(&challenges) && (news || proof.is_none()) => {
                    learned = true;
                }
                Some(Proof { cached, .. })
                    if !renewed && (cached.is_some() || refused) && source.registry_token().is_none() =>
                {
                    renewed = true;
                    if let Some(key) = self.token_key(source).await {
                        self.tokens.invalidate(&key).await;
                    }
                }
                _ => {
                    let mut failed = from_answer(&answer, source.tried());
                    if renewed && refused {
                        failed.detail = format!(
                            "{} answered 401 to {} although its token is new: the repository is private, or a clock \
                             is wrong",
                            answer.host,
                            source.tried()
                        );
                    }
                    return Err(failed);
                }
            }
        }
    }

    /// Who asks an origin for the first time asks alone, for as long as this lives: the answer tells all others what
    /// is wanted, and they need not be refused each for themselves.
    async fn first_contact(&self, source: &Source, deadline: Instant) -> Option<OwnedMutexGuard<bool>> {
        let contact = self.contacts.get_with(source.origin(), async { Arc::default() }).await;
        let mut was_asked = timeout_at(deadline, contact.lock_owned()).await.ok()?;
        (!std::mem::replace(&mut *was_asked, true)).then_some(was_asked)
    }

    /// The challenges of a 401; if it has none that can be used, those of `/v2/`.
    async fn challenges(&self, source: &Source, answer: &Incoming, deadline: Instant) -> Vec<Challenge> {
        let of = |answer: &Incoming| {
            challenge::parse(answer.headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes))
        };
        let found = of(answer);
        if challenge::best(&found).is_some() {
            return found;
        }
        let ping = Outgoing {
            purpose: Purpose::Ping,
            url: source.endpoint.base.clone(),
            accept: None,
            authorization: None,
            payload: Payload::Get,
            via: &source.endpoint,
            limit: TOKEN_LIMIT,
            redirects: 0,
            deadline,
        };
        match self.transport.send(ping).await {
            Ok(ping) if ping.status.as_u16() == 401 => {
                let pinged = of(&ping);
                if challenge::best(&pinged).is_some() { pinged } else { found }
            }
            // The 401 stands, whatever became of the ping.
            _ => found,
        }
    }

    /// What the best challenge asks for, its realm checked.
    fn scheme(&self, source: &Source, challenges: &[Challenge]) -> Result<Option<Scheme>, Unresolved> {
        let bearer = match challenge::best(challenges) {
            Some(Challenge::Bearer(bearer)) => bearer,
            Some(Challenge::Basic) => return Ok(Some(Scheme::Basic)),
            Some(Challenge::Unusable(_)) | None => return Ok(None),
        };
        let refuse =
            |kind, what: &str| Err(failure(kind, &source.host(), format!("{} {what}", source.host())));
        let base = &source.endpoint.base;
        let realm = match base.join(&bearer.realm) {
            Ok(realm) if realm.host().is_some() && matches!(realm.scheme(), "http" | "https") => realm,
            _ => return refuse(UnresolvedKind::ServerError, "names a token server that is no URL"),
        };
        if !realm.username().is_empty() || realm.password().is_some() {
            return refuse(UnresolvedKind::ServerError, "names a token server with a user in its URL");
        }
        let plain = realm.scheme() == "http" && base.scheme() == "https";
        if plain && !self.transport.hosts().allows_plain_http(&realm) {
            let host = authority(&realm);
            let what = format!(
                "speaks https, but sends us to a token server over plain http ({host}), which would show the \
                 credentials to all; correct the registry's configuration, or say server = \"http://{host}\" in \
                 {host}'s hosts.toml"
            );
            return refuse(UnresolvedKind::Misconfigured, &what);
        }
        Ok(Some(Scheme::Bearer { realm, service: bearer.service.clone() }))
    }

    /// What to send with a request, as far as it is known what is wanted.
    async fn proof(
        self: &Arc<Self>,
        source: &Source,
        deadline: Instant,
    ) -> Result<Option<Proof>, Unresolved> {
        if let Some(header) = source.registry_token() {
            return Ok(Some(Proof { header, cached: None }));
        }
        match self.schemes.get(&source.origin()).await {
            None => Ok(None),
            Some(Scheme::Basic) => Ok(source.basic().map(|header| Proof { header, cached: None })),
            Some(Scheme::Bearer { realm, service }) => {
                let key = token_key(source, &realm, service.as_deref());
                if let Some(held) = self.tokens.get(&key).await.filter(|held| Instant::now() < held.until) {
                    return Ok(Some(Proof { header: held.token.header, cached: Some(key) }));
                }
                let this = Arc::clone(self);
                let (owned, own_key) = (source.clone(), key.clone());
                let landed = self.flights.join(&key, || async move {
                    let held = this.fetch(&owned, realm, service.as_deref(), deadline).await?;
                    this.tokens.insert(own_key, held.clone()).await;
                    Ok(held)
                });
                match landed.await {
                    Some(held) => Ok(Some(Proof { header: held.value?.token.header, cached: None })),
                    None => {
                        Err(failure(UnresolvedKind::ServerError, &source.host(), "fetching a token failed"))
                    }
                }
            }
        }
    }

    async fn token_key(&self, source: &Source) -> Option<String> {
        match self.schemes.get(&source.origin()).await? {
            Scheme::Basic => None,
            Scheme::Bearer { realm, service } => Some(token_key(source, &realm, service.as_deref())),
        }
    }

    /// Asks the token server: by GET, and by POST with an identity token (distribution's token and
    /// `OAuth2` specifications).
    async fn fetch(
        &self,
        source: &Source,
        realm: Url,
        service: Option<&str>,
        deadline: Instant,
    ) -> Result<Held, Unresolved> {
        let scope = scope(source);
        let mut url = realm.clone();
        url.query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair("scope", &scope);
        let started = Instant::now();
        let get = |authorization| self.ask(source, url.clone(), authorization, None, deadline);
        let answer = match &source.credentials {
            Some(Credentials::IdentityToken(token)) => {
                let form = Serializer::new(String::new())
                    .append_pair("grant_type", "refresh_token")
                    .extend_pairs(service.map(|service| ("service", service)))
                    .append_pair("client_id", "hullmark")
                    .append_pair("scope", &scope)
                    .append_pair("refresh_token", token)
                    .finish();
                let posted = self.ask(source, realm, None, Some(form), deadline).await?;
                if matches!(posted.status.as_u16(), 404 | 405) {
                    get(Some(basic("<token>", token))).await?
                } else {
                    posted
                }
            }
            _ => get(source.basic()).await?,
        };
        if !answer.status.is_success() {
            let mut failed = from_answer(&answer, source.tried());
            failed.detail = format!("no token: {}", failed.detail);
            return Err(failed);
        }
        let token = token::parse(&answer.body, date(&answer.headers)).map_err(|why| {
            let detail = format!("the token server {} cannot be used: {why}", answer.host);
            failure(UnresolvedKind::ServerError, &answer.host, detail)
        })?;
        let until = started + token.usable;
        Ok(Held { token, until })
    }

    async fn ask(
        &self,
        source: &Source,
        url: Url,
        authorization: Option<HeaderValue>,
        form: Option<String>,
        deadline: Instant,
    ) -> Result<Incoming, Unresolved> {
        let outgoing = Outgoing {
            purpose: Purpose::Token,
            url,
            accept: None,
            authorization,
            payload: form.map_or(Payload::Get, Payload::Form),
            via: &source.endpoint,
            limit: TOKEN_LIMIT,
            redirects: TOKEN_REDIRECTS,
            deadline,
        };
        self.transport.send(outgoing).await
    }
}

impl Source {
    /// Scheme, host and port, under which what the host wants is remembered.
    fn origin(&self) -> String {
        self.endpoint.base.origin().ascii_serialization()
    }

    /// Whether there is anything new to say to these challenges: anyone may ask for a token.
    fn can_answer(&self, challenges: &[Challenge]) -> bool {
        match challenge::best(challenges) {
            Some(Challenge::Bearer(_)) => !matches!(self.credentials, Some(Credentials::RegistryToken(_))),
            _ => self.basic().is_some(),
        }
    }
}

/// `repository:<path>:pull`, whatever the challenge says.
fn scope(source: &Source) -> String {
    format!("repository:{}:pull", source.path)
}

fn token_key(source: &Source, realm: &Url, service: Option<&str>) -> String {
    format!("{} {realm} {} {}", source.identity, service.unwrap_or_default(), scope(source))
}

fn unusable(answer: &Incoming, challenges: &[Challenge]) -> Unresolved {
    let schemes: Vec<_> = challenges
        .iter()
        .filter_map(|challenge| match challenge {
            Challenge::Unusable(scheme) => Some(super::error::clean(scheme)),
            _ => None,
        })
        .collect();
    let host = &answer.host;
    let detail = if schemes.iter().all(|scheme| scheme.eq_ignore_ascii_case("bearer")) {
        format!("{host} demands authentication (401), but does not say where to get a token")
    } else {
        let schemes = super::error::clean(&schemes.join(", "));
        format!("{host} demands an authentication that Hullmark does not speak ({schemes})")
    };
    let status = Some(answer.status.as_u16());
    Unresolved { status, ..failure(UnresolvedKind::Denied, host, detail) }
}
