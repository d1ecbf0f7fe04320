//! Text that goes to people: one line, bounded, without control characters. Much of it comes from images.

/// At most `max` characters of `text` on one line, the last one `…` where it was cut.
///
/// Control characters, line and paragraph separators become spaces; characters that reorder or hide
/// what follows (bidirectional controls) become visible as `�`.
pub(crate) fn clean(text: &str, max: usize) -> String {
    let (kept, mark) = match text.char_indices().nth(max) {
        None => (usize::MAX, None),
        Some(_) => (max.saturating_sub(1), Some('…')),
    };
    text.chars().take(kept).map(visible).chain(mark).collect()
}

fn visible(c: char) -> char {
    match c {
        c if c.is_control() => ' ',
        '\u{2028}' | '\u{2029}' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
            '\u{fffd}'
        }
        c => c,
    }
}

/// At most `max` bytes of `text`, the last character `…` where it was cut.
pub(crate) fn cut_bytes(text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let end = text.floor_char_boundary(max.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

/// `n thing` or `n things`.
pub(crate) fn count(n: usize, thing: &str) -> String {
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
            assert_eq!(clean(text, 100), expected, "{name}");
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
            assert_eq!(clean(text, max), expected, "{name}");
        }
    }
}
