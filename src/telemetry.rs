//! What the world learns of a review: one log line and metrics.
//!
//! [`record`] is the one place where a review becomes either. In go the request, what was found and
//! the answer; effects come out, after the decision. No body, credential or value of an environment
//! variable is ever logged; sizes are bounded; metrics' labels are closed sets, or capped.

mod exchanges;
mod host_class;
pub mod log;
mod lookups;
mod metrics;
mod process;
mod record;
mod sample;
mod scans;

pub use exchanges::Exchanged;
pub use lookups::{Kept, LookedUp};
pub use metrics::{Metrics, Queue};
pub use record::{Outcome, record};
pub use sample::Sample;
pub use scans::Scanned;

/// The target of the lines that say how a request was judged, for filters and for whoever collects logs.
const DECISION: &str = "hullmark::decision";
