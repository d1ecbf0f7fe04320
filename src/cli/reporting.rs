//! What `serve` tells the cluster, beside its answers.

use super::duration;
use clap::{ArgAction, Args};
use std::time::Duration;

/// What `serve` tells the cluster.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Events and reports")]
pub struct ReportingArgs {
    /// Write Events of what policies find: about the policy for what is refused, else about the Pod's controller.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, env = "HULLMARK_EVENTS")]
    pub events: bool,
    /// What tells this replica from the others: the name of its Pod. Default: host and process.
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub own_name: Option<String>,
    /// With --cluster: how often one replica looks at everything that runs, for metrics and reports, such as 1h; at the
    /// start and when policies change, too. Not given: never.
    #[arg(long, value_name = "DURATION", value_parser = duration, env = "HULLMARK_SCAN_INTERVAL")]
    pub scan_interval: Option<Duration>,
    /// Lease by which replicas agree on the one that does what only one should, in our own namespace.
    #[arg(long, value_name = "NAME", default_value = "hullmark", env = "HULLMARK_LEASE")]
    pub lease: String,
}
