//! Hullmark with all that it knows in memory, beside the least that a webhook can be.

use crate::{
    load::{Client, Figures},
    pods,
    program::Program,
    support::{Spread, milliseconds, report},
    synthetic::Synthetic,
};
use serde_json::{Value, json};
use std::time::Duration;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
/// As many as the API server keeps.
const CONNECTIONS: usize = 25;

pub(crate) async fn run() {
    let registry = Synthetic::start().await;
    let images: Vec<_> = (0..3).map(|nth| registry.image(nth)).collect();
    let body = [pods::review(&images)];
    let hullmark = Program::hullmark(&pods::policies(), Some(registry.hosts()), &[]);
    let bare = Program::bare();
    let (mut lines, mut figures) = (vec![format!("a review of {} bytes", body[0].len())], json!({}));
    for (name, is_fresh) in [("kept-alive connections", false), ("a connection for each request", true)] {
        let clients = [
            (&hullmark, Client::new(&hullmark, &body, is_fresh)),
            (&bare, Client::new(&bare, &body, is_fresh)),
        ];
        for (program, client) in &clients {
            client.for_a_while(program, CONNECTIONS, Duration::from_secs(1)).await;
        }
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let ours = clients[0].1.for_a_while(clients[0].0, CONNECTIONS, ROUND).await;
            let theirs = clients[1].1.for_a_while(clients[1].0, CONNECTIONS, ROUND).await;
            rounds.push([ours, theirs]);
        }
        let (text, json) = compare(name, &rounds);
        lines.extend(text);
        figures[name] = json;
    }
    report("ceiling", &lines, &figures);
}

fn compare(name: &str, rounds: &[[Figures; 2]]) -> (Vec<String>, Value) {
    let spread = |of: &dyn Fn(&[Figures; 2]) -> f64| Spread::of(rounds.iter().map(of).collect());
    let ratio = |of: fn(&Figures) -> f64| spread(&move |[ours, theirs]| of(ours) / of(theirs));
    let throughput = ratio(|one| one.per_second);
    let p50 = ratio(|one| one.p50.as_secs_f64());
    let p99 = ratio(|one| one.p99.as_secs_f64());
    let processor = ratio(|one| one.processor.as_secs_f64());
    let rates = [0, 1].map(|nth| spread(&move |round| round[nth].per_second).median);
    let slow = [0, 1].map(|nth| spread(&move |round| milliseconds(round[nth].p99)).median);
    let busy = [0, 1].map(|nth| spread(&move |round| 1000.0 * milliseconds(round[nth].processor)).median);
    let lines = vec![
        format!(
            "{name}: {throughput} of the bare server's throughput ({:.0}/s, {:.0}/s)",
            rates[0], rates[1]
        ),
        format!("  its p50 times {p50}, its p99 times {p99} ({:.2} ms, {:.2} ms)", slow[0], slow[1]),
        format!("  its time on processors times {processor} ({:.0} µs, {:.0} µs)", busy[0], busy[1]),
    ];
    let json = json!({
        "throughput": throughput.json(), "p50": p50.json(), "p99": p99.json(), "processor": processor.json(),
        "per_second": rates, "p99_ms": slow, "processor_us": busy,
    });
    (lines, json)
}
