//! The sentences that people read. One line, at most [`MAX`] characters, nothing that a terminal or
//! the API server would take for a control character: much of the text comes out of images.

use crate::{image::Platform, text::clean, workload::ImageUse};

/// Characters of a message.
pub(super) const MAX: usize = 300;
/// Characters of a value out of an image or a Pod.
const MAX_VALUE: usize = 60;
/// Platforms that are named one by one.
const MAX_PLATFORMS: usize = 3;

/// `value` in quotes, escaped and cut.
pub(super) fn quoted(value: &str) -> String {
    let (kept, mark) = match value.char_indices().nth(MAX_VALUE) {
        None => (value, ""),
        Some((end, _)) => (&value[..end], "…"),
    };
    let escaped: String = kept.chars().flat_map(char::escape_debug).collect();
    format!("\"{}{mark}\"", escaped.replace("\\'", "'"))
}

/// `a, b or c`, at most five of them.
pub(super) fn either<S: AsRef<str>>(items: &[S]) -> String {
    const SHOWN: usize = 5;
    let more = items.len().saturating_sub(SHOWN);
    let mut words: Vec<String> =
        items.iter().take(SHOWN).map(|item| clean(item.as_ref(), MAX_VALUE)).collect();
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
    let rest = clean(rest, usize::MAX);
    let head = |image_max: usize| {
        let name = quoted(&usage.name);
        let image = clean(&usage.image, image_max);
        format!("{} {name}: image {image}{}", usage.kind.noun(), of_platforms(platforms))
    };
    let whole = format!("{}{rest}", head(160));
    if whole.chars().count() <= MAX { whole } else { clean(&format!("{}{rest}", head(50)), MAX) }
}

fn of_platforms(platforms: &[Platform]) -> String {
    let mut shown: Vec<String> =
        platforms.iter().take(MAX_PLATFORMS).map(|platform| clean(&platform.to_string(), 40)).collect();
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
