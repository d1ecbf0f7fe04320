//! The body of a request, read within a deadline and a bound on the memory of all bodies.
//!
//! What surprises: what is bounded is not the bytes but what they become. A field `{"name":"A"}` is 13 bytes
//! on the wire and more than a kilobyte as a value with its copies; a Pod of 3 MiB can have 250 000 of them,
//! which any user may create.

use super::refusal::Refusal;
use axum::{
    body::{Body, HttpBody},
    http::{self, HeaderMap, header},
};
use futures_util::StreamExt;
use std::{sync::LazyLock, time::Duration};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

/// Bytes of a body that are read. Above what the API server can send: objects of 3 MiB come twice
/// on UPDATE, and as JSON.
pub(super) const MAX_BODY: usize = 8 * 1024 * 1024;
/// Memory for bodies of all requests in flight and for what they become, in KiB: the bound on what callers
/// can make us hold, and with [`LEAST_BODY`] on how many requests are in flight. A quarter of what the
/// chart allows the container: the allocator gives back late.
pub(super) const ALL_BODIES: usize = 64 * 1024;
/// Bytes that an object, and any other value, come to with their copies while a review is judged; measured.
const PER_OBJECT: usize = 1700;
const PER_VALUE: usize = 130;
/// What a request counts for at least, in KiB.
const LEAST_BODY: usize = 64;
/// Up to which bytes a rough estimate is good enough.
const ESTIMATED: usize = 1024 * 1024;
/// How long a request waits for memory for the rest of its body.
const MORE_MEMORY: Duration = Duration::from_secs(1);

static BODIES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(ALL_BODIES));

/// A body, and the memory that is set aside for it.
pub(super) struct Bytes {
    pub(super) bytes: Vec<u8>,
    pub(super) memory: SemaphorePermit<'static>,
}

impl Bytes {
    pub(super) async fn read(request: http::Request<Body>, deadline: Instant) -> Result<Self, Refusal> {
        require_json(request.headers())?;
        let mut memory = reserve(request.headers(), deadline).await?;
        let reading = read(request.into_body(), &mut memory);
        let bytes = timeout_at(deadline, reading).await.unwrap_or(Err(Refusal::Slow))?;
        let missing = (weight(&bytes) / 1024).saturating_sub(memory.num_permits());
        if missing > ALL_BODIES {
            return Err(Refusal::TooManyValues);
        }
        memory.merge(take(missing, Instant::now() + MORE_MEMORY).await?);
        Ok(Self { bytes, memory })
    }
}

/// What a JSON document comes to, in bytes, by its structure alone; it need not be valid.
fn weight(json: &[u8]) -> usize {
    // What stands in texts counts here, too: more than it is, and much faster found. For most Pods that will do.
    let count = |wanted: u8| json.iter().fold(0, |count, byte| count + usize::from(*byte == wanted));
    let most = sum(json, count(b'{'), count(b',') + count(b'['));
    if most <= ESTIMATED { most } else { exact_weight(json) }
}

fn exact_weight(json: &[u8]) -> usize {
    let (mut objects, mut values) = (0, 0);
    let (mut in_text, mut is_escaped) = (false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' => objects += 1,
            b',' | b'[' => values += 1,
            _ => {}
        }
    }
    sum(json, objects, values)
}

fn sum(json: &[u8], objects: usize, values: usize) -> usize {
    2 * json.len() + objects * PER_OBJECT + values * PER_VALUE
}

fn require_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(Refusal::ContentType("missing".to_owned()));
    };
    let text = value.to_str().unwrap_or("unreadable");
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Refusal::ContentType(essence.chars().take(60).collect()))
    }
}

/// Takes memory for the beginning of a body before any of it is read; waits for it at most until the
/// deadline. More is taken as the body arrives: a length that is only announced would else be memory
/// that nobody uses, and a few slow callers could keep it from all others.
async fn reserve(headers: &HeaderMap, deadline: Instant) -> Result<SemaphorePermit<'static>, Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > MAX_BODY) {
        return Err(Refusal::TooLarge);
    }
    take(LEAST_BODY, deadline).await
}

async fn take(kibibytes: usize, until: Instant) -> Result<SemaphorePermit<'static>, Refusal> {
    let kibibytes = u32::try_from(kibibytes).map_err(|_| Refusal::TooLarge)?;
    match timeout_at(until, BODIES.acquire_many(kibibytes)).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(Refusal::Busy),
    }
}

async fn read(body: Body, memory: &mut SemaphorePermit<'static>) -> Result<Vec<u8>, Refusal> {
    // As long as it is said to be, up to what is set aside for it.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(announced.min(1024 * LEAST_BODY));
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Incomplete)?;
        let length = bytes.len() + chunk.len();
        if length > MAX_BODY {
            return Err(Refusal::TooLarge);
        }
        let missing = length.div_ceil(1024).saturating_sub(memory.num_permits());
        if missing > 0 {
            // By pieces, and not for long: whoever waits for more holds what others wait for.
            memory.merge(take(missing.max(LEAST_BODY), Instant::now() + MORE_MEMORY).await?);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_weighs_what_it_becomes() {
        for (json, objects, values) in [
            ("", 0, 0),
            ("{}", 1, 0),
            (r#"{"a":1,"b":[1,2,3]}"#, 1, 4),
            (r#"[{"a":{}},{"b":{}}]"#, 4, 2),
            (r#""a text with { and , and [""#, 0, 0),
            (r#"["\"{{{\"", "\\"]"#, 0, 2),
            (r#"{"never": "ends {{{"#, 1, 0),
        ] {
            let expected = 2 * json.len() + objects * PER_OBJECT + values * PER_VALUE;
            assert_eq!(exact_weight(json.as_bytes()), expected, "{json}");
            assert!(weight(json.as_bytes()) >= expected, "{json}");
        }
    }
}
