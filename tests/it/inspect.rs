//! `hullmark inspect` against real registries, with skopeo as the measure.

use crate::support::{
    Authority, Entry, Hullmark, Image, Index, PASSWORD, REFRESH_TOKEN, Registry, USER, helm_chart,
    skopeo_raw_config,
};
use serde_json::{Value, json};

/// What a real build leaves in `config.config`, a Docker-only field included.
fn settings() -> Value {
    json!({
        "User": "65532:65532", "ExposedPorts": { "8080/tcp": {} }, "Env": ["PATH=/bin", "A=b"],
        "Entrypoint": ["/app"], "Cmd": ["--serve"], "Volumes": { "/data": {} }, "WorkingDir": "/srv",
        "Labels": { "team": "blue" }, "StopSignal": "SIGQUIT",
        "Healthcheck": { "Test": ["CMD", "/app", "--health"], "Interval": 30_000_000_000_u64 },
    })
}

/// Bytes as text, so that a difference can be read.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Pushes one of each kind under `repository`, and gives (name, platform, config) of every image.
async fn push_one_of_each(registry: &Registry, repository: &str) -> Vec<(String, String, Vec<u8>)> {
    let oci = |platform| Image::oci(platform, &settings());
    let docker = |platform| Image::docker(platform, &settings());
    let name = |tag: &str| format!("{repository}:{tag}");
    let mut images = Vec::new();
    for (tag, pushed) in [
        ("oci", oci("linux/amd64").push(registry, &name("oci")).await),
        ("docker", docker("linux/arm64/v8").push(registry, &name("docker")).await),
        (
            "oci-index",
            Index::oci([
                Entry::Image(oci("linux/amd64")),
                Entry::Attestation,
                Entry::Image(oci("linux/arm64/v8")),
                Entry::Attestation,
                Entry::Image(oci("linux/arm/v7")),
            ])
            .push(registry, &name("oci-index"))
            .await,
        ),
        (
            "docker-list",
            Index::docker([Entry::Image(docker("linux/amd64")), Entry::Image(docker("linux/s390x"))])
                .push(registry, &name("docker-list"))
                .await,
        ),
    ] {
        images.extend(pushed.configs.into_iter().map(|(platform, config)| (name(tag), platform, config)));
        let by_digest = format!("{repository}@{}", pushed.digest);
        assert!(pushed.digest.starts_with("sha256:"), "{by_digest}");
    }
    images
}

async fn raw_is_what_skopeo_says(registry: &Registry, repository: &str, login: Option<(&str, &str)>) {
    let mut hullmark = Hullmark::for_registry(registry);
    if let Some((user, password)) = login {
        hullmark = hullmark.logged_in(registry, user, password);
    }
    for (name, platform, config) in push_one_of_each(registry, repository).await {
        let image = registry.image(&name);
        let output =
            hullmark.run(["inspect", "-o", "raw", "--platform", &platform, &image]).await.succeeded();
        assert_eq!(output.text(), text(&config), "{name} on {platform}: what was pushed");
        let skopeo = skopeo_raw_config(registry, &name, &platform, login).await;
        assert_eq!(output.text(), text(&skopeo), "{name} on {platform}: what skopeo says");
    }
}

#[tokio::test]
async fn raw_is_what_skopeo_says_over_plain_http() {
    raw_is_what_skopeo_says(&Registry::plain().await, "demo/app", None).await;
}

#[tokio::test]
async fn raw_is_what_skopeo_says_over_tls_of_a_private_authority() {
    raw_is_what_skopeo_says(&Registry::tls().await, "demo/app", None).await;
}

#[tokio::test]
async fn raw_is_what_skopeo_says_with_basic_authentication() {
    raw_is_what_skopeo_says(&Registry::basic().await, "demo/app", Some((USER, PASSWORD))).await;
}

#[tokio::test]
async fn raw_is_what_skopeo_says_with_a_users_token() {
    raw_is_what_skopeo_says(&Registry::token().await, "private/app", Some((USER, PASSWORD))).await;
}

#[tokio::test]
async fn raw_is_what_skopeo_says_with_an_anonymous_token() {
    raw_is_what_skopeo_says(&Registry::token().await, "public/app", None).await;
}

#[tokio::test]
async fn credentials_are_found_where_docker_and_podman_keep_them() {
    let registry = Registry::basic().await;
    let config = Image::oci("linux/amd64", &settings());
    config.push(&registry, "demo/app:1").await;
    let image = registry.image("demo/app:1");
    let auth = |login: &str| json!({ "auths": { registry.host(): { "auth": login } } });
    // alice:s3cret
    let good = auth("YWxpY2U6czNjcmV0");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &Value| {
        std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join(name), content.to_string()).unwrap();
        folder.path().join(name)
    };
    let docker_folder = file("docker/config.json", &good).parent().unwrap().to_owned();
    let auth_file = file("auth.json", &good);
    let runtime = file("run/containers/auth.json", &good).ancestors().nth(2).unwrap().to_owned();
    let helper = "#!/bin/sh\n\
        # Real helpers read the server from standard input and answer in JSON.\n\
        [ \"$1\" = get ] || exit 1\n\
        read -r server\n\
        case $server in\n\
        *127.0.0.1:*) printf '{\"ServerURL\":\"%s\",\"Username\":\"alice\",\"Secret\":\"s3cret\"}' \"$server\" ;;\n\
        *) echo 'credentials not found in native keychain'; exit 1 ;;\n\
        esac\n";
    let new = || Hullmark::for_registry(&registry);
    for (name, hullmark) in [
        ("~/.docker/config.json", new().docker_config(&good)),
        ("username and password fields", {
            let login = json!({ "username": USER, "password": PASSWORD });
            new().docker_config(&json!({ "auths": { registry.host(): login } }))
        }),
        ("$DOCKER_CONFIG", new().env("DOCKER_CONFIG", &docker_folder)),
        ("$REGISTRY_AUTH_FILE", new().env("REGISTRY_AUTH_FILE", &auth_file)),
        ("$XDG_RUNTIME_DIR/containers/auth.json", new().env("XDG_RUNTIME_DIR", &runtime)),
        (
            "a helper for this registry",
            new()
                .program("docker-credential-here", helper)
                .docker_config(&json!({ "credHelpers": { registry.host(): "here" } })),
        ),
        (
            "a helper for every registry",
            new()
                .program("docker-credential-here", helper)
                .docker_config(&json!({ "credsStore": "here", "auths": { registry.host(): {} } })),
        ),
    ] {
        let output = hullmark.run(["inspect", "-o", "raw", &image]).await;
        assert_eq!(output.code, Some(0), "{name}: {}", output.stderr);
        assert_eq!(output.text(), text(&config.config), "{name}");
    }
}

#[tokio::test]
async fn an_identity_token_is_posted() {
    let registry = Registry::token().await;
    let image = Image::oci("linux/amd64", &settings());
    image.push(&registry, "private/app:1").await;
    let config = json!({ "auths": { registry.host(): {
        "auth": "PHRva2VuPjo=", // <token>: as docker login writes it beside an identity token
        "identitytoken": REFRESH_TOKEN,
    } } });
    let hullmark = Hullmark::for_registry(&registry).docker_config(&config);
    let output = hullmark.run(["inspect", "-o", "raw", &registry.image("private/app:1")]).await.succeeded();
    assert_eq!(output.text(), text(&image.config));
    let asked = registry.tokens().new_requests();
    let [request] = &asked[..] else { panic!("one request for a token, not {asked:?}") };
    assert_eq!((request.method, request.user.as_deref()), ("POST", Some(USER)));
    assert_eq!(request.scopes, ["repository:private/app:pull"]);
}

#[tokio::test]
async fn a_nested_index_shows_the_platforms_of_all_its_levels() {
    let registry = Registry::plain().await;
    let image = |platform| Entry::Image(Image::oci(platform, &settings()));
    let inner = Index::oci([image("linux/arm64/v8"), Entry::Attestation]);
    let outer = Index::oci([image("linux/amd64"), Entry::Nested(inner)]);
    let pushed = outer.push(&registry, "demo/nested:1").await;
    let hullmark = Hullmark::for_registry(&registry);
    for (platform, config) in pushed.configs {
        let name = registry.image("demo/nested:1");
        let output = hullmark.run(["inspect", "-o", "raw", "--platform", &platform, &name]).await.succeeded();
        assert_eq!(output.text(), text(&config), "{platform}");
    }
}

#[tokio::test]
async fn each_failure_says_what_failed_and_what_to_do() {
    let plain = Registry::plain().await;
    let basic = Registry::basic().await;
    let token = Registry::token().await;
    let tls = Registry::tls().await;
    let image = Image::oci("linux/amd64", &settings());
    for (registry, name) in
        [(&plain, "demo/app:1"), (&basic, "demo/app:1"), (&token, "private/app:1"), (&tls, "demo/app:1")]
    {
        image.push(registry, name).await;
    }
    Index::oci([Entry::Image(image.clone())]).push(&plain, "demo/index:1").await;
    helm_chart().push(&plain, "demo/chart:1").await;
    // Of the same length, so that nothing but the digest can tell.
    let [good, evil] = ["amd64", "arm64"].map(|a| format!(r#"{{"architecture":"{a}","os":"linux"}}"#));
    let spoiled = image.clone().with_config(good.as_bytes()).push(&plain, "demo/spoiled:1").await;
    std::fs::write(plain.blob_file(&spoiled.config_digest), evil).unwrap();

    let to = Hullmark::for_registry;
    let strangers = tls.hosts_dir_trusting(&Authority::new());
    let broken = tempfile::tempdir().unwrap();
    let auths = json!({ "auths": { plain.host(): { "auth": "!!!" } } });
    std::fs::write(broken.path().join("config.json"), auths.to_string()).unwrap();
    let rows = [
        ("no such tag", to(&plain), plain.image("demo/app:9"), "no such tag or digest"),
        ("no such repository", to(&plain), plain.image("demo/nothing:1"), "no such tag or digest"),
        ("Basic, anonymous", to(&basic), basic.image("demo/app:1"), "anonymous request"),
        (
            "Basic, wrong password",
            to(&basic).logged_in(&basic, USER, "wrong"),
            basic.image("demo/app:1"),
            "the given user name and password",
        ),
        ("token, anonymous", to(&token), token.image("private/app:1"), "anonymous request"),
        (
            "token, wrong password",
            to(&token).logged_in(&token, USER, "wrong"),
            token.image("private/app:1"),
            "the given user name and password",
        ),
        (
            "another authority",
            Hullmark::new().allowing_loopback().env("HULLMARK_HOSTS_DIR", &strangers),
            tls.image("demo/app:1"),
            "certificate",
        ),
        ("unknown authority", Hullmark::new().allowing_loopback(), tls.image("demo/app:1"), "certificate"),
        (
            "plain http without a hosts.toml",
            Hullmark::new().allowing_loopback(),
            plain.image("demo/app:1"),
            "hosts.toml",
        ),
        (
            "loopback without --allow-address",
            Hullmark::new().env("HULLMARK_HOSTS_DIR", plain.hosts_dir()),
            plain.image("demo/app:1"),
            "--allow-address",
        ),
        ("an artifact", to(&plain), plain.image("demo/chart:1"), "an artifact, not an image"),
        ("a spoiled blob", to(&plain), plain.image("demo/spoiled:1"), "digest"),
        (
            "a broken entry of an auth file",
            to(&plain).env("DOCKER_CONFIG", broken.path()),
            plain.image("demo/none:1"),
            "is not base64",
        ),
        ("a bad reference", to(&plain), plain.image("Demo/App:1"), "lower"),
    ];
    let mut wrong = Vec::new();
    for (name, hullmark, image, expected) in rows {
        let output = hullmark.run(["inspect", "-o", "raw", &image]).await;
        let said = output.stderr.to_lowercase();
        let tells =
            ["s3cret", "evil", "bearer ", "basic ", "ywxpy2u6"].iter().any(|secret| said.contains(secret));
        let right = output.code == Some(2)
            && output.stdout.is_empty()
            && said.contains(expected)
            && said.contains(&image.to_lowercase())
            && !tells;
        if !right {
            wrong.push(format!("{name}: wanted {expected:?} and {image}: {:?}: {said}", output.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_platform_that_an_index_lacks_is_named_with_those_it_has() {
    let registry = Registry::plain().await;
    let entries = ["linux/amd64", "linux/arm64/v8"].map(|p| Entry::Image(Image::oci(p, &settings())));
    Index::oci(entries).push(&registry, "demo/index:1").await;
    let name = registry.image("demo/index:1");
    let hullmark = Hullmark::for_registry(&registry);
    let said = hullmark.run(["inspect", "--platform", "windows/amd64", &name]).await.failed();
    for expected in ["linux/amd64", "linux/arm64"] {
        assert!(said.contains(expected), "wanted {expected} in: {said}");
    }
    let said = hullmark.run(["inspect", "-o", "raw", &name]).await.failed();
    assert!(said.contains("--platform"), "raw needs one platform, and says so: {said}");
}

#[tokio::test]
async fn json_carries_what_the_image_says_word_for_word() {
    let registry = Registry::plain().await;
    let mut arguments = vec!["inspect".to_owned(), "-o".to_owned(), "json".to_owned()];
    let odd = [
        ("+0", "RTMAX-1"),
        ("00", "15"),
        (":0", "SIGFOO"),
        ("4294967296", "SIGRTMIN+3"),
        ("nginx:www", "TERM"),
    ];
    for (number, (user, signal)) in odd.into_iter().enumerate() {
        let name = format!("demo/odd{number}:1");
        let settings = json!({ "User": user, "StopSignal": signal });
        Image::oci("linux/amd64", &settings).push(&registry, &name).await;
        arguments.push(registry.image(&name));
    }
    let hullmark = Hullmark::for_registry(&registry);
    let output = hullmark.run(&arguments).await.succeeded().json();
    let images = output.as_array().expect("several images are a list");
    assert_eq!(images.len(), odd.len());
    for (image, (user, signal)) in images.iter().zip(odd) {
        for value in [user, signal] {
            assert!(names(image, value), "{value:?} is not in {image}");
        }
    }
    let one = hullmark.run(&arguments[..4]).await.succeeded().json();
    assert_eq!(ageless(one), ageless(images[0].clone()), "one image is an object, as in a list");
}

/// `image` without its age, which goes on between two commands.
fn ageless(mut image: Value) -> Value {
    let config = &mut image["platforms"][0]["config"];
    let age = config.as_object_mut().and_then(|config| config.remove("ageSeconds"));
    assert!(age.is_some_and(|age| age.is_u64()), "every image here says when it was created");
    image
}

/// Whether `value` is somewhere in `json`, as a whole string.
fn names(json: &Value, value: &str) -> bool {
    match json {
        Value::String(text) => text == value,
        Value::Array(items) => items.iter().any(|item| names(item, value)),
        Value::Object(fields) => fields.values().any(|field| names(field, value)),
        _ => false,
    }
}

#[tokio::test]
async fn the_summary_for_a_person_shows_every_platform() {
    let registry = Registry::plain().await;
    let entry = |platform| Entry::Image(Image::oci(platform, &settings()));
    let index = Index::oci([entry("linux/amd64"), Entry::Attestation, entry("linux/arm/v7")]);
    let pushed = index.push(&registry, "demo/app:1").await;
    let hullmark = Hullmark::for_registry(&registry);
    let output = hullmark.run(["inspect", &registry.image("demo/app:1")]).await.succeeded();
    let text = output.text();
    for expected in [
        &*pushed.digest,
        &pushed.config_digest,
        "linux/amd64",
        "linux/arm/v7",
        "65532:65532",
        "SIGQUIT",
        "/app",
        "--serve",
        "A=b",
        "8080/tcp",
        "/data",
        "team",
        "blue",
        "2026-01-02",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    assert!(!text.contains("unknown/unknown"), "an attestation is no platform:\n{text}");
    assert!(!text.contains('\u{1b}'), "no colours where there is no terminal:\n{text}");
}

#[tokio::test]
async fn verbose_shows_each_exchange_and_no_secret() {
    let registry = Registry::token().await;
    Image::oci("linux/amd64", &settings()).push(&registry, "private/app:1").await;
    let hullmark = Hullmark::for_registry(&registry).logged_in(&registry, USER, PASSWORD);
    let image = registry.image("private/app:1");
    let output = hullmark.run(["inspect", "-v", "-o", "raw", &image]).await.succeeded();
    let said = &output.stderr;
    let manifests: Vec<_> =
        said.lines().filter(|line| line.contains("/v2/private/app/manifests/1")).collect();
    let [refused, served] = manifests[..] else { panic!("two requests for the manifest in:\n{said}") };
    for (line, status) in [(refused, "401"), (served, "200")] {
        for expected in ["GET", status, "ms"] {
            assert!(line.contains(expected), "{expected} is not in {line}");
        }
    }
    assert!(said.contains("/token?"), "{said}");
    assert!(said.contains("/v2/private/app/blobs/sha256:"), "{said}");
    for secret in [PASSWORD, "eyJ", "YWxpY2U6", "Authorization"] {
        assert!(!said.contains(secret), "tells {secret:?}:\n{said}");
    }
}
