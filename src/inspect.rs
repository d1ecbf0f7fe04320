//! `hullmark inspect`: what an image's config says, without pulling it.
//!
//! In goes what the user typed, out comes one report an image: as text for a person, as JSON or YAML
//! with the fields of `report`, or the config blob as the registry has it.

mod report;
mod summary;

use crate::{
    cli::{InspectArgs, InspectOutput},
    image::{PlatformFilter, PlatformImage, Reference, ResolvedImage, Unresolved, UnresolvedKind},
    review::{self, FindCredentials, ResolveImage},
};
use anyhow::{Context, Result, bail};
use report::Report;
use std::{io::Write, process::ExitCode, sync::Arc};
use tokio::time::Instant;

/// An image could not be looked at; the others were still printed.
const FAILED: u8 = 2;

/// Inspects every image of `args`, side by side, and prints them in the order given.
///
/// # Errors
/// When `out` cannot be written, or when the raw config of an index is wanted without a platform.
pub async fn run<R: ResolveImage, C: FindCredentials>(
    args: &InspectArgs,
    images: &R,
    credentials: &C,
    now: jiff::Timestamp,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode> {
    let looked_at = futures_util::future::join_all(
        args.images.iter().map(|image| look_at(image, args, images, credentials)),
    )
    .await;
    let reports: Vec<Report<'_>> = args
        .images
        .iter()
        .zip(&looked_at)
        .map(|(image, found)| Report::new(image, found.as_ref(), now))
        .collect();
    if args.verbose {
        for image in looked_at.iter().filter_map(|found| found.as_ref().ok()) {
            writeln!(err, "# {}: {}", image.reference, image.freshness.as_str())?;
        }
    }
    match args.output {
        InspectOutput::Text => write!(out, "{}", summary::text(&looked_at, &args.images, now))?,
        InspectOutput::Json => writeln!(out, "{}", report::json(&reports)?)?,
        InspectOutput::Yaml => write!(out, "{}", report::yaml(&reports)?)?,
        InspectOutput::Raw => raw(&args.images, &looked_at, out)?,
    }
    for (image, failure) in
        args.images.iter().zip(&looked_at).filter_map(|(i, found)| Some((i, found.as_ref().err()?)))
    {
        writeln!(err, "hullmark: {}", summary::failure(image, failure))?;
    }
    let all = looked_at.iter().all(Result::is_ok);
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

async fn look_at<R: ResolveImage, C: FindCredentials>(
    image: &str,
    args: &InspectArgs,
    images: &R,
    credentials: &C,
) -> Result<Arc<ResolvedImage>, Unresolved> {
    let deadline = Instant::now() + args.timeout;
    let reference: Reference =
        image.parse().map_err(|invalid: crate::image::InvalidReference| Unresolved {
            kind: UnresolvedKind::InvalidReference,
            host: None,
            status: None,
            detail: invalid.to_string(),
        })?;
    let platforms =
        PlatformFilter { nodes: args.platform.clone().map(|platform| vec![platform]), terms: vec![] };
    review::resolve(images, credentials, &reference, None, &platforms, deadline).await
}

/// The config blobs, byte for byte, one after the other.
fn raw(
    names: &[String],
    looked_at: &[Result<Arc<ResolvedImage>, Unresolved>],
    out: &mut dyn Write,
) -> Result<()> {
    for (name, image) in names.iter().zip(looked_at) {
        let Ok(image) = image else { continue };
        let raw = the_one_platform(name, image)?.raw_config.as_ref();
        out.write_all(&raw.context("the config was not kept")?.to_vec())?;
    }
    Ok(())
}

fn the_one_platform<'a>(name: &str, image: &'a ResolvedImage) -> Result<&'a PlatformImage> {
    if let [one] = image.platforms.as_slice() {
        Ok(one)
    } else {
        let platforms: Vec<String> = image.available.iter().map(ToString::to_string).collect();
        bail!(
            "{name} is an index of several images, and -o raw prints one: choose with --platform ({})",
            platforms.join(", ")
        )
    }
}

#[cfg(test)]
mod tests;
