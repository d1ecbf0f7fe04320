//! Drift: a container that runs another image than the one that its tag means now.
//!
//! The kubelet says in a Pod's status what it runs (`containerStatuses[].imageID`): a name with a digest, which is the
//! index's for containerd and CRI-O when the tag is an index, else the manifest's; older runtimes give the config's
//! digest (the image ID). A container has drifted when none of these is what its tag resolves to.

use crate::{image::Digest, policy::Fact, workload::UseKind};
use serde_json::Value;

/// The status lists of a Pod, and the uses that each is about.
const STATUSES: [(&str, UseKind); 3] = [
    ("containerStatuses", UseKind::Container),
    ("initContainerStatuses", UseKind::InitContainer),
    ("ephemeralContainerStatuses", UseKind::EphemeralContainer),
];

/// What a container runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which kind of container.
    pub kind: UseKind,
    /// Its name.
    pub container: String,
    /// The digest of what it runs: an index's, a manifest's, or a config's.
    pub digest: Digest,
}

/// What the containers of a Pod run, as far as its status says so.
#[must_use]
pub fn running(pod: &Value) -> Vec<Running> {
    let of = |(list, kind): (&str, UseKind)| {
        let statuses = pod["status"][list].as_array().map(Vec::as_slice).unwrap_or_default();
        let read = move |status: &Value| {
            let container = status["name"].as_str()?.to_owned();
            Some(Running { kind, container, digest: digest(status["imageID"].as_str()?)? })
        };
        statuses.iter().filter_map(read).collect::<Vec<_>>()
    };
    STATUSES.into_iter().flat_map(of).collect()
}

/// `docker.io/library/nginx@sha256:…`, `docker-pullable://nginx@sha256:…` or `sha256:…`.
fn digest(image_id: &str) -> Option<Digest> {
    let after = image_id.rsplit_once('@').map_or(image_id, |(_, digest)| digest);
    after.parse().ok()
}

/// Whether what runs is none of what the tag means now. A digest cannot move; what is not known has not.
pub(super) fn has_drifted(fact: &Fact, running: Option<&Digest>) -> bool {
    let is_tag = fact.usage.reference.as_ref().is_ok_and(|reference| reference.digest().is_none());
    let (true, Some(Ok(image)), Some(running)) = (is_tag, &fact.image, running) else { return false };
    let means = image.platforms.iter().flat_map(|one| [&one.manifest_digest, &one.config_digest]);
    !std::iter::once(&image.digest).chain(means).any(|digest| digest == running)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_runs_is_read_in_every_form_of_image_ids() {
        let hex = "a".repeat(64);
        let pod = json!({ "status": {
            "containerStatuses": [
                { "name": "containerd", "imageID": format!("docker.io/library/nginx@sha256:{hex}") },
                { "name": "docker", "imageID": format!("docker-pullable://nginx@sha256:{hex}") },
                { "name": "id", "imageID": format!("sha256:{hex}") },
                { "name": "waiting", "imageID": "" },
                { "name": "odd", "imageID": "nginx:1" },
                { "name": "none" },
                7,
            ],
            "initContainerStatuses": [{ "name": "init", "imageID": format!("a.io/b@sha256:{hex}") }],
            "ephemeralContainerStatuses": "none",
        } });
        let found: Vec<_> = running(&pod).into_iter().map(|one| (one.kind, one.container)).collect();
        let container = |name: &str| (UseKind::Container, name.to_owned());
        let init = (UseKind::InitContainer, "init".to_owned());
        assert_eq!(found, [container("containerd"), container("docker"), container("id"), init]);
        assert_eq!(running(&json!({})), []);
    }
}
