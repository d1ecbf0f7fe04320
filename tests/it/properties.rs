//! What holds for whatever strangers write: properties of the parsers, over generated input.

use hullmark::{
    credential::{Credentials, DockerConfig, Keychain, matches_image},
    image::{Digest, Document, ImageConfig, Reference},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

/// Names as distribution/reference's grammar makes them (reference.go: domain, path-component, tag, digest).
fn reference() -> impl Strategy<Value = String> {
    let domain = "([a-z][a-z0-9]{0,8}\\.[a-z]{2,3}|localhost|\\[[0-9a-f]{1,4}::1\\])(:[1-9][0-9]{0,3})?";
    let path = "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}(/[a-z0-9]{1,6}){0,2}";
    let tag = "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20})?";
    let digest = "(@sha256:[0-9a-f]{64})?";
    // Without a domain, a dot in the first component would make it one.
    let short = "[a-z0-9]{1,6}((_|__|-{1,3})[a-z0-9]{1,6}){0,2}(/[a-z0-9]{1,6})?";
    let either = format!("({domain}/{path}|{short}){tag}{digest}");
    proptest::string::string_regex(&either).expect("a pattern")
}

/// JSON with the names that matter, and others, in any order and shape.
fn json_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9:/ =]{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        proptest::sample::select(vec![
            "config",
            "manifests",
            "layers",
            "mediaType",
            "digest",
            "size",
            "User",
            "user",
            "Env",
            "Labels",
            "os",
            "architecture",
            "Entrypoint",
            "Cmd",
            "Volumes",
            "ExposedPorts",
            "StopSignal",
            "created",
            "history",
            "rootfs",
            "platform",
            "data",
            "annotations",
            "auths",
            "auth",
            "username",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z]{1,6}",
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((key.clone(), inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn references_of_the_grammar_are_read_and_print_as_themselves(text in reference()) {
        let read: Reference = text.parse().map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let printed = read.to_string();
        prop_assert_eq!(printed.parse(), Ok(read.clone()), "{}", printed);
        prop_assert!(read.domain().contains(['.', ':']) || read.domain() == "localhost", "{}", printed);
        prop_assert_eq!(text.contains('@'), read.digest().is_some());
    }

    #[test]
    fn any_text_is_a_reference_or_a_reason(text in "\\PC{0,40}") {
        match text.parse::<Reference>() {
            Ok(read) => prop_assert_eq!(read.to_string().parse::<Reference>(), Ok(read)),
            Err(reason) => prop_assert!(!reason.to_string().is_empty()),
        }
    }

    #[test]
    fn digests_are_exact(hex in "[0-9a-f]{64}", at in 0usize..64) {
        let digest: Digest = format!("sha256:{hex}").parse().expect("a digest");
        prop_assert_eq!(digest.to_string(), format!("sha256:{hex}"));
        let mut upper = hex.clone();
        upper.replace_range(at..=at, "A");
        let long = format!("sha256:{hex}0");
        for wrong in [format!("sha256:{upper}"), long] {
            prop_assert!(wrong.parse::<Digest>().is_err(), "{}", wrong);
        }
    }

    #[test]
    fn documents_never_surprise(document in json_like(), spoiled in any::<(usize, u8)>()) {
        let mut bytes = document.to_string().into_bytes();
        for _ in 0..2 {
            let config = ImageConfig::parse(&bytes);
            prop_assert_eq!(&ImageConfig::parse(&bytes), &config);
            if let Ok(read) = Document::parse(&bytes, None) {
                prop_assert_eq!(matches!(read, Document::Index(_)), document_is_index(&bytes));
            }
            let _ = DockerConfig::parse(&bytes);
            let (at, byte) = (spoiled.0 % bytes.len().max(1), spoiled.1);
            bytes[at] = byte;
        }
    }

    #[test]
    fn the_order_of_keys_says_nothing(user in "[a-z0-9:]{0,8}", label in "[a-z]{1,5}", turn in any::<bool>()) {
        let pairs = [("User", json!(user)), ("Labels", json!({ label: "x" })), ("Env", json!(["A=b"]))];
        let ordered = |turned: bool| {
            let each = pairs.iter().map(|(key, value)| format!("\"{key}\":{value}"));
            let mut each: Vec<_> = each.collect();
            if turned {
                each.reverse();
            }
            format!("{{\"os\":\"linux\",\"config\":{{{}}}}}", each.join(","))
        };
        prop_assert_eq!(ImageConfig::parse(ordered(turn).as_bytes()), ImageConfig::parse(ordered(!turn).as_bytes()));
    }

    #[test]
    fn credentials_are_found_by_keys_that_match_and_by_no_other(
        keys in vec("(\\*|[a-z]{1,3})\\.(acme|\\*)\\.io(:5000)?(/[a-z]{1,3})?", 1..6),
        host in "[a-z]{1,3}\\.(acme|other)\\.io(:5000)?",
        path in "[a-z]{1,3}/[a-z]{1,3}",
    ) {
        let mut keychain = Keychain::default();
        for key in &keys {
            keychain.add(key, Credentials::RegistryToken(key.clone()));
        }
        let reference: Reference = format!("{host}/{path}").parse().expect("a reference");
        let found = keychain.lookup(&reference);
        let mut expected: Vec<_> = keys.iter().filter(|key| matches_image(key, &reference)).cloned().collect();
        expected.sort_by(|a, b| b.cmp(a));
        let expected: Vec<_> = expected.into_iter().map(Credentials::RegistryToken).collect();
        prop_assert_eq!(found, expected);
    }
}

/// By the one field that only an index has.
fn document_is_index(bytes: &[u8]) -> bool {
    let document: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
    document.get("manifests").is_some_and(|manifests| !manifests.is_null())
}
