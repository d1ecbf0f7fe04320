//! What the world learns of a review: one log line, metrics and, if asked for, a trace.
//!
//! [`record`] is the one place where a review becomes either. In go the request, what was found and
//! the answer; effects come out, after the decision. No body, credential or value of an environment
//! variable is ever logged; sizes are bounded; metrics' labels are closed sets, or capped.

mod exchanges;
pub mod log;
mod lookups;
mod metrics;
mod record;
pub mod trace;

pub use exchanges::Exchanged;
pub use lookups::{Kept, LookedUp};
pub use metrics::Metrics;
pub use record::{Outcome, record};
