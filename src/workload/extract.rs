//! A [`Workload`] out of any object that carries a Pod spec.
//!
//! In goes the JSON of an object, out comes every place in it that names an image, each with the
//! field path that a reader of that object knows. A kind is ours by its API group and its name: a
//! `Deployment` of another group is not. The version does not matter, as every version of these
//! groups has its Pod spec in the same place.
//!
//! A container whose `image` is empty, and an image volume without `reference`, name no image and
//! are left out: the API server allows them in templates only (something fills them in later) and
//! refuses them in Pods.

use super::{ImageUse, Overrides, Security, UseKind, Workload, fields::Fields, platforms};
use serde_json::Value;
use std::sync::Arc;

/// Why an object that should carry a Pod spec does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct InvalidWorkload {
    /// The field, e.g. `spec.template.spec.containers[0].env`.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// Places that name an image in one Pod. No node could run as many; each is resolved and judged.
const MAX_USES: usize = 1000;

/// API group, kind, and the fields that lead to the Pod or its template (`spec` and `metadata`).
const CARRIERS: [(&str, &str, &[&str]); 9] = [
    ("", "Pod", &[]),
    ("", "PodTemplate", &["template"]),
    ("", "ReplicationController", &["spec", "template"]),
    ("apps", "Deployment", &["spec", "template"]),
    ("apps", "ReplicaSet", &["spec", "template"]),
    ("apps", "StatefulSet", &["spec", "template"]),
    ("apps", "DaemonSet", &["spec", "template"]),
    ("batch", "Job", &["spec", "template"]),
    ("batch", "CronJob", &["spec", "jobTemplate", "spec", "template"]),
];

impl Workload {
    /// Reads a Pod, `PodTemplate`, `ReplicationController`, Deployment, `ReplicaSet`, `StatefulSet`,
    /// `DaemonSet`, Job or `CronJob`. None: an object of another kind, which carries no Pod.
    ///
    /// # Errors
    /// [`InvalidWorkload`] when a field that we read has the wrong type, or when `apiVersion` or
    /// `kind` is missing: what is no Kubernetes object is not silently passed over.
    pub fn from_object(object: &Value) -> Result<Option<Self>, InvalidWorkload> {
        let document = Fields::new(object, "")?;
        let api_version = document.required_text("apiVersion")?;
        let kind = document.required_text("kind")?;
        if !Self::is_carrier(api_version, kind) {
            return Ok(None);
        }
        Self::of_kind(api_version, kind, &Arc::new(object.clone()))
    }

    /// The container (or volume) of one of its uses, as written.
    #[must_use]
    pub fn written(&self, usage: &ImageUse) -> Option<&Value> {
        // Up to the end of the one list on the way: `spec.template.spec.containers[0]`.
        let (place, _) = usage.field_path.split_once(']')?;
        let (list, at) = place.split_once('[')?;
        list.split('.').try_fold(&*self.object, |value, key| value.get(key))?.get(at.parse::<usize>().ok()?)
    }

    /// Whether objects of this kind carry a Pod spec.
    #[must_use]
    pub fn is_carrier(api_version: &str, kind: &str) -> bool {
        carrier(api_version, kind).is_some()
    }

    /// Reads `object` as what an admission request says that it is, and shares it.
    ///
    /// # Errors
    /// [`InvalidWorkload`] when a field that we read has the wrong type.
    pub(crate) fn of_kind(
        api_version: &str,
        kind: &str,
        object: &Arc<Value>,
    ) -> Result<Option<Self>, InvalidWorkload> {
        let Some(steps) = carrier(api_version, kind) else { return Ok(None) };
        let document = Fields::new(object, "")?;
        let metadata = document.object("metadata")?;
        let pod = steps.iter().try_fold(document, |at, step| at.object(step))?;
        let pod_metadata = pod.object("metadata")?;
        let spec = pod.object("spec")?;
        let os = spec.object("os")?.text("name")?.map(ToOwned::to_owned);
        let name = metadata.text("name")?.filter(|name| !name.is_empty());
        Ok(Some(Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: name.or(metadata.text("generateName")?).unwrap_or_default().to_owned(),
            namespace: non_empty(metadata.text("namespace")?),
            labels: pod_metadata.text_map("labels")?,
            annotations: pod_metadata.text_map("annotations")?,
            is_template: !steps.is_empty(),
            pull_secrets: pull_secrets(&spec)?,
            service_account: non_empty(spec.text("serviceAccountName")?),
            security: security(&spec.object("securityContext")?)?,
            host_users: spec.boolean("hostUsers")?,
            platforms: platforms::filter(&spec, os.as_deref())?,
            os,
            uses: uses(&spec)?,
            object: Arc::clone(object),
        }))
    }
}

/// Every object in `value` with its path: itself, or the items of a `List` (and of `PodList`,
/// `DeploymentList`, …), lists in lists included. The path is empty for the document itself, else
/// `items[0]`, `items[1].items[0]`.
#[must_use]
pub fn objects(value: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    // A stack, not recursion; reversed, so that the objects come out in the document's order.
    let mut waiting = vec![(String::new(), value)];
    while let Some((path, value)) = waiting.pop() {
        match list_items(value) {
            Some(items) => waiting.extend(items.iter().enumerate().rev().map(|(i, item)| {
                let dot = if path.is_empty() { "" } else { "." };
                (format!("{path}{dot}items[{i}]"), item)
            })),
            None => found.push((path, value)),
        }
    }
    found
}

fn list_items(value: &Value) -> Option<&Vec<Value>> {
    value.get("kind")?.as_str().filter(|kind| kind.ends_with("List"))?;
    value.get("items")?.as_array().filter(|items| items.iter().all(Value::is_object))
}

fn carrier(api_version: &str, kind: &str) -> Option<&'static [&'static str]> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    CARRIERS.iter().find(|(g, k, _)| *g == group && *k == kind).map(|(_, _, steps)| *steps)
}

fn uses(spec: &Fields<'_>) -> Result<Vec<Arc<ImageUse>>, InvalidWorkload> {
    const LISTS: [(&str, UseKind); 3] = [
        ("containers", UseKind::Container),
        ("initContainers", UseKind::InitContainer),
        ("ephemeralContainers", UseKind::EphemeralContainer),
    ];
    let mut uses = Vec::new();
    for (key, kind) in LISTS {
        for container in spec.objects(key)? {
            if let Some(image) = non_empty(container.text("image")?) {
                let overrides = overrides(&container)?;
                uses.push(image_use(kind, &container, container.path_of("image"), image, overrides)?);
            }
        }
    }
    for volume in spec.objects("volumes")? {
        let source = volume.object("image")?;
        if let Some(image) = non_empty(source.text("reference")?) {
            let path = source.path_of("reference");
            uses.push(image_use(UseKind::ImageVolume, &volume, path, image, Overrides::default())?);
        }
    }
    if uses.len() > MAX_USES {
        let why = format!("names {} images; at most {MAX_USES} in one Pod are looked at", uses.len());
        return Err(InvalidWorkload { path: spec.path(), why });
    }
    Ok(uses)
}

fn image_use(
    kind: UseKind,
    place: &Fields<'_>,
    field_path: String,
    image: String,
    overrides: Overrides,
) -> Result<Arc<ImageUse>, InvalidWorkload> {
    Ok(Arc::new(ImageUse {
        kind,
        name: place.text("name")?.unwrap_or_default().to_owned(),
        field_path,
        reference: image.parse(),
        image,
        overrides,
    }))
}

fn overrides(container: &Fields<'_>) -> Result<Overrides, InvalidWorkload> {
    let mounts = container.objects("volumeMounts")?;
    Ok(Overrides {
        security: security(&container.object("securityContext")?)?,
        command: container.texts("command")?,
        args: container.texts("args")?,
        env: container.objects("env")?.iter().map(variable).collect::<Result<_, _>>()?,
        working_dir: non_empty(container.text("workingDir")?),
        stop_signal: non_empty(container.object("lifecycle")?.text("stopSignal")?),
        mount_paths: mounts
            .iter()
            .filter_map(|mount| mount.text("mountPath").transpose())
            .map(|path| path.map(ToOwned::to_owned))
            .collect::<Result<_, _>>()?,
    })
}

fn variable(entry: &Fields<'_>) -> Result<(String, Option<String>), InvalidWorkload> {
    let name = entry.text("name")?.unwrap_or_default().to_owned();
    let value = entry.text("value")?.unwrap_or_default().to_owned();
    Ok((name, entry.get("valueFrom").is_none().then_some(value)))
}

fn security(context: &Fields<'_>) -> Result<Security, InvalidWorkload> {
    Ok(Security {
        run_as_user: context.integer("runAsUser")?,
        run_as_group: context.integer("runAsGroup")?,
        run_as_non_root: context.boolean("runAsNonRoot")?,
        windows_user: non_empty(context.object("windowsOptions")?.text("runAsUserName")?),
    })
}

fn pull_secrets(spec: &Fields<'_>) -> Result<Vec<String>, InvalidWorkload> {
    let secrets = spec.objects("imagePullSecrets")?;
    secrets.iter().filter_map(|secret| secret.text("name").map(non_empty).transpose()).collect()
}

fn non_empty(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests;
