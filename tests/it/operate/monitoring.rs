//! The dashboard and the alerts against a real Prometheus, that reads Hullmark and the API server while everything happens
//! that they speak of: no panel is empty, and nobody asks for what does not exist.

use super::{
    stage::{Stage, create, eventually, eventually_in, pod, policy, replica},
    weather::{Sky, Weather},
};
use crate::{
    monitoring::{
        alerts,
        dashboard::{self, Query, selectors},
        groups,
    },
    support::{Entry, Image, Index, Namespace, Prometheus, Redis, Webhook, own_address, trusting},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};

/// What Grafana would put for variables.
const VARIABLES: [(&str, &str); 4] =
    [("namespace", "hullmark"), ("job", "hullmark"), ("__rate_interval", "30s"), ("__range", "5m")];
const DRY_RUN: [&str; 4] = ["create", "--dry-run=server", "-f", "-"];

#[tokio::test]
async fn no_panel_is_empty_and_no_alert_asks_in_vain() {
    let redis = Redis::plain().await;
    let cache = format!("--cache=redis://127.0.0.1:{}", redis.port);
    let stage = Stage::set(&json!({
        "cache": { "tagTTL": "1s" },
        // Nobody collects traces there.
        "extraArgs": [cache, "--cache-timeout=2s", "--otlp-endpoint=http://127.0.0.1:1"],
    }))
    .await;
    let mut groups = groups(&[]);
    // They are to be seen at once.
    for alert in groups[0]["rules"].as_array_mut().unwrap() {
        alert.as_object_mut().unwrap().remove("for");
    }
    let prometheus = Prometheus::start(&targets(&stage), &groups).await;
    let started = Instant::now();
    let world = World::new(&stage).await;
    world.policies_and_exceptions().await;
    let webhook = world.everything_happens(redis).await;

    let window = i64::try_from(started.elapsed().as_secs()).unwrap();
    let check = async |queries: &[Query]| complaints(&prometheus, queries, window).await;
    let dashboard = dashboard::read();
    let queries = dashboard::queries(&dashboard, &VARIABLES);
    assert!(queries.len() > 40, "{}", queries.len());
    let faults = check(&queries).await;
    assert!(faults.is_empty(), "{faults:#?}\n{}", webhook.last_words());
    variables_have_values(&prometheus, &dashboard).await;
    a_mistake_is_seen(&check, &queries).await;
    alerts_can_be_told(&prometheus, &groups, window).await;
}

/// What Prometheus reads: Hullmark as a `ServiceMonitor` would have it, and the API server.
fn targets(stage: &Stage) -> Value {
    let plane = stage.plane;
    let of_admin = |file: &str| plane.kubeconfig().with_file_name(file).display().to_string();
    let labels = json!({ "namespace": "hullmark" });
    json!([
        {
            "job_name": "hullmark",
            "static_configs": [{ "targets": [replica(0).1.to_string()], "labels": labels }],
        },
        {
            "job_name": "apiserver", "scheme": "https", "scrape_interval": "3s", "scrape_timeout": "3s",
            "tls_config": {
                "ca_file": plane.ca().display().to_string(),
                "cert_file": of_admin("admin.crt"), "key_file": of_admin("admin.key"),
            },
            "static_configs": [{ "targets": [format!("{}:6443", plane.address())] }],
        },
    ])
}

/// What is wrong with queries, by what Prometheus says of the last `seconds`: a metric or a label's value that does not
/// exist, an expression that it does not understand or that gives no number.
async fn complaints(prometheus: &Prometheus, queries: &[Query], seconds: i64) -> Vec<String> {
    let mut complaints = of_selectors(prometheus, queries, seconds).await;
    for Query { of, expression } in queries {
        let is_number = |value: &Value| value[1].as_str().is_some_and(|number| number != "NaN");
        let series = prometheus.range(expression, seconds).await;
        let found = series
            .map(|series| series.iter().any(|one| one["values"].as_array().unwrap().iter().any(is_number)));
        match found {
            Ok(true) => {}
            Ok(false) => complaints.push(format!("{of:?} is empty: {expression}")),
            Err(error) => complaints.push(format!("{of:?}: {error}: {expression}")),
        }
    }
    complaints
}

/// The same, of the selectors alone: `… or vector(0)` is never empty, and an alert is so on most days.
async fn of_selectors(prometheus: &Prometheus, queries: &[Query], seconds: i64) -> Vec<String> {
    let known = prometheus.api("label/__name__/values", &[]).await.unwrap();
    let known: BTreeSet<&str> = known.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let mut complaints = Vec::new();
    for Query { of, expression } in queries {
        let selectors = selectors(expression).unwrap_or_else(|fault| {
            complaints.push(format!("{of:?}: {fault}"));
            Vec::new()
        });
        for (metric, selector) in selectors {
            if !known.contains(metric.as_str()) {
                complaints.push(format!("{of:?}: there is no metric {metric}"));
            } else if prometheus.range(&selector, seconds).await.is_ok_and(|series| series.is_empty()) {
                complaints.push(format!("{of:?}: nothing ever was {selector}"));
            }
        }
    }
    complaints
}

/// Whether the check above can fail.
async fn a_mistake_is_seen(check: &impl AsyncFn(&[Query]) -> Vec<String>, queries: &[Query]) {
    for (from, to, expected) in [
        ("", "", "no selector"),
        ("sum(", "sum((", "parse error"),
        ("hullmark_reviews_total", "hullmark_review_total", "there is no metric hullmark_review_total"),
        ("verdict=\"deny\"", "verdict=\"denied\"", "nothing ever was"),
        (" or vector(0)", " > 1e9", "is empty"),
    ] {
        let mistaken = queries.iter().find(|query| query.expression.contains(from) && query.of != "Replicas");
        let Query { of, expression } = mistaken.unwrap_or_else(|| panic!("no panel has {from}"));
        let expression = if from.is_empty() { String::new() } else { expression.replace(from, to) };
        let faults = check(&[Query { of: of.clone(), expression }]).await;
        assert!(
            faults.iter().any(|fault| fault.contains(expected) && fault.contains(of)),
            "{from}: {faults:?}"
        );
    }
}

async fn variables_have_values(prometheus: &Prometheus, dashboard: &Value) {
    let mut asked = 0;
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["query"]["query"].as_str() else { continue };
        let (selector, label) = query
            .strip_prefix("label_values(")
            .unwrap()
            .strip_suffix(')')
            .unwrap()
            .rsplit_once(", ")
            .unwrap();
        let selector = selector.replace("$namespace", "hullmark");
        let path = format!("label/{label}/values");
        let values = prometheus.api(&path, &[("match[]", &selector)]).await.unwrap();
        assert_eq!(values, json!(["hullmark"]), "{query}");
        asked += 1;
    }
    assert_eq!(asked, 2);
}

/// Each alert asks for what exists, is understood, and its words are whole when it fires.
async fn alerts_can_be_told(prometheus: &Prometheus, groups: &Value, window: i64) {
    let queries: Vec<Query> = alerts(groups)
        .into_iter()
        .map(|alert| Query {
            of: alert["alert"].as_str().unwrap().to_owned(),
            expression: alert["expr"].as_str().unwrap().to_owned(),
        })
        .collect();
    let faults = of_selectors(prometheus, &queries, window).await;
    assert!(faults.is_empty(), "{faults:#?}");
    let state = prometheus.api("rules", &[]).await.unwrap();
    let rules = state["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), queries.len());
    for rule in rules {
        assert_eq!((&rule["health"], rule.get("lastError")), (&json!("ok"), None), "{rule}");
    }
    // All that was firing at some time, by name. The others look at more time than a test has; promtool has it.
    let told = prometheus.range("ALERTS{alertstate=\"firing\"}", window).await.unwrap();
    let told: BTreeSet<&str> = told.iter().map(|one| one["metric"]["alertname"].as_str().unwrap()).collect();
    for expected in [
        "HullmarkAbsent",
        "HullmarkReplicaDown",
        "HullmarkCallsFail",
        "HullmarkFailsOpen",
        "HullmarkGlassBroken",
        "HullmarkPolicyRefused",
        "HullmarkRegistryLimitNear",
        "HullmarkSharedCachePoisoned",
        "HullmarkSpansDropped",
    ] {
        assert!(told.contains(expected), "{expected} is not among {told:?}");
    }
    let now = prometheus.api("alerts", &[]).await.unwrap();
    let now = now["alerts"].as_array().unwrap();
    assert!(now.len() >= 3, "{now:?}");
    for alert in now {
        let words = alert["annotations"].to_string();
        assert!(
            !words.contains("{{") && !words.contains("no value") && !words.contains("error exec"),
            "{words}"
        );
    }
}

/// A cluster in which everything happens.
struct World<'a> {
    stage: &'a Stage,
    weather: Weather,
    shop: Namespace,
    lenient: Namespace,
}

impl<'a> World<'a> {
    async fn new(stage: &'a Stage) -> Self {
        for nth in 0..5 {
            let image = |platform| {
                Image::oci(platform, &json!({ "User": "1000", "Labels": { "nth": nth.to_string() } }))
            };
            let entries = ["linux/amd64", "linux/arm64"].map(|platform| Entry::Image(image(platform)));
            Index::oci(entries).push(&stage.open, &format!("demo/multi:{nth}")).await;
        }
        let weather = Weather::before(&stage.open, &stage.hosts).await;
        weather.turns(Sky::Counted);
        let (shop, lenient) = (stage.plane.namespace().await, stage.plane.namespace().await);
        stage
            .plane
            .kubectl(["label", "namespace", &lenient.name, "hullmark.dev/mode=audit"])
            .await
            .succeeded();
        Self { stage, weather, shop, lenient }
    }

    async fn policies_and_exceptions(&self) {
        let named = |name: &str, spec: &Value| {
            let mut one = policy(spec);
            one["metadata"]["name"] = json!(name);
            one
        };
        let exception = |name: &str, expires: &str| {
            json!({
                "apiVersion": "hullmark.dev/v1alpha1", "kind": "ImageConfigException",
                "metadata": { "name": name, "namespace": self.shop.name },
                "spec": { "policies": [{ "name": "another" }], "reason": "for the test", "expires": expires },
            })
        };
        for object in [
            named(
                "non-root",
                &json!({
                    "validationActions": ["Deny"], "onResolutionFailure": "Warn",
                    "rules": { "user": { "runAsNonRoot": true } },
                }),
            ),
            named(
                "team",
                &json!({
                    "validationActions": ["Audit"], "onResolutionFailure": "Allow",
                    "validations": [{ "expression": "config.labels['team'] == 'shop'" }],
                }),
            ),
            named(
                "labels",
                &json!({
                    "validationActions": ["Audit"], "onResolutionFailure": "Allow",
                    "rules": { "labels": [{ "key": "team", "required": true }] },
                }),
            ),
            // Before there is a webhook that would refuse it.
            named("mistyped", &json!({ "validations": [{ "expression": "config.usr == ''" }] })),
            exception("good", "2099-01-01T00:00:00Z"),
            exception("ended", "2020-01-01T00:00:00Z"),
        ] {
            self.stage.apply(&object).await.succeeded();
        }
    }

    async fn ask(&self, namespace: &Namespace, image: &str) {
        namespace.kubectl_with(&pod("web", image).to_string(), DRY_RUN).await;
    }

    fn multi(&self, nth: u8) -> String {
        self.stage.open.image(&format!("demo/multi:{nth}"))
    }

    /// The webhook, when it is asked.
    async fn operate(&self) -> Webhook {
        let webhook = Webhook::operate(self.stage.plane, &self.stage.hosts).await;
        let bad = self.stage.pod("bad", "bad").to_string();
        eventually("Pods are judged", &webhook, async || {
            self.shop.kubectl_with(&bad, DRY_RUN).await.stderr.contains("runs as root")
        })
        .await;
        webhook
    }

    /// Everything that is counted anywhere; gives the webhook that was left.
    async fn everything_happens(&self, mut redis: Redis) -> Webhook {
        // What runs before there is a webhook.
        create(&self.shop, &self.stage.pod("old", "bad")).await.succeeded();
        let webhook = self.operate().await;
        for nth in 0..2 {
            self.ask(&self.shop, &self.multi(nth)).await;
        }
        eventually_in("what was learned is in Redis", async || redis.keys().len() >= 6).await;
        webhook.stop().await;
        self.nobody_answers().await;
        poison(&redis);
        let webhook = self.operate().await;
        for nth in 0..3 {
            self.ask(&self.shop, &self.multi(nth)).await;
        }
        redis.kill();
        for nth in 2..5 {
            self.ask(&self.shop, &self.multi(nth)).await;
        }
        self.glass_is_broken().await;
        self.too_much_is_sent().await;
        // Rates need what goes on for a while.
        for _ in 0..4 {
            self.usual_reviews().await;
            sleep(Duration::from_secs(1)).await;
        }
        self.stale_is_served().await;
        eventually_in("what runs was looked at", async || {
            self.metrics().await.contains("hullmark_scan_policy_pods{")
        })
        .await;
        // Until all of it is read.
        sleep(Duration::from_secs(4)).await;
        webhook
    }

    async fn usual_reviews(&self) {
        let through_weather = |name: &str| format!("{}/demo/{name}", self.weather.host());
        self.weather.turns(Sky::Clear);
        for image in [through_weather("app:good"), self.stage.open.image("demo/app:bad")] {
            self.ask(&self.shop, &image).await;
            self.ask(&self.lenient, &image).await;
        }
        self.ask(&self.shop, &self.stage.open.image("demo/ghost:1")).await;
        // Nobody listens there.
        self.ask(&self.shop, "127.0.0.1:1/demo/app:1").await;
        // What is left of a limit is saved: this image is believed for longer.
        self.weather.turns(Sky::Counted);
        self.ask(&self.shop, &through_weather("app:bad")).await;
        self.weather.turns(Sky::Limited);
        self.ask(&self.shop, &through_weather("unknown:1")).await;
    }

    /// The registry goes away; then what is known of a tag cannot be believed any more.
    async fn stale_is_served(&self) {
        self.weather.turns(Sky::Down);
        let known = format!("{}/demo/app:good", self.weather.host());
        eventually_in("what is stale is served", async || {
            self.ask(&self.shop, &known).await;
            self.metrics().await.contains("outcome=\"stale\"")
        })
        .await;
    }

    async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", replica(0).1);
        self.stage.open.client().get(url).send().await.unwrap().text().await.unwrap()
    }

    /// With failurePolicy Fail, and with Ignore.
    async fn nobody_answers(&self) {
        let open = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": format!("open-{}", self.lenient.name) },
            "webhooks": [{
                "name": "open.hullmark.dev",
                "clientConfig": { "url": format!("https://{}:1/", own_address(1)) },
                "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] }],
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": self.lenient.name } },
                "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore", "timeoutSeconds": 1,
            }],
        });
        create(&self.lenient, &open).await.succeeded();
        let count = async |metric: &str| {
            let metrics = self.stage.plane.kubectl(["get", "--raw=/metrics"]).await.succeeded();
            metrics.text().lines().any(|line| line.starts_with(metric) && line.contains("hullmark.dev"))
        };
        eventually_in("the API server counts both", async || {
            // Twice, with time between: a rate is seen.
            let map = ["create", "configmap", "x", "--dry-run=server"];
            self.lenient.kubectl(map).await.succeeded();
            self.ask(&self.shop, &self.multi(0)).await;
            sleep(Duration::from_secs(4)).await;
            count("apiserver_admission_webhook_fail_open_count").await
                && count("apiserver_admission_webhook_rejection_count").await
        })
        .await;
        self.lenient.kubectl(["create", "configmap", "x", "--dry-run=server"]).await.succeeded();
        self.ask(&self.shop, &self.multi(0)).await;
        self.lenient
            .kubectl(["delete", "validatingwebhookconfiguration", &format!("open-{}", self.lenient.name)])
            .await;
    }

    async fn glass_is_broken(&self) {
        let mut urgent = self.stage.pod("urgent", "bad");
        urgent["metadata"]["labels"] = json!({ "hullmark.dev/break-glass": "INC-7" });
        let as_on_call =
            [&DRY_RUN[..], &["--as=jane", "--as-group=on-call", "--as-group=system:masters"]].concat();
        self.shop.kubectl_with(&urgent.to_string(), as_on_call).await.succeeded();
    }

    /// More than is read, and more than the API server would ever send.
    async fn too_much_is_sent(&self) {
        let bundle = [
            "get",
            "validatingwebhookconfiguration",
            "hullmark",
            "-o",
            "jsonpath={.webhooks[0].clientConfig.caBundle}",
        ];
        let bundle = self.stage.plane.kubectl(bundle).await.succeeded();
        let pem = STANDARD.decode(bundle.text()).unwrap();
        let client = trusting(Some(CertificateDer::from_pem_slice(&pem).unwrap()));
        let url = format!("https://{}/validate", replica(0).0);
        let post = client.post(url).header("content-type", "application/json").body(vec![b' '; 9 << 20]);
        // It may hang up before it has read it all.
        if let Ok(answer) = post.send().await {
            assert_eq!(answer.status(), 413);
        }
    }
}

/// Gives documents of the shared cache to each other's keys.
fn poison(redis: &Redis) {
    let keys = redis.keys();
    for key in &keys {
        redis.ask(&["RENAME", key, &format!("was:{key}")]);
    }
    // Every second one: the others are found as they should be.
    for (nth, key) in keys.iter().enumerate() {
        let from = if nth % 2 == 0 { key } else { &keys[nth - 1] };
        redis.ask(&["COPY", &format!("was:{from}"), key]);
    }
}
