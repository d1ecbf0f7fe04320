//! Log lines on stderr: JSON for machines, text for people.
//!
//! Lines are written by the side: a thread has a bounded queue, and when whoever reads our stderr is
//! slow, lines are dropped and counted rather than admission made to wait (design.md, 5.11).

mod json;
mod side;
mod text;

use std::io::{self, IsTerminal};
use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt::MakeWriter, layer::SubscriberExt};

pub use side::{Dropped, Flush};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Text for a person.
    Text,
}

/// Why logging cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogError(String);

/// Sends the log of this process to stderr. Keep what is returned until the end: dropping it
/// writes what is still queued.
///
/// # Errors
/// [`LogError`] when `filter` cannot be read, or the process has a log already.
pub fn init(format: Format, filter: &str) -> Result<Flush, LogError> {
    let (writer, flush) = side::writer(io::stderr());
    let subscriber = subscriber(format, filter, io::stderr().is_terminal(), writer)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| LogError("this process has a log already".to_owned()))?;
    Ok(flush)
}

/// What turns events into lines; `filter` is a level, or directives such as `warn,hullmark=debug`.
///
/// # Errors
/// [`LogError`] when `filter` cannot be read.
pub fn subscriber<W>(
    format: Format,
    filter: &str,
    colours: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer =
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours && format == Format::Text);
    let layer = match format {
        Format::Json => layer.event_format(json::Lines).boxed(),
        Format::Text => layer.event_format(text::Lines::default()).boxed(),
    };
    Ok(Registry::default().with(layer.with_filter(parse(filter)?)))
}

/// A bare word that is no level would be taken for the name of a module, and silence all others.
fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let unreadable = || {
        LogError(format!(
            "--log {filter:?}: neither error, warn, info, debug or trace, nor directives such as warn,hullmark=debug"
        ))
    };
    // An empty word would be taken for `error`.
    let is_level =
        |word: &str| !word.is_empty() && word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    if filter.split(',').map(str::trim).any(|directive| !directive.contains('=') && !is_level(directive)) {
        return Err(unreadable());
    }
    // Each watch of ours tells its own failures, once.
    EnvFilter::builder().parse(format!("kube_runtime=error,{filter}")).map_err(|_| unreadable())
}

#[cfg(test)]
pub(super) mod tests;
