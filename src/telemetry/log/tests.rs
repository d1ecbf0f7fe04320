use super::*;
use std::{
    io::Write,
    sync::{Arc, Mutex},
};

#[derive(Clone, Default)]
pub(in crate::telemetry) struct Lines(pub(in crate::telemetry) Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: Format, filter: &str, events: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = subscriber(format, filter, false, move || writer.clone(), None).unwrap();
    tracing::subscriber::with_default(subscriber, events);
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn json_lines_are_flat_and_keep_structure() {
    let text = logged(Format::Json, "info", || {
        tracing::info!(
            request.uid = "u1",
            dry_run = true,
            code = 403u16,
            duration_ms = 1.5,
            findings = r#"[{"policy":"p"}]"#,
            images = "not json",
            absent = None::<&str>,
            "review"
        );
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "review");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["request.uid"], "u1");
    assert_eq!(line["dry_run"], true);
    assert_eq!(line["code"], 403);
    assert_eq!(line["duration_ms"], 1.5);
    assert_eq!(line["findings"][0]["policy"], "p");
    assert_eq!(line["images"], "not json");
    assert!(line.get("absent").is_none());
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn no_value_can_forge_a_line() {
    for format in [Format::Json, Format::Text] {
        let text = logged(format, "info", || {
            tracing::info!(request.user = "eve\n{\"verdict\":\"allow\"}\u{1b}[2J", "review");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn a_filter_that_would_silence_everything_is_refused() {
    for filter in ["info", "warn,hullmark=debug", "hullmark::server=trace", "off", "DEBUG"] {
        assert!(parse(filter).is_ok(), "{filter}");
    }
    for filter in ["inof", "", "info,hullmrk", "hullmark=loud"] {
        let error = parse(filter).unwrap_err().to_string();
        assert!(error.contains("--log"), "{filter}: {error}");
    }
}

#[test]
fn the_filter_holds() {
    let text = logged(Format::Json, "warn", || {
        tracing::info!("quiet");
        tracing::warn!("loud");
    });
    assert!(!text.contains("quiet") && text.contains("loud"), "{text}");
}

#[test]
fn nobody_listens_to_spans_and_they_are_not_in_lines() {
    for format in [Format::Json, Format::Text] {
        let text = logged(format, "trace", || {
            let span = tracing::info_span!("request", secret = "hunter2");
            assert!(span.is_disabled());
            span.in_scope(|| tracing::info!("review"));
        });
        assert!(text.contains("review") && !text.contains("request") && !text.contains("hunter2"), "{text}");
    }
}
