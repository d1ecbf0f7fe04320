//! `hullmark serve`: everything is read and checked before a port is opened, then served until a signal.

mod background;
mod identity;
mod news;
mod recorder;
mod sources;
mod warm;

use super::{label, now};
use crate::{
    admission::{BreakGlass, Mode, Stance},
    cli::{LogFormat, ServeArgs},
    cluster::{
        events::Events,
        leader::{Candidate, Leadership, Terms},
    },
    registry::{Observer, Registry, Settings as RegistrySettings},
    review::{Chain, FindCredentials, ResolveImage, Reviewer},
    scan::Exempt,
    server::{self, Certificates, Running, Settings, Webhook},
    survey::report::Extent,
    telemetry::{
        Sample, log,
        trace::{self, Traces},
    },
};
use anyhow::Context;
use background::Background;
use identity::Identity;
use news::Teller;
pub use recorder::Recorder;
use sources::{News, Sources};
use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use warm::Plan;

/// How often certificate files are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(1);
/// How often the hosts folder is looked at.
const HOSTS_CHECK: Duration = Duration::from_secs(5);
/// Time for requests in flight, after the drain: the longest that the API server waits.
const FINISH: Duration = Duration::from_secs(30);
/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the webhook until SIGTERM or SIGINT, then drains. A second signal ends it at once.
///
/// # Errors
/// Whatever keeps the webhook from starting, as a text for the person who started it: policies,
/// certificates, settings of registries, a port in use. The exit code for these is 2.
pub async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let format = match args.logging.log_format {
        Some(LogFormat::Text) => log::Format::Text,
        None if std::io::stderr().is_terminal() => log::Format::Text,
        Some(LogFormat::Json) | None => log::Format::Json,
    };
    let variable = |name: &str| std::env::var(name).ok();
    let traces = trace::Settings::read(args.trace.otlp_endpoint.as_deref(), variable)?;
    let traces = traces.map(|settings| Traces::new(&settings, VERSION)).transpose()?;
    let log = log::init(format, &args.logging.log, traces.as_ref().map(Traces::layer))?;
    // Listened for before anything is open, so that an early signal is not lost.
    let mut stop = Stop::new()?;
    let (mut running, leadership) = start(&args, log.dropped(), traces.as_ref()).await?;
    tokio::select! {
        name = stop.wait() => tracing::info!(signal = name, drain_ms = milliseconds(args.drain), "stopping"),
        () = running.failed() => anyhow::bail!("the webhook stopped accepting connections; see the log"),
    }
    tokio::select! {
        () = stop_all(running, leadership, traces) => tracing::info!("stopped"),
        name = stop.wait() => {
            tracing::warn!(signal = name, "stopped at once, by a second signal");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What only the leader does ends first, so that another replica can do it at once; traces end last: whatever is done
/// until then has spans.
async fn stop_all(running: Running, leadership: Option<Leadership>, traces: Option<Traces>) {
    if let Some(leadership) = leadership {
        leadership.resign().await;
    }
    running.stop().await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
}

async fn start(
    args: &ServeArgs,
    dropped: log::Dropped,
    traces: Option<&Traces>,
) -> anyhow::Result<(Running, Option<Leadership>)> {
    let sources = Sources::of(args).await?;
    let identity = Identity::of(args, sources.client.as_ref()).await?;
    let certificates = Arc::new(identity.certificates);
    let recorder = Recorder::new(VERSION)
        .tracing(traces)
        .writing(teller(args, &sources))
        .logging(Sample::of(args.logging.log_admits), dropped);
    let recorder = Arc::new(recorder);
    let told = Arc::clone(&recorder);
    let observer: Observer = Arc::new(move |exchange| told.exchanged(exchange));
    let registry = Registry::new(settings(args, observer, &recorder)?)?;
    recorder.watch(registry.clone());
    let credentials =
        Chain { then: super::credential_providers(&args.registry)?, first: sources.credentials };
    for note in registry.notes().into_iter().chain(credentials.first.notes()) {
        tracing::warn!(note, "registry settings");
    }
    if args.registry.hosts_dir.is_some() {
        tokio::spawn(keep_hosts_fresh(registry.clone()));
    }
    let news = sources.news.clone();
    let reviewer = Arc::new(Reviewer { images: registry, credentials, nodes: sources.nodes });
    let warm = Plan::of(&args.cache, sources.client.as_ref())?;
    let warm = warm.start(Arc::clone(&reviewer), &sources.policies);
    let background = sources.client.zip(args.reporting.scan_interval).map(|(client, interval)| Background {
        client,
        reviewer: Arc::clone(&reviewer),
        policies: sources.policies.clone(),
        namespaces: Arc::clone(&sources.namespaces),
        exempt: exempt(args),
        webhook_configuration: args.cluster.webhook_configuration.clone(),
        interval,
        extent: args.reporting.reports.then_some(Extent {
            max_results: args.reporting.report_results.into(),
            passes: args.reporting.report_passes,
        }),
        recorder: Arc::clone(&recorder),
    });
    let webhook = Webhook {
        reviewer,
        policies: sources.policies,
        stance: stance(args),
        namespaces: sources.namespaces,
        observer: Arc::clone(&recorder),
        clock: now,
    };
    let settings = Settings {
        listen: args.listen,
        health_listen: args.health_listen,
        drain: args.drain,
        finish: FINISH,
        certificate_check: CERTIFICATE_CHECK,
        callers: args.client_ca.clone(),
        trusted: identity.trusted,
        warm,
    };
    let running = server::start(settings, Arc::clone(&certificates), webhook).await?;
    if let (Some(path), Some(pem)) = (&args.write_ca, certificates.authority_pem()) {
        // After the port is open: whoever waits for the file can connect at once.
        write_whole(path, pem).with_context(|| format!("--write-ca {}", path.display()))?;
    }
    // The port is open and the policies are in force: whoever calls now gets an answer.
    identity.ready.send_replace(true);
    announce(args, &running, &certificates, news.policies());
    tokio::spawn(news.tell(running.readiness.clone(), recorder));
    Ok((running, background.map(|background| stand(args, background))))
}

/// Stands for the leadership, and scans while it has it.
fn stand<R, C>(args: &ServeArgs, background: Background<R, C>) -> Leadership
where
    R: ResolveImage + 'static,
    C: FindCredentials + Send + Sync + 'static,
{
    let candidate = Candidate {
        namespace: args.cluster.own_namespace.clone(),
        lease: args.reporting.lease.clone(),
        identity: own_name(args),
        terms: Terms::default(),
    };
    let leadership = Leadership::stand(background.client.clone(), candidate, now);
    tokio::spawn(background.run(leadership.leads()));
    leadership
}

/// The namespaces that the webhook configuration exempts.
fn exempt(args: &ServeArgs) -> Exempt {
    let own = [args.cluster.own_namespace.clone(), "kube-system".to_owned()];
    let names = own.into_iter().chain(args.cluster.exempt_namespaces.iter().cloned()).collect();
    Exempt { names, label: label(&args.cluster.ignore_label) }
}

/// Tells the cluster what was found, if there is one.
fn teller(args: &ServeArgs, sources: &Sources) -> Option<Teller> {
    let (Some(client), News::Cluster(watched)) = (sources.client.clone(), &sources.news) else { return None };
    let events = Events::write(client, own_name(args), now);
    Some(Teller { events, policies: watched.state.clone(), findings: args.reporting.events })
}

/// What tells this replica from the others: the Pod's name, else this process of this host.
fn own_name(args: &ServeArgs) -> String {
    let host = || std::env::var("HOSTNAME").unwrap_or_else(|_| "hullmark".to_owned());
    args.reporting.own_name.clone().unwrap_or_else(|| format!("{}-{}", host(), std::process::id()))
}

fn settings(
    args: &ServeArgs,
    observer: Observer,
    recorder: &Arc<Recorder>,
) -> anyhow::Result<RegistrySettings> {
    let told = Arc::clone(recorder);
    Ok(RegistrySettings {
        tag_life: args.cache.tag_ttl,
        stale_limit: args.cache.stale_if_error,
        cache_bytes: args.cache.cache_size,
        lookup_observer: Some(Arc::new(move |lookup| told.looked_up(lookup))),
        ..super::settings(&args.registry, Some(observer))?
    })
}

/// Reads the hosts folder again and again; what is broken is told once, and changes nothing.
async fn keep_hosts_fresh(registry: Registry) {
    let mut told = None;
    loop {
        tokio::time::sleep(HOSTS_CHECK).await;
        let reading = registry.clone();
        let reloaded = tokio::task::spawn_blocking(move || reading.reload()).await;
        match reloaded {
            Ok(Ok(true)) => tracing::info!(notes = registry.notes().join("; "), "registry settings reloaded"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) if told.as_ref() == Some(&error) => continue,
            Ok(Err(error)) => {
                tracing::error!(
                    error = error.to_string(),
                    "registry settings are broken; the last good ones are in force"
                );
                told = Some(error);
                continue;
            }
            Err(panic) => tracing::error!(error = panic.to_string(), "reading registry settings failed"),
        }
        told = None;
    }
}

/// How strict answers are.
fn stance(args: &ServeArgs) -> Stance {
    let cluster = &args.cluster;
    Stance {
        mode: mode(args),
        namespace_label: label(&cluster.mode_label),
        break_glass: label(&cluster.break_glass_label)
            .map(|label| BreakGlass { label, groups: cluster.break_glass_groups.clone() }),
    }
}

fn mode(args: &ServeArgs) -> Mode {
    if args.audit { Mode::Audit } else { Mode::Enforce }
}

/// The one line that says what runs.
fn announce(args: &ServeArgs, running: &Running, certificates: &Certificates, policies: usize) {
    let authority = match (certificates.file(), &args.write_ca) {
        (Some(file), _) => format!("from {}", file.display()),
        (None, _) if args.cluster.cluster => {
            format!(
                "signed by the authority in Secret {}/{}",
                args.cluster.own_namespace, args.cluster.ca_secret
            )
        }
        (None, Some(written)) => format!("made at start, in memory; its CA is in {}", written.display()),
        (None, None) => "made at start, in memory; --write-ca FILE gives its CA to callers".to_owned(),
    };
    tracing::info!(
        version = VERSION,
        listen = running.https.to_string(),
        health_listen = running.health.to_string(),
        policies.path =
            args.policies.as_ref().map_or("the cluster".to_owned(), |path| path.display().to_string()),
        policies.count = policies,
        mode = mode(args).as_str(),
        tls.certificate = authority,
        tls.expires = certificates.expires().to_string(),
        "serving"
    );
}

/// Writes beside it first, so that nobody reads half of it.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The signals that ask for a stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
