//! JUnit XML, the form that CI servers read: suites of cases in, text out.

use std::fmt::Write;

/// The cases of one file.
#[derive(Debug, Default)]
pub(crate) struct TestSuite {
    /// The file.
    pub(crate) name: String,
    /// Its cases.
    pub(crate) cases: Vec<TestCase>,
}

/// One case. Neither failures nor errors: it passed.
#[derive(Debug, Default)]
pub(crate) struct TestCase {
    /// What is shown.
    pub(crate) name: String,
    /// What it is grouped by.
    pub(crate) class: String,
    /// What is wrong with the thing that was checked.
    pub(crate) failures: Vec<String>,
    /// What kept it from being checked.
    pub(crate) errors: Vec<String>,
    /// What is worth reading although nothing is wrong.
    pub(crate) notes: Vec<String>,
}

/// The whole document.
pub(crate) fn document(suites: &[TestSuite]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = || suites.iter().flat_map(|suite| &suite.cases);
    let _ = writeln!(text, "<testsuites name=\"hullmark\" {}>", totals(all()));
    for suite in suites {
        let name = escape(&suite.name);
        let _ = writeln!(text, "  <testsuite name=\"{name}\" {}>", totals(suite.cases.iter()));
        suite.cases.iter().for_each(|case| write_case(&mut text, case));
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn totals<'a>(cases: impl Iterator<Item = &'a TestCase>) -> String {
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for case in cases {
        tests += 1;
        failures += usize::from(!case.failures.is_empty());
        errors += usize::from(case.failures.is_empty() && !case.errors.is_empty());
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
}

/// A case has one outcome in JUnit: a failure weighs more than an error, and takes its text along.
fn write_case(text: &mut String, case: &TestCase) {
    let _ = writeln!(
        text,
        "    <testcase name=\"{}\" classname=\"{}\">",
        escape(&case.name),
        escape(&case.class)
    );
    let told: Vec<&str> = case.failures.iter().chain(&case.errors).map(String::as_str).collect();
    if let Some(first) = told.first() {
        let tag = if case.failures.is_empty() { "error" } else { "failure" };
        let _ =
            writeln!(text, "      <{tag} message=\"{}\">{}</{tag}>", escape(first), escape(&told.join("\n")));
    }
    if !case.notes.is_empty() {
        let _ = writeln!(text, "      <system-out>{}</system-out>", escape(&case.notes.join("\n")));
    }
    text.push_str("    </testcase>\n");
}

/// Escapes markup, and replaces what XML 1.0 (section 2.2, Char) has no place for.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_counts_and_escapes() {
        let case = |name: &str, failures: &[&str], errors: &[&str], notes: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|&text| text.into()).collect();
            TestCase {
                name: name.into(),
                class: "Pod".into(),
                failures: texts(failures),
                errors: texts(errors),
                notes: texts(notes),
            }
        };
        let suites = [TestSuite {
            name: "a<b>.yaml".into(),
            cases: vec![
                case("good", &[], &[], &["be careful"]),
                case("bad", &["\"x\" & \u{1b}[31m", "second"], &["third"], &[]),
                case("lost", &[], &["gone"], &[]),
            ],
        }];
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <testsuites name=\"hullmark\" tests=\"3\" failures=\"1\" errors=\"1\">\n  \
            <testsuite name=\"a&lt;b&gt;.yaml\" tests=\"3\" failures=\"1\" errors=\"1\">\n    \
            <testcase name=\"good\" classname=\"Pod\">\n      <system-out>be careful</system-out>\n    </testcase>\n    \
            <testcase name=\"bad\" classname=\"Pod\">\n      \
            <failure message=\"&quot;x&quot; &amp; \u{fffd}[31m\">&quot;x&quot; &amp; \u{fffd}[31m\nsecond\nthird</failure>\n    </testcase>\n    \
            <testcase name=\"lost\" classname=\"Pod\">\n      <error message=\"gone\">gone</error>\n    </testcase>\n  \
            </testsuite>\n</testsuites>\n";
        assert_eq!(document(&suites), expected);
    }
}
