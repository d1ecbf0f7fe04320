//! The policy reference as Markdown, made from the types: every field of every kind with its type and
//! meaning, and every variable of CEL. `docs/policies.md` is what this prints.

use crate::{crds, policy::cel};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use std::fmt::Write;

/// Fields that Kubernetes itself defines: not explained again.
const KUBERNETES_OWN: [&str; 3] = ["namespaceSelector", "objectSelector", "selector"];

/// The whole page.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Policy reference\n\nMade by `hullmark policy reference` from the types; do not edit. The rules that read a \
         container look at what will really run: the Pod's spec laid over the image's config.\n",
    );
    for definition in crds::definitions() {
        section(&mut page, &definition);
    }
    page.push_str("\n## CEL\n\n");
    page.push_str(&cel::reference_markdown());
    page
}

fn section(page: &mut String, definition: &CustomResourceDefinition) {
    let names = &definition.spec.names;
    let short = names.short_names.as_deref().unwrap_or_default().join(", ");
    let _ = write!(page, "\n## {} (`{short}`, {})\n\n", names.kind, definition.spec.scope);
    let schema = definition.spec.versions.first().and_then(|version| version.schema.as_ref());
    let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_ref()) else { return };
    if let Some(description) = &schema.description {
        let _ = write!(page, "{}\n\n", one_line(description));
    }
    page.push_str("| field | type | meaning |\n|---|---|---|\n");
    if let Some(spec) = property(schema, "spec") {
        rows(page, "spec", spec);
    }
}

fn property<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    schema.properties.as_ref()?.get(name)
}

fn rows(page: &mut String, path: &str, schema: &JSONSchemaProps) {
    let required = schema.required.as_deref().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let mark = if required.contains(name) { ", required" } else { "" };
        let _ = writeln!(page, "| `{path}` | {}{mark} | {} |", type_of(field), meaning(field));
        if KUBERNETES_OWN.contains(&name.as_str()) {
            continue;
        }
        match items(field) {
            Some(item) => rows(page, &format!("{path}[]"), item),
            None => rows(page, &path, field),
        }
    }
}

fn items(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(items) => items.first(),
    }
}

fn type_of(schema: &JSONSchemaProps) -> String {
    let name = schema.type_.as_deref().unwrap_or("any");
    items(schema).map_or_else(|| name.to_owned(), |item| format!("list of {}", type_of(item)))
}

fn meaning(schema: &JSONSchemaProps) -> String {
    let mut text = one_line(schema.description.as_deref().unwrap_or_default());
    let values = schema
        .enum_
        .iter()
        .flatten()
        .chain(items(schema).and_then(|item| item.enum_.as_ref()).into_iter().flatten());
    let values: Vec<String> = values
        .filter(|value| !value.0.is_null())
        .map(|value| format!("`{}`", value.0.to_string().trim_matches('"')))
        .collect();
    if !values.is_empty() {
        let _ = write!(text, " One of {}.", values.join(", "));
    }
    if let Some(default) = schema.default.as_ref().filter(|default| !default.0.is_null()) {
        let _ = write!(text, " Default: `{}`.", default.0.to_string().trim_matches('"'));
    }
    text
}

/// Markdown tables have one line for each row, and a bar ends a cell.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::{markdown, one_line};

    #[test]
    fn every_kind_and_a_field_of_each_depth_is_there() {
        let page = markdown();
        for expected in [
            "## ClusterImageConfigPolicy (`cicp`, Cluster)",
            "## ImageConfigPolicy (`icp`, Namespaced)",
            "| `spec.onResolutionFailure` |",
            "| `spec.rules.user.runAsNonRoot` |",
            "| `spec.rules.labels[].key` |",
            "effective",
        ] {
            assert!(page.contains(expected), "{expected:?} is missing from\n{page}");
        }
    }

    #[test]
    fn a_cell_is_one_line_without_bars() {
        assert_eq!(one_line("a\n  b | c"), "a b \\| c");
    }
}
