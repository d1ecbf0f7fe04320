//! `hullmark demo`: a registry, the real webhook over TLS and sample Pods, all inside this process.
//!
//! Nothing is faked between the ends: the registry speaks the distribution protocol on loopback, the
//! webhook is the one that `hullmark serve` starts, and the Pods arrive as AdmissionReviews over TLS, as
//! the API server would send them. Every verdict is held against the expected one.

mod client;
mod images;
mod pods;
mod registry;
mod report;

use crate::{
    admission::Mode,
    app::{self, Recorder},
    auth_files::{AuthFiles, Environment},
    cli::DemoArgs,
    policy::{PolicyDocument, PolicySet},
    registry::{Exchange, Registry, Settings as RegistrySettings},
    review::{self, OnlyNames, Reviewer},
    server::{self, Certificates, Running, Settings, Webhook},
    text::count,
    yaml,
};
use anyhow::{Context, Result, anyhow};
use client::ApiServer;
use registry::DemoRegistry;
use report::millis;
use std::{
    collections::BTreeMap,
    io,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::sync::watch;

/// The name under which the demo's registry is known; its hosts.toml says where it really is.
const DOMAIN: &str = "registry.demo";

const POLICIES: &str = include_str!("demo/policies.yaml");

/// Any free port of loopback.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Runs the demo to its end: exit code 0 only if every verdict is the expected one.
///
/// # Errors
/// When a port of loopback cannot be had, or the webhook does not answer.
pub async fn run(args: &DemoArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let images = images::images();
    let demo_registry =
        DemoRegistry::start(&images).await.context("the demo's registry cannot listen on loopback")?;
    let (exchanges, seen) = mpsc::channel();
    let certificates = Arc::new(Certificates::own(&["localhost".to_owned()], app::now)?);
    let (webhook, policies) =
        start_webhook(demo_registry.address(), Arc::clone(&certificates), exchanges).await?;
    let authority = certificates.authority_pem().context("the demo's own authority")?;
    let api_server = ApiServer::new(webhook.https, authority)?;

    writeln!(out, "Everything below runs inside this process, on loopback:")?;
    writeln!(
        out,
        "  registry   http://{} as {DOMAIN}, {}, bearer tokens",
        demo_registry.address(),
        count(images.len(), "image")
    )?;
    writeln!(out, "  webhook    https://{}/validate, {policies} policies, its own CA\n", webhook.https)?;
    let tally = send_all(&api_server, &demo_registry, &seen, args.verbose, out).await?;
    tally.summary(out)?;
    webhook.stop().await;
    Ok(ExitCode::from(u8::from(tally.unexpected > 0)))
}

/// What the samples came to.
#[derive(Debug, Default)]
struct Tally {
    pods: usize,
    unexpected: usize,
    requests: usize,
    /// The first sample, and the second of the same image.
    cold_and_warm: Vec<Duration>,
}

impl Tally {
    fn summary(&self, out: &mut dyn Write) -> io::Result<()> {
        if let [cold, warm, ..] = self.cold_and_warm.as_slice() {
            writeln!(
                out,
                "\nweb took {} cold (TLS handshake, token, index, then both platforms side by side), web-2 {} warm.",
                millis(*cold),
                millis(*warm)
            )?;
        }
        let pods = count(self.pods, "Pod");
        let requests = count(self.requests, "request");
        match self.unexpected {
            0 => writeln!(out, "{pods} judged with {requests} to the registry: every verdict as expected."),
            wrong => writeln!(
                out,
                "{pods} judged with {requests} to the registry: {} NOT as expected.",
                count(wrong, "verdict")
            ),
        }
    }
}

async fn send_all(
    api_server: &ApiServer,
    demo_registry: &DemoRegistry,
    seen: &mpsc::Receiver<Exchange>,
    verbose: bool,
    out: &mut dyn Write,
) -> Result<Tally> {
    let mut tally = Tally::default();
    for sample in pods::samples() {
        let before = demo_registry.requests();
        let reply = api_server.review(&sample).await?;
        let requests = demo_registry.requests() - before;
        let line = report::line(&sample, &reply, requests);
        write!(out, "{}", line.text)?;
        for exchange in seen.try_iter().filter(|_| verbose) {
            writeln!(out, "      {}", app::exchange_line(&exchange))?;
        }
        tally.pods += 1;
        tally.requests += requests;
        tally.unexpected += usize::from(!line.as_expected);
        tally.cold_and_warm.push(reply.took);
    }
    Ok(tally)
}

async fn start_webhook(
    registry: SocketAddr,
    certificates: Arc<Certificates>,
    exchanges: mpsc::Sender<Exchange>,
) -> Result<(Running, usize)> {
    let policies = policies()?;
    let number = policies.len();
    let images = Registry::new(RegistrySettings {
        hosts: BTreeMap::from([(DOMAIN.to_owned(), format!("server = \"http://{registry}\"\n"))]),
        allow_addresses: vec!["127.0.0.0/8".parse().context("a range of addresses")?],
        observer: Some(Arc::new(move |exchange: &Exchange| {
            // Nobody listens any more when the demo is over.
            let _ = exchanges.send(exchange.clone());
        })),
        ..RegistrySettings::default()
    })?;
    // An empty environment: the demo reads no auth file of the user's.
    let credentials = AuthFiles::read(&Environment::default());
    let webhook = Webhook {
        reviewer: Arc::new(Reviewer { images, credentials, nodes: review::nodes(None) }),
        // The sender may go: the policies of the demo never change.
        policies: watch::channel(Arc::new(policies)).1,
        stance: Mode::Enforce.into(),
        namespaces: Arc::new(OnlyNames),
        observer: Arc::new(Recorder::new(env!("CARGO_PKG_VERSION"))),
        clock: app::now,
    };
    let settings = Settings {
        listen: LOOPBACK,
        health_listen: LOOPBACK,
        drain: Duration::ZERO,
        finish: Duration::from_secs(1),
        certificate_check: Duration::from_mins(1),
        callers: None,
        trusted: None,
        warm: None,
    };
    Ok((server::start(settings, certificates, webhook).await?, number))
}

fn policies() -> Result<PolicySet> {
    let documents = yaml::documents(POLICIES)?.into_iter().map(|document| PolicyDocument {
        source: format!("demo/policies.yaml#{}", document.index + 1),
        value: document.value,
    });
    PolicySet::compile(&documents.collect::<Vec<_>>()).map_err(|errors| anyhow!("{}", errors[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_verdict_is_the_expected_one() {
        let mut out = Vec::new();
        let code = run(&DemoArgs { verbose: true }, &mut out).await.unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(code, ExitCode::SUCCESS, "{out}");
        assert!(out.contains("every verdict as expected"), "{out}");
        assert!(out.contains("GET http://127.0.0.1:"), "{out}");
    }
}
