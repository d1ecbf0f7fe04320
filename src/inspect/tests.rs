use super::*;
use crate::{
    credential::{Access, Credentials},
    image::{AuthKind, Digest, Freshness, ImageConfig, MediaType, Platform, TextMap},
    workload::Workload,
};

/// An index of two platforms under any tag but `missing`.
struct Images;

struct Anonymous;

impl ResolveImage for Images {
    async fn resolve(
        &self,
        reference: &Reference,
        platforms: &PlatformFilter,
        _: &Access,
        _: Instant,
    ) -> Result<Arc<ResolvedImage>, Unresolved> {
        if reference.tag() == Some("missing") {
            return Err(Unresolved {
                kind: UnresolvedKind::NotFound,
                host: Some("reg.io".into()),
                status: Some(404),
                detail: "reg.io answered 404\u{1b}[31m".into(),
            });
        }
        let available: Vec<Platform> =
            ["linux/amd64", "linux/arm64"].iter().map(|p| p.parse().unwrap()).collect();
        let entries: Vec<Option<Platform>> = available.iter().cloned().map(Some).collect();
        let chosen = platforms.choose(&entries).into_iter().map(|at| Arc::new(platform(&available[at])));
        Ok(Arc::new(ResolvedImage {
            reference: reference.clone(),
            digest: Digest::sha256(b"index"),
            media_type: MediaType::OciIndex,
            index_annotations: TextMap::default(),
            available: available.clone(),
            platforms: chosen.collect(),
            freshness: Freshness::Fetched,
            auth: AuthKind::Anonymous,
        }))
    }
}

impl FindCredentials for Anonymous {
    async fn find(&self, _: &Reference, _: Option<&Workload>) -> Vec<Credentials> {
        Vec::new()
    }
}

fn platform(platform: &Platform) -> PlatformImage {
    let raw = format!(
        r#"{{"os":"linux","architecture":"{}","created":"2026-11-01T00:00:00Z","config":{{"User":"1000","Env":["A=\u001b[31mred"],
        "Entrypoint":["/app"],"Labels":{{"team":"shop"}}}}}}"#,
        platform.architecture
    );
    PlatformImage {
        platform: Some(platform.clone()),
        manifest_digest: Digest::sha256(platform.architecture.as_bytes()),
        media_type: MediaType::OciManifest,
        annotations: TextMap::default(),
        layer_sizes: vec![1024, 512],
        config_digest: Digest::sha256(raw.as_bytes()),
        config: ImageConfig::parse(raw.as_bytes()).unwrap(),
        raw_config: Some(raw.as_bytes().into()),
    }
}

async fn inspect(arguments: &[&str]) -> (Result<ExitCode>, String, String) {
    use clap::Parser;
    let line = ["hullmark", "inspect"].iter().chain(arguments);
    let cli = crate::cli::Cli::try_parse_from(line).unwrap();
    let crate::cli::Command::Inspect(args) = cli.command else { panic!("not inspect") };
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&args, &Images, &Anonymous, now, &mut out, &mut err).await;
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[tokio::test]
async fn text_shows_what_platforms_share_once() {
    let (code, out, err) = inspect(&["reg.io/app:1"]).await;
    assert_eq!(code.unwrap(), ExitCode::SUCCESS);
    assert_eq!(err, "");
    assert!(out.starts_with("reg.io/app:1\n  digest       sha256:"), "{out}");
    assert!(out.contains("\n  every platform (2)\n    linux/amd64\n      manifest     sha256:"), "{out}");
    assert_eq!(out.matches("    user         1000: not root\n").count(), 1, "{out}");
    assert!(out.contains("size         1.5 KiB compressed, 2 layers\n"), "{out}");
    assert!(out.contains("created      2026-11-01T00:00:00Z (22 days ago)\n"), "{out}");
    assert!(out.contains("    env          A= [31mred\n"), "no escape sequence reaches a terminal: {out:?}");
}

#[tokio::test]
async fn one_platform_can_be_chosen() {
    let (_, out, _) = inspect(&["--platform", "linux/arm64", "nginx"]).await;
    assert!(out.starts_with("docker.io/library/nginx:latest\n  written      nginx\n"), "{out}");
    assert!(out.contains("\n  linux/arm64\n    manifest "), "{out}");
    assert!(!out.contains("linux/amd64"), "{out}");
}

#[tokio::test]
async fn json_and_yaml_have_the_same_fields() {
    let (_, json, _) = inspect(&["-o", "json", "reg.io/app:1"]).await;
    let (_, yaml, _) = inspect(&["-o", "yaml", "reg.io/app:1"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(crate::yaml::documents(&yaml).unwrap()[0].value, json);
    assert_eq!(json["availablePlatforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    let config = &json["platforms"][1]["config"];
    assert_eq!(
        config["user"],
        serde_json::json!({"value": "1000", "kind": "uid", "uid": 1000, "runsAsRoot": "no"})
    );
    assert_eq!(config["stopSignal"]["name"], "SIGTERM");
    assert_eq!((&config["ageSeconds"], &config["labels"]["team"]), (&(22 * 86_400).into(), &"shop".into()));
}

#[tokio::test]
async fn raw_is_the_config_byte_for_byte() {
    let (code, out, _) = inspect(&["-o", "raw", "--platform", "linux/amd64", "reg.io/app:1"]).await;
    assert_eq!(code.unwrap(), ExitCode::SUCCESS);
    assert_eq!(out.as_bytes(), platform(&"linux/amd64".parse().unwrap()).raw_config.unwrap().to_vec());
    let (code, _, _) = inspect(&["-o", "raw", "reg.io/app:1"]).await;
    let error = code.unwrap_err().to_string();
    assert!(error.contains("choose with --platform (linux/amd64, linux/arm64)"), "{error}");
}

#[tokio::test]
async fn an_image_that_cannot_be_looked_at_spoils_no_other() {
    let (code, out, err) = inspect(&["reg.io/app:missing", "Bad", "reg.io/app:1"]).await;
    assert_eq!(code.unwrap(), ExitCode::from(2));
    assert!(out.starts_with("reg.io/app:1\n"), "{out}");
    assert_eq!(
        err,
        "hullmark: reg.io/app:missing: reg.io answered 404 [31m (NotFound); check the name and the tag, and that the image was pushed\n\
         hullmark: Bad: repository name \"library/Bad\" must be lowercase: write \"library/bad\" (InvalidReference); correct the image's name\n"
    );
    let (_, out, _) = inspect(&["-o", "json", "reg.io/app:missing", "reg.io/app:1"]).await;
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json[0]["error"]["kind"], "NotFound");
    assert_eq!(json[1]["reference"], "reg.io/app:1");
}
