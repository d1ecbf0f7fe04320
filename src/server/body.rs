//! The body of a request, read within a deadline and a bound on the memory of all bodies.

use super::refusal::Refusal;
use axum::{
    body::Body,
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
/// Memory for bodies of all requests in flight, in KiB: the bound on what callers can make us hold,
/// and with [`LEAST_BODY`] on how many requests are in flight.
const ALL_BODIES: usize = 256 * 1024;
/// What a request counts for at least, in KiB.
const LEAST_BODY: usize = 64;
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
        Ok(Self { bytes, memory })
    }
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
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
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
