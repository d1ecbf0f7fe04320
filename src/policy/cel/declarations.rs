//! Every variable and field that expressions may read: one table, from which names are checked,
//! values are built and the reference page is written.

use super::types::Type;
use std::fmt::Write as _;

/// One thing that can be read.
#[derive(Debug)]
pub(super) struct Declared {
    /// The path as expressions write it.
    pub(super) path: &'static str,
    /// Its type, in the notation of [`Type::read`].
    kind: &'static str,
    /// What it is.
    about: &'static str,
    /// What reading it needs.
    pub(super) source: Source,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The object under review, or the one it replaces.
    Object,
    /// The request, the namespace, the clock, the container as written.
    Review,
    /// The text of the reference: no registry is asked.
    Reference,
    /// The image: it must be looked at.
    Image,
}

const fn declared(path: &'static str, kind: &'static str, source: Source, about: &'static str) -> Declared {
    Declared { path, kind, about, source }
}

use Source::{Image, Object, Reference, Review};

/// The table. A path whose parent is not in it makes the parent an object with fields.
pub(super) const DECLARED: &[Declared] = &[
    declared("object", "dyn", Object, "The object under review, as it was sent."),
    declared(
        "oldObject",
        "dyn",
        Object,
        "The object that it replaces; null unless the operation is UPDATE or DELETE.",
    ),
    declared(
        "params",
        "dyn",
        Review,
        "The object that `paramRef` names; only where the policy has a `paramKind`.",
    ),
    declared("now", "timestamp", Review, "When the review began."),
    declared("request.uid", "string", Review, "The request's UID."),
    declared("request.kind.group", "string", Review, "The object's API group; empty for the core group."),
    declared("request.kind.version", "string", Review, "The object's API version."),
    declared("request.kind.kind", "string", Review, "The object's kind."),
    declared("request.resource.group", "string", Review, "The resource's API group."),
    declared("request.resource.version", "string", Review, "The resource's API version."),
    declared("request.resource.resource", "string", Review, "The resource: `pods`."),
    declared(
        "request.subResource",
        "string",
        Review,
        "`ephemeralcontainers`, …; empty for the object itself.",
    ),
    declared("request.requestKind.group", "string", Review, "The group of the original request."),
    declared("request.requestKind.version", "string", Review, "The version of the original request."),
    declared("request.requestKind.kind", "string", Review, "The kind of the original request."),
    declared(
        "request.requestResource.group",
        "string",
        Review,
        "The group of the original request's resource.",
    ),
    declared(
        "request.requestResource.version",
        "string",
        Review,
        "The version of the original request's resource.",
    ),
    declared("request.requestResource.resource", "string", Review, "The resource of the original request."),
    declared("request.requestSubResource", "string", Review, "The subresource of the original request."),
    declared(
        "request.name",
        "string",
        Review,
        "The object's name; empty where the API server has yet to make one.",
    ),
    declared("request.namespace", "string", Review, "The namespace; empty for cluster-wide objects."),
    declared("request.operation", "string", Review, "`CREATE`, `UPDATE`, …"),
    declared("request.userInfo.username", "string", Review, "Who asks."),
    declared("request.userInfo.uid", "string", Review, "The asker's UID."),
    declared("request.userInfo.groups", "list<string>", Review, "The asker's groups."),
    declared("request.userInfo.extra", "map<string, dyn>", Review, "What the authenticator adds."),
    declared("request.dryRun", "bool", Review, "Whether nothing will be persisted."),
    declared("request.options", "dyn", Review, "The operation's options."),
    declared("namespaceObject.metadata.name", "string", Review, "The namespace's name."),
    declared("namespaceObject.metadata.labels", "map<string, string>", Review, "The namespace's labels."),
    declared(
        "namespaceObject.metadata.annotations",
        "map<string, string>",
        Review,
        "The namespace's annotations.",
    ),
    declared("namespaceObject.metadata.uid", "string", Review, "The namespace's UID."),
    declared("namespaceObject.metadata.finalizers", "list<string>", Review, "The namespace's finalizers."),
    declared("namespaceObject.spec.finalizers", "list<string>", Review, "The namespace's own finalizers."),
    declared("namespaceObject.status.phase", "string", Review, "`Active` or `Terminating`."),
    declared("container", "dyn", Review, "The container as written; for an image volume, the volume."),
    declared("image.written", "string", Reference, "The image as the Pod writes it."),
    declared(
        "image.reference",
        "string",
        Reference,
        "The image as the kubelet reads it: `docker.io/library/nginx:1.27`.",
    ),
    declared("image.name", "string", Reference, "Registry and repository: `docker.io/library/nginx`."),
    declared(
        "image.registry",
        "string",
        Reference,
        "The registry, in lower case, with its port unless it is 443: `docker.io`, `localhost:5000`.",
    ),
    declared("image.repository", "string", Reference, "The repository: `library/nginx`."),
    declared("image.tag", "string", Reference, "The tag; empty where there is only a digest."),
    declared(
        "image.digest",
        "string",
        Reference,
        "The digest that the reference is pinned to; empty where it is not.",
    ),
    declared(
        "image.use",
        "string",
        Reference,
        "`Container`, `InitContainer`, `EphemeralContainer` or `ImageVolume`.",
    ),
    declared(
        "image.resolvedDigest",
        "string",
        Image,
        "The digest that the reference resolved to: the index's, or the manifest's.",
    ),
    declared("image.manifestDigest", "string", Image, "The digest of this platform's manifest."),
    declared("image.configDigest", "string", Image, "The digest of this platform's config."),
    declared("image.mediaType", "string", Image, "The media type of this platform's manifest."),
    declared("image.isIndex", "bool", Image, "Whether the reference resolved to an index (a manifest list)."),
    declared("image.platform.os", "string", Image, "This platform's operating system."),
    declared(
        "image.platform.architecture",
        "string",
        Image,
        "This platform's architecture, as Go names it: `amd64`.",
    ),
    declared(
        "image.platform.variant",
        "string",
        Image,
        "This platform's variant: `v7`; empty where there is none.",
    ),
    declared("image.platform.osVersion", "string", Image, "This platform's Windows build; empty elsewhere."),
    declared(
        "image.platforms",
        "list<string>",
        Image,
        "Every runnable platform of the image, judged or not: `linux/arm64`.",
    ),
    declared(
        "image.annotations",
        "map<string, string>",
        Image,
        "The manifest's annotations, laid over the index's.",
    ),
    declared("image.size", "int", Image, "The compressed size of all layers in bytes."),
    declared("image.layers", "list<int>", Image, "The compressed size of each layer in bytes, base first."),
    declared(
        "image.created",
        "timestamp",
        Image,
        "When the image was made. Absent where the config does not say, or says what reproducible builds write (year 1, 1970, 1980): reading it then is an error, `has(image.created)` is false.",
    ),
    declared(
        "image.document",
        "dyn",
        Image,
        "The config document as it is, for keys that have no field here: `image.document[?'moby.buildkit.buildinfo.v1']`.",
    ),
    declared("config.user", "string", Image, "`User` as written: `1000:1000`, `app`; empty is root."),
    declared("config.exposedPorts", "list<string>", Image, "`ExposedPorts`: `8080/tcp`."),
    declared("config.env", "list<string>", Image, "`Env` as written: `PATH=/bin`."),
    declared("config.envMap", "map<string, string>", Image, "`Env` by name; of duplicates the last."),
    declared("config.entrypoint", "list<string>", Image, "`Entrypoint`."),
    declared("config.cmd", "list<string>", Image, "`Cmd`."),
    declared("config.volumes", "list<string>", Image, "`Volumes`: the paths."),
    declared("config.workingDir", "string", Image, "`WorkingDir`."),
    declared("config.labels", "map<string, string>", Image, "`Labels`."),
    declared("config.stopSignal", "string", Image, "`StopSignal` as written."),
    declared(
        "config.healthcheck.test",
        "list<string>",
        Image,
        "`Healthcheck.Test` (Docker's; Kubernetes never runs it).",
    ),
    declared("config.shell", "list<string>", Image, "`Shell` (Docker's)."),
    declared("config.onBuild", "list<string>", Image, "`OnBuild` (Docker's)."),
    declared("config.architecture", "string", Image, "`architecture`."),
    declared("config.os", "string", Image, "`os`."),
    declared("config.variant", "string", Image, "`variant`."),
    declared("config.osVersion", "string", Image, "`os.version`."),
    declared("config.author", "string", Image, "`author`."),
    declared("config.created", "timestamp", Image, "The same as `image.created`."),
    declared(
        "effective.user",
        "string",
        Image,
        "Who the container runs as, as it is written where it comes from: container, Pod, image.",
    ),
    declared(
        "effective.uid",
        "int",
        Image,
        "The uid, where it is a number or `root`. Absent for other names: reading it then is an error, `has(effective.uid)` is false.",
    ),
    declared(
        "effective.runsAsRoot",
        "string",
        Image,
        "`yes`, `no`, or `unknown` where only the image's layers could tell.",
    ),
    declared("effective.runAsNonRoot", "bool", Image, "`runAsNonRoot`, of the container, else of the Pod."),
    declared(
        "effective.group",
        "int",
        Image,
        "`runAsGroup`. Absent where nobody says; the image's group is ignored by Kubernetes.",
    ),
    declared("effective.command", "list<string>", Image, "`command`, else the image's Entrypoint."),
    declared(
        "effective.args",
        "list<string>",
        Image,
        "`args`, else the image's Cmd unless `command` is given.",
    ),
    declared(
        "effective.env",
        "map<string, string>",
        Image,
        "The image's variables overridden by the container's; empty for a value that comes from a Secret, a ConfigMap or a field.",
    ),
    declared(
        "effective.envFromElsewhere",
        "list<string>",
        Image,
        "The names of the variables whose value comes from elsewhere.",
    ),
    declared("effective.workingDir", "string", Image, "The working directory."),
    declared(
        "effective.stopSignal",
        "string",
        Image,
        "The stop signal by its canonical name; as written where no runtime knows it.",
    ),
    declared(
        "effective.volumes",
        "list<string>",
        Image,
        "The image's volumes that no mount of the container covers.",
    ),
];

impl Declared {
    /// The type.
    pub(super) fn kind(&self) -> Type {
        Type::read(self.kind).map_or(Type::Dyn, |(kind, _)| kind)
    }
}

/// What a path names.
pub(super) enum Named {
    /// A value: its position in the table.
    Value(usize),
    /// A variable or field that has fields itself.
    Object,
}

/// What `path` names, if anything.
pub(super) fn find(path: &str) -> Option<Named> {
    if let Some(found) = DECLARED.iter().position(|declared| declared.path == path) {
        return Some(Named::Value(found));
    }
    let is_object = DECLARED.iter().any(|declared| is_below(declared.path, path));
    is_object.then_some(Named::Object)
}

/// The names directly below `path`, or the variables for the empty path.
pub(super) fn names_below(path: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = DECLARED
        .iter()
        .filter(|declared| path.is_empty() || is_below(declared.path, path))
        .map(|declared| {
            let rest = if path.is_empty() { declared.path } else { &declared.path[path.len() + 1..] };
            rest.split('.').next().unwrap_or(rest)
        })
        .collect();
    names.dedup();
    names
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'))
}

/// The table as Markdown.
pub(super) fn markdown() -> String {
    let mut page = String::from("| Variable | Type | What it is | Needs the image |\n|--|--|--|--|\n");
    for declared in DECLARED {
        let needs = if declared.source == Source::Image { "yes" } else { "" };
        // Writing to a string cannot fail.
        let _ =
            writeln!(page, "| `{}` | `{}` | {} | {needs} |", declared.path, declared.kind, declared.about);
    }
    page
}
