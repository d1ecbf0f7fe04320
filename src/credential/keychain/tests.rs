use super::*;

fn basic(name: &str) -> Credentials {
    Credentials::Basic { username: name.to_owned(), password: "secret".to_owned() }
}

/// The user names that a keychain with `keys` gives for `image`; each key is its own user name.
fn users(keys: &[&str], image: &str) -> Vec<String> {
    let mut keychain = Keychain::default();
    for key in keys {
        keychain.add(key, basic(key));
    }
    keychain
        .lookup(&image.parse().expect("a valid reference"))
        .into_iter()
        .map(|found| match found {
            Credentials::Basic { username, .. } => username,
            other => panic!("unexpected {other:?}"),
        })
        .collect()
}

#[test]
fn keys_match_as_the_kubelet_matches_them() {
    let rows: &[(&str, &str, &str, bool)] = &[
        ("host", "acme.io", "acme.io/app", true),
        ("other host", "acme.io", "acme.com/app", false),
        ("https scheme", "https://acme.io", "acme.io/app", true),
        ("http scheme", "http://acme.io", "acme.io/app", true),
        ("/v1/ is no path", "https://acme.io/v1/", "acme.io/app", true),
        ("/v2/ is no path", "acme.io/v2/", "acme.io/app", true),
        ("/v2 without a slash is a path", "acme.io/v2", "acme.io/app", false),
        ("path after /v1/", "acme.io/v1/team", "acme.io/team/app", true),
        ("trailing slash", "acme.io/", "acme.io/app", true),
        ("path", "acme.io/team", "acme.io/team/app", true),
        ("other path", "acme.io/team", "acme.io/other/app", false),
        ("a path is a plain prefix", "acme.io/team", "acme.io/teams/app", true),
        ("path with a slash at its end", "acme.io/team/", "acme.io/teams/app", false),
        ("glob in a label", "*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu.amazonaws.com/app", true),
        ("a glob never crosses a dot", "*.amazonaws.com", "1.dkr.amazonaws.com/app", false),
        ("a glob in the middle", "reg*.acme.io", "registry.acme.io/app", true),
        ("class", "reg[0-9].acme.io", "reg7.acme.io/app", true),
        ("malformed glob", "reg[.acme.io", "reg7.acme.io/app", false),
        ("port", "acme.io:5000", "acme.io:5000/app", true),
        ("absent port", "acme.io", "acme.io:5000/app", false),
        ("443 is not the absent port", "acme.io:443", "acme.io/app", false),
        ("no glob in a port", "acme.io:*", "acme.io:5000/app", false),
        ("IPv6", "[::1]:5000", "[::1]:5000/app", true),
        ("IPv6, other port", "[::1]:5001", "[::1]:5000/app", false),
        ("Docker Hub's legacy key", "https://index.docker.io/v1/", "nginx", true),
        ("Docker Hub's index", "index.docker.io", "nginx", true),
        ("Docker Hub by domain", "docker.io", "nginx", true),
        ("Docker Hub, one namespace", "docker.io/acme", "docker.io/acme/app", true),
        ("Docker Hub, another namespace", "docker.io/acme", "nginx", false),
        ("a path below the index is not the default", "index.docker.io/acme", "acme/app", false),
        ("registry-1 is another host", "registry-1.docker.io", "nginx", false),
        ("user info is no part of the host", "https://user@acme.io", "acme.io/app", true),
        ("empty key", "", "acme.io/app", false),
        ("scheme alone", "https://", "acme.io/app", false),
        ("a space is no host", "acme.io ", "acme.io/app", false),
    ];
    for (name, key, image, expected) in rows {
        assert_eq!(!users(&[key], image).is_empty(), *expected, "{name}: {key} for {image}");
    }
}

#[test]
fn all_matches_are_given_in_reverse_order_of_their_keys() {
    let keys = ["acme.io", "*.io", "acme.io/team", "acme.io/team/app", "acme.io/other"];
    assert_eq!(users(&keys, "acme.io/team/app:1"), ["acme.io/team/app", "acme.io/team", "acme.io", "*.io"]);
}

#[test]
fn entries_of_one_key_keep_their_order() {
    let mut keychain = Keychain::default();
    keychain.add("acme.io", basic("first"));
    let mut second = Keychain::default();
    second.add("https://acme.io/v2/", basic("second"));
    keychain.extend(second);
    let reference = "acme.io/app".parse().expect("a valid reference");
    assert_eq!(keychain.lookup(&reference), [basic("first"), basic("second")]);
}

#[test]
fn the_default_registry_is_asked_only_when_nothing_else_matches() {
    assert_eq!(users(&["index.docker.io", "docker.io"], "nginx"), ["docker.io"]);
}

#[test]
fn several_keychains_are_searched_as_one() {
    let basic = |name: &str| Credentials::Basic { username: name.to_owned(), password: String::new() };
    let keychain = |rows: &[(&str, &str)]| {
        let mut keychain = Keychain::default();
        for (key, name) in rows {
            keychain.add(key, basic(name));
        }
        keychain
    };
    let first = keychain(&[("ghcr.io", "broad"), ("https://index.docker.io/v1/", "hub")]);
    let second = keychain(&[("ghcr.io/team", "exact"), ("ghcr.io", "later"), ("docker.io", "plain")]);
    for (image, expected) in [
        ("ghcr.io/team/app", &["exact", "broad", "later"][..]),
        ("ghcr.io/other/app", &["broad", "later"]),
        ("nginx", &["plain"]),
        ("quay.io/app", &[]),
    ] {
        let found = Keychain::lookup_in(&[&first, &second], &image.parse().unwrap());
        assert_eq!(found, expected.iter().map(|name| basic(name)).collect::<Vec<_>>(), "{image}");
    }
}
