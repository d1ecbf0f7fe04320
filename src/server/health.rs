//! `/livez`, `/readyz` and `/metrics`, on their own plain port.

use super::{Observe, Readiness};
use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use std::sync::Arc;

/// What a Prometheus asks for and gets (OpenMetrics 1.0, Content Type).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes. `/livez` says that the process answers at all, and nothing more: a restart would not
/// help against anything that `/readyz` tells.
pub(super) fn router<O: Observe>(readiness: Readiness, observer: Arc<O>) -> Router {
    let ready = move || {
        let (ready, text) = readiness.report();
        async move { (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text) }
    };
    let metrics = move || {
        let text = observer.exposition();
        async move { ([(header::CONTENT_TYPE, OPEN_METRICS)], text) }
    };
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || {
            (StatusCode::NOT_FOUND, "hullmark: here are /livez, /readyz and /metrics\n").into_response()
        })
}
