//! `rules.volumes`: volumes that the image declares (VOLUME).
//!
//! **Fields read:** `config.Volumes` of the image, `volumeMounts[].mountPath` of the container. For each
//! volume that no mount covers, the runtime makes a writable folder on the node's disk, whatever
//! `readOnlyRootFilesystem` says. With `source: Image`, mounts are passed over.
//!
//! **Allowed values:** `forbidden: true`: no volume is left. `false` is not checked.
//!
//! **Odd values:** a mount covers a volume only at the very same path, as in containerd. One violation
//! names all volumes.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1::{self as api, Source},
    policy::message::several,
};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct VolumesRule {
    source: Source,
}

impl VolumesRule {
    pub(super) fn compile(rule: &api::VolumesRule) -> Option<Self> {
        rule.forbidden.then_some(Self { source: rule.source })
    }

    fn judge_volumes(&self, volumes: &BTreeSet<&str>) -> Option<Violation> {
        if volumes.is_empty() {
            return None;
        }
        let names: Vec<&str> = volumes.iter().copied().collect();
        let wanted = match self.source {
            Source::Effective => "no VOLUME in the image, or a volumeMount at the same path",
            Source::Image => "no VOLUME in the image",
        };
        let what = if volumes.len() == 1 { "a volume" } else { "volumes" };
        Some(Violation::new(format!("declares {what} at {}", several(&names)), wanted))
    }
}

impl ImageRule for VolumesRule {
    fn name(&self) -> &'static str {
        "volumes"
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_volumes(&seen.by(self.source).volumes).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_volumes() {
        let rule =
            VolumesRule::compile(&api::VolumesRule { forbidden: true, source: Source::Effective }).unwrap();
        for (name, volumes, expected) in [
            ("none", &[][..], None),
            ("one", &["/data"], Some("declares a volume at \"/data\"")),
            (
                "many",
                &["/a", "/b", "/c", "/d"],
                Some("declares volumes at \"/a\", \"/b\", \"/c\" and 1 more"),
            ),
        ] {
            let volumes = volumes.iter().copied().collect();
            assert_eq!(rule.judge_volumes(&volumes).map(|v| v.found).as_deref(), expected, "{name}");
        }
        assert!(VolumesRule::compile(&api::VolumesRule::default()).is_none(), "false checks nothing");
    }
}
