use super::*;
use serde_json::json;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest, its config, and what is known of both.
fn image() -> (Vec<u8>, Vec<u8>, Content) {
    let config = json!({ "os": "linux", "architecture": "amd64", "config": { "User": "1000" } });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::sha256(&config).to_string(),
            "size": config.len(),
        },
        "layers": [],
    });
    let manifest = manifest.to_string().into_bytes();
    let content = read(&manifest, None, Some(&config));
    (manifest, config, content)
}

fn read(document: &[u8], content_type: Option<&str>, config: Option<&[u8]>) -> Content {
    match Served::read(Digest::sha256(document), document, content_type).expect("a document") {
        Served::Whole(content) => content,
        Served::Image(image) => {
            let config = config.expect("its config");
            image.with(ImageConfig::parse(config).expect("a config"), Some(config))
        }
    }
}

#[test]
fn gives_back_what_was_kept() {
    let (manifest, config, content) = image();
    let value = pack(&content, &manifest, Some(&config)).expect("an image is kept");
    let found = unpack(&content.digest, &value, true).expect("what was kept");
    let Known::Image { image, .. } = &found.known else { panic!("an image") };
    assert_eq!(
        (image.raw_config.as_ref().expect("kept").to_vec(), found.length),
        (config, manifest.len() as u64)
    );

    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [] });
    let index = index.to_string().into_bytes();
    let content = read(&index, None, None);
    let value = pack(&content, &index, None).expect("an index is kept");
    assert!(matches!(unpack(&content.digest, &value, true).expect("it").known, Known::Index(_)));
}

#[test]
fn what_does_not_have_its_digest_is_nothing() {
    let (manifest, config, content) = image();
    let value = pack(&content, &manifest, Some(&config)).expect("an image is kept");
    let changed = |at: usize, to: u8| {
        let mut value = value.clone();
        value[at] = to;
        value
    };
    let rows = [
        ("nothing", Vec::new()),
        ("less than a length", vec![0, 0]),
        ("a length beyond the end", changed(0, 255)),
        ("a shorter length", changed(3, value[3] - 1)),
        ("another manifest", changed(HEAD + 1, b'x')),
        ("another config", changed(value.len() - 2, b' ')),
        ("no config", value[..HEAD + manifest.len()].to_vec()),
        ("more config", [&value[..], b" "].concat()),
    ];
    for (name, value) in rows {
        assert!(unpack(&content.digest, &value, true).is_none(), "{name}");
    }
    assert!(unpack(&Digest::sha256(b"another"), &value, true).is_none(), "another digest");
}

#[test]
fn what_only_a_header_said_is_not_kept() {
    let (manifest, config, _) = image();
    let mut without: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    without.as_object_mut().expect("an object").remove("mediaType");
    let without = without.to_string().into_bytes();
    let docker = Some("application/vnd.docker.distribution.manifest.v2+json");
    let content = read(&without, docker, Some(&config));
    assert!(pack(&content, &without, Some(&config)).is_none(), "others would take it for OCI's");
    let content = read(&without, Some(MANIFEST), Some(&config));
    assert!(pack(&content, &without, Some(&config)).is_some(), "both say the same");
}
