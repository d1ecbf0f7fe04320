//! Traces, over OTLP: off unless an endpoint is named.
//!
//! The edges make spans with the `tracing` crate and know nothing of this. Off, nobody listens, and a span costs one
//! atomic load. On, this layer turns ours, and no others (those of the HTTP library would tell headers), into spans of
//! OpenTelemetry, continues the trace that a caller's `traceparent` names, and sends them by the side (`export`).

mod export;
mod settings;

pub use settings::{Settings, TraceError};

use super::log::Listener;
use axum::http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::SdkTracerProvider,
};
use prometheus_client::registry::Registry as Metrics;
use std::time::Duration;
use tracing::{Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn};

/// At the end, spans that wait have so long to be sent.
const FLUSH: Duration = Duration::from_secs(2);
/// What the targets of our spans begin with.
const OURS: &str = env!("CARGO_PKG_NAME");

/// Traces of this process.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    fate: export::Fate,
}

impl Traces {
    /// Must be called inside a runtime, which sends them.
    ///
    /// # Errors
    /// [`TraceError`] when no connection can be made, for want of certificates.
    pub fn new(settings: &Settings, version: &'static str) -> Result<Self, TraceError> {
        let fate = export::Fate::default();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(settings, version))
            .with_span_processor(export::processor(settings, &fate)?)
            .build();
        Ok(Self { provider, fate })
    }

    /// The layer that turns spans into traces.
    pub fn layer(&self) -> Listener {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(OURS))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false);
        layer.with_filter(filter_fn(is_ours)).boxed()
    }

    /// Shows how many spans were sent and lost.
    pub(super) fn show_in(&self, metrics: &mut Metrics) {
        self.fate.show_in(metrics);
    }

    /// Sends what waits; what is not sent within two seconds is lost.
    pub async fn finish(self) {
        let flushed = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the last traces were not sent: the collector did not take them in time");
        }
    }
}

/// Our own spans, and no events: they are the log's.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let rest = metadata.target().strip_prefix(OURS);
    metadata.is_span() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Who we are; what the environment says goes before what we say.
fn resource(settings: &Settings, version: &'static str) -> Resource {
    let own = [KeyValue::new("service.name", OURS), KeyValue::new("service.version", version)];
    let resource = Resource::builder_empty()
        .with_attributes(own)
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    match &settings.service {
        Some(name) => resource.with_service_name(name.clone()),
        None => resource,
    }
    .build()
}

/// Makes `span`, which has not begun, a part of the trace that the caller's headers name (W3C Trace Context), if they
/// name one. Whether it is sampled is then the caller's decision.
pub fn continue_from(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let extractor = HeaderExtractor(headers);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &extractor);
    if context.span().span_context().is_valid() {
        // It can only fail where there is no layer of ours, and then there is nothing to continue.
        let _ = span.set_parent(context);
    }
}

/// The id of the trace that we are in, in hex; none where there is none that is sent.
pub fn current_id() -> Option<String> {
    let span = Span::current();
    if span.is_none() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let known = span.span_context();
    (known.is_valid() && known.is_sampled()).then(|| known.trace_id().to_string())
}
