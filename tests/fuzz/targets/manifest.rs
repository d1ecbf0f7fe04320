//! Manifests and indexes: what is read is of one kind only, within limits, whatever its Content-Type says.
#![no_main]

use hullmark::image::Document;
use serde_json::Value;

const TYPES: [Option<&str>; 4] = [
    None,
    Some("application/vnd.oci.image.index.v1+json"),
    Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
    Some("text/plain"),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let found: Vec<_> = TYPES.into_iter().filter_map(|one| Document::parse(bytes, one).ok()).collect();
    let Some(first) = found.first() else { return };
    let document: Value = serde_json::from_slice(bytes).expect("what is read is JSON");
    let is_index = matches!(first, Document::Index(_));
    for other in &found {
        assert_eq!(matches!(other, Document::Index(_)), is_index, "{document}");
    }
    match first {
        Document::Index(index) => {
            assert!(index.manifests.len() <= 1000);
            assert!(document.get("config").is_none_or(Value::is_null), "{document}");
        }
        Document::Manifest(manifest) => {
            assert!(manifest.layers.len() <= 1000);
            assert!(document.get("manifests").is_none_or(Value::is_null), "{document}");
        }
    }
});
