//! Normal forms, and which entries nodes choose; the tables were compared with containerd/platforms.

use super::*;

fn platform(text: &str) -> Platform {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// `-` is an entry without a platform.
fn entries(list: &[&str]) -> Vec<Option<Platform>> {
    list.iter().map(|text| (*text != "-").then(|| platform(text))).collect()
}

fn nodes(list: &[&str]) -> PlatformFilter {
    PlatformFilter { nodes: Some(list.iter().map(|text| platform(text)).collect()), terms: Vec::new() }
}

fn only(values: &[&str]) -> Allowed {
    Allowed { only: Some(values.iter().map(|value| (*value).to_owned()).collect()), except: BTreeSet::new() }
}

#[test]
fn one_platform_has_one_normal_form() {
    for (os, architecture, variant, normal) in [
        ("linux", "amd64", "", "linux/amd64"),
        ("linux", "amd64", "v1", "linux/amd64"),
        ("linux", "x86_64", "v2", "linux/amd64/v2"),
        ("Linux", "X86-64", "V3", "linux/amd64/v3"),
        ("linux", "i386", "v1", "linux/386"),
        ("linux", "aarch64", "", "linux/arm64"),
        ("linux", "arm64", "8", "linux/arm64"),
        ("linux", "arm64", "v8", "linux/arm64"),
        ("linux", "arm64", "v8.0", "linux/arm64"),
        ("linux", "arm64", "v8.2", "linux/arm64/v8.2"),
        ("linux", "arm64", "9", "linux/arm64/v9"),
        ("linux", "aarch64", "v9.0", "linux/arm64/v9"),
        ("linux", "arm", "", "linux/arm/v7"),
        ("linux", "arm", "7", "linux/arm/v7"),
        ("linux", "arm", "6", "linux/arm/v6"),
        ("linux", "arm", "v8", "linux/arm/v8"),
        ("linux", "armhf", "v6", "linux/arm/v7"),
        ("linux", "armel", "", "linux/arm/v6"),
        ("macOS", "arm64", "", "darwin/arm64"),
        ("linux", "ppc64le", "power9", "linux/ppc64le/power9"),
        ("", "amd64", "", "unknown/amd64"),
        ("lin\nux", "a\u{1b}", "\r", "lin\\nux/a\\u{1b}/\\r"),
    ] {
        let platform = Platform::new(os, architecture, Some(variant), None);
        assert_eq!(platform.to_string(), normal, "{os}/{architecture}/{variant}");
    }
}

#[test]
fn display_and_parse_agree() {
    for text in [
        "linux/amd64",
        "linux/arm/v6",
        "windows(10.0.20348.2113)/amd64",
        "linux(+erofs+x)/arm64/v9.2",
        "linux/386",
    ] {
        assert_eq!(platform(text).to_string(), text);
        assert_eq!(serde_json::to_value(platform(text)).unwrap(), text);
    }
    assert_eq!(platform("linux/arm64/v8"), platform("linux/aarch64"));
    assert_eq!(platform("windows(10.0.1+win32k)/amd64"), platform("windows(10.0.1)/amd64"));
}

#[test]
fn refuses_what_would_match_nothing() {
    for (text, why) in [
        ("", "such as linux/amd64"),
        ("amd64", "such as linux/amd64"),
        ("linux", "write linux/amd64"),
        ("linux/", "\"\" is not an architecture"),
        ("/amd64", "\"\" is not an operating system"),
        ("linux/amd46", "\"amd46\" is not an architecture"),
        ("linus/amd64", "\"linus\" is not an operating system"),
        ("linux/arm64/v8/x", "more than os/architecture/variant"),
        ("linux/arm64/v99", "arm64 has no variant \"v99\""),
        ("linux/arm64/", "arm64 has no variant \"\""),
        ("linux/amd64/v5", "amd64 has no variant \"v5\""),
        ("linux/arm/v4", "arm has no variant"),
        ("linux/*", "is not an architecture"),
        ("unknown/unknown", "is not an operating system"),
        ("windows(10.0/amd64", "is not closed"),
        ("windows(10/0)/amd64", "is not closed"),
        ("windows(1 0)/amd64", "the brackets hold"),
        ("linux(+)/amd64", "the brackets hold"),
        ("linux/amd64 ", "is not an architecture"),
    ] {
        let error = text.parse::<Platform>().expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn nodes_choose_as_containerd_does() {
    for (name, node, list, chosen) in [
        ("exact", "linux/amd64", &["linux/arm64", "linux/amd64"][..], &[1][..]),
        ("of equals the first", "linux/amd64", &["linux/amd64", "linux/amd64"], &[0]),
        ("plain amd64 never takes v2", "linux/amd64", &["linux/amd64/v2", "linux/amd64"], &[1]),
        ("plain amd64 has no v3", "linux/amd64", &["linux/amd64/v3"], &[]),
        ("v3 prefers v3", "linux/amd64/v3", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"], &[2]),
        ("v3 falls to v2", "linux/amd64/v3", &["linux/386", "linux/amd64", "linux/amd64/v2"], &[2]),
        ("v3 falls to plain", "linux/amd64/v3", &["linux/386", "linux/amd64", "linux/amd64/v4"], &[1]),
        ("amd64 falls to 386", "linux/amd64", &["linux/arm64", "linux/386"], &[1]),
        ("386 never takes amd64", "linux/386", &["linux/amd64"], &[]),
        ("arm v7 falls to v6", "linux/arm/v7", &["linux/arm/v8", "linux/arm/v5", "linux/arm/v6"], &[2]),
        ("arm v6 takes no v7", "linux/arm/v6", &["linux/arm/v7"], &[]),
        ("arm64 prefers arm64", "linux/arm64", &["linux/arm/v7", "linux/arm64/v8"], &[1]),
        ("arm64 takes no v8.1", "linux/arm64", &["linux/arm64/v8.1", "linux/arm/v7"], &[1]),
        ("v8.2 falls to v8.1", "linux/arm64/v8.2", &["linux/arm64", "linux/arm64/v8.1"], &[1]),
        (
            "v9 falls to v8.5",
            "linux/arm64/v9",
            &["linux/arm64", "linux/arm64/v8.5", "linux/arm64/v8.6"],
            &[1],
        ),
        ("v9.6 falls to v8.9", "linux/arm64/v9.6", &["linux/arm64/v8.9", "linux/arm64/v9.7"], &[0]),
        (
            "arm64 falls to the best arm",
            "linux/arm64",
            &["linux/arm/v6", "linux/arm/v8", "linux/arm/v7"],
            &[1],
        ),
        ("another os", "linux/amd64", &["windows/amd64"], &[]),
        ("no platform is the last resort", "linux/amd64", &["-", "linux/386"], &[1]),
        ("no platform, all of them", "linux/amd64", &["-", "linux/s390x", "-"], &[0, 2]),
        ("nothing", "linux/amd64", &[], &[]),
        ("linux has no versions", "linux/amd64", &["linux(5.10)/amd64"], &[0]),
        ("features may be skipped", "linux/amd64", &["linux(+x)/amd64", "linux/amd64"], &[0, 1]),
        ("features, then a fallback", "linux/amd64", &["linux(+x)/amd64", "linux/386"], &[0, 1]),
        ("features alone", "linux/amd64", &["linux(+x)/amd64"], &[0]),
    ] {
        assert_eq!(nodes(&[node]).choose(&entries(list)), chosen, "{name}");
    }
}

#[test]
fn windows_nodes_choose_by_build() {
    let builds =
        ["windows(10.0.17763.1)/amd64", "windows(10.0.20348.2)/amd64", "windows(10.0.26100.3)/amd64"];
    for (name, node, chosen) in [
        ("not known", "windows/amd64", &[0, 1, 2][..]),
        ("2019 is exact", "windows(10.0.17763)/amd64", &[0]),
        ("2022 alone", "windows(10.0.20348.999)/amd64", &[1]),
        ("2025 runs 2022", "windows(10.0.26100)/amd64", &[1, 2]),
        ("after 2025 runs 2025", "windows(10.0.27000)/amd64", &[2]),
        ("between them", "windows(10.0.25398)/amd64", &[1]),
        ("another major", "windows(11.0.20348)/amd64", &[]),
        ("unreadable", "windows(ltsc)/amd64", &[0, 1, 2]),
    ] {
        assert_eq!(nodes(&[node]).choose(&entries(&builds)), chosen, "{name}");
    }
    let unversioned = entries(&["windows/amd64", "windows(x)/amd64"]);
    assert_eq!(nodes(&["windows(10.0.20348)/amd64"]).choose(&unversioned), [0], "no version agrees with any");
}

#[test]
fn an_entry_without_an_os_is_the_nodes_os() {
    let list = [Some(Platform::new("", "amd64", None, None)), Some(Platform::new("linux", "", None, None))];
    assert_eq!(nodes(&["linux/amd64"]).choose(&list), [0]);
    let linux = PlatformTerm { os: only(&["linux"]), architecture: only(&["amd64"]) };
    let terms = PlatformFilter { nodes: None, terms: vec![linux] };
    assert_eq!(terms.choose(&list), [0, 1], "what is not known excludes nothing");
}

#[test]
fn terms_narrow_what_nodes_there_are() {
    let amd64 = PlatformTerm { os: only(&["linux"]), architecture: only(&["amd64"]) };
    let not_arm = PlatformTerm {
        os: Allowed::default(),
        architecture: Allowed { only: None, except: BTreeSet::from(["arm64".to_owned()]) },
    };
    let none = PlatformTerm { os: only(&[]), architecture: Allowed::default() };
    let list = ["linux/amd64", "linux/arm64", "-", "windows/amd64"];
    for (name, terms, nodes, list, chosen) in [
        ("anything", vec![], None, &list[..], &[0, 1, 2, 3][..]),
        ("one term", vec![amd64.clone()], None, &list, &[0, 2]),
        ("not arm64", vec![not_arm.clone()], None, &list, &[0, 2, 3]),
        ("nothing", vec![none.clone()], None, &list, &[2]),
        ("either", vec![none.clone(), amd64.clone()], None, &list, &[0, 2]),
        ("nodes and terms", vec![amd64.clone()], Some(["linux/amd64", "linux/arm64"]), &list, &[0]),
        ("two nodes", vec![], Some(["linux/arm64", "linux/amd64"]), &list, &[0, 1]),
        ("no node is allowed", vec![none], Some(["linux/arm64", "linux/amd64"]), &list, &[]),
        ("386 is a fallback", vec![amd64.clone()], None, &["linux/arm64", "linux/386"], &[1]),
        ("386 is needless", vec![amd64.clone()], None, &["linux/amd64", "linux/386"], &[0]),
        ("386 beside v2", vec![amd64.clone()], None, &["linux/amd64/v2", "linux/386"], &[0, 1]),
        ("386 beside features", vec![amd64], None, &["linux(+x)/amd64", "linux/386"], &[0, 1]),
        ("arm is no fallback", vec![not_arm], None, &["linux/amd64", "linux/arm/v7"], &[0, 1]),
    ] {
        let nodes = nodes.map(|nodes| nodes.iter().map(|text| platform(text)).collect());
        assert_eq!(PlatformFilter { nodes, terms }.choose(&entries(list)), chosen, "{name}");
    }
    let nowhere = PlatformFilter { nodes: Some(Vec::new()), terms: Vec::new() };
    assert_eq!(nowhere.choose(&entries(&list)), [0_usize; 0], "no nodes");
}
