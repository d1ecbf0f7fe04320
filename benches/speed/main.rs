//! What Hullmark costs: `cargo bench --bench speed`, or some of it: `cargo bench --bench speed -- ceiling memory`.
//!
//! Each prints ratios with their spread, and keeps them in `target/bench/`. docs/performance.md says what they mean.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "what fails ends a benchmark, its figures are printed, and none of them is that exact"
)]

mod bare;
mod ceiling;
mod evaluation;
mod growth;
mod load;
mod memory;
mod pods;
mod program;
mod scan;
mod stages;
mod stampede;
mod start;
#[path = "../support.rs"]
mod support;
mod synthetic;

/// What there is to measure, in order of the time that it takes.
const ALL: [&str; 8] = ["start", "evaluation", "stages", "growth", "stampede", "scan", "ceiling", "memory"];

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    // Cargo's own flags are none of ours.
    let asked: Vec<String> = std::env::args().skip(1).filter(|one| !one.starts_with("--bench")).collect();
    if asked.first().is_some_and(|one| one == bare::FLAG) {
        return bare::serve().await;
    }
    let unknown: Vec<_> = asked.iter().filter(|one| !ALL.contains(&one.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}: there are {ALL:?}");
    for name in ALL.into_iter().filter(|name| asked.is_empty() || asked.iter().any(|one| one == name)) {
        match name {
            "start" => start::run().await,
            "evaluation" => evaluation::run(),
            "stages" => stages::run().await,
            "growth" => growth::run().await,
            "scan" => scan::run().await,
            "stampede" => stampede::run().await,
            "ceiling" => ceiling::run().await,
            _ => memory::run().await,
        }
    }
}
