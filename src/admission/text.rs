//! Text that goes to people through the API server: one line, bounded, without control characters.

/// `text` on one line: control characters, line and paragraph separators become spaces, and
/// characters that reorder or hide what follows (bidirectional controls) become visible as `�`.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_control() => ' ',
            '\u{2028}' | '\u{2029}' => ' ',
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}

/// At most `max` characters of `text`, the last one `…` where it was cut.
pub(super) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `n thing` or `n things`.
pub(super) fn count(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_what_would_be_dropped_or_would_deceive() {
        for (name, text, expected) in [
            ("plain", "user 0 is root", "user 0 is root"),
            ("beyond ASCII", "größe 日本", "größe 日本"),
            ("line break", "a\r\nb", "a  b"),
            ("escape sequence", "\u{1b}[31mred", " [31mred"),
            ("C1 control", "a\u{85}b", "a b"),
            ("line separator", "a\u{2028}b", "a b"),
            ("right-to-left override", "a\u{202e}b", "a\u{fffd}b"),
        ] {
            assert_eq!(clean(text), expected, "{name}");
        }
    }

    #[test]
    fn cuts_at_characters_not_bytes() {
        for (name, text, max, expected) in [
            ("short", "abc", 3, "abc"),
            ("long", "abcd", 3, "ab…"),
            ("beyond ASCII", "日本日本", 3, "日本…"),
            ("nothing", "", 0, ""),
        ] {
            assert_eq!(cut(text, max), expected, "{name}");
        }
    }
}
