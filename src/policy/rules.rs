//! The declarative rules, one a file; the head of each file is its specification.
//!
//! A compiled rule and what was seen of an image come in; violations come out. A new rule is a new
//! file, a line in [`compile`] and a field of [`crate::api::v1alpha1::Rules`]. One law holds for all
//! of them: what is absent never satisfies a rule.

mod age;
mod base;
mod entrypoint;
mod env;
mod labels;
mod platforms;
mod ports;
mod reference;
mod size;
mod stop_signal;
mod user;
mod volumes;
mod working_dir;

pub(super) use reference::ReferenceRule;

use super::place::Place;
use crate::{
    api::v1alpha1::{Rules, Source},
    image::{PlatformImage, ResolvedImage},
    workload::{EffectiveContainer, ImageUse, UseKind, Workload},
};
use std::{cell::OnceCell, fmt::Debug};

/// What is wrong with an image, in words that go on from `container "app": image nginx:1.27`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// What was found: `runs as root (USER is empty)`.
    pub(super) found: String,
    /// What was wanted, and how to get there: `a non-root user: set USER in the image`.
    pub(super) wanted: String,
}

/// A rule that needs the image.
pub(super) trait ImageRule: Debug + Send + Sync {
    /// The rule's name in the policy.
    fn name(&self) -> &'static str;

    /// Whether it has a meaning for images that are mounted rather than run.
    fn is_for_volumes(&self) -> bool {
        false
    }

    /// Whether each platform is judged by itself; if not, the image is judged once.
    fn is_per_platform(&self) -> bool {
        true
    }

    /// What is wrong.
    fn judge(&self, seen: &Seen<'_>) -> Vec<Violation>;
}

/// One platform of one image, as one container of one Pod would run it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) image: &'a ResolvedImage,
    pub(super) platform: &'a PlatformImage,
    pub(super) effective: EffectiveContainer<'a>,
    pub(super) now: jiff::Timestamp,
    workload: &'a Workload,
    alone: OnceCell<EffectiveContainer<'a>>,
}

/// A policy's rules.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    /// The rule that needs no image.
    pub(super) reference: Option<ReferenceRule>,
    /// The others, in the order of the policy's fields.
    pub(super) of_image: Vec<Box<dyn ImageRule>>,
}

/// Compiles the rules that check something.
pub(super) fn compile(rules: &Rules, at: &Place<'_>) -> Compiled {
    fn compiled<T, R: ImageRule + 'static>(
        rule: Option<&T>,
        at: &Place<'_>,
        compile: impl Fn(&T, &Place<'_>) -> Option<R>,
    ) -> Option<Box<dyn ImageRule>> {
        Some(Box::new(compile(rule?, at)?))
    }
    let labels = (!rules.labels.is_empty()).then_some(&rules.labels);
    let of_image = [
        compiled(rules.user.as_ref(), &at.field("user"), user::UserRule::compile),
        compiled(labels, &at.field("labels"), |rules, at| labels::LabelsRule::compile(rules, at)),
        compiled(rules.stop_signal.as_ref(), &at.field("stopSignal"), stop_signal::StopSignalRule::compile),
        compiled(rules.env.as_ref(), &at.field("env"), env::EnvRule::compile),
        compiled(rules.ports.as_ref(), &at.field("ports"), ports::PortsRule::compile),
        compiled(rules.volumes.as_ref(), &at.field("volumes"), |rule, _| volumes::VolumesRule::compile(rule)),
        compiled(rules.entrypoint.as_ref(), &at.field("entrypoint"), entrypoint::EntrypointRule::compile),
        compiled(rules.working_dir.as_ref(), &at.field("workingDir"), working_dir::WorkingDirRule::compile),
        compiled(rules.age.as_ref(), &at.field("age"), age::AgeRule::compile),
        compiled(rules.size.as_ref(), &at.field("size"), size::SizeRule::compile),
        compiled(rules.platforms.as_ref(), &at.field("platforms"), platforms::PlatformsRule::compile),
        compiled(rules.base.as_ref(), &at.field("base"), base::BaseRule::compile),
    ];
    let reference = rules.reference.as_ref();
    Compiled {
        reference: reference.and_then(|rule| ReferenceRule::compile(rule, &at.field("reference"))),
        of_image: of_image.into_iter().flatten().collect(),
    }
}

impl Compiled {
    /// Whether nothing is checked.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rules check something.
    pub(super) fn len(&self) -> usize {
        self.of_image.len() + usize::from(self.reference.is_some())
    }

    /// The rules that need the image and have a meaning for this kind of use.
    pub(super) fn for_use(&self, kind: UseKind) -> impl Iterator<Item = &dyn ImageRule> {
        self.of_image
            .iter()
            .map(Box::as_ref)
            .filter(move |rule| kind != UseKind::ImageVolume || rule.is_for_volumes())
    }
}

impl Violation {
    pub(super) fn new(found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self { found: found.into(), wanted: wanted.into() }
    }
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        workload: &'a Workload,
        usage: &'a ImageUse,
        image: &'a ResolvedImage,
        platform: &'a PlatformImage,
        now: jiff::Timestamp,
    ) -> Self {
        let effective = EffectiveContainer::of(workload, usage, platform);
        Self { image, platform, effective, now, workload, alone: OnceCell::new() }
    }

    /// The container as it will be, or as the image alone would have it.
    pub(super) fn by(&self, source: Source) -> &EffectiveContainer<'a> {
        match source {
            Source::Effective => &self.effective,
            Source::Image => {
                self.alone.get_or_init(|| EffectiveContainer::of_image(self.workload, self.platform))
            }
        }
    }
}

/// Refuses an empty item of a list.
fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}
