//! The user's Docker and Podman auth files, as a source of credentials for the command line.
//!
//! In goes the part of the environment that says where the files are, out come the credentials for
//! a reference, in the order to try. As in Docker and Podman, `REGISTRY_AUTH_FILE` replaces all
//! other files, and `DOCKER_CONFIG` replaces `~/.docker`. A file or helper that fails never fails
//! the look-up: it becomes a note, and the image is looked at without it.

mod helper;

use crate::{
    credential::{Credentials, DockerConfig},
    image::Reference,
    review::FindCredentials,
    workload::Workload,
};
use helper::Helpers;
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Largest auth file that is read, in bytes.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;
/// What Docker and its helpers call Docker Hub.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

/// The environment variables that matter. An empty one counts as unset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: the only file that is read, if it is set.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`; `~/.config` if it is not set.
    pub xdg_config_home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: a folder.
    pub docker_config: Option<PathBuf>,
    /// `PATH`: where credential helpers are looked for.
    pub path: Option<OsString>,
}

impl Environment {
    /// Reads the variables through `variable`, such as [`std::env::var_os`].
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        Self {
            home: path("HOME"),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
            xdg_config_home: path("XDG_CONFIG_HOME"),
            docker_config: path("DOCKER_CONFIG"),
            path: set("PATH"),
        }
    }

    /// The files to read, in order.
    fn files(&self) -> Vec<PathBuf> {
        if let Some(file) = &self.registry_auth_file {
            return vec![file.clone()];
        }
        let home = |rest: &str| self.home.as_ref().map(|home| home.join(rest));
        let below = |folder: &Option<PathBuf>, rest: &str| folder.as_ref().map(|folder| folder.join(rest));
        let files = [
            below(&self.xdg_runtime_dir, "containers/auth.json"),
            below(&self.xdg_config_home, "containers/auth.json")
                .or_else(|| home(".config/containers/auth.json")),
            below(&self.docker_config, "config.json").or_else(|| home(".docker/config.json")),
            home(".dockercfg"),
        ];
        files.into_iter().flatten().collect()
    }
}

/// Credentials from auth files and the helpers that they name.
#[derive(Debug)]
pub struct AuthFiles {
    files: Vec<DockerConfig>,
    helpers: Helpers,
    notes: Mutex<Vec<String>>,
}

impl AuthFiles {
    /// Reads the files that there are. Those that cannot be read become notes.
    #[must_use]
    pub fn read(environment: &Environment) -> Self {
        let (mut files, mut notes) = (Vec::new(), Vec::new());
        for path in environment.files() {
            match read(&path) {
                Ok(file) => {
                    notes
                        .extend(file.problems.iter().map(|problem| format!("{}: {problem}", path.display())));
                    files.push(file);
                }
                // Of the usual places most do not exist; a place that was named should.
                Err(e) if e.kind() == io::ErrorKind::NotFound && environment.registry_auth_file.is_none() => {
                }
                Err(e) => notes.push(format!("{} is ignored: {e}", path.display())),
            }
        }
        Self { files, helpers: Helpers::new(environment.path.clone()), notes: Mutex::new(notes) }
    }

    /// What went wrong so far with files and helpers; never a secret.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self, helper: &str, server: &str) -> Option<Credentials> {
        match self.helpers.ask(helper, server).await {
            Ok(found) => found,
            Err(note) => {
                let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
                if !notes.contains(&note) {
                    notes.push(note);
                }
                None
            }
        }
    }
}

impl FindCredentials for AuthFiles {
    async fn find(&self, reference: &Reference, _workload: Option<&Workload>) -> Vec<Credentials> {
        let mut found = Vec::new();
        for file in &self.files {
            if let Some((helper, server)) = helper(file, reference.domain()) {
                found.extend(self.ask(helper, server).await);
            }
            for credentials in file.keychain.lookup(reference) {
                if !found.contains(&credentials) {
                    found.push(credentials);
                }
            }
        }
        found
    }
}

/// The helper for a registry, and the name by which it knows the registry.
fn helper<'a>(file: &'a DockerConfig, domain: &'a str) -> Option<(&'a str, &'a str)> {
    let is_hub = domain == "docker.io";
    let names = |registry: &str| {
        registry == domain || (is_hub && matches!(registry, "index.docker.io" | DOCKER_HUB_SERVER))
    };
    let own = file.helpers.iter().find(|entry| names(&entry.registry));
    let store = || Some((file.store.as_deref()?, if is_hub { DOCKER_HUB_SERVER } else { domain }));
    own.map(|entry| (entry.helper.as_str(), entry.registry.as_str())).or_else(store)
}

fn read(path: &Path) -> io::Result<DockerConfig> {
    if fs::metadata(path)?.len() > FILE_LIMIT {
        return Err(io::Error::other(format!("it has more than {FILE_LIMIT} bytes")));
    }
    DockerConfig::parse(&fs::read(path)?).map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
