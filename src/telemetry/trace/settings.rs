//! Where traces go, by a flag and the standard `OTEL_…` variables.
//!
//! Only what the exporter's library does not read by itself is read here, and what it would take wrongly in silence:
//! a sampler that it does not know, a protocol that we do not speak. Headers are its own (`OTEL_EXPORTER_OTLP_HEADERS`):
//! they are secrets, and never pass through here.

use std::{path::PathBuf, time::Duration};
use url::Url;

/// How long the collector has to answer, as the specification says.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What `OTEL_TRACES_SAMPLER` may be; the second say whether it takes a ratio.
const SAMPLERS: [(&str, bool); 6] = [
    ("always_on", false),
    ("always_off", false),
    ("traceidratio", true),
    ("parentbased_always_on", false),
    ("parentbased_always_off", false),
    ("parentbased_traceidratio", true),
];

/// Why traces cannot be sent as is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("traces: {0}")]
pub struct TraceError(pub(super) String);

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The collector's URL for traces, whole.
    pub(super) endpoint: Url,
    /// A file with the certificates that the collector's is checked against (PEM), beside the system's.
    pub(super) roots: Option<PathBuf>,
    /// How long the collector has to answer.
    pub(super) timeout: Duration,
    /// The service's name, if it is not ours.
    pub(super) service: Option<String>,
}

impl Settings {
    /// Reads the settings; none: tracing is off. `endpoint` is what `--otlp-endpoint` says.
    ///
    /// # Errors
    /// [`TraceError`] for what cannot be used, with the name of the flag or variable.
    pub fn read(
        endpoint: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, TraceError> {
        // The specification: a variable that is empty is a variable that is not set.
        let variable =
            |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
        let either = |name: &str| {
            let of_traces = name.replace("OTLP", "OTLP_TRACES");
            variable(&of_traces)
                .map(|value| (of_traces, value))
                .or(variable(name).map(|value| (name.to_owned(), value)))
        };
        let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        let of_traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let endpoint = match (variable(of_traces), endpoint.map(str::trim).filter(|text| !text.is_empty())) {
            _ if is_off => return Ok(None),
            (Some(whole), _) => collector(of_traces, &whole)?,
            (None, Some(base)) => below(collector("--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)", base)?),
            (None, None) => return Ok(None),
        };
        match either("OTEL_EXPORTER_OTLP_PROTOCOL") {
            Some((name, protocol)) if protocol != "http/protobuf" => {
                return Err(TraceError(format!(
                    "{name} is {protocol:?}; Hullmark speaks http/protobuf alone (a collector's port 4318): unset it"
                )));
            }
            _ => {}
        }
        check_sampler(variable("OTEL_TRACES_SAMPLER"), variable("OTEL_TRACES_SAMPLER_ARG"))?;
        let timeout = either("OTEL_EXPORTER_OTLP_TIMEOUT").map_or(Ok(TIMEOUT), |(name, text)| {
            let milliseconds = text.parse().ok().filter(|number| *number > 0);
            let said = || TraceError(format!("{name} is {text:?}; write milliseconds, as 10000"));
            milliseconds.map(Duration::from_millis).ok_or_else(said)
        })?;
        Ok(Some(Self {
            endpoint,
            roots: either("OTEL_EXPORTER_OTLP_CERTIFICATE").map(|(_, path)| path.into()),
            timeout,
            service: variable("OTEL_SERVICE_NAME"),
        }))
    }
}

fn collector(name: &str, text: &str) -> Result<Url, TraceError> {
    let refuse = |why: &str| Err(TraceError(format!("{name}: {why}, as http://otel-collector:4318")));
    let Ok(url) = Url::parse(text) else { return refuse("it is no URL; write one") };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return refuse("write it as a URL of http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("credentials belong into OTEL_EXPORTER_OTLP_HEADERS; write it without");
    }
    Ok(url)
}

/// The path of traces below a collector's URL.
fn below(mut url: Url) -> Url {
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// The library would take what it cannot read for "all of them".
fn check_sampler(sampler: Option<String>, ratio: Option<String>) -> Result<(), TraceError> {
    let Some(sampler) = sampler else { return Ok(()) };
    let Some((_, takes_ratio)) = SAMPLERS.iter().find(|(name, _)| *name == sampler) else {
        let known = SAMPLERS.map(|(name, _)| name).join(", ");
        return Err(TraceError(format!("OTEL_TRACES_SAMPLER is {sampler:?}; write one of {known}")));
    };
    let is_ratio = |text: &String| text.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio));
    match ratio {
        Some(ratio) if *takes_ratio && !is_ratio(&ratio) => Err(TraceError(format!(
            "OTEL_TRACES_SAMPLER_ARG is {ratio:?}; write a share from 0 to 1, as 0.1"
        ))),
        None if *takes_ratio => {
            Err(TraceError(format!("OTEL_TRACES_SAMPLER {sampler} needs OTEL_TRACES_SAMPLER_ARG, as 0.1")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flag: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Settings>, TraceError> {
        Settings::read(flag, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_collector_is_found() {
        const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let base = Some("http://otel:4318");
        for (flag, variables, expected) in [
            (None, &[][..], None),
            (Some(" "), &[(TRACES, "")], None),
            (base, &[("OTEL_SDK_DISABLED", "TRUE")], None),
            (base, &[("OTEL_TRACES_EXPORTER", "none")], None),
            (base, &[("OTEL_TRACES_EXPORTER", "otlp")], Some("http://otel:4318/v1/traces")),
            (Some("http://otel:4318/"), &[], Some("http://otel:4318/v1/traces")),
            (Some("https://otel.io/api/otlp"), &[], Some("https://otel.io/api/otlp/v1/traces")),
            (base, &[(TRACES, "https://other/t?x=1")], Some("https://other/t?x=1")),
            (None, &[(TRACES, "https://other")], Some("https://other/")),
        ] {
            let settings = read(flag, variables).unwrap();
            let found = settings.map(|settings| settings.endpoint.to_string());
            assert_eq!(found.as_deref(), expected, "{flag:?} {variables:?}");
        }
    }

    #[test]
    fn what_is_of_traces_goes_before_what_is_of_all() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_SERVICE_NAME", "mark"),
        ];
        let settings = read(Some("http://otel:4318"), &variables).unwrap().unwrap();
        assert_eq!(settings.timeout, Duration::from_millis(2500));
        assert_eq!(settings.roots, Some("/ca.pem".into()));
        assert_eq!(settings.service.as_deref(), Some("mark"));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let base = Some("http://otel:4318");
        for (flag, variables, expected) in [
            (Some("otel:4318"), &[][..], "--otlp-endpoint"),
            (Some("collector"), &[], "no URL"),
            (Some("grpc://otel:4317"), &[], "http or https"),
            (Some("https://me:s3cret@otel"), &[], "OTEL_EXPORTER_OTLP_HEADERS"),
            (base, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "http/protobuf alone"),
            (base, &[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")], "OTLP_TRACES_PROTOCOL is"),
            (base, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")], "milliseconds"),
            (base, &[("OTEL_TRACES_SAMPLER", "some")], "always_on"),
            (base, &[("OTEL_TRACES_SAMPLER", "traceidratio")], "needs OTEL_TRACES_SAMPLER_ARG"),
            (
                base,
                &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "10%")],
                "from 0 to 1",
            ),
        ] {
            let error = read(flag, variables).unwrap_err().to_string();
            assert!(error.contains(expected), "{flag:?} {variables:?}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
