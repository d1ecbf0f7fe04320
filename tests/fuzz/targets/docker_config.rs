//! Docker's config files: no image gets credentials but by a key that the kubelet would match, and no secret of the
//! file stands in an error.
#![no_main]

use hullmark::{
    credential::{DockerConfig, matches_image},
    image::Reference,
};
use serde_json::Value;

const IMAGES: [&str; 6] =
    ["nginx", "ghcr.io/acme/app:1", "reg.acme.io:5000/team/app", "localhost/x", "123.dkr.ecr.eu.amazonaws.com/a", "[::1]:5000/a"];
const SECRET: &str = "hunter2";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let config = match DockerConfig::parse(bytes) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.to_string().contains(SECRET), "{error}");
            return;
        }
    };
    let document: Value = serde_json::from_slice(bytes).expect("what is read is JSON");
    let entries = document.get("auths").unwrap_or(&document).as_object();
    let keys: Vec<&String> = entries.map(|map| map.keys().collect()).unwrap_or_default();
    for image in IMAGES {
        let reference: Reference = image.parse().expect("a reference");
        let found = config.keychain.lookup(&reference);
        assert!(found.len() <= keys.len());
        // Docker Hub has a key of its own.
        if reference.domain() != "docker.io" && !found.is_empty() {
            assert!(keys.iter().any(|key| matches_image(key, &reference)), "{image} {keys:?}");
        }
    }
});
