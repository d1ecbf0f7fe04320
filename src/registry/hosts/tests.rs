use super::*;
use std::fs;

/// A hosts folder with these files, each a path and its content.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    folder
}

fn load(files: &[(&str, &str)]) -> Hosts {
    Hosts::load(folder(files).path()).unwrap_or_else(|e| panic!("{e}"))
}

fn first(hosts: &Hosts, domain: &str) -> Endpoint {
    hosts.endpoints(domain, false).expect("endpoints")[0].as_ref().clone()
}

fn base(hosts: &Hosts, domain: &str) -> String {
    first(hosts, domain).base.to_string()
}

fn certificate() -> String {
    rcgen::generate_simple_self_signed(["reg.io".to_owned()]).expect("a certificate").cert.pem()
}

#[test]
fn registries_are_found_where_the_file_says() {
    let rows = [
        ("no file", "other", "", "reg.io", "https://reg.io/v2/"),
        ("no file, port", "other", "", "reg.io:5000", "https://reg.io:5000/v2/"),
        ("no file, IPv6", "other", "", "[2001:db8::1]:5000", "https://[2001:db8::1]:5000/v2/"),
        ("Docker Hub", "other", "", "docker.io", "https://registry-1.docker.io/v2/"),
        ("empty file", "reg.io", "", "reg.io", "https://reg.io/v2/"),
        ("server", "reg.io", "server = 'https://mirror.io'", "reg.io", "https://mirror.io/v2/"),
        ("plain http", "reg.io", "server = 'http://reg.io:80'", "reg.io", "http://reg.io/v2/"),
        ("no scheme", "reg.io", "server = 'mirror.io:5000'", "reg.io", "https://mirror.io:5000/v2/"),
        ("path", "reg.io", "server = 'https://m.io/x/'", "reg.io", "https://m.io/x/v2/"),
        ("/v2 is there", "reg.io", "server = 'https://m.io/v2'", "reg.io", "https://m.io/v2/"),
        (
            "override_path",
            "reg.io",
            "override_path = true\nserver = 'https://m.io/v2/x'",
            "reg.io",
            "https://m.io/v2/x/",
        ),
        ("port in the folder", "reg.io:5000", "server = 'http://m.io'", "reg.io:5000", "http://m.io/v2/"),
        ("containerd's form", "reg.io_5000_", "server = 'http://m.io'", "reg.io:5000", "http://m.io/v2/"),
        ("other port", "reg.io", "server = 'http://m.io'", "reg.io:5000", "https://reg.io:5000/v2/"),
        ("IPv6 folder", "[::1]_5000_", "server = 'http://m.io'", "[::1]:5000", "http://m.io/v2/"),
        ("default folder", "_default", "server = 'http://m.io'", "any.io", "http://m.io/v2/"),
        (
            "Docker Hub's folder",
            "docker.io",
            "server = 'https://docker.io'",
            "docker.io",
            "https://registry-1.docker.io/v2/",
        ),
        ("host table", "reg.io", "[host.'https://m.io']", "reg.io", "https://m.io/v2/"),
        (
            "hosts in the order of the file",
            "reg.io",
            "[host.'https://z.io']\n[host.'https://a.io']",
            "reg.io",
            "https://z.io/v2/",
        ),
        (
            "first host that can resolve",
            "reg.io",
            "[host.'https://z.io']\ncapabilities = ['pull']\n[host.'https://a.io']\ncapabilities = ['pull', 'resolve']",
            "reg.io",
            "https://a.io/v2/",
        ),
        (
            "no host that can resolve",
            "reg.io",
            "[host.'https://z.io']\ncapabilities = ['pull']",
            "reg.io",
            "https://reg.io/v2/",
        ),
    ];
    for (name, file, content, domain, expected) in rows {
        let hosts = load(&[(&format!("{file}/hosts.toml"), content)]);
        assert_eq!(base(&hosts, domain), expected, "{name}");
    }
}

#[test]
fn bad_files_are_refused_with_their_place() {
    let rows = [
        ("not TOML", "server = ", ":1: "),
        (
            "unknown key",
            "\nskip_verfiy = true",
            ":2: there is no key `skip_verfiy`; did you mean `skip_verify`?",
        ),
        ("unknown key, nothing near", "colour = 'red'", "there is no key `colour`"),
        ("server in a table", "[host.'https://m.io']\nserver = 'x'", ":2: there is no key `server`"),
        ("server of another type", "server = 7", "`server` is not a string"),
        ("ftp", "server = 'ftp://reg.io'", "http or https"),
        ("user in the URL", "server = 'https://u:hunter2@reg.io'", "http or https"),
        ("flag of another type", "skip_verify = 'yes'", "neither true nor false"),
        ("unknown capability", "[host.'https://m.io']\ncapabilities = ['fly']", "no capability `fly`"),
        ("limits that are no table", "hullmark = 3", "`hullmark` is not a table"),
        (
            "unknown limit",
            "[hullmark]\ninflight = 3",
            ":2: there is no key `inflight`; did you mean `in_flight`?",
        ),
        ("limit that is none", "hullmark = { in_flight = 0 }", "`in_flight` is not a number from 1 to 1000"),
        ("limit that is no number", "hullmark = { tries = '3' }", "`tries` is not a number from 1 to 10"),
        ("time without a unit", "dial_timeout = '3'", "`dial_timeout` is not a time such as \"500ms\""),
        ("time that is none", "dial_timeout = '0s'", "`dial_timeout` is not a time"),
        ("time that is past", "hullmark = { idle_timeout = '-1s' }", "`idle_timeout` is not a time"),
        ("host that is no table", "host = 'x'", "`host` is not a table"),
        ("missing certificate", "ca = 'none.pem'", "none.pem: No such file"),
        ("certificate that is none", "ca = ['hosts.toml']", "holds no PEM certificate"),
        ("certificate of another type", "ca = 7", "neither a string nor a list"),
        ("missing client certificate", "client = 'none.pem'", "none.pem: No such file"),
        ("client certificate that is none", "client = 'hosts.toml'", "`client` is not a certificate"),
        ("headers that are no table", "header = 'x: hunter2'", "`header` is not a table"),
        ("header without a name", "[header]\n'a b' = 'hunter2'", "has no name that HTTP takes"),
        (
            "header on two lines",
            "[header]\nx = \"hunter2\\n\"",
            "the header \"x\" has a value that HTTP does not take",
        ),
    ];
    for (name, content, expected) in rows {
        let folder = folder(&[("reg.io/hosts.toml", content)]);
        let refused = Hosts::load(folder.path()).expect_err(name).to_string();
        assert!(refused.contains(expected), "{name}: {refused}");
        assert!(refused.contains("reg.io/hosts.toml") && !refused.contains("hunter2"), "{name}: {refused}");
    }
    let empty = folder(&[("reg.io/ca.crt", "")]);
    assert!(Hosts::load(empty.path()).expect_err("no file").to_string().contains("needs one"));
    assert!(Hosts::load(Path::new("/does/not/exist")).is_err());
}

#[test]
fn certificates_are_read_from_the_files_folder() {
    let pem = certificate();
    let toml = "ca = ['a.pem', 'sub/b.pem']\nskip_verify = true";
    let hosts = load(&[("reg.io/hosts.toml", toml), ("reg.io/a.pem", &pem), ("reg.io/sub/b.pem", &pem)]);
    let tls = first(&hosts, "reg.io").profile;
    assert_eq!(*tls.roots, *format!("{pem}\n{pem}\n").as_bytes());
    assert!(tls.skip_verify);
}

#[test]
fn what_is_not_honoured_is_said() {
    let pair = identity();
    let toml = "[host.'https://m.io']\nclient = ['a.pem', 'b.pem']";
    let files = [("reg.io/hosts.toml", toml), ("reg.io/a.pem", &pair), ("reg.io/b.pem", &pair)];
    let notes = load(&files).notes().join("\n");
    assert!(notes.contains(":2: only the first `client`"), "{notes}");
    for (toml, said) in [("skip_verify = true", true), ("skip_verify = false", false)] {
        let notes = load(&[("reg.io/hosts.toml", toml)]).notes().join("\n");
        assert_eq!(
            notes.contains("reg.io/hosts.toml:1: `skip_verify` takes any certificate"),
            said,
            "{notes}"
        );
    }
}

#[test]
fn a_host_has_limits_of_its_own() {
    let toml = "dial_timeout = '500ms'\n[hullmark]\nin_flight = 4\n[host.'https://m.io']\n\
                dial_timeout = '1m30s'\nhullmark = { tries = 1, idle_timeout = '2s' }";
    let hosts = load(&[("reg.io/hosts.toml", toml)]);
    let found = hosts.endpoints("reg.io", false).expect("endpoints");
    let [mirror, registry] = found.as_slice() else { panic!("two") };
    assert_eq!(mirror.limits, Limits { in_flight: None, tries: Some(1) });
    assert_eq!(mirror.profile.dial_timeout, Some(Duration::from_secs(90)));
    assert_eq!(mirror.profile.idle_timeout, Some(Duration::from_secs(2)));
    assert_eq!(registry.limits, Limits { in_flight: Some(4), tries: None });
    assert_eq!(registry.profile.dial_timeout, Some(Duration::from_millis(500)));
    let other = hosts.manners(&"https://cdn.io/x".parse().expect("a URL"), registry);
    assert_eq!(other.1, Limits::default(), "they are that host's alone");
}

/// A certificate with its key.
fn identity() -> String {
    let made = rcgen::generate_simple_self_signed(["me".to_owned()]).expect("a certificate");
    made.cert.pem() + &made.signing_key.serialize_pem()
}

#[test]
fn mirrors_come_in_order_and_the_registry_last() {
    let rows: [(&str, &str, bool, &[&str]); 7] = [
        ("no file", "", false, &["https://reg.io/v2/"]),
        (
            "two mirrors",
            "[host.'https://z.io']\n[host.'https://a.io']",
            false,
            &["https://z.io/v2/", "https://a.io/v2/", "https://reg.io/v2/"],
        ),
        (
            "another server",
            "server = 'https://s.io'\n[host.'https://z.io']",
            false,
            &["https://z.io/v2/", "https://s.io/v2/"],
        ),
        (
            "one that serves content only, for a tag",
            "[host.'https://z.io']\ncapabilities = ['pull']",
            false,
            &["https://reg.io/v2/"],
        ),
        (
            "the same, for a digest",
            "[host.'https://z.io']\ncapabilities = ['pull']",
            true,
            &["https://z.io/v2/", "https://reg.io/v2/"],
        ),
        ("one for pushing", "[host.'https://z.io']\ncapabilities = ['push']", true, &["https://reg.io/v2/"]),
        ("the registry as its own mirror", "[host.'https://reg.io']", false, &["https://reg.io/v2/"]),
    ];
    for (name, toml, by_digest, expected) in rows {
        let hosts = load(&[("reg.io/hosts.toml", toml)]);
        let found = hosts.endpoints("reg.io", by_digest).expect("endpoints");
        let bases: Vec<&str> = found.iter().map(|endpoint| endpoint.base.as_str()).collect();
        assert_eq!(bases, expected, "{name}");
    }
}

#[test]
fn headers_and_client_certificates_are_of_their_host_and_never_printed() {
    let pair = identity();
    let (certificate, key) = pair.split_at(pair.find("-----BEGIN PRIVATE").expect("a key"));
    let toml = "[host.'https://m.io']\nclient = [['c.pem', 'k.pem']]\n\
                [host.'https://m.io'.header]\nx-team = ['shop', 'web']\nauthorization = 'Basic hunter2'";
    let hosts = load(&[("reg.io/hosts.toml", toml), ("reg.io/c.pem", certificate), ("reg.io/k.pem", key)]);
    let found = hosts.endpoints("reg.io", false).expect("endpoints");
    let mut headers: Vec<String> = found[0]
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
        .collect();
    headers.sort();
    assert_eq!(headers, ["authorization: Basic hunter2", "x-team: shop", "x-team: web"]);
    assert!(found[0].profile.identity.is_some() && found[1].profile.identity.is_none());
    assert!(found[1].headers.is_empty());
    let printed = format!("{hosts:?} {found:?}");
    assert!(!printed.contains("hunter2") && !printed.contains("PRIVATE"), "{printed}");
    let other = hosts.manners(&"https://cdn.io/x".parse().expect("a URL"), &found[0]).0;
    assert_eq!(other.identity, None, "another host gets no certificate of ours");
}

#[test]
fn mirrors_are_told_the_registry_and_not_trusted_with_its_credentials() {
    let hosts = load(&[
        ("reg.io/hosts.toml", "server = 'https://server.io'"),
        ("mirrored.io/hosts.toml", "[host.'https://m.io']"),
        ("docker.io/hosts.toml", "[host.'https://registry-1.docker.io']"),
    ]);
    let found = |domain: &str| {
        let endpoint = first(&hosts, domain);
        (endpoint.namespace, endpoint.trusted)
    };
    assert_eq!(found("reg.io"), (Some("reg.io".to_owned()), true), "`server` is the registry, elsewhere");
    assert_eq!(found("mirrored.io"), (Some("mirrored.io".to_owned()), false));
    assert_eq!(found("docker.io"), (None, true));
    assert_eq!(found("plain.io"), (None, true));
}

#[test]
fn other_hosts_are_judged_by_their_own_settings_else_by_the_registrys_roots() {
    let pem = certificate();
    let hosts = load(&[
        ("reg.io/hosts.toml", "ca = 'ca.pem'\nskip_verify = true"),
        ("reg.io/ca.pem", &pem),
        ("auth.io/hosts.toml", "server = 'https://auth.io'"),
        ("lab.io/hosts.toml", "server = 'http://lab.io:5000'"),
    ]);
    let via = first(&hosts, "reg.io");
    let profile = |url: &str| hosts.manners(&url.parse().expect("a URL"), &via).0;
    assert_eq!(profile("https://reg.io/x"), via.profile);
    assert!(profile("https://reg.io:8443/token").skip_verify, "the same name on another port");
    assert_eq!(profile("https://auth.io/token"), ConnectionProfile::default());
    let elsewhere = profile("https://cdn.io/x");
    assert!(!elsewhere.skip_verify && !elsewhere.roots.is_empty());
    let plain = |url: &str| hosts.allows_plain_http(&url.parse().expect("a URL"));
    assert!(plain("http://lab.io:5000/token") && !plain("http://lab.io/token") && !plain("http://reg.io/"));
}

#[test]
fn the_documented_file_means_what_it_says() {
    let page = include_str!("../../../docs/registries.md");
    let toml = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let toml = toml.replace("/registry-secrets/acme-ca/ca.crt", "ca.crt");
    let (pair, ca) = (identity(), certificate());
    let (certificate, key) = pair.split_at(pair.find("-----BEGIN PRIVATE").expect("a key"));
    let hosts = load(&[
        ("docker.io/hosts.toml", &toml),
        ("docker.io/ca.crt", &ca),
        ("docker.io/client.crt", certificate),
        ("docker.io/client.key", key),
    ]);
    assert_eq!(hosts.notes(), Vec::<String>::new());
    let found = hosts.endpoints("docker.io", false).expect("endpoints");
    let [mirror, registry] = found.as_slice() else { panic!("two: {found:?}") };
    assert_eq!(mirror.base.as_str(), "https://mirror.acme.io/v2/");
    assert_eq!(mirror.limits, Limits { in_flight: Some(8), tries: Some(2) });
    assert_eq!(mirror.profile.dial_timeout, Some(Duration::from_secs(1)));
    assert_eq!(mirror.profile.idle_timeout, Some(Duration::from_secs(2)));
    assert!(mirror.profile.identity.is_some() && !mirror.profile.roots.is_empty());
    assert_eq!(registry.base.as_str(), "https://registry-1.docker.io/v2/");
}
