//! One `hosts.toml`, in containerd's form (containerd, docs/hosts.md).
//!
//! In go the text and the file's folder, out come the servers it names. Keys that containerd does
//! not know either are refused with the nearest one that it does. A table `hullmark` of a host holds its
//! limits; containerd passes over it. What is not honoured becomes a note, so that nothing is dropped silently; so does
//! what makes a connection unsafe.

use super::{ClientIdentity, ConnectionProfile, DOCKER_HUB, Limits};
use crate::{nearest::nearest, registry::SettingsError};
use reqwest::header::{HeaderName, HeaderValue};
use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::de::{DeTable, DeValue};
use url::Url;

/// Keys that mean the same at the top and in a `[host."…"]` table.
const HOST_KEYS: [&str; 8] =
    ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout", "hullmark"];
/// Keys of the top level only.
const TOP_KEYS: [&str; 2] = ["server", "host"];
/// Keys of the table `hullmark`.
const LIMIT_KEYS: [&str; 3] = ["in_flight", "tries", "idle_timeout"];
/// The most that a limit may be raised to.
const MOST_IN_FLIGHT: i64 = 1000;
const MOST_TRIES: i64 = 10;
/// What containerd may be told that a host can do.
const CAPABILITIES: [&str; 3] = ["pull", "resolve", "push"];

/// A file's content.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostsFile {
    /// Where it was read.
    pub(super) path: PathBuf,
    /// The registry itself: `server` and the keys at the top.
    pub(super) server: Server,
    /// The `[host."…"]` tables, in the order of the file.
    pub(super) hosts: Vec<Server>,
    /// What the file says that is not honoured, or unsafe.
    pub(super) notes: Vec<String>,
}

/// One place to ask.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Server {
    /// The API's base, ending with a slash; none: the registry's own name over https.
    pub(super) base: Option<Url>,
    /// How it is connected to.
    pub(super) profile: ConnectionProfile,
    /// How much is asked of it.
    pub(super) limits: Limits,
    /// Whether it may serve content.
    pub(super) can_pull: bool,
    /// Whether it may say what a tag points to.
    pub(super) can_resolve: bool,
    /// Sent with each request.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl HostsFile {
    /// Reads a file, and the certificates that it names.
    pub(super) fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path).map_err(|e| {
            let hint = match e.kind() {
                std::io::ErrorKind::NotFound => " (each folder of the hosts folder needs one)",
                _ => "",
            };
            SettingsError(format!("{}: {e}{hint}", path.display()))
        })?;
        Self::parse(path, &text)
    }

    /// Reads a file's text; files that it names are relative to the folder of `path`.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let folder = path.parent().unwrap_or(path);
        Reader { path, folder, text, notes: Vec::new() }.read()
    }

    /// Every place that the file names.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.server).chain(&self.hosts)
    }
}

struct Reader<'a> {
    path: &'a Path,
    folder: &'a Path,
    text: &'a str,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn read(mut self) -> Result<HostsFile, SettingsError> {
        let document = DeTable::parse(self.text)
            .map_err(|e| self.error(&e.span().unwrap_or_default(), e.message()))?
            .into_inner();
        let mut server = self.server(&document, true)?;
        let mut hosts = Vec::new();
        for (key, value) in &document {
            match key.get_ref().as_ref() {
                "server" => {
                    let url = value.get_ref().as_str();
                    let url = url.ok_or_else(|| self.error(&value.span(), "`server` is not a string"))?;
                    server.base = Some(self.base(url, &value.span(), &document)?);
                }
                "host" => hosts = self.hosts(value.get_ref().as_table(), &value.span())?,
                _ => {}
            }
        }
        Ok(HostsFile { path: self.path.to_owned(), server, hosts, notes: self.notes })
    }

    /// The `[host."…"]` tables. TOML's maps are sorted here, so their places in the text give the order.
    fn hosts(
        &mut self,
        tables: Option<&DeTable<'_>>,
        span: &Range<usize>,
    ) -> Result<Vec<Server>, SettingsError> {
        let tables = tables.ok_or_else(|| self.error(span, "`host` is not a table"))?;
        let mut tables: Vec<_> = tables.iter().collect();
        tables.sort_by_key(|(url, _)| url.span().start);
        tables
            .into_iter()
            .map(|(url, table)| {
                let keys = table.get_ref().as_table();
                let keys = keys.ok_or_else(|| self.error(&table.span(), "a host is not a table"))?;
                let mut host = self.server(keys, false)?;
                host.base = Some(self.base(url.get_ref(), &url.span(), keys)?);
                Ok(host)
            })
            .collect()
    }

    /// The keys that the top and the tables share.
    fn server(&mut self, table: &DeTable<'_>, top: bool) -> Result<Server, SettingsError> {
        let mut server = Server { can_pull: true, can_resolve: true, ..Server::default() };
        for (key, value) in table {
            let (name, value, span) = (key.get_ref().as_ref(), value.get_ref(), value.span());
            match name {
                "ca" => server.profile.roots = self.roots(value, &span)?.into(),
                "skip_verify" => {
                    let flag = value.as_bool();
                    server.profile.skip_verify =
                        flag.ok_or_else(|| self.error(&span, "`skip_verify` is neither true nor false"))?;
                    if server.profile.skip_verify {
                        let (path, line) = (self.path.display(), self.line(&span));
                        self.notes.push(format!(
                            "{path}:{line}: `skip_verify` takes any certificate; give its authority as `ca` instead"
                        ));
                    }
                }
                "capabilities" => {
                    let names = self.capabilities(value, &span)?;
                    let has = |name: &str| names.iter().any(|n| n == name);
                    (server.can_pull, server.can_resolve) = (has("pull"), has("pull") && has("resolve"));
                }
                "header" => server.headers = self.headers(value, &span)?,
                "client" => server.profile.identity = self.identity(value, &span)?,
                "dial_timeout" => server.profile.dial_timeout = Some(self.duration(name, value, &span)?),
                "hullmark" => self.limits(value, &span, &mut server)?,
                name if HOST_KEYS.contains(&name) || (top && TOP_KEYS.contains(&name)) => {}
                name => {
                    let known = HOST_KEYS.iter().chain(if top { &TOP_KEYS[..] } else { &[] });
                    return Err(self.unknown(name, &key.span(), known));
                }
            }
        }
        Ok(server)
    }

    /// A server's URL as the API's base: `/v2` is added unless it is there or `override_path` is set.
    fn base(&self, text: &str, span: &Range<usize>, keys: &DeTable<'_>) -> Result<Url, SettingsError> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let mut url = Url::parse(&with_scheme)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none())
            .filter(|url| url.username().is_empty() && url.password().is_none() && url.fragment().is_none())
            .ok_or_else(|| {
                self.error(span, "a server is an http or https URL without user, query and fragment")
            })?;
        let override_path = match keys.get("override_path").map(toml::Spanned::get_ref) {
            None => false,
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.error(span, "`override_path` is neither true nor false"))?,
        };
        let path = url.path().trim_end_matches('/').to_owned();
        let path = if override_path || path.ends_with("/v2") { path } else { format!("{path}/v2") };
        url.set_path(&format!("{path}/"));
        if url.host_str() == Some("docker.io") {
            // docker.io itself does not serve the API.
            url.set_host(Some(DOCKER_HUB)).map_err(|e| self.error(span, &e.to_string()))?;
        }
        Ok(url)
    }

    /// The table `hullmark`.
    fn limits(
        &self,
        value: &DeValue<'_>,
        span: &Range<usize>,
        server: &mut Server,
    ) -> Result<(), SettingsError> {
        let table = value.as_table().ok_or_else(|| self.error(span, "`hullmark` is not a table"))?;
        for (key, value) in table {
            let (name, value, span) = (key.get_ref().as_ref(), value.get_ref(), value.span());
            match name {
                "in_flight" => {
                    server.limits.in_flight = Some(self.count(name, value, &span, MOST_IN_FLIGHT)?);
                }
                "tries" => server.limits.tries = Some(self.count(name, value, &span, MOST_TRIES)?),
                "idle_timeout" => server.profile.idle_timeout = Some(self.duration(name, value, &span)?),
                name => return Err(self.unknown(name, &key.span(), LIMIT_KEYS.iter())),
            }
        }
        Ok(())
    }

    fn count(
        &self,
        key: &str,
        value: &DeValue<'_>,
        span: &Range<usize>,
        most: i64,
    ) -> Result<usize, SettingsError> {
        let number =
            value.as_integer().and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        let number =
            number.filter(|number| (1..=most).contains(number)).and_then(|n| usize::try_from(n).ok());
        number.ok_or_else(|| self.error(span, &format!("`{key}` is not a number from 1 to {most}")))
    }

    /// A time as Go writes it: `500ms`, `1m30s`.
    fn duration(
        &self,
        key: &str,
        value: &DeValue<'_>,
        span: &Range<usize>,
    ) -> Result<Duration, SettingsError> {
        let time = value.as_str().and_then(|text| text.parse::<jiff::SignedDuration>().ok());
        let time = time.and_then(|time| Duration::try_from(time).ok()).filter(|time| !time.is_zero());
        time.ok_or_else(|| self.error(span, &format!("`{key}` is not a time such as \"500ms\" or \"3s\"")))
    }

    fn unknown<'k>(
        &self,
        name: &str,
        span: &Range<usize>,
        known: impl Iterator<Item = &'k &'static str>,
    ) -> SettingsError {
        let hint = nearest(name, known.copied());
        let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        self.error(span, &format!("there is no key `{name}`{hint}"))
    }

    fn capabilities(&self, value: &DeValue<'_>, span: &Range<usize>) -> Result<Vec<String>, SettingsError> {
        let names = self.strings(value, span, "capabilities")?;
        if let Some(unknown) = names.iter().find(|name| !CAPABILITIES.contains(&name.as_str())) {
            return Err(self.error(span, &format!("there is no capability `{unknown}`")));
        }
        Ok(names)
    }

    /// The `header` table: a value or several by name. Values may be secrets, so no error shows one.
    fn headers(
        &self,
        value: &DeValue<'_>,
        span: &Range<usize>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, SettingsError> {
        let table = value.as_table().ok_or_else(|| self.error(span, "`header` is not a table"))?;
        let mut headers = Vec::new();
        for (name, values) in table {
            let text = name.get_ref().as_ref();
            let said = |what: &str| self.error(&name.span(), &format!("the header {text:?} {what}"));
            let name = HeaderName::try_from(text).map_err(|_| said("has no name that HTTP takes"))?;
            for one in self.strings(values.get_ref(), &values.span(), text)? {
                let mut value =
                    HeaderValue::try_from(one).map_err(|_| said("has a value that HTTP does not take"))?;
                value.set_sensitive(true);
                headers.push((name.clone(), value));
            }
        }
        Ok(headers)
    }

    /// `client`: a file with certificate and key, or a pair of files; of several, containerd shows any, and
    /// here it is the first.
    fn identity(
        &mut self,
        value: &DeValue<'_>,
        span: &Range<usize>,
    ) -> Result<Option<ClientIdentity>, SettingsError> {
        let list = value.as_array();
        let (first, count) = match list {
            Some(list) => (list.iter().next().map(toml::Spanned::get_ref), list.iter().count()),
            None => (Some(value), 1),
        };
        let Some(first) = first else { return Ok(None) };
        if count > 1 {
            let line = self.line(span);
            self.notes.push(format!("{}:{line}: only the first `client` is used", self.path.display()));
        }
        let mut pem = Vec::new();
        for name in self.strings(first, span, "client")?.into_iter().filter(|name| !name.is_empty()) {
            let path = self.folder.join(name);
            let read = fs::read(&path);
            pem.extend(read.map_err(|e| self.error(span, &format!("{}: {e}", path.display())))?);
            pem.push(b'\n');
        }
        // The error of a key would quote it.
        reqwest::Identity::from_pem(&pem)
            .map_err(|_| self.error(span, "`client` is not a certificate and its key (PEM)"))?;
        Ok(Some(ClientIdentity(pem.into())))
    }

    /// The certificates of `ca`: a path or several, relative to the file's folder.
    fn roots(&self, value: &DeValue<'_>, span: &Range<usize>) -> Result<Vec<u8>, SettingsError> {
        let mut roots = Vec::new();
        for name in self.strings(value, span, "ca")? {
            let path = self.folder.join(name);
            let said = |what: &str| self.error(span, &format!("{}: {what}", path.display()));
            let pem = fs::read(&path).map_err(|e| said(&e.to_string()))?;
            match reqwest::Certificate::from_pem_bundle(&pem) {
                Ok(certificates) if certificates.is_empty() => return Err(said("holds no PEM certificate")),
                Ok(_) => roots.extend(pem),
                Err(_) => return Err(said("is not a valid PEM file")),
            }
            roots.push(b'\n');
        }
        Ok(roots)
    }

    /// A string, or a list of them.
    fn strings(
        &self,
        value: &DeValue<'_>,
        span: &Range<usize>,
        key: &str,
    ) -> Result<Vec<String>, SettingsError> {
        let wrong = || self.error(span, &format!("`{key}` is neither a string nor a list of strings"));
        if let Some(one) = value.as_str() {
            return Ok(vec![one.to_owned()]);
        }
        let list = value.as_array().ok_or_else(wrong)?;
        list.iter().map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    fn error(&self, span: &Range<usize>, what: &str) -> SettingsError {
        SettingsError(format!("{}:{}: {what}", self.path.display(), self.line(span)))
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}
