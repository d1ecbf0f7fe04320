//! The grammar of distribution/reference (`reference.go`, `regexp.go`, `normalize.go`), rule by rule, so
//! that each refusal can say which rule was broken.

use super::InvalidReference;

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";

/// `RepositoryNameTotalLengthMax`, of the path alone.
const PATH_MAX: usize = 255;

const TAG_MAX: usize = 128;

/// Whole strings that are no reference, each with what was probably meant.
pub(super) fn refuse_what_is_no_name(text: &str) -> Result<(), InvalidReference> {
    let is_image_id = |text: &str| text.len() == 64 && text.bytes().all(is_lower_hex);
    if text.is_empty() {
        return refuse("is empty");
    }
    if text.trim() != text {
        return refuse("has white space around it: remove it");
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return refuse(format!("starts with a scheme: remove \"{}://\"", printable(scheme)));
    }
    if is_image_id(text) {
        return refuse("is 64 hexadecimal characters, which is an image ID and not a name");
    }
    if is_digest(text) {
        return refuse(
            "is a local image ID, which only means something on one node and cannot be looked at: \
             write name@sha256:…",
        );
    }
    Ok(())
}

/// Whether a runtime would take the whole text for the ID of an image that the node has: containerd
/// does so with whatever go-digest reads as a digest.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(is_lower_hex)
}

/// `splitDockerDomain`: what is before the first slash is a domain only if it looks like one.
pub(super) fn split_domain(text: &str) -> (String, String) {
    let (domain, remainder) = match text.split_once('/') {
        Some((first, rest)) if first == LEGACY_DEFAULT_DOMAIN => (DEFAULT_DOMAIN, rest),
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    };
    let official = domain == DEFAULT_DOMAIN && !remainder.contains('/');
    let prefix = if official { OFFICIAL_PREFIX } else { "" };
    (domain.to_owned(), format!("{prefix}{remainder}"))
}

fn looks_like_domain(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase)
}

/// `domain-name` or a bracketed IPv6 address, and an optional port.
pub(super) fn check_domain(domain: &str) -> Result<(), InvalidReference> {
    if domain.contains('@') {
        return refuse(
            "has credentials before its registry, or a digest before a slash: a digest comes last",
        );
    }
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) => {
                if address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
                    return refuse(format!("bad registry \"{}\": not an IPv6 address", printable(domain)));
                }
                (None, (!after.is_empty()).then_some(after))
            }
            None => return refuse(format!("bad registry \"{}\": \"]\" is missing", printable(domain))),
        },
        None => match domain.find(':') {
            Some(colon) => (Some(&domain[..colon]), Some(&domain[colon..])),
            None => (Some(domain), None),
        },
    };
    if let Some(component) = host.and_then(|host| host.split('.').find(|part| !is_domain_component(part))) {
        let why = match component {
            "" => "a part of its name is empty".to_owned(),
            _ if component.contains('_') => "a host name has no \"_\"".to_owned(),
            _ => format!("\"{}\" is not a part of a host name", printable(component)),
        };
        return refuse(format!("bad registry \"{}\": {why}", printable(domain)));
    }
    match port.map(|port| port.strip_prefix(':').unwrap_or_default()) {
        Some(port) if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            refuse(format!("bad registry \"{}\": the port is not a number", printable(domain)))
        }
        _ => Ok(()),
    }
}

fn is_domain_component(part: &str) -> bool {
    let bytes = part.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// `remote-name`: path components between slashes, 255 characters in all.
pub(super) fn check_path(path: &str) -> Result<(), InvalidReference> {
    if path.chars().any(char::is_uppercase) {
        return refuse(format!(
            "repository name \"{}\" must be lowercase: write \"{}\"",
            printable(path),
            printable(&path.to_lowercase())
        ));
    }
    for component in path.split('/') {
        if component.is_empty() {
            return refuse(format!(
                "repository name \"{}\" has an empty part: look for // or a slash at an end",
                printable(path)
            ));
        }
        if !is_path_component(component) {
            return refuse(format!(
                "\"{}\" is not a part of a repository name: letters a-z and digits, with one \".\", one or two \"_\" or any number of \"-\" between them",
                printable(component)
            ));
        }
    }
    if path.len() > PATH_MAX {
        return refuse(format!("repository name has {} characters, more than {PATH_MAX}", path.len()));
    }
    Ok(())
}

/// `alphanumeric (separator alphanumeric)*`, separator = `.` | `_` | `__` | `-`+.
fn is_path_component(component: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !component.starts_with(is_alphanumeric) || !component.ends_with(is_alphanumeric) {
        return false;
    }
    component.split(is_alphanumeric).all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    })
}

/// `[\w][\w.-]{0,127}`, `\w` being ASCII.
pub(super) fn check_tag(tag: &str) -> Result<(), InvalidReference> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match tag.as_bytes() {
        [] => refuse("the tag is empty: remove the \":\" or name a tag"),
        bytes if bytes.len() > TAG_MAX => {
            refuse(format!("the tag has {} characters, more than {TAG_MAX}", bytes.len()))
        }
        [first, rest @ ..]
            if is_word(*first) && rest.iter().all(|byte| is_word(*byte) || matches!(byte, b'.' | b'-')) =>
        {
            Ok(())
        }
        _ => refuse(format!(
            "\"{}\" is not a tag: letters, digits, \"_\", \".\" and \"-\", and neither \".\" nor \"-\" first",
            printable(tag)
        )),
    }
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn refuse<T>(why: impl Into<String>) -> Result<T, InvalidReference> {
    Err(InvalidReference(why.into()))
}

/// A part of a bad reference, fit for a message: bounded, and escaped where it is not plain ASCII.
fn printable(part: &str) -> String {
    const MAX: usize = 60;
    let mut text: String = part.escape_default().take(MAX).collect();
    if part.escape_default().count() > MAX {
        text.push('…');
    }
    text
}
