//! `hullmark check`: judges the manifests of a pipeline before they reach a cluster.
//!
//! In go files of what `kubectl apply`, `helm template` and `kustomize build` print; out come the
//! findings for a person (`table`) or a program (`json`, `sarif`, `junit`), and an exit code that
//! tells a violation from an image that could not be looked at. What surprises: a template that would
//! be refused as a Pod is refused here, while admission only warns of it; and manifests that cannot be
//! read end the check before any image is looked at, all of them told at once.

mod files;
mod json;
mod junit;
mod manifests;
mod sarif;
mod table;

use crate::{
    admission,
    cli::{CheckArgs, CheckOutput},
    policy::{Finding, Namespace, PolicySet},
    progress::Progress,
    review::{Circumstances, FindCredentials, ResolveImage, Review, Reviewer},
    survey::Outcome,
    text::{clean, count},
};
use anyhow::{Result, bail};
use futures_util::{StreamExt, stream};
use manifests::{Manifests, Object};
use serde_json::Value;
use std::{io::Write, process::ExitCode};
use tokio::time::Instant;

/// At least one violation that denies.
const DENIED: u8 = 1;
/// An image that could not be looked at, and whose policy says Deny for that.
const NOT_CHECKED: u8 = 2;
/// Objects that are judged side by side; their images share what is asked of a registry.
const SIDE_BY_SIDE: usize = 8;
/// Characters of an error of a manifest.
const MAX_ERROR: usize = 500;

/// An object and what its review gave.
#[derive(Debug)]
struct Judged {
    object: Object,
    review: Review,
}

/// Judges what `args.files` hold by `policies`, and prints it to `out`. `progress` is a terminal to tell
/// how far it is.
///
/// # Errors
/// When a manifest cannot be read (all are told), there is none, or `out` cannot be written.
pub async fn run<R: ResolveImage, C: FindCredentials>(
    args: &CheckArgs,
    reviewer: &Reviewer<R, C>,
    policies: &PolicySet,
    now: jiff::Timestamp,
    out: &mut dyn Write,
    progress: Option<&mut (dyn Write + Send)>,
) -> Result<ExitCode> {
    let mut manifests = manifests::parse(&files::read(&args.files));
    refuse_unreadable(&manifests)?;
    let objects = std::mem::take(&mut manifests.objects);
    let images = objects.iter().map(|object| object.workload.uses.len()).sum();
    let mut progress = Progress::new(progress, images, "image");
    let mut judged = Vec::with_capacity(objects.len());
    let mut reviews = stream::iter(objects)
        .map(|object| judge(object, args, reviewer, policies, &manifests, now))
        .buffered(SIDE_BY_SIDE);
    while let Some(one) = reviews.next().await {
        progress.add(one.object.workload.uses.len());
        judged.push(one);
    }
    drop(reviews);
    progress.clear();
    let text = match args.output {
        CheckOutput::Table => table::text(&judged, manifests.passed_over),
        CheckOutput::Json => json::text(&judged)?,
        CheckOutput::Sarif => sarif::text(&judged)?,
        CheckOutput::Junit => junit::text(&judged),
    };
    out.write_all(text.as_bytes())?;
    Ok(exit_code(&judged))
}

fn refuse_unreadable(manifests: &Manifests) -> Result<()> {
    if !manifests.errors.is_empty() {
        let lines: Vec<String> = manifests.errors.iter().map(|error| clean(error, MAX_ERROR)).collect();
        let what = count(lines.len(), "manifest");
        bail!("{what} cannot be read, so nothing was judged:\n  {}", lines.join("\n  "));
    }
    if manifests.objects.is_empty() && manifests.passed_over == 0 {
        bail!("there is no object in the manifests: did what was to print them fail?");
    }
    Ok(())
}

async fn judge<R: ResolveImage, C: FindCredentials>(
    mut object: Object,
    args: &CheckArgs,
    reviewer: &Reviewer<R, C>,
    policies: &PolicySet,
    manifests: &Manifests,
    now: jiff::Timestamp,
) -> Judged {
    let name = object.workload.namespace.get_or_insert_with(|| args.namespace.clone());
    let namespace = manifests.namespaces.get(name).cloned().unwrap_or_else(|| Namespace::named(name));
    let request = admission::creation(&object.workload);
    let circumstances = Circumstances {
        request: &request,
        old_object: &Value::Null,
        namespace: Some(&namespace),
        now,
        deadline: Instant::now() + args.timeout,
    };
    let review = reviewer.review(&object.workload, policies, circumstances).await;
    Judged { object, review }
}

fn exit_code(judged: &[Judged]) -> ExitCode {
    match judged.iter().map(Judged::outcome).min() {
        Some(Outcome::Denied) => ExitCode::from(DENIED),
        Some(Outcome::NotChecked) => ExitCode::from(NOT_CHECKED),
        Some(Outcome::Warned | Outcome::Clean) | None => ExitCode::SUCCESS,
    }
}

impl Judged {
    fn findings(&self) -> &[Finding] {
        &self.review.verdict.findings
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.findings())
    }

    /// `Deployment shop/web`
    fn title(&self) -> String {
        let workload = &self.object.workload;
        let namespace = workload.namespace.as_deref().unwrap_or_default();
        clean(&format!("{} {namespace}/{}", workload.kind, workload.name), 200)
    }

    /// The line of the image that `finding` is about, else of the document.
    fn line(&self, finding: &Finding) -> usize {
        self.object.image_lines.get(&finding.field_path).copied().unwrap_or(self.object.line)
    }
}
