//! The kubelet's credential provider plugins, as a source of credentials.
//!
//! In go the configuration and the folder of plugins that nodes have, out come credentials for a reference:
//! those of every plugin whose `matchImages` names it, as the kubelet finds them (Kubernetes,
//! `pkg/credentialprovider/plugin`). An answer is kept as it says itself; a plugin is asked once for any
//! number of askers; one that fails is asked again a moment later, and its image is looked at without it.

mod config;
mod exec;

use crate::{
    credential::{Credentials, Keychain, matches_image},
    flight::Flights,
    image::Reference,
    review::FindCredentials,
    workload::Workload,
};
use config::Provider;
use exec::KeptFor;
use moka::future::Cache;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// How long a plugin may take; the kubelet's own limit.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a failure is remembered.
const FAILED: Duration = Duration::from_secs(5);
/// How old an answer must be that is asked for anew because it was refused: whoever names an image that is not there
/// must not make plugins run without end.
const RENEWED: Duration = Duration::from_mins(1);
/// How often one plugin runs at once. They are large programs, and a rollout of many images of one registry asks for all of them
/// at the same time, when the answer for the first would serve.
const AT_ONCE: usize = 4;
/// Answers that are kept.
const KEPT: u64 = 10_000;
/// Different failures that are told.
const NOTES: usize = 20;

/// A configuration that cannot be used; the text names the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(pub String);

/// The plugins.
pub struct CredentialProviders {
    folder: PathBuf,
    plugins: Vec<Plugin>,
    patience: Duration,
    renewed: Duration,
    kept: Cache<String, Kept>,
    flights: Flights<String, Result<Option<Arc<Keychain>>, String>>,
    notes: Mutex<Vec<String>>,
}

/// A plugin, and its turns to run.
#[derive(Clone)]
struct Plugin {
    provider: Arc<Provider>,
    turns: Arc<Semaphore>,
}

/// What is known for a key, and for how long; no keychain: the plugin has just failed.
#[derive(Clone)]
struct Kept {
    keychain: Option<Arc<Keychain>>,
    life: Duration,
    since: Instant,
}

impl CredentialProviders {
    /// Reads `config`, a file or a folder of files (`.yaml`, `.yml`, `.json`, in the order of their names), whose
    /// plugins are in `folder`.
    ///
    /// # Errors
    /// [`InvalidConfig`] when one cannot be read, or names a plugin that is not there.
    pub fn load(config: &Path, folder: &Path) -> Result<Self, InvalidConfig> {
        let mut plugins: Vec<Plugin> = Vec::new();
        for file in files(config).map_err(|error| InvalidConfig(format!("{}: {error}", config.display())))? {
            let said = |what: &str| InvalidConfig(format!("{}: {what}", file.display()));
            let text = fs::read_to_string(&file).map_err(|error| said(&error.to_string()))?;
            for provider in config::parse(&text).map_err(|why| said(&why))? {
                if plugins.iter().any(|other| other.provider.name == provider.name) {
                    return Err(said(&format!("the provider {:?} is there twice", provider.name)));
                }
                let program = folder.join(&provider.name);
                if !program.is_file() {
                    return Err(said(&format!("there is no plugin {}", program.display())));
                }
                plugins
                    .push(Plugin { provider: Arc::new(provider), turns: Arc::new(Semaphore::new(AT_ONCE)) });
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            plugins,
            patience: PATIENCE,
            renewed: RENEWED,
            kept: Cache::builder().max_capacity(KEPT).expire_after(Life).build(),
            flights: Flights::default(),
            notes: Mutex::default(),
        })
    }

    /// The same; a plugin may take this long.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Which plugins have failed so far, and why; never a secret.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What one plugin knows for an image.
    async fn keychain(&self, plugin: &Plugin, reference: &Reference) -> Option<Arc<Keychain>> {
        let Plugin { provider, turns } = plugin;
        let image = reference.name();
        let keys = keys(provider, &image);
        if let Some(found) = known(&self.kept, &keys).await {
            return found.keychain;
        }
        let (kept, turns, own_keys) = (self.kept.clone(), Arc::clone(turns), keys.clone());
        let (folder, own, asked, patience) =
            (self.folder.clone(), Arc::clone(provider), image.clone(), self.patience);
        let work = || async move {
            let _turn = turns.acquire_owned().await;
            if let Some(found) = known(&kept, &own_keys).await {
                return Ok(found.keychain);
            }
            let answer = exec::ask(&folder, &own, &asked, patience).await;
            let Ok(response) = answer else {
                let failed = Kept { keychain: None, life: FAILED, since: Instant::now() };
                let [image, ..] = own_keys;
                kept.insert(image, failed).await;
                return answer.map(|_| None);
            };
            let keychain = Some(Arc::new(response.keychain));
            let life = response.duration.unwrap_or(own.cache_duration);
            if !life.is_zero() {
                let answer = Kept { keychain: keychain.clone(), life, since: Instant::now() };
                kept.insert(key(&own, response.kept_for, &asked), answer).await;
            }
            Ok(keychain)
        };
        let asked = self.flights.join(&keys[0], work).await;
        let unexpected = || Err("asking it ended unexpectedly".to_owned());
        asked.map_or_else(unexpected, |landed| landed.value).unwrap_or_else(|why| {
            self.note(format!("the credential provider {} gave nothing for {image}: {why}", provider.name));
            None
        })
    }

    /// The plugins that know an image.
    fn of<'a>(&'a self, reference: &'a Reference) -> impl Iterator<Item = &'a Plugin> {
        let knows = |pattern: &String| matches_image(pattern, reference);
        self.plugins.iter().filter(move |plugin| plugin.provider.match_images.iter().any(knows))
    }

    fn note(&self, note: String) {
        tracing::warn!(note, "a credential provider failed");
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }
}

impl FindCredentials for CredentialProviders {
    async fn find(&self, reference: &Reference, _workload: Option<&Workload>) -> Vec<Credentials> {
        let mut all = Keychain::default();
        for plugin in self.of(reference) {
            if let Some(keychain) = self.keychain(plugin, reference).await {
                all.extend(Keychain::clone(&keychain));
            }
        }
        all.lookup(reference)
    }

    async fn renew(&self, reference: &Reference) -> bool {
        let (image, mut any) = (reference.name(), false);
        for key in self.of(reference).flat_map(|plugin| keys(&plugin.provider, &image)) {
            let kept = self.kept.get(&key).await.filter(|kept| kept.keychain.is_some());
            if kept.is_some_and(|kept| kept.since.elapsed() >= self.renewed) {
                self.kept.invalidate(&key).await;
                any = true;
            }
        }
        any
    }
}

impl fmt::Debug for CredentialProviders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.plugins.iter().map(|plugin| &plugin.provider.name).collect();
        f.debug_struct("CredentialProviders").field("providers", &names).finish_non_exhaustive()
    }
}

/// What is known under any of these keys.
async fn known(kept: &Cache<String, Kept>, keys: &[String]) -> Option<Kept> {
    for key in keys {
        if let Some(found) = kept.get(key).await {
            return Some(found);
        }
    }
    None
}

/// Under which keys there may be an answer for an image.
fn keys(provider: &Provider, image: &str) -> [String; 3] {
    [KeptFor::Image, KeptFor::Registry, KeptFor::Global].map(|kept| key(provider, kept, image))
}

/// Under which key an answer is kept.
fn key(provider: &Provider, kept: KeptFor, image: &str) -> String {
    let what = match kept {
        KeptFor::Image => image,
        KeptFor::Registry => image.split('/').next().unwrap_or_default(),
        KeptFor::Global => "",
    };
    format!("{} {kept:?} {what}", provider.name)
}

/// The files of a configuration.
fn files(config: &Path) -> io::Result<Vec<PathBuf>> {
    if !config.is_dir() {
        return Ok(vec![config.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(config)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(io::Error::other("the folder holds no .yaml, .yml or .json"));
    }
    files.sort();
    Ok(files)
}

/// Each answer has a life of its own.
struct Life;

impl moka::Expiry<String, Kept> for Life {
    fn expire_after_create(&self, _: &String, kept: &Kept, _: std::time::Instant) -> Option<Duration> {
        Some(kept.life)
    }

    fn expire_after_update(
        &self,
        _: &String,
        kept: &Kept,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(kept.life)
    }
}

#[cfg(test)]
mod tests;
