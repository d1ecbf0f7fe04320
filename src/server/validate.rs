//! `POST /validate`: from a request's head to its answer, within one deadline.

use super::{Observe, Phase, Reviewed, Webhook, deadline, refusal::Refusal};
use crate::{
    admission::{self, Answer, Mode, Request},
    policy::Namespace,
    review::{Circumstances, FindCredentials, ResolveImage, Review},
    workload::ImageUse,
};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{self, HeaderMap, HeaderValue, Method, Version, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::StreamExt;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, LazyLock},
    task::Poll,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
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

static BODIES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(ALL_BODIES));

/// The routes of the webhook's port.
pub fn router<R, C, O>(webhook: Arc<Webhook<R, C, O>>) -> Router
where
    R: ResolveImage + 'static,
    C: FindCredentials + 'static,
    O: Observe,
{
    let observer = Arc::clone(&webhook.observer);
    Router::new()
        .route("/validate", post(validate::<R, C, O>).fallback(other_method))
        .route("/mutate", post(mutate::<R, C, O>).fallback(other_method))
        .route("/validate-policy", post(validate_policy::<R, C, O>).fallback(other_method))
        .fallback(async || Refusal::NotFound)
        .with_state(webhook)
        .layer(from_fn(catch_panics))
        .layer(from_fn(move |request, next: Next| {
            let observer = Arc::clone(&observer);
            async move {
                let response = next.run(request).await;
                if !response.status().is_success() {
                    observer.refused(response.status().as_u16());
                }
                response
            }
        }))
}

/// Routes whose answers close their connection as soon as a stop was asked for. The API server would
/// keep using a connection to a Pod that is going away (Kubernetes issue 127335).
pub(super) fn guarded(routes: Router, phase: watch::Receiver<Phase>) -> Router {
    routes.layer(from_fn(move |request: http::Request<Body>, next: Next| {
        let phase = phase.clone();
        async move {
            // HTTP/2 has no such header; its connections get a GOAWAY when the drain is over.
            let has_header = request.version() <= Version::HTTP_11;
            let mut response = next.run(request).await;
            if has_header && *phase.borrow() > Phase::Serving {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }))
}

async fn other_method(method: Method) -> Refusal {
    let known = matches!(method, Method::GET | Method::HEAD | Method::PUT | Method::PATCH | Method::DELETE);
    Refusal::Method(if known { method.to_string() } else { "this method".to_owned() })
}

/// A panic becomes HTTP 500, so that the caller's `failurePolicy` decides, and only this request fails.
async fn catch_panics(request: http::Request<Body>, next: Next) -> Response {
    let mut running = pin!(next.run(request));
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(_) => Poll::Ready(Refusal::Panic.into_response()),
    })
    .await
}

async fn validate<R, C, O>(
    State(webhook): State<Arc<Webhook<R, C, O>>>,
    request: http::Request<Body>,
) -> Result<Response, Refusal>
where
    R: ResolveImage + 'static,
    C: FindCredentials + 'static,
    O: Observe,
{
    let started = Instant::now();
    let deadline = started + deadline::budget(request.uri().query())?;
    let _counted = InFlight::new(webhook.observer.as_ref());
    let Bytes { bytes, memory: _memory } = Bytes::read(request, deadline).await?;
    let request = Request::parse(&bytes)?;
    drop(bytes);
    let namespace = request.namespace.as_deref().map(|name| webhook.namespaces.namespace(name));
    let mode = webhook.stance.mode(&request, namespace.as_deref());
    let (review, answer) = webhook.judge(&request, namespace.as_deref(), mode, deadline).await;
    let reviewed = Reviewed {
        request: &request,
        review: review.as_ref(),
        answer: &answer,
        mode,
        elapsed: started.elapsed(),
    };
    webhook.observer.reviewed(&reviewed);
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.body).into_response())
}

/// Pins the images of a Pod that a policy may be for.
async fn mutate<R, C, O>(
    State(webhook): State<Arc<Webhook<R, C, O>>>,
    request: http::Request<Body>,
) -> Result<Response, Refusal>
where
    R: ResolveImage + 'static,
    C: FindCredentials + 'static,
    O: Observe,
{
    let deadline = Instant::now() + deadline::budget(request.uri().query())?;
    let _counted = InFlight::new(webhook.observer.as_ref());
    let Bytes { bytes, memory: _memory } = Bytes::read(request, deadline).await?;
    let request = Request::parse(&bytes)?;
    drop(bytes);
    let facts = match &request.workload {
        // Controllers would see a template that changes under their hands.
        Ok(workload) if !workload.is_template => {
            let policies = Arc::clone(&webhook.policies.borrow());
            let wanted = |usage: &ImageUse| policies.may_select(workload, usage);
            webhook.reviewer.facts(workload, wanted, deadline).await
        }
        Ok(_) | Err(_) => Vec::new(),
    };
    let answer = admission::respond_pinned(&request, &facts);
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

/// Reviews a policy or an exception of ours.
async fn validate_policy<R, C, O: Observe>(
    State(webhook): State<Arc<Webhook<R, C, O>>>,
    request: http::Request<Body>,
) -> Result<Response, Refusal> {
    let deadline = Instant::now() + deadline::budget(request.uri().query())?;
    let _counted = InFlight::new(webhook.observer.as_ref());
    let answer = admission::review_document(&Bytes::read(request, deadline).await?.bytes)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

/// A body, and the memory that is set aside for it.
struct Bytes {
    bytes: Vec<u8>,
    memory: SemaphorePermit<'static>,
}

impl Bytes {
    async fn read(request: http::Request<Body>, deadline: Instant) -> Result<Self, Refusal> {
        require_json(request.headers())?;
        let memory = reserve(request.headers(), deadline).await?;
        let bytes = timeout_at(deadline, read(request.into_body())).await.unwrap_or(Err(Refusal::Slow))?;
        Ok(Self { bytes, memory })
    }
}

impl<R: ResolveImage, C: FindCredentials, O> Webhook<R, C, O> {
    async fn judge(
        &self,
        request: &Request,
        namespace: Option<&Namespace>,
        mode: Mode,
        deadline: Instant,
    ) -> (Option<Review>, Answer) {
        let workload = match &request.workload {
            Ok(workload) => workload,
            Err(reason) => return (None, admission::allow_unjudged(request, reason)),
        };
        let policies = Arc::clone(&self.policies.borrow());
        let at = Circumstances {
            request: &request.attributes,
            old_object: &request.old_object,
            namespace,
            now: (self.clock)(),
            deadline,
        };
        let review = self.reviewer.review(workload, &policies, at).await;
        let answer = admission::respond(request, &review.verdict, &review.facts, mode);
        (Some(review), answer)
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

/// Takes memory for the body before any of it is read; waits for it at most until the deadline.
async fn reserve(headers: &HeaderMap, deadline: Instant) -> Result<SemaphorePermit<'static>, Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    // Without a length it may be as long as any.
    let length = length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(MAX_BODY);
    if length > MAX_BODY {
        return Err(Refusal::TooLarge);
    }
    let kibibytes = u32::try_from(length.div_ceil(1024).max(LEAST_BODY)).map_err(|_| Refusal::TooLarge)?;
    match timeout_at(deadline, BODIES.acquire_many(kibibytes)).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(Refusal::Busy),
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Incomplete)?;
        if bytes.len() + chunk.len() > MAX_BODY {
            return Err(Refusal::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Counts a request while it lives, whatever becomes of it.
struct InFlight<'a, O: Observe>(&'a O);

impl<'a, O: Observe> InFlight<'a, O> {
    fn new(observer: &'a O) -> Self {
        observer.in_flight(1);
        Self(observer)
    }
}

impl<O: Observe> Drop for InFlight<'_, O> {
    fn drop(&mut self) {
        self.0.in_flight(-1);
    }
}
