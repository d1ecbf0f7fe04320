//! Who a container runs as (`reference/kubernetes.md`, 3.1).

use super::{Effective, EffectiveUser, Origin, Security, layered};
use crate::image::{RunsAsRoot, User, UserKind};

/// The accounts of Windows that hold every right in the container (or, for a host process, on the
/// host). Names are not case-sensitive (CVE-2021-25749).
const WINDOWS_ADMINISTRATORS: [&str; 3] = ["ContainerAdministrator", "SYSTEM", "Administrator"];

/// The largest uid that runtimes take.
const MAX_UID: i64 = i32::MAX as i64;

/// `runAsUser` of the container, then of the Pod, then the image's USER.
pub(super) fn on_linux(container: &Security, pod: &Security, image: &User) -> Effective<EffectiveUser> {
    if let Some(uid) = layered(container, pod, |security| security.run_as_user) {
        return Effective::new(by_uid(uid.value), uid.origin);
    }
    let user =
        EffectiveUser { raw: image.raw().to_owned(), kind: image.kind(), runs_as_root: image.runs_as_root() };
    Effective::new(user, origin_of(image.raw()))
}

fn by_uid(uid: i64) -> EffectiveUser {
    let kind = match u32::try_from(uid) {
        Ok(number) if uid <= MAX_UID => UserKind::Uid(number),
        _ => UserKind::OutOfRange,
    };
    let runs_as_root = match kind {
        UserKind::Uid(1..) => RunsAsRoot::No,
        _ => RunsAsRoot::Yes,
    };
    EffectiveUser { raw: uid.to_string(), kind, runs_as_root }
}

/// `windowsOptions.runAsUserName` of the container, then of the Pod, then the image's USER. The
/// kubelet passes over `runAsUser` there (`security_context_windows.go`).
pub(super) fn on_windows(container: &Security, pod: &Security, image: &str) -> Effective<EffectiveUser> {
    match layered(container, pod, |security| security.windows_user.clone()) {
        Some(name) => Effective::new(by_windows_name(&name.value), name.origin),
        None => Effective::new(by_windows_name(image), origin_of(image)),
    }
}

/// An empty name is `ContainerAdministrator`, the default of Windows containers; the Nano Server base
/// image writes its `ContainerUser` into the config.
fn by_windows_name(name: &str) -> EffectiveUser {
    let account = name.rsplit('\\').next().unwrap_or(name);
    let is = |known: &str| account.eq_ignore_ascii_case(known);
    let runs_as_root = if name.is_empty() || WINDOWS_ADMINISTRATORS.into_iter().any(is) {
        RunsAsRoot::Yes
    } else if is("ContainerUser") {
        RunsAsRoot::No
    } else {
        RunsAsRoot::Unknown
    };
    let kind = if name.is_empty() { UserKind::Unset } else { UserKind::Name(name.to_owned()) };
    EffectiveUser { raw: name.to_owned(), kind, runs_as_root }
}

fn origin_of(image_user: &str) -> Origin {
    if image_user.is_empty() { Origin::Default } else { Origin::Image }
}
