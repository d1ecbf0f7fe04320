//! Text for a person. How a request was judged is a sentence, in the order in which one would ask: what became of
//! whose Pod, why, by which images. All else is as `tracing` writes it.

use super::{super::DECISION, json::Object};
use serde_json::Value;
use std::fmt::{self, Write};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Characters of a digest: `sha256:` and twelve digits, as container tools show it.
const SHORT_DIGEST: usize = 19;

#[derive(Default)]
pub(super) struct Lines(Format);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != DECISION {
            return self.0.format_event(context, writer, event);
        }
        let line = Object::of(event);
        let colours = writer.has_ansi_escapes();
        SystemTime.format_time(&mut writer)?;
        write!(writer, " {:>5} {}", event.metadata().level(), verdict(&line, colours))?;
        writeln!(writer, "{}{}{}{}", subject(&line), findings(&line), excepted(&line), images(&line))
    }
}

/// `deny`, `allow, would be deny`, `allow, if enforced deny`.
fn verdict(line: &Object, colours: bool) -> String {
    let [verdict, would_be, if_enforced] =
        ["verdict", "would_be", "if_enforced"].map(|name| text(line.get(name)));
    let colour = match if_enforced {
        _ if !colours => "",
        "deny" if verdict == "deny" => "\u{1b}[31m",
        "deny" | "warn" => "\u{1b}[33m",
        _ => "\u{1b}[32m",
    };
    let end = if colours { "\u{1b}[0m" } else { "" };
    let words = match verdict {
        "unjudged" if would_be == "allow" => verdict.to_owned(),
        _ if would_be != verdict && would_be == "deny" => format!("{verdict}, would be {would_be}"),
        _ if if_enforced != would_be => format!("{verdict}, if enforced {if_enforced}"),
        _ => verdict.to_owned(),
    };
    format!("{colour}{words}{end}")
}

/// `Pod shop/web of ReplicaSet/web-5d9c (CREATE by jane, enforce, 403, 12.3 ms)`
fn subject(line: &Object) -> String {
    let of = |name: &str| text(line.get(name));
    let mut subject = format!(" {} {}/{}", of("request.kind"), of("request.namespace"), of("request.name"));
    for (before, name) in [(" of ", "request.owner"), (": ", "unjudged")] {
        if !of(name).is_empty() {
            let _ = write!(subject, "{before}{}", of(name));
        }
    }
    let dry_run = if line.get("request.dry_run") == true { " as a dry run" } else { "" };
    format!(
        "{subject} ({} by {}{dry_run}, {}, {}, {} ms)",
        of("request.operation"),
        of("request.user"),
        of("mode"),
        line.get("code"),
        line.get("duration_ms"),
    )
}

fn findings(line: &Object) -> String {
    list(line.get("findings"), |one| {
        let [message, policy, rule, action] =
            ["message", "policy", "rule", "action"].map(|name| text(&one[name]));
        format!("{message} [{policy}/{rule}: {action}]")
    })
}

fn excepted(line: &Object) -> String {
    list(line.get("excepted"), |one| {
        format!("excepted by {}: {}", text(&one["exception"]), text(&one["message"]))
    })
}

/// Those that were looked at: what could not be is among the findings.
fn images(line: &Object) -> String {
    list(line.get("images"), |one| {
        let digest: String = text(&one["digest"]).chars().take(SHORT_DIGEST).collect();
        match text(&one["from"]) {
            from @ ("unneeded" | "unresolved") => format!("{} {from}", text(&one["name"])),
            from => format!("{} is {digest} ({from}, {})", text(&one["name"]), text(&one["auth"])),
        }
    })
}

fn list(items: &Value, shown: impl Fn(&Value) -> String) -> String {
    let mut text = String::new();
    for one in items.as_array().into_iter().flatten() {
        let _ = match &one["more"] {
            Value::Null => write!(text, " | {}", shown(one)),
            more => write!(text, " | and {more} more"),
        };
    }
    text
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
