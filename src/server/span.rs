//! The spans of a request, with OpenTelemetry's names for what they tell. Nothing is spent on them unless somebody
//! listens. No body, user or value of a variable is in them.

use super::Reviewed;
use crate::text::clean;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use tracing::{Span, field::Empty};

/// The paths that we have. Others are not told: a stranger chose them.
const ROUTES: [&str; 3] = ["/validate", "/mutate", "/validate-policy"];
/// The methods that have a name of their own there.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Characters of a name.
const MAX_NAME: usize = 256;

/// A request to the webhook's port.
pub(super) fn request(request: &Request<Body>) -> Span {
    let route = || ROUTES.into_iter().find(|route| *route == request.uri().path());
    let method = || METHODS.into_iter().find(|method| *method == request.method().as_str());
    let name = || match (method().unwrap_or("HTTP"), route()) {
        (method, Some(route)) => format!("{method} {route}"),
        (method, None) => method.to_owned(),
    };
    tracing::info_span!(
        "request",
        otel.name = name(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method().unwrap_or("_OTHER"),
        http.route = route(),
        http.response.status_code = Empty,
        url.scheme = "https",
        error.type = Empty,
        k8s.namespace.name = Empty,
        hullmark.request.uid = Empty,
        hullmark.request.kind = Empty,
        hullmark.request.name = Empty,
        hullmark.request.dry_run = Empty,
        hullmark.mode = Empty,
        hullmark.code = Empty,
        hullmark.allowed = Empty,
    )
}

/// What the caller got.
pub(super) fn answered(span: &Span, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    // OpenTelemetry knows signed numbers alone; others become texts.
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "error");
        span.record("error.type", status.as_str());
    }
}

/// What the review was about, and how it ended.
pub(super) fn reviewed(reviewed: &Reviewed<'_>) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let Reviewed { request, answer, mode, .. } = *reviewed;
    if let Some(namespace) = &request.namespace {
        span.record("k8s.namespace.name", clean(namespace, MAX_NAME));
    }
    span.record("hullmark.request.uid", clean(&request.uid, MAX_NAME));
    span.record("hullmark.request.kind", clean(&request.kind, MAX_NAME));
    span.record("hullmark.request.name", clean(&request.name, MAX_NAME));
    span.record("hullmark.request.dry_run", request.dry_run);
    span.record("hullmark.mode", mode.as_str());
    span.record("hullmark.code", i64::from(answer.code));
    span.record("hullmark.allowed", answer.allowed);
}
