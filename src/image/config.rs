//! The image config, read as container runtimes read it: `config` and never `container_config`,
//! null is absent, ambiguity is refused (`reference/registry.md`, A10).

use super::{
    AmbiguousJson, InvalidStopSignal, Platform, StopSignal, TextMap, Texts, User,
    json::{self, Fault, Struct},
};
use crate::nearest::did_you_mean;
use std::collections::{BTreeMap, BTreeSet};

/// What an image's config says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// `os`, empty where missing.
    pub os: String,
    /// `architecture`, empty where missing.
    pub architecture: String,
    /// `variant`.
    pub variant: Option<String>,
    /// `os.version`.
    pub os_version: Option<String>,
    /// `author`.
    pub author: Option<String>,
    /// `created`.
    pub created: Created,
    /// `config.User`.
    pub user: User,
    /// `config.ExposedPorts`, in the order of their keys.
    pub exposed_ports: Vec<ExposedPort>,
    /// `config.Env` as written, in order.
    pub env: Texts,
    /// `config.Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `config.Cmd`.
    pub cmd: Vec<String>,
    /// `config.Volumes`.
    pub volumes: BTreeSet<String>,
    /// `config.WorkingDir`, empty where missing.
    pub working_dir: String,
    /// `config.Labels`.
    pub labels: TextMap,
    /// `config.StopSignal`: none where missing or empty, an error where no runtime knows it.
    pub stop_signal: Option<Result<StopSignal, InvalidStopSignal>>,
    /// `config.Healthcheck` (Docker's extension; Kubernetes never runs it).
    pub healthcheck: Option<Healthcheck>,
    /// `config.Shell` (Docker's extension).
    pub shell: Vec<String>,
    /// `config.OnBuild` (Docker's extension).
    pub on_build: Vec<String>,
}

/// When the image says it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Created {
    /// The field is missing or null.
    #[default]
    Unknown,
    /// A time that reproducible builds write instead of the real one (year 1, the Unix epoch, or
    /// 1980-01-01): it says nothing of the age.
    Placeholder(jiff::Timestamp),
    /// A real time.
    At(jiff::Timestamp),
    /// Not RFC 3339: as written.
    Invalid(String),
}

/// A key of `ExposedPorts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedPort {
    /// As written: `8080/tcp`.
    pub raw: String,
    /// First and last port and the protocol (`tcp` by default), if it can be read.
    pub range: Option<(u16, u16, String)>,
}

/// `config.Healthcheck`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `Test`.
    pub test: Vec<String>,
}

/// Why a config blob is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// Two readers would read it differently.
    #[error(transparent)]
    Ambiguous(#[from] AmbiguousJson),
    /// A runtime could not read it either: the field and why.
    #[error("invalid: {0}")]
    Invalid(String),
}

/// The fields of image-spec's config.md and of Docker's own document.
const ROOT_FIELDS: [&str; 16] = [
    "created",
    "author",
    "architecture",
    "variant",
    "os",
    "os.version",
    "os.features",
    "config",
    "rootfs",
    "history",
    "container",
    "container_config",
    "docker_version",
    "id",
    "parent",
    "comment",
];

/// The fields of `config`, of image-spec and of Docker.
const CONFIG_FIELDS: [&str; 25] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
    "Memory",
    "MemorySwap",
    "CpuShares",
    "Healthcheck",
    "Shell",
    "OnBuild",
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Image",
];

impl From<Fault> for InvalidConfig {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Ambiguous(why) => Self::Ambiguous(AmbiguousJson(why)),
            Fault::Invalid(why) => Self::Invalid(why),
        }
    }
}

impl ImageConfig {
    /// Reads a config blob.
    ///
    /// # Errors
    /// [`InvalidConfig`] when the document is ambiguous or a field has a type that runtimes refuse.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidConfig> {
        let root = json::parse(bytes)?;
        let root = root.structure("", &ROOT_FIELDS)?;
        let mut image = Self {
            os: root.string("os")?.unwrap_or_default(),
            architecture: root.string("architecture")?.unwrap_or_default(),
            variant: non_empty(root.string("variant")?),
            os_version: non_empty(root.string("os.version")?),
            author: non_empty(root.string("author")?),
            created: root.string("created")?.map_or(Created::Unknown, |text| Created::parse(&text)),
            ..Self::default()
        };
        if let Some(config) = root.structure("config", &CONFIG_FIELDS)? {
            image.read(&config)?;
        }
        Ok(image)
    }

    fn read(&mut self, config: &Struct<'_>) -> Result<(), Fault> {
        self.user = User::new(&config.string("User")?.unwrap_or_default());
        self.exposed_ports = config.keys("ExposedPorts")?.into_iter().map(ExposedPort::new).collect();
        self.env = config.strings("Env")?.into_iter().collect();
        self.entrypoint = config.strings("Entrypoint")?;
        self.cmd = config.strings("Cmd")?;
        self.volumes = config.keys("Volumes")?.into_iter().collect();
        self.working_dir = config.string("WorkingDir")?.unwrap_or_default();
        self.labels = config.string_map("Labels")?.into_iter().collect();
        self.stop_signal = non_empty(config.string("StopSignal")?).map(|signal| StopSignal::parse(&signal));
        // Docker's extensions, which Kubernetes never reads: what cannot be read is as good as absent.
        self.healthcheck = config
            .structure("Healthcheck", &["Test"])
            .ok()
            .flatten()
            .and_then(|check| check.strings("Test").ok())
            .map(|test| Healthcheck { test });
        self.shell = config.strings("Shell").unwrap_or_default();
        self.on_build = config.strings("OnBuild").unwrap_or_default();
        Ok(())
    }

    /// The platform that the config names; none unless it names both os and architecture.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        (!self.os.is_empty() && !self.architecture.is_empty()).then(|| {
            Platform::new(&self.os, &self.architecture, self.variant.as_deref(), self.os_version.as_deref())
        })
    }

    /// Whether images have a field of this name under `config`. For texts that people write by hand;
    /// a registry's document may have any.
    ///
    /// # Errors
    /// What is wrong with the name, and the nearest that exists.
    pub fn check_field_name(name: &str) -> Result<(), String> {
        if CONFIG_FIELDS.contains(&name) {
            return Ok(());
        }
        Err(did_you_mean(&format!("images have no field {name:?}"), name, CONFIG_FIELDS))
    }

    /// `Env` as a map: the last of duplicates wins, an entry without `=` has an empty value.
    #[must_use]
    pub fn env_map(&self) -> BTreeMap<&str, &str> {
        self.env.iter().map(|entry| entry.split_once('=').unwrap_or((entry, ""))).collect()
    }
}

impl Created {
    /// No image was made before the first day of the Unix epoch had ended, nor on 1980-01-01 (the
    /// first day that a ZIP file can hold). Builders write times of those days so that builds are
    /// reproducible: Nix a second after the one, buildpacks a second after the other.
    fn parse(text: &str) -> Self {
        const DAY: i64 = 24 * 60 * 60;
        const ZIP_EPOCH: i64 = 3652 * DAY;
        let Some(at) = rfc3339(text) else { return Self::Invalid(text.to_owned()) };
        match at.as_second() {
            ..DAY => Self::Placeholder(at),
            second if (ZIP_EPOCH..ZIP_EPOCH + DAY).contains(&second) => Self::Placeholder(at),
            _ => Self::At(at),
        }
    }
}

/// A time as Go's `time.Time` decodes it: RFC 3339 to the letter. jiff takes more forms than that.
fn rfc3339(text: &str) -> Option<jiff::Timestamp> {
    let (seconds, rest) = text.split_at_checked("2006-01-02T15:04:05".len())?;
    let mut shape = seconds.bytes().zip("dddd-dd-ddTdd:dd:dd".bytes());
    let fits = |(byte, wanted): (u8, u8)| if wanted == b'd' { byte.is_ascii_digit() } else { byte == wanted };
    let (fraction, offset) = rest.split_at(rest.find(['Z', '+', '-'])?);
    let (digits, nanoseconds) = match fraction.strip_prefix('.') {
        Some(digits) if !digits.is_empty() => (digits, fraction.get(..10).unwrap_or(fraction)),
        None if fraction.is_empty() => ("", ""),
        _ => return None,
    };
    let is_offset = match offset.as_bytes() {
        [b'Z'] => true,
        [b'+' | b'-', h, i, b':', m, n] => [h, i, m, n].into_iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let well_formed = shape.all(fits) && digits.bytes().all(|b| b.is_ascii_digit());
    if !well_formed || !is_offset || seconds.ends_with(":60") {
        return None;
    }
    format!("{seconds}{nanoseconds}{offset}").parse().ok()
}

impl ExposedPort {
    /// Reads `80`, `80/tcp`, `8000-9000/udp`.
    fn new(raw: String) -> Self {
        let (ports, protocol) = raw.split_once('/').unwrap_or((&raw, "tcp"));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let port = |text: &str| text.parse::<u16>().ok().filter(|_| !text.starts_with('+'));
        let range = match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last && !protocol.is_empty() => {
                Some((first, last, protocol.to_ascii_lowercase()))
            }
            _ => None,
        };
        Self { raw, range }
    }
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
