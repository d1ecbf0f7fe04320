//! From the start of the process until it is ready.

use crate::{
    pods,
    program::Program,
    support::{Spread, milliseconds, report},
};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::Instant;

const ROUNDS: usize = 20;

pub(crate) async fn run() {
    let (mut ready, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let version =
            Command::new(env!("CARGO_BIN_EXE_hullmark")).arg("--version").stdout(Stdio::null()).status();
        assert!(version.unwrap().success());
        let alone = started.elapsed();
        let started = Instant::now();
        let program = Program::hullmark(&pods::policies(), None, &[]);
        while !is_ready(&program) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = started.elapsed();
        ratios.push(took.as_secs_f64() / alone.as_secs_f64());
        ready.push(milliseconds(took));
    }
    let (ready, ratios) = (Spread::of(ready), Spread::of(ratios));
    let line = format!("ready after {ratios} times what --version takes ({ready} ms)");
    report("start", &[line], &json!({ "ratio": ratios.json(), "ms": ready.json() }));
}

fn is_ready(program: &Program) -> bool {
    let Ok(mut stream) = TcpStream::connect(program.health.unwrap()) else { return false };
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.starts_with("HTTP/1.1 200")
}
