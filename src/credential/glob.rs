//! Go's `filepath.Match` for one label of a host: `*`, `?`, `[a-z]`, `[^a-z]`, `\x`.
//!
//! A malformed pattern matches nothing, as the kubelet treats it.

/// Whether the whole of `text` matches `pattern`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some(tokens) = parse(pattern) else { return false };
    let text: Vec<char> = text.chars().collect();
    // The positions of `text` that the tokens so far can reach: no backtracking, so no pattern is slow.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for token in tokens {
        let mut next = vec![false; text.len() + 1];
        for at in (0..=text.len()).filter(|&at| reached[at]) {
            match &token {
                Token::Any => next[at..].fill(true),
                Token::One(accepts) if at < text.len() && accepts.accept(text[at]) => next[at + 1] = true,
                Token::One(_) => {}
            }
        }
        reached = next;
    }
    reached[text.len()]
}

enum Token {
    /// `*`
    Any,
    /// Exactly one character.
    One(Class),
}

/// Ranges of characters, or all but those.
struct Class {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Class {
    fn accept(&self, c: char) -> bool {
        self.ranges.iter().any(|&(low, high)| low <= c && c <= high) != self.negated
    }
}

fn parse(pattern: &str) -> Option<Vec<Token>> {
    let mut chars = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One(Class { ranges: Vec::new(), negated: true }),
            '[' => Token::One(parse_class(&mut chars)?),
            '\\' => literal(chars.next()?),
            c => literal(c),
        });
    }
    Some(tokens)
}

fn literal(c: char) -> Token {
    Token::One(Class { ranges: vec![(c, c)], negated: false })
}

fn parse_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Class> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Some(Class { ranges, negated });
        }
        let low = class_char(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_char(chars)? } else { low };
        ranges.push((low, high));
    }
}

/// One end of a range. A bare `-` or `]` is an error, as in Go.
fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn labels_match_as_go_matches_them() {
        let rows = [
            ("exact", "acme", "acme", true),
            ("case counts", "Acme", "acme", false),
            ("star", "*", "anything", true),
            ("star matches nothing", "*", "", true),
            ("star inside", "k*s", "k8s", true),
            ("star at both ends", "*dkr*", "xdkry", true),
            ("question mark", "k?s", "k8s", true),
            ("question mark needs one", "k?s", "ks", false),
            ("class", "k[0-9]s", "k8s", true),
            ("class, outside", "k[0-7]s", "k8s", false),
            ("negated class", "k[^0-7]s", "k8s", true),
            ("escaped star", r"\*", "*", true),
            ("escaped star is no star", r"\*", "x", false),
            ("open class", "k[0-9", "k8", false),
            ("empty class", "k[]s", "ks", false),
            ("trailing escape", "k\\", "k", false),
            ("bare dash in a class", "[-x]", "x", false),
            (
                "many stars stay quick",
                "*a*a*a*a*a*a*a*a*a*a*a*b",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                false,
            ),
        ];
        for (name, pattern, text, expected) in rows {
            assert_eq!(matches(pattern, text), expected, "{name}: {pattern} against {text}");
        }
    }
}
