//! What an UPDATE adds or changes: only that is judged, the rest was admitted before.
//!
//! A place is the same if it has the same kind, name and image; where it stands in its list does not
//! matter, and a container with a new name is new. In a Pod nothing else that we judge can change.
//! In a template everything can, so a use of a template is the same only if its container is, as
//! written, and the Pod's fields that lie under every container: security context, os, user
//! namespace, platforms and labels.

use crate::workload::{ImageUse, Workload};
use std::collections::HashMap;

/// Leaves in `workload` the uses that `old` does not have.
pub(super) fn keep_changed(workload: &mut Workload, old: &Workload) {
    if workload.is_template && !same_pod(workload, old) {
        return;
    }
    let is_template = workload.is_template;
    // By key, not by a search for each use: a Pod may have thousands.
    let mut before: HashMap<_, Vec<&ImageUse>> = HashMap::new();
    for usage in &old.uses {
        before.entry((usage.kind, usage.name.as_str(), usage.image.as_str())).or_default().push(usage);
    }
    let mut uses = std::mem::take(&mut workload.uses);
    uses.retain(|usage| {
        !before.get(&(usage.kind, usage.name.as_str(), usage.image.as_str())).is_some_and(|same_place| {
            let written = workload.written(usage);
            !is_template || same_place.iter().any(|one| old.written(one) == written)
        })
    });
    workload.uses = uses;
}

fn same_pod(new: &Workload, old: &Workload) -> bool {
    new.security == old.security
        && new.os == old.os
        && new.host_users == old.host_users
        && new.platforms == old.platforms
        && new.labels == old.labels
}
