//! From the text of files to the objects that carry Pods, each with the line it stands on.

use super::files::File;
use crate::{
    policy::Namespace,
    workload::{Workload, objects},
    yaml::{self, Document},
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// What the files hold.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    /// The objects that carry Pods, in the order in which they stand.
    pub(super) objects: Vec<Object>,
    /// The Namespace objects, by name: what policies that select by a namespace's labels see.
    pub(super) namespaces: BTreeMap<String, Namespace>,
    /// How many objects carry no Pod: a Service, a Secret, ….
    pub(super) passed_over: usize,
    /// What cannot be read, as `file:line: why`.
    pub(super) errors: Vec<String>,
}

/// A Pod, or what carries a Pod template, and where it stands.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) file: String,
    /// Where its document begins.
    pub(super) line: usize,
    pub(super) workload: Workload,
    /// The line that names the image of each of `workload.uses`, by the use's field path.
    pub(super) image_lines: HashMap<String, usize>,
}

/// Reads all that can be read; what cannot be is among the errors, so that one run tells them all.
pub(super) fn parse(files: &[File]) -> Manifests {
    let mut manifests = Manifests::default();
    for file in files {
        match file.text.as_deref() {
            Err(error) => manifests.errors.push(format!("{}: {error}", file.name)),
            Ok(text) => match yaml::documents(text) {
                Ok(documents) => manifests.add_file(&file.name, text, &documents),
                Err(invalid) => {
                    manifests.errors.push(format!(
                        "{}:{}: {}{}",
                        file.name,
                        invalid.line,
                        invalid.why,
                        hint(text)
                    ));
                }
            },
        }
    }
    manifests
}

/// Charts' templates look like manifests until they are read.
fn hint(text: &str) -> &'static str {
    if text.contains("{{") {
        "; is it a Helm template? helm template CHART | hullmark check -f - …"
    } else {
        ""
    }
}

impl Manifests {
    fn add_file(&mut self, file: &str, text: &str, documents: &[Document]) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, document) in documents.iter().enumerate() {
            let end = documents.get(at + 1).map_or(lines.len(), |next| next.line - 1);
            let written = lines.get(document.line - 1..end).unwrap_or_default();
            let mut search = LineSearch { first_line: document.line, lines: written, taken: HashMap::new() };
            for (path, value) in objects(&document.value) {
                let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
                match Workload::from_object(value) {
                    Err(error) => self.errors.push(format!("{file}:{}: {place}{error}", document.line)),
                    Ok(Some(workload)) => self.objects.push(Object {
                        image_lines: search.of(&workload),
                        file: file.to_owned(),
                        line: document.line,
                        workload,
                    }),
                    Ok(None) => {
                        self.passed_over += 1;
                        self.namespaces.extend(namespace(value).map(|found| (found.name.clone(), found)));
                    }
                }
            }
        }
    }
}

fn namespace(value: &Value) -> Option<Namespace> {
    if value["apiVersion"] != "v1" || value["kind"] != "Namespace" {
        return None;
    }
    let name = value["metadata"]["name"].as_str()?;
    let mut namespace = Namespace::named(name);
    let labels = value["metadata"]["labels"].as_object().into_iter().flatten();
    namespace
        .labels
        .extend(labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))));
    namespace.object = value.clone();
    Some(namespace)
}

/// Finds the lines that name images. The parser does not keep lines, so they are searched in the
/// text; the n-th use of an image is the n-th line that names it.
struct LineSearch<'a> {
    first_line: usize,
    lines: &'a [&'a str],
    taken: HashMap<String, usize>,
}

impl LineSearch<'_> {
    fn of(&mut self, workload: &Workload) -> HashMap<String, usize> {
        let mut found = HashMap::new();
        for usage in &workload.uses {
            let taken = self.taken.entry(usage.image.clone()).or_default();
            let mut naming =
                self.lines.iter().enumerate().filter(|(_, line)| names_image(line, &usage.image));
            if let Some((at, _)) = naming.nth(*taken) {
                found.insert(usage.field_path.clone(), self.first_line + at);
                *taken += 1;
            }
        }
        found
    }
}

/// `image: nginx`, `"image":"nginx"`, `{ name: a, image: nginx }`, `reference: nginx`.
fn names_image(line: &str, image: &str) -> bool {
    let quote_or_space = ['"', '\'', ' '];
    !image.is_empty()
        && line.match_indices(image).any(|(at, _)| {
            let key = line[..at].trim_end_matches(quote_or_space).strip_suffix(':');
            let key = key.unwrap_or_default().trim_end_matches(quote_or_space);
            let next = line[at + image.len()..].chars().next();
            (key.ends_with("image") || key.ends_with("reference"))
                && next.is_none_or(|c| !c.is_ascii_alphanumeric() && !".-_/:@".contains(c))
        })
}

#[cfg(test)]
mod tests;
