//! Which registries may be asked at all, by lists of the operator's.
//!
//! In go a reference, out comes whether its registry may be asked; that is known before anything is connected
//! to. Patterns are those of the kubelet's `matchImages`: `ghcr.io`, `*.acme.io:5000`, `docker.io/library`.

use crate::{credential::matches_image, image::Reference};

/// The lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Registries {
    allowed: Vec<String>,
    denied: Vec<String>,
}

impl Registries {
    /// Empty lists allow every registry. What is on both is denied.
    pub(super) fn new(allowed: Vec<String>, denied: Vec<String>) -> Self {
        Self { allowed, denied }
    }

    /// # Errors
    /// Why the registry of `reference` is not asked.
    pub(super) fn check(&self, reference: &Reference) -> Result<(), String> {
        let domain = reference.domain();
        if let Some(pattern) = self.denied.iter().find(|pattern| matches_image(pattern, reference)) {
            return Err(format!("{domain} is not asked: --deny-registry {pattern}"));
        }
        let is_allowed = self.allowed.iter().any(|pattern| matches_image(pattern, reference));
        if !is_allowed && !self.allowed.is_empty() {
            return Err(format!(
                "{domain} is not asked: none of --allow-registry {} names it",
                self.allowed.join(",")
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_asked_if_they_are_allowed_and_not_denied() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (allowed, denied, image, expected) in [
            ("", "", "ghcr.io/a/b", None),
            ("ghcr.io", "", "ghcr.io/a/b", None),
            ("ghcr.io", "", "quay.io/a/b", Some("none of --allow-registry ghcr.io names it")),
            ("ghcr.io quay.io", "", "docker.io/a/b", Some("--allow-registry ghcr.io,quay.io")),
            ("docker.io/library", "", "nginx", None),
            ("docker.io/library", "", "acme/nginx", Some("docker.io is not asked")),
            ("*.acme.io:5000", "", "reg.acme.io:5000/x", None),
            ("*.acme.io:5000", "", "reg.acme.io/x", Some("not asked")),
            ("", "docker.io", "nginx", Some("--deny-registry docker.io")),
            ("", "docker.io", "ghcr.io/a/b", None),
            ("ghcr.io", "ghcr.io/evil", "ghcr.io/evil/b", Some("--deny-registry ghcr.io/evil")),
        ] {
            let registries = Registries::new(list(allowed), list(denied));
            let found = registries.check(&image.parse().unwrap()).err();
            assert_eq!(found.is_some(), expected.is_some(), "{allowed} {denied} {image}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
    }
}
