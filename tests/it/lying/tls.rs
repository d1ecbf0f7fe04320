//! TLS: whose certificates are taken, and what is never done over plain http.

use super::{Client, Reply, Server, Shelf, UnresolvedKind, assert_failed, basic};
use crate::support::Authority;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// A CA's certificate as PEM, and a server's TLS with a leaf of its for `name`.
fn authority(name: &str, expired: bool) -> (String, TlsAcceptor) {
    let key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "lying CA");
    let pem = ca.self_signed(&key).expect("a certificate").pem();
    let issuer = Issuer::new(ca, key);
    let leaf_key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::new([name.to_owned()]).expect("parameters");
    if expired {
        leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let leaf = leaf.signed_by(&leaf_key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()))
        .expect("a certificate with its key");
    (pem, TlsAcceptor::from(Arc::new(config)))
}

async fn honest(tls: TlsAcceptor) -> Server {
    let shelf = Shelf::with_image();
    Server::start_tls(tls, move |seen| shelf.serve(seen)).await
}

#[tokio::test]
async fn a_ca_of_ones_own_is_taken_from_the_hosts_file() {
    let (pem, tls) = authority("127.0.0.1", false);
    let server = honest(tls).await;
    let hosts = [(format!("127.0.0.1_{}_", server.port()), "ca = 'ca.pem'".to_owned())];
    let client = Client::with(&hosts, &[("ca.pem", &pem)]);
    client.resolve(&format!("{}/app:1", server.authority())).await.expect("an image");
}

#[tokio::test]
async fn certificates_that_do_not_fit_are_refused_with_the_reason() {
    let rows = [
        ("unknown issuer", "127.0.0.1", false, "", "unknown issuer"),
        ("other name", "other.io", false, "ca = 'ca.pem'", "made out to another name"),
        ("expired", "127.0.0.1", true, "ca = 'ca.pem'", "has expired"),
    ];
    for (name, subject, expired, toml, text) in rows {
        let (pem, tls) = authority(subject, expired);
        let server = honest(tls).await;
        let hosts = [(server.authority(), toml.to_owned())];
        let client = Client::with(&hosts, &[("ca.pem", &pem)]);
        let image = format!("{}/app:1", server.authority());
        let failed = client.failure(&image).await;
        assert_failed(&failed, UnresolvedKind::Tls, text);
        assert!(server.seen().is_empty(), "{name}: nothing is sent");

        let careless = Client::with(&[(server.authority(), "skip_verify = true".to_owned())], &[]);
        careless.resolve(&image).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[tokio::test]
async fn plain_http_is_never_fallen_back_to() {
    let shelf = Shelf::with_image();
    let server = Server::start(move |seen| shelf.serve(seen)).await;
    let failed = Client::with(&[], &[]).failure(&format!("{}/app:1", server.authority())).await;
    assert_failed(&failed, UnresolvedKind::Tls, "does not speak TLS");
    assert!(failed.detail.contains(&format!("server = \"http://{}\"", server.authority())), "{failed}");
    assert_eq!(server.targets(), ["TLS "]);
}

#[tokio::test]
async fn https_does_not_lead_to_plain_http() {
    let shelf = Shelf::with_image();
    let plain = Server::start(move |seen| shelf.serve(seen)).await;
    let (pem, tls) = authority("127.0.0.1", false);
    let (shelf, to) = (Shelf::with_image(), plain.authority());
    let server = Server::start_tls(tls, move |seen| {
        if seen.target.contains("/blobs/") {
            return Reply::redirect(format!("http://{to}{}", seen.target));
        }
        shelf.serve(seen)
    })
    .await;
    let client = Client::with(&[(server.authority(), "ca = 'ca.pem'".to_owned())], &[("ca.pem", &pem)]);
    let failed = client.failure(&format!("{}/app:1", server.authority())).await;
    assert_failed(&failed, UnresolvedKind::ServerError, "from https to plain http");
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn a_plain_http_token_server_is_refused_unless_it_is_configured() {
    let tokens = Server::start(|_| Reply::new(200, r#"{"token":"good"}"#)).await;
    let (pem, tls) = authority("127.0.0.1", false);
    let (shelf, realm) = (Shelf::with_image(), tokens.authority());
    let server = Server::start_tls(tls, move |seen| match seen.header("authorization") {
        Some("Bearer good") => shelf.serve(seen),
        _ => Reply::challenge(format!("Bearer realm=\"http://{realm}/token\"")),
    })
    .await;
    let own = (server.authority(), "ca = 'ca.pem'".to_owned());
    let image = format!("{}/app:1", server.authority());
    let client = Client::with(std::slice::from_ref(&own), &[("ca.pem", &pem)]);
    let failed = client.resolve_as(&image, &[basic("me", "hunter2")]).await.expect_err("refused");
    assert_failed(&failed, UnresolvedKind::Misconfigured, "a token server over plain http");
    assert!(tokens.seen().is_empty());

    let configured = (tokens.authority(), format!("server = 'http://{}'", tokens.authority()));
    let client = Client::with(&[own, configured], &[("ca.pem", &pem)]);
    client.resolve_as(&image, &[basic("me", "hunter2")]).await.expect("an image");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_the_hosts_file_says_so() {
    let authority = Authority::new();
    let (leaf, me) = (authority.leaf(), authority.client("hullmark", "webhooks"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).expect("a root");
    let callers = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(callers.build().expect("a verifier"))
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).expect("a certificate")],
            PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("a key"),
        )
        .expect("a certificate with its key");
    let server = honest(TlsAcceptor::from(Arc::new(config))).await;
    let (ca, one_file) = (authority.pem(), format!("{}{}", me.certificate, me.key));
    let beside =
        [("ca.pem", ca.as_str()), ("me.pem", &one_file), ("me.crt", &me.certificate), ("me.key", &me.key)];
    let image = format!("{}/app:1", server.authority());
    for toml in ["ca = 'ca.pem'\nclient = 'me.pem'", "ca = 'ca.pem'\nclient = [['me.crt', 'me.key']]"] {
        let client = Client::with(&[(server.authority(), toml.to_owned())], &beside);
        client.resolve(&image).await.expect("an image");
    }
    let failed =
        Client::with(&[(server.authority(), "ca = 'ca.pem'".to_owned())], &beside).failure(&image).await;
    assert_failed(&failed, UnresolvedKind::Tls, "CertificateRequired");
}
