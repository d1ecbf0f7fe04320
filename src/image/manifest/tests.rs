use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

fn config() -> String {
    format!(r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{HEX}","size":7}}"#)
}

fn manifest(extra: &str) -> String {
    let config = config();
    format!(
        r#"{{"schemaVersion":2,"config":{config},"layers":[{{"digest":"sha256:{HEX}","size":3}},{{"digest":"sha256:{HEX}","size":4}}]{extra}}}"#
    )
}

fn index(entries: &str) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#)
}

fn entry(extra: &str) -> String {
    format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"sha256:{HEX}","size":1{extra}}}"#)
}

fn read(text: &str, content_type: Option<&str>) -> Result<Document, InvalidDocument> {
    Document::parse(text.as_bytes(), content_type)
}

#[test]
fn a_manifest_is_known_by_header_or_body_or_structure() {
    let with_type = manifest(&format!(r#","mediaType":"{OCI_MANIFEST}""#));
    let rows = [
        ("header", manifest(""), Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")),
        ("body", with_type.clone(), None),
        ("structure alone", manifest(""), None),
        ("generic header", manifest(""), Some("application/octet-stream")),
        ("text header", with_type.clone(), Some("text/plain; charset=utf-8")),
        ("docker header, oci body", with_type, Some("application/vnd.docker.distribution.manifest.v2+json")),
    ];
    for (name, text, header) in rows {
        match read(&text, header) {
            Ok(Document::Manifest(manifest)) => assert_eq!(manifest.compressed_size(), 7, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn an_index_keeps_its_entries() {
    let text = index(&[
        entry(r#","platform":{"os":"linux","architecture":"aarch64","variant":"v8"}"#),
        entry(r#","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#),
        entry(""),
        entry(r#","platform":{}"#),
        entry(r#","artifactType":"application/vnd.example","platform":{"os":"linux","architecture":"amd64"}"#),
    ].join(","));
    for header in [None, Some(OCI_INDEX), Some(DOCKER_LIST)] {
        let Ok(Document::Index(index)) = read(&text, header) else { panic!("{header:?}") };
        let platforms: Vec<Option<String>> =
            index.manifests.iter().map(|entry| entry.platform.as_ref().map(ToString::to_string)).collect();
        assert_eq!(platforms[0].as_deref(), Some("linux/arm64"));
        assert_eq!((&platforms[2], &platforms[3]), (&None, &None));
        let runnable: Vec<bool> = index.manifests.iter().map(Descriptor::is_runnable).collect();
        assert_eq!(runnable, [true, false, true, true, true]);
    }
}

#[test]
fn documents_that_can_be_read_in_two_ways_are_refused() {
    let both = format!(r#"{{"schemaVersion":2,"manifests":[],"config":{}}}"#, config());
    let layers = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#.to_owned();
    let schema1 = r#"{"schemaVersion":2,"fsLayers":[],"history":[]}"#.to_owned();
    let typed_as_index = manifest(&format!(r#","mediaType":"{OCI_INDEX}""#));
    let twice = format!(r#"{{"config":{0},"Config":{0},"layers":[]}}"#, config());
    let digest =
        format!(r#"{{"config":{{"digest":"sha256:{HEX}","Digest":"sha256:{HEX}","size":1}},"layers":[]}}"#);
    let rows = [
        ("manifest and index", both, None),
        ("layers and manifests", layers, None),
        ("fsLayers in schema 2", schema1, None),
        ("header says index", manifest(""), Some(OCI_INDEX)),
        ("body says index", typed_as_index, None),
        ("header says manifest", index(""), Some(OCI_MANIFEST)),
        ("config twice", twice, None),
        ("digest twice", digest, None),
    ];
    for (name, text, header) in rows {
        let read = read(&text, header);
        assert!(matches!(read, Err(InvalidDocument::Ambiguous(_))), "{name}: {read:?}");
    }
}

#[test]
fn what_is_no_manifest_is_refused_with_the_reason() {
    let many = index(&vec![entry(""); 1001].join(","));
    let bad_digest = index(r#"{"digest":"md5:00","size":1}"#);
    let rows = [
        ("html", "<html>".to_owned(), None, "not JSON"),
        ("a list", "[]".to_owned(), None, "expected an object, found a list"),
        ("empty object", "{}".to_owned(), None, "neither a manifest nor an index"),
        ("header alone, no config", "{}".to_owned(), Some(OCI_MANIFEST), "a manifest without a config"),
        ("html by header", manifest(""), Some("text/html"), "text/html"),
        ("config null", r#"{"config":null,"layers":[]}"#.to_owned(), None, "without a config"),
        (
            "config without size",
            format!(r#"{{"config":{{"digest":"sha256:{HEX}"}},"layers":[]}}"#),
            None,
            "config.size",
        ),
        ("config without digest", r#"{"config":{"size":1},"layers":[]}"#.to_owned(), None, "config.digest"),
        (
            "negative size",
            format!(r#"{{"config":{{"digest":"sha256:{HEX}","size":-1}}}}"#),
            None,
            "config.size",
        ),
        ("entry with a digest that cannot be verified", bad_digest, None, "manifests[0].digest"),
        ("schema 1", r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), None, "schema 1"),
        (
            "schema 1 by header",
            "{}".to_owned(),
            Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
            "schema 1",
        ),
        ("too many entries", many, None, "more than 1000"),
        ("trailing bytes", format!("{}x", manifest("")), None, "not JSON"),
    ];
    for (name, text, header, why) in rows {
        let error = read(&text, header).expect_err(name).to_string();
        assert!(error.contains(why), "{name}: {error}");
    }
}

#[test]
fn an_attestation_with_an_odd_digest_spoils_nothing() {
    let attestation = r#"{"digest":"blake3:00","platform":{"os":"unknown","architecture":"unknown"}}"#;
    let text = index(&format!("{attestation},{}", entry("")));
    let Ok(Document::Index(index)) = read(&text, None) else { panic!() };
    assert_eq!(index.manifests.len(), 1);
}

#[test]
fn embedded_data_is_used_only_if_it_is_what_it_says() {
    let digest = Digest::sha256(b"{}");
    let rows = [
        ("good", "e30=", 2, true),
        ("wrong size", "e30=", 3, false),
        ("wrong bytes", "e31=", 2, false),
        ("no base64", "!", 2, false),
    ];
    for (name, data, size, used) in rows {
        let text =
            format!(r#"{{"config":{{"digest":"{digest}","size":{size},"data":"{data}"}},"layers":[]}}"#);
        let Ok(Document::Manifest(manifest)) = read(&text, None) else { panic!("{name}") };
        assert_eq!(manifest.config.data.is_some(), used, "{name}");
    }
}

#[test]
fn artifacts_are_told_from_images() {
    let rows = [
        ("oci image", r#""mediaType":"application/vnd.oci.image.config.v1+json","#, "", None),
        ("docker image", r#""mediaType":"application/vnd.docker.container.image.v1+json","#, "", None),
        ("no type: an old pusher", "", "", None),
        ("generic type", r#""mediaType":"application/octet-stream","#, "", None),
        (
            "helm chart",
            r#""mediaType":"application/vnd.cncf.helm.config.v1+json","#,
            "",
            Some("application/vnd.cncf.helm.config.v1+json"),
        ),
        (
            "empty config",
            r#""mediaType":"application/vnd.oci.empty.v1+json","#,
            r#","artifactType":"application/vnd.example""#,
            Some("application/vnd.example"),
        ),
    ];
    for (name, config_type, extra, expected) in rows {
        let text =
            format!(r#"{{"config":{{{config_type}"digest":"sha256:{HEX}","size":2}},"layers":[]{extra}}}"#);
        let Ok(Document::Manifest(manifest)) = read(&text, None) else { panic!("{name}") };
        assert_eq!(manifest.artifact(), expected, "{name}");
    }
}

#[test]
fn an_entry_cannot_hide_from_us_and_still_be_run() {
    let attestation = r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
    let platform = |os: &str, architecture: &str| {
        format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#)
    };
    let rows = [
        ("plain", platform("linux", "amd64"), true),
        ("an attestation", format!("{attestation}{}", platform("unknown", "unknown")), false),
        ("unknown os", platform("Unknown", "amd64"), false),
        ("unknown architecture", platform("linux", "unknown"), false),
        ("behind an annotation", format!("{attestation}{}", platform("linux", "amd64")), true),
        ("behind a type", format!(r#","artifactType":"x/y"{}"#, platform("linux", "amd64")), true),
        ("behind no platform", attestation.to_owned(), true),
    ];
    for (name, fields, runnable) in rows {
        let Ok(Document::Index(index)) = read(&index(&entry(&fields)), None) else { panic!("{name}") };
        assert_eq!(index.manifests[0].is_runnable(), runnable, "{name}");
    }
    let features = entry(r#","platform":{"os":"linux","architecture":"amd64","os.features":["x","win32k"]}"#);
    let Ok(Document::Index(index)) = read(&index(&features), None) else { panic!() };
    assert_eq!(index.manifests[0].platform.as_ref().unwrap().to_string(), "linux(+x)/amd64");
}

#[test]
fn a_schema_version_does_not_make_a_manifest() {
    let one = |text: String| text.replacen('{', r#"{"schemaVersion":1,"#, 1);
    let manifest = format!(r#"{{"config":{{"digest":"sha256:{HEX}","size":2}}}}"#);
    assert!(read(&one(manifest), None).is_ok(), "runtimes do not look at it");
    assert_eq!(read(r#"{"schemaVersion":1}"#, None), Err(InvalidDocument::Schema1));
    let header = Some("application/vnd.docker.distribution.manifest.v1+json");
    let found = read(&index(&entry("")), header);
    assert!(matches!(found, Err(InvalidDocument::Ambiguous(_))), "{found:?}");
}
