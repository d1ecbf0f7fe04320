//! Manifests and configs: verified, within limits, each fetched once for any number of askers.
//!
//! In go a [`Source`] and what is wanted of it, out comes parsed content and whether the registry
//! was asked for it. Bytes are hashed before they are parsed; sizes are held against descriptors.

use super::{
    Digested, Purpose, RateLimit,
    answer::rate_limit,
    auth::{Asked, Authorizer},
    cache::{Caches, ImageKey, StoredConfig, StoredDocument},
    error::{deadline as deadline_passed, failure, from_answer},
    source::Source,
    transport::{Incoming, Payload},
};
use crate::flight::Flights;
use crate::image::{
    Descriptor, Digest, Document, Freshness, ImageConfig, InvalidConfig, InvalidDocument, MediaType,
    PlatformImage, Unresolved, UnresolvedKind,
};
use reqwest::header::CONTENT_TYPE;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use url::Url;

/// Most bytes of a manifest, an index or a config.
pub(super) const DOCUMENT_LIMIT: u64 = 4 * 1024 * 1024;
/// What a fetch may take at least, even if its first asker has less time: others may join it.
const FLIGHT_LIFE: Duration = Duration::from_secs(10);

/// Content, and where it came from.
pub(super) type Found<T> = Result<(Arc<T>, Freshness), Unresolved>;

/// Fetches content.
#[derive(Default)]
struct Board {
    documents: Flights<Result<Arc<StoredDocument>, Unresolved>>,
    configs: Flights<Result<Arc<StoredConfig>, Unresolved>>,
}

/// The registry protocol, one document at a time.
pub(super) struct Client {
    authorizer: Arc<Authorizer>,
    caches: Arc<Caches>,
    board: Board,
}

/// Which manifest.
#[derive(Clone)]
pub(super) enum Wanted {
    Tag(String),
    Digest(Digest),
    /// An index's entry, whose size is known.
    Child(Box<Descriptor>),
}

impl Wanted {
    fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) => Some(digest),
            Self::Child(descriptor) => Some(&descriptor.digest),
        }
    }

    /// What goes into the URL.
    fn name(&self) -> String {
        match self {
            Self::Tag(tag) => tag.clone(),
            Self::Digest(digest) => digest.to_string(),
            Self::Child(descriptor) => descriptor.digest.to_string(),
        }
    }

    fn descriptor(&self) -> Option<&Descriptor> {
        match self {
            Self::Child(descriptor) => Some(descriptor),
            Self::Tag(_) | Self::Digest(_) => None,
        }
    }
}

impl Client {
    /// `tag_life`: how long it is believed what a tag points to.
    pub(super) fn new(authorizer: Arc<Authorizer>, tag_life: Duration) -> Self {
        Self { authorizer, caches: Arc::new(Caches::new(tag_life)), board: Board::default() }
    }

    /// Whether `source` can be told of `wanted` without asking the registry.
    pub(super) async fn knows(&self, source: &Source, wanted: &Wanted) -> bool {
        let digest = match wanted {
            Wanted::Tag(tag) => self.caches.tag(source, tag).await,
            Wanted::Digest(_) | Wanted::Child(_) => wanted.digest().cloned(),
        };
        match digest {
            Some(digest) => self.caches.content::<StoredDocument>(source, &digest).await.is_some(),
            None => false,
        }
    }

    /// A manifest or an index.
    pub(super) async fn document(
        &self,
        source: &Source,
        wanted: Wanted,
        deadline: Instant,
    ) -> Found<StoredDocument> {
        let known = match &wanted {
            Wanted::Tag(tag) => self.caches.tag(source, tag).await,
            Wanted::Digest(_) | Wanted::Child(_) => wanted.digest().cloned(),
        };
        let size = wanted.descriptor().map(|descriptor| descriptor.size);
        let known = known.map(|digest| (digest, size));
        let what = key("manifests", &wanted.name(), size);
        let (fetch, own) = (self.fetch(), source.clone());
        let work = move |until| async move {
            let (document, left) = match fetch.unchanged(&own, &wanted, until).await {
                Some(found) => found,
                None => fetch.document(&own, &wanted, until).await?,
            };
            if let Wanted::Tag(tag) = &wanted {
                fetch.caches.keep_tag(&own, tag, &document.digest, left).await;
            }
            Ok(document)
        };
        self.find(source, known, &what, &self.board.documents, deadline, work).await
    }

    /// A config.
    pub(super) async fn config(
        &self,
        source: &Source,
        descriptor: &Descriptor,
        deadline: Instant,
    ) -> Found<StoredConfig> {
        let size = Some(descriptor.size);
        let what = key("blobs", &descriptor.digest.to_string(), size);
        let (fetch, own, wanted) = (self.fetch(), source.clone(), descriptor.clone());
        let work = move |until| async move { fetch.config(&own, &wanted, until).await };
        let known = Some((descriptor.digest.clone(), size));
        self.find(source, known, &what, &self.board.configs, deadline, work).await
    }

    /// An image whose manifest and config have just been found: made once, then shared.
    pub(super) async fn image(
        &self,
        key: ImageKey,
        make: impl FnOnce() -> PlatformImage,
    ) -> Arc<PlatformImage> {
        self.caches.image(key, make).await
    }

    fn fetch(&self) -> Fetch {
        Fetch { authorizer: Arc::clone(&self.authorizer), caches: Arc::clone(&self.caches) }
    }

    /// From the cache, else from a flight under way, else by `work`, which then becomes a flight.
    async fn find<T: Digested, F>(
        &self,
        source: &Source,
        known: Option<(Digest, Option<u64>)>,
        what: &str,
        flights: &Flights<Result<Arc<T>, Unresolved>>,
        deadline: Instant,
        work: impl FnOnce(Instant) -> F + Send + 'static,
    ) -> Found<T>
    where
        F: Future<Output = Result<Arc<T>, Unresolved>> + Send + 'static,
    {
        // A descriptor whose size does not fit must fail as it does when nothing is cached.
        if let Some((digest, size)) = known
            && let Some(content) = self.caches.content::<T>(source, &digest).await
            && size.is_none_or(|size| size == content.length() as u64)
        {
            return Ok((content, Freshness::Cached));
        }
        if let Some(failure) = self.caches.failure(source, what).await {
            return Err(failure);
        }
        let until = deadline.max(Instant::now() + FLIGHT_LIFE);
        let (caches, own, own_what) = (Arc::clone(&self.caches), source.clone(), what.to_owned());
        let key = source.key_here(what);
        let flight = flights.join(&key, || async move {
            let result = work(until).await;
            match &result {
                Ok(content) => caches.keep(&own, content).await,
                Err(failure) => caches.keep_failure(&own, &own_what, failure).await,
            }
            result
        });
        let host = source.host();
        match timeout_at(deadline, flight).await {
            Err(_) => Err(deadline_passed(&host)),
            Ok(Some(result)) => Ok((result?, Freshness::Fetched)),
            Ok(None) => Err(failure(UnresolvedKind::ServerError, &host, "fetching ended unexpectedly")),
        }
    }
}

/// A document, and what is left of its host's limit on requests.
type Told = (Arc<StoredDocument>, Option<RateLimit>);

/// What a flight needs.
struct Fetch {
    authorizer: Arc<Authorizer>,
    caches: Arc<Caches>,
}

impl Fetch {
    /// The document, and what is left of the host's limit on requests.
    async fn document(
        &self,
        source: &Source,
        wanted: &Wanted,
        deadline: Instant,
    ) -> Result<Told, Unresolved> {
        let declared = wanted.descriptor();
        let name =
            wanted.digest().map_or_else(|| format!("tag {}", wanted.name()), |d| format!("manifest {d}"));
        let (body, host, content_type, left) = if let Some(data) = declared.and_then(|d| d.data.clone()) {
            (data, source.host(), declared.map(|d| d.media_type.to_string()), None)
        } else {
            let limit = limit(source, declared.map(|d| d.size), &name)?;
            let asked = manifest(source, &wanted.name(), Payload::Get, limit)?;
            let answer = self.get(source, &asked, deadline).await.map_err(|e| lie(e, declared, &name))?;
            let content_type =
                answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
            verify(&answer, wanted.digest(), declared.map(|d| d.size), &name)?;
            let left = rate_limit(&answer.headers);
            (answer.body, answer.host, content_type, left)
        };
        let digest = wanted.digest().cloned().unwrap_or_else(|| Digest::sha256(&body));
        let document = Document::parse(&body, content_type.as_deref()).map_err(|e| {
            let kind = match e {
                InvalidDocument::Ambiguous(_) => UnresolvedKind::Ambiguous,
                InvalidDocument::Schema1 => UnresolvedKind::UnsupportedSchema1,
                InvalidDocument::TooLarge(_) => UnresolvedKind::TooLarge,
                InvalidDocument::Invalid(_) => UnresolvedKind::InvalidManifest,
            };
            let text = super::error::clean(&e.to_string());
            failure(kind, &host, format!("what {host} serves as {name}: {text}"))
        })?;
        Ok((Arc::new(StoredDocument { digest, document, bytes: body.len() }), left))
    }

    async fn config(
        &self,
        source: &Source,
        wanted: &Descriptor,
        deadline: Instant,
    ) -> Result<Arc<StoredConfig>, Unresolved> {
        let name = format!("config {}", wanted.digest);
        let (body, host) = if let Some(data) = wanted.data.clone() {
            (data, source.host())
        } else {
            let limit = limit(source, Some(wanted.size), &name)?;
            let url = url(source, &format!("{}/blobs/{}", source.path, wanted.digest))?;
            let asked = Asked { purpose: Purpose::Config, url, payload: Payload::Get, accept: None, limit };
            let answer = self.get(source, &asked, deadline).await.map_err(|e| lie(e, Some(wanted), &name))?;
            verify(&answer, Some(&wanted.digest), Some(wanted.size), &name)?;
            (answer.body, answer.host)
        };
        let config = ImageConfig::parse(&body).map_err(|e| {
            let kind = match e {
                InvalidConfig::Ambiguous(_) => UnresolvedKind::Ambiguous,
                InvalidConfig::Invalid(_) => UnresolvedKind::InvalidConfig,
            };
            let text = super::error::clean(&e.to_string());
            failure(kind, &host, format!("the {name} cannot be read as a runtime reads it: {text}"))
        })?;
        Ok(Arc::new(StoredConfig { digest: wanted.digest.clone(), config, raw: body.into() }))
    }

    /// The content that a tag pointed to when it was asked last, if a HEAD says that it still does: that counts
    /// towards nobody's limit (Docker Hub's is for GET), and carries nothing. Whatever else comes of it, the GET
    /// that follows finds out better.
    async fn unchanged(&self, source: &Source, wanted: &Wanted, deadline: Instant) -> Option<Told> {
        let Wanted::Tag(tag) = wanted else { return None };
        let last = self.caches.last_of_tag(source, tag).await?;
        let content = self.caches.content::<StoredDocument>(source, &last).await?;
        let asked = manifest(source, tag, Payload::Head, 0).ok()?;
        let answer = self.authorizer.get(source, &asked, deadline).await.ok()?;
        let says = answer.headers.get("docker-content-digest")?.to_str().ok()?;
        let is_unchanged = answer.status.as_u16() == 200 && says == last.to_string();
        is_unchanged.then(|| (content, rate_limit(&answer.headers)))
    }

    async fn get(&self, source: &Source, asked: &Asked, deadline: Instant) -> Result<Incoming, Unresolved> {
        let answer = self.authorizer.get(source, asked, deadline).await?;
        if answer.status.as_u16() == 200 {
            return Ok(answer);
        }
        let tried = if answer.crossed { "a redirected request" } else { source.tried() };
        Err(from_answer(&answer, tried))
    }
}

/// The key of a flight and of its failure. The same digest with another declared size is another one.
fn key(kind: &str, name: &str, size: Option<u64>) -> String {
    format!("{kind}/{name} {}", size.map(|size| size.to_string()).unwrap_or_default())
}

fn manifest(source: &Source, name: &str, payload: Payload, limit: usize) -> Result<Asked, Unresolved> {
    let url = url(source, &format!("{}/manifests/{name}", source.path))?;
    Ok(Asked { purpose: Purpose::Manifest, url, payload, accept: Some(MediaType::ACCEPT), limit })
}

fn url(source: &Source, path: &str) -> Result<Url, Unresolved> {
    // Not `join`: it would take `sha256:…` and the like for a scheme.
    let base = &source.endpoint.base;
    let mut url = Url::parse(&format!("{base}{path}")).map_err(|e| {
        failure(UnresolvedKind::Misconfigured, &source.host(), format!("{base}{path} is no URL: {e}"))
    })?;
    if let Some(namespace) = &source.endpoint.namespace {
        url.query_pairs_mut().append_pair("ns", namespace);
    }
    Ok(url)
}

/// How much may be read. What says itself that it is too large is not fetched at all.
fn limit(source: &Source, declared: Option<u64>, name: &str) -> Result<usize, Unresolved> {
    match declared {
        Some(size) if size > DOCUMENT_LIMIT => Err(failure(
            UnresolvedKind::TooLarge,
            &source.host(),
            format!("the {name} has {size} bytes, more than the {DOCUMENT_LIMIT} that are looked at"),
        )),
        // Never more than a document may have, and one more than declared so that a lie shows as one.
        Some(size) => Ok(usize::try_from(size + 1).unwrap_or(usize::MAX)),
        None => Ok(usize::try_from(DOCUMENT_LIMIT).unwrap_or(usize::MAX)),
    }
}

/// More than a descriptor declares is a lie, not a large document.
fn lie(failed: Unresolved, declared: Option<&Descriptor>, name: &str) -> Unresolved {
    match declared {
        Some(declared) if failed.kind == UnresolvedKind::TooLarge => {
            let host = failed.host.as_deref().unwrap_or_default();
            let detail =
                format!("{host} served more than the {} bytes that {name} should have", declared.size);
            Unresolved { kind: UnresolvedKind::DigestMismatch, detail, ..failed }
        }
        _ => failed,
    }
}

/// Holds a body against the digest and the size that it must have.
fn verify(
    answer: &Incoming,
    digest: Option<&Digest>,
    size: Option<u64>,
    name: &str,
) -> Result<(), Unresolved> {
    let (host, length) = (&answer.host, answer.body.len() as u64);
    let mismatch = |what: String| Err(failure(UnresolvedKind::DigestMismatch, host, what));
    if let Some(size) = size.filter(|size| *size != length) {
        return mismatch(format!("{host} served {length} bytes as {name}, which should have {size}"));
    }
    match digest {
        Some(digest) if !digest.matches(&answer.body) => {
            mismatch(format!("what {host} served as {name} does not have that digest"))
        }
        _ => Ok(()),
    }
}
