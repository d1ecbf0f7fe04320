//! Every declared variable, and what the peers' samples ask of images.

use super::{World, compiled, digest};
use crate::{
    image::{
        AuthKind, Created, Freshness, Healthcheck, ImageConfig, MediaType, Platform, PlatformImage,
        ResolvedImage, RunsAsRoot, StopSignal, TextMap, User, UserKind,
    },
    policy::cel::{
        Evaluation, Expression, Scope, Wanted, declarations::DECLARED, reference_markdown, types::Type,
    },
    workload::{Effective, EffectiveContainer, EffectiveUser, EnvValue, Origin},
};
use std::sync::Arc;

const RAW: &str = r#"{
    "created": "2026-10-01T00:00:00Z",
    "moby.buildkit.buildinfo.v1": "eyJzb3VyY2VzIjpbeyJ0eXBlIjoiZG9ja2VyLWltYWdlIiwicmVmIjoiZG9ja2VyLmlvL2xpYnJhcnkvZGViaWFuOjEyIn1dfQ=="
}"#;

struct Looked {
    world: World,
    resolved: ResolvedImage,
    image: PlatformImage,
    effective: EffectiveContainer<'static>,
}

impl Looked {
    fn new() -> Self {
        let mut world = World::new();
        world.usage.image = "localhost:5000/team/app:1.2".into();
        world.usage.reference = world.usage.image.parse();
        let platform = Platform::new("linux", "arm", Some("v7"), None);
        let map = |entries: &[(&str, &str)]| entries.iter().copied().collect::<TextMap>();
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        let config = ImageConfig {
            os: "linux".into(),
            architecture: "arm".into(),
            variant: Some("v7".into()),
            author: Some("ada".into()),
            created: Created::At("2026-10-01T00:00:00Z".parse().unwrap()),
            user: User::new("app:app"),
            exposed_ports: vec![crate::image::ExposedPort { raw: "8080/tcp".into(), range: None }],
            env: ["PATH=/bin", "NVIDIA_VISIBLE_DEVICES=all"].into_iter().collect(),
            entrypoint: list(&["/app"]),
            cmd: list(&["serve"]),
            volumes: ["/data".to_owned()].into(),
            working_dir: "/srv".into(),
            labels: map(&[
                ("team", "blue"),
                (
                    "io.buildpacks.lifecycle.metadata",
                    r#"{"runImage": {"reference": "docker.io/paketo/run"}}"#,
                ),
            ]),
            stop_signal: Some(StopSignal::parse("TERM")),
            healthcheck: Some(Healthcheck { test: list(&["CMD", "true"]) }),
            shell: list(&["/bin/sh"]),
            on_build: list(&["RUN x"]),
            ..ImageConfig::default()
        };
        let image = PlatformImage {
            platform: Some(platform.clone()),
            manifest_digest: digest("b"),
            media_type: MediaType::OciManifest,
            annotations: map(&[("org.opencontainers.image.base.name", "debian"), ("both", "manifest")]),
            layer_sizes: vec![1000, 500],
            config_digest: digest("c"),
            config,
            raw_config: Some(RAW.as_bytes().into()),
        };
        let resolved = ResolvedImage {
            reference: world.usage.image.parse().unwrap(),
            digest: digest("a"),
            media_type: MediaType::OciIndex,
            index_annotations: map(&[("both", "index"), ("index", "yes")]),
            available: vec![Platform::new("linux", "amd64", None, None), platform],
            platforms: vec![Arc::new(image.clone())],
            freshness: Freshness::Fetched,
            auth: AuthKind::Anonymous,
        };
        let from_image = |value: Vec<String>| Effective { value: value.into(), origin: Origin::Image };
        let user =
            EffectiveUser { raw: "1000".into(), kind: UserKind::Uid(1000), runs_as_root: RunsAsRoot::No };
        let env = |name: &'static str, value: Option<&'static str>| EnvValue {
            name,
            value: value.map(Into::into),
            origin: Origin::Container,
        };
        let effective = EffectiveContainer {
            user: Effective { value: user, origin: Origin::Pod },
            group: None,
            run_as_non_root: Some(true),
            command: from_image(list(&["/app"])),
            args: from_image(list(&["serve"])),
            env: vec![env("PATH", Some("/bin")), env("TOKEN", None)],
            working_dir: Effective { value: "/srv", origin: Origin::Image },
            stop_signal: Effective { value: StopSignal::parse("TERM"), origin: Origin::Image },
            volumes: ["/data"].into(),
        };
        Self { world, resolved, image, effective }
    }

    fn bool(&self, variables: &[(&str, &str)], source: &str) -> Result<bool, String> {
        let (variables, expression) = compiled(variables, source, Wanted::Bool)?;
        let subject = self.world.subject();
        let looked = Some((&self.resolved, &self.image, &self.effective));
        Evaluation::validations(&subject, &self.world.usage, looked, &variables).bool(&expression)
    }
}

#[test]
fn every_declared_variable_has_a_value_of_its_type() {
    let looked = Looked::new();
    for declared in DECLARED {
        let path = declared.path;
        let expression =
            Expression::compile(path, &Scope::validations().with_params(true), Wanted::Any).unwrap();
        let subject = looked.world.subject();
        let image = Some((&looked.resolved, &looked.image, &looked.effective));
        let value = Evaluation::validations(&subject, &looked.world.usage, image, &[]).value(&expression);
        match (path, value) {
            // A group that is not set is absent, and says so.
            ("effective.group", Err(why)) => {
                assert!(why.starts_with("effective.group is absent: no group is set"));
            }
            (_, Ok(value)) => {
                let kind = declared.kind();
                let fits = kind == Type::Dyn || kind.to_string().split('<').next() == Some(value.type_name());
                assert!(fits, "{path} is {value:?}, not {kind}");
            }
            (_, Err(why)) => panic!("{path}: {why}"),
        }
        if path.contains('.') {
            assert!(looked.bool(&[], &format!("has({path}) || !has({path})")) == Ok(true), "has({path})");
        }
        assert!(reference_markdown().contains(&format!("| `{path}` |")), "{path} is in the reference");
    }
}

#[test]
fn declared_values() {
    let looked = Looked::new();
    for source in [
        "object.kind == 'Pod' && has(object.spec.containers) && !has(object.spec.nodeName)",
        "object.spec.?nodeName.orValue('none') == 'none' && object.?a.?b.c.orValue(1) == 1",
        "object.spec.hostNetwork == null && object.spec.?hostNetwork.?x.orValue(1) == 1",
        "object.spec.containers.all(c, c.name.startsWith('app')) && object.spec.containers[0].image == 'nginx'",
        "oldObject == null",
        "now == timestamp('2026-11-01T00:00:00Z')",
        "request.operation == 'CREATE' && request.kind.kind == 'Pod' && 'dev' in request.userInfo.groups",
        "request.subResource == '' && !request.dryRun && request.userInfo.extra == {} && !has(request.subResource)",
        "request.options.fieldManager == 'kubectl'",
        "namespaceObject.metadata.name == 'shop' && namespaceObject.metadata.labels['team'] == 'blue'",
        "namespaceObject != null && namespaceObject.metadata.annotations == {} && namespaceObject.status.phase == ''",
        "container.name == 'app' && container.resources.limits['nvidia.com/gpu'] == '1'",
        "image.written == image.reference && image.reference == 'localhost:5000/team/app:1.2'",
        "image.registry == 'localhost:5000' && image.repository == 'team/app' && image.name == 'localhost:5000/team/app'",
        "image.tag == '1.2' && image.digest == '' && !has(image.digest) && image.use == 'Container'",
        "image.resolvedDigest.startsWith('sha256:a') && image.manifestDigest.startsWith('sha256:b') && image.configDigest.startsWith('sha256:c')",
        "image.isIndex && image.mediaType == 'application/vnd.oci.image.manifest.v1+json'",
        "image.platform.os == 'linux' && image.platform.architecture == 'arm' && image.platform.variant == 'v7' && image.platform.osVersion == ''",
        "image.platforms == ['linux/amd64', 'linux/arm/v7']",
        "image.annotations == {'org.opencontainers.image.base.name': 'debian', 'both': 'manifest', 'index': 'yes'}",
        "image.size == 1500 && image.layers == [1000, 500] && image.layers.sum() == image.size",
        "image.created == config.created && now - image.created == duration('744h')",
        "image.document.created == '2026-10-01T00:00:00Z' && !has(image.document.os)",
        "config.user == 'app:app' && config['user'] == config.user && config.?user.hasValue()",
        "config.exposedPorts == ['8080/tcp'] && config.env[0] == 'PATH=/bin' && config.envMap.PATH == '/bin'",
        "config.entrypoint == ['/app'] && config.cmd == ['serve'] && config.volumes == ['/data'] && config.workingDir == '/srv'",
        "config.labels[?'team'].orValue('') == 'blue' && config.labels[?'none'].orValue('') == '' && config.labels.team == 'blue'",
        "config.stopSignal == 'TERM' && effective.stopSignal == 'SIGTERM'",
        "config.healthcheck.test == ['CMD', 'true'] && config.shell == ['/bin/sh'] && config.onBuild == ['RUN x']",
        "config.os == 'linux' && config.architecture == 'arm' && config.variant == 'v7' && config.osVersion == '' && config.author == 'ada'",
        "effective.user == '1000' && effective.uid == 1000 && effective.runsAsRoot == 'no' && effective.runAsNonRoot",
        "!has(effective.group) && !effective.?group.hasValue() && has(effective.uid)",
        "effective.command == ['/app'] && effective.args == ['serve'] && effective.workingDir == '/srv' && effective.volumes == ['/data']",
        "effective.env == {'PATH': '/bin', 'TOKEN': ''} && effective.envFromElsewhere == ['TOKEN']",
    ] {
        assert_eq!(looked.bool(&[], source), Ok(true), "{source}");
    }
}

#[test]
fn what_the_image_does_not_say_satisfies_nothing() {
    let mut looked = Looked::new();
    let placeholder = "1970-01-01T00:00:00Z".parse().unwrap();
    looked.effective.user.value = EffectiveUser {
        raw: "app".into(),
        kind: UserKind::Name("app".into()),
        runs_as_root: RunsAsRoot::Unknown,
    };
    for created in [Created::Unknown, Created::Placeholder(placeholder), Created::Invalid("soon".into())] {
        looked.image.config.created = created.clone();
        let why = looked.bool(&[], "now - image.created < duration('2160h')").unwrap_err();
        assert_eq!(
            why,
            "image.created is absent: the image does not say when it was made; ask has(image.created) first",
            "{created:?}"
        );
        assert_eq!(looked.bool(&[], "has(image.created)"), Ok(false), "{created:?}");
        assert_eq!(looked.bool(&[], "!image.?created.hasValue()"), Ok(true), "{created:?}");
    }
    for source in ["effective.uid == 0", "effective.uid != 0", "effective.uid > 0"] {
        let why = looked.bool(&[], source).unwrap_err();
        assert_eq!(why, "effective.uid is absent: the uid is not known; ask has(effective.uid) first");
    }
    assert_eq!(looked.bool(&[], "effective.runsAsRoot == 'unknown'"), Ok(true));
    looked.image.raw_config = Some(b"{".as_slice().into());
    assert_eq!(looked.bool(&[], "has(image.document.x)"), Err("the image's config is no JSON".into()));
    looked.image.raw_config = None;
    assert_eq!(
        looked.bool(&[], "has(image.document.x)"),
        Err("the image's whole config was not kept".into())
    );
    looked.world.usage.reference = "UPPER".parse();
    assert_eq!(looked.bool(&[], "image.tag == ''"), Err("the image is no valid reference".into()));
    assert_eq!(looked.bool(&[], "image.written != ''"), Ok(true));
}

#[test]
fn uid_of_root_is_known_by_name() {
    let mut looked = Looked::new();
    for (raw, kind) in [("", UserKind::Unset), ("root", UserKind::Name("root".into()))] {
        looked.effective.user.value = EffectiveUser { raw: raw.into(), kind, runs_as_root: RunsAsRoot::Yes };
        assert_eq!(
            looked.bool(&[], "effective.uid == 0 && effective.runsAsRoot == 'yes'"),
            Ok(true),
            "{raw:?}"
        );
        // Zero is a value: `has` asks whether it is known.
        assert_eq!(looked.bool(&[], "has(effective.uid)"), Ok(true), "{raw:?}");
    }
}

#[test]
fn a_namespace_that_is_not_known_is_null() {
    let looked = Looked::new();
    let (_, expression) = compiled(&[], "namespaceObject == null", Wanted::Bool).unwrap();
    let (_, reading) = compiled(&[], "namespaceObject.metadata.name == ''", Wanted::Bool).unwrap();
    let mut subject = looked.world.subject();
    subject.namespace = None;
    let evaluation = Evaluation::conditions(&subject);
    assert_eq!(evaluation.bool(&expression), Ok(true));
    assert_eq!(evaluation.bool(&reading), Err("the namespace is not known here".to_owned()));
}

/// `reference/peers.md`, section d.
#[test]
fn the_peers_samples_can_be_said() {
    let looked = Looked::new();
    let base = [
        (
            "buildinfo",
            "image.document[?'moby.buildkit.buildinfo.v1'].optMap(info, json.parse(string(base64.decode(info)))).orValue({})",
        ),
        (
            "sources",
            "variables.buildinfo.?sources.orValue([]).filter(s, s.type == 'docker-image').map(s, string(s.ref))",
        ),
        (
            "buildpacks",
            "config.labels[?'io.buildpacks.lifecycle.metadata'].optMap(text, json.parse(text)).orValue({}).?runImage.?reference.orValue('')",
        ),
    ];
    for (name, variables, source) in [
        ("root and registry", &[][..], "!(effective.runsAsRoot != 'no' && image.registry != 'ghcr.io')"),
        (
            "image source",
            &[],
            "!(has(config.labels) && 'org.opencontainers.image.source' in config.labels) && !('org.opencontainers.image.source' in image.annotations)",
        ),
        ("base by buildinfo", &base, "variables.sources == ['docker.io/library/debian:12']"),
        ("base by buildpacks", &base, "variables.buildpacks == 'docker.io/paketo/run'"),
        (
            "base by annotation",
            &[],
            "image.annotations[?'org.opencontainers.image.base.name'].orValue('') in ['debian', 'alpine']",
        ),
        ("volumes", &[], "!(config.volumes.size() == 0)"),
        ("size", &[], "image.layers.sum() <= quantity('2Gi').asInteger()"),
        ("age", &[], "has(image.created) && now - image.created < duration('4380h')"),
        (
            "GPU",
            &[],
            "!has(container.resources.limits) || !('nvidia.com/gpu' in container.resources.limits) || config.env.exists(e, e.startsWith('NVIDIA_VISIBLE_DEVICES='))",
        ),
        ("architecture", &[], "config.architecture == 'arm'"),
        ("manifest list", &[], "image.isIndex && image.platforms.size() > 1"),
        ("log4j", &[], "!('LOG4J_FORMAT_MSG_NO_LOOKUPS' in effective.env)"),
        (
            "the design's",
            &[("team", "config.labels[?'team'].orValue('')")],
            "variables.team == namespaceObject.metadata.labels['team']",
        ),
    ] {
        assert_eq!(looked.bool(variables, source), Ok(true), "{name}: {source}");
    }
}
