//! Whose pull secrets are read.

use clap::{Args, ValueEnum};

/// Whose pull secrets are read.
#[derive(Clone, Debug, Args)]
pub struct PullSecretsArgs {
    /// Whose pull secrets are read.
    #[arg(long = "pull-secrets", value_enum, default_value_t = PullSecretsScope::Cluster, env = "HULLMARK_PULL_SECRETS")]
    pub scope: PullSecretsScope,
    /// With --pull-secrets namespaces: these.
    #[arg(
        long = "pull-secret-namespaces",
        value_name = "NAMESPACE",
        value_delimiter = ',',
        env = "HULLMARK_PULL_SECRET_NAMESPACES"
    )]
    pub namespaces: Vec<String>,
}

/// `--pull-secrets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PullSecretsScope {
    /// Nobody's.
    Disabled,
    /// Those of the namespaces that --pull-secret-namespaces names.
    Namespaces,
    /// Those of every namespace.
    Cluster,
}
