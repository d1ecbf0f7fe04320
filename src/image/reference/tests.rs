use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Input, and what the kubelet reads it as.
fn valid() -> Vec<(String, String)> {
    let sha256 = format!("sha256:{HEX}");
    let sha512 = format!("sha512:{HEX}{HEX}");
    let long = "a".repeat(255);
    let tag = "t".repeat(128);
    let rows: Vec<(&str, &str)> = vec![
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("library/nginx", "docker.io/library/nginx:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/a/b:c", "docker.io/a/b:c"),
        ("registry-1.docker.io/nginx", "registry-1.docker.io/nginx:latest"),
        ("bitnami/redis", "docker.io/bitnami/redis:latest"),
        ("a/b/c/d:e", "docker.io/a/b/c/d:e"),
        ("ghcr.io/acme/app:1.2", "ghcr.io/acme/app:1.2"),
        ("quay.io/app", "quay.io/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("localhost", "docker.io/library/localhost:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("reg:5000", "docker.io/library/reg:5000"),
        ("reg:5000/x", "reg:5000/x:latest"),
        ("reg:5000/x:y", "reg:5000/x:y"),
        ("FOO/bar", "FOO/bar:latest"),
        ("Docker/docker", "Docker/docker:latest"),
        ("LOCALHOST/app", "LOCALHOST/app:latest"),
        ("foo/bar", "docker.io/foo/bar:latest"),
        ("foo.io/bar", "foo.io/bar:latest"),
        ("1.2.3.4/app", "1.2.3.4/app:latest"),
        ("1.2.3.4:80/app", "1.2.3.4:80/app:latest"),
        ("169.254.169.254/x", "169.254.169.254/x:latest"),
        ("[::1]/app", "[::1]/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("[fd00:1:2::3]:75050/app:v1", "[fd00:1:2::3]:75050/app:v1"),
        ("reg.io:99999/app", "reg.io:99999/app:latest"),
        ("xn--n3h.com/myimage:xn--n3h", "xn--n3h.com/myimage:xn--n3h"),
        ("a__b", "docker.io/library/a__b:latest"),
        ("a_b", "docker.io/library/a_b:latest"),
        ("a--b", "docker.io/library/a--b:latest"),
        ("a-----b", "docker.io/library/a-----b:latest"),
        ("a.b", "docker.io/library/a.b:latest"),
        ("1", "docker.io/library/1:latest"),
        ("0/0:0", "docker.io/0/0:0"),
        ("x:_", "docker.io/library/x:_"),
        ("x:V1.0-rc_1", "docker.io/library/x:V1.0-rc_1"),
        ("sha256:abc", "docker.io/library/sha256:abc"),
        ("a-b.c-d.io/x", "a-b.c-d.io/x:latest"),
    ];
    let mut rows: Vec<(String, String)> =
        rows.into_iter().map(|(input, expected)| (input.to_owned(), expected.to_owned())).collect();
    for (input, expected) in [
        (format!("nginx@{sha256}"), format!("docker.io/library/nginx@{sha256}")),
        (format!("nginx:1.27@{sha256}"), format!("docker.io/library/nginx:1.27@{sha256}")),
        (format!("ghcr.io/a/b@{sha512}"), format!("ghcr.io/a/b@{sha512}")),
        (format!("[::1]:5000/x@{sha256}"), format!("[::1]:5000/x@{sha256}")),
        (format!("reg.io/{long}"), format!("reg.io/{long}:latest")),
        (format!("x:{tag}"), format!("docker.io/library/x:{tag}")),
        (format!("a/{HEX}"), format!("docker.io/a/{HEX}:latest")),
        (format!("{HEX}:tag"), format!("docker.io/library/{HEX}:tag")),
    ] {
        rows.push((input, expected));
    }
    rows
}

#[test]
fn references_are_read_as_the_kubelet_reads_them() {
    for (input, expected) in valid() {
        let reference: Reference = input.parse().unwrap_or_else(|why| panic!("{input:?}: {why}"));
        assert_eq!(reference.to_string(), expected, "{input:?}");
        let again: Reference = expected.parse().unwrap();
        assert_eq!(again, reference, "the normal form of {input:?} is read as itself");
    }
}

#[test]
fn bad_references_say_what_is_wrong_with_them() {
    let long_path = format!("reg.io/{}", "a".repeat(256));
    let long_tag = format!("x:{}", "t".repeat(129));
    let image_id = format!("sha256:{HEX}");
    let long_image_id = format!("sha512:{HEX}{HEX}");
    let upper_digest = format!("x@sha256:{}", HEX.to_uppercase());
    let rows: Vec<(&str, &str)> = vec![
        ("", "is empty"),
        (" nginx", "white space"),
        ("nginx\n", "white space"),
        ("nginx ", "white space"),
        ("https://ghcr.io/a/b", "remove \"https://\""),
        ("docker://nginx", "remove \"docker://\""),
        (HEX, "image ID"),
        (&image_id, "local image ID"),
        (&long_image_id, "local image ID"),
        ("user:hunter2@reg.io/x", "credentials before its registry"),
        ("nginx@sha256:00/x", "a digest comes last"),
        ("Nginx", "must be lowercase: write \"library/nginx\""),
        ("ghcr.io/Acme/app", "write \"acme/app\""),
        ("foo/Bar", "must be lowercase"),
        ("nginx:", "the tag is empty"),
        ("nginx:@sha256:00", "the tag is empty"),
        ("nginx:.x", "is not a tag"),
        ("nginx:-x", "is not a tag"),
        ("nginx:a b", "is not a tag"),
        ("nginx:a:b", "is not a tag"),
        ("nginx:ä", "is not a tag"),
        (&long_tag, "has 129 characters"),
        ("nginx@", "bad digest"),
        ("nginx@sha256:", "bad digest"),
        ("nginx@sha256:00", "has 64 hex characters, this one has 2"),
        ("nginx@md5:d41d8cd98f00b204e9800998ecf8427e", "\"md5\" is not supported"),
        ("nginx@sha384:00", "\"sha384\" is not supported"),
        (&upper_digest, "lower case"),
        ("nginx@tag", "bad digest"),
        ("@sha256:00", "empty part"),
        ("nginx/", "empty part"),
        ("/nginx", "empty part"),
        ("a//b", "empty part"),
        ("ghcr.io/", "empty part"),
        ("ghcr.io//x", "empty part"),
        ("example.com/../app", "\"..\" is not a part"),
        ("a..b", "is not a part"),
        ("a___b", "is not a part"),
        ("a._b", "is not a part"),
        ("_a", "is not a part"),
        ("a-", "is not a part"),
        ("a%2eb", "is not a part"),
        ("a?b", "is not a part"),
        ("a#b", "is not a part"),
        ("a b", "is not a part"),
        ("a\u{0}b", "\\u{0}"),
        ("a\nb", "is not a part"),
        ("nginx:a\u{1b}[31m", "is not a tag"),
        ("möbel/app", "is not a part"),
        ("my_registry:5000/x", "no \"_\""),
        ("my_registry.io/x", "no \"_\""),
        ("-a.io/x", "is not a part of a host name"),
        ("a.io-/x", "is not a part of a host name"),
        (".io/x", "a part of its name is empty"),
        ("a..io/x", "a part of its name is empty"),
        ("reg:/x", "the port is not a number"),
        ("reg:80a/x", "the port is not a number"),
        ("reg:80:80/x", "the port is not a number"),
        (":80/x", "a part of its name is empty"),
        ("[::1/x", "\"]\" is missing"),
        ("[fe80::1%25eth0]/x", "not an IPv6 address"),
        ("[::ffff:1.2.3.4]/x", "not an IPv6 address"),
        ("[]/x", "is not a part of a repository name"),
        ("[]:80/x", "not an IPv6 address"),
        ("[::1]5000/x", "the port is not a number"),
        ("::1/x", "a part of its name is empty"),
        (&long_path, "has 256 characters"),
    ];
    for (input, why) in rows {
        let error = input.parse::<Reference>().expect_err(input).to_string();
        assert!(error.contains(why), "{input:?}: {error}");
        assert!(!error.chars().any(char::is_control), "{input:?}: {error:?}");
        assert!(!error.contains("hunter2"), "no secret is shown: {error}");
    }
}

#[test]
fn the_digest_is_pulled_and_the_tag_is_kept() {
    let reference: Reference = format!("nginx:1.27@sha256:{HEX}").parse().unwrap();
    assert_eq!(reference.manifest_reference(), format!("sha256:{HEX}"));
    assert_eq!(reference.tag(), Some("1.27"));
    let tagged: Reference = "ghcr.io/a/b".parse().unwrap();
    assert_eq!((tagged.domain(), tagged.path(), tagged.name().as_str()), ("ghcr.io", "a/b", "ghcr.io/a/b"));
    assert_eq!(tagged.manifest_reference(), "latest");
}
