//! The scan as one page: a file that needs no network, no other file and no server.
//!
//! The headline and the policies are written here, so that the page tells its numbers without
//! JavaScript too; what can be sorted, searched and filtered is made by the page's script from the
//! document that the page carries, word for word what `scan -o json` prints.
//!
//! Names, labels and messages come from images that nobody vouches for. Here they pass `escaped`, in
//! the script they are text nodes only; a content security policy lets nothing run but our own script
//! (by its hash), and forbids every request.

use crate::text::clean;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = concat!(
    include_str!("page/script/dom.js"),
    include_str!("page/script/table.js"),
    include_str!("page/script/figures.js"),
    include_str!("page/script/sections.js"),
    include_str!("page/script/details.js"),
    include_str!("page/script/explorer.js"),
    include_str!("page/script/main.js"),
);

/// The longest name that is written here; what is longer is cut (the document has all of it).
const MAX_NAME: usize = 300;

/// What a Pod (or a policy's share of them) may be: the document's key and our word. Always in this order.
const STATES: [(&str, &str); 4] = [
    ("compliant", "comply"),
    ("violating", "violate"),
    ("notChecked", "could not be checked"),
    ("unmatched", "no policy applies"),
];

/// The page of `document`, which is what `scan -o json` prints (`schemaVersion` 1).
///
/// What the document lacks counts as nothing, so any value makes a page.
pub fn html(document: &Value) -> String {
    let counts = Counts::of(&document["summary"]);
    let share = counts.share();
    fill(TEMPLATE, |name| match name {
        "style" => STYLE.to_owned(),
        "script" => SCRIPT.to_owned(),
        "style-hash" => hash(STYLE),
        "script-hash" => hash(SCRIPT),
        "data" => data(document),
        "title" => format!("{} – Hullmark scan of {}", said(&counts), escaped(&document["cluster"])),
        "headline" => headline(&counts),
        "share-said" => said(&counts),
        "explained" => explained(&counts),
        "share" => share.clone().unwrap_or_else(|| "–".to_owned()),
        "donut" => donut(&counts),
        "legend" => legend(&counts),
        "notes" => notes(&document["summary"], document["policySource"] == "cluster"),
        "policies-hidden" if list(&document["policies"]).is_empty() => " hidden".to_owned(),
        "policies" => policies(&document["policies"]),
        "policies-lead" => policies_lead(&document["policies"]),
        "cluster" => escaped(&document["cluster"]),
        "source" => escaped(&document["policySource"]),
        "generated" => escaped(&document["generatedAt"]),
        "version" => escaped(&document["hullmarkVersion"]),
        "images" => number(&document["summary"]["images"]).to_string(),
        "pods" => counts.all().to_string(),
        "templates" => number(&document["summary"]["templates"]).to_string(),
        _ => String::new(),
    })
}

/// How many are what; by [`STATES`].
struct Counts([u64; 4]);

impl Counts {
    fn of(value: &Value) -> Self {
        Self(STATES.map(|(key, _)| number(&value[key])))
    }

    fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that a policy applies to.
    fn judged(&self) -> u64 {
        self.0[..3].iter().sum()
    }

    fn share(&self) -> Option<String> {
        percent(self.0[0], self.judged())
    }
}

/// `part` of `whole` as a person says it. Only all is 100%, and only none is 0%.
fn percent(part: u64, whole: u64) -> Option<String> {
    if whole == 0 {
        return None;
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    Some(match tenths {
        _ if part == 0 || part >= whole => format!("{}%", tenths / 10),
        0 => "0.1%".to_owned(),
        1..10 | 990.. => format!("{}.{}%", tenths / 10, tenths % 10),
        _ => format!("{}%", (tenths + 5) / 10),
    })
}

fn headline(counts: &Counts) -> String {
    match (counts.judged(), counts.all()) {
        (0, 0) => "No Pods were found".to_owned(),
        (0, _) => "No policy applies to any Pod".to_owned(),
        (1, _) => format!("{} of 1 Pod complies", counts.0[0]),
        (judged, _) => format!("{} of {judged} Pods comply", counts.0[0]),
    }
}

fn said(counts: &Counts) -> String {
    counts.share().map_or_else(|| headline(counts), |share| format!("{share} of Pods comply"))
}

fn explained(counts: &Counts) -> String {
    let complies = match counts.judged() {
        0 => return "There is nothing to judge yet.".to_owned(),
        _ => "To comply is to violate no policy that applies.",
    };
    match counts.0[3] {
        0 => complies.to_owned(),
        1 => format!("{complies} To 1 more Pod no policy applies."),
        unmatched => format!("{complies} To {unmatched} more Pods no policy applies."),
    }
}

/// A ring of what the Pods are. What it shows is in the legend beside it too.
fn donut(counts: &Counts) -> String {
    let mut arcs = String::new();
    let mut start = 0.0;
    for ((key, _), share) in STATES.iter().zip(shares(counts)) {
        if share > 0.0 {
            let gap = if share < 100.0 { 0.6_f64.min(share / 3.0) } else { 0.0 };
            let _ = write!(
                arcs,
                "<circle class=\"{key}\" cx=\"60\" cy=\"60\" r=\"50\" pathLength=\"100\" \
                 stroke-dasharray=\"{:.3} 100\" stroke-dashoffset=\"{:.3}\"/>",
                share - gap,
                -start
            );
        }
        start += share;
    }
    arcs
}

fn shares(counts: &Counts) -> [f64; 4] {
    let all = counts.all();
    counts.0.map(|count| if all == 0 { 0.0 } else { in_float(count) * 100.0 / in_float(all) })
}

#[expect(clippy::cast_precision_loss, reason = "a drawing; there are fewer Pods than 2^52")]
fn in_float(count: u64) -> f64 {
    count as f64
}

fn legend(counts: &Counts) -> String {
    let mut items = String::new();
    for ((key, word), count) in STATES.iter().zip(counts.0) {
        if *key == "unmatched" && count == 0 {
            continue;
        }
        let _ = write!(
            items,
            "<li><a href=\"#compliance={key}&amp;state=pods\"><span class=\"swatch {key}\"></span>\
             <b id=\"count-{key}\">{count}</b> {word}</a></li>"
        );
    }
    items
}

/// What else a summary tells, each with the filter that shows it. `installed` says whether the policies are those of
/// the cluster, rather than what somebody thinks of installing.
fn notes(summary: &Value, installed: bool) -> String {
    let refused = if installed {
        "if they were created today, as the policies stand"
    } else {
        "if these policies were installed and they were created then"
    };
    let notes: [(&str, Option<&str>, &str, &str); 4] = [
        ("denied", Some("denied"), "would be refused", refused),
        ("drifted", Some("drifted"), "have drifted", "they run another image than their tag names now"),
        ("neverJudged", Some("never-judged"), "were never judged", "they were admitted without Hullmark"),
        ("exempt", None, "are exempt", "Hullmark leaves them alone, by configuration"),
    ];
    let mut items = String::new();
    for (key, state, words, explained) in notes {
        let count = number(&summary[key]);
        let words = match state {
            Some(state) if count > 0 => format!("<a href=\"#state={state}\">{words}</a>"),
            _ => words.to_owned(),
        };
        let _ = write!(
            items,
            "<div><dt>{words}</dt><dd><b id=\"count-{key}\">{count}</b><span>{explained}</span></dd></div>"
        );
    }
    items
}

/// One row for each policy, the most violated first.
fn policies(policies: &Value) -> String {
    let mut rows: Vec<_> =
        list(policies).iter().map(|policy| (policy, Counts::of(&policy["pods"]))).collect();
    rows.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.0[1]));
    rows.into_iter().map(|(policy, counts)| policy_row(policy, &counts)).collect()
}

fn policy_row(policy: &Value, counts: &Counts) -> String {
    let link = in_url(policy["name"].as_str().unwrap_or_default());
    let actions: Vec<_> = list(&policy["actions"]).iter().map(escaped).collect();
    let [compliant, violating, unchecked, _] = counts.0;
    let violating = match violating {
        0 => "0".to_owned(),
        some => format!("<a href=\"#policy={link}&amp;state=violating\">{some}</a>"),
    };
    format!(
        "<tr><th scope=\"row\"><a href=\"#policy={link}\"><bdi>{}</bdi></a></th><td class=\"spare\">{}</td>\
         <td class=\"bars\">{}</td><td class=\"number\">{}</td><td class=\"number spare\">{compliant}</td>\
         <td class=\"number\">{violating}</td><td class=\"number\">{unchecked}</td></tr>",
        escaped(&policy["name"]),
        actions.join(", "),
        bar(counts),
        counts.share().unwrap_or_else(|| "–".to_owned()),
    )
}

/// The shares as a bar. The numbers stand beside it, so it is silent.
fn bar(counts: &Counts) -> String {
    let mut parts = String::new();
    let mut start = 0.0;
    for ((key, _), share) in STATES.iter().zip(shares(counts)) {
        if share > 0.0 {
            let _ = write!(
                parts,
                "<rect class=\"{key}\" x=\"{start:.2}%\" width=\"{share:.2}%\" height=\"100%\"/>"
            );
        }
        start += share;
    }
    format!("<svg class=\"bar\" aria-hidden=\"true\">{parts}</svg>")
}

fn policies_lead(policies: &Value) -> String {
    let worst = list(policies)
        .iter()
        .map(|policy| (policy, Counts::of(&policy["pods"]).0[1]))
        .max_by_key(|(_, count)| *count);
    match worst {
        None => "There is no policy.".to_owned(),
        Some((_, 0)) => "No Pod violates a policy.".to_owned(),
        Some((policy, count)) => {
            let pods = if count == 1 { "1 Pod violates" } else { &format!("{count} Pods violate") };
            format!("{pods} <bdi>{}</bdi>, more than any other policy.", escaped(&policy["name"]))
        }
    }
}

/// The template with each `{{name}}` replaced. What is put in is not looked at again.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut parts = template.split("{{");
    filled.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or_default();
        filled.push_str(&value(name));
        filled.push_str(rest);
    }
    filled
}

/// The document as JSON that no HTML parser takes for markup. It reads back as the same document.
fn data(document: &Value) -> String {
    let json = document.to_string();
    let mut safe = String::with_capacity(json.len() + json.len() / 16);
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(safe, "\\u{:04x}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// A text of the document, on one line, for HTML's text and quoted attributes.
fn escaped(value: &Value) -> String {
    let mut escaped = String::new();
    for c in clean(value.as_str().unwrap_or_default(), MAX_NAME).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `text` as the value of a parameter in a URL's fragment.
fn in_url(text: &str) -> String {
    text.bytes().fold(String::new(), |mut url, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => url.push(char::from(byte)),
            byte => {
                let _ = write!(url, "%{byte:02X}");
            }
        }
        url
    })
}

/// What a content security policy calls this text.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests;
