//! Configs: what is read is JSON that Go would read the same: no two keys of one structure are one to it.
#![no_main]

use hullmark::image::ImageConfig;
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = ImageConfig::parse(bytes) else { return };
    let document: Value = serde_json::from_slice(bytes).expect("what is read is JSON");
    let fold = |key: &str| key.replace('\u{17f}', "s").replace('\u{212a}', "k").to_lowercase();
    for object in [Some(&document), document.get("config")].into_iter().flatten().filter_map(Value::as_object) {
        let mut folded: Vec<_> = object.keys().map(|key| fold(key)).collect();
        folded.sort();
        let all = folded.len();
        folded.dedup();
        assert_eq!(folded.len(), all, "{document}");
    }
    assert_eq!(ImageConfig::parse(bytes).as_ref(), Ok(&config));
});
