//! The kubelet's `CredentialProviderConfig`: which plugins there are, and for which images.
//!
//! In go the text of a file, out come providers that can be run. It is read as strictly as the kubelet reads it
//! (Kubernetes, `pkg/credentialprovider/plugin/config.go`): an unknown field is an error, for a typing error
//! would silently mean other credentials.

use serde::Deserialize;
use std::time::Duration;

/// The API group of the configuration.
const CONFIG_GROUP: &str = "kubelet.config.k8s.io/";
/// The API group of what is said to a plugin.
const PLUGIN_GROUP: &str = "credentialprovider.kubelet.k8s.io/";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];

/// A plugin, and when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Provider {
    /// The program's name in the folder of plugins.
    pub(super) name: String,
    /// Images whose credentials it knows, as `matchImages` of the kubelet.
    pub(super) match_images: Vec<String>,
    /// How long an answer is kept that does not say so itself.
    pub(super) cache_duration: Duration,
    /// The version of the protocol that it speaks, with its group.
    pub(super) api_version: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    kind: String,
    api_version: String,
    #[serde(default)]
    providers: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    match_images: Vec<String>,
    default_cache_duration: Option<String>,
    api_version: String,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
    token_attributes: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    value: String,
}

/// Reads one file of a configuration.
///
/// # Errors
/// What is wrong with it, for a person.
pub(super) fn parse(text: &str) -> Result<Vec<Provider>, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    let config: Config = serde_saphyr::from_str_with_options(text, options).map_err(|e| e.to_string())?;
    let version = config.api_version.strip_prefix(CONFIG_GROUP);
    if config.kind != "CredentialProviderConfig" || !version.is_some_and(|one| VERSIONS.contains(&one)) {
        let (kind, version) = (config.kind, config.api_version);
        return Err(format!("{kind} of {version} is not a CredentialProviderConfig of {CONFIG_GROUP}v1"));
    }
    if config.providers.is_empty() {
        return Err("it names no provider".to_owned());
    }
    config.providers.into_iter().map(provider).collect()
}

fn provider(entry: Entry) -> Result<Provider, String> {
    let name = entry.name;
    let wrong = |what: String| format!("the provider {name:?}: {what}");
    let is_name = !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', ' ', '\0']);
    if !is_name {
        return Err(wrong("`name` must be the name of a file".to_owned()));
    }
    let version = entry.api_version.strip_prefix(PLUGIN_GROUP);
    if !version.is_some_and(|one| VERSIONS.contains(&one)) {
        return Err(wrong(format!("`apiVersion` {:?} is not {PLUGIN_GROUP}v1", entry.api_version)));
    }
    if entry.match_images.is_empty() || entry.match_images.iter().any(String::is_empty) {
        return Err(wrong("`matchImages` must name images".to_owned()));
    }
    let kept =
        entry.default_cache_duration.ok_or_else(|| wrong("`defaultCacheDuration` is missing".to_owned()))?;
    let cache_duration = duration(&kept)
        .ok_or_else(|| wrong(format!("`defaultCacheDuration` {kept:?} is not a time such as \"12h\"")))?;
    if entry.token_attributes.is_some() {
        // To make tokens of service accounts is to be anyone: that right is not asked for.
        return Err(wrong(
            "`tokenAttributes` is not supported: Hullmark makes no tokens of service accounts; let the plugin \
             use an identity of Hullmark's own"
                .to_owned(),
        ));
    }
    let env = entry.env.unwrap_or_default().into_iter().map(|one| (one.name, one.value)).collect();
    Ok(Provider {
        match_images: entry.match_images,
        cache_duration,
        api_version: entry.api_version,
        args: entry.args.unwrap_or_default(),
        env,
        name,
    })
}

/// A time as Go writes it: `12h`, `6h0m0s`, `0`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: ecr-credential-provider
    matchImages: ["*.dkr.ecr.*.amazonaws.com", "public.ecr.aws"]
    defaultCacheDuration: 12h
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    args: [get-credentials]
    env: [{ name: AWS_PROFILE, value: shop }]
"#;

    #[test]
    fn a_nodes_configuration_is_read() {
        for version in VERSIONS {
            let text = GOOD.replace("k8s.io/v1", &format!("k8s.io/{version}"));
            let providers = parse(&text).unwrap();
            let expected = Provider {
                name: "ecr-credential-provider".to_owned(),
                match_images: vec!["*.dkr.ecr.*.amazonaws.com".to_owned(), "public.ecr.aws".to_owned()],
                cache_duration: Duration::from_hours(12),
                api_version: format!("credentialprovider.kubelet.k8s.io/{version}"),
                args: vec!["get-credentials".to_owned()],
                env: vec![("AWS_PROFILE".to_owned(), "shop".to_owned())],
            };
            assert_eq!(providers, [expected], "{version}");
        }
        assert_eq!(duration("6h0m0s"), Some(Duration::from_hours(6)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (name, from, to, expected) in [
            (
                "another kind",
                "kind: CredentialProviderConfig",
                "kind: KubeletConfiguration",
                "is not a Credential",
            ),
            (
                "another version",
                "kubelet.config.k8s.io/v1",
                "kubelet.config.k8s.io/v2",
                "is not a Credential",
            ),
            ("a typing error", "matchImages", "matchImage", "matchImage"),
            ("a path", "name: ecr-credential-provider", "name: ../sh", "must be the name of a file"),
            ("no name", "name: ecr-credential-provider", "name: ''", "must be the name of a file"),
            (
                "a plugin's version",
                "provider.kubelet.k8s.io/v1",
                "provider.kubelet.k8s.io/v9",
                "`apiVersion`",
            ),
            ("a time", "defaultCacheDuration: 12h", "defaultCacheDuration: 12", "is not a time"),
            ("a negative time", "defaultCacheDuration: 12h", "defaultCacheDuration: -1h", "is not a time"),
            ("no time", "    defaultCacheDuration: 12h\n", "", "`defaultCacheDuration` is missing"),
            (
                "tokens",
                "args: [get-credentials]",
                "tokenAttributes: {}",
                "`tokenAttributes` is not supported",
            ),
            ("no images", r#"["*.dkr.ecr.*.amazonaws.com", "public.ecr.aws"]"#, "[]", "`matchImages`"),
            ("no YAML", "providers:", "providers: [", ""),
        ] {
            assert!(GOOD.contains(from), "{name}");
            let found = parse(&GOOD.replacen(from, to, 1)).expect_err(name);
            assert!(found.contains(expected), "{name}: {found}");
        }
        assert!(parse("kind: CredentialProviderConfig\napiVersion: kubelet.config.k8s.io/v1").is_err());
    }
}
