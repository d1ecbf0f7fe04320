//! Where the edges are wired together: each command builds what it needs, and nothing else does.

mod scan;
mod serve;

pub use serve::{Recorder, serve};

use crate::{
    auth_files::{AuthFiles, Environment},
    check,
    cli::{
        CheckArgs, Cli, Command, InspectArgs, PolicyCommand, PullSecretsArgs, PullSecretsScope, RegistryArgs,
        SharedCacheArgs, WebhookCommand,
    },
    cluster::{self, pull_secrets::Scope},
    crds,
    credential_provider::CredentialProviders,
    demo, inspect, policy_files, policy_reference, policy_test,
    registry::{Exchange, Observer, ProxySettings, Registry, Settings, SharedSettings},
    review::{self, Chain, ResolveImage, Reviewer},
    text::clean,
};
use anyhow::{Context, Result};
use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

/// Bad usage, unreadable input, a broken policy, an image that could not be looked at.
const FAILED: u8 = 2;

/// The wall clock. Everything below is told the time.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Runs a command line to its end.
pub fn run(cli: Cli) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime
        .context("the runtime cannot be started")
        .and_then(|runtime| runtime.block_on(dispatch(cli.command)));
    ended.unwrap_or_else(|error| {
        // A reader that went away (`hullmark crds | head`) needs no error.
        if !is_broken_pipe(&error) {
            // There is nowhere left to tell it if this fails.
            let _ = writeln!(io::stderr(), "hullmark: {error:#}");
        }
        ExitCode::from(FAILED)
    })
}

async fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Inspect(args) => inspect(&args).await,
        Command::Check(args) => check(&args).await,
        Command::Scan(args) => scan::run(&args).await,
        Command::Serve(args) => serve(*args).await,
        Command::Demo(args) => demo::run(&args, &mut io::stdout()).await,
        Command::Policy(PolicyCommand::Test(args)) => policy_test::run(&args, &mut io::stdout()).await,
        Command::Policy(PolicyCommand::Reference) => print(&policy_reference::markdown()),
        Command::Crds => print(&crds::crds()),
        Command::Webhook(WebhookCommand::Remove(args)) => {
            let client = cluster::connect(args.kubeconfig.as_deref()).await?;
            cluster::webhook::remove(client, &args.webhook_configuration).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn inspect(args: &InspectArgs) -> Result<ExitCode> {
    let observer: Option<Observer> = args.verbose.then(|| -> Observer { Arc::new(tell) });
    let (images, credentials) = registry(&args.registry, observer, args.verbose)?;
    images.keep_documents();
    let ended = inspect::run(args, &images, &credentials, now(), &mut io::stdout(), &mut io::stderr()).await;
    tell_credentials(&credentials, args.verbose, &ended);
    ended
}

/// What is wrong with the user's credentials, where that may be why `ended` is no success. Notes of
/// helpers are there only once they were asked.
fn tell_credentials(credentials: &Keys, always: bool, ended: &Result<ExitCode>) {
    if always || !ended.as_ref().is_ok_and(|code| *code == ExitCode::SUCCESS) {
        let plugins = credentials.then.iter().flat_map(CredentialProviders::notes);
        for note in credentials.first.notes().into_iter().chain(plugins) {
            let _ = writeln!(io::stderr(), "# {}", clean(&note, 500));
        }
    }
}

async fn check(args: &CheckArgs) -> Result<ExitCode> {
    let policies = policy_files::compile(&args.policies)?;
    let (images, credentials) = registry(&args.registry, None, true)?;
    let nodes = review::nodes((!args.platforms.is_empty()).then(|| args.platforms.clone()));
    let reviewer = Reviewer { images, credentials, nodes };
    let mut stderr = io::stderr();
    let terminal = stderr.is_terminal().then_some(&mut stderr as &mut (dyn Write + Send));
    let ended = check::run(args, &reviewer, &policies.set, now(), &mut io::stdout(), terminal).await;
    tell_credentials(&reviewer.credentials, false, &ended);
    ended
}

/// The user's credentials: auth files, then plugins, as on a node.
type Keys = Chain<AuthFiles, CredentialProviders>;

/// The registry edge and the user's credentials, as every command of the command line has them.
fn registry(args: &RegistryArgs, observer: Option<Observer>, tell_notes: bool) -> Result<(Registry, Keys)> {
    let images = Registry::new(settings(args, observer)?)?;
    for note in images.notes().iter().filter(|_| tell_notes) {
        let _ = writeln!(io::stderr(), "# {}", clean(note, 500));
    }
    let files = AuthFiles::read(&Environment::read(|name| std::env::var_os(name)));
    Ok((images, Chain { first: files, then: credential_providers(args)? }))
}

/// How registries are reached, by the command line and the environment.
fn settings(args: &RegistryArgs, observer: Option<Observer>) -> Result<Settings> {
    Ok(Settings {
        hosts_dir: args.hosts_dir.clone(),
        allow_registries: args.allow_registries.clone(),
        deny_registries: args.deny_registries.clone(),
        allow_addresses: args.allow_addresses.clone(),
        refuse_addresses: args.refuse_addresses.iter().flat_map(|range| range.0.clone()).collect(),
        proxies: ProxySettings::read(|name| std::env::var(name).ok()),
        observer,
        // Policies ask for it where they read it.
        keep_documents: false,
        shared_cache: shared_cache(&args.shared_cache)?,
        ..Settings::default()
    })
}

fn shared_cache(args: &SharedCacheArgs) -> Result<Option<SharedSettings>> {
    let Some(url) = &args.cache else { return Ok(None) };
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("--cache-ca {}", path.display()));
    let roots = args.cache_ca.as_ref().map(read).transpose()?;
    Ok(Some(SharedSettings { url: url.clone(), roots, patience: args.cache_timeout }))
}

/// Whose pull secrets are read, by the command line.
fn pull_secrets(args: &PullSecretsArgs) -> Scope {
    match args.scope {
        PullSecretsScope::Disabled => Scope::Disabled,
        PullSecretsScope::Namespaces => Scope::Namespaces(args.namespaces.iter().cloned().collect()),
        PullSecretsScope::Cluster => Scope::Cluster,
    }
}

/// A label that the command line names; empty: none.
fn label(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

/// The plugins that the command line names.
fn credential_providers(args: &RegistryArgs) -> Result<Option<CredentialProviders>> {
    let named = args.image_credential_provider_config.as_ref();
    let named = named.zip(args.image_credential_provider_bin_dir.as_ref());
    Ok(named.map(|(config, folder)| CredentialProviders::load(config, folder)).transpose()?)
}

fn tell(exchange: &Exchange) {
    // A closed stderr is no reason to fail.
    let _ = writeln!(io::stderr(), "# {}", exchange_line(exchange));
}

/// `GET https://… 200 1234 bytes 12.3 ms`
pub fn exchange_line(exchange: &Exchange) -> String {
    let status = exchange.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let ms = exchange.elapsed.as_secs_f64() * 1000.0;
    let warning =
        exchange.warning.as_ref().map(|warning| format!(", which warns: {warning}")).unwrap_or_default();
    let url = clean(&exchange.url, 400);
    format!("{} {url} {status} {} bytes {ms:.1} ms{warning}", exchange.method, exchange.bytes)
}

fn print(text: &str) -> Result<ExitCode> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
