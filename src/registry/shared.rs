//! The cache that replicas share: documents by their digest, in Redis or Valkey.
//!
//! It cannot lie: what it gives is held against the digest that was asked for, and what does not fit is not used and
//! told as an alarm. It says nothing of who may read what. And it cannot hurt: whoever asks waits a few milliseconds
//! at most and never for a connection, and after some failures in a row it is left alone for a while, then tried in
//! the background.
//!
//! The value of `hullmark:1:<registry>/<repository>@<digest of a manifest or an index>` is the length of the document in four bytes (big
//! endian), the document, and for an image the bytes of its config, each as the registry served them.

mod redis;

use self::redis::{Connection, Target};
use super::{
    Lookup, SettingsError, SharedLookup,
    content::{Content, Known, Served},
    fetch::DOCUMENT_LIMIT,
    source::Source,
};
use crate::image::{Digest, ImageConfig};
use ::redis::Cmd;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

/// Failures in a row after which it is left alone.
const FAILURES: u32 = 3;
/// For how long.
const REST: Duration = Duration::from_secs(5);
/// How long a document is kept that nobody writes again.
const LIFE: Duration = Duration::from_hours(7 * 24);
/// What writing one may take, and how many may be under way; more are not written.
const WRITE: Duration = Duration::from_secs(1);
const WRITES: usize = 32;
/// Bytes before the document.
const HEAD: usize = 4;

/// Where the shared cache is.
#[derive(Clone)]
pub struct SharedSettings {
    /// `redis://…`, `rediss://…`, `redis-sentinel://…`, `redis-cluster://…`. It may hold a password.
    pub url: String,
    /// Roots for TLS as PEM, instead of the system's.
    pub roots: Option<Vec<u8>>,
    /// The longest that a lookup waits for it.
    pub patience: Duration,
}

impl fmt::Debug for SharedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSettings").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// The shared cache; cheap to clone.
#[derive(Clone)]
pub(super) struct Shared {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    patience: Duration,
    link: Mutex<Link>,
    writes: Arc<Semaphore>,
}

/// What is known of the connection.
enum Link {
    /// None, and none may be made before then.
    Down { until: Instant },
    /// One is being made.
    Rising,
    /// It is there; so many failures in a row.
    Up { connection: Connection, failures: u32 },
}

impl Shared {
    pub(super) fn new(settings: &SharedSettings) -> Result<Self, SettingsError> {
        let target = Target::new(&settings.url, settings.roots.as_deref())
            .map_err(|why| SettingsError(format!("the URL of the shared cache cannot be used: {why}")))?;
        let link = Mutex::new(Link::Down { until: Instant::now() });
        let writes = Arc::new(Semaphore::new(WRITES));
        let own = Self { inner: Arc::new(Inner { target, patience: settings.patience, link, writes }) };
        if tokio::runtime::Handle::try_current().is_ok() {
            // So that the first who asks finds a connection.
            let _ = own.connection();
        }
        Ok(own)
    }

    /// The document of a digest, verified, if it is there (an image's with its whole config where that is `kept`); and
    /// what was found.
    pub(super) async fn content(
        &self,
        source: &Source,
        digest: &Digest,
        kept: bool,
    ) -> (Option<Content>, Lookup) {
        let value = self.read(source, digest).await;
        let bytes = value.as_ref().map_or(0, |value| value.len() as u64);
        let (content, outcome) = match value {
            Err(failed) => (None, failed),
            Ok(value) if value.is_empty() => (None, SharedLookup::Miss),
            Ok(value) => match unpack(digest, &value, kept) {
                None => (None, SharedLookup::Poisoned),
                content => (content, SharedLookup::Hit),
            },
        };
        (content, Lookup::Shared { outcome, bytes })
    }

    async fn read(&self, source: &Source, digest: &Digest) -> Result<Vec<u8>, SharedLookup> {
        let mut connection = self.connection().ok_or(SharedLookup::Skipped)?;
        // A range, so that not even a value of some gigabytes can fill our memory.
        let most = 2 * DOCUMENT_LIMIT + HEAD as u64;
        let command = ::redis::cmd("GETRANGE").arg(key(source, digest)).arg(0).arg(most).to_owned();
        if let Ok(Ok(value)) = timeout(self.inner.patience, connection.ask(&command)).await {
            self.worked();
            return Ok(value);
        }
        self.failed();
        Err(SharedLookup::Failed)
    }

    /// Writes a document in the background; whether it worked is nobody's business.
    pub(super) fn keep(&self, source: &Source, content: &Content, document: &[u8], config: Option<&[u8]>) {
        let Ok(permit) = Arc::clone(&self.inner.writes).try_acquire_owned() else { return };
        let Some(mut connection) = self.connection() else { return };
        let Some(value) = pack(content, document, config) else { return };
        let command = write(key(source, &content.digest), value);
        let shared = self.clone();
        tokio::spawn(async move {
            let written = timeout(WRITE, connection.ask::<()>(&command)).await;
            if !matches!(written, Ok(Ok(()))) {
                shared.failed();
            }
            drop(permit);
        });
    }

    /// The connection, if there is one; if there is none and it is time, one is made in the background.
    fn connection(&self) -> Option<Connection> {
        let mut link = self.link();
        match &*link {
            Link::Up { connection, .. } => return Some(connection.clone()),
            Link::Down { until } if *until <= Instant::now() => {}
            Link::Down { .. } | Link::Rising => return None,
        }
        *link = Link::Rising;
        drop(link);
        let shared = self.clone();
        tokio::spawn(async move {
            let connected = timeout(2 * WRITE, shared.inner.target.connect()).await;
            *shared.link() = match connected {
                Ok(Ok(connection)) => Link::Up { connection, failures: 0 },
                Ok(Err(_)) | Err(_) => Link::Down { until: Instant::now() + REST },
            };
        });
        None
    }

    fn worked(&self) {
        if let Link::Up { failures, .. } = &mut *self.link() {
            *failures = 0;
        }
    }

    fn failed(&self) {
        let mut link = self.link();
        if let Link::Up { failures, .. } = &mut *link {
            *failures += 1;
            if *failures >= FAILURES {
                *link = Link::Down { until: Instant::now() + REST };
            }
        }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.inner.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(source: &Source, digest: &Digest) -> String {
    let Source { domain, path, .. } = source;
    format!("hullmark:1:{domain}/{path}@{digest}")
}

fn write(key: String, value: Vec<u8>) -> Cmd {
    let life = LIFE.as_secs();
    ::redis::cmd("SET").arg(key).arg(value).arg("EX").arg(life).to_owned()
}

/// None for what others would read differently: the header of the answer, which has no digest, said more of it than
/// the document itself.
fn pack(content: &Content, document: &[u8], config: Option<&[u8]>) -> Option<Vec<u8>> {
    let alone = Served::read(content.digest.clone(), document, None).ok()?;
    let is_same = match (&alone, &content.known) {
        (Served::Image(alone), Known::Image { image, .. }) => *alone.media_type() == image.media_type,
        (Served::Whole(alone), Known::Index(index)) => {
            matches!(&alone.known, Known::Index(other) if other.media_type == index.media_type)
        }
        // An artifact is soon found out again.
        _ => false,
    };
    if !is_same {
        return None;
    }
    let length = u32::try_from(document.len()).ok()?;
    Some([&length.to_be_bytes()[..], document, config.unwrap_or_default()].concat())
}

/// None for what is not the document of this digest.
fn unpack(digest: &Digest, value: &[u8], kept: bool) -> Option<Content> {
    let (head, rest) = value.split_first_chunk::<HEAD>()?;
    let (document, config) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*head)).ok()?)?;
    if !digest.matches(document) {
        return None;
    }
    match Served::read(digest.clone(), document, None).ok()? {
        Served::Whole(content) => config.is_empty().then_some(content),
        Served::Image(image) => {
            let descriptor = &image.config;
            let is_right = descriptor.size == config.len() as u64 && descriptor.digest.matches(config);
            let parsed = ImageConfig::parse(config).ok().filter(|_| is_right)?;
            Some(image.with(parsed, kept.then_some(config)))
        }
    }
}

#[cfg(test)]
mod tests;
