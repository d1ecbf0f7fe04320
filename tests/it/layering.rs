//! The architecture, held by a test: pure modules have no effects, imports go one way, files stay
//! short. CONTRIBUTING and `src/lib.rs` tell the reasons.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Who may use whom: each module of `src/`, and the modules of ours that it may name. A new module
/// is added here, and so decides where it stands.
const MAY_USE: &[(&str, &[&str])] = &[
    // Core: values in, values out.
    ("text", &[]),
    ("nearest", &["text"]),
    ("junit", &["text"]),
    ("yaml", &[]),
    ("image", &["text", "nearest"]),
    ("api", &[]),
    ("crds", &["api"]),
    ("credential", &["image", "text"]),
    ("workload", &["image", "text"]),
    ("policy", &["api", "image", "text", "nearest", "workload", "yaml"]),
    ("policy_reference", &["api", "crds", "policy"]),
    ("admission", &["image", "policy", "text", "workload"]),
    ("survey", &["api", "image", "policy", "text", "workload"]),
    // The use case, and the ports that edges implement.
    ("review", CORE),
    ("certificate", &[]),
    ("flight", &[]),
    ("progress", &["text"]),
    // The command line: values, parsed.
    ("cli", &["image", "policy"]),
    // Edges: the core and review, never each other.
    ("registry", CORE_AND_REVIEW),
    ("server", CORE_AND_REVIEW),
    ("auth_files", CORE_AND_REVIEW),
    ("credential_provider", CORE_AND_REVIEW),
    ("cluster", CORE_AND_REVIEW),
    ("policy_files", CORE_AND_REVIEW),
    ("telemetry", CORE_AND_REVIEW),
    // Commands: edges that are told by the command line what to do.
    ("check", COMMAND),
    ("scan", COMMAND),
    ("inspect", COMMAND),
    ("policy_test", COMMAND),
];

const CORE: &[&str] = &[
    "text",
    "nearest",
    "junit",
    "yaml",
    "image",
    "api",
    "crds",
    "credential",
    "workload",
    "policy",
    "policy_reference",
    "admission",
    "survey",
];
const CORE_AND_REVIEW: &[&str] = &[
    "text",
    "nearest",
    "yaml",
    "image",
    "api",
    "credential",
    "workload",
    "policy",
    "admission",
    "survey",
    "review",
    "certificate",
    "flight",
];
const COMMAND: &[&str] = &[
    "text",
    "nearest",
    "junit",
    "yaml",
    "image",
    "api",
    "credential",
    "workload",
    "policy",
    "admission",
    "survey",
    "review",
    "cli",
    "policy_files",
    "progress",
];

/// The modules that wire everything: they may name all.
const WIRING: &[&str] = &["lib", "main", "app", "demo"];

/// Commands end with a text for a person, so they may have untyped errors, as the wiring may.
const COMMANDS: &[&str] = &["check", "inspect", "policy_test", "scan"];

/// What pure code must not name: runtimes, sockets, clocks, logs, terminals. The address types of
/// `std::net` are values and may be named; what opens a socket may not.
const EFFECTS: &[&str] = &[
    "async ",
    ".await",
    "tokio::",
    "futures_util::",
    "axum::",
    "hyper",
    "reqwest::",
    "rustls::",
    "tracing::",
    "moka::",
    "prometheus_client::",
    "kube::Client",
    "kube::Api",
    "kube::runtime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "println!",
    "eprintln!",
];

/// The parts of `std` that are effects.
const STD_EFFECTS: &[&str] = &["env", "fs", "io", "process", "thread", "os"];

/// The longest file that a reader should meet.
const MAX_LINES: usize = 400;

/// A file of `src/`.
struct Source {
    path: PathBuf,
    /// The top-level module that it belongs to.
    module: String,
    /// As it is.
    text: String,
    /// Without comments, and without what is compiled for tests only.
    code: String,
}

#[test]
fn every_module_has_its_place() {
    let known: BTreeSet<_> =
        MAY_USE.iter().map(|(module, _)| *module).chain(WIRING.iter().copied()).collect();
    let sources = sources();
    let unknown: BTreeSet<_> = sources
        .iter()
        .map(|source| source.module.as_str())
        .filter(|module| !known.contains(module))
        .collect();
    assert!(unknown.is_empty(), "say in MAY_USE what these modules may use: {unknown:?}");
}

#[test]
fn pure_modules_have_no_effects() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| CORE.contains(&source.module.as_str())) {
        let path = source.path.display();
        for effect in EFFECTS.iter().filter(|effect| source.code.contains(**effect)) {
            found.push(format!("{path}: {effect}"));
        }
        for part in names_after(&source.code, "std::") {
            if STD_EFFECTS.contains(&part.as_str()) {
                found.push(format!("{path}: std::{part}"));
            }
        }
    }
    assert!(found.is_empty(), "pure modules must not have effects:\n{}", found.join("\n"));
}

#[test]
fn imports_go_one_way() {
    let rules: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let sources = sources();
    let modules: BTreeSet<_> = sources.iter().map(|source| source.module.as_str()).collect();
    let mut found = Vec::new();
    for source in &sources {
        let Some(allowed) = rules.get(source.module.as_str()) else { continue };
        for name in names_after(&source.code, "crate::") {
            let ours = modules.contains(name.as_str());
            if ours && name != source.module && !allowed.contains(&name.as_str()) {
                found.push(format!("{}: crate::{name}", source.path.display()));
            }
        }
        if climbs_out(source) {
            found.push(format!("{}: super:: reaches another module; write crate::", source.path.display()));
        }
    }
    assert!(found.is_empty(), "see MAY_USE for what each module may use:\n{}", found.join("\n"));
}

#[test]
fn only_commands_and_the_wiring_have_untyped_errors() {
    let may = |module: &str| WIRING.contains(&module) || COMMANDS.contains(&module);
    let found: Vec<_> = sources()
        .iter()
        .filter(|source| source.code.contains("anyhow") && !may(&source.module))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(
        found.is_empty(),
        "an error is a type that says what failed; anyhow is for commands, app and main: {found:?}"
    );
}

#[test]
fn files_are_short() {
    let long: Vec<_> = sources()
        .iter()
        .map(|source| (source.path.display().to_string(), source.text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "at most {MAX_LINES} lines; split by what the reader looks for: {long:?}");
}

#[test]
fn the_tests_above_see_what_they_look_for() {
    let code = "use crate::{\n  a::{x, y},\n  b,\n};\nfn f() { crate::c::g(std::fs::read()) }\nuse std::{fmt, env::var};";
    assert_eq!(names_after(code, "crate::"), ["a", "b", "c"]);
    assert_eq!(names_after(code, "std::"), ["fs", "fmt", "env"]);
    let text =
        "/// crate::x\nfn f() {} // crate::y\n#[cfg(test)]\nmod tests {\n    use crate::z;\n}\nfn g() {}\n";
    assert_eq!(code_of(text), "fn f() {} \nfn g() {}\n");
    let file = |path: &str, code: &str| Source {
        path: path.into(),
        module: String::new(),
        text: String::new(),
        code: code.into(),
    };
    assert!(climbs_out(&file("src/image.rs", "use super::policy;")));
    assert!(!climbs_out(&file("src/image/user.rs", "use super::Digest;")));
    assert!(climbs_out(&file("src/image/user.rs", "use super::super::policy;")));
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(source(&root, &path));
            }
        }
    }
    assert!(!sources.is_empty(), "no sources in {}", root.display());
    sources
}

fn source(root: &Path, path: &Path) -> Source {
    let inside = path.strip_prefix(root).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let only_tests =
        inside.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
    let code = if only_tests { String::new() } else { code_of(&text) };
    let module = first.trim_end_matches(".rs").to_owned();
    Source { path: Path::new("src").join(inside), module, text, code }
}

/// `text` without line comments and `#[cfg(test)]` modules (rustfmt puts their end at column 0).
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ")) {
            let opens = lines.next().is_some_and(|next| next.ends_with('{'));
            if opens {
                lines.by_ref().find(|line| *line == "}");
            }
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line.split("// ").next().unwrap_or(line));
            code.push('\n');
        }
    }
    code
}

/// The names that directly follow `prefix` in paths, groups included:
/// `crate::{a::{x, y}, b}` names `a` and `b`.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (start, _) in code.match_indices(prefix) {
        let rest = &code[start + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.extend(identifier(rest));
            continue;
        };
        let mut depth = 1;
        let mut at_item = true;
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => at_item = true,
                _ if at_item && !character.is_whitespace() => {
                    names.extend(identifier(&group[at..]));
                    at_item = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// Whether a `use super::…` of this file leaves its top-level module: in `src/image.rs` one `super`
/// does, in `src/image/user.rs` two do.
fn climbs_out(source: &Source) -> bool {
    let depth = source.path.components().count() - 1;
    source.code.lines().filter_map(|line| line.split_once("use super::")).any(|(before, rest)| {
        let outside_of_inner_modules = !before.starts_with(' ');
        let supers = 1 + rest.matches("super::").count();
        outside_of_inner_modules && supers >= depth
    })
}
