//! One document from where it is: the shared cache, or the registry, in as few requests as can be.
//!
//! In go a [`Source`], what is wanted of it and what it was told before, out comes verified content. Bytes are hashed
//! before they are parsed; sizes are held against descriptors. What is in a cache already is not fetched again:
//! whoever may not be believed to have the right to it any more, or never had, proves it by HEAD.

use super::{
    Lookup, Purpose, RateLimit,
    answer::rate_limit,
    auth::{Asked, Authorizer},
    cache::{Caches, Claim, Wanted},
    content::{Content, Known, Served, Unfinished},
    error::{clean, failure, from_answer},
    shared::Shared,
    source::Source,
    transport::{Incoming, Payload},
};
use crate::image::{
    Descriptor, Digest, Freshness, ImageConfig, InvalidConfig, InvalidDocument, MediaType, Unresolved,
    UnresolvedKind,
};
use reqwest::header::CONTENT_TYPE;
use std::sync::Arc;
use tokio::time::Instant;
use url::Url;

/// Most bytes of a manifest, an index or a config.
pub(super) const DOCUMENT_LIMIT: u64 = 4 * 1024 * 1024;

/// Content, and where it came from.
pub(super) type Found = Result<(Arc<Content>, Freshness), Unresolved>;

/// What fetching needs.
pub(super) struct Fetch {
    pub(super) authorizer: Arc<Authorizer>,
    pub(super) caches: Caches,
    pub(super) shared: Option<Shared>,
}

/// What the registry says when it is asked whether something known may be read.
enum Proof {
    /// Yes; and what is left of its limit on requests.
    Given(Option<RateLimit>),
    /// Nothing that can be used: the content itself must be asked for.
    Unclear,
}

impl Fetch {
    /// The content that is `wanted`, for a `source` with this `claim`, which may be `believed` as it is; noted and
    /// kept.
    pub(super) async fn obtain(
        &self,
        source: &Source,
        wanted: &Wanted,
        claim: Option<Claim>,
        believed: bool,
        deadline: Instant,
    ) -> Found {
        if let Some(digest) = wanted.digest().or(claim.as_ref().map(|claim| &claim.digest))
            && let Some(content) = self.known(source, digest, wanted, claim.is_some()).await
        {
            if believed {
                return Ok((content, Freshness::Shared));
            }
            let proof = self.prove(source, wanted, &content, claim.is_some(), deadline).await?;
            if let Proof::Given(left) = proof {
                self.caches.note(source, wanted, &content.digest, left);
                self.caches.tell(Lookup::Revalidated);
                return Ok((content, Freshness::Revalidated));
            }
        }
        let (content, left) = self.fetch(source, wanted, claim.as_ref(), deadline).await?;
        self.caches.keep(&content);
        self.caches.note(source, wanted, &content.digest, left);
        Ok((content, Freshness::Fetched))
    }

    /// What this process or the others have read of a digest in the repository of `source`, whoever it was.
    ///
    /// Nothing if it was read elsewhere only: a registry could otherwise find out, by being asked with HEAD or with
    /// GET, whether somebody in the cluster runs an image that it names.
    pub(super) async fn known(
        &self,
        source: &Source,
        digest: &Digest,
        wanted: &Wanted,
        was_told: bool,
    ) -> Option<Arc<Content>> {
        if (was_told || self.caches.was_read(source, digest))
            && let Some(content) = self.caches.content(digest, wanted)
        {
            return Some(content);
        }
        let (content, told) =
            self.shared.as_ref()?.content(source, digest, self.caches.keeps_documents()).await;
        self.caches.tell(told);
        let content = Arc::new(content?);
        self.caches.keep(&content);
        self.caches.content(digest, wanted)
    }

    /// Asks by HEAD whether `source` may read content that is known: that counts towards nobody's limit (Docker Hub's
    /// is for GET), and carries nothing. An image's config needs its own proof from those who were never given it
    /// (`was_told`): it is another blob, which their repository may not have. It is asked for at the same time where
    /// they have just read an index of the repository; a stranger is asked about no more than where nothing is known.
    async fn prove(
        &self,
        source: &Source,
        wanted: &Wanted,
        content: &Content,
        was_told: bool,
        deadline: Instant,
    ) -> Result<Proof, Unresolved> {
        let asked = manifest(source, wanted, Payload::Head, 0)?;
        let manifest = self.head(source, &asked, wanted, Some(&content.digest), deadline);
        let Known::Image { image, inline: false } = &content.known else { return manifest.await };
        if was_told {
            return manifest.await;
        }
        let asked = blob(source, &image.config_digest, Payload::Head, 0)?;
        let config = self.head(source, &asked, wanted, None, deadline);
        let (manifest, config) = match wanted {
            Wanted::Child(_) => tokio::try_join!(manifest, config)?,
            Wanted::Tag(_) | Wanted::Digest(_) => (manifest.await?, config.await?),
        };
        Ok(if let Proof::Given(_) = config { manifest } else { Proof::Unclear })
    }

    async fn head(
        &self,
        source: &Source,
        asked: &Asked,
        wanted: &Wanted,
        digest: Option<&Digest>,
        deadline: Instant,
    ) -> Result<Proof, Unresolved> {
        let answer = match self.authorizer.get(source, asked, deadline).await {
            // Whatever else is wrong with a tag, the GET that follows says it better.
            Err(failed) if wanted.digest().is_none() && !failed.kind.is_outage() => {
                return Ok(Proof::Unclear);
            }
            answer => answer?,
        };
        let said = answer.headers.get("docker-content-digest").map(|said| said.to_str().unwrap_or_default());
        let is_same = digest.is_none_or(|digest| match said {
            Some(said) => said == digest.to_string(),
            None => wanted.digest().is_some(),
        });
        match answer.status.as_u16() {
            200 if is_same => Ok(Proof::Given(rate_limit(&answer.headers))),
            401 | 403 | 404 if wanted.digest().is_some() && !answer.crossed => {
                Err(from_answer(&answer, source.tried()))
            }
            _ => Ok(Proof::Unclear),
        }
    }

    /// From the registry; and what is left of its limit on requests.
    async fn fetch(
        &self,
        source: &Source,
        wanted: &Wanted,
        claim: Option<&Claim>,
        deadline: Instant,
    ) -> Result<(Arc<Content>, Option<RateLimit>), Unresolved> {
        let name = match wanted {
            Wanted::Tag(tag) => format!("tag {tag}"),
            Wanted::Digest(digest) => format!("manifest {digest}"),
            Wanted::Child(child) => format!("manifest {}", child.digest),
        };
        let (body, host, content_type, left) = match wanted {
            Wanted::Child(child) if child.data.is_some() => {
                let data = child.data.as_deref().unwrap_or_default().to_vec();
                (data, source.host(), Some(child.media_type.to_string()), None)
            }
            _ => {
                let limit = limit(source, wanted.size(), &name)?;
                let asked = manifest(source, wanted, Payload::Get, limit)?;
                let expected = Expected { digest: wanted.digest(), size: wanted.size(), name: &name };
                let answer = self.get(source, &asked, expected, deadline).await?;
                let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                let content_type = content_type.map(str::to_owned);
                let left = rate_limit(&answer.headers);
                (answer.body, answer.host, content_type, left)
            }
        };
        let digest = wanted.digest().cloned().unwrap_or_else(|| Digest::sha256(&body));
        if claim.is_some_and(|claim| claim.digest == digest)
            && let Some(content) = self.caches.content(&digest, wanted)
        {
            return Ok((content, left));
        }
        let served = Served::read(digest, &body, content_type.as_deref());
        let content = match served.map_err(|e| unreadable(&e, &host, &name))? {
            Served::Whole(content) => Arc::new(content),
            Served::Image(image) => return Ok((self.image(source, image, &body, deadline).await?, left)),
        };
        if let Some(shared) = &self.shared {
            shared.keep(source, &content, &body, None);
        }
        Ok((content, left))
    }

    /// An image whose manifest has just been read by `source`.
    async fn image(
        &self,
        source: &Source,
        image: Box<Unfinished>,
        manifest: &[u8],
        deadline: Instant,
    ) -> Result<Arc<Content>, Unresolved> {
        let (config, raw) = self.config(source, &image.config, deadline).await?;
        let kept = self.caches.keeps_documents().then_some(&*raw);
        let content = Arc::new(image.with(config, kept));
        if let Some(shared) = &self.shared {
            shared.keep(source, &content, manifest, Some(&raw));
        }
        Ok(content)
    }

    async fn config(
        &self,
        source: &Source,
        wanted: &Descriptor,
        deadline: Instant,
    ) -> Result<(ImageConfig, Vec<u8>), Unresolved> {
        let name = format!("config {}", wanted.digest);
        let (body, host) = if let Some(data) = &wanted.data {
            (data.clone(), source.host())
        } else {
            let limit = limit(source, Some(wanted.size), &name)?;
            let asked = blob(source, &wanted.digest, Payload::Get, limit)?;
            let expected = Expected { digest: Some(&wanted.digest), size: Some(wanted.size), name: &name };
            let answer = self.get(source, &asked, expected, deadline).await?;
            (answer.body, answer.host)
        };
        let config = ImageConfig::parse(&body).map_err(|e| {
            let kind = match e {
                InvalidConfig::Ambiguous(_) => UnresolvedKind::Ambiguous,
                InvalidConfig::Invalid(_) => UnresolvedKind::InvalidConfig,
            };
            let text = clean(&e.to_string());
            failure(kind, &host, format!("the {name} cannot be read as a runtime reads it: {text}"))
        })?;
        Ok((config, body))
    }

    /// What is `asked`, held against what is `expected`. Asked for once more where another answer may be a better one:
    /// a signed link may have ended before it was followed, and bytes may have been cut or changed on their way.
    async fn get(
        &self,
        source: &Source,
        asked: &Asked,
        expected: Expected<'_>,
        deadline: Instant,
    ) -> Result<Incoming, Unresolved> {
        let mut is_first = true;
        loop {
            let answer = self.authorizer.get(source, asked, deadline).await;
            let answer = answer.map_err(|failed| lie(failed, expected))?;
            let status = answer.status.as_u16();
            let result = if status == 200 {
                verify(&answer, expected)
            } else {
                let tried = if answer.crossed { "a redirected request" } else { source.tried() };
                Err(from_answer(&answer, tried))
            };
            let may_differ = status == 200 || (answer.crossed && matches!(status, 403 | 404));
            if result.is_ok() || !is_first || !may_differ {
                return result.map(|()| answer);
            }
            is_first = false;
        }
    }
}

/// What a document must be.
#[derive(Clone, Copy)]
struct Expected<'a> {
    digest: Option<&'a Digest>,
    size: Option<u64>,
    /// What it is called in errors.
    name: &'a str,
}

fn unreadable(why: &InvalidDocument, host: &str, name: &str) -> Unresolved {
    let kind = match why {
        InvalidDocument::Ambiguous(_) => UnresolvedKind::Ambiguous,
        InvalidDocument::Schema1 => UnresolvedKind::UnsupportedSchema1,
        InvalidDocument::TooLarge(_) => UnresolvedKind::TooLarge,
        InvalidDocument::Invalid(_) => UnresolvedKind::InvalidManifest,
    };
    let text = clean(&why.to_string());
    failure(kind, host, format!("what {host} serves as {name}: {text}"))
}

fn manifest(source: &Source, wanted: &Wanted, payload: Payload, limit: usize) -> Result<Asked, Unresolved> {
    let (name, terse) = match wanted {
        Wanted::Tag(tag) => (tag.clone(), false),
        Wanted::Digest(digest) => (digest.to_string(), true),
        Wanted::Child(child) => (child.digest.to_string(), true),
    };
    let url = url(source, &format!("{}/manifests/{name}", source.path))?;
    let accept = Some(MediaType::ACCEPT);
    Ok(Asked { purpose: Purpose::Manifest, url, payload, accept, limit, terse })
}

fn blob(source: &Source, digest: &Digest, payload: Payload, limit: usize) -> Result<Asked, Unresolved> {
    let url = url(source, &format!("{}/blobs/{digest}", source.path))?;
    Ok(Asked { purpose: Purpose::Config, url, payload, accept: None, limit, terse: true })
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
fn lie(failed: Unresolved, expected: Expected<'_>) -> Unresolved {
    let name = expected.name;
    match expected.size {
        Some(size) if failed.kind == UnresolvedKind::TooLarge => {
            let host = failed.host.as_deref().unwrap_or_default();
            let detail = format!("{host} served more than the {size} bytes that {name} should have");
            Unresolved { kind: UnresolvedKind::DigestMismatch, detail, ..failed }
        }
        _ => failed,
    }
}

/// Holds a body against the digest and the size that it must have.
fn verify(answer: &Incoming, expected: Expected<'_>) -> Result<(), Unresolved> {
    let Expected { digest, size, name } = expected;
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
