//! One host's answer: read within its limits, undone if it was compressed, and what it says of the host.

use super::{
    error::{clean, failure, from_transport, retry_after},
    observe::RateLimit,
    weather::Outcome,
};
use crate::image::{Digest, Unresolved, UnresolvedKind};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, HeaderMap, WARNING},
};
use std::{io::Read, time::Duration};

/// What is read of an answer that is no success.
const ERROR_BODY_LIMIT: usize = 64 * 1024;
/// How often a body may have been compressed.
const ENCODINGS: usize = 2;

/// One host's answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
pub(super) struct Failed {
    pub(super) why: Unresolved,
    /// The connection ended in order, and did not come to the request.
    pub(super) unasked: bool,
}

impl From<Unresolved> for Failed {
    fn from(why: Unresolved) -> Self {
        Self { why, unasked: false }
    }
}

/// What a result says of the host.
pub(super) fn outcome(result: &Result<Answer, Failed>) -> Outcome {
    match result {
        Ok(answer) => match answer.status.as_u16() {
            429 => Outcome::Paused(429, pause(&answer.headers)),
            503 if pause(&answer.headers).is_some() => Outcome::Paused(503, pause(&answer.headers)),
            408 | 425 | 500..=599 => Outcome::Overloaded,
            _ => Outcome::Answered,
        },
        Err(Failed { unasked: true, .. }) => Outcome::Unasked,
        Err(Failed { why, .. }) => match why.kind {
            UnresolvedKind::Unreachable => Outcome::Broken(why.detail.clone(), true),
            UnresolvedKind::Timeout | UnresolvedKind::Tls => Outcome::Broken(why.detail.clone(), false),
            // It answers, if not what it should.
            _ => Outcome::Answered,
        },
    }
}

fn pause(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers).map(|seconds| Duration::from_secs(seconds.into()))
}

/// What is left of a limit on requests, if the host tells.
pub(super) fn rate_limit(headers: &HeaderMap) -> Option<RateLimit> {
    let number = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        value.split(';').next()?.trim().parse().ok()
    };
    Some(RateLimit { limit: number("ratelimit-limit")?, remaining: number("ratelimit-remaining")? })
}

/// What the host warns of, or what its own headers say wrongly of its answer.
///
/// containerd believes the digest that is said of a tag, and runs what has that digest: then it is not what was judged.
pub(super) fn warning(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let said =
        headers.get("docker-content-digest").and_then(|said| said.to_str().ok()?.parse::<Digest>().ok());
    if let Some(said) =
        said.filter(|said| status == StatusCode::OK && !body.is_empty() && !said.matches(body))
    {
        return Some(format!("Docker-Content-Digest is {said}, and what is served is not"));
    }
    let warned = headers.get_all(WARNING).iter().find_map(|value| value.to_str().ok()?.strip_prefix("299 "));
    // An agent, a hyphen mostly, and a quoted text.
    let text = warned?.split_once('"')?.1.rsplit_once('"')?.0.replace("\\\"", "\"");
    Some(clean(&text)).filter(|text| !text.is_empty())
}

/// Reads a body. A success beyond the limit is an error, any other answer is cut.
pub(super) async fn read(
    mut response: Response,
    host: &str,
    limit: usize,
    bytes: &mut u64,
) -> Result<Vec<u8>, Unresolved> {
    let success = response.status().is_success();
    let encodings = if success { encodings(response.headers(), host)? } else { Vec::new() };
    // What is compressed should be shorter; where there is little to compress, it is a little longer.
    let overhead = if encodings.is_empty() { 0 } else { 1024 };
    let most = if success { limit.saturating_add(overhead) } else { ERROR_BODY_LIMIT };
    let too_large = || {
        let detail = format!("{host} sent more than the {limit} bytes that were expected at most");
        failure(UnresolvedKind::TooLarge, host, detail)
    };
    if success && response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| from_transport(host, &e))? {
        *bytes += chunk.len() as u64;
        let room = most - body.len();
        if chunk.len() > room {
            if success {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk[..room]);
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let undone = if body.is_empty() { &[][..] } else { &encodings[..] };
    for encoding in undone.iter().rev() {
        body = encoding.undo(&body, limit).map_err(|_| {
            let detail = format!("{host} sent a body that is not what its Content-Encoding says");
            failure(UnresolvedKind::ServerError, host, detail)
        })?;
        if body.len() > limit {
            return Err(too_large());
        }
    }
    Ok(body)
}

/// How a body was compressed (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    /// The first `limit` bytes and one more, so that more shows as more.
    fn undo(self, body: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        let most = (limit as u64).saturating_add(1);
        match self {
            Self::Gzip => MultiGzDecoder::new(body).take(most).read_to_end(&mut plain)?,
            Self::Deflate => ZlibDecoder::new(body).take(most).read_to_end(&mut plain)?,
        };
        Ok(plain)
    }
}

/// How a body was compressed, first to last. We ask for none; some proxies compress all the same.
fn encodings(headers: &HeaderMap, host: &str) -> Result<Vec<Encoding>, Unresolved> {
    let refuse = |what: String| {
        let detail = format!("{host} compressed its answer although it was asked not to, {what}");
        Err(failure(UnresolvedKind::ServerError, host, detail))
    };
    let mut found = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in String::from_utf8_lossy(value.as_bytes()).split(',').map(str::trim) {
            match name.to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => found.push(Encoding::Gzip),
                "deflate" => found.push(Encoding::Deflate),
                other => return refuse(format!("in a way that is not undone here ({})", clean(other))),
            }
        }
    }
    if found.len() > ENCODINGS {
        return refuse(format!("and more than {ENCODINGS} times"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{
        Compression,
        read::{GzEncoder, ZlibEncoder},
    };
    use reqwest::header::HeaderValue;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        GzEncoder::new(plain, Compression::best()).read_to_end(&mut body).unwrap();
        body
    }

    fn deflate(plain: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        ZlibEncoder::new(plain, Compression::best()).read_to_end(&mut body).unwrap();
        body
    }

    /// What is read of an answer with this header and body, when at most 100 bytes are expected.
    async fn read_encoded(encoding: &str, body: Vec<u8>) -> Result<Vec<u8>, (UnresolvedKind, String)> {
        let answer = axum::http::Response::builder().header(CONTENT_ENCODING, encoding).body(body).unwrap();
        let read = read(answer.into(), "reg.io", 100, &mut 0).await;
        read.map_err(|failed| (failed.kind, failed.detail))
    }

    #[tokio::test]
    async fn compressed_bodies_are_undone_within_the_limit() {
        let plain = br#"{"schemaVersion":2}"#.to_vec();
        for (name, encoding, body) in [
            ("none", "identity", plain.clone()),
            ("gzip", "gzip", gzip(&plain)),
            ("in capitals", "GZIP", gzip(&plain)),
            ("its old name", "x-gzip", gzip(&plain)),
            ("deflate", "deflate", deflate(&plain)),
            ("twice", "deflate, gzip", gzip(&deflate(&plain))),
            ("an answer to HEAD", "gzip", Vec::new()),
        ] {
            let expected = if body.is_empty() { Vec::new() } else { plain.clone() };
            assert_eq!(read_encoded(encoding, body).await, Ok(expected), "{name}");
        }
        let bomb = gzip(&vec![0; 50_000_000]);
        let thrice = gzip(&gzip(&gzip(&plain)));
        for (name, encoding, body, kind, text) in [
            ("a bomb", "gzip", gzip(&vec![0; 1000]), UnresolvedKind::TooLarge, "more than the 100 bytes"),
            ("a great bomb", "gzip", bomb, UnresolvedKind::TooLarge, "more than the 100 bytes"),
            (
                "no gzip",
                "gzip",
                plain.clone(),
                UnresolvedKind::ServerError,
                "is not what its Content-Encoding",
            ),
            ("thrice", "gzip, gzip, gzip", thrice, UnresolvedKind::ServerError, "more than 2 times"),
            ("another way", "zstd", plain, UnresolvedKind::ServerError, "not undone here (zstd)"),
        ] {
            let (found, detail) = read_encoded(encoding, body).await.expect_err(name);
            assert!(found == kind && detail.contains(text), "{name}: {found:?} {detail}");
        }
    }

    #[test]
    fn hosts_may_warn_and_are_contradicted() {
        let other = format!("{}", Digest::sha256(b"other"));
        let right = format!("{}", Digest::sha256(b"{}"));
        let long = format!("299 - \"{}\"", "x".repeat(4000));
        for (name, header, value, status, expected) in [
            ("deprecated", "warning", r#"299 - "v1 ends in May""#, 200, "v1 ends in May"),
            ("quotes", "warning", r#"299 x "see \"y\"""#, 404, r#"see "y""#),
            ("controls", "warning", "299 - \"a\tb\"", 200, "a b"),
            ("long", "warning", &*long, 200, "xxx"),
            ("another code", "warning", r#"199 - "x""#, 200, ""),
            ("no text", "warning", "299 -", 200, ""),
            ("empty", "warning", r#"299 - """#, 200, ""),
            ("another digest", "docker-content-digest", &*other, 200, "and what is served is not"),
            ("of an error", "docker-content-digest", &*other, 404, ""),
            ("its digest", "docker-content-digest", &*right, 200, ""),
            ("no digest", "docker-content-digest", "sha256:0", 200, ""),
        ] {
            let headers = [(header.parse().unwrap(), HeaderValue::try_from(value).unwrap())];
            let found = warning(StatusCode::from_u16(status).unwrap(), &headers.into_iter().collect(), b"{}");
            assert_eq!(found.is_some(), !expected.is_empty(), "{name}: {found:?}");
            let found = found.unwrap_or_default();
            assert!(found.contains(expected) && found.len() < 200, "{name}: {found:?}");
        }
        let headers: HeaderMap =
            [("docker-content-digest".parse().unwrap(), HeaderValue::try_from(other).unwrap())]
                .into_iter()
                .collect();
        assert_eq!(warning(StatusCode::OK, &headers, b""), None, "an answer to HEAD");
    }

    #[test]
    fn limits_are_read_as_docker_hub_tells_them() {
        for (limit, remaining, expected, scarce) in [
            ("100;w=21600", "76;w=21600", Some((100, 76)), false),
            ("100", "9", Some((100, 9)), true),
            ("100;w=21600", "10;w=21600", Some((100, 10)), false),
            ("0", "0", Some((0, 0)), false),
            ("many", "9", None, false),
            ("100", "", None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("ratelimit-limit", HeaderValue::from_static(limit));
            headers.insert("ratelimit-remaining", HeaderValue::from_static(remaining));
            let found = rate_limit(&headers);
            assert_eq!(found.map(|found| (found.limit, found.remaining)), expected, "{limit} {remaining}");
            assert_eq!(found.is_some_and(RateLimit::is_scarce), scarce, "{limit} {remaining}");
        }
        assert_eq!(rate_limit(&HeaderMap::new()), None);
    }
}
