//! Failures, as [`Unresolved`] values: which host, which status, what happened.
//!
//! The texts are shown to whoever created a Pod, so what a registry says is cleaned and cut here,
//! and nothing else of its answers is passed on.

use super::{
    address::{LookupFailed, Refused},
    transport::Incoming,
};
use crate::{
    image::{Unresolved, UnresolvedKind},
    text,
};
use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use rustls::{CertificateError, InvalidMessage};
use serde_json::Value;
use std::{error::Error, io};

/// Longest text of a registry that is passed on, in characters.
const QUOTE_LIMIT: usize = 160;

/// A failure that happened at `host`.
pub(super) fn failure(kind: UnresolvedKind, host: &str, detail: impl Into<String>) -> Unresolved {
    Unresolved { kind, host: Some(host.to_owned()), status: None, detail: detail.into() }
}

/// The deadline passed.
pub(super) fn deadline(host: &str) -> Unresolved {
    failure(UnresolvedKind::Timeout, host, format!("{host} did not answer before the deadline"))
}

/// One short line of what a registry says: runs of white space become one space.
pub(super) fn clean(said: &str) -> String {
    let line = text::clean(said, 4 * QUOTE_LIMIT);
    text::clean(&line.split_whitespace().collect::<Vec<_>>().join(" "), QUOTE_LIMIT)
}

/// What an answer that is not a success means. `tried` says with which credentials it was asked.
pub(super) fn from_answer(answer: &Incoming, tried: &str) -> Unresolved {
    let Incoming { status, host, .. } = answer;
    let spoken = Spoken::read(&answer.body);
    let code = spoken.code.as_deref().unwrap_or_default();
    let said = format!("{host} answered {}", join(status.as_u16(), code));
    let unknown = matches!(code, "MANIFEST_UNKNOWN" | "NAME_UNKNOWN" | "BLOB_UNKNOWN");
    let (kind, detail) = match status.as_u16() {
        429 => rate_limited(&said, &answer.headers),
        // As it is read where the host is asked (`weather`): it is there, and says when to come back.
        503 if retry_after(&answer.headers).is_some() => rate_limited(&said, &answer.headers),
        _ if code == "TOOMANYREQUESTS" => rate_limited(&said, &answer.headers),
        404 => (UnresolvedKind::NotFound, format!("{said}: {}", not_found(code))),
        400 | 401 | 403 if unknown => (UnresolvedKind::NotFound, format!("{said}: {}", not_found(code))),
        401 | 403 => {
            let quote = spoken.quoted();
            (
                UnresolvedKind::Denied,
                format!("{said} to {tried}{quote}: the repository is private, or does not exist"),
            )
        }
        500..=599 => (UnresolvedKind::ServerError, format!("{said}{}", spoken.quoted())),
        _ => (UnresolvedKind::ServerError, format!("{said}, which was not expected{}", spoken.quoted())),
    };
    Unresolved { kind, host: Some(host.clone()), status: Some(status.as_u16()), detail }
}

fn join(status: u16, code: &str) -> String {
    if code.is_empty() { status.to_string() } else { format!("{status} {code}") }
}

fn not_found(code: &str) -> &'static str {
    match code {
        "NAME_UNKNOWN" => "no such repository",
        "MANIFEST_UNKNOWN" => "no such tag or digest",
        "BLOB_UNKNOWN" => "the manifest is there, but not the blob it names",
        _ => "no such tag, digest or repository",
    }
}

fn rate_limited(said: &str, headers: &HeaderMap) -> (UnresolvedKind, String) {
    let retry_after_seconds = retry_after(headers);
    let detail = match retry_after_seconds {
        Some(seconds) => format!("{said}: too many requests, come back in {seconds} s"),
        None => format!("{said}: too many requests"),
    };
    (UnresolvedKind::RateLimited { retry_after_seconds }, detail)
}

/// `Retry-After` in seconds. A date is compared with the answer's own `Date`, not with our clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let wait = http_date(text)?.duration_since(date(headers)?).as_secs();
    Some(u32::try_from(wait.max(0)).unwrap_or(u32::MAX))
}

/// When the server says that it answered.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// RFC 9110's IMF-fixdate, which is also a date of RFC 2822 but for its zone's name.
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// What a registry says in an error's body (distribution-spec, Error Codes).
struct Spoken {
    code: Option<String>,
    message: Option<String>,
}

impl Spoken {
    fn read(body: &[u8]) -> Self {
        let Ok(document) = serde_json::from_slice::<Value>(body) else {
            let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
            let line = clean(&text);
            let message = Some(line).filter(|line| !line.is_empty() && !line.contains(['<', '{']));
            return Self { code: None, message };
        };
        let first = document.pointer("/errors/0");
        let text = |name: &str| first?.get(name)?.as_str().map(clean).filter(|text| !text.is_empty());
        let details = || document.get("details").or(document.get("message"))?.as_str().map(clean);
        let is_code = |code: &String| code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        Self { code: text("code").filter(is_code), message: text("message").or_else(details) }
    }

    fn quoted(&self) -> String {
        self.message.as_ref().map(|message| format!(" ({message})")).unwrap_or_default()
    }
}

/// What a failure of the connection means.
pub(super) fn from_transport(host: &str, error: &reqwest::Error) -> Unresolved {
    use UnresolvedKind::{AddressRefused, Timeout, Tls, Unreachable};
    for cause in causes(error) {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return failure(AddressRefused, host, refused.to_string());
        }
        if let Some(failed) = cause.downcast_ref::<LookupFailed>() {
            return failure(Unreachable, host, clean(&failed.to_string()));
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return failure(Tls, host, tls_detail(host, tls));
        }
    }
    if error.is_timeout() {
        return if error.is_connect() {
            failure(Unreachable, host, format!("no connection to {host} in time; is egress to it blocked?"))
        } else {
            failure(Timeout, host, format!("{host} stalled: it sent nothing for too long"))
        };
    }
    if is_unasked(error) {
        let detail = format!(
            "{host} ends its HTTP/2 connections before it comes to a request; is it being restarted?"
        );
        return failure(Unreachable, host, detail);
    }
    let io = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let detail = match io {
        Some(io::ErrorKind::ConnectionRefused) => format!("{host} refused the connection"),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            format!("{host} broke the connection off")
        }
        _ => {
            let last = causes(error).last().map(ToString::to_string).unwrap_or_default();
            // HTTP/2 passes errors of TLS on as texts.
            if let Some(alert) = last.strip_prefix("received fatal alert: ") {
                return failure(Tls, host, alert_detail(host, alert));
            }
            let verb = if error.is_connect() { "cannot be reached" } else { "broke the exchange off" };
            format!("{host} {verb}: {}", clean(&last))
        }
    };
    failure(Unreachable, host, detail)
}

/// Whether a server ended an HTTP/2 connection in order, or refused one stream, without having looked at the request
/// (RFC 9113 sections 6.8 and 8.7).
pub(super) fn is_unasked(error: &reqwest::Error) -> bool {
    let told = causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>());
    told.filter(|told| told.is_remote()).is_some_and(|told| {
        (told.is_go_away() && told.reason() == Some(h2::Reason::NO_ERROR))
            || (told.is_reset() && told.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

/// An error and everything below it, what `io::Error` wraps included.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| cause.source())
    })
    .take(16)
}

fn tls_detail(host: &str, error: &rustls::Error) -> String {
    use CertificateError as C;
    let reason = match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            C::UnknownIssuer => {
                "is signed by an unknown issuer; name its CA as `ca` in the host's hosts.toml"
            }
            C::Expired | C::ExpiredContext { .. } => "has expired",
            C::NotValidYet | C::NotValidYetContext { .. } => "is not valid yet; are both clocks right?",
            C::NotValidForName | C::NotValidForNameContext { .. } => "is made out to another name",
            C::Revoked => "was revoked",
            other => return format!("the certificate of {host} was refused: {}", clean(&other.to_string())),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            return format!(
                "{host} does not speak TLS, but perhaps plain http; if so, its hosts.toml must say server = \"http://{host}\""
            );
        }
        rustls::Error::AlertReceived(alert) => {
            return alert_detail(host, &format!("{alert:?}"));
        }
        other => return format!("no TLS with {host}: {}", clean(&other.to_string())),
    };
    format!("the certificate of {host} {reason}")
}

/// What an alert of the other side means. Go's servers say `bad certificate` where none was shown.
fn alert_detail(host: &str, alert: &str) -> String {
    let wants_ours = matches!(alert, "BadCertificate" | "CertificateRequired" | "UnknownCA" | "AccessDenied");
    let hint =
        if wants_ours { "; it may want another client certificate (`client` in its hosts.toml)" } else { "" };
    format!("{host} ended TLS with the alert {}{hint}", clean(alert))
}

#[cfg(test)]
mod tests;
