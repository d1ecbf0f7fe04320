use super::*;
use crate::{
    image::{MediaType, Platform, User},
    workload::UseKind,
};
use serde_json::json;

/// Lays a container and a Pod's spec over a config, all as JSON; what it borrows stays until the tests end.
fn lay(
    pod: &serde_json::Value,
    container: &serde_json::Value,
    config: ImageConfig,
) -> EffectiveContainer<'static> {
    let (mut pod, mut container) = (pod.clone(), container.clone());
    container["name"] = json!("app");
    container["image"] = json!("nginx");
    pod["containers"] = json!([container]);
    let workload = Workload::from_object(&json!({ "apiVersion": "v1", "kind": "Pod", "spec": pod }));
    let workload = workload.unwrap().unwrap();
    let (workload, image) = (Box::leak(Box::new(workload)), Box::leak(Box::new(image(config))));
    EffectiveContainer::of(workload, &workload.uses[0], image)
}

fn image(config: ImageConfig) -> PlatformImage {
    let digest: crate::image::Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    PlatformImage {
        platform: None,
        manifest_digest: digest.clone(),
        media_type: MediaType::OciManifest,
        annotations: crate::image::TextMap::default(),
        layer_sizes: Vec::new(),
        config_digest: digest,
        config,
        raw_config: None,
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn user_of(os: &str, user: &str) -> ImageConfig {
    ImageConfig { os: os.to_owned(), user: User::new(user), ..ImageConfig::default() }
}

#[test]
fn user_on_linux() {
    use Origin::{Container, Default, Image, Pod};
    use RunsAsRoot::{No, Unknown, Yes};
    let name = |name: &str| UserKind::Name(name.to_owned());
    for (case, pod, container, image, expected) in [
        ("nobody says", json!({}), json!({}), "", ("", UserKind::Unset, Yes, Default)),
        ("image, a uid", json!({}), json!({}), "1000:2000", ("1000:2000", UserKind::Uid(1000), No, Image)),
        ("image, zeros", json!({}), json!({}), "00", ("00", UserKind::Uid(0), Yes, Image)),
        ("image, root", json!({}), json!({}), "root", ("root", name("root"), Yes, Image)),
        ("image, a name", json!({}), json!({}), "nginx", ("nginx", name("nginx"), Unknown, Image)),
        ("image, a group only", json!({}), json!({}), ":1000", (":1000", UserKind::Unset, Yes, Image)),
        (
            "image, out of range",
            json!({}),
            json!({}),
            "4294967296",
            ("4294967296", UserKind::OutOfRange, Yes, Image),
        ),
        ("Pod over image", json!({ "runAsUser": 5 }), json!({}), "0", ("5", UserKind::Uid(5), No, Pod)),
        ("Pod says root", json!({ "runAsUser": 0 }), json!({}), "1000", ("0", UserKind::Uid(0), Yes, Pod)),
        (
            "container over Pod",
            json!({ "runAsUser": 5 }),
            json!({ "runAsUser": 0 }),
            "1000",
            ("0", UserKind::Uid(0), Yes, Container),
        ),
        (
            "a uid beyond all",
            json!({}),
            json!({ "runAsUser": 2_147_483_648_i64 }),
            "1000",
            ("2147483648", UserKind::OutOfRange, Yes, Container),
        ),
        (
            "a negative uid",
            json!({}),
            json!({ "runAsUser": -1 }),
            "",
            ("-1", UserKind::OutOfRange, Yes, Container),
        ),
        (
            "a Windows name is passed over",
            json!({}),
            json!({ "windowsOptions": { "runAsUserName": "ContainerUser" } }),
            "0",
            ("0", UserKind::Uid(0), Yes, Image),
        ),
    ] {
        let container = json!({ "securityContext": container });
        let found = lay(&json!({ "securityContext": pod }), &container, user_of("linux", image)).user;
        let (raw, kind, runs_as_root, origin) = expected;
        let expected = Effective { value: EffectiveUser { raw: raw.to_owned(), kind, runs_as_root }, origin };
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn user_on_windows() {
    use Origin::{Container, Default, Image, Pod};
    use RunsAsRoot::{No, Unknown, Yes};
    let named = |name: &str| json!({ "windowsOptions": { "runAsUserName": name } });
    for (case, pod, container, image, expected) in [
        ("nobody says", json!({}), json!({}), "", ("", Yes, Default)),
        ("image", json!({}), json!({}), "ContainerUser", ("ContainerUser", No, Image)),
        ("image, an account of its own", json!({}), json!({}), "app", ("app", Unknown, Image)),
        (
            "Pod over image",
            named("ContainerUser"),
            json!({}),
            "ContainerAdministrator",
            ("ContainerUser", No, Pod),
        ),
        (
            "container over Pod",
            named("ContainerUser"),
            named("ContainerAdministrator"),
            "",
            ("ContainerAdministrator", Yes, Container),
        ),
        (
            "another case",
            json!({}),
            named("containeradministrator"),
            "",
            ("containeradministrator", Yes, Container),
        ),
        (
            "with its domain",
            json!({}),
            named("User Manager\\ContainerAdministrator"),
            "",
            ("User Manager\\ContainerAdministrator", Yes, Container),
        ),
        (
            "host process",
            json!({}),
            named("NT AUTHORITY\\SYSTEM"),
            "",
            ("NT AUTHORITY\\SYSTEM", Yes, Container),
        ),
        ("runAsUser is passed over", json!({ "runAsUser": 1000 }), json!({}), "", ("", Yes, Default)),
    ] {
        let container = json!({ "securityContext": container });
        let found = lay(&json!({ "securityContext": pod }), &container, user_of("windows", image)).user;
        assert_eq!((found.value.raw.as_str(), found.value.runs_as_root, found.origin), expected, "{case}");
    }
}

#[test]
fn the_pod_says_which_os_it_is_else_the_index_else_the_config() {
    let windows = Platform { os: "windows".to_owned(), ..linux() };
    for (case, os, platform, config_os, is) in [
        ("config", None, None, "windows", true),
        ("the index knows better", None, Some(linux()), "windows", false),
        ("index", None, Some(windows), "", true),
        ("Pod", Some("windows"), Some(linux()), "linux", true),
        ("nobody", None, None, "", false),
    ] {
        let spec = json!({ "os": { "name": os }, "containers": [{ "name": "a", "image": "a" }] });
        let workload = Workload::from_object(&json!({ "apiVersion": "v1", "kind": "Pod", "spec": spec }));
        let workload = workload.unwrap().unwrap();
        let image = PlatformImage { platform, ..image(user_of(config_os, "")) };
        assert_eq!(is_windows(workload.os.as_deref(), &image), is, "{case}");
    }
}

fn linux() -> Platform {
    Platform { os: "linux".to_owned(), architecture: "amd64".to_owned(), ..Platform::default() }
}

#[test]
fn group_and_non_root_come_from_the_spec_alone() {
    let both = lay(
        &json!({ "securityContext": { "runAsGroup": 5, "runAsNonRoot": true } }),
        &json!({ "securityContext": { "runAsGroup": 0, "runAsNonRoot": false } }),
        user_of("linux", "1:1"),
    );
    assert_eq!(both.group, Some(Effective { value: 0, origin: Origin::Container }));
    assert_eq!(both.run_as_non_root, Some(false));
    let pod = lay(
        &json!({ "securityContext": { "runAsGroup": 5, "runAsNonRoot": true } }),
        &json!({}),
        user_of("", ""),
    );
    assert_eq!(pod.group, Some(Effective { value: 5, origin: Origin::Pod }));
    assert_eq!(pod.run_as_non_root, Some(true));
    let image = lay(&json!({}), &json!({}), user_of("linux", "1000:1000"));
    assert_eq!((image.group, image.run_as_non_root), (None, None), "the image's group is ignored");
}

#[test]
fn command_and_args() {
    use Origin::{Container, Default, Image};
    type Side<'a> = (&'a [&'a str], Origin);
    type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], serde_json::Value, Side<'a>, Side<'a>);
    let rows: [Row<'_>; 8] = [
        ("image alone", &["/e"], &["c"], json!({}), (&["/e"], Image), (&["c"], Image)),
        ("Cmd alone", &[], &["c"], json!({}), (&[], Default), (&["c"], Image)),
        (
            "command silences both",
            &["/e"],
            &["c"],
            json!({ "command": ["/x"] }),
            (&["/x"], Container),
            (&[], Container),
        ),
        (
            "command and args",
            &["/e"],
            &["c"],
            json!({ "command": ["/x"], "args": ["y"] }),
            (&["/x"], Container),
            (&["y"], Container),
        ),
        (
            "args keep the Entrypoint",
            &["/e"],
            &["c"],
            json!({ "args": ["y"] }),
            (&["/e"], Image),
            (&["y"], Container),
        ),
        ("an Entrypoint of one empty string", &[""], &["c"], json!({}), (&[], Default), (&["c"], Image)),
        (
            "empty lists say nothing",
            &["/e"],
            &["c"],
            json!({ "command": [], "args": [] }),
            (&["/e"], Image),
            (&["c"], Image),
        ),
        ("nothing to run", &[], &[], json!({}), (&[], Default), (&[], Default)),
    ];
    for (case, entrypoint, cmd, container, command, args) in rows {
        let config =
            ImageConfig { entrypoint: strings(entrypoint), cmd: strings(cmd), ..ImageConfig::default() };
        let found = lay(&json!({}), &container, config);
        assert_eq!(
            found.command,
            Effective { value: strings(command.0).into(), origin: command.1 },
            "{case}"
        );
        assert_eq!(found.args, Effective { value: strings(args.0).into(), origin: args.1 }, "{case}");
        assert_eq!(found.argv(), [command.0, args.0].concat(), "{case}");
    }
}

#[test]
fn variables_in_the_command_are_filled_in() {
    let container = json!({
        "command": ["$(SHELL)", "-c"], "args": ["$(SECRET) $$(SHELL)"],
        "env": [{ "name": "SHELL", "value": "/bin/sh" }, { "name": "SECRET", "valueFrom": {} }],
    });
    let found = lay(&json!({}), &container, ImageConfig::default());
    assert_eq!(found.argv(), ["/bin/sh", "-c", "$(SECRET) $(SHELL)"]);

    let entrypoint = ImageConfig { entrypoint: strings(&["$(SHELL)"]), ..ImageConfig::default() };
    let found = lay(&json!({}), &json!({ "env": container["env"] }), entrypoint);
    assert_eq!(found.argv(), ["$(SHELL)"], "the image's own is left alone");
}

#[test]
fn env_is_the_images_overridden_by_name() {
    let config = ImageConfig {
        env: ["PATH=/bin", "A=1", "A=2", "EMPTY=", "NOTHING", "", "=x", "EQ=a=b"].into_iter().collect(),
        ..ImageConfig::default()
    };
    let container = json!({ "env": [
        { "name": "NEW", "value": "n" },
        { "name": "PATH", "value": "$(NEW):/usr/bin" },
        { "name": "EMPTY", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
    ] });
    let found = lay(&json!({}), &container, config).env;
    let found: Vec<_> =
        found.iter().map(|entry| (entry.name, entry.value.as_deref(), entry.origin)).collect();
    assert_eq!(
        found,
        [
            ("PATH", Some("n:/usr/bin"), Origin::Container),
            ("A", Some("2"), Origin::Image),
            ("EMPTY", None, Origin::Container),
            ("NOTHING", Some(""), Origin::Image),
            ("EQ", Some("a=b"), Origin::Image),
            ("NEW", Some("n"), Origin::Container),
        ]
    );
}

#[test]
fn working_directory() {
    for (case, os, container, image, expected) in [
        ("container", "linux", json!({ "workingDir": "/c" }), "/i", ("/c", Origin::Container)),
        ("image", "linux", json!({}), "/i", ("/i", Origin::Image)),
        ("default", "linux", json!({}), "", ("/", Origin::Default)),
        ("default of Windows", "windows", json!({ "workingDir": "" }), "", ("C:\\", Origin::Default)),
    ] {
        let config =
            ImageConfig { os: os.to_owned(), working_dir: image.to_owned(), ..ImageConfig::default() };
        let found = lay(&json!({}), &container, config).working_dir;
        assert_eq!((found.value, found.origin), expected, "{case}");
    }
}

#[test]
fn stop_signal_of_the_container_then_of_the_image_then_sigterm() {
    let image = |signal: &str| Some(StopSignal::parse(signal));
    for (case, container, image, expected) in [
        (
            "container",
            json!({ "lifecycle": { "stopSignal": "SIGQUIT" } }),
            image("SIGINT"),
            (Some("SIGQUIT"), Origin::Container),
        ),
        ("image", json!({}), image("INT"), (Some("SIGINT"), Origin::Image)),
        ("an invalid one of the image", json!({}), image("SIGFOO"), (None, Origin::Image)),
        (
            "an invalid one of the container",
            json!({ "lifecycle": { "stopSignal": "x" } }),
            None,
            (None, Origin::Container),
        ),
        ("default", json!({ "lifecycle": {} }), None, (Some("SIGTERM"), Origin::Default)),
    ] {
        let config = ImageConfig { stop_signal: image, ..ImageConfig::default() };
        let found = lay(&json!({}), &container, config).stop_signal;
        assert_eq!((found.value.as_ref().ok().map(StopSignal::name), found.origin), expected, "{case}");
    }
}

#[test]
fn volumes_that_no_mount_covers() {
    for (case, volumes, mounts, expected) in [
        ("no mount", vec!["/data"], vec![], vec!["/data"]),
        ("the same path", vec!["/data"], vec!["/data"], vec![]),
        ("the same path, written otherwise", vec!["/data/"], vec!["//x/../data/."], vec![]),
        ("a relative volume", vec!["data"], vec!["/data"], vec![]),
        ("a mount on the parent does not cover", vec!["/data/db"], vec!["/data"], vec!["/data/db"]),
        ("a mount below does not cover", vec!["/data"], vec!["/data/db"], vec!["/data"]),
        ("above the root is the root", vec!["/../data"], vec!["/data"], vec![]),
        ("several", vec!["/a", "/b", "/c"], vec!["/b"], vec!["/a", "/c"]),
    ] {
        let config = ImageConfig {
            volumes: volumes.into_iter().map(ToOwned::to_owned).collect(),
            ..ImageConfig::default()
        };
        let mounts: Vec<_> = mounts.iter().map(|path| json!({ "name": "v", "mountPath": path })).collect();
        let found = lay(&json!({}), &json!({ "volumeMounts": mounts }), config).volumes;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{case}");
    }
}

#[test]
fn an_image_volume_is_the_image_alone() {
    let spec = json!({ "volumes": [{ "name": "model", "image": { "reference": "a" } }] });
    let workload =
        Workload::from_object(&json!({ "apiVersion": "v1", "kind": "Pod", "spec": spec })).unwrap().unwrap();
    assert_eq!(workload.uses[0].kind, UseKind::ImageVolume);
    let config = ImageConfig { cmd: strings(&["c"]), ..ImageConfig::default() };
    let image = image(config);
    let found = EffectiveContainer::of(&workload, &workload.uses[0], &image);
    assert_eq!(found.argv(), ["c"]);
}
