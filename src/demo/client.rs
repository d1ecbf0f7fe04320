//! The API server's side of the demo: AdmissionReviews over TLS, as it would send them.

use super::pods::Sample;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::time::Instant;

/// What came back for one Pod.
#[derive(Debug)]
pub(super) struct Reply {
    /// `response.allowed`
    pub(super) allowed: bool,
    /// `response.status.message`, empty when allowed.
    pub(super) message: String,
    /// `response.status.code`, 200 when allowed.
    pub(super) code: u64,
    /// `response.warnings`
    pub(super) warnings: Vec<String>,
    /// From the first byte sent to the last received.
    pub(super) took: Duration,
}

/// A client that trusts the webhook's authority and nothing else.
#[derive(Debug)]
pub(super) struct ApiServer {
    http: reqwest::Client,
    url: String,
}

impl ApiServer {
    /// `ca` is the authority's certificate in PEM.
    pub(super) fn new(webhook: SocketAddr, ca: &str) -> Result<Self> {
        let authority = reqwest::Certificate::from_pem(ca.as_bytes()).context("the webhook's authority")?;
        let http = reqwest::Client::builder()
            .tls_certs_only([authority])
            .https_only(true)
            .http1_only()
            .build()
            .context("the demo's client")?;
        Ok(Self { http, url: format!("https://localhost:{}/validate?timeout=10s", webhook.port()) })
    }

    /// Sends one Pod for review.
    pub(super) async fn review(&self, sample: &Sample) -> Result<Reply> {
        let review = review_of(sample);
        let started = Instant::now();
        let response = self
            .http
            .post(&self.url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(review.to_string())
            .send()
            .await
            .with_context(|| format!("sending Pod {:?}", sample.name))?;
        let status = response.status();
        let body = response.bytes().await?;
        let took = started.elapsed();
        ensure!(status.is_success(), "Pod {:?}: the webhook answered HTTP {status}", sample.name);
        let answer: Value = serde_json::from_slice(&body).context("the webhook's answer is not JSON")?;
        let response = &answer["response"];
        ensure!(
            response["uid"] == review["request"]["uid"],
            "Pod {:?}: the answer is for another request",
            sample.name
        );
        Ok(Reply {
            allowed: response["allowed"] == true,
            message: response["status"]["message"].as_str().unwrap_or_default().to_owned(),
            code: response["status"]["code"].as_u64().unwrap_or(200),
            warnings: response["warnings"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|warning| warning.as_str().map(str::to_owned))
                .collect(),
            took,
        })
    }
}

fn review_of(sample: &Sample) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": format!("demo-{}", sample.name),
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "name": sample.name,
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": { "username": "demo", "groups": ["system:authenticated"] },
            "dryRun": false,
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": { "name": sample.name, "namespace": "shop" },
                "spec": sample.spec,
            },
            "oldObject": null,
            "options": { "apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions" },
        },
    })
}
