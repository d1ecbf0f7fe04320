//! An `AdmissionReview`'s request, read without trust.
//!
//! Bytes come in; out comes what is to be judged, or the reason why there is nothing. What surprises:
//!
//! - Only `admission.k8s.io/v1` is read. Its errors name the field, and never echo the body.
//! - On UPDATE only what is new or changed is judged (see [`changes`]).
//! - Sub-resources that cannot change an image are passed over **by name**; one that we do not know
//!   is judged if it carries a Pod, so that a new one of Kubernetes is no way round (the stance of
//!   Pod Security admission).
//! - Mirror Pods, which kubelets make for static Pods, are judged like others: refusing one does not
//!   stop the static Pod, but an annotation that switches judging off would be a way round. A policy
//!   can leave them out by `matchConditions` on `request.userInfo`.

mod changes;
mod prune;

use super::API_VERSION;
use crate::text;
use crate::workload::{Fields, InvalidWorkload, Workload};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Sub-resources that cannot change which images run, or with what: passed over.
const IGNORED_SUB_RESOURCES: [&str; 9] =
    ["attach", "binding", "eviction", "exec", "log", "portforward", "proxy", "resize", "status"];

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// Identifies the request; the response must carry it.
    pub uid: String,
    /// CREATE, UPDATE, …
    pub operation: Operation,
    /// The kind of the object: `Pod`, `Deployment`, …
    pub kind: String,
    /// The namespace, where the request has one.
    pub namespace: Option<String>,
    /// The object's name, else its `generateName`; empty where it has neither.
    pub name: String,
    /// Who asks.
    pub user: String,
    /// Whether nothing may be persisted.
    pub dry_run: bool,
    /// `ephemeralcontainers`, …; empty for the object itself.
    pub sub_resource: String,
    /// What is judged: only the uses that are new or changed. None: nothing to judge, and why.
    pub workload: Result<Workload, &'static str>,
    /// The request without `object` and `oldObject`, for CEL (see [`attributes`]).
    pub attributes: Value,
    /// `oldObject`, null when there is none.
    pub old_object: Value,
}

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `CREATE`
    Create,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `CONNECT`: exec, attach, port-forward, proxy.
    Connect,
}

/// A body that is not an admission.k8s.io/v1 `AdmissionReview` that we can answer: HTTP 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidReview(pub String);

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// [`InvalidReview`] when it is not an `AdmissionReview` with a request and a uid, or when a field
    /// that we read has the wrong type. The text is short and says where; it never echoes the body.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidReview> {
        Self::of(read_review(body)?)
    }

    /// The same, without the parts of the objects that are read by expressions alone: for policies for which
    /// [`PolicySet::reads_object`](crate::policy::PolicySet::reads_object) does not hold.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_pruned(body: &[u8]) -> Result<Self, InvalidReview> {
        Self::of(checked_review(body, prune::read)?)
    }

    fn of(mut review: Value) -> Result<Self, InvalidReview> {
        let mut request = review.get_mut("request").map(Value::take).unwrap_or_default();
        // Taken out rather than cloned: an object may be megabytes.
        let mut take = |key| request.as_object_mut().and_then(|r| r.remove(key)).unwrap_or_default();
        let (object, old_object) = (Arc::new(take("object")), Arc::new(take("oldObject")));

        let fields = Fields::new(&request, "request")?;
        let uid = fields.required_text("uid")?.to_owned();
        let operation = operation(&fields)?;
        let kind = Kind::read(&fields, if object.is_null() { &old_object } else { &object })?;
        let namespace = fields.text("namespace")?.filter(|namespace| !namespace.is_empty());
        let sub_resource = fields.text("subResource")?.unwrap_or_default();
        let workload = if let Some(reason) = passed_over(operation, sub_resource) {
            Err(reason)
        } else {
            let asked =
                Asked { operation, kind: &kind, namespace, name: fields.text("name")?.unwrap_or_default() };
            judged(&asked, &object, &old_object)?
        };
        let name = name(&fields, if object.is_null() { &old_object } else { &object })?;
        let user = fields.object("userInfo")?.text("username")?.unwrap_or_default().to_owned();
        let dry_run = fields.boolean("dryRun")?.unwrap_or(false);
        let (namespace, sub_resource) = (namespace.map(ToOwned::to_owned), sub_resource.to_owned());
        Ok(Self {
            operation,
            namespace,
            name,
            user,
            dry_run,
            sub_resource,
            uid,
            workload,
            kind: kind.kind,
            attributes: attributes(request),
            // The old workload is gone, so this is not a copy.
            old_object: Arc::unwrap_or_clone(old_object),
        })
    }
}

/// What a declared field of the request is where it is absent or null.
enum Absent {
    Text,
    List,
    False,
    Object(&'static [(&'static str, Absent)]),
}

const GROUP_VERSION_KIND: Absent =
    Absent::Object(&[("group", Absent::Text), ("version", Absent::Text), ("kind", Absent::Text)]);
const GROUP_VERSION_RESOURCE: Absent =
    Absent::Object(&[("group", Absent::Text), ("version", Absent::Text), ("resource", Absent::Text)]);

/// The fields that expressions may name.
const ATTRIBUTES: [(&str, Absent); 13] = [
    ("uid", Absent::Text),
    ("name", Absent::Text),
    ("namespace", Absent::Text),
    ("operation", Absent::Text),
    ("subResource", Absent::Text),
    ("requestSubResource", Absent::Text),
    ("kind", GROUP_VERSION_KIND),
    ("resource", GROUP_VERSION_RESOURCE),
    ("requestKind", GROUP_VERSION_KIND),
    ("requestResource", GROUP_VERSION_RESOURCE),
    (
        "userInfo",
        Absent::Object(&[
            ("username", Absent::Text),
            ("uid", Absent::Text),
            ("groups", Absent::List),
            ("extra", Absent::Object(&[])),
        ]),
    ),
    ("dryRun", Absent::False),
    ("options", Absent::Object(&[])),
];

impl Absent {
    fn value(&self) -> Value {
        match self {
            Self::Text => Value::String(String::new()),
            Self::List => Value::Array(Vec::new()),
            Self::False => Value::Bool(false),
            Self::Object(fields) => {
                let mut object = Map::new();
                complete(&mut object, fields);
                Value::Object(object)
            }
        }
    }
}

/// Nulls are absent.
fn complete(object: &mut Map<String, Value>, fields: &[(&str, Absent)]) {
    for (key, absent) in fields {
        match (object.get_mut(*key), absent) {
            (Some(Value::Object(inner)), Absent::Object(fields)) => {
                inner.retain(|_, value| !value.is_null());
                complete(inner, fields);
            }
            (Some(value), _) if !value.is_null() => {}
            _ => _ = object.insert((*key).to_owned(), absent.value()),
        }
    }
}

/// The request as CEL sees it: without its objects, and with an empty value for every declared field
/// that is absent (a missing key is an error in CEL). `null` gives the request that nobody made, for
/// front doors without an API server.
#[must_use]
pub fn attributes(request: Value) -> Value {
    let mut attributes = if let Value::Object(given) = request { given } else { Map::new() };
    attributes.retain(|key, value| !value.is_null() && !matches!(key.as_str(), "object" | "oldObject"));
    complete(&mut attributes, &ATTRIBUTES);
    Value::Object(attributes)
}

/// The request with which the API server would ask about the creation of `workload`, for front doors without one.
#[must_use]
pub fn creation(workload: &Workload) -> Value {
    let (group, version) = workload.api_version.split_once('/').unwrap_or(("", &workload.api_version));
    let kind = json!({ "group": group, "version": version, "kind": workload.kind });
    // The plural of every kind that carries Pods.
    let plural = format!("{}s", workload.kind.to_lowercase());
    let resource = json!({ "group": group, "version": version, "resource": plural });
    attributes(json!({
        "operation": "CREATE", "name": workload.name, "namespace": workload.namespace,
        "kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource,
    }))
}

impl From<InvalidWorkload> for InvalidReview {
    fn from(invalid: InvalidWorkload) -> Self {
        Self(text::clean(&invalid.to_string(), 300))
    }
}

/// A kind by its API version and name.
#[derive(Debug)]
struct Kind {
    api_version: String,
    kind: String,
}

impl Kind {
    /// `request.kind`, which the API server always sends; else what the object says of itself.
    fn read(request: &Fields<'_>, object: &Value) -> Result<Self, InvalidReview> {
        let kind = request.object("kind")?;
        if kind.value().is_null() && !object.is_null() {
            let object = Fields::new(object, "request.object")?;
            return Ok(Self {
                api_version: object.required_text("apiVersion")?.to_owned(),
                kind: object.required_text("kind")?.to_owned(),
            });
        }
        let version = kind.text("version")?.unwrap_or_default();
        let api_version = match kind.text("group")?.filter(|group| !group.is_empty()) {
            Some(group) => format!("{group}/{version}"),
            None => version.to_owned(),
        };
        Ok(Self { api_version, kind: kind.required_text("kind")?.to_owned() })
    }
}

/// What decides how the objects are read.
struct Asked<'a> {
    operation: Operation,
    kind: &'a Kind,
    namespace: Option<&'a str>,
    name: &'a str,
}

pub(super) fn read_review(body: &[u8]) -> Result<Value, InvalidReview> {
    checked_review(body, |body| serde_json::from_slice(body))
}

fn checked_review(
    body: &[u8],
    read: impl Fn(&[u8]) -> serde_json::Result<Value>,
) -> Result<Value, InvalidReview> {
    if body.is_empty() {
        return Err(InvalidReview(format!(
            "the body is empty; expected an AdmissionReview of {API_VERSION}"
        )));
    }
    // serde_json bounds the depth, and its syntax errors give the position without the text.
    let review =
        read(body).map_err(|invalid| InvalidReview(format!("the body is not valid JSON: {invalid}")))?;
    let fields = Fields::new(&review, "")?;
    let (api_version, kind) = (fields.required_text("apiVersion")?, fields.required_text("kind")?);
    if kind != "AdmissionReview" {
        let found = text::clean(kind, 60);
        return Err(InvalidReview(format!("kind: expected AdmissionReview, found {found:?}")));
    }
    if api_version != API_VERSION {
        let found = text::clean(api_version, 60);
        return Err(InvalidReview(format!(
            "apiVersion: {found:?} is not supported, only {API_VERSION}; \
             set admissionReviewVersions: [v1] in the webhook's configuration"
        )));
    }
    if fields.object("request")?.value().is_null() {
        return Err(InvalidReview("request: missing".to_owned()));
    }
    Ok(review)
}

fn operation(request: &Fields<'_>) -> Result<Operation, InvalidReview> {
    match request.required_text("operation")? {
        "CREATE" => Ok(Operation::Create),
        "UPDATE" => Ok(Operation::Update),
        "DELETE" => Ok(Operation::Delete),
        "CONNECT" => Ok(Operation::Connect),
        _ => Err(InvalidReview("request.operation: expected CREATE, UPDATE, DELETE or CONNECT".to_owned())),
    }
}

fn passed_over(operation: Operation, sub_resource: &str) -> Option<&'static str> {
    match operation {
        Operation::Delete => Some("a deletion adds no image"),
        Operation::Connect => Some("a connection adds no image"),
        Operation::Create | Operation::Update => IGNORED_SUB_RESOURCES
            .contains(&sub_resource)
            .then_some("this sub-resource cannot change an image"),
    }
}

fn judged(
    asked: &Asked<'_>,
    object: &Arc<Value>,
    old_object: &Arc<Value>,
) -> Result<Result<Workload, &'static str>, InvalidReview> {
    let Some(mut workload) = read(asked.kind, object, "request.object")? else {
        return Ok(Err("this kind carries no Pod"));
    };
    if workload.namespace.is_none() {
        workload.namespace = asked.namespace.map(ToOwned::to_owned);
    }
    if workload.name.is_empty() {
        asked.name.clone_into(&mut workload.name);
    }
    if asked.operation != Operation::Update {
        return Ok(if workload.uses.is_empty() { Err("it names no image") } else { Ok(workload) });
    }
    if object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
        return Ok(Err("the object is being deleted"));
    }
    if !old_object.is_null() {
        let old = read(asked.kind, old_object, "request.oldObject")?;
        if let Some(old) = old {
            changes::keep_changed(&mut workload, &old);
        }
    }
    Ok(if workload.uses.is_empty() { Err("no image was added or changed") } else { Ok(workload) })
}

/// None: a kind that carries no Pod. The object of a kind that carries one must be there.
fn read(kind: &Kind, object: &Arc<Value>, path: &str) -> Result<Option<Workload>, InvalidReview> {
    if !Workload::is_carrier(&kind.api_version, &kind.kind) {
        return Ok(None);
    }
    if object.is_null() {
        return Err(InvalidReview(format!("{path}: missing")));
    }
    Workload::of_kind(&kind.api_version, &kind.kind, object).map_err(
        |InvalidWorkload { path: field, why }| {
            InvalidWorkload { path: format!("{path}.{field}"), why }.into()
        },
    )
}

/// The request's name is empty for `generateName` until the object is stored.
fn name(request: &Fields<'_>, object: &Value) -> Result<String, InvalidReview> {
    let of_object = |key| object.pointer(key).and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = request.text("name")?.filter(|name| !name.is_empty());
    let name = name.or_else(|| of_object("/metadata/name")).or_else(|| of_object("/metadata/generateName"));
    Ok(name.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests;
