//! `POST /validate`: from a request's head to its answer, within one deadline.

use super::{Observe, Phase, Reviewed, Webhook, body::Bytes, deadline, refusal::Refusal, span};
use crate::{
    admission::{self, Answer, Mode, Request},
    policy::{Namespace, PolicySet},
    review::{Circumstances, FindCredentials, ResolveImage, Review},
    workload::ImageUse,
};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{self, HeaderValue, Method, Version, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::post,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};
use tokio::{sync::watch, time::Instant};
use tracing::{Instrument, info_span};

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
        // One layer, not two: each is some allocations for each request.
        .layer(from_fn(move |request: http::Request<Body>, next: Next| {
            let observer = Arc::clone(&observer);
            async move {
                let span = span::request(&request);
                observer.begins(&span, request.headers());
                let response = catch_panics(request, next).instrument(span.clone()).await;
                span::answered(&span, response.status());
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

/// A panic before there is a request to answer becomes HTTP 500, so that the caller's `failurePolicy`
/// decides, and only this request fails.
async fn catch_panics(request: http::Request<Body>, next: Next) -> Response {
    unless_it_panics(next.run(request)).await.unwrap_or_else(|Panicked| Refusal::Panic.into_response())
}

/// A defect of ours; the panic itself has been logged where it happened.
struct Panicked;

async fn unless_it_panics<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut running = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
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
    let read = info_span!("read");
    let Bytes { bytes, memory: _memory } = Bytes::read(request, deadline).instrument(read.clone()).await?;
    let policies = Arc::clone(&webhook.policies.borrow());
    let parse = if policies.reads_object() { Request::parse } else { Request::parse_pruned };
    let request = read.in_scope(|| parse(&bytes))?;
    drop((bytes, read));
    let reading = started.elapsed();
    let namespace = request.namespace.as_deref().map(|name| webhook.namespaces.namespace(name));
    let mode = webhook.stance.mode(&request, namespace.as_deref());
    let judged =
        unless_it_panics(webhook.judge(&request, &policies, namespace.as_deref(), mode, deadline)).await;
    let (review, answer) = judged.unwrap_or_else(|Panicked| {
        let detail = "a defect in it; its log has more";
        (None, admission::respond_failure(&request, detail, mode))
    });
    let reviewed = Reviewed {
        request: &request,
        review: review.as_ref(),
        answer: &answer,
        mode,
        reading,
        elapsed: started.elapsed(),
    };
    span::reviewed(&reviewed);
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

impl<R: ResolveImage, C: FindCredentials, O> Webhook<R, C, O> {
    async fn judge(
        &self,
        request: &Request,
        policies: &PolicySet,
        namespace: Option<&Namespace>,
        mode: Mode,
        deadline: Instant,
    ) -> (Option<Review>, Answer) {
        let workload = match &request.workload {
            Ok(workload) => workload,
            Err(reason) => return (None, admission::allow_unjudged(request, reason)),
        };
        let at = Circumstances {
            request: &request.attributes,
            old_object: &request.old_object,
            namespace,
            now: (self.clock)(),
            deadline,
        };
        let review = self.reviewer.review(workload, policies, at).await;
        let answer = info_span!("answer")
            .in_scope(|| admission::respond(request, &review.verdict, &review.facts, mode));
        (Some(review), answer)
    }
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
