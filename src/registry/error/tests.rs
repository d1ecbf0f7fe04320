use super::*;
use reqwest::StatusCode;

fn answer(status: u16, body: &str, headers: &[(&'static str, &'static str)]) -> Unresolved {
    let headers = headers.iter().map(|(name, value)| {
        ((*name).parse().expect("a name"), reqwest::header::HeaderValue::from_static(value))
    });
    let answer = Incoming {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: headers.collect(),
        body: body.as_bytes().to_vec(),
        host: "reg.io".to_owned(),
        crossed: false,
    };
    from_answer(&answer, "anonymous requests")
}

/// Status, body, headers; the kind and a part of the text that are expected.
type Row = (u16, String, &'static [(&'static str, &'static str)], UnresolvedKind, &'static str);

fn errors(code: &str, message: &str) -> String {
    serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string()
}

#[test]
fn each_status_is_told_apart() {
    use UnresolvedKind::{Denied, NotFound, RateLimited, ServerError};
    let limited = |retry_after_seconds| RateLimited { retry_after_seconds };
    let rows: &[Row] = &[
        (
            404,
            errors("MANIFEST_UNKNOWN", "x"),
            &[],
            NotFound,
            "reg.io answered 404 MANIFEST_UNKNOWN: no such tag",
        ),
        (404, errors("NAME_UNKNOWN", "x"), &[], NotFound, "no such repository"),
        (404, "<html>".to_owned(), &[], NotFound, "reg.io answered 404: no such tag, digest or repository"),
        (403, errors("NAME_UNKNOWN", "x"), &[], NotFound, "403 NAME_UNKNOWN"),
        (
            401,
            errors("UNAUTHORIZED", "log in"),
            &[],
            Denied,
            "401 UNAUTHORIZED to anonymous requests (log in)",
        ),
        (403, String::new(), &[], Denied, "reg.io answered 403 to anonymous requests: "),
        (
            401,
            r#"{"details":"incorrect username or password"}"#.to_owned(),
            &[],
            Denied,
            "incorrect username",
        ),
        (429, String::new(), &[("retry-after", "17")], limited(Some(17)), "come back in 17 s"),
        (
            429,
            String::new(),
            &[("retry-after", "Mon, 23 Nov 2026 12:01:30 GMT"), ("date", "Mon, 23 Nov 2026 12:00:00 GMT")],
            limited(Some(90)),
            "come back in 90 s",
        ),
        (
            429,
            String::new(),
            &[("retry-after", "Mon, 23 Nov 2026 11:00:00 GMT"), ("date", "Mon, 23 Nov 2026 12:00:00 GMT")],
            limited(Some(0)),
            "come back in 0 s",
        ),
        (429, String::new(), &[("retry-after", "soon")], limited(None), "too many requests"),
        (403, errors("TOOMANYREQUESTS", "slow down"), &[], limited(None), "too many requests"),
        (503, String::new(), &[("retry-after", "2")], limited(Some(2)), "come back in 2 s"),
        (503, "overloaded".to_owned(), &[], ServerError, "reg.io answered 503 (overloaded)"),
        (418, String::new(), &[], ServerError, "which was not expected"),
    ];
    for (status, body, headers, kind, text) in rows {
        let found = answer(*status, body, headers);
        assert_eq!(found.kind, *kind, "{found}");
        assert_eq!((found.status, found.host.as_deref()), (Some(*status), Some("reg.io")));
        assert!(found.detail.contains(text), "{text:?} is not in {:?}", found.detail);
    }
}

#[test]
fn what_registries_say_is_cleaned() {
    let rows = [
        ("controls", "a\u{1b}[31mb\0c", "a [31mb c"),
        ("line breaks", " a\r\n\tb ", "a b"),
        ("reordering", "a\u{202e}b", "a\u{fffd}b"),
        ("plain", "tag unknown", "tag unknown"),
    ];
    for (name, text, expected) in rows {
        assert_eq!(clean(text), expected, "{name}");
    }
    assert_eq!(clean(&"x".repeat(1000)).chars().count(), QUOTE_LIMIT);
    let forged = answer(401, &errors("A B\nadmitted", "x"), &[]);
    assert!(!forged.detail.contains("admitted"), "a code is one word: {forged}");
}

#[test]
fn tls_failures_name_the_reason() {
    use rustls::{AlertDescription, Error};
    let certificate = Error::InvalidCertificate;
    let rows = [
        (certificate(CertificateError::UnknownIssuer), "unknown issuer"),
        (certificate(CertificateError::Expired), "has expired"),
        (certificate(CertificateError::NotValidYet), "not valid yet"),
        (certificate(CertificateError::NotValidForName), "another name"),
        (certificate(CertificateError::Revoked), "revoked"),
        (certificate(CertificateError::BadEncoding), "was refused"),
        (Error::InvalidMessage(InvalidMessage::InvalidContentType), "does not speak TLS"),
        (Error::AlertReceived(AlertDescription::HandshakeFailure), "HandshakeFailure"),
    ];
    for (error, expected) in rows {
        let found = tls_detail("reg.io", &error);
        assert!(found.contains(expected) && found.contains("reg.io"), "{found}");
    }
}
