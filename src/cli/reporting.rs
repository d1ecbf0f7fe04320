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
    /// With --scan-interval: write reports of what runs where the cluster has a kind for them: openreports.io, else wgpolicyk8s.io.
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, env = "HULLMARK_REPORTS")]
    pub reports: bool,
    /// Tell in reports what complies, too.
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, env = "HULLMARK_REPORT_PASSES")]
    pub report_passes: bool,
    /// Results of one report; the rest is counted.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=500), env = "HULLMARK_REPORT_RESULTS")]
    pub report_results: u16,
    /// Lease by which replicas agree on the one that does what only one should, in our own namespace.
    #[arg(long, value_name = "NAME", default_value = "hullmark", env = "HULLMARK_LEASE")]
    pub lease: String,
}
