//! `config.User`, with the odd values that decide whether a container runs as root
//! (`reference/registry.md` A10 F7–F12, `reference/kubernetes.md` 3.1).

/// The greatest uid that runtimes accept: `i32::MAX` (containerd `WithUser`).
const MAX_UID: i64 = i32::MAX as i64;

/// An image's USER: what was written, and what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    raw: String,
}

/// What the user part (before the colon) means to a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserKind {
    /// Empty: root.
    Unset,
    /// A uid in 0..=2147483647 (`00`, `+0`, `-0` are 0).
    Uid(u32),
    /// A name, looked up in the image's `/etc/passwd`: only `root` is known without its layers.
    Name(String),
    /// A number outside 0..=2147483647: CVE-2024-40635, CVE-2026-46680. Always treated as root.
    OutOfRange,
    /// More than one colon: no runtime starts it.
    Malformed,
}

/// Whether a container runs as uid 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunsAsRoot {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It cannot be known without the image's layers.
    Unknown,
}

impl User {
    /// Reads `config.User`. Every string has a meaning, so this cannot fail.
    #[must_use]
    pub fn new(raw: &str) -> Self {
        Self { raw: raw.to_owned() }
    }

    /// As the image has it.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// What the user part means.
    #[must_use]
    pub fn kind(&self) -> UserKind {
        if self.raw.matches(':').count() > 1 {
            return UserKind::Malformed;
        }
        kind_of(self.user_part())
    }

    /// What stands before the first colon.
    fn user_part(&self) -> &str {
        self.raw.split(':').next().unwrap_or_default()
    }

    /// The group part (after the colon), which Kubernetes ignores.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.raw.split_once(':').map(|(_, group)| group)
    }

    /// Whether it is root.
    ///
    /// A malformed value (`0:0:0`) is refused by a runtime that reads it whole, but the kubelet
    /// passes on what stands before its first colon. So it is root where that part is, and never
    /// certain not to be.
    #[must_use]
    pub fn runs_as_root(&self) -> RunsAsRoot {
        let malformed = self.kind() == UserKind::Malformed;
        match kind_of(self.user_part()) {
            UserKind::Unset | UserKind::Uid(0) | UserKind::OutOfRange => RunsAsRoot::Yes,
            UserKind::Name(name) if name == "root" => RunsAsRoot::Yes,
            UserKind::Uid(_) if !malformed => RunsAsRoot::No,
            UserKind::Uid(_) | UserKind::Name(_) | UserKind::Malformed => RunsAsRoot::Unknown,
        }
    }
}

/// The meaning of a user part.
fn kind_of(user: &str) -> UserKind {
    let digits = user.strip_prefix(['+', '-']).unwrap_or(user);
    match user {
        "" => UserKind::Unset,
        _ if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            UserKind::Name(user.to_owned())
        }
        _ => match user.parse::<i64>() {
            Ok(uid @ 0..=MAX_UID) => u32::try_from(uid).map_or(UserKind::OutOfRange, UserKind::Uid),
            _ => UserKind::OutOfRange,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{RunsAsRoot::*, *};

    #[test]
    fn every_odd_value_has_its_meaning() {
        let name = |name: &str| UserKind::Name(name.into());
        let rows = [
            ("", UserKind::Unset, Yes),
            (":", UserKind::Unset, Yes),
            (":0", UserKind::Unset, Yes),
            (":1000", UserKind::Unset, Yes),
            ("0", UserKind::Uid(0), Yes),
            ("00", UserKind::Uid(0), Yes),
            ("+0", UserKind::Uid(0), Yes),
            ("-0", UserKind::Uid(0), Yes),
            ("0000:0", UserKind::Uid(0), Yes),
            ("0:1000", UserKind::Uid(0), Yes),
            ("root", name("root"), Yes),
            ("root:root", name("root"), Yes),
            ("1", UserKind::Uid(1), No),
            ("1000", UserKind::Uid(1000), No),
            ("+1000", UserKind::Uid(1000), No),
            ("1000:0", UserKind::Uid(1000), No),
            ("65532:65532", UserKind::Uid(65532), No),
            ("2147483647", UserKind::Uid(2_147_483_647), No),
            ("2147483648", UserKind::OutOfRange, Yes),
            ("4294967296", UserKind::OutOfRange, Yes),
            ("99999999999999999999", UserKind::OutOfRange, Yes),
            ("-1", UserKind::OutOfRange, Yes),
            ("nginx", name("nginx"), Unknown),
            ("user:group", name("user"), Unknown),
            ("Root", name("Root"), Unknown),
            (" 0", name(" 0"), Unknown),
            ("0 ", name("0 "), Unknown),
            ("0x0", name("0x0"), Unknown),
            ("1e3", name("1e3"), Unknown),
            ("1_000", name("1_000"), Unknown),
            ("$UID", name("$UID"), Unknown),
            ("+", name("+"), Unknown),
            ("--0", name("--0"), Unknown),
            ("\u{0}", name("\u{0}"), Unknown),
            ("٣", name("٣"), Unknown),
            ("1000:1000:1000", UserKind::Malformed, Unknown),
            ("nginx::", UserKind::Malformed, Unknown),
            ("::", UserKind::Malformed, Yes),
            ("0:0:0", UserKind::Malformed, Yes),
            ("root:0:0", UserKind::Malformed, Yes),
            ("4294967296:0:0", UserKind::Malformed, Yes),
        ];
        for (raw, kind, root) in rows {
            let user = User::new(raw);
            assert_eq!((user.kind(), user.runs_as_root()), (kind, root), "{raw:?}");
            assert_eq!(user.raw(), raw);
        }
    }

    #[test]
    fn the_group_is_what_follows_the_colon() {
        for (raw, group) in [("1000", None), ("1000:", Some("")), ("1000:0", Some("0")), (":g", Some("g"))] {
            assert_eq!(User::new(raw).group(), group, "{raw:?}");
        }
    }
}
