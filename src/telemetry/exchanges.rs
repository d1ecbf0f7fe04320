//! What registries are asked, as metrics.

use super::host_class::host_class;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Hosts whose limits are shown by name. Whoever writes a Pod can name any, and a host can say anything.
const MAX_HOSTS: usize = 50;

/// One HTTP exchange with a registry, a mirror, a token server or a blob store.
#[derive(Clone, Copy, Debug)]
pub struct Exchanged<'a> {
    /// What it was for: `manifest`, `config`, `token`, `ping`.
    pub purpose: &'static str,
    /// `GET`, `HEAD` or `POST`.
    pub method: &'static str,
    /// The status; none: there was no answer.
    pub status: Option<u16>,
    /// Bytes of the body.
    pub bytes: u64,
    /// From the request to the end of the answer.
    pub elapsed: Duration,
    /// Host and port that were asked.
    pub host: &'a str,
    /// What the host says of its limit on requests: how many in a window, and how many are left.
    pub rate_limit: Option<(u32, u32)>,
}

/// The metrics of exchanges.
pub(super) struct Exchanges {
    requests: Family<RequestLabels, Counter>,
    durations: Family<ClassLabels, Histogram, fn() -> Histogram>,
    bytes: Family<PurposeLabels, Counter>,
    limits: Family<HostLabels, Gauge>,
    remaining: Family<HostLabels, Gauge>,
    hosts: Mutex<BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    purpose: &'static str,
    method: &'static str,
    status: &'static str,
    host_class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabels {
    purpose: &'static str,
    host_class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PurposeLabels {
    purpose: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabels {
    host: String,
}

impl Exchanges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let own = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            bytes: Family::default(),
            limits: Family::default(),
            remaining: Family::default(),
            hosts: Mutex::default(),
        };
        registry.register(
            "registry_requests",
            "HTTP requests to registries, by what they were for, and by classes of status and host",
            own.requests.clone(),
        );
        registry.register_with_unit(
            "registry_request_duration",
            "Time from a request to the end of its answer",
            Unit::Seconds,
            own.durations.clone(),
        );
        registry.register_with_unit("registry_response", "Bytes of answers", Unit::Bytes, own.bytes.clone());
        registry.register(
            "registry_rate_limit",
            "Requests that a host allows in its window, as it says",
            own.limits.clone(),
        );
        registry.register(
            "registry_rate_limit_remaining",
            "Requests that are left of that, as it says",
            own.remaining.clone(),
        );
        own
    }

    pub(super) fn add(&self, exchanged: &Exchanged<'_>) {
        let Exchanged { purpose, method, bytes, elapsed, .. } = *exchanged;
        let (status, host_class) = (class(exchanged.status), host_class(exchanged.host));
        self.requests.get_or_create(&RequestLabels { purpose, method, status, host_class }).inc();
        self.durations.get_or_create(&ClassLabels { purpose, host_class }).observe(elapsed.as_secs_f64());
        self.bytes.get_or_create(&PurposeLabels { purpose }).inc_by(bytes);
        if let Some((limit, remaining)) = exchanged.rate_limit.filter(|_| self.names(exchanged.host)) {
            let labels = HostLabels { host: exchanged.host.to_owned() };
            self.limits.get_or_create(&labels).set(limit.into());
            self.remaining.get_or_create(&labels).set(remaining.into());
        }
    }

    /// Whether a host is one of those that are shown by name.
    fn names(&self, host: &str) -> bool {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.contains(host) || (hosts.len() < MAX_HOSTS && hosts.insert(host.to_owned()))
    }
}

fn class(status: Option<u16>) -> &'static str {
    match status {
        None => "none",
        Some(429) => "429",
        Some(401) => "401",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(_) => "5xx",
    }
}

/// From a millisecond to beyond the longest deadline.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn exchanges_are_counted_and_hosts_are_capped() {
        let mut registry = Registry::with_prefix("hullmark");
        let exchanges = Exchanges::register(&mut registry);
        let one = Exchanged {
            purpose: "manifest",
            method: "GET",
            status: Some(200),
            bytes: 100,
            elapsed: Duration::from_millis(3),
            host: "registry-1.docker.io",
            rate_limit: Some((100, 76)),
        };
        exchanges.add(&one);
        exchanges.add(&Exchanged { rate_limit: Some((100, 75)), ..one });
        exchanges.add(&Exchanged { status: Some(429), bytes: 0, rate_limit: None, ..one });
        exchanges.add(&Exchanged { status: None, purpose: "token", bytes: 0, rate_limit: None, ..one });
        let names: Vec<_> = (0..2 * MAX_HOSTS).map(|n| format!("h{n}.io")).collect();
        for host in &names {
            exchanges.add(&Exchanged { host, purpose: "ping", ..one });
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "hullmark_registry_requests_total{purpose=\"manifest\",method=\"GET\",status=\"2xx\",host_class=\"docker-hub\"} 2",
            "hullmark_registry_requests_total{purpose=\"manifest\",method=\"GET\",status=\"429\",host_class=\"docker-hub\"} 1",
            "hullmark_registry_requests_total{purpose=\"token\",method=\"GET\",status=\"none\",host_class=\"docker-hub\"} 1",
            "hullmark_registry_request_duration_seconds_count{purpose=\"manifest\",host_class=\"docker-hub\"} 3",
            "hullmark_registry_response_bytes_total{purpose=\"manifest\"} 200",
            "hullmark_registry_rate_limit{host=\"registry-1.docker.io\"} 100",
            "hullmark_registry_rate_limit_remaining{host=\"registry-1.docker.io\"} 75",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        let hosts = text.lines().filter(|line| line.starts_with("hullmark_registry_rate_limit{")).count();
        assert_eq!(hosts, MAX_HOSTS);
    }
}
