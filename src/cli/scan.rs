//! `hullmark scan`.

use super::{PullSecretsArgs, RegistryArgs, duration};
use crate::image::Platform;
use clap::{Args, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// `hullmark scan`.
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// Judge by the policies of this folder, installed or not; default: those of the cluster.
    #[arg(long, value_name = "DIR", env = "HULLMARK_POLICIES")]
    pub policies: Option<PathBuf>,
    /// Kubeconfig; default: as a Pod, else as kubectl.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; default: its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Look at this namespace only.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Namespaces that are passed over, as the webhook does.
    #[arg(
        long,
        value_name = "NAMESPACE",
        value_delimiter = ',',
        default_values_t = [String::from("kube-system"), String::from("hullmark")],
        env = "HULLMARK_SCAN_EXEMPT_NAMESPACES"
    )]
    pub exempt_namespaces: Vec<String>,
    /// Label of namespaces that are passed over, as the webhook does; empty: no label does that.
    #[arg(long, value_name = "LABEL", default_value = "hullmark.dev/ignore", env = "HULLMARK_IGNORE_LABEL")]
    pub ignore_label: String,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = ScanOutput::Table)]
    pub output: ScanOutput,
    /// Exit with 0 although Pods would be refused now.
    #[arg(long)]
    pub exit_zero: bool,
    /// Judge images on these platforms only; default: those of the cluster's nodes.
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', env = "HULLMARK_PLATFORMS")]
    pub platforms: Vec<Platform>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub pull_secrets: PullSecretsArgs,
    /// Name of the webhook configuration: Pods that are older than it were never judged.
    #[arg(long, value_name = "NAME", default_value = "hullmark", env = "HULLMARK_WEBHOOK_CONFIGURATION")]
    pub webhook_configuration: String,
    /// Give up on the images of an object after this long.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub registry: RegistryArgs,
}

/// `scan -o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScanOutput {
    /// Tables for a person.
    Table,
    /// JSON.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// One page that needs nothing else: for a browser, a meeting, a printer.
    Html,
}
