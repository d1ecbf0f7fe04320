//! A token server that the real registry trusts: distribution's token authentication, with ES256
//! tokens that carry their certificate (`x5c`).
//!
//! Everybody may pull `public/…`; [`USER`] may do anything, with a password (GET) or with
//! [`REFRESH_TOKEN`] (POST, as in OAuth 2). Like Docker Hub's, it gives a token without any access rather
//! than an error to a caller who may not read, and an error only for a wrong password.

use super::registry::{PASSWORD, USER};
use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

/// The service that tokens are for (`aud`).
pub(crate) const SERVICE: &str = "registry.test";
/// Who signs them (`iss`).
pub(crate) const ISSUER: &str = "tokens.test";
/// An identity token, as `docker login` stores it for registries that do OAuth 2.
pub(crate) const REFRESH_TOKEN: &str = "opaque-identity-token";

/// One request for a token, as the server understood it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    pub(crate) method: &'static str,
    /// Who asked; none: anonymous.
    pub(crate) user: Option<String>,
    pub(crate) scopes: Vec<String>,
}

/// A running token server. It stops when the test's runtime does.
pub(crate) struct TokenServer {
    address: SocketAddr,
    issuer: Arc<Issuer>,
}

struct Issuer {
    key: EcdsaKeyPair,
    certificate: rcgen::Certificate,
    requests: Mutex<Vec<TokenRequest>>,
}

impl TokenServer {
    pub(crate) async fn start() -> Self {
        let keys = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&keys).unwrap();
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &keys.serialize_der(), &random)
            .unwrap();
        let issuer = Arc::new(Issuer { key, certificate, requests: Mutex::default() });
        let router = Router::new().route("/token", get(by_get).post(by_post)).with_state(Arc::clone(&issuer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, issuer }
    }

    /// The realm that a challenge names.
    pub(crate) fn realm(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// What the registry has to trust.
    pub(crate) fn certificate_pem(&self) -> String {
        self.issuer.certificate.pem()
    }

    /// A token, without asking over HTTP.
    pub(crate) fn sign(&self, user: &str, access: &[(&str, &[&str])]) -> String {
        let access: Vec<_> = access.iter().map(|(name, actions)| granted(name, actions)).collect();
        self.issuer.sign(user, &access)
    }

    /// The requests since the last call, oldest first.
    pub(crate) fn new_requests(&self) -> Vec<TokenRequest> {
        std::mem::take(&mut self.issuer.requests.lock().unwrap())
    }
}

async fn by_get(
    State(issuer): State<Arc<Issuer>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let user = match headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) {
        None => None,
        Some(value) if value == super::command::basic(USER, PASSWORD).as_bytes() => Some(USER),
        Some(_) => return refuse("wrong password"),
    };
    issuer.answer("GET", user, &query)
}

async fn by_post(State(issuer): State<Arc<Issuer>>, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let identity = (form.one("grant_type"), form.one("refresh_token"), form.one("service"));
    if identity != (Some("refresh_token"), Some(REFRESH_TOKEN), Some(SERVICE)) {
        return refuse("wrong identity token");
    }
    issuer.answer("POST", Some(USER), &form)
}

fn refuse(why: &str) -> Response {
    let body = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": why }] });
    (StatusCode::UNAUTHORIZED, body.to_string()).into_response()
}

impl Issuer {
    fn answer(&self, method: &'static str, user: Option<&'static str>, form: &Form) -> Response {
        // Docker's CLI sends one scope parameter for each; OAuth 2 separates by spaces. Both are legal.
        let scopes: Vec<_> =
            form.all("scope").flat_map(|scope| scope.split(' ')).map(str::to_owned).collect();
        let access: Vec<_> = scopes.iter().filter_map(|scope| access(scope, user)).collect();
        let token = self.sign(user.unwrap_or(""), &access);
        let request = TokenRequest { method, user: user.map(str::to_owned), scopes };
        self.requests.lock().unwrap().push(request);
        // GET answers with Docker's field name, POST with OAuth 2's.
        let field = if method == "GET" { "token" } else { "access_token" };
        json!({ field: token, "expires_in": 300 }).to_string().into_response()
    }

    fn sign(&self, user: &str, access: &[Value]) -> String {
        let header =
            json!({ "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(self.certificate.der())] });
        let now = now();
        let claims = json!({
            "iss": ISSUER, "sub": user, "aud": SERVICE, "jti": "any",
            "iat": now, "nbf": now - 5, "exp": now + 300, "access": access,
        });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What of `repository:NAME:ACTIONS` is granted to `user`.
fn access(scope: &str, user: Option<&str>) -> Option<Value> {
    let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
    let may = |action: &&str| user.is_some() || (name.starts_with("public/") && *action == "pull");
    let actions: Vec<_> = actions.split(',').filter(may).collect();
    (!actions.is_empty()).then(|| granted(name, &actions))
}

fn granted(name: &str, actions: &[&str]) -> Value {
    json!({ "type": "repository", "name": name, "actions": actions })
}

#[expect(clippy::disallowed_methods, reason = "tokens carry the real time, which the registry compares")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// `application/x-www-form-urlencoded`, where a name may come more than once.
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
