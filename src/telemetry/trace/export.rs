//! Spans leave by the side: a bounded queue, a thread that sends batches, drops that are counted.
//!
//! The queue, the batches and the encoding are OpenTelemetry's own. Ours is what it does not tell: how many spans were
//! lost, and in one line of the log when the collector goes and when it is back.

use super::settings::{Settings, TraceError};
use async_trait::async_trait;
use opentelemetry::Context;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter as Export, SpanProcessor},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use std::{
    error::Error,
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;

/// Spans that wait to be sent, those on their way included; at about a kilobyte each, some megabytes.
const QUEUE: usize = 4096;
/// Spans that are sent at once.
const BATCH: usize = 512;

/// What became of spans, shared by all who have a hand in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    waiting: Arc<AtomicUsize>,
    exported: Counter,
    dropped: Family<DropLabels, Counter>,
    is_failing: Arc<AtomicBool>,
    /// Why the last request had no answer: OpenTelemetry keeps it to itself.
    last_error: Arc<Mutex<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: &'static str,
}

impl Fate {
    pub(super) fn show_in(&self, registry: &mut Registry) {
        registry.register("trace_spans_exported", "Spans that the collector took", self.exported.clone());
        registry.register(
            "trace_spans_dropped",
            "Spans that were lost: too many waited (queue_full), or the collector did not take them (not_exported)",
            self.dropped.clone(),
        );
        // From the start, so that the first drop is an increase.
        for reason in ["queue_full", "not_exported"] {
            self.drop(reason, 0);
        }
    }

    fn drop(&self, reason: &'static str, count: usize) {
        self.dropped.get_or_create(&DropLabels { reason }).inc_by(count as u64);
    }

    /// A batch is through, or lost. Tells the log when that is news.
    fn sent(&self, count: usize, result: &OTelSdkResult) {
        self.waiting.fetch_sub(count, Ordering::AcqRel);
        match result {
            Ok(()) => {
                self.exported.inc_by(count as u64);
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("traces reach the collector again");
                }
            }
            Err(error) => {
                self.drop("not_exported", count);
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    let cause =
                        std::mem::take(&mut *self.last_error.lock().unwrap_or_else(PoisonError::into_inner));
                    let error = error.to_string();
                    tracing::warn!(
                        error,
                        cause,
                        "traces do not reach the collector; they are dropped and counted"
                    );
                }
            }
        }
    }
}

/// The way to the collector; must be made inside a runtime, which sends the requests.
pub(super) fn processor(settings: &Settings, fate: &Fate) -> Result<impl SpanProcessor + use<>, TraceError> {
    let client = OnRuntime { client: client(settings)?, runtime: Handle::current(), fate: fate.clone() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.as_str())
        .with_timeout(settings.timeout)
        .build()
        .map_err(|error| TraceError(error.to_string()))?;
    let exporter = Told { exporter, fate: fate.clone() };
    // One more than ours lets in, so that nothing is ever lost where it is not counted.
    let config =
        BatchConfigBuilder::default().with_max_queue_size(QUEUE + 1).with_max_export_batch_size(BATCH);
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config.build()).build();
    Ok(Gate { batches, fate: fate.clone() })
}

fn client(settings: &Settings) -> Result<reqwest::Client, TraceError> {
    // reqwest asks for the process's provider; another caller may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("hullmark/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(settings.timeout)
        .pool_idle_timeout(Duration::from_secs(55))
        // Plain http needs no roots, so a machine without any can still use it.
        .tls_danger_accept_invalid_certs(settings.endpoint.scheme() == "http");
    if let Some(path) = &settings.roots {
        let said = |error: &dyn Error| {
            TraceError(format!("OTEL_EXPORTER_OTLP_CERTIFICATE {}: {error}", path.display()))
        };
        let pem = fs::read(path).map_err(|error| said(&error))?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| said(&error))?;
        builder = builder.tls_certs_merge(roots);
    }
    builder.build().map_err(|error| TraceError(format!("no connection can be made: {}", causes(&error))))
}

/// Lets in as many spans as may wait.
#[derive(Debug)]
struct Gate {
    batches: BatchSpanProcessor,
    fate: Fate,
}

impl SpanProcessor for Gate {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.fate.waiting.fetch_add(1, Ordering::AcqRel) < QUEUE {
            self.batches.on_end(span);
        } else {
            self.fate.waiting.fetch_sub(1, Ordering::AcqRel);
            self.fate.drop("queue_full", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Tells what became of each batch.
#[derive(Debug)]
struct Told {
    exporter: SpanExporter,
    fate: Fate,
}

impl Export for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.exporter.export(batch).await;
        self.fate.sent(count, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Sends on the runtime: the thread that makes batches has none.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
    fate: Fate,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await;
        let result = sent.unwrap_or_else(|ended| Err(ended.into()));
        if let Err(error) = &result {
            let cause = causes(error.as_ref());
            *self.fate.last_error.lock().unwrap_or_else(PoisonError::into_inner) = cause;
        }
        result
    }
}

/// Why, from the last cause: those before it name the URL, whose query may be a secret.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    if last.is::<reqwest::Error>() {
        "the request failed".to_owned()
    } else {
        crate::text::clean(&last.to_string(), 200)
    }
}
