//! A repository as one caller sees it: where it is, and with which credentials it is asked.

use super::{
    hosts::{Endpoint, authority},
    token::bearer,
};
use crate::{
    credential::Credentials,
    image::{AuthKind, Reference},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::header::HeaderValue;
use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

/// Tells credentials apart without being one: a keyed hash, whose key lives as long as the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity(u128);

/// Makes short keys of long ones: keyed hashes that nobody outside this process can foresee.
#[derive(Default)]
pub(super) struct Fingerprints(RandomState, RandomState);

impl Fingerprints {
    pub(super) fn of<T: Hash>(&self, what: T) -> u128 {
        let halves = [self.0.hash_one(&what), self.1.hash_one(&what)];
        u128::from(halves[0]) << 64 | u128::from(halves[1])
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One repository, asked with one set of credentials.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) endpoint: Arc<Endpoint>,
    /// The registry's domain, as the reference writes it.
    pub(super) domain: String,
    /// The repository's path.
    pub(super) path: String,
    /// None: anonymous.
    pub(super) credentials: Option<Credentials>,
    pub(super) identity: Identity,
}

impl Source {
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        reference: &Reference,
        credentials: Option<&Credentials>,
        identities: &Fingerprints,
    ) -> Self {
        Self {
            endpoint,
            domain: reference.domain().to_owned(),
            path: reference.path().to_owned(),
            credentials: credentials.cloned(),
            identity: Identity(identities.of(credentials)),
        }
    }

    /// Host and port of the registry.
    pub(super) fn host(&self) -> String {
        authority(&self.endpoint.base)
    }

    /// With which kind of credentials it is asked.
    pub(super) fn auth(&self) -> AuthKind {
        match self.credentials {
            None => AuthKind::Anonymous,
            Some(Credentials::Basic { .. }) => AuthKind::Basic,
            Some(Credentials::IdentityToken(_)) => AuthKind::IdentityToken,
            Some(Credentials::RegistryToken(_)) => AuthKind::RegistryToken,
        }
    }

    /// The same, for error texts.
    pub(super) fn tried(&self) -> &'static str {
        match self.auth() {
            AuthKind::Anonymous => "an anonymous request",
            AuthKind::Basic => "the given user name and password",
            AuthKind::IdentityToken => "the given identity token",
            AuthKind::RegistryToken => "the given registry token",
        }
    }

    /// `Authorization: Basic …`, for credentials that have a user name.
    pub(super) fn basic(&self) -> Option<HeaderValue> {
        match &self.credentials {
            Some(Credentials::Basic { username, password }) => Some(basic(username, password)),
            _ => None,
        }
    }

    /// The header of a token that needs no exchange.
    pub(super) fn registry_token(&self) -> Option<HeaderValue> {
        match &self.credentials {
            Some(Credentials::RegistryToken(token)) => bearer(token),
            _ => None,
        }
    }
}

/// `Authorization: Basic …` (RFC 7617, in UTF-8).
pub(super) fn basic(username: &str, password: &str) -> HeaderValue {
    let encoded = BASE64_STANDARD.encode(format!("{username}:{password}"));
    let mut header = HeaderValue::try_from(format!("Basic {encoded}"))
        .expect("base64 has only characters that headers take");
    header.set_sensitive(true);
    header
}
