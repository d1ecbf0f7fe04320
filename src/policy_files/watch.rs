//! The set in force follows the files; a broken file changes nothing but what is said about it.

use super::{Loaded, Refused, fingerprint, read};
use crate::policy::PolicySet;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch::{self, Receiver},
    task::spawn_blocking,
    time::sleep,
};

/// A change is taken up when two looks, this part of the time between looks apart, see the same:
/// half a file may well be YAML.
const SETTLE: u32 = 8;

/// The policies of a folder, as they change.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The set in force.
    pub policies: Receiver<Arc<PolicySet>>,
    /// How the last reload went.
    pub reload: Receiver<Reload>,
}

/// How the last reload went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Counts the sets that were in force; the first is 1.
    pub generation: u64,
    /// How many policies are in force.
    pub policies: usize,
    /// How many documents of the files as they are now do not compile.
    pub refused: usize,
    /// Why the files as they are now are not in force; none: they are.
    pub error: Option<String>,
}

/// Watches `path`, of which `initial` is in force, and looks `every` so often. Ends when nobody
/// receives any more.
///
/// Files are compared by content: what is behind a symlink may be swapped without any event.
#[must_use]
pub fn watch(path: PathBuf, initial: &Loaded, every: Duration) -> Watched {
    let (policies, receive_policies) = watch::channel(Arc::clone(&initial.set));
    let first = Reload { generation: 1, policies: initial.set.len(), refused: 0, error: None };
    let (reload, receive_reload) = watch::channel(first);
    let watcher = Watcher { path, every, in_force: initial.fingerprint, policies, reload };
    tokio::spawn(watcher.run());
    Watched { policies: receive_policies, reload: receive_reload }
}

struct Watcher {
    path: PathBuf,
    every: Duration,
    in_force: [u8; 32],
    policies: watch::Sender<Arc<PolicySet>>,
    reload: watch::Sender<Reload>,
}

/// What a look at the files shows.
enum Look {
    Unchanged,
    /// They are being written.
    Unsettled,
    Changed(Loaded),
}

impl Watcher {
    async fn run(mut self) {
        while !self.policies.is_closed() {
            sleep(self.every).await;
            let (path, in_force, settle) = (self.path.clone(), self.in_force, self.every / SETTLE);
            let look = spawn_blocking(move || look(&path, in_force, settle)).await;
            match look {
                Ok(Ok(Look::Unchanged)) => self.note(0, None),
                Ok(Ok(Look::Unsettled)) => {}
                Ok(Ok(Look::Changed(loaded))) => self.put_in_force(&loaded),
                Ok(Err(refused)) => self.keep(&refused),
                Err(panic) => self.note(0, Some(format!("reading the policies failed: {panic}"))),
            }
        }
    }

    fn put_in_force(&mut self, loaded: &Loaded) {
        self.in_force = loaded.fingerprint;
        self.policies.send_replace(Arc::clone(&loaded.set));
        self.reload.send_modify(|reload| {
            let generation = reload.generation + 1;
            *reload = Reload { generation, policies: loaded.set.len(), refused: 0, error: None };
        });
        let generation = self.reload.borrow().generation;
        tracing::info!(
            policies.count = loaded.set.len(),
            policies.generation = generation,
            "policies reloaded"
        );
    }

    /// Told once for each state of the files, not with every look.
    fn keep(&self, refused: &Refused) {
        let text = refused.to_string();
        if self.reload.borrow().error.as_ref() == Some(&text) {
            return;
        }
        let errors: Vec<String> = match refused {
            Refused::Load(error) => vec![error.to_string()],
            Refused::Compile(errors) => errors.iter().map(ToString::to_string).collect(),
        };
        for error in errors {
            tracing::error!(
                policies.path = self.path.display().to_string(),
                error,
                "policies are broken; the last good ones stay in force"
            );
        }
        self.note(refused.documents(), Some(text));
    }

    fn note(&self, refused: usize, error: Option<String>) {
        self.reload.send_if_modified(|reload| {
            let changed = reload.error != error;
            (reload.refused, reload.error) = (refused, error);
            changed
        });
    }
}

fn look(path: &Path, in_force: [u8; 32], settle: Duration) -> Result<Look, Refused> {
    let files = read(path)?;
    let seen = fingerprint(&files);
    if seen == in_force {
        return Ok(Look::Unchanged);
    }
    std::thread::sleep(settle);
    let files = read(path)?;
    if fingerprint(&files) != seen {
        return Ok(Look::Unsettled);
    }
    Ok(Look::Changed(Loaded::from(path, &files)?))
}
