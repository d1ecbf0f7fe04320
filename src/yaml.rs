//! YAML streams as Kubernetes tools print them: many documents, each with the line it starts on.
//!
//! Values are read as `kubectl` reads them: YAML 1.1's booleans (`yes`, `off`) and octal numbers (`0644`),
//! anchors and merge keys. A key that is there twice is an error, since tools differ on which one counts.
//!
//! The stream is cut at its document markers first (YAML 1.2.2, 9.1.2: they end any scalar, so a line
//! tells them apart), which gives each document its line and lets an error name the right one.

use std::ops::Range;

/// One document of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its position in the stream, from 0; empty documents are counted but not returned.
    pub index: usize,
    /// The line that its content starts on, from 1.
    pub line: usize,
    /// Its content.
    pub value: serde_json::Value,
}

/// Text that is not YAML: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct InvalidYaml {
    /// The line in the stream, from 1.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

/// Reads every document of `text` (JSON is YAML).
///
/// # Errors
/// [`InvalidYaml`] at the first document that cannot be read: bad syntax, a duplicate key, an alias
/// bomb.
pub fn documents(text: &str) -> Result<Vec<Document>, InvalidYaml> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut all = Vec::new();
    for (index, chunk) in chunks(text).into_iter().enumerate() {
        let Some(line) = first_line_of_content(&chunk) else { continue };
        let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
        let value: serde_json::Value = serde_saphyr::from_str_with_options(&chunk.text, options)
            .map_err(|error| invalid(&chunk, line, &error))?;
        if !value.is_null() {
            all.push(Document { index, line, value });
        }
    }
    Ok(all)
}

/// The text of one document and the number of its first line.
struct Chunk {
    first_line: usize,
    text: String,
}

fn chunks(text: &str) -> Vec<Chunk> {
    let mut all = vec![Chunk { first_line: 1, text: String::new() }];
    let mut directives = true;
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let Some(chunk) = all.last_mut() else { break };
        if let Some(rest) = after_marker(line, "---") {
            // The blanks keep the columns of what follows the marker on its line.
            let text = format!("   {rest}\n");
            if first_line_of_content(chunk).is_none() && number == 1 {
                chunk.text = text;
            } else {
                all.push(Chunk { first_line: number, text });
            }
            directives = false;
        } else if after_marker(line, "...").is_some() {
            all.push(Chunk { first_line: number, text: "\n".to_owned() });
            directives = true;
        } else {
            let is_directive = directives && line.starts_with('%');
            chunk.text.push_str(if is_directive { "" } else { line });
            chunk.text.push('\n');
        }
    }
    all
}

fn after_marker<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    line.strip_prefix(marker).filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// None: nothing but blank lines and comments.
fn first_line_of_content(chunk: &Chunk) -> Option<usize> {
    let is_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    chunk.text.lines().position(is_content).map(|at| chunk.first_line + at)
}

fn invalid(chunk: &Chunk, line: usize, error: &serde_saphyr::Error) -> InvalidYaml {
    let lines: Range<usize> = line..chunk.first_line + chunk.text.lines().count();
    let at = error
        .location()
        .and_then(|location| usize::try_from(location.line()).ok()?.checked_sub(1))
        .map(|offset| chunk.first_line + offset)
        .filter(|at| lines.contains(at));
    let why = error.without_snippet().to_string();
    let why: String = why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    InvalidYaml { line: at.unwrap_or(line), why: without_position(&why).to_owned() }
}

/// The library ends its messages with a position in the chunk, which is not the stream's.
fn without_position(why: &str) -> &str {
    why.rfind(" at line ").map_or(why, |at| &why[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &str) -> Vec<(usize, usize, Value)> {
        let documents = documents(text).unwrap_or_else(|why| panic!("{text:?}: {why}"));
        documents.into_iter().map(|document| (document.index, document.line, document.value)).collect()
    }

    #[test]
    fn streams_are_cut_into_documents_with_their_lines() {
        let rows = [
            ("nothing", "", vec![]),
            ("comments alone", "# a\n\n# b\n", vec![]),
            ("one", "a: 1\n", vec![(0, 1, json!({"a": 1}))]),
            ("json", r#"{"a": [1, "x"]}"#, vec![(0, 1, json!({"a": [1, "x"]}))]),
            ("leading marker", "---\na: 1\n", vec![(0, 2, json!({"a": 1}))]),
            (
                "helm",
                "---\n# Source: x/y.yaml\na: 1\n---\n# Source: z\n\nb: 2\n",
                vec![(0, 3, json!({"a": 1})), (1, 7, json!({"b": 2}))],
            ),
            (
                "empty ones are counted",
                "a: 1\n---\n---\n# c\n---\nb: 2\n",
                vec![(0, 1, json!({"a": 1})), (3, 6, json!({"b": 2}))],
            ),
            ("null is empty", "null\n---\n~\n---\nx: z", vec![(2, 5, json!({"x": "z"}))]),
            ("end marker", "a: 1\n...\n---\nb: 2\n", vec![(0, 1, json!({"a": 1})), (2, 4, json!({"b": 2}))]),
            (
                "content on the marker's line",
                "--- {a: 1}\n--- # c\nb: 2\n",
                vec![(0, 1, json!({"a": 1})), (1, 3, json!({"b": 2}))],
            ),
            ("directive", "%YAML 1.1\n---\na: 1\n", vec![(1, 3, json!({"a": 1}))]),
            ("crlf", "a: 1\r\n---\r\nb: x\r\n", vec![(0, 1, json!({"a": 1})), (1, 3, json!({"b": "x"}))]),
            ("byte order mark", "\u{FEFF}a: 1\n", vec![(0, 1, json!({"a": 1}))]),
            ("dashes inside a scalar", "a: |\n  ---\n  x\n", vec![(0, 1, json!({"a": "---\nx\n"}))]),
            ("longer dashes are no marker", "a: 1\n#----\n", vec![(0, 1, json!({"a": 1}))]),
        ];
        for (name, text, expected) in rows {
            assert_eq!(read(text), expected, "{name}");
        }
    }

    #[test]
    fn scalars_are_read_as_kubectl_reads_them() {
        let text = "a: yes\nb: \"yes\"\nc: 0644\nd: 1.5\ne: null\nf: 010\ng: on\nh: 1e3\ni: 2026-01-01\nj: 12345678901\n";
        assert_eq!(
            read(text)[0].2,
            json!({"a": true, "b": "yes", "c": 420, "d": 1.5, "e": null, "f": 8, "g": true, "h": 1000.0,
                   "i": "2026-01-01", "j": 12_345_678_901_i64})
        );
        assert_eq!(read("x: &a {k: 1}\ny: *a\nz: {<<: *a, l: 2}\n")[0].2["z"], json!({"k": 1, "l": 2}));
    }

    #[test]
    fn what_is_not_yaml_is_refused_at_its_line() {
        let bomb = (0..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, at| {
            format!("{text}a{0}: &a{0} [*a{at},*a{at},*a{at},*a{at},*a{at},*a{at}]\n", at + 1)
        });
        let deep = "[".repeat(100_000);
        let rows = [
            ("tab", "a: 1\n---\nb:\n\t- 1\n", 3..=4),
            ("unclosed", "a: [1\n", 1..=2),
            ("duplicate key", "x: 1\n---\na: 1\nb: 2\na: 3\n", 5..=5),
            ("bad indentation", "a:\n  b: 1\n c: 2\n", 2..=3),
            ("unknown alias", "a: *b\n", 1..=1),
            ("alias bomb", bomb.as_str(), 1..=40),
            ("deep nesting", deep.as_str(), 1..=1),
            ("two documents in one", "a: 1\nb\n", 1..=3),
        ];
        for (name, text, lines) in rows {
            let error = documents(text).expect_err(name);
            assert!(lines.contains(&error.line), "{name}: {error}");
            assert!(!error.why.is_empty() && error.why.chars().count() <= 300, "{name}: {error}");
        }
    }
}
