//! What the webhook configurations should be. Pure.
//!
//! What surprises: where Pods are enforced, a failure of ours refuses (`Fail`), since a Pod that was not
//! judged is not let through; in audit mode, for templates and for policies it does not (`Ignore`), since
//! those block nothing. Our own namespace and kube-system are left out by a label that nobody can take
//! away, so that nothing depends on Hullmark to heal Hullmark.

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference,
        ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, OwnerReference},
};
use kube::api::ObjectMeta;

/// The label that every namespace has and that nobody can change: its name.
const METADATA_NAME: &str = "kubernetes.io/metadata.name";
/// Without these, a cluster cannot heal.
const ALWAYS_EXEMPT: &str = "kube-system";

/// An UPDATE that changes no image of a Pod has nothing to judge. Sub-resources (ephemeral containers) are
/// always judged.
const IMAGES_CHANGED: &str = "request.operation != 'UPDATE' || request.?subResource.orValue('') != '' || oldObject == null \
    || object.spec.containers.map(c, c.?image.orValue('')) != oldObject.spec.containers.map(c, c.?image.orValue('')) \
    || object.spec.?initContainers.orValue([]).map(c, c.?image.orValue('')) \
    != oldObject.spec.?initContainers.orValue([]).map(c, c.?image.orValue(''))";

/// An UPDATE that leaves the template alone, such as a change of scale, has nothing to warn about.
const TEMPLATE_CHANGED: &str = "request.operation != 'UPDATE' || oldObject == null \
    || object.?spec.?template != oldObject.?spec.?template || object.?template != oldObject.?template \
    || object.?spec.?jobTemplate != oldObject.?spec.?jobTemplate";

/// How the webhook is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The configurations' name.
    pub name: String,
    /// How the API server reaches us.
    pub caller: Caller,
    /// Our own namespace, which is exempt.
    pub namespace: String,
    /// Further namespaces that are exempt.
    pub exempt: Vec<String>,
    /// A label that exempts a namespace; none: no label does.
    pub ignore_label: Option<String>,
    /// Whether a failure of ours refuses Pods.
    pub enforce: bool,
    /// How long the API server waits, 1 to 30.
    pub timeout_seconds: u8,
    /// Whether images are pinned.
    pub pin: bool,
    /// The ClusterRole that owns the configurations.
    pub owner: Option<String>,
}

/// How the API server reaches us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// By a Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// By a URL without a path.
    Url(String),
}

/// The configuration of validating webhooks.
pub(super) fn validating(
    configuration: &Configuration,
    bundle: &str,
    owner: Option<OwnerReference>,
) -> ValidatingWebhookConfiguration {
    let webhook = |name: &str, path: &str, rules, fails| ValidatingWebhook {
        name: name.to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: client_config(&configuration.caller, path, bundle),
        failure_policy: Some(if fails { "Fail" } else { "Ignore" }.to_owned()),
        match_policy: Some("Equivalent".to_owned()),
        rules: Some(rules),
        side_effects: "NoneOnDryRun".to_owned(),
        timeout_seconds: Some(i32::from(configuration.timeout_seconds)),
        ..ValidatingWebhook::default()
    };
    let selected = |name: &str, expression: &str, webhook| ValidatingWebhook {
        namespace_selector: Some(namespaces(configuration)),
        match_conditions: Some(vec![condition(name, expression)]),
        ..webhook
    };
    ValidatingWebhookConfiguration {
        metadata: metadata(configuration, owner),
        webhooks: Some(vec![
            selected(
                "images-changed",
                IMAGES_CHANGED,
                webhook("pods.hullmark.dev", "/validate", pods(), configuration.enforce),
            ),
            selected(
                "template-changed",
                TEMPLATE_CHANGED,
                webhook("templates.hullmark.dev", "/validate", templates(), false),
            ),
            webhook(
                "policies.hullmark.dev",
                "/validate-policy",
                vec![rule("hullmark.dev", "v1alpha1", &OURS, &CHANGES)],
                false,
            ),
        ]),
    }
}

/// The configuration of the pinning hook.
pub(super) fn mutating(
    configuration: &Configuration,
    bundle: &str,
    owner: Option<OwnerReference>,
) -> MutatingWebhookConfiguration {
    MutatingWebhookConfiguration {
        metadata: metadata(configuration, owner),
        webhooks: Some(vec![MutatingWebhook {
            name: "pin.hullmark.dev".to_owned(),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: client_config(&configuration.caller, "/mutate", bundle),
            // What is not pinned is judged all the same.
            failure_policy: Some("Ignore".to_owned()),
            match_policy: Some("Equivalent".to_owned()),
            namespace_selector: Some(namespaces(configuration)),
            match_conditions: Some(vec![condition("images-changed", IMAGES_CHANGED)]),
            // Hooks after ours may add containers.
            reinvocation_policy: Some("IfNeeded".to_owned()),
            rules: Some(pods()),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(i32::from(configuration.timeout_seconds)),
            ..MutatingWebhook::default()
        }]),
    }
}

const CHANGES: [&str; 2] = ["CREATE", "UPDATE"];
const OURS: [&str; 3] = ["clusterimageconfigpolicies", "imageconfigpolicies", "imageconfigexceptions"];

fn pods() -> Vec<RuleWithOperations> {
    vec![rule("", "v1", &["pods"], &CHANGES), rule("", "v1", &["pods/ephemeralcontainers"], &["UPDATE"])]
}

fn templates() -> Vec<RuleWithOperations> {
    vec![
        rule("apps", "v1", &["deployments", "replicasets", "statefulsets", "daemonsets"], &CHANGES),
        rule("batch", "v1", &["jobs", "cronjobs"], &CHANGES),
        rule("", "v1", &["replicationcontrollers", "podtemplates"], &CHANGES),
    ]
}

fn rule(group: &str, version: &str, resources: &[&str], operations: &[&str]) -> RuleWithOperations {
    let list = |items: &[&str]| Some(items.iter().map(|&item| item.to_owned()).collect());
    RuleWithOperations {
        api_groups: list(&[group]),
        api_versions: list(&[version]),
        operations: list(operations),
        resources: list(resources),
        scope: Some("*".to_owned()),
    }
}

fn condition(name: &str, expression: &str) -> MatchCondition {
    MatchCondition { name: name.to_owned(), expression: expression.to_owned() }
}

fn namespaces(configuration: &Configuration) -> LabelSelector {
    let mut names = vec![ALWAYS_EXEMPT.to_owned(), configuration.namespace.clone()];
    names.extend(configuration.exempt.iter().cloned());
    names.sort_unstable();
    names.dedup();
    let not_named = LabelSelectorRequirement {
        key: METADATA_NAME.to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(names),
    };
    let not_labelled = configuration.ignore_label.iter().map(|label| LabelSelectorRequirement {
        key: label.clone(),
        operator: "DoesNotExist".to_owned(),
        values: None,
    });
    LabelSelector {
        match_expressions: Some(std::iter::once(not_named).chain(not_labelled).collect()),
        match_labels: None,
    }
}

fn client_config(caller: &Caller, path: &str, bundle: &str) -> WebhookClientConfig {
    let (service, url) = match caller {
        Caller::Service { namespace, name, port } => {
            let service = ServiceReference {
                namespace: namespace.clone(),
                name: name.clone(),
                path: Some(path.to_owned()),
                port: Some(i32::from(*port)),
            };
            (Some(service), None)
        }
        Caller::Url(url) => (None, Some(format!("{}{path}", url.trim_end_matches('/')))),
    };
    WebhookClientConfig { ca_bundle: Some(ByteString(bundle.as_bytes().to_vec())), service, url }
}

fn metadata(configuration: &Configuration, owner: Option<OwnerReference>) -> ObjectMeta {
    let labels = [("app.kubernetes.io/managed-by", "hullmark"), ("app.kubernetes.io/name", "hullmark")];
    ObjectMeta {
        name: Some(configuration.name.clone()),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        owner_references: owner.map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn configuration() -> Configuration {
        Configuration {
            name: "hullmark".to_owned(),
            caller: Caller::Service {
                namespace: "security".to_owned(),
                name: "hullmark".to_owned(),
                port: 443,
            },
            namespace: "security".to_owned(),
            exempt: vec!["cni".to_owned(), "kube-system".to_owned()],
            ignore_label: Some("hullmark.dev/ignore".to_owned()),
            enforce: true,
            timeout_seconds: 10,
            pin: false,
            owner: None,
        }
    }

    #[test]
    fn only_pods_that_are_enforced_wait_for_us() {
        for (enforce, policies) in [(true, ["Fail", "Ignore", "Ignore"]), (false, ["Ignore"; 3])] {
            let desired = validating(&Configuration { enforce, ..configuration() }, "PEM", None);
            let found: Vec<String> =
                desired.webhooks.unwrap().into_iter().filter_map(|webhook| webhook.failure_policy).collect();
            assert_eq!(found, policies);
        }
        let pin = mutating(&configuration(), "PEM", None).webhooks.unwrap().remove(0);
        assert_eq!(pin.failure_policy.as_deref(), Some("Ignore"));
    }

    #[test]
    fn what_the_cluster_needs_to_heal_is_exempt() {
        let desired = serde_json::to_value(validating(&configuration(), "PEM", None)).unwrap();
        let exempt = json!({ "matchExpressions": [
            { "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["cni", "kube-system", "security"] },
            { "key": "hullmark.dev/ignore", "operator": "DoesNotExist" },
        ] });
        assert_eq!(desired["webhooks"][0]["namespaceSelector"], exempt);
        assert_eq!(desired["webhooks"][1]["namespaceSelector"], exempt);
        let without = Configuration { ignore_label: None, ..configuration() };
        let desired = serde_json::to_value(validating(&without, "PEM", None)).unwrap();
        assert_eq!(
            desired["webhooks"][0]["namespaceSelector"]["matchExpressions"].as_array().unwrap().len(),
            1
        );
    }

    #[test]
    fn it_is_reached_by_service_or_url() {
        let by_service = serde_json::to_value(validating(&configuration(), "PEM", None)).unwrap();
        let config = &by_service["webhooks"][2]["clientConfig"];
        assert_eq!(
            config["service"],
            json!({ "namespace": "security", "name": "hullmark", "path": "/validate-policy", "port": 443 })
        );
        assert_eq!(config["caBundle"], "UEVN");
        let url =
            Configuration { caller: Caller::Url("https://10.0.0.1:8443/".to_owned()), ..configuration() };
        let by_url = serde_json::to_value(validating(&url, "PEM", None)).unwrap();
        assert_eq!(by_url["webhooks"][0]["clientConfig"]["url"], "https://10.0.0.1:8443/validate");
    }

    #[test]
    fn every_place_that_runs_images_has_a_rule() {
        let desired = serde_json::to_value(validating(&configuration(), "PEM", None)).unwrap();
        let resources = |i: usize| -> Vec<String> {
            let rules = desired["webhooks"][i]["rules"].as_array().unwrap();
            rules
                .iter()
                .flat_map(|rule| rule["resources"].as_array().unwrap())
                .map(|one| one.as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(resources(0), ["pods", "pods/ephemeralcontainers"]);
        assert_eq!(
            resources(1),
            [
                "deployments",
                "replicasets",
                "statefulsets",
                "daemonsets",
                "jobs",
                "cronjobs",
                "replicationcontrollers",
                "podtemplates"
            ]
        );
        assert_eq!(resources(2).len(), 3);
    }
}
