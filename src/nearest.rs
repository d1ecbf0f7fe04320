//! The name that was probably meant, where one was mistyped.

/// The nearest of `names` to `name`, if it is near enough to be what was meant: case aside, at most a
/// third of its characters differ.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    names
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.chars().count().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `text`, with the nearest of `names` behind it.
pub(crate) fn did_you_mean<'a>(text: &str, name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, names) {
        Some(near) => format!("{text}; did you mean {near}?"),
        None => text.to_owned(),
    }
}

/// Levenshtein's distance, where two neighbours that changed places count once.
fn distance(a: &str, b: &str) -> usize {
    let short = |text: &str| text.chars().take(64).collect();
    let (a, b): (Vec<char>, Vec<char>) = (short(a), short(b));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let names = ["runAsNonRoot", "numeric", "ranges", "source"];
        for (name, written, expected) in [
            ("case", "runAsNonroot", Some("runAsNonRoot")),
            ("one letter", "range", Some("ranges")),
            ("neighbours changed places", "numreic", Some("numeric")),
            ("something else", "groups", None),
            ("nothing", "", None),
        ] {
            assert_eq!(nearest(written, names), expected, "{name}");
        }
    }
}
