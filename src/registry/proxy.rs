//! The proxy that a request goes through, if any.
//!
//! In go the settings that programs take from their environment and a URL, out comes a proxy. Over https the
//! proxy only carries bytes that it cannot read. Over plain http it reads everything, so nothing secret is
//! sent that way (`transport` sees to it).

use super::SettingsError;
use hyper_util::client::proxy::matcher::Matcher;
use std::{fmt, sync::Arc};
use url::Url;

/// Which proxies are used. `Debug` shows no credentials.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// For https: `HTTPS_PROXY`.
    pub https: Option<String>,
    /// For plain http: `HTTP_PROXY`.
    pub http: Option<String>,
    /// What is reached without one, separated by commas: names with everything below them, addresses, CIDRs, or
    /// `*` for everything. `NO_PROXY`.
    pub no: Option<String>,
}

impl ProxySettings {
    /// Reads the usual variables, such as through [`std::env::var`]: in capitals first, then in small letters;
    /// `ALL_PROXY` where the one of the scheme is missing. An empty one counts as unset.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| {
            let spellings = [name.to_owned(), name.to_ascii_lowercase()];
            spellings.iter().find_map(|name| variable(name).filter(|value| !value.trim().is_empty()))
        };
        let proxy = |name: &str| set(name).or_else(|| set("ALL_PROXY"));
        Self { https: proxy("HTTPS_PROXY"), http: proxy("HTTP_PROXY"), no: set("NO_PROXY") }
    }
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |proxy: &Option<String>| proxy.as_ref().map(|_| "…");
        f.debug_struct("ProxySettings")
            .field("https", &shown(&self.https))
            .field("http", &shown(&self.http))
            .field("no", &self.no)
            .finish()
    }
}

/// The proxies, as URLs that can be used.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    https: Option<Url>,
    http: Option<Url>,
    /// Knows what goes without a proxy.
    matcher: Option<Arc<Matcher>>,
}

impl Proxies {
    /// # Errors
    /// [`SettingsError`] for a proxy that is no URL, or of a kind that is not spoken; it shows no credentials.
    pub(super) fn new(settings: &ProxySettings) -> Result<Self, SettingsError> {
        let https = proxy("HTTPS_PROXY", settings.https.as_deref())?;
        let http = proxy("HTTP_PROXY", settings.http.as_deref())?;
        let url = |proxy: &Option<Url>| proxy.as_ref().map(ToString::to_string).unwrap_or_default();
        let no = settings.no.as_deref().unwrap_or_default();
        // Go's programs, which most of the cluster's are, take `*.acme.io` for `.acme.io`.
        let no: Vec<_> = no
            .split(',')
            .map(|one| one.trim().strip_prefix('*').filter(|r| !r.is_empty()).unwrap_or(one.trim()))
            .collect();
        let matcher = Matcher::builder().https(url(&https)).http(url(&http)).no(no.join(",")).build();
        let any = https.is_some() || http.is_some();
        Ok(Self { https, http, matcher: any.then(|| Arc::new(matcher)) })
    }

    /// The proxy for `url`.
    pub(super) fn of(&self, url: &Url) -> Option<&Url> {
        self.matcher.as_ref()?.intercept(&url.as_str().parse().ok()?)?;
        match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        }
    }

    /// The names of the proxies themselves: their addresses are the operator's choice.
    pub(super) fn hosts(&self) -> impl Iterator<Item = String> {
        [&self.https, &self.http].into_iter().flatten().filter_map(|url| Some(url.host_str()?.to_owned()))
    }

    /// The same, for the HTTP client.
    pub(super) fn for_client(&self) -> reqwest::Proxy {
        let proxies = self.clone();
        reqwest::Proxy::custom(move |url| proxies.of(url).cloned())
    }
}

fn proxy(name: &str, text: Option<&str>) -> Result<Option<Url>, SettingsError> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let wrong = |what: &str| SettingsError(format!("{name}: {what}"));
    let url = Url::parse(&with_scheme).ok().filter(|url| url.host().is_some());
    let url = url.ok_or_else(|| wrong("it is not the URL of a proxy, such as http://proxy.acme.io:3128"))?;
    match url.scheme() {
        "http" | "https" => Ok(Some(url)),
        scheme => Err(wrong(&format!("proxies of the kind {scheme} are not spoken, only http and https"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn settings(https: &str, http: &str, no: &str) -> ProxySettings {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ProxySettings { https: set(https), http: set(http), no: set(no) }
    }

    #[test]
    fn variables_are_read_as_other_programs_read_them() {
        let read = |rows: &[(&str, &str)]| {
            let find = |name: &str| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned());
            ProxySettings::read(find)
        };
        let rows: [(&str, Variables<'_>, ProxySettings); 6] = [
            ("none", &[], settings("", "", "")),
            (
                "capitals",
                &[("HTTPS_PROXY", "a"), ("HTTP_PROXY", "b"), ("NO_PROXY", "c")],
                settings("a", "b", "c"),
            ),
            ("small letters", &[("https_proxy", "a"), ("no_proxy", "c")], settings("a", "", "c")),
            ("both", &[("HTTPS_PROXY", "a"), ("https_proxy", "b")], settings("a", "", "")),
            ("empty", &[("HTTPS_PROXY", ""), ("https_proxy", "b")], settings("b", "", "")),
            ("all", &[("ALL_PROXY", "a"), ("HTTP_PROXY", "b")], settings("a", "b", "")),
        ];
        for (name, rows, expected) in rows {
            assert!(read(rows) == expected, "{name}: {:?}", read(rows));
        }
    }

    #[test]
    fn some_hosts_go_without_a_proxy() {
        let no = "acme.io,.corp,*.lab.io,10.0.0.0/8,192.168.1.1,fd00::/8, spaced.io";
        let proxies = Proxies::new(&settings("http://p:3128", "http://q:3128", no)).unwrap();
        for (url, expected) in [
            ("https://ghcr.io/v2/", Some("p")),
            ("http://ghcr.io/v2/", Some("q")),
            ("https://acme.io/v2/", None),
            ("https://acme.io:5000/v2/", None),
            ("https://reg.acme.io/v2/", None),
            ("https://notacme.io/v2/", Some("p")),
            ("https://reg.corp/v2/", None),
            ("https://reg.lab.io/v2/", None),
            ("https://10.1.2.3/v2/", None),
            ("https://11.1.2.3/v2/", Some("p")),
            ("https://192.168.1.1:8443/v2/", None),
            ("https://[fd00::1]/v2/", None),
            ("https://[fe80::1]/v2/", Some("p")),
            ("https://spaced.io/v2/", None),
        ] {
            let found = proxies.of(&url.parse().unwrap()).and_then(Url::host_str);
            assert_eq!(found, expected, "{url}");
        }
        let none = Proxies::new(&settings("http://p:3128", "", "*")).unwrap();
        assert_eq!(none.of(&"https://ghcr.io/".parse().unwrap()), None);
        let https_alone = Proxies::new(&settings("p:3128", "", "")).unwrap();
        assert_eq!(https_alone.of(&"http://ghcr.io/".parse().unwrap()), None);
        assert_eq!(https_alone.of(&"https://ghcr.io/".parse().unwrap()).unwrap().as_str(), "http://p:3128/");
    }

    #[test]
    fn proxies_that_cannot_be_used_are_told_without_their_credentials() {
        for (text, expected) in [
            ("socks5://u:hunter2@p:1080", "HTTPS_PROXY: proxies of the kind socks5 are not spoken"),
            ("http://u:hunter2@:3128", "HTTPS_PROXY: it is not the URL of a proxy"),
            ("http://", "HTTPS_PROXY: it is not the URL of a proxy"),
        ] {
            let told = Proxies::new(&settings(text, "", "")).err().unwrap().to_string();
            assert!(told.starts_with(expected) && !told.contains("hunter2"), "{told}");
        }
        assert!(!format!("{:?}", settings("http://u:hunter2@p", "", "")).contains("hunter2"));
    }
}
