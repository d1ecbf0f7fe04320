//! The least that a webhook in Rust can be: axum over rustls, which reads a review's uid and says yes.

use axum::{
    Router,
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use serde::Deserialize;
use serde_json::json;
use std::{fs, sync::Arc};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// The argument by which this program is it, followed by a folder for `ca.pem`.
pub(crate) const FLAG: &str = "bare-server";

#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
struct Request<'a> {
    uid: &'a str,
}

async fn validate(body: Bytes) -> Response {
    let review: Review<'_> = serde_json::from_slice(&body).unwrap();
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": { "uid": review.request.uid, "allowed": true },
    });
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// Serves until it is killed; its first line says where.
pub(crate) async fn serve() {
    let folder = std::env::args().next_back().unwrap();
    let authority = crate::support::real::Authority::new();
    let leaf = authority.leaf();
    fs::write(format!("{folder}/ca.pem"), authority.pem()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/validate", post(validate));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (acceptor, routes) = (acceptor.clone(), routes.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let builder = Builder::new(TokioExecutor::new()).http1_only();
            let _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)).await;
        });
    }
}
