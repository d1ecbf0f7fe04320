//! An inspected image for a person: short, aligned, and safe to show on a terminal.

use crate::{
    image::{Created, ImageConfig, PlatformImage, ResolvedImage, RunsAsRoot, Unresolved, User, UserKind},
    text::{clean, count},
};
use std::{fmt::Write, sync::Arc};

/// The longest value that is shown whole; `-o json` has all of it.
const MAX_VALUE: usize = 200;

type Row = (&'static str, String);

/// Every image that could be looked at.
pub(super) fn text(
    looked_at: &[Result<Arc<ResolvedImage>, Unresolved>],
    names: &[String],
    now: jiff::Timestamp,
) -> String {
    let found = names.iter().zip(looked_at).filter_map(|(name, found)| Some((name, found.as_ref().ok()?)));
    found.map(|(name, image)| one(name, image, now)).collect::<Vec<_>>().join("\n")
}

/// Why an image could not be looked at, and what to do, on one line.
pub(super) fn failure(name: &str, failure: &Unresolved) -> String {
    let name = clean(name, MAX_VALUE);
    format!(
        "{name}: {} ({}); {}",
        clean(&failure.detail, 500),
        failure.kind.as_str(),
        failure.kind.next_step()
    )
}

fn one(name: &str, image: &ResolvedImage, now: jiff::Timestamp) -> String {
    let mut text = String::new();
    let reference = image.reference.to_string();
    let _ = writeln!(text, "{}", clean(&reference, MAX_VALUE));
    if name != reference {
        row(&mut text, "  ", &("written", clean(name, MAX_VALUE)));
    }
    row(&mut text, "  ", &("digest", image.digest.to_string()));
    row(&mut text, "  ", &("type", clean(image.media_type.as_str(), MAX_VALUE)));
    for group in groups(image, now) {
        let _ = writeln!(text, "\n  {}", group.title(image));
        for (label, rows) in &group.members {
            for (at, row_of_member) in rows.iter().enumerate() {
                if at == 0 && group.members.len() > 1 {
                    let _ = writeln!(text, "    {label}");
                }
                let indent = if group.members.len() > 1 { "      " } else { "    " };
                row(&mut text, indent, row_of_member);
            }
        }
        for shared in &group.shared {
            row(&mut text, "    ", shared);
        }
    }
    text
}

/// Platforms that say the same are shown once.
struct Group {
    /// Each platform with what is its own: digests, size, date.
    members: Vec<(String, Vec<Row>)>,
    /// What they all say.
    shared: Vec<Row>,
}

impl Group {
    fn title(&self, image: &ResolvedImage) -> String {
        if self.members.len() == image.platforms.len() && self.members.len() > 1 {
            return format!("every platform ({})", self.members.len());
        }
        self.members.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn groups(image: &ResolvedImage, now: jiff::Timestamp) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for platform in &image.platforms {
        let label =
            platform.platform.as_ref().map_or_else(|| "no platform named".to_owned(), ToString::to_string);
        let member = (clean(&label, MAX_VALUE), own(platform, now));
        let shared = shared(&platform.config);
        match groups.iter_mut().find(|group| group.shared == shared) {
            Some(group) => group.members.push(member),
            None => groups.push(Group { members: vec![member], shared }),
        }
    }
    groups
}

fn own(image: &PlatformImage, now: jiff::Timestamp) -> Vec<Row> {
    let layers = count(image.layer_sizes.len(), "layer");
    vec![
        ("manifest", image.manifest_digest.to_string()),
        ("config", image.config_digest.to_string()),
        ("size", format!("{} compressed, {layers}", bytes(image.compressed_size()))),
        ("created", created(&image.config.created, now)),
    ]
}

fn shared(config: &ImageConfig) -> Vec<Row> {
    let mut rows = vec![
        ("user", user(&config.user)),
        ("stop signal", stop_signal(config)),
        ("entrypoint", list(&config.entrypoint)),
        ("cmd", list(&config.cmd)),
        (
            "working dir",
            if config.working_dir.is_empty() { "/ (not set)".into() } else { shown(&config.working_dir) },
        ),
    ];
    let ports: Vec<&str> = config.exposed_ports.iter().map(|port| port.raw.as_str()).collect();
    many(&mut rows, "env", config.env.iter().map(shown));
    many(&mut rows, "ports", (!ports.is_empty()).then(|| shown(&ports.join(", "))).into_iter());
    many(&mut rows, "volumes", config.volumes.iter().map(|volume| shown(volume)));
    many(&mut rows, "labels", config.labels.iter().map(|(key, value)| shown(&format!("{key}={value}"))));
    if let Some(check) = &config.healthcheck {
        rows.push(("healthcheck", format!("{} (Kubernetes does not run it)", list(&check.test))));
    }
    rows
}

/// One row for each value, named once; `none` where there is none.
fn many(rows: &mut Vec<Row>, name: &'static str, values: impl Iterator<Item = String>) {
    let before = rows.len();
    for value in values {
        rows.push((if rows.len() == before { name } else { "" }, value));
    }
    if rows.len() == before {
        rows.push((name, "none".into()));
    }
}

fn user(user: &User) -> String {
    let raw = shown(user.raw());
    let group = user.group().map_or("", |_| "; Kubernetes ignores the group");
    match (user.kind(), user.runs_as_root()) {
        (UserKind::Unset, _) if raw.is_empty() => "not set: root".to_owned(),
        (UserKind::Unset, _) => format!("{raw}: root, since the user part is empty{group}"),
        (UserKind::OutOfRange, _) => format!("{raw}: out of range, which runtimes have run as root"),
        (UserKind::Malformed, _) => format!("{raw}: malformed, no runtime starts it"),
        (_, RunsAsRoot::Yes) => format!("{raw}: root{group}"),
        (_, RunsAsRoot::No) => format!("{raw}: not root{group}"),
        (_, RunsAsRoot::Unknown) => {
            format!("{raw}: a name, which may be root; a number could be proven{group}")
        }
    }
}

fn stop_signal(config: &ImageConfig) -> String {
    match &config.stop_signal {
        None => "not set: SIGTERM (15)".to_owned(),
        Some(Ok(signal)) if signal.raw() == signal.name() => {
            format!("{} ({})", signal.name(), signal.number())
        }
        Some(Ok(signal)) => format!("{}: {} ({})", shown(signal.raw()), signal.name(), signal.number()),
        Some(Err(invalid)) => format!("{}: invalid, {}", shown(&invalid.raw), shown(&invalid.why)),
    }
}

fn created(created: &Created, now: jiff::Timestamp) -> String {
    match created {
        Created::Unknown => "not set".to_owned(),
        Created::Placeholder(at) => format!("{at} (a placeholder: the age is not known)"),
        Created::At(at) => format!("{at} ({})", age(now.as_second() - at.as_second())),
        Created::Invalid(text) => format!("{} (not a time)", shown(text)),
    }
}

fn age(seconds: i64) -> String {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    let ago = |n: i64, unit| format!("{} ago", count(usize::try_from(n).unwrap_or(0), unit));
    match seconds {
        ..0 => "in the future".to_owned(),
        0..HOUR => ago(seconds / 60, "minute"),
        HOUR..DAY => ago(seconds / HOUR, "hour"),
        _ => ago(seconds / DAY, "day"),
    }
}

/// Binary units with one decimal, as Kubernetes counts.
fn bytes(bytes: u64) -> String {
    let mut units = ["KiB", "MiB", "GiB"].into_iter().zip([1_u64 << 10, 1 << 20, 1 << 30]).rev();
    units.find(|(_, size)| bytes >= *size).map_or_else(
        || format!("{bytes} B"),
        |(unit, size)| {
            let tenths = u128::from(bytes) * 10 / u128::from(size);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        },
    )
}

fn list(values: &[String]) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    shown(&serde_json::to_string(values).unwrap_or_default())
}

fn shown(value: &str) -> String {
    clean(value, MAX_VALUE)
}

fn row(text: &mut String, indent: &str, (name, value): &Row) {
    let _ = writeln!(text, "{indent}{name:<12} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_for_people() {
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_610_612_736, "1.5 GiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ];
        for (given, expected) in sizes {
            assert_eq!(bytes(given), expected);
        }
        let ages = [
            (-5, "in the future"),
            (59, "0 minutes ago"),
            (60, "1 minute ago"),
            (7200, "2 hours ago"),
            (86_400, "1 day ago"),
        ];
        for (given, expected) in ages {
            assert_eq!(age(given), expected);
        }
    }

    #[test]
    fn a_user_is_told_with_what_it_means() {
        let rows = [
            ("", "not set: root"),
            ("0", "0: root"),
            ("root", "root: root"),
            (":1000", ":1000: root, since the user part is empty; Kubernetes ignores the group"),
            ("1000", "1000: not root"),
            ("65532:65532", "65532:65532: not root; Kubernetes ignores the group"),
            ("nginx", "nginx: a name, which may be root; a number could be proven"),
            ("4294967296", "4294967296: out of range, which runtimes have run as root"),
            ("a:b:c", "a:b:c: malformed, no runtime starts it"),
        ];
        for (raw, expected) in rows {
            assert_eq!(user(&User::new(raw)), expected, "{raw:?}");
        }
    }
}
