//! What `serve` tells the cluster, beside its answers.

use clap::{ArgAction, Args};

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
    /// Lease by which replicas agree on the one that does what only one should, in our own namespace.
    #[arg(long, value_name = "NAME", default_value = "hullmark", env = "HULLMARK_LEASE")]
    pub lease: String,
}
