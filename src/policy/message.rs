//! The sentences that people read. One line, at most [`MAX`] characters, nothing that a terminal or
//! the API server would take for a control character: much of the text comes out of images.

use crate::{image::Platform, workload::ImageUse};

/// Characters of a message.
pub(super) const MAX: usize = 300;
/// Characters of a value out of an image or a Pod.
const MAX_VALUE: usize = 60;
/// Platforms that are named one by one.
const MAX_PLATFORMS: usize = 3;

/// `value` in quotes, escaped and cut.
pub(super) fn quoted(value: &str) -> String {
    let escaped: String = cut(value, MAX_VALUE).chars().flat_map(char::escape_debug).collect();
    format!("\"{}\"", escaped.replace("\\'", "'"))
}

/// `text` on one line: whatever is not printable is escaped.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => cleaned.push(' '),
            '"' | '\'' | '\\' => cleaned.push(c),
            c => cleaned.extend(c.escape_debug()),
        }
    }
    cleaned
}

/// At most `max` characters of `text`, the last one `…` where it was cut.
pub(super) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `a, b or c`, at most five of them.
pub(super) fn either<S: AsRef<str>>(items: &[S]) -> String {
    const SHOWN: usize = 5;
    let more = items.len().saturating_sub(SHOWN);
    let mut words: Vec<String> =
        items.iter().take(SHOWN).map(|item| cut(&clean(item.as_ref()), MAX_VALUE)).collect();
    if more > 0 {
        words.push(format!("{more} more"));
    }
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
        None => String::new(),
    }
}

/// `container "app": image nginx:1.27 (linux/amd64, linux/arm64)` and `rest`, which begins with what
/// stands between them. If that is too long, the image is cut before the rest is.
pub(super) fn sentence(usage: &ImageUse, platforms: &[Platform], rest: &str) -> String {
    let rest = clean(rest);
    let head = |image_max: usize| {
        let name = quoted(&usage.name);
        let image = cut(&clean(&usage.image), image_max);
        format!("{} {name}: image {image}{}", usage.kind.noun(), of_platforms(platforms))
    };
    let whole = format!("{}{rest}", head(160));
    if whole.chars().count() <= MAX { whole } else { cut(&format!("{}{rest}", head(50)), MAX) }
}

fn of_platforms(platforms: &[Platform]) -> String {
    let mut shown: Vec<String> =
        platforms.iter().take(MAX_PLATFORMS).map(|platform| cut(&clean(&platform.to_string()), 40)).collect();
    if platforms.len() > MAX_PLATFORMS {
        shown.push(format!("{} more", platforms.len() - MAX_PLATFORMS));
    }
    if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) }
}

/// `"a", "b", "c" and 2 more`: images may have any number of things in them.
pub(super) fn several<S: AsRef<str>>(items: &[S]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = items.iter().take(SHOWN).map(|item| quoted(item.as_ref())).collect();
    let more = items.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
