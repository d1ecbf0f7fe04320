//! `WWW-Authenticate`: what a registry demands of us (RFC 9110, section 11.6.1).
//!
//! In go the header's lines, out come the challenges in them. The parser is total and tolerant:
//! several lines, several challenges in one line, unquoted values with any character, empty
//! values, missing commas and token68 are all read; what cannot be understood is stepped over.

use std::iter::Peekable;
use std::str::Chars;

/// Longest header line that is looked at.
const LINE_LIMIT: usize = 8 * 1024;

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Get a token from `realm` (distribution's token specification).
    Bearer(Bearer),
    /// Send user name and password.
    Basic,
    /// A scheme that we do not speak, or a Bearer challenge without a realm; the scheme's name.
    Unusable(String),
}

/// A Bearer challenge's parameters. Its scope is left out: we never ask for more than `pull`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    /// Where tokens are issued; not yet resolved against the registry's URL. Never empty.
    pub(super) realm: String,
    /// Whom the token is for, if the registry said so.
    pub(super) service: Option<String>,
    /// `error`: why the token that was sent was refused.
    pub(super) error: Option<String>,
}

/// Reads every challenge in `lines`, in order.
pub(super) fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<Challenge> {
    lines.into_iter().flat_map(parse_line).collect()
}

/// The challenge to answer: Bearer before Basic, whatever their order.
pub(super) fn best(challenges: &[Challenge]) -> Option<&Challenge> {
    challenges
        .iter()
        .find(|c| matches!(c, Challenge::Bearer(_)))
        .or_else(|| challenges.iter().find(|c| **c == Challenge::Basic))
}

/// A scheme and its parameters, as they come.
struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Raw {
    /// The first parameter of that name.
    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.parameters.iter().position(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(self.parameters.swap_remove(at).1).filter(|value| !value.is_empty())
    }

    fn understand(mut self) -> Challenge {
        if self.scheme.eq_ignore_ascii_case("basic") {
            return Challenge::Basic;
        }
        if !self.scheme.eq_ignore_ascii_case("bearer") {
            return Challenge::Unusable(self.scheme);
        }
        match self.take("realm") {
            Some(realm) => {
                Challenge::Bearer(Bearer { realm, service: self.take("service"), error: self.take("error") })
            }
            None => Challenge::Unusable(self.scheme),
        }
    }
}

fn parse_line(line: &[u8]) -> Vec<Challenge> {
    let line = String::from_utf8_lossy(&line[..line.len().min(LINE_LIMIT)]);
    let mut chars = line.chars().peekable();
    let mut found: Vec<Raw> = Vec::new();
    loop {
        while chars.next_if(|c| *c == ',' || c.is_whitespace()).is_some() {}
        let word = take_until(&mut chars, |c| c.is_whitespace() || matches!(c, ',' | '=' | '"'));
        skip_whitespace(&mut chars);
        match (chars.peek(), found.last_mut()) {
            (None, _) if word.is_empty() => break,
            // A stray `=` or quote: padding of a token68, or rubbish.
            (Some(_), _) if word.is_empty() => drop(chars.next()),
            (Some('='), Some(challenge)) => {
                chars.next();
                challenge.parameters.push((word, value(&mut chars)));
            }
            // A token68 without padding looks like a scheme without parameters; both say nothing.
            _ => found.push(Raw { scheme: word, parameters: Vec::new() }),
        }
    }
    found.into_iter().map(Raw::understand).collect()
}

/// A quoted string, or anything up to a comma or a space.
fn value(chars: &mut Peekable<Chars<'_>>) -> String {
    skip_whitespace(chars);
    if chars.next_if_eq(&'"').is_none() {
        return take_until(chars, |c| c == ',' || c.is_whitespace());
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    value
}

fn take_until(chars: &mut Peekable<Chars<'_>>, stop: impl Fn(char) -> bool) -> String {
    std::iter::from_fn(|| chars.next_if(|c| !stop(*c))).collect()
}

fn skip_whitespace(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer(Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            error: None,
        })
    }

    #[test]
    fn the_best_challenge_is_found_in_every_form() {
        let full = || Some(bearer("https://a/t", Some("s")));
        let rows: &[(&str, &[&str], Option<Challenge>)] = &[
            (
                "usual",
                &[r#"Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push""#],
                full(),
            ),
            ("scope first", &[r#"Bearer scope="a:b:pull,push", service="s", realm="https://a/t""#], full()),
            ("scheme in capitals", &[r#"BEARER realm="https://a/t",service="s""#], full()),
            ("names in capitals", &[r#"bearer Realm="https://a/t",SERVICE="s""#], full()),
            ("spaces round =", &[r#"Bearer realm = "https://a/t" , service = "s""#], full()),
            ("missing commas", &[r#"Bearer realm="https://a/t" service="s""#], full()),
            ("unquoted", &["Bearer realm=https://a/t,service=s"], full()),
            ("escapes", &[r#"Bearer realm="https:\/\/a/\t",service="s""#], full()),
            ("open quote", &[r#"Bearer service="s",realm="https://a/t"#], full()),
            ("two lines", &[r#"Basic realm="x""#, r#"Bearer realm="https://a/t",service="s""#], full()),
            ("one line", &[r#"Basic realm="x", Bearer realm="https://a/t",service="s""#], full()),
            (
                "one line, Bearer first",
                &[r#"Bearer realm="https://a/t",service="s", Basic realm="x""#],
                full(),
            ),
            ("token68 before", &[r#"Negotiate abc==, Bearer realm="https://a/t",service="s""#], full()),
            ("bare token68 before", &[r#"Negotiate abc, Bearer realm="https://a/t",service="s""#], full()),
            (
                "empty service",
                &[r#"Bearer service="",realm="https://a/t""#],
                Some(bearer("https://a/t", None)),
            ),
            ("empty bare service", &["Bearer service=,realm=https://a/t"], Some(bearer("https://a/t", None))),
            ("no service", &[r#"Bearer realm="https://a/t""#], Some(bearer("https://a/t", None))),
            (
                "first of duplicates",
                &[r#"Bearer realm="https://a/t",realm="https://b""#],
                Some(bearer("https://a/t", None)),
            ),
            (
                "query in the realm",
                &[r#"Bearer realm="https://a/t?x=1,2""#],
                Some(bearer("https://a/t?x=1,2", None)),
            ),
            ("no realm", &[r#"Bearer service="s""#], None),
            ("no realm, but Basic", &[r#"Bearer service="s", Basic realm="x""#], Some(Challenge::Basic)),
            ("Basic", &["BASIC realm=\"Sonatype Nexus\""], Some(Challenge::Basic)),
            ("Basic without a realm", &["Basic"], Some(Challenge::Basic)),
            ("others only", &["Negotiate", "NTLM", r#"Digest realm="x", nonce="y""#], None),
            ("nothing", &[], None),
            ("empty line", &[""], None),
            ("rubbish", &[r#"=,"",==" , \ = """#], None),
            ("not ASCII", &["Bearer realm=\"https://a/t\",service=\"s\",x=\"\u{fc}\""], full()),
        ];
        for (name, lines, expected) in rows {
            let challenges = parse(lines.iter().map(|line| line.as_bytes()));
            assert_eq!(best(&challenges), expected.as_ref(), "{name}: {challenges:?}");
        }
    }

    #[test]
    fn unusable_schemes_are_named() {
        let challenges = parse([b"Negotiate".as_slice(), b"NTLM, Digest realm=\"x\""]);
        let names = ["Negotiate", "NTLM", "Digest"].map(|name| Challenge::Unusable(name.to_owned()));
        assert_eq!(challenges, names);
    }

    #[test]
    fn the_error_is_kept() {
        let challenges = parse([br#"Bearer realm="r",error="invalid_token""#.as_slice()]);
        assert!(
            matches!(&challenges[..], [Challenge::Bearer(b)] if b.error.as_deref() == Some("invalid_token"))
        );
    }

    #[test]
    fn no_bytes_make_it_panic_or_hang() {
        let alphabet = *b"Be=\", \\\xff\x00";
        for seed in 0..60_000_usize {
            let line: Vec<u8> =
                (0..6).map(|i| alphabet[seed / alphabet.len().pow(i) % alphabet.len()]).collect();
            parse([line.as_slice()]);
        }
        parse([vec![b'"'; 1 << 20].as_slice()]);
    }
}
