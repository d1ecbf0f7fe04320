//! `hullmark crds`: the CustomResourceDefinitions of [`crate::api`], as YAML for `kubectl apply`.

use crate::api::v1alpha1::{ClusterImageConfigPolicy, ImageConfigException, ImageConfigPolicy};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// Every CustomResourceDefinition, one YAML document each.
#[must_use]
pub fn crds() -> String {
    definitions().iter().flat_map(|crd| ["---\n".to_owned(), yaml(crd)]).collect()
}

/// The definitions, as Kubernetes types.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 3] {
    [ClusterImageConfigPolicy::crd(), ImageConfigPolicy::crd(), ImageConfigException::crd()]
}

fn yaml(crd: &CustomResourceDefinition) -> String {
    serde_saphyr::to_string(crd).expect("a CustomResourceDefinition has string keys and finite numbers only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;
    use serde_json::Value;

    #[test]
    fn the_yaml_is_the_definitions() {
        let documents = yaml::documents(&crds()).unwrap();
        let expected: Vec<Value> =
            definitions().iter().map(|crd| serde_json::to_value(crd).unwrap()).collect();
        assert_eq!(documents.into_iter().map(|document| document.value).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_are_what_users_type() {
        for (crd, plural, short, scope) in definitions()
            .iter()
            .zip([
                ("clusterimageconfigpolicies", "cicp", "Cluster"),
                ("imageconfigpolicies", "icp", "Namespaced"),
                ("imageconfigexceptions", "ice", "Namespaced"),
            ])
            .map(|(crd, (plural, short, scope))| (crd, plural, short, scope))
        {
            let names = &crd.spec.names;
            assert_eq!(names.plural, plural);
            assert_eq!(names.short_names.as_deref(), Some([short.to_owned()].as_slice()));
            assert_eq!(names.categories.as_deref(), Some(["hullmark".to_owned()].as_slice()));
            assert_eq!(crd.spec.scope, scope);
            let version = &crd.spec.versions[0];
            assert!(version.subresources.as_ref().is_some_and(|sub| sub.status.is_some()), "{plural}");
        }
    }

    /// Kubernetes takes structural schemas only: each field has one type, and nothing that decides it
    /// by its value (apiextensions, `structural-schemas`). A field without a description helps nobody.
    #[test]
    fn schemas_are_structural_and_described() {
        for crd in definitions() {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
            structural(spec, &format!("{} spec", crd.spec.names.kind));
        }
    }

    fn structural(schema: &Value, path: &str) {
        for word in ["$ref", "oneOf", "anyOf", "allOf", "not"] {
            assert!(schema.get(word).is_none(), "{path} has {word}");
        }
        assert!(schema["type"].is_string(), "{path} has no type: {schema}");
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            assert!(field["description"].is_string(), "{path}.{name} has no description");
            assert!(schema.get("additionalProperties").is_none(), "{path} has both kinds of properties");
            structural(field, &format!("{path}.{name}"));
        }
        if let Some(items) = schema.get("items") {
            structural(items, &format!("{path}[]"));
        }
    }

    #[test]
    fn the_api_server_checks_what_it_can() {
        let schema = serde_json::to_value(&definitions()[0].spec.versions[0].schema).unwrap();
        let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
        let rules = |schema: &Value| {
            let rules = schema["x-kubernetes-validations"].as_array().unwrap();
            rules.iter().map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let checks_something = "has(self.rules) || (has(self.validations) && size(self.validations) > 0) \
                                || (has(self.auditAnnotations) && size(self.auditAnnotations) > 0)";
        assert_eq!(rules(spec), ["has(self.paramKind) == has(self.paramRef)", checks_something]);
        let below = &spec["properties"];
        assert_eq!(rules(&below["validationActions"]), ["!('Deny' in self && 'Warn' in self)"]);
        assert_eq!(rules(&below["paramRef"]), ["has(self.name) != has(self.selector)"]);
    }
}
