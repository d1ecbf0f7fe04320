//! The declared values of one subject, use and platform; each is built when it is first read.

use super::{
    Evaluation,
    budget::Failure,
    declarations::{DECLARED, Source},
    types::Type,
    value::Value,
};
use crate::{
    image::{Created, PlatformImage, Reference, ResolvedImage, RunsAsRoot, TextMap, UserKind},
    workload::{EffectiveContainer, ImageUse},
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// `None`: absent.
type Declared = Result<Option<Value>, Failure>;

static NULL: Json = Json::Null;

impl Evaluation<'_> {
    /// A declared value, kept once it was built.
    pub(super) fn declared(&self, index: usize) -> Declared {
        if let Some(known) = self.declared.borrow().get(&index) {
            return known.clone();
        }
        let value = match self.json(index) {
            Err(failure) => Err(failure),
            Ok(Some(json)) => Value::from_json(json, &self.budget).map(Some),
            Ok(None) => self.build(index),
        };
        if !matches!(&value, Err(failure) if failure.is_limit) {
            self.declared.borrow_mut().insert(index, value.clone());
        }
        value
    }

    /// The document behind a `dyn` declaration; none for the others.
    pub(super) fn json(&self, index: usize) -> Result<Option<&Json>, Failure> {
        Ok(Some(match DECLARED[index].path {
            "object" => &self.subject.workload.object,
            "oldObject" => self.subject.old_object,
            "params" => self.params.unwrap_or(&NULL),
            "request.options" => self.subject.request.get("options").unwrap_or(&NULL),
            "container" => {
                let written = self.subject.workload.written(self.usage()?);
                written.ok_or_else(|| Failure::new("the container is not in the object"))?
            }
            "image.document" => self.document()?,
            _ => return Ok(None),
        }))
    }

    /// The texts behind a declaration that are read one by one; none for the others.
    pub(super) fn texts(&self, index: usize) -> Result<Option<&TextMap>, Failure> {
        if DECLARED[index].path == "config.labels" {
            return Ok(Some(&self.looked()?.1.config.labels));
        }
        Ok(None)
    }

    fn usage(&self) -> Result<&ImageUse, Failure> {
        self.usage.ok_or_else(|| Failure::new("no container is judged here"))
    }

    fn looked(&self) -> Result<(&ResolvedImage, &PlatformImage, &EffectiveContainer<'_>), Failure> {
        self.image.ok_or_else(|| Failure::new("the image was not looked at"))
    }

    fn document(&self) -> Result<&Json, Failure> {
        let (_, image, _) = self.looked()?;
        let raw =
            image.raw_config.as_ref().ok_or_else(|| Failure::new("the image's whole config was not kept"))?;
        if self.document.get().is_none() {
            self.budget.spend_text(raw.len())?;
        }
        self.document
            .get_or_init(|| serde_json::from_slice(&raw.to_vec()).ok())
            .as_ref()
            .ok_or_else(|| Failure::new("the image's config is no JSON"))
    }

    fn build(&self, index: usize) -> Declared {
        let declared = &DECLARED[index];
        let path = declared.path;
        let (root, field) = path.split_once('.').unwrap_or((path, ""));
        match (root, declared.source) {
            ("now", _) => Ok(Some(Value::Timestamp(self.subject.now))),
            ("request", _) => self.of_document(self.subject.request, field, &declared.kind()),
            ("namespaceObject", _) => self.namespace(field, &declared.kind()),
            ("image", Source::Reference) => self.reference(field),
            ("image", _) => self.image(field),
            ("config", _) => self.config(field),
            ("effective", _) => self.effective(field),
            _ => Ok(None),
        }
    }

    /// A field of the request or the namespace; what is missing is empty.
    fn of_document(&self, document: &Json, path: &str, kind: &Type) -> Declared {
        let found =
            path.split('.').try_fold(document, |json, field| json.get(field)).filter(|json| !json.is_null());
        let Some(found) = found else { return Ok(Some(empty(kind))) };
        let fits = match kind {
            Type::String => found.is_string(),
            Type::Bool => found.is_boolean(),
            Type::List(_) => found.as_array().is_some_and(|items| items.iter().all(Json::is_string)),
            Type::Map(_, value) => found
                .as_object()
                .is_some_and(|entries| **value == Type::Dyn || entries.values().all(Json::is_string)),
            _ => true,
        };
        if !fits {
            return Err(Failure::new(format!("`{path}` of the review is not {kind}")));
        }
        Value::from_json(found, &self.budget).map(Some)
    }

    fn namespace(&self, field: &str, kind: &Type) -> Declared {
        let namespace =
            self.subject.namespace.ok_or_else(|| Failure::new("the namespace is not known here"))?;
        match field {
            "metadata.name" => Ok(Some(Value::string(&namespace.name))),
            "metadata.labels" => Ok(Some(Value::string_map(&namespace.labels))),
            _ => self.of_document(&namespace.object, field, kind),
        }
    }

    fn reference(&self, field: &str) -> Declared {
        let usage = self.usage()?;
        let text = match field {
            "written" => usage.image.clone(),
            "use" => usage.kind.as_str().to_owned(),
            _ => {
                let reference =
                    usage.reference.as_ref().map_err(|_| Failure::new("the image is no valid reference"))?;
                match field {
                    "reference" => reference.to_string(),
                    "name" => format!("{}/{}", registry(reference), reference.path()),
                    "registry" => registry(reference),
                    "repository" => reference.path().to_owned(),
                    "tag" => reference.tag().unwrap_or_default().to_owned(),
                    "digest" => reference.digest().map(ToString::to_string).unwrap_or_default(),
                    _ => return Ok(None),
                }
            }
        };
        Ok(Some(Value::string(&text)))
    }

    fn image(&self, field: &str) -> Declared {
        let (resolved, image, _) = self.looked()?;
        let platform = image.platform.as_ref();
        let text = |text: Option<&str>| Value::string(text.unwrap_or_default());
        Ok(Some(match field {
            "resolvedDigest" => Value::string(&resolved.digest.to_string()),
            "manifestDigest" => Value::string(&image.manifest_digest.to_string()),
            "configDigest" => Value::string(&image.config_digest.to_string()),
            "mediaType" => Value::string(image.media_type.as_str()),
            "isIndex" => Value::Bool(resolved.digest != image.manifest_digest),
            "platform.os" => text(platform.map(|platform| platform.os.as_str())),
            "platform.architecture" => text(platform.map(|platform| platform.architecture.as_str())),
            "platform.variant" => text(platform.and_then(|platform| platform.variant.as_deref())),
            "platform.osVersion" => text(platform.and_then(|platform| platform.os_version.as_deref())),
            "platforms" => Value::strings(resolved.available.iter().map(ToString::to_string)),
            "annotations" => {
                let mut annotations: BTreeMap<&str, &str> = resolved.index_annotations.iter().collect();
                annotations.extend(image.annotations.iter());
                Value::string_map(annotations)
            }
            "size" => Value::Int(i64::try_from(image.compressed_size()).unwrap_or(i64::MAX)),
            "layers" => Value::List(
                image
                    .layer_sizes
                    .iter()
                    .map(|size| Value::Int(i64::try_from(*size).unwrap_or(i64::MAX)))
                    .collect(),
            ),
            "created" => return Ok(created(&image.config.created)),
            _ => return Ok(None),
        }))
    }

    fn config(&self, field: &str) -> Declared {
        let (_, image, _) = self.looked()?;
        let config = &image.config;
        let text = |text: &Option<String>| Value::string(text.as_deref().unwrap_or_default());
        Ok(Some(match field {
            "user" => Value::string(config.user.raw()),
            "exposedPorts" => Value::strings(config.exposed_ports.iter().map(|port| &port.raw)),
            "env" => Value::strings(config.env.iter()),
            "envMap" => Value::string_map(config.env_map()),
            "entrypoint" => Value::strings(&config.entrypoint),
            "cmd" => Value::strings(&config.cmd),
            "volumes" => Value::strings(&config.volumes),
            "workingDir" => Value::string(&config.working_dir),
            "labels" => Value::string_map(config.labels.iter()),
            "stopSignal" => Value::string(match &config.stop_signal {
                None => "",
                Some(Ok(signal)) => signal.raw(),
                Some(Err(invalid)) => &invalid.raw,
            }),
            "healthcheck.test" => {
                Value::strings(config.healthcheck.as_ref().map_or(&[][..], |healthcheck| &healthcheck.test))
            }
            "shell" => Value::strings(&config.shell),
            "onBuild" => Value::strings(&config.on_build),
            "architecture" => Value::string(&config.architecture),
            "os" => Value::string(&config.os),
            "variant" => text(&config.variant),
            "osVersion" => text(&config.os_version),
            "author" => text(&config.author),
            "created" => return Ok(created(&config.created)),
            _ => return Ok(None),
        }))
    }

    fn effective(&self, field: &str) -> Declared {
        let (_, _, effective) = self.looked()?;
        let user = &effective.user.value;
        Ok(Some(match field {
            "user" => Value::string(&user.raw),
            "uid" => {
                let uid = match (&user.kind, user.runs_as_root) {
                    (UserKind::Uid(uid), _) => Some(Value::Int(i64::from(*uid))),
                    (UserKind::Unset | UserKind::Name(_), RunsAsRoot::Yes) => Some(Value::Int(0)),
                    _ => None,
                };
                return Ok(uid);
            }
            "runsAsRoot" => Value::string(match user.runs_as_root {
                RunsAsRoot::Yes => "yes",
                RunsAsRoot::No => "no",
                RunsAsRoot::Unknown => "unknown",
            }),
            "runAsNonRoot" => Value::Bool(effective.run_as_non_root.unwrap_or(false)),
            "group" => return Ok(effective.group.as_ref().map(|group| Value::Int(group.value))),
            "command" => Value::strings(&*effective.command.value),
            "args" => Value::strings(&*effective.args.value),
            "env" => Value::string_map(
                effective.env.iter().map(|entry| (entry.name, entry.value.as_deref().unwrap_or_default())),
            ),
            "envFromElsewhere" => Value::strings(
                effective.env.iter().filter(|entry| entry.value.is_none()).map(|entry| entry.name),
            ),
            "workingDir" => Value::string(effective.working_dir.value),
            "stopSignal" => Value::string(match &effective.stop_signal.value {
                Ok(signal) => signal.name(),
                Err(invalid) => &invalid.raw,
            }),
            "volumes" => Value::strings(&effective.volumes),
            _ => return Ok(None),
        }))
    }
}

/// A real time only: placeholders say nothing of the age.
/// The one name of a registry that has several (case, HTTPS's own port), so that a comparison cannot be
/// walked around.
fn registry(reference: &Reference) -> String {
    let domain = reference.domain();
    domain.strip_suffix(":443").unwrap_or(domain).to_ascii_lowercase()
}

fn created(created: &Created) -> Option<Value> {
    match created {
        Created::At(time) => Some(Value::Timestamp(*time)),
        Created::Unknown | Created::Placeholder(_) | Created::Invalid(_) => None,
    }
}

fn empty(kind: &Type) -> Value {
    match kind {
        Type::String => Value::string(""),
        Type::Bool => Value::Bool(false),
        Type::List(_) => Value::List(Vec::new().into()),
        Type::Map(..) => Value::string_map(BTreeMap::<String, String>::new()),
        _ => Value::Null,
    }
}
