//! What is told of each HTTP exchange: everything that helps to understand it, and nothing secret.

use crate::text::clean;
use std::{sync::Arc, time::Duration};
use tracing::{Span, field::Empty, info_span};
use url::Url;

/// Is told of every HTTP exchange, when it is over.
pub type Observer = Arc<dyn Fn(&Exchange) + Send + Sync>;

/// One HTTP request and its answer, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What it was for.
    pub purpose: Purpose,
    /// `GET`, `HEAD` or `POST`.
    pub method: &'static str,
    /// Host and port that were asked.
    pub host: String,
    /// The URL; values in its query are masked, but for `service`, `scope` and `ns`.
    pub url: String,
    /// The answer's status; none if there was no answer.
    pub status: Option<u16>,
    /// Bytes of the answer's body that were read.
    pub bytes: u64,
    /// What the host says is left of its limit on requests.
    pub rate_limit: Option<RateLimit>,
    /// What the host warns of (`Warning: 299`, distribution-spec), or what is wrong with its answer although that can be
    /// used; short and clean.
    pub warning: Option<String>,
    /// From sending the request to the end of the answer, connecting included.
    pub elapsed: Duration,
}

/// Characters of a path in a span.
const MAX_PATH: usize = 512;

impl Exchange {
    /// Its span, by OpenTelemetry's conventions for HTTP clients; `nth` is how often it was tried before. No header
    /// and no query is in it: they may be secrets.
    pub(super) fn span(&self, url: &Url, nth: usize) -> Span {
        let purpose = self.purpose.as_str();
        info_span!(
            "exchange",
            otel.name = format!("{} {purpose}", self.method),
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = self.method,
            http.request.resend_count = (nth > 0).then_some(whole(nth)),
            http.response.status_code = Empty,
            http.response.body.size = Empty,
            server.address = url.host_str(),
            server.port = url.port_or_known_default().map(i64::from),
            url.scheme = url.scheme(),
            url.path = clean(url.path(), MAX_PATH),
            error.type = Empty,
            hullmark.purpose = purpose,
        )
    }

    /// Says in its span how it ended. A 401 is how a registry says which token it wants, and no error.
    pub(super) fn end(&self, span: &Span) {
        let Some(status) = self.status else {
            span.record("otel.status_code", "error");
            span.record("error.type", "no_answer");
            return;
        };
        span.record("http.response.status_code", i64::from(status));
        span.record("http.response.body.size", whole(self.bytes));
        if status >= 400 && status != 401 {
            span.record("otel.status_code", "error");
            span.record("error.type", status.to_string());
        }
    }
}

/// OpenTelemetry knows signed numbers alone; others become texts.
fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Is told of every lookup of a document.
pub type LookupObserver = Arc<dyn Fn(Lookup) + Send + Sync>;

/// How one document was come by. Several may be told of one lookup: one that is [`Self::Missed`] in memory may be a
/// [`Self::Shared`] hit that is then [`Self::Revalidated`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It was in this process's memory.
    Memory {
        /// For how long the registry has not been asked.
        age: Duration,
    },
    /// It was not in memory, or could not be believed any more.
    Missed,
    /// Somebody else was asking for it already.
    Joined,
    /// That it cannot be had was known from a moment ago.
    Failure,
    /// A cache had it, and the registry said by HEAD that it still holds.
    Revalidated,
    /// A cache had it, and the registry could not be asked whether it still holds.
    Stale {
        /// For how long the registry has not been asked.
        age: Duration,
    },
    /// The cache that replicas share was asked.
    Shared {
        /// What came of it.
        outcome: SharedLookup,
        /// What was read, in bytes.
        bytes: u64,
    },
}

/// What the cache that replicas share had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SharedLookup {
    /// The document.
    Hit,
    /// Nothing.
    Miss,
    /// No answer in time, or an error.
    Failed,
    /// It was not asked: it has failed too often a moment ago.
    Skipped,
    /// A document that does not have its digest. It was not used.
    Poisoned,
}

impl SharedLookup {
    /// A stable name for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Poisoned => "poisoned",
        }
    }
}

/// What an exchange was for. A redirect keeps the purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A manifest or an index.
    Manifest,
    /// A config blob.
    Config,
    /// A token.
    Token,
    /// `/v2/`, asked only because a 401 did not say what is wanted.
    Ping,
}

/// What a registry says of a limit on requests (`RateLimit-Limit` and `RateLimit-Remaining`, as Docker Hub sends
/// them: `100;w=21600` is a hundred in six hours).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a window.
    pub limit: u32,
    /// Those that are left of it.
    pub remaining: u32,
}

impl Purpose {
    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Token => "token",
            Self::Ping => "ping",
        }
    }
}

impl RateLimit {
    /// Whether less than a tenth is left.
    pub(super) fn is_scarce(self) -> bool {
        u64::from(self.remaining) * 10 < u64::from(self.limit)
    }
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
