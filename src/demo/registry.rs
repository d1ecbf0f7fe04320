//! A small registry on loopback: bearer tokens, manifests and config blobs of made images.
//!
//! It serves what `inspect` and the webhook ask for and nothing else (no layers, no push), as
//! distribution-spec (sections Pulling manifests, Pulling blobs) and Docker's token protocol have it.

use super::images::Image;
use crate::image::Digest;
use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A running registry; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct DemoRegistry {
    address: SocketAddr,
    content: Arc<Content>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Content {
    /// `repository` + `reference or digest` to media type and bytes.
    manifests: HashMap<(String, String), (String, Vec<u8>)>,
    blobs: HashMap<(String, String), Vec<u8>>,
    requests: AtomicUsize,
    token_key: RandomState,
    address: SocketAddr,
}

impl DemoRegistry {
    /// Starts on a free port of loopback with `images`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub(super) async fn start(images: &[Image]) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let content = Arc::new(Content::new(images, address));
        let router = Router::new()
            .route("/token", get(token))
            .route("/v2/{*path}", get(document))
            .with_state(Arc::clone(&content));
        let task = tokio::spawn(async move {
            // The listener is already bound; a later failure shows as images that cannot be looked at.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, content, task })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has had, tokens and refusals included.
    pub(super) fn requests(&self) -> usize {
        self.content.requests.load(Ordering::Relaxed)
    }
}

impl Drop for DemoRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Content {
    fn new(images: &[Image], address: SocketAddr) -> Self {
        let mut content = Self {
            manifests: HashMap::new(),
            blobs: HashMap::new(),
            requests: AtomicUsize::new(0),
            token_key: RandomState::new(),
            address,
        };
        for image in images {
            for (media_type, bytes) in &image.manifests {
                let by_digest = Digest::sha256(bytes).to_string();
                content
                    .manifests
                    .insert((image.repository.clone(), by_digest), (media_type.clone(), bytes.clone()));
            }
            if let Some(tagged) = image.manifests.last() {
                content.manifests.insert((image.repository.clone(), image.tag.clone()), tagged.clone());
            }
            for blob in &image.blobs {
                content
                    .blobs
                    .insert((image.repository.clone(), Digest::sha256(blob).to_string()), blob.clone());
            }
        }
        content
    }

    fn token(&self, scope: &str) -> String {
        format!("{:016x}", self.token_key.hash_one(scope))
    }
}

fn scope(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

async fn token(State(content): State<Arc<Content>>, RawQuery(query): RawQuery) -> Response {
    content.requests.fetch_add(1, Ordering::Relaxed);
    let query = query.unwrap_or_default();
    let scope = url::form_urlencoded::parse(query.as_bytes())
        .find_map(|(key, value)| (key == "scope").then(|| value.into_owned()))
        .unwrap_or_default();
    let body = serde_json::json!({ "token": content.token(&scope), "expires_in": 300 });
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn document(
    State(content): State<Arc<Content>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    content.requests.fetch_add(1, Ordering::Relaxed);
    let Some((repository, kind, reference)) = split(&path) else {
        return error(StatusCode::NOT_FOUND, "UNSUPPORTED");
    };
    let bearer = format!("Bearer {}", content.token(&scope(repository)));
    let authorized =
        headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == bearer.as_bytes());
    if !authorized {
        return challenge(content.address, repository);
    }
    let key = (repository.to_owned(), reference.to_owned());
    match kind {
        "manifests" => match content.manifests.get(&key) {
            Some((media_type, bytes)) => {
                ([(header::CONTENT_TYPE, media_type.clone())], bytes.clone()).into_response()
            }
            None => error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        },
        _ => match content.blobs.get(&key) {
            Some(bytes) => {
                ([(header::CONTENT_TYPE, "application/octet-stream")], bytes.clone()).into_response()
            }
            None => error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
        },
    }
}

/// `shop/web/manifests/1.4` to its three parts.
fn split(path: &str) -> Option<(&str, &str, &str)> {
    let (rest, reference) = path.rsplit_once('/')?;
    let (repository, kind) = rest.rsplit_once('/')?;
    matches!(kind, "manifests" | "blobs").then_some((repository, kind, reference))
}

fn challenge(address: SocketAddr, repository: &str) -> Response {
    let value =
        format!(r#"Bearer realm="http://{address}/token",service="demo",scope="{}""#, scope(repository));
    let mut response = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

fn error(status: StatusCode, code: &str) -> Response {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": code.to_lowercase() }] });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn paths_are_split_at_the_kind() {
        let rows = [
            ("shop/web/manifests/1.4", Some(("shop/web", "manifests", "1.4"))),
            ("a/b/c/blobs/sha256:00", Some(("a/b/c", "blobs", "sha256:00"))),
            ("shop/web/tags/list", None),
            ("", None),
        ];
        for (path, expected) in rows {
            assert_eq!(split(path), expected, "{path:?}");
        }
    }
}
