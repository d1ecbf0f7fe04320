//! One `hosts.toml`, in containerd's form (containerd, docs/hosts.md).
//!
//! In go the text and the file's folder, out come the servers it names. Keys that containerd does
//! not know either are refused with the nearest one that it does. Keys that Hullmark does not
//! honour yet become notes, so that nothing is dropped silently.

use super::{DOCKER_HUB, TlsProfile};
use crate::{nearest::nearest, registry::SettingsError};
use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};
use url::Url;

/// Keys that mean the same at the top and in a `[host."…"]` table.
const HOST_KEYS: [&str; 7] =
    ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout"];
/// Keys of the top level only.
const TOP_KEYS: [&str; 2] = ["server", "host"];
/// Known to containerd, not honoured here.
const UNSUPPORTED: [&str; 3] = ["client", "header", "dial_timeout"];
/// What containerd may be told that a host can do.
const CAPABILITIES: [&str; 3] = ["pull", "resolve", "push"];

/// A file's content.
#[derive(Clone, Debug)]
pub(super) struct HostsFile {
    /// Where it was read.
    pub(super) path: PathBuf,
    /// The registry itself: `server` and the keys at the top.
    pub(super) server: Server,
    /// The `[host."…"]` tables, in the order of the file.
    pub(super) hosts: Vec<Server>,
    /// What the file says that is not honoured.
    pub(super) notes: Vec<String>,
}

/// One place to ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    /// The API's base, ending with a slash; none: the registry's own name over https.
    pub(super) base: Option<Url>,
    /// How its certificate is judged.
    pub(super) tls: TlsProfile,
    /// Whether it may say what a tag points to, and serve it.
    pub(super) can_resolve: bool,
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
        let usable = hosts.iter().filter(|host: &&Server| host.can_resolve).count();
        if usable > 1 || hosts.len() > usable {
            self.notes.push(format!(
                "{}: of the [host] tables only the first that can pull and resolve is used",
                self.path.display()
            ));
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
        let mut server = Server { can_resolve: true, ..Server::default() };
        for (key, value) in table {
            let (name, value, span) = (key.get_ref().as_ref(), value.get_ref(), value.span());
            match name {
                "ca" => server.tls.roots = self.roots(value, &span)?.into(),
                "skip_verify" => {
                    let flag = value.as_bool();
                    server.tls.skip_verify =
                        flag.ok_or_else(|| self.error(&span, "`skip_verify` is neither true nor false"))?;
                }
                "capabilities" => server.can_resolve = self.can_resolve(value, &span)?,
                name if UNSUPPORTED.contains(&name) => self.notes.push(format!(
                    "{}:{}: `{name}` is not honoured by Hullmark",
                    self.path.display(),
                    self.line(&key.span())
                )),
                name if HOST_KEYS.contains(&name) || (top && TOP_KEYS.contains(&name)) => {}
                name => {
                    let known = HOST_KEYS.iter().chain(if top { &TOP_KEYS[..] } else { &[] });
                    let hint = nearest(name, known.copied());
                    let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                    return Err(self.error(&key.span(), &format!("there is no key `{name}`{hint}")));
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

    fn can_resolve(&self, value: &DeValue<'_>, span: &Range<usize>) -> Result<bool, SettingsError> {
        let names = self.strings(value, span, "capabilities")?;
        if let Some(unknown) = names.iter().find(|name| !CAPABILITIES.contains(&name.as_str())) {
            return Err(self.error(span, &format!("there is no capability `{unknown}`")));
        }
        let has = |name: &str| names.iter().any(|n| n == name);
        Ok(has("pull") && has("resolve"))
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
