//! `hullmark crds`: the CustomResourceDefinitions of [`crate::api`], as YAML for `kubectl apply`.

use crate::api::v1alpha1::{ClusterImageConfigPolicy, ImageConfigException, ImageConfigPolicy};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// Every CustomResourceDefinition, one YAML document each.
#[must_use]
pub fn crds() -> String {
    definitions().iter().map(|crd| format!("---\n{}", yaml(crd))).collect()
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
    #[test]
    fn dump() {
        print!("{}", super::crds());
    }
}
