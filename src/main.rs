//! The `hullmark` binary: arguments in, exit code out.

use clap::Parser;
use hullmark::{app, cli::Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    app::run(Cli::parse())
}
