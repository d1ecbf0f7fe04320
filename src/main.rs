//! The `hullmark` binary: arguments in, exit code out.

use clap::Parser;
use hullmark::{app, cli::Cli};
use std::process::ExitCode;

/// A review is some thousand small allocations; this one is markedly faster at them than glibc's (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    app::run(Cli::parse())
}
