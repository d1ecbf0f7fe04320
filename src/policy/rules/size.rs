//! `rules.size`: how large the image may be.
//!
//! **Fields read:** the sizes of the manifest's layers, which are compressed: what a node downloads if
//! it has none of them. The size on disk is not known without pulling.
//!
//! **Allowed values:** `maxCompressed`: the sum is at most this. `maxLayers`: there are at most so many
//! layers.
//!
//! **Odd values:** a layer that is listed twice counts twice. Each limit gives its own violation. For
//! image volumes too.

use super::{ImageRule, Seen, Violation};
use crate::{
    api::v1alpha1 as api,
    policy::{
        amount::{bytes, human},
        place::Place,
    },
};

#[derive(Debug)]
pub(super) struct SizeRule {
    max_compressed: Option<(u64, String)>,
    max_layers: Option<u32>,
}

impl SizeRule {
    pub(super) fn compile(rule: &api::SizeRule, at: &Place<'_>) -> Option<Self> {
        let max_compressed = rule.max_compressed.as_ref().and_then(|text| {
            let limit = at.field("maxCompressed").accept(bytes(text))?;
            Some((limit, text.clone()))
        });
        (max_compressed.is_some() || rule.max_layers.is_some())
            .then_some(Self { max_compressed, max_layers: rule.max_layers })
    }

    fn judge_size(&self, compressed: u64, layers: usize) -> Vec<Violation> {
        let mut violations = Vec::new();
        if let Some((max, written)) = &self.max_compressed
            && compressed > *max
        {
            violations.push(Violation::new(
                format!("has {} of compressed layers", human(compressed)),
                format!("at most {written}"),
            ));
        }
        if let Some(max) = self.max_layers
            && u32::try_from(layers).map_or(true, |layers| layers > max)
        {
            violations.push(Violation::new(format!("has {layers} layers"), format!("at most {max}")));
        }
        violations
    }
}

impl ImageRule for SizeRule {
    fn name(&self) -> &'static str {
        "size"
    }

    fn is_for_volumes(&self) -> bool {
        true
    }

    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation> {
        self.judge_size(seen.platform.compressed_size(), seen.platform.layer_sizes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::place::Problems;

    fn compile(
        max_compressed: Option<&str>,
        max_layers: Option<u32>,
    ) -> (Option<SizeRule>, Vec<(String, String)>) {
        let problems = Problems::default();
        let rule = api::SizeRule { max_compressed: max_compressed.map(ToOwned::to_owned), max_layers };
        (SizeRule::compile(&rule, &Place::root(&problems)), problems.into_inner())
    }

    #[test]
    fn holds_limits() {
        let gib = 1 << 30;
        for (name, limits, compressed, layers, expected) in [
            ("at the limits", (Some("2Gi"), Some(60)), 2 * gib, 60, vec![]),
            ("a byte more", (Some("2Gi"), None), 2 * gib + 1, 1, vec!["has 2.0 GiB of compressed layers"]),
            ("a layer more", (None, Some(60)), 0, 61, vec!["has 61 layers"]),
            (
                "both",
                (Some("1Ki"), Some(1)),
                2048,
                2,
                vec!["has 2.0 KiB of compressed layers", "has 2 layers"],
            ),
            ("no layers", (Some("1Ki"), Some(1)), 0, 0, vec![]),
        ] {
            let violations = compile(limits.0, limits.1).0.unwrap().judge_size(compressed, layers);
            assert_eq!(violations.iter().map(|v| v.found.as_str()).collect::<Vec<_>>(), expected, "{name}");
        }
    }

    #[test]
    fn refuses_bad_sizes() {
        assert_eq!(compile(Some("2GB"), None).1[0].0, "maxCompressed");
        assert!(compile(None, None).0.is_none());
    }
}
