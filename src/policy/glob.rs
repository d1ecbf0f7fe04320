//! Sets of globs, compiled once. `*` stays within a path component, `**` does not.

use super::place::Place;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Globs, and how they were written.
#[derive(Clone, Debug)]
pub(super) struct Globs {
    set: GlobSet,
    patterns: Vec<String>,
}

/// Whether case counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Counts,
    Ignored,
}

/// What `*` matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stars {
    /// Anything but a slash; `**` matches that too.
    WithinComponents,
    /// Anything: a slash means nothing in what is matched.
    Everything,
}

impl Globs {
    /// Compiles `patterns`, each first held against `check`. None: there are none, or none is right.
    pub(super) fn compile(
        patterns: &[String],
        at: &Place<'_>,
        case: Case,
        stars: Stars,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Option<Self> {
        let globs = at.each(patterns, |pattern| {
            if pattern.is_empty() {
                return Err("is empty".to_owned());
            }
            check(pattern)?;
            GlobBuilder::new(pattern)
                .literal_separator(stars == Stars::WithinComponents)
                .backslash_escape(true)
                .case_insensitive(case == Case::Ignored)
                .build()
                .map_err(|error| format!("is not a glob: {}", error.kind()))
        });
        if globs.is_empty() {
            return None;
        }
        let mut builder = GlobSetBuilder::new();
        for glob in globs {
            builder.add(glob);
        }
        let set = at.accept(builder.build().map_err(|error| format!("cannot be compiled: {error}")))?;
        Some(Self { set, patterns: patterns.to_vec() })
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.set.is_match(text)
    }

    /// The globs as written.
    pub(super) fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

/// Globs over normalised image names. One that can match no such name is a mistake.
pub(super) fn of_images(patterns: &[String], at: &Place<'_>) -> Option<Globs> {
    Globs::compile(patterns, at, Case::Ignored, Stars::WithinComponents, |pattern| {
        let (domain, path) = match pattern.split_once('/') {
            Some(parts) => parts,
            None if pattern == "**" => return Ok(()),
            None => ("", pattern),
        };
        let name = "a glob is held against the normalised name, such as docker.io/library/nginx";
        if path.contains('@') || path.rsplit('/').next().is_some_and(|last| last.contains(':')) {
            return Err(format!("matches no image: {name}, without tag and digest"));
        }
        let is_domain = domain == "localhost" || domain.contains(['.', ':', '*', '?', '[', '{']);
        if !is_domain {
            return Err(match (domain, path) {
                ("", "*") => format!("matches no image: {name}; write ** for every image"),
                ("", _) => format!("matches no image: {name}; did you mean docker.io/library/{path}?"),
                _ => format!("matches no image: {name}; did you mean docker.io/{pattern}?"),
            });
        }
        match domain.to_ascii_lowercase().as_str() {
            "index.docker.io" => Err(format!("matches no image: {name}; did you mean docker.io/{path}?")),
            "docker.io" if !path.contains('/') && !path.contains("**") => {
                Err(format!("matches no image: {name}; did you mean docker.io/library/{path}?"))
            }
            _ => Ok(()),
        }
    })
}

/// Globs over registries' domains.
pub(super) fn of_registries(patterns: &[String], at: &Place<'_>) -> Option<Globs> {
    Globs::compile(patterns, at, Case::Ignored, Stars::WithinComponents, |pattern| {
        if pattern.contains('/') {
            return Err(
                "is more than a registry: write the domain alone, such as registry.acme.io".to_owned()
            );
        }
        if pattern.eq_ignore_ascii_case("index.docker.io") {
            return Err("matches no image: the normalised name says docker.io".to_owned());
        }
        Ok(())
    })
}

/// A domain, and the same without the port that is HTTPS's own: one registry has both names.
pub(super) fn domains(domain: &str) -> impl Iterator<Item = &str> {
    std::iter::once(domain).chain(domain.strip_suffix(":443"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn images(pattern: &str) -> Result<Globs, String> {
        let problems = Problems::default();
        let globs = of_images(&[pattern.to_owned()], &Place::root(&problems));
        globs.ok_or_else(|| problems.into_inner().remove(0).1)
    }

    #[test]
    fn match_normalised_names() {
        for (pattern, name, expected) in [
            ("docker.io/library/*", "docker.io/library/nginx", true),
            ("docker.io/library/*", "docker.io/library/a/b", false),
            ("registry.acme.io/**", "registry.acme.io/a/b/c", true),
            ("registry.acme.io/**", "registry.acme.io.evil.io/a", false),
            ("registry.acme.io/**", "REGISTRY.acme.io/a", true),
            ("**", "docker.io/library/nginx", true),
            ("*/**", "docker.io/library/nginx", true),
            ("localhost:5000/*", "localhost:5000/app", true),
            ("ghcr.io/acme/{web,api}", "ghcr.io/acme/api", true),
            ("docker.io/*/*", "docker.io/library/nginx", true),
        ] {
            assert_eq!(images(pattern).unwrap().is_match(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn refuse_what_matches_nothing() {
        for (pattern, part) in [
            ("nginx", "did you mean docker.io/library/nginx?"),
            ("library/*", "did you mean docker.io/library/*?"),
            ("docker.io/nginx", "did you mean docker.io/library/nginx?"),
            ("index.docker.io/library/nginx", "did you mean docker.io/library/nginx?"),
            ("*", "write ** for every image"),
            ("docker.io/library/nginx:1.27", "without tag and digest"),
            ("docker.io/library/nginx@sha256:*", "without tag and digest"),
            ("docker.io/library/[a", "is not a glob"),
            ("", "is empty"),
        ] {
            let why = images(pattern).expect_err(pattern);
            assert!(why.contains(part), "{pattern}: {why}");
        }
    }
}
