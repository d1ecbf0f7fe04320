use super::*;

fn config(fields: &str) -> Result<ImageConfig, InvalidConfig> {
    ImageConfig::parse(format!(r#"{{"os":"linux","architecture":"amd64","config":{{{fields}}}}}"#).as_bytes())
}

#[test]
fn every_field_is_read() {
    let image = ImageConfig::parse(
        br#"{"created":"2026-11-01T08:00:00.5Z","author":"a","os":"linux","architecture":"arm64","variant":"v8",
            "config":{"User":"1000:0","ExposedPorts":{"8080/tcp":{},"53":null},"Env":["A=1","B","A=2"],
            "Entrypoint":["/app"],"Cmd":["--serve"],"Volumes":{"/data":{}},"WorkingDir":"/w","Labels":{"k":"v","e":""},
            "StopSignal":"SIGQUIT","Healthcheck":{"Test":["CMD","/app"],"Interval":1},"Shell":["/bin/sh"],"OnBuild":["RUN x"]},
            "rootfs":{"type":"layers","diff_ids":null},"history":[]}"#,
    )
    .unwrap();
    assert_eq!(image.platform().map(|platform| platform.to_string()).as_deref(), Some("linux/arm64"));
    assert_eq!(image.user.raw(), "1000:0");
    assert_eq!(image.exposed_ports[0].range, Some((8080, 8080, "tcp".into())));
    assert_eq!(image.env_map(), BTreeMap::from([("A", "2"), ("B", "")]));
    assert_eq!((image.entrypoint, image.cmd), (vec!["/app".to_owned()], vec!["--serve".to_owned()]));
    assert_eq!(image.volumes, BTreeSet::from(["/data".into()]));
    assert_eq!((image.working_dir.as_str(), image.labels.len()), ("/w", 2));
    assert_eq!(image.stop_signal.unwrap().unwrap().number(), 3);
    assert_eq!(image.healthcheck.unwrap().test, ["CMD", "/app"]);
    assert_eq!((image.shell.len(), image.on_build.len()), (1, 1));
    assert!(matches!(image.created, Created::At(at) if at.to_string() == "2026-11-01T08:00:00.5Z"));
}

#[test]
fn absent_null_and_empty_are_one() {
    let empty = ImageConfig::default();
    for text in [
        "{}",
        r#"{"config":null}"#,
        r#"{"config":{}}"#,
        r#"{"config":{"User":null,"Env":null,"Labels":null,"Volumes":null,"ExposedPorts":null,"Entrypoint":null,"Cmd":null,"StopSignal":null}}"#,
        r#"{"config":{"Env":[],"Labels":{},"StopSignal":"","Volumes":{}},"created":null,"rootfs":null}"#,
    ] {
        assert_eq!(ImageConfig::parse(text.as_bytes()).as_ref(), Ok(&empty), "{text}");
    }
}

#[test]
fn container_config_is_never_read() {
    let image = ImageConfig::parse(br#"{"container_config":{"User":"1000","Labels":{"a":"b"}},"config":{}}"#)
        .unwrap();
    assert_eq!((image.user.raw(), image.labels.len()), ("", 0));
}

#[test]
fn odd_values_keep_their_meaning() {
    assert_eq!(
        config(r#""Labels":{"a":"1","a":"2","A":"3","n":null}"#).unwrap().labels.len(),
        3,
        "label keys are data"
    );
    assert_eq!(config(r#""Volumes":{"/x":null}"#).unwrap().volumes.len(), 1);
    assert_eq!(
        config(r#""Healthcheck":{"Test":"exit 0"}"#).unwrap().healthcheck,
        None,
        "docker's, unreadable"
    );
    assert!(config(r#""StopSignal":"SIGFOO""#).unwrap().stop_signal.unwrap().is_err());
    assert_eq!(
        ImageConfig::parse(br#"{"os":"linux"}"#).unwrap().platform(),
        None,
        "no architecture, no platform"
    );
}

#[test]
fn created_tells_a_time_from_a_placeholder() {
    let rows = [
        (r#""2026-01-02T03:04:05+02:00""#, "At"),
        (r#""0001-01-01T00:00:00Z""#, "Placeholder"),
        (r#""1970-01-01T00:00:00Z""#, "Placeholder"),
        (r#""1980-01-01T00:00:00Z""#, "Placeholder"),
        (r#""yesterday""#, "Invalid"),
        (r#""2026-01-02""#, "Invalid"),
        (r#""""#, "Invalid"),
        ("null", "Unknown"),
    ];
    for (created, expected) in rows {
        let image = ImageConfig::parse(format!(r#"{{"created":{created}}}"#).as_bytes()).unwrap();
        let found = format!("{:?}", image.created);
        assert!(found.starts_with(expected), "{created}: {found}");
    }
}

#[test]
fn ports_are_read_leniently() {
    let rows = [
        ("80", Some((80, 80, "tcp"))),
        ("80/tcp", Some((80, 80, "tcp"))),
        ("53/UDP", Some((53, 53, "udp"))),
        ("8000-9000/tcp", Some((8000, 9000, "tcp"))),
        ("0", Some((0, 0, "tcp"))),
        ("9000-8000", None),
        ("70000", None),
        ("http", None),
        ("80/", None),
        ("", None),
    ];
    for (raw, expected) in rows {
        let port = ExposedPort::new(raw.into());
        let found = port.range.as_ref().map(|(first, last, protocol)| (*first, *last, protocol.as_str()));
        assert_eq!(found, expected, "{raw:?}");
    }
}

#[test]
fn what_a_runtime_could_not_read_is_refused_with_the_field() {
    let rows = [
        (r#""User":0"#, "config.User: expected a string, found a number"),
        (r#""Labels":{"a":1}"#, "config.Labels.a: expected a string, found a number"),
        (r#""Labels":["a"]"#, "config.Labels: expected an object, found a list"),
        (r#""Entrypoint":"/app""#, "config.Entrypoint: expected a list, found a string"),
        (r#""Env":{"A":"1"}"#, "config.Env: expected a list, found an object"),
        (r#""ExposedPorts":["80"]"#, "config.ExposedPorts: expected an object, found a list"),
        (r#""StopSignal":15"#, "config.StopSignal: expected a string, found a number"),
    ];
    for (fields, why) in rows {
        assert_eq!(config(fields), Err(InvalidConfig::Invalid(why.into())), "{fields}");
    }
    for text in ["", "{", "[]", "null", "{} x", "\u{FEFF}{}"] {
        assert!(matches!(ImageConfig::parse(text.as_bytes()), Err(InvalidConfig::Invalid(_))), "{text:?}");
    }
}

#[test]
fn what_go_would_read_otherwise_is_refused() {
    for fields in [
        r#""User":"1000","user":"0""#,
        r#""user":"0""#,
        "\"U\u{17F}er\":\"0\"",
        r#""User":"1","User":"0""#,
        r#""labels":{}"#,
    ] {
        assert!(matches!(config(fields), Err(InvalidConfig::Ambiguous(_))), "{fields}");
    }
    for text in [r#"{"Config":{}}"#, r#"{"config":{},"config":{"User":"0"}}"#, r#"{"OS":"linux"}"#] {
        assert!(matches!(ImageConfig::parse(text.as_bytes()), Err(InvalidConfig::Ambiguous(_))), "{text}");
    }
}

#[test]
fn made_up_times_say_nothing_of_the_age() {
    let created =
        |text: &str| ImageConfig::parse(format!(r#"{{"created":"{text}"}}"#).as_bytes()).unwrap().created;
    for text in [
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:01Z",
        "1980-01-01T00:00:00Z",
        "1980-01-01T00:00:01Z",
        "1979-12-31T23:00:00-01:00",
    ] {
        assert!(matches!(created(text), Created::Placeholder(_)), "{text}");
    }
    for text in ["2024-01-02T03:04:05Z", "2024-01-02T03:04:05.1234567890123+05:30", "1980-01-02T00:00:00Z"] {
        assert!(matches!(created(text), Created::At(_)), "{text}");
    }
    for text in [
        "",
        "2024-01-02",
        "2024-01-02 03:04:05Z",
        "2024-01-02T03:04Z",
        "2024-01-02T03:04:05",
        "2024-01-02t03:04:05z",
        "2024-01-02T03:04:05.Z",
        "2024-01-02T03:04:05,1Z",
        "2024-01-02T03:04:60Z",
        "2024-13-02T03:04:05Z",
        "2024-02-30T03:04:05Z",
        "2024-01-02T03:04:05+0530",
        "2024-01-02T03:04:05Z[UTC]",
        "é024-01-02T03:04:05Z",
        "2024-01-02T03:04:05.é999999999Z",
    ] {
        assert_eq!(created(text), Created::Invalid(text.to_owned()), "{text}");
    }
}
