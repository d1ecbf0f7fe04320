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

fn base(hosts: &Hosts, domain: &str) -> String {
    hosts.endpoint(domain).expect("an endpoint").base.to_string()
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
        ("host that is no table", "host = 'x'", "`host` is not a table"),
        ("missing certificate", "ca = 'none.pem'", "none.pem: No such file"),
        ("certificate that is none", "ca = ['hosts.toml']", "holds no PEM certificate"),
        ("certificate of another type", "ca = 7", "neither a string nor a list"),
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
    let tls = hosts.endpoint("reg.io").expect("an endpoint").tls;
    assert_eq!(*tls.roots, *format!("{pem}\n{pem}\n").as_bytes());
    assert!(tls.skip_verify);
}

#[test]
fn what_is_not_honoured_is_said() {
    let toml = "dial_timeout = '1s'\n[host.'https://m.io']\nclient = 'x.pem'\n[host.'https://n.io'.header]\nx = 'hunter2'";
    let notes = load(&[("reg.io/hosts.toml", toml)]).notes().join("\n");
    for expected in [":1: `dial_timeout`", ":3: `client`", "`header`", "only the first that can pull"] {
        assert!(notes.contains(expected), "{expected} is not in {notes}");
    }
    assert!(!notes.contains("hunter2"));
}

#[test]
fn mirrors_are_told_the_registry_and_not_trusted_with_its_credentials() {
    let hosts = load(&[
        ("reg.io/hosts.toml", "server = 'https://server.io'"),
        ("mirrored.io/hosts.toml", "[host.'https://m.io']"),
        ("docker.io/hosts.toml", "[host.'https://registry-1.docker.io']"),
    ]);
    let found = |domain: &str| {
        let endpoint = hosts.endpoint(domain).expect("an endpoint");
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
    let via = hosts.endpoint("reg.io").expect("an endpoint");
    let profile = |url: &str| hosts.profile(&url.parse().expect("a URL"), &via);
    assert_eq!(profile("https://reg.io/x"), via.tls);
    assert!(profile("https://reg.io:8443/token").skip_verify, "the same name on another port");
    assert_eq!(profile("https://auth.io/token"), TlsProfile::default());
    let elsewhere = profile("https://cdn.io/x");
    assert!(!elsewhere.skip_verify && !elsewhere.roots.is_empty());
    let plain = |url: &str| hosts.allows_plain_http(&url.parse().expect("a URL"));
    assert!(plain("http://lab.io:5000/token") && !plain("http://lab.io/token") && !plain("http://reg.io/"));
}
