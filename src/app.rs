//! Where the edges are wired together: each command builds what it needs, and nothing else does.

mod serve;

pub use serve::{Recorder, serve};

/// The wall clock. Everything below is told the time.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
