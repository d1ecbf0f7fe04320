//! `config.User`, with the odd values that decide whether a container runs as root
//! (`reference/registry.md` A10 F7–F12, `reference/kubernetes.md` 3.1).

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
        todo!()
    }

    /// The group part (after the colon), which Kubernetes ignores.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.raw.split_once(':').map(|(_, group)| group)
    }

    /// Whether it is root.
    #[must_use]
    pub fn runs_as_root(&self) -> RunsAsRoot {
        todo!()
    }
}
