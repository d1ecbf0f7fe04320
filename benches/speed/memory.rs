//! Memory of the process: idle, with many images in its cache, and after a million reviews.

use crate::{load::Client, pods, program::Program, support::report, synthetic::Synthetic};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// `IMAGES` and `REVIEWS` in the environment are for a quick look.
const IMAGES: usize = 20_000;
const CONTAINERS: usize = 10;
const REVIEWS: u64 = 1_000_000;

pub(crate) async fn run() {
    let images = std::env::var("IMAGES").map_or(IMAGES, |number| number.parse().unwrap());
    let reviews = std::env::var("REVIEWS").map_or(REVIEWS, |number| number.parse().unwrap());
    let registry = Synthetic::start().await;
    let program = Program::hullmark(&pods::policies(), Some(registry.hosts()), &["--cache-size=128Mi"]);
    let idle = program.memory();
    let bodies: Vec<_> = (0..images / CONTAINERS)
        .map(|nth| {
            let images: Vec<_> = (0..CONTAINERS).map(|one| registry.image(nth * CONTAINERS + one)).collect();
            pods::review(&images)
        })
        .collect();
    let filler = Client::new(&program, &bodies, false);
    filler.times(&program, 4, bodies.len() as u64).await;
    let (documents, weighed) =
        (metric(&program, "hullmark_cache_documents"), metric(&program, "hullmark_cache_size_bytes"));
    let full = program.memory();
    let small: Vec<_> = (0..images / 20)
        .map(|nth| pods::review(&[0, 1, 2].map(|third| registry.image(nth + third * images / 3))))
        .collect();
    let client = Client::new(&program, &small, false);
    client.times(&program, 25, reviews / 10).await;
    let tenth = program.memory();
    client.times(&program, 25, reviews - reviews / 10).await;
    let after = program.memory();
    let for_each = (full - idle) as f64 / documents;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let lines = [
        format!("idle {:.1} MiB", mebibytes(idle)),
        format!(
            "with {documents} images {:.1} MiB: {for_each:.0} bytes for each, of which the cache counts {:.0}",
            mebibytes(full),
            weighed / documents
        ),
        format!(
            "after a tenth of {reviews} reviews {:.1} MiB, after all {:.1} MiB: {:.3} times",
            mebibytes(tenth),
            mebibytes(after),
            after as f64 / tenth as f64
        ),
    ];
    let figures = json!({
        "idle": idle, "images": documents, "full": full, "bytes_for_each": for_each,
        "weighed_for_each": weighed / documents, "after_a_tenth": tenth, "after": after, "reviews": reviews,
        "requests": registry.requests(),
    });
    report("memory", &lines, &figures);
}

fn metric(program: &Program, name: &str) -> f64 {
    let mut stream = TcpStream::connect(program.health.unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    line.trim().parse().unwrap()
}
