//! The command line: every flag, its environment variable and its help.

mod cache;
mod log;
mod pull_secrets;
mod registry;
mod reporting;
mod scan;
mod trace;

pub use cache::{CacheArgs, SharedCacheArgs};
pub use log::{LogArgs, LogFormat};
pub use pull_secrets::{PullSecretsArgs, PullSecretsScope};
pub use registry::{AddressRange, RegistryArgs};
pub use reporting::ReportingArgs;
pub use scan::{ScanArgs, ScanOutput};
pub use trace::TraceArgs;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::image::Platform;

/// Judge Pods by the configuration inside their container images, without pulling them.
#[derive(Debug, Parser)]
#[command(name = "hullmark", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show an image's configuration without pulling it.
    Inspect(InspectArgs),
    /// Judge manifests, as kubectl, helm and kustomize print them, by policies.
    Check(CheckArgs),
    /// Judge what runs in a cluster, by its policies or by ones that are not installed yet.
    Scan(ScanArgs),
    /// Run the admission webhook over TLS.
    Serve(Box<ServeArgs>),
    /// See it work: a registry, the webhook and sample Pods, all inside this process.
    Demo(DemoArgs),
    /// Work with policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Print the CustomResourceDefinitions of the policies.
    Crds,
    /// Work with the webhook configuration of a cluster.
    #[command(subcommand)]
    Webhook(WebhookCommand),
}

/// `hullmark webhook`.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Remove the webhook configuration, so that nobody is locked out by a webhook that is gone.
    Remove(WebhookRemoveArgs),
}

/// `hullmark webhook remove`.
#[derive(Debug, Args)]
pub struct WebhookRemoveArgs {
    /// Name of the webhook configuration.
    #[arg(long, value_name = "NAME", default_value = "hullmark", env = "HULLMARK_WEBHOOK_CONFIGURATION")]
    pub webhook_configuration: String,
    /// Kubeconfig; default: as a Pod, else as kubectl.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// `hullmark policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Run the cases that stand beside policies; no network is used.
    Test(PolicyTestArgs),
    /// Print the reference of every field and CEL variable, as Markdown.
    Reference,
}

/// `hullmark inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Images, as a Pod would name them: nginx, ghcr.io/acme/app:1.2, app@sha256:…
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Show this platform only (os/arch[/variant]).
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<Platform>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = InspectOutput::Text)]
    pub output: InspectOutput,
    /// Show each HTTP exchange on stderr; never a secret.
    #[arg(short, long)]
    pub verbose: bool,
    /// Give up on an image after this long.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub registry: RegistryArgs,
}

/// `inspect -o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InspectOutput {
    /// A short, aligned summary.
    Text,
    /// JSON: one object for one image, a list for several.
    Json,
    /// YAML.
    Yaml,
    /// The config blob, byte for byte. An index needs --platform.
    Raw,
}

/// `hullmark check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A manifest file, a folder of them, or - for standard input. May be repeated.
    #[arg(short = 'f', long = "filename", required = true, value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,
    /// Folder (or file) of policies.
    #[arg(long, required = true, value_name = "DIR", env = "HULLMARK_POLICIES")]
    pub policies: PathBuf,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = CheckOutput::Table)]
    pub output: CheckOutput,
    /// Judge images on these platforms only; default: every platform of the image.
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platforms: Vec<Platform>,
    /// Namespace of objects that name none.
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// Give up on an image after this long.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub registry: RegistryArgs,
}

/// `check -o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckOutput {
    /// A table for a person.
    Table,
    /// JSON.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
    /// JUnit XML, for CI servers.
    Junit,
}

/// `hullmark serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Folder (or file) of policies; read again when it changes.
    #[arg(
        long,
        value_name = "DIR",
        env = "HULLMARK_POLICIES",
        required_unless_present = "cluster",
        conflicts_with = "cluster"
    )]
    pub policies: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub cluster: ClusterArgs,
    /// Where the webhook listens (HTTPS).
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443", env = "HULLMARK_LISTEN")]
    pub listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are (plain HTTP).
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080", env = "HULLMARK_HEALTH_LISTEN")]
    pub health_listen: SocketAddr,
    /// Certificate chain (PEM). Read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "HULLMARK_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "HULLMARK_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Without --tls-cert: names and addresses that the certificate is for.
    #[arg(long = "tls-name", value_name = "NAME", value_delimiter = ',', default_values_t = [String::from("localhost"), String::from("127.0.0.1"), String::from("::1")])]
    pub tls_names: Vec<String>,
    /// Without --tls-cert: write the certificate of the authority made at start (PEM) here.
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert")]
    pub write_ca: Option<PathBuf>,
    /// Answer only callers with a certificate of an authority in this file (PEM, read at start): the API
    /// server's, as its `AdmissionConfiguration` says. Names are not looked at: let it sign nothing else.
    #[arg(long, value_name = "FILE", env = "HULLMARK_CLIENT_CA")]
    pub client_ca: Option<PathBuf>,
    /// Block nothing: what would have been refused is logged and counted.
    #[arg(long, env = "HULLMARK_AUDIT")]
    pub audit: bool,
    /// Judge images on these platforms only; default: every platform of the image.
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', env = "HULLMARK_PLATFORMS")]
    pub platforms: Vec<Platform>,
    /// After SIGTERM: not ready, but still serving, for this long.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration, env = "HULLMARK_DRAIN")]
    pub drain: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub logging: LogArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub registry: RegistryArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub cache: CacheArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub reporting: ReportingArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub trace: TraceArgs,
}

/// What `serve` does in a cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "In a cluster")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ClusterArgs {
    /// Take policies, exceptions, pull secrets, namespaces and nodes from the cluster.
    #[arg(long, env = "HULLMARK_CLUSTER")]
    pub cluster: bool,
    /// Kubeconfig; default: as a Pod, else as kubectl.
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub pull_secrets: PullSecretsArgs,
    /// Pull secrets of the operator's own, for every Pod.
    #[arg(long, value_name = "NAMESPACE/NAME", value_delimiter = ',', value_parser = namespaced_name, env = "HULLMARK_GLOBAL_PULL_SECRETS")]
    pub global_pull_secrets: Vec<NamespacedName>,
    /// Where exceptions count: all, none, or these namespaces.
    #[arg(
        long,
        value_name = "all|none|NAMESPACE",
        value_delimiter = ',',
        default_value = "all",
        env = "HULLMARK_EXCEPTIONS"
    )]
    pub exceptions: Vec<String>,
    /// What happens to an image that no policy matches.
    #[arg(long, value_enum, default_value_t = UnmatchedImages::Allow, env = "HULLMARK_UNMATCHED")]
    pub unmatched: UnmatchedImages,
    /// Label of namespaces that says enforce, warn or audit; empty: namespaces have no say.
    #[arg(long, value_name = "LABEL", default_value = "", env = "HULLMARK_MODE_LABEL")]
    pub mode_label: String,
    /// Label of Pods that lets them through for those who may; empty: nobody may.
    #[arg(long, value_name = "LABEL", default_value = "", env = "HULLMARK_BREAK_GLASS_LABEL")]
    pub break_glass_label: String,
    /// Groups that may break the glass.
    #[arg(long, value_name = "GROUP", value_delimiter = ',', env = "HULLMARK_BREAK_GLASS_GROUPS")]
    pub break_glass_groups: Vec<String>,
    /// Our own namespace: of the Secret with the webhook's authority, and exempt.
    #[arg(
        long = "own-namespace",
        value_name = "NAMESPACE",
        default_value = "hullmark",
        env = "POD_NAMESPACE"
    )]
    pub own_namespace: String,
    /// Service by which the API server reaches us: its certificate's names, and the webhook's caller.
    #[arg(long, value_name = "NAME", default_value = "hullmark", env = "HULLMARK_SERVICE")]
    pub service: String,
    /// The Service's port.
    #[arg(long, value_name = "PORT", default_value_t = 443, env = "HULLMARK_SERVICE_PORT")]
    pub service_port: u16,
    /// URL by which the API server reaches us, in place of the Service.
    #[arg(long, value_name = "URL", value_parser = webhook_url, env = "HULLMARK_WEBHOOK_URL")]
    pub webhook_url: Option<url::Url>,
    /// Secret with the authority that all replicas share.
    #[arg(long, value_name = "NAME", default_value = "hullmark-authority", env = "HULLMARK_CA_SECRET")]
    pub ca_secret: String,
    /// Make and keep the webhook configuration.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, env = "HULLMARK_MANAGE_WEBHOOK")]
    pub manage_webhook: bool,
    /// Name of the webhook configuration.
    #[arg(long, value_name = "NAME", default_value = "hullmark", env = "HULLMARK_WEBHOOK_CONFIGURATION")]
    pub webhook_configuration: String,
    /// ClusterRole that owns the webhook configuration, so that both go together.
    #[arg(long, value_name = "NAME", env = "HULLMARK_OWNER_CLUSTER_ROLE")]
    pub owner_cluster_role: Option<String>,
    /// How long the API server waits for an answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=30), env = "HULLMARK_WEBHOOK_TIMEOUT")]
    pub webhook_timeout: u8,
    /// Namespaces that are not judged, beside our own and kube-system.
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',', env = "HULLMARK_EXEMPT_NAMESPACES")]
    pub exempt_namespaces: Vec<String>,
    /// Label of namespaces that are not judged; empty: no label does that.
    #[arg(long, value_name = "LABEL", default_value = "", env = "HULLMARK_IGNORE_LABEL")]
    pub ignore_label: String,
    /// Pin images of Pods to the digest that was looked at.
    #[arg(long, env = "HULLMARK_PIN")]
    pub pin: bool,
    /// Judge images on the platforms of the cluster's nodes, unless --platforms says which.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, env = "HULLMARK_PLATFORMS_FROM_NODES")]
    pub platforms_from_nodes: bool,
}

/// `namespace/name`
pub type NamespacedName = (String, String);

/// `--unmatched`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnmatchedImages {
    /// Nothing.
    Allow,
    /// A warning.
    Warn,
    /// The Pod is refused.
    Deny,
}

fn webhook_url(text: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() == "https" && url.path() == "/" && is_plain {
        Ok(url)
    } else {
        Err("write it as https://HOST[:PORT]".to_owned())
    }
}

fn namespaced_name(text: &str) -> Result<NamespacedName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write it as NAMESPACE/NAME".to_owned()),
    }
}

/// `hullmark demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Print what each step sends and receives.
    #[arg(short, long)]
    pub verbose: bool,
}

/// `hullmark policy test`.
#[derive(Debug, Args)]
pub struct PolicyTestArgs {
    /// Folders of policies with their cases.
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = PolicyTestOutput::Text)]
    pub output: PolicyTestOutput,
}

/// `policy test -o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyTestOutput {
    /// One line a case.
    Text,
    /// JSON.
    Json,
    /// JUnit XML.
    Junit,
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("{text:?} is not a duration such as 500ms, 30s or 2m"))
}
