//! What the chart renders, for many values: the objects, how they fit each other, what they may do.
//!
//! `chart/installed.rs` installs it.

mod installed;
pub(crate) mod rbac;

use crate::support::Hullmark;
use hullmark::yaml;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/hullmark");

/// What helm renders with these values, each `NAME=VALUE` as for `--set`; or what it says against them.
fn render(values: &[&str]) -> Result<Vec<Value>, String> {
    let assets = env::var_os("KUBEBUILDER_ASSETS")
        .expect("KUBEBUILDER_ASSETS says where helm is; run scripts/test, or scripts/chart test");
    let mut command = Command::new(Path::new(&assets).join("helm"));
    command.args(["template", "hullmark", CHART, "--namespace", "hullmark"]);
    for value in values {
        command.arg("--set").arg(value);
    }
    let output = command.output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).unwrap();
    // A template that renders nothing leaves its comment.
    Ok(yaml::documents(&text).unwrap().into_iter().map(|document| document.value).collect())
}

fn rendered(values: &[&str]) -> Vec<Value> {
    render(values).unwrap_or_else(|error| panic!("{values:?}: {error}"))
}

/// What is installed, without what helm runs at other times.
pub(crate) fn release(values: &[&str]) -> Vec<Value> {
    let is_hook = |object: &Value| object["metadata"]["annotations"].get("helm.sh/hook").is_some();
    rendered(values).into_iter().filter(|object| !is_hook(object)).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

pub(crate) fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    match of_kind(objects, kind).as_slice() {
        [one] => one,
        several => panic!("{} of kind {kind}", several.len()),
    }
}

fn container(objects: &[Value]) -> &Value {
    &the(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
}

fn arguments(objects: &[Value]) -> Vec<String> {
    let all = container(objects)["args"].as_array().unwrap();
    all.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn kinds(objects: &[Value]) -> BTreeSet<&str> {
    objects.iter().map(|object| object["kind"].as_str().unwrap()).collect()
}

const CERT_MANAGER: &str = "certificates.mode=certManager";
/// Neither an authority nor a Lease.
const NOTHING_OF_OUR_NAMESPACE: &str = "certificates.mode=certManager,scan.interval=";
const OWN_SECRET: &str = "certificates.mode=secret,certificates.secretName=mine,\
    certificates.caBundle=-----BEGIN CERTIFICATE-----";
const CREDENTIAL_PROVIDERS: &str = "registries.credentialProviders.config=x,\
                                    registries.credentialProviders.volume.image.reference=ghcr.io/acme/plugins:1,\
                                    registries.credentialProviders.folder=/bin";
const BREAK_GLASS: &str = "breakGlass.label=acme.io/break-glass,breakGlass.groups={sre,oncall}";

#[test]
fn everything_finds_its_pods() {
    let objects = release(&["networkPolicy.enabled=true", "podLabels.team=platform"]);
    let deployment = the(&objects, "Deployment");
    let labels = deployment["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
    assert_eq!(labels["team"], "platform");
    let spec = &deployment["spec"]["template"]["spec"];
    let spread = spec["topologySpreadConstraints"].as_array().unwrap();
    assert_eq!(spread.len(), 2, "over zones and hosts");
    let near = &spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &the(&objects, "Service")["spec"]["selector"],
        &the(&objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &the(&objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        &near["podAffinityTerm"]["labelSelector"]["matchLabels"],
        &spread[0]["labelSelector"]["matchLabels"],
        &spread[1]["labelSelector"]["matchLabels"],
    ] {
        let selector = selector.as_object().unwrap();
        assert_eq!(selector.len(), 2, "{selector:?}");
        assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "{selector:?}");
    }
    // Ports go by name from the Service to the container, and probes too.
    let names: Vec<&Value> =
        container(&objects)["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    for port in the(&objects, "Service")["spec"]["ports"].as_array().unwrap() {
        assert!(names.contains(&&port["targetPort"]), "{port}");
    }
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container(&objects)[probe]["httpGet"]["port"], "health", "{probe}");
    }
}

#[test]
fn pods_are_restricted_wherever_the_chart_makes_some() {
    let objects = rendered(&["scan.cronJob.enabled=true"]);
    let mut count = 0;
    for object in &objects {
        let pod = match object["kind"].as_str().unwrap() {
            "Deployment" | "Job" => &object["spec"]["template"]["spec"],
            "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
            "Pod" => &object["spec"],
            _ => continue,
        };
        count += 1;
        let name = &object["metadata"]["name"];
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(context["runAsNonRoot"], true, "{name}");
            assert_eq!(context["runAsUser"], 65532, "{name}");
            assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }), "{name}");
            let resources = &container["resources"];
            assert!(resources["limits"].get("cpu").is_none(), "{name}");
            assert_eq!(resources["limits"]["memory"], resources["requests"]["memory"], "{name}");
        }
    }
    assert_eq!(count, 4, "the Deployment, the CronJob, the uninstall Job and the test");
}

#[test]
fn values_switch_what_they_say() {
    let always = kinds(&release(&[])).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("autoscaling.enabled=true", &["HorizontalPodAutoscaler"], &[]),
        ("networkPolicy.enabled=true", &["NetworkPolicy"], &[]),
        ("scan.cronJob.enabled=true", &["CronJob"], &[]),
        ("monitoring.serviceMonitor.enabled=true", &["ServiceMonitor"], &[]),
        ("monitoring.prometheusRule.enabled=true", &["PrometheusRule"], &[]),
        ("monitoring.dashboard.enabled=true", &["ConfigMap"], &[]),
        ("priorityClassQuota=true", &["ResourceQuota"], &[]),
        ("registries.hosts.ghcr\\.io=x", &["ConfigMap"], &[]),
        (CREDENTIAL_PROVIDERS, &["ConfigMap"], &[]),
        (CERT_MANAGER, &["Certificate", "Issuer", "ValidatingWebhookConfiguration"], &[]),
        (
            NOTHING_OF_OUR_NAMESPACE,
            &["Certificate", "Issuer", "ValidatingWebhookConfiguration"],
            &["Role", "RoleBinding"],
        ),
        (OWN_SECRET, &["ValidatingWebhookConfiguration"], &[]),
        ("pin=true", &[], &[]),
        ("replicas=1", &[], &["PodDisruptionBudget"]),
        ("podDisruptionBudget.enabled=false", &[], &["PodDisruptionBudget"]),
        ("crds.install=false", &[], &["CustomResourceDefinition"]),
        ("serviceAccount.create=false", &[], &["ServiceAccount"]),
        ("guard.enabled=false", &[], &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]),
        ("modeLabel=,ignoreLabel=", &[], &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]),
        ("rbac.create=false", &[], &["ClusterRoleBinding", "Role", "RoleBinding"]),
    ];
    for (value, more, less) in rows {
        let mut expected = always.clone();
        expected.extend(more.iter().map(|&kind| kind.to_owned()));
        expected.retain(|kind| !less.contains(&kind.as_str()));
        let objects = release(&[value]);
        assert_eq!(kinds(&objects), expected.iter().map(String::as_str).collect(), "{value}");
    }
    let pinned = release(&[CERT_MANAGER, "pin=true"]);
    assert_eq!(the(&pinned, "MutatingWebhookConfiguration")["webhooks"][0]["failurePolicy"], "Ignore");
    let scaled = release(&["autoscaling.enabled=true"]);
    assert!(the(&scaled, "Deployment")["spec"].get("replicas").is_none(), "the autoscaler decides");
}

#[test]
fn the_image_goes_by_digest_or_tag() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let version = env!("CARGO_PKG_VERSION");
    for (values, image) in [
        (String::new(), format!("ghcr.io/hullmark/hullmark:{version}")),
        ("image.tag=edge".to_owned(), "ghcr.io/hullmark/hullmark:edge".to_owned()),
        (format!("image.digest={digest}"), format!("ghcr.io/hullmark/hullmark@{digest}")),
        (
            format!("image.repository=r.acme.io/h,image.tag=v1,image.digest={digest}"),
            format!("r.acme.io/h:v1@{digest}"),
        ),
    ] {
        assert_eq!(container(&release(&[&values]))["image"], image.as_str(), "{values}");
    }
}

#[test]
fn values_that_cannot_be_are_refused() {
    for (value, why) in [
        ("mode=off", "/mode"),
        ("starterPolicies.mode=maybe", "/starterPolicies/mode"),
        ("unmatched=refuse", "/unmatched"),
        ("replicas=0", "/replicas"),
        ("replica=3", "'replica' not allowed"),
        ("image.digest=sha256:abc", "/image/digest"),
        ("webhook.timeoutSeconds=31", "/webhook/timeoutSeconds"),
        ("webhook.url=http://h", "/webhook/url"),
        ("drain=15", "/drain"),
        ("pullSecrets.global={registry}", "/pullSecrets/global/0"),
        ("exemptNamespaces={Not_One}", "/exemptNamespaces/0"),
        ("guard.groups=null", "needs guard.groups"),
        ("guard.groups={a'b}", "/guard/groups/0"),
        ("registries.hosts.\\.\\./x=1", "registries"),
        ("scan.cronJob.output=pdf", "/scan/cronJob/output"),
        ("reports.maxResults=0", "/reports/maxResults"),
        ("cache.size=64MB", "/cache/size"),
        ("cache.warmUp.rate=0", "/cache/warmUp/rate"),
        ("cache.shared.secretName=Not_One", "/cache/shared/secretName"),
        ("registries.proxy.https=proxy:3128", "/registries/proxy/https"),
        ("tracing.endpoint=otel:4318", "/tracing/endpoint"),
        ("tracing.endpoint=https://me:secret@otel", "/tracing/endpoint"),
        ("tracing.ratio=1.5", "/tracing/ratio"),
        ("registries.refuseAddresses={public}", "/registries/refuseAddresses/0"),
        ("registries.secrets={a/b}", "/registries/secrets/0"),
        ("registries.credentialProviders.config=x", "/registries/credentialProviders/volume"),
        ("parameters[0].apiGroup=,parameters[0].resource=secrets", "/parameters/0/resource"),
        ("certificates.mode=secret", "needs certificates.secretName"),
        ("breakGlass.label=a/b", "needs breakGlass.groups"),
        ("pullSecrets.mode=namespaces", "needs pullSecrets.namespaces"),
        ("ports.health=8443", "must differ"),
        ("autoscaling.enabled=true,autoscaling.minReplicas=20", "greater than autoscaling.maxReplicas"),
        ("monitoring.prometheusRule.disabled={slow}", "/monitoring/prometheusRule/disabled/0"),
        ("monitoring.prometheusRule.runbooks=wiki", "/monitoring/prometheusRule/runbooks"),
        ("monitoring.serviceMonitor.scrapeTimeout=5", "/monitoring/serviceMonitor/scrapeTimeout"),
        ("starterPolicies.mode=audit,starterPolicies.policies={nope}", "carries no policy \"nope\""),
    ] {
        let error = render(&[value]).expect_err(value);
        assert!(error.contains(why), "{value}: {error}");
    }
}

#[tokio::test]
async fn the_binary_takes_every_argument() {
    let everything = [
        "mode=audit,unmatched=warn,exemptNamespaces={cni,csi},pullSecrets.mode=namespaces",
        "pullSecrets.namespaces={shop},pullSecrets.global={ops/registry},pin=true,platforms.fromNodes=false",
        "platforms.only={linux/amd64,linux/arm64},registries.hosts.ghcr\\.io=x,listenAddress=[::]",
        "registries.allowAddresses={127.0.0.0/8},registries.refuseAddresses={private,192.0.2.0/24}",
        "registries.allow={ghcr.io,*.acme.io:5000},registries.deny={docker.io/library}",
        CREDENTIAL_PROVIDERS,
        "cache.size=128Mi,cache.staleIfError=0s,cache.warmUp.enabled=true,cache.warmUp.wait=30s",
        "webhook.url=https://h:8443,exceptions=shop\\,web,events.enabled=false,reports.passes=true",
        BREAK_GLASS,
    ];
    for values in [&[][..], &everything[..], &[CERT_MANAGER]] {
        let mut arguments = arguments(&release(values));
        arguments.push("--kubeconfig=/nowhere".to_owned());
        let output = Hullmark::new().run(&arguments).await;
        // It is understood, and fails later: there is no such file.
        assert!(output.stderr.contains("--kubeconfig /nowhere:"), "{arguments:?}: {}", output.stderr);
    }
    let scans =
        [&everything[..], &["scan.cronJob.enabled=true,scan.cronJob.extraArgs={--timeout=5s}"]].concat();
    for values in [&["scan.cronJob.enabled=true"][..], &scans] {
        let objects = release(values);
        let pod = &the(&objects, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        let mut arguments: Vec<String> =
            serde_json::from_value(pod["containers"][0]["args"].clone()).unwrap();
        arguments.push("--kubeconfig=/nowhere".to_owned());
        let output = Hullmark::new().run(&arguments).await;
        assert!(output.stderr.contains("--kubeconfig /nowhere:"), "{arguments:?}: {}", output.stderr);
    }
    let objects = rendered(&[]);
    let mut remove: Vec<String> = serde_json::from_value(
        the(&objects, "Job")["spec"]["template"]["spec"]["containers"][0]["args"].clone(),
    )
    .unwrap();
    remove.push("--kubeconfig=/nowhere".to_owned());
    let output = Hullmark::new().run(&remove).await;
    assert!(output.stderr.contains("--kubeconfig /nowhere:"), "{remove:?}: {}", output.stderr);
}

/// Variables of the container's environment; of those from elsewhere, where they are from.
fn environment(objects: &[Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = |one: &Value| one.get("value").map_or_else(|| one["valueFrom"].to_string(), text);
    let all = container(objects)["env"].as_array().unwrap();
    all.iter().map(|one| (text(&one["name"]), told(one))).collect()
}

#[tokio::test]
async fn traces_are_off_or_sent_as_the_values_say() {
    let of_traces = |name: &String| name.starts_with("OTEL_");
    assert!(!environment(&release(&["tracing.headersSecret=otel"])).keys().any(of_traces));
    let endpoint = "tracing.endpoint=https://otel.monitoring:4318";
    let mut variables =
        environment(&release(&[endpoint, "tracing.ratio=0.05", "tracing.headersSecret=otel"]));
    let headers = variables.remove("OTEL_EXPORTER_OTLP_HEADERS").unwrap();
    assert_eq!(headers, json!({ "secretKeyRef": { "name": "otel", "key": "headers" } }).to_string());
    let names = "k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),k8s.container.name=hullmark";
    assert_eq!(variables["OTEL_RESOURCE_ATTRIBUTES"], names);
    assert_eq!(variables["OTEL_TRACES_SAMPLER_ARG"], "0.05");
    for (sampler, expected) in [("parentbased_traceidratio", "--kubeconfig /nowhere:"), ("half", "traces: ")]
    {
        variables.insert("OTEL_TRACES_SAMPLER".to_owned(), sampler.to_owned());
        let mut hullmark = Hullmark::new();
        for (name, value) in variables.iter().filter(|(name, _)| of_traces(name)) {
            hullmark = hullmark.env(name, value);
        }
        let output = hullmark.run(["serve", "--cluster", "--kubeconfig=/nowhere"]).await;
        // It is understood, and fails later: there is no such file.
        assert!(output.stderr.contains(expected), "{sampler}: {}", output.stderr);
    }
}

/// The paths of all values: those of the schema, and those of values.yaml.
fn paths(schema: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        found.insert(prefix.to_owned());
        return;
    };
    for (key, below) in properties {
        paths(below, &format!("{prefix}.{key}"), found);
    }
}

#[test]
fn the_schema_knows_each_value_and_no_other() {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(format!("{CHART}/values.schema.json")).unwrap()).unwrap();
    let values =
        &yaml::documents(&fs::read_to_string(format!("{CHART}/values.yaml")).unwrap()).unwrap()[0].value;
    let mut known = BTreeSet::new();
    paths(&schema, "", &mut known);
    // Helm's own, for charts above this one.
    assert!(known.remove(".global"));
    // And each is used by a template.
    let templates = all_templates();
    for path in &known {
        let found = path.split('.').skip(1).try_fold(values, |value, key| value.get(key));
        assert!(found.is_some(), "values.yaml has no {path}");
        // Itself, or what it is a part of.
        let mut words = path.rsplit('.');
        let used = words.by_ref().take(2).any(|word| templates.contains(&format!(".{word}")));
        assert!(used, "no template uses {path}");
    }
}

fn all_templates() -> String {
    fn read(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text);
            } else {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    read(&Path::new(CHART).join("templates"), &mut text);
    text
}
