//! Where an answer redirects to, and whether that may be followed.

use super::{error::failure, hosts::authority, transport::Outgoing};
use crate::image::{Unresolved, UnresolvedKind};
use reqwest::{
    StatusCode,
    header::{HeaderMap, LOCATION},
};
use url::Url;

/// Whether a redirect may be followed.
pub(super) fn check(outgoing: &Outgoing<'_>, hops: usize, from: &Url, to: &Url) -> Result<(), Unresolved> {
    let host = authority(from);
    let refuse = |what: String| Err(failure(UnresolvedKind::ServerError, &host, what));
    if hops >= outgoing.redirects {
        return refuse(format!("{host} redirects further than the {} hops allowed", outgoing.redirects));
    }
    if outgoing.payload.is_secret() {
        return refuse(format!("{host} redirects a request whose body is a secret; it was not followed"));
    }
    if !matches!(to.scheme(), "http" | "https") {
        return refuse(format!("{host} redirects to a URL that is neither http nor https"));
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        let to = authority(to);
        return refuse(format!("{host} redirects from https to plain http ({to}), which is not followed"));
    }
    Ok(())
}

/// Where an answer redirects to, if it does.
pub(super) fn target(
    status: StatusCode,
    headers: &HeaderMap,
    url: &Url,
    host: &str,
) -> Result<Option<Url>, Unresolved> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    match location.and_then(|location| url.join(location).ok()) {
        Some(mut next) if next.host().is_some() => {
            // A redirect must not make us send credentials of its own choice.
            let _ = next.set_username("");
            let _ = next.set_password(None);
            Ok(Some(next))
        }
        _ => {
            let mut nowhere = failure(
                UnresolvedKind::ServerError,
                host,
                format!("{host} answered {} without saying where to go", status.as_u16()),
            );
            nowhere.status = Some(status.as_u16());
            Err(nowhere)
        }
    }
}
