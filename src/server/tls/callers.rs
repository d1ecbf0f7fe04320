//! Who may call: whoever shows a certificate that an authority of the operator has signed. The API server
//! does, if its `AdmissionConfiguration` gives it one (Kubernetes, "Authenticate API servers").
//!
//! Names are not looked at, so the authority should sign nothing else.

use super::provider;
use crate::certificate::CertificateError;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{path::Path, sync::Arc};

/// Reads the authorities in `file` (PEM).
///
/// # Errors
/// [`CertificateError`] names the file and what is wrong with it.
pub(in crate::server) fn read(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let failed = |why: &dyn std::fmt::Display| CertificateError(format!("{}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|error| failed(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(&format!("{error:?}")))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"no certificate in it (PEM)"));
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| failed(&error))
}
