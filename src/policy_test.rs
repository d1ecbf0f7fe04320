//! `hullmark policy test`: policies with cases beside them, run without a network.
//!
//! A file of `kind: PolicyTest` stands beside the policies that it tests:
//!
//! ```yaml
//! apiVersion: hullmark.dev/v1alpha1
//! kind: PolicyTest
//! policies: [policy.yaml]              # default: every policy in this folder
//! now: "2026-11-23T00:00:00Z"          # what time it is, for ages
//! nodes: [linux/amd64]                 # default: every platform of an image is judged
//! parameters: []                       # objects that the policies read as params
//! images:
//!   registry.acme.io/app:1:
//!     config: { User: "1000", Labels: { team: shop } }
//!   registry.acme.io/multi:1:
//!     platforms:
//!       - { platform: linux/amd64, config: { User: "1000" } }
//!       - { platform: linux/arm64, config: {} }
//!   registry.acme.io/gone:1: { unresolved: NotFound }
//! cases:
//!   - name: a numeric user is admitted
//!     image: registry.acme.io/app:1    # a Pod with one container, app; or object: a whole object
//!     expect: allow
//!   - name: one platform is enough to refuse
//!     image: registry.acme.io/multi:1
//!     expect: deny
//!     findings:
//!       - { policy: non-root, rule: user, container: app, platforms: [linux/arm64], message: runs as root }
//! ```
//!
//! What keeps a test honest: an inline image becomes the bytes that a registry would serve, and is read
//! by the code that reads those; a field that does not exist is refused; a case tells every finding,
//! or fails; a policy that finds nothing in any case is named.

mod case;
mod file;
mod fixture;
mod output;

use crate::{
    cli::{PolicyTestArgs, PolicyTestOutput},
    policy::{Parameters, PolicySet},
    policy_files,
};
use anyhow::{Context, Result, bail};
use case::Outcome;
use file::TestFile;
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What one file of cases gave.
#[derive(Debug)]
struct Suite {
    /// The file, as it was found.
    file: String,
    outcomes: Vec<Outcome>,
    /// Policies that found nothing in any case: a rule that can never fire looks like that.
    silent: Vec<String>,
}

/// Runs every case below the folders of `args`.
///
/// # Errors
/// When a file cannot be read, a policy does not compile, or there is no case at all.
pub async fn run(args: &PolicyTestArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let mut suites = Vec::new();
    for path in test_files(&args.dirs)? {
        suites.extend(run_file(&path).await.with_context(|| path.display().to_string())?);
    }
    if suites.iter().all(|suite| suite.outcomes.is_empty()) {
        bail!("no case in {}: write a file of kind PolicyTest beside the policies", names(&args.dirs));
    }
    let text = match args.output {
        PolicyTestOutput::Text => output::text(&suites),
        PolicyTestOutput::Json => output::json(&suites)?,
        PolicyTestOutput::Junit => output::junit(&suites),
    };
    write!(out, "{text}")?;
    let failed = suites.iter().flat_map(|suite| &suite.outcomes).any(|outcome| !outcome.problems.is_empty());
    Ok(ExitCode::from(u8::from(failed)))
}

fn names(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Every YAML file below `dirs`, sorted.
fn test_files(dirs: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut left = dirs.to_vec();
    while let Some(path) = left.pop() {
        let context = || format!("cannot read {}", path.display());
        if fs::metadata(&path).with_context(context)?.is_dir() {
            for entry in fs::read_dir(&path).with_context(context)? {
                left.push(entry.with_context(context)?.path());
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.insert(path);
        }
    }
    Ok(files)
}

/// The suite of one file; none where it holds no cases.
async fn run_file(path: &Path) -> Result<Option<Suite>> {
    let text = fs::read_to_string(path).context("cannot be read")?;
    let tests = TestFile::parse_all(&text)?;
    if tests.is_empty() {
        return Ok(None);
    }
    let mut outcomes = Vec::new();
    let mut names = BTreeSet::new();
    for test in tests {
        let policies = policies_of(&test, path.parent().unwrap_or(Path::new(".")))?;
        outcomes.extend(case::run_all(&test, &policies).await?);
        names.extend(policies.policies().map(|policy| policy.name.to_owned()));
    }
    let fired: BTreeSet<String> = outcomes.iter().flat_map(|outcome| outcome.fired.iter().cloned()).collect();
    let silent = names.difference(&fired).cloned().collect();
    Ok(Some(Suite { file: path.display().to_string(), outcomes, silent }))
}

fn policies_of(test: &TestFile, folder: &Path) -> Result<PolicySet> {
    let paths: Vec<PathBuf> = if test.policies.is_empty() {
        vec![folder.to_owned()]
    } else {
        test.policies.iter().map(|policy| folder.join(policy)).collect()
    };
    let policies = policy_files::compile_all(&paths)?;
    Ok(policies.with_parameters(Parameters::new(test.parameters.iter().cloned())))
}

#[cfg(test)]
mod tests;
