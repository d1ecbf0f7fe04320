use super::*;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

fn parse(text: &str) -> DockerConfig {
    DockerConfig::parse(text.as_bytes()).expect("a valid file")
}

fn found(config: &DockerConfig) -> Vec<Credentials> {
    config.keychain.lookup(&"acme.io/app".parse().expect("a valid reference"))
}

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic { username: username.to_owned(), password: password.to_owned() }
}

#[test]
fn entries_are_read_as_the_kubelet_reads_them() {
    let padded = |text: &str| format!(r#"{{"auth":"{}"}}"#, BASE64_STANDARD.encode(text));
    let unpadded = |text: &str| format!(r#"{{"auth":"{}"}}"#, BASE64_STANDARD_NO_PAD.encode(text));
    let rows = [
        ("padded", padded("u:pw"), Some(basic("u", "pw"))),
        ("unpadded", unpadded("u:pw"), Some(basic("u", "pw"))),
        ("first colon splits", padded("u:p:w"), Some(basic("u", "p:w"))),
        ("nothing is trimmed", padded("u:pw\n"), Some(basic("u", "pw\n"))),
        ("robot account", padded("robot$ci:ü"), Some(basic("robot$ci", "ü"))),
        ("line breaks inside", r#"{"auth":"dTpw\r\ndw=="}"#.to_owned(), Some(basic("u", "pw"))),
        ("trailing bits", r#"{"auth":"dTpwdx=="}"#.to_owned(), Some(basic("u", "pw"))),
        ("user and password", r#"{"username":"u","password":"pw"}"#.to_owned(), Some(basic("u", "pw"))),
        (
            "auth overrides",
            r#"{"auth":"dTpwdw==","username":"x","password":"y"}"#.to_owned(),
            Some(basic("u", "pw")),
        ),
        (
            "identity token",
            r#"{"auth":"dTpwdw==","identitytoken":"t"}"#.to_owned(),
            Some(Credentials::IdentityToken("t".to_owned())),
        ),
        ("<token> user", padded("<token>:t"), Some(Credentials::IdentityToken("t".to_owned()))),
        (
            "registry token",
            r#"{"registrytoken":"t"}"#.to_owned(),
            Some(Credentials::RegistryToken("t".to_owned())),
        ),
        ("empty entry is anonymous", "{}".to_owned(), None),
        ("null entry is anonymous", "null".to_owned(), None),
        ("null fields are absent", r#"{"auth":null,"username":null}"#.to_owned(), None),
    ];
    for (name, entry, expected) in rows {
        let config = parse(&format!(r#"{{"auths":{{"acme.io":{entry}}}}}"#));
        assert_eq!(found(&config), Vec::from_iter(expected), "{name}");
        assert_eq!(config.problems, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_bad_entry_is_named_and_spoils_no_other() {
    let rows = [
        ("a space in base64", r#"{"auth":"dTpw dw=="}"#, "not base64"),
        ("padding that is missing in part", r#"{"auth":"dTpwdw="}"#, "not base64"),
        ("no colon", r#"{"auth":"dXB3"}"#, "a colon"),
        ("not UTF-8", r#"{"auth":"dTr/"}"#, "UTF-8"),
        ("a number", r#"{"auth":7}"#, "not a string"),
        ("not an object", r#""hunter2""#, "not an object"),
    ];
    for (name, entry, expected) in rows {
        let config = parse(&format!(
            r#"{{"auths":{{"bad.io":{entry},"acme.io":{{"username":"u","password":"pw"}}}}}}"#
        ));
        assert_eq!(found(&config), [basic("u", "pw")], "{name}");
        assert_eq!(config.problems.len(), 1, "{name}");
        let problem = &config.problems[0];
        assert!(problem.contains("bad.io") && problem.contains(expected), "{name}: {problem}");
        assert!(!problem.contains("hunter2") && !problem.contains("dTpw"), "{name}: {problem}");
    }
}

#[test]
fn legacy_files_have_no_wrapper() {
    let config = parse(r#"{"https://acme.io/v1/":{"auth":"dTpwdw==","email":"x@acme.io"}}"#);
    assert_eq!(found(&config), [basic("u", "pw")]);
}

#[test]
fn helpers_and_store_are_read() {
    let config = parse(
        r#"{"auths":{"acme.io":{}},"credHelpers":{"1.dkr.ecr.eu.amazonaws.com":"ecr-login","x":1},
            "credsStore":"desktop","HttpHeaders":{"User-Agent":"Docker"}}"#,
    );
    let expected = CredentialHelper {
        registry: "1.dkr.ecr.eu.amazonaws.com".to_owned(),
        helper: "ecr-login".to_owned(),
    };
    assert_eq!(config.helpers, [expected]);
    assert_eq!(config.store.as_deref(), Some("desktop"));
    assert_eq!(config.problems.len(), 1);
}

#[test]
fn a_config_without_credentials_is_empty() {
    for text in ["{}", r#"{"HttpHeaders":{"User-Agent":"x"},"detachKeys":"ctrl-e"}"#, r#"{"auths":null}"#] {
        let config = parse(text);
        assert!(config.keychain.is_empty() && config.problems.is_empty(), "{text}");
    }
}

#[test]
fn what_is_not_a_config_is_refused_without_quoting_it() {
    for text in ["", "hunter2", "[]", r#"{"auths":"hunter2"}"#, r#"{"credsStore":7}"#, r#"{"auths":{"a":"#] {
        let refused = DockerConfig::parse(text.as_bytes()).expect_err(text);
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
}
