//! What a container will really be: the Pod's spec laid over the image's config, as the kubelet
//! and the runtimes do it (`reference/kubernetes.md`, section 3).
//!
//! Every value says where it comes from ([`Origin`]). What surprises: the group of the image's USER
//! is ignored; `command` silences the image's Cmd too; a mount hides an image volume only at the very
//! same path; and on Windows nobody is `root`, but `ContainerAdministrator` is what comes nearest.
//! What cannot be seen here: variables from `envFrom`, and names in the image's `/etc/passwd`.

mod user;

use super::{ImageUse, Overrides, Security, Workload, expansion::Variables};
use crate::image::{ImageConfig, InvalidStopSignal, PlatformImage, RunsAsRoot, StopSignal, UserKind};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

/// Where an effective value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The container's spec.
    Container,
    /// The Pod's spec.
    Pod,
    /// The image's config.
    Image,
    /// Nobody said: the runtime's default.
    Default,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

/// Who the container runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveUser {
    /// As written where it comes from; empty: nobody said.
    pub raw: String,
    /// What it means.
    pub kind: UserKind,
    /// Whether that is root.
    pub runs_as_root: RunsAsRoot,
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvValue<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value; none where it comes from a Secret, a `ConfigMap` or a field.
    pub value: Option<Cow<'a, str>>,
    /// Image or container.
    pub origin: Origin,
}

/// Words of a command line.
pub type Words<'a> = Effective<Cow<'a, [String]>>;

/// What the runtime would run. The field has no word for this; it is ours. It borrows what it can: one is made for each
/// platform of each image of each Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveContainer<'a> {
    /// Who it runs as: container, then Pod, then image.
    pub user: Effective<EffectiveUser>,
    /// Its primary group: `runAsGroup` only, the image's group is ignored by Kubernetes.
    pub group: Option<Effective<i64>>,
    /// `runAsNonRoot`, container then Pod.
    pub run_as_non_root: Option<bool>,
    /// The executable and its first arguments (Entrypoint, or `command`).
    pub command: Words<'a>,
    /// The rest (Cmd, or `args`).
    pub args: Words<'a>,
    /// The image's variables overridden by the container's.
    pub env: Vec<EnvValue<'a>>,
    /// The working directory; `/` by default.
    pub working_dir: Effective<&'a str>,
    /// The stop signal; SIGTERM by default.
    pub stop_signal: Effective<Result<StopSignal, InvalidStopSignal>>,
    /// The image's volumes that no mount of the container covers.
    pub volumes: BTreeSet<&'a str>,
}

/// What a container without a word of its own lays over its image.
static NOTHING: Overrides = Overrides {
    security: NOBODY,
    command: Vec::new(),
    args: Vec::new(),
    env: Vec::new(),
    working_dir: None,
    stop_signal: None,
    mount_paths: Vec::new(),
};
const NOBODY: Security =
    Security { run_as_user: None, run_as_group: None, run_as_non_root: None, windows_user: None };

impl<'a> EffectiveContainer<'a> {
    /// Lays `usage` of `workload` over `image`.
    #[must_use]
    pub fn of(workload: &Workload, usage: &'a ImageUse, image: &'a PlatformImage) -> Self {
        Self::layered(&usage.overrides, &workload.security, workload.os.as_deref(), image)
    }

    /// What `image` alone would run in `workload`, where no Pod or container lays anything over it.
    #[must_use]
    pub fn of_image(workload: &Workload, image: &'a PlatformImage) -> Self {
        Self::layered(&NOTHING, &NOBODY, workload.os.as_deref(), image)
    }

    fn layered(own: &'a Overrides, pod: &Security, os: Option<&str>, image: &'a PlatformImage) -> Self {
        let config = &image.config;
        let windows = is_windows(os, image);
        let variables = Variables::new(&own.env);
        let (command, args) = process(own, config, &variables);
        Self {
            user: if windows {
                user::on_windows(&own.security, pod, config.user.raw())
            } else {
                user::on_linux(&own.security, pod, &config.user)
            },
            // Windows has no groups of this kind: the API server refuses the field there.
            group: if windows { None } else { layered(&own.security, pod, |s| s.run_as_group) },
            run_as_non_root: layered(&own.security, pod, |s| s.run_as_non_root).map(|e| e.value),
            command,
            args,
            env: env(own, config, &variables),
            working_dir: working_dir(own, config, windows),
            stop_signal: stop_signal(own, config),
            volumes: uncovered_volumes(own, config),
        }
    }

    /// The process as the runtime starts it: command, then args. Empty: nothing to run, and the
    /// runtime refuses to start the container.
    #[must_use]
    pub fn argv(&self) -> Vec<&str> {
        self.command.value.iter().chain(&*self.args.value).map(String::as_str).collect()
    }
}

impl<T> Effective<T> {
    fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

/// The Pod's word, else the image's.
fn is_windows(os: Option<&str>, image: &PlatformImage) -> bool {
    let image_os = image.platform.as_ref().map_or(image.config.os.as_str(), |platform| &platform.os);
    os.unwrap_or(image_os).eq_ignore_ascii_case("windows")
}

/// A field of the container's security context, else of the Pod's.
fn layered<T>(
    container: &Security,
    pod: &Security,
    field: impl Fn(&Security) -> Option<T>,
) -> Option<Effective<T>> {
    let own = field(container).map(|value| Effective::new(value, Origin::Container));
    own.or_else(|| field(pod).map(|value| Effective::new(value, Origin::Pod)))
}

/// Command and args, as containerd's `WithProcessArgs` and CRI-O's `buildOCIProcessArgs` join them:
/// `command` replaces Entrypoint and Cmd, `args` alone replaces Cmd, and an Entrypoint of one empty
/// string is none.
fn process<'a>(
    own: &Overrides,
    config: &'a ImageConfig,
    variables: &Variables<'_>,
) -> (Words<'a>, Words<'a>) {
    let of_container =
        |list: &[String]| Effective::new(Cow::Owned(variables.expand_all(list)), Origin::Container);
    if !own.command.is_empty() {
        return (of_container(&own.command), of_container(&own.args));
    }
    let entrypoint: &[String] = match config.entrypoint.as_slice() {
        [only] if only.is_empty() => &[],
        entrypoint => entrypoint,
    };
    let args = if own.args.is_empty() { of_image(&config.cmd) } else { of_container(&own.args) };
    (of_image(entrypoint), args)
}

fn of_image(list: &[String]) -> Words<'_> {
    Effective::new(Cow::Borrowed(list), if list.is_empty() { Origin::Default } else { Origin::Image })
}

/// The image's variables in their order, then the container's new ones; each name once. The last of
/// duplicates wins, and the container wins over the image. An image's entry without `=` has an empty
/// value; an entry without a name is no variable.
fn env<'a>(own: &'a Overrides, config: &'a ImageConfig, variables: &Variables<'a>) -> Vec<EnvValue<'a>> {
    let image = config.env.iter().map(|entry| {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        EnvValue { name, value: Some(Cow::Borrowed(value)), origin: Origin::Image }
    });
    let container = own.env.iter().map(|(name, _)| EnvValue {
        name,
        value: variables.get(name).cloned(),
        origin: Origin::Container,
    });
    let most = config.env.len() + own.env.len();
    let mut env: Vec<EnvValue<'a>> = Vec::with_capacity(most);
    let mut positions = HashMap::with_capacity(most);
    for entry in image.chain(container).filter(|entry| !entry.name.is_empty()) {
        let at = *positions.entry(entry.name).or_insert(env.len());
        if at < env.len() {
            env[at] = entry;
        } else {
            env.push(entry);
        }
    }
    env
}

fn working_dir<'a>(own: &'a Overrides, config: &'a ImageConfig, windows: bool) -> Effective<&'a str> {
    match (&own.working_dir, config.working_dir.as_str()) {
        (Some(dir), _) => Effective::new(dir, Origin::Container),
        (None, "") => Effective::new(if windows { "C:\\" } else { "/" }, Origin::Default),
        (None, dir) => Effective::new(dir, Origin::Image),
    }
}

/// `lifecycle.stopSignal` (KEP-4960; API servers without the feature drop the field before it comes
/// to us), then the image's, then SIGTERM.
fn stop_signal(own: &Overrides, config: &ImageConfig) -> Effective<Result<StopSignal, InvalidStopSignal>> {
    match (&own.stop_signal, &config.stop_signal) {
        (Some(signal), _) => Effective::new(StopSignal::parse(signal), Origin::Container),
        (None, Some(signal)) => Effective::new(signal.clone(), Origin::Image),
        (None, None) => Effective::new(StopSignal::parse("SIGTERM"), Origin::Default),
    }
}

/// containerd leaves an image volume out where a mount has the same cleaned path
/// (`isInCRIMounts` in `internal/cri/server/helpers.go`); a mount on a parent does not cover it.
fn uncovered_volumes<'a>(own: &Overrides, config: &'a ImageConfig) -> BTreeSet<&'a str> {
    if config.volumes.is_empty() {
        return BTreeSet::new();
    }
    let mounts: BTreeSet<String> = own.mount_paths.iter().map(|path| clean(path)).collect();
    config.volumes.iter().map(String::as_str).filter(|volume| !mounts.contains(&clean(volume))).collect()
}

/// The shortest path that means the same, made absolute (runtimes take a relative one from `/`).
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests;
