use super::*;

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// `-` stands for an entry without a platform.
fn entries(text: &str) -> Vec<Option<Platform>> {
    text.split_whitespace().map(|entry| (entry != "-").then(|| platform(entry))).collect()
}

fn only(values: &[&str]) -> Allowed {
    Allowed { only: Some(values.iter().map(|&value| value.into()).collect()), except: BTreeSet::new() }
}

#[test]
fn platforms_are_normalised_as_containerd_does() {
    let rows = [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/x86-64/v3", "linux/amd64/v3"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("Linux/AMD64", "linux/amd64"),
        ("macos/arm64", "darwin/arm64"),
        ("linux/riscv64", "linux/riscv64"),
        ("windows(10.0.20348.2113)/amd64", "windows(10.0.20348.2113)/amd64"),
    ];
    for (text, expected) in rows {
        assert_eq!(platform(text).to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_no_platform_is_refused_with_an_example() {
    for text in [
        "",
        "linux",
        "amd64",
        "linux/",
        "/amd64",
        "linux/arm/v7/x",
        "linux amd64",
        "windows(10/amd64",
        "li\nux/a",
    ] {
        let error = text.parse::<Platform>().expect_err(text).to_string();
        assert!(error.contains("such as linux/amd64"), "{text:?}: {error}");
    }
}

#[test]
fn each_node_chooses_what_containerd_would_run() {
    let rows = [
        ("exact", "linux/amd64", "linux/arm64 linux/amd64", vec![1]),
        ("two nodes", "linux/amd64 linux/arm64", "linux/arm64 linux/amd64 linux/s390x", vec![0, 1]),
        (
            "arm v7 takes the newest it can run",
            "linux/arm/v7",
            "linux/arm/v8 linux/arm/v6 linux/arm/v5",
            vec![1],
        ),
        ("arm v7 takes its own first", "linux/arm/v7", "linux/arm/v6 linux/arm/v7", vec![1]),
        ("amd64 is not given v3", "linux/amd64", "linux/amd64/v3 linux/amd64", vec![1]),
        ("amd64 cannot run v3", "linux/amd64", "linux/amd64/v3", vec![]),
        ("v3 takes v2 before plain", "linux/amd64/v3", "linux/amd64 linux/amd64/v2", vec![1]),
        ("amd64 falls back to 386", "linux/amd64", "linux/386 linux/s390x", vec![0]),
        ("386 does not run amd64", "linux/386", "linux/amd64", vec![]),
        ("arm64 falls back to arm", "linux/arm64", "linux/arm/v6 linux/arm/v7", vec![1]),
        ("arm64 v9 runs arm64", "linux/arm64/v9", "linux/arm64", vec![0]),
        ("no platform is the last resort", "linux/amd64", "- linux/amd64", vec![1]),
        ("no platform, nothing else fits", "linux/amd64", "linux/arm64 -", vec![1]),
        ("first of two alike", "linux/amd64", "linux/amd64 linux/amd64", vec![0]),
        (
            "windows by build",
            "windows(10.0.20348.1)/amd64",
            "windows(10.0.17763.9)/amd64 windows(10.0.20348.7)/amd64",
            vec![1],
        ),
        (
            "windows, build not known",
            "windows/amd64",
            "windows(10.0.17763.9)/amd64 windows(10.0.20348.7)/amd64",
            vec![0, 1],
        ),
        ("another os", "linux/amd64", "windows/amd64", vec![]),
    ];
    for (name, nodes, image, expected) in rows {
        let nodes = nodes.split_whitespace().map(platform).collect();
        let filter = PlatformFilter { nodes: Some(nodes), terms: vec![] };
        assert_eq!(filter.choose(&entries(image)), expected, "{name}");
    }
}

#[test]
fn without_nodes_everything_that_the_pod_allows_is_judged() {
    let arch = |values: &[&str]| PlatformTerm { os: Allowed::default(), architecture: only(values) };
    let not_arm64 = PlatformTerm {
        os: Allowed::default(),
        architecture: Allowed { only: None, except: BTreeSet::from(["arm64".into()]) },
    };
    let linux = PlatformTerm { os: only(&["linux"]), architecture: Allowed::default() };
    let rows = [
        ("no terms: all", vec![], "linux/amd64 linux/arm64 -", vec![0, 1, 2]),
        ("one architecture", vec![arch(&["arm64"])], "linux/amd64 linux/arm64", vec![1]),
        ("every variant of it", vec![arch(&["arm"])], "linux/arm/v6 linux/arm/v7 linux/amd64", vec![0, 1]),
        (
            "alternatives",
            vec![arch(&["arm64"]), arch(&["s390x"])],
            "linux/amd64 linux/arm64 linux/s390x",
            vec![1, 2],
        ),
        ("all but one", vec![not_arm64], "linux/amd64 linux/arm64", vec![0]),
        ("an os", vec![linux], "linux/amd64 windows/amd64", vec![0]),
        ("an entry without platform may run anywhere", vec![arch(&["arm64"])], "- linux/amd64", vec![0]),
        ("386 where there is no amd64", vec![arch(&["amd64"])], "linux/386 linux/arm64", vec![0]),
        ("not 386 where there is amd64", vec![arch(&["amd64"])], "linux/386 linux/amd64", vec![1]),
        ("nothing fits", vec![arch(&["s390x"])], "linux/amd64", vec![]),
    ];
    for (name, terms, image, expected) in rows {
        let filter = PlatformFilter { nodes: None, terms };
        assert_eq!(filter.choose(&entries(image)), expected, "{name}");
    }
}

#[test]
fn a_node_that_the_pod_cannot_land_on_chooses_nothing() {
    let filter = PlatformFilter {
        nodes: Some(vec![platform("linux/amd64"), platform("linux/arm64")]),
        terms: vec![PlatformTerm { os: Allowed::default(), architecture: only(&["arm64"]) }],
    };
    assert_eq!(filter.choose(&entries("linux/amd64 linux/arm64")), [1]);
}
