//! Policies from a folder: read, compiled whole, and read again when a file changes.
//!
//! In goes a path, out come documents or a compiled set. What surprises: names that begin with a dot
//! are passed over, folders and symlinks too, because a ConfigMap volume keeps its files twice (in
//! `..data` and by a symlink to there); and a folder without a policy is an error, because a webhook
//! with nothing in force would admit everything and look healthy.

mod watch;

pub use watch::{Reload, Watched, watch};

use crate::{
    policy::{Parameters, PolicyDocument, PolicyError, PolicySet},
    text, yaml,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Our API group, and the kind in it that is a case of `hullmark policy test`, not a policy.
const OUR_GROUP: &str = "hullmark.dev/";
const TEST_CASES: &str = "PolicyTest";
/// Kustomize's own files stand beside what they build; its API group, for those of other names.
const KUSTOMIZE_GROUP: &str = "kustomize.config.k8s.io/";
/// Bytes of a file that are read.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Files in a folder, and folders in one another (a symlink may lead in a circle).
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 16;

/// Why a folder of policies cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(pub String);

/// Why a folder of policies cannot be put in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its policies do not compile: every error of every document.
    #[error("{} in the policies:{}", text::count(.0.len(), "error"), lines(.0))]
    Compile(Vec<PolicyError>),
}

impl Refused {
    /// How many documents do not compile; none are known where the files cannot be read.
    fn documents(&self) -> usize {
        match self {
            Self::Load(_) => 0,
            Self::Compile(errors) => {
                errors.iter().map(|error| &error.source_name).collect::<BTreeSet<_>>().len()
            }
        }
    }
}

/// A compiled folder.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The policies.
    pub set: Arc<PolicySet>,
    fingerprint: [u8; 32],
}

/// A file as it was read.
struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// The documents of some files.
#[derive(Default)]
struct Documents {
    policies: Vec<PolicyDocument>,
    /// Those of other API groups.
    others: Vec<Other>,
}

struct Other {
    source: String,
    line: usize,
    value: Value,
}

/// Reads every `.yaml`, `.yml` and `.json` file below `path` (or the one file that it is), in the
/// order of their names, and compiles what is in them. Objects of a kind that one of the policies
/// reads (`paramKind`) are its parameters. Other documents that are not of our API group are an error
/// that names them, but for the cases of `hullmark policy test` and Kustomize's files, which are
/// passed over.
///
/// # Errors
/// [`Refused`] when something cannot be read or does not compile, or there is no policy: then nothing
/// of it is in force.
pub fn compile(path: &Path) -> Result<Loaded, Refused> {
    Loaded::from(path, &read(path)?)
}

/// The policies of several such paths, as one set.
///
/// # Errors
/// As for [`compile`].
pub fn compile_all(paths: &[PathBuf]) -> Result<PolicySet, Refused> {
    let mut documents = Documents::default();
    for path in paths {
        documents.read(path, &read(path)?)?;
    }
    documents.compile()
}

impl Loaded {
    fn from(path: &Path, files: &[File]) -> Result<Self, Refused> {
        let mut documents = Documents::default();
        documents.read(path, files)?;
        Ok(Self { set: Arc::new(documents.compile()?), fingerprint: fingerprint(files) })
    }
}

impl Documents {
    fn compile(self) -> Result<PolicySet, Refused> {
        let set = PolicySet::compile(&self.policies).map_err(Refused::Compile)?;
        let kinds: BTreeSet<(String, String)> =
            set.wanted_parameters().into_iter().map(|one| (one.kind.api_version, one.kind.kind)).collect();
        for Other { source, line, value } in &self.others {
            let field = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (group, kind) = (field("apiVersion"), field("kind"));
            if !kinds.contains(&(group.clone(), kind.clone())) {
                return Err(foreign(source, *line, &group, &kind).into());
            }
        }
        Ok(set.with_parameters(Parameters::new(self.others.into_iter().map(|other| other.value))))
    }

    fn read(&mut self, path: &Path, files: &[File]) -> Result<(), LoadError> {
        let count = |documents: &Self| documents.policies.len() + documents.others.len();
        let before = count(self);
        for file in files {
            self.read_file(file)?;
        }
        if count(self) == before {
            return Err(LoadError(format!("{}: no policies in it ({OUR_GROUP}v1alpha1)", path.display())));
        }
        Ok(())
    }

    fn read_file(&mut self, file: &File) -> Result<(), LoadError> {
        let name = file.path.display();
        let text = std::str::from_utf8(&file.bytes).map_err(|_| LoadError(format!("{name}: not UTF-8")))?;
        let documents = yaml::documents(text).map_err(|invalid| LoadError(format!("{name}: {invalid}")))?;
        for document in documents {
            let source = format!("{name}#{}", document.index + 1);
            let field = |field: &str| document.value.get(field).and_then(Value::as_str).unwrap_or_default();
            let (group, kind) = (field("apiVersion"), field("kind"));
            if group.starts_with(OUR_GROUP) {
                if kind != TEST_CASES {
                    self.policies.push(PolicyDocument { source, value: document.value });
                }
            } else if !group.starts_with(KUSTOMIZE_GROUP) {
                self.others.push(Other { source, line: document.line, value: document.value });
            }
        }
        Ok(())
    }
}

fn foreign(source: &str, line: usize, group: &str, kind: &str) -> LoadError {
    let what = match (group, kind) {
        ("", "") => "it has no apiVersion and no kind".to_owned(),
        ("", kind) => format!("{kind} has no apiVersion"),
        (group, kind) => format!("it is {kind:?} of {group:?}"),
    };
    LoadError(format!(
        "{source} (line {line}): not a policy: {what}; only documents of {OUR_GROUP}v1alpha1, and \
         objects of a kind that one of them has as paramKind, can stand in a folder of policies"
    ))
}

fn read(path: &Path) -> Result<Vec<File>, LoadError> {
    let mut paths = Vec::new();
    let metadata = fs::metadata(path).map_err(|error| failed(path, &error))?;
    if metadata.is_dir() {
        list(path, 0, &mut paths)?;
    } else {
        paths.push(path.to_owned());
    }
    paths.into_iter().map(read_file).collect()
}

fn list(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut names: Vec<_> =
        entries.map_err(|error| failed(folder, &error))?.iter().map(fs::DirEntry::file_name).collect();
    names.sort_unstable();
    for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
        let path = folder.join(name);
        // Follows symlinks: in a ConfigMap volume every file is one.
        let is_folder = fs::metadata(&path).map_err(|error| failed(&path, &error))?.is_dir();
        if is_folder && depth == MAX_DEPTH {
            return Err(LoadError(format!("{}: more than {MAX_DEPTH} folders deep", path.display())));
        } else if is_folder {
            list(&path, depth + 1, paths)?;
        } else if is_policy_file(&path) {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(LoadError(format!("{}: more than {MAX_FILES} files", folder.display())));
        }
    }
    Ok(())
}

fn is_policy_file(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_kustomization = path.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case("kustomization"));
    matches!(extension, Some("yaml" | "yml" | "json")) && !is_kustomization
}

fn read_file(path: PathBuf) -> Result<File, LoadError> {
    let mut bytes = Vec::new();
    fs::File::open(&path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(&path, &error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(LoadError(format!("{}: larger than 4 MiB", path.display())));
    }
    Ok(File { path, bytes })
}

fn failed(path: &Path, error: &io::Error) -> LoadError {
    LoadError(format!("{}: {error}", path.display()))
}

fn fingerprint(files: &[File]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for file in files {
        for part in [file.path.as_os_str().as_encoded_bytes(), &file.bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

fn lines(errors: &[PolicyError]) -> String {
    errors.iter().fold(String::new(), |lines, error| lines + "\n  " + &error.to_string())
}

#[cfg(test)]
mod tests;
