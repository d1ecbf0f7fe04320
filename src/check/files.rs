//! Which files `-f` means, and their text.
//!
//! A file that is named is read whatever its name. In a folder, what is read is YAML and JSON, as
//! `kubectl apply -R -f` does, without hidden files and without what stands beside manifests but is
//! none: a chart's `Chart.yaml` and values, Kustomize's own file. Symlinks to folders are not followed.

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

/// How standard input is named in what is printed.
const STDIN: &str = "stdin";

/// A file's text; an error in words where it could not be read.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) text: Result<String, String>,
}

/// Every file that `paths` mean, in the order given; those of a folder by name.
pub(super) fn read(paths: &[PathBuf]) -> Vec<File> {
    let mut files = Vec::new();
    let mut stdin_was_read = false;
    for path in paths {
        if path.as_os_str() != "-" {
            add(path, &mut files);
        } else if !std::mem::replace(&mut stdin_was_read, true) {
            let mut bytes = Vec::new();
            let read = io::stdin().read_to_end(&mut bytes).map(|_| bytes);
            files.push(File { name: STDIN.to_owned(), text: text(read) });
        }
    }
    files
}

fn add(path: &Path, files: &mut Vec<File>) {
    let before = files.len();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            add_folder(path, files);
            if files.len() == before {
                files.push(unreadable(path, &"no .yaml, .yml or .json file in this folder"));
            }
        }
        Ok(_) => files.push(file(path)),
        Err(_) if is_url(path) => {
            files.push(unreadable(path, &"URLs are not read: fetch it and give it as -f -"));
        }
        Err(error) => files.push(unreadable(path, &error)),
    }
}

fn is_url(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.starts_with("http://") || path.starts_with("https://"))
}

fn add_folder(folder: &Path, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return files.push(unreadable(folder, &error)),
    };
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if is_hidden(&path) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => add_folder(&path, files),
            Ok(_) if is_manifest(&path) && !path.is_dir() => files.push(file(&path)),
            Ok(_) => {}
            Err(error) => files.push(unreadable(&path, &error)),
        }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_manifest(path: &Path) -> bool {
    let part =
        |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).unwrap_or_default().to_owned();
    let (stem, extension) = (part(path.file_stem()), part(path.extension()));
    let is_beside = ["kustomization", "Chart", "values"].iter().any(|name| stem.eq_ignore_ascii_case(name));
    matches!(extension.as_str(), "yaml" | "yml" | "json") && !is_beside && !stem.starts_with("values-")
}

fn file(path: &Path) -> File {
    File { name: path.display().to_string(), text: text(fs::read(path)) }
}

fn unreadable(path: &Path, why: &dyn ToString) -> File {
    File { name: path.display().to_string(), text: Err(why.to_string()) }
}

fn text(read: io::Result<Vec<u8>>) -> Result<String, String> {
    let bytes = read.map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[File], folder: &Path) -> Vec<String> {
        let folder = format!("{}/", folder.display());
        files.iter().map(|file| file.name.replace(&folder, "")).collect()
    }

    #[test]
    fn a_folder_is_read_by_name_without_what_is_no_manifest() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/.git")).unwrap();
        for name in [
            "z.yaml",
            "a.yml",
            "b/c.json",
            "b/.git/x.yaml",
            ".hidden.yaml",
            "Chart.yaml",
            "values.yaml",
            "values-prod.yaml",
            "kustomization.yaml",
            "README.md",
            "valuesets.yaml",
        ] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("circle")).unwrap();
        let files = read(&[folder.path().to_owned()]);
        assert_eq!(names(&files, folder.path()), ["a.yml", "b/c.json", "valuesets.yaml", "z.yaml"]);
        let named = read(&[folder.path().join("values.yaml")]);
        assert_eq!(named[0].text, Ok("{}".to_owned()), "a file that is named is read");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("latin1.yaml"), b"name: caf\xe9").unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        for (path, why) in [
            (folder.path().join("latin1.yaml"), "not text in UTF-8"),
            (folder.path().join("missing.yaml"), "No such file"),
            (folder.path().join("empty"), "no .yaml, .yml or .json"),
            (PathBuf::from("https://example.com/pod.yaml"), "-f -"),
        ] {
            let files = read(std::slice::from_ref(&path));
            let [File { text: Err(error), .. }] = files.as_slice() else {
                panic!("{}: {files:?}", path.display())
            };
            assert!(error.contains(why), "{}: {error}", path.display());
        }
    }
}
