//! A registry of as many images as are asked for, made when they are: pushing twenty thousand to a real one would take
//! longer than all that is measured.

use crate::pods;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;
use tokio::net::TcpListener;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The registry.
pub(crate) struct Synthetic {
    host: String,
    hosts: TempDir,
    shelf: Arc<Shelf>,
}

#[derive(Default)]
struct Shelf {
    requests: AtomicUsize,
    /// Configs by digest.
    configs: Mutex<HashMap<String, Vec<u8>>>,
}

impl Synthetic {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let hosts = tempfile::tempdir().unwrap();
        std::fs::create_dir(hosts.path().join(&host)).unwrap();
        std::fs::write(hosts.path().join(&host).join("hosts.toml"), format!("server = 'http://{host}'\n"))
            .unwrap();
        let shelf = Arc::new(Shelf::default());
        let routes = Router::new().fallback(serve).with_state(Arc::clone(&shelf));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { host, hosts, shelf }
    }

    pub(crate) fn hosts(&self) -> &Path {
        self.hosts.path()
    }

    /// The name of one of its images.
    pub(crate) fn image(&self, nth: usize) -> String {
        format!("{}/shop/app-{nth}:1.27.3", self.host)
    }

    pub(crate) fn requests(&self) -> usize {
        self.shelf.requests.load(Ordering::SeqCst)
    }
}

/// `/v2/shop/app-N/manifests/…` and `/v2/shop/app-N/blobs/…`.
async fn serve(State(shelf): State<Arc<Shelf>>, path: axum::http::Uri) -> Response {
    shelf.requests.fetch_add(1, Ordering::SeqCst);
    let path = path.path();
    if let Some(digest) = path.split("/blobs/").nth(1) {
        let config = shelf.configs.lock().unwrap().get(digest).cloned();
        return config.map_or(StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response);
    }
    let Some(nth) = path.split("/app-").nth(1).and_then(|rest| rest.split('/').next()?.parse().ok()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let config = serde_json::to_vec(&config(nth)).unwrap();
    let digest = hullmark::image::Digest::sha256(&config).to_string();
    let manifest = manifest(nth, &digest, config.len());
    shelf.configs.lock().unwrap().insert(digest, config);
    ([(header::CONTENT_TYPE, MANIFEST)], manifest.to_string()).into_response()
}

/// With history and layers, as a build of a dozen steps leaves them.
pub(crate) fn config(nth: usize) -> Value {
    let step = |step: usize| {
        json!({
            "created": "2026-10-01T12:00:00.123456789Z",
            "created_by": format!("RUN /bin/sh -c set -eux; apt-get update; apt-get install -y --no-install-recommends package-{nth}-{step}; rm -rf /var/lib/apt/lists/* # buildkit"),
            "comment": "buildkit.dockerfile.v0",
        })
    };
    let layers: Vec<_> = (0..10).map(|layer| sha(nth, layer)).collect();
    json!({
        "architecture": "amd64", "os": "linux", "created": "2026-10-01T12:00:00Z",
        "config": pods::config(nth),
        "history": (0..12).map(step).collect::<Vec<_>>(),
        "rootfs": { "type": "layers", "diff_ids": layers },
    })
}

pub(crate) fn manifest(nth: usize, config: &str, size: usize) -> Value {
    let layer = |layer: usize| {
        json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": sha(nth, 100 + layer), "size": 1_000_000 + nth,
        })
    };
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": size },
        "layers": (0..10).map(layer).collect::<Vec<_>>(),
    })
}

fn sha(nth: usize, part: usize) -> String {
    hullmark::image::Digest::sha256(format!("{nth} {part}").as_bytes()).to_string()
}
