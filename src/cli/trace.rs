//! Where traces go.

use clap::Args;

/// Traces, over OTLP.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Traces")]
pub struct TraceArgs {
    /// Send traces to this OpenTelemetry collector, by OTLP over HTTP: `http://otel-collector:4318`. The other variables of
    /// OpenTelemetry's exporters (`OTEL_…`) are read too.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true)]
    pub otlp_endpoint: Option<String>,
}
