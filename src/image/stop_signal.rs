//! `config.StopSignal`, read as moby/sys `signal.ParseSignal` reads it.

/// A signal that a runtime accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSignal {
    raw: String,
    number: i32,
    name: String,
}

/// A value that runtimes do not know: containerd cannot stop such a container, CRI-O sends SIGTERM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{raw:?} is not a signal ({why})")]
pub struct InvalidStopSignal {
    /// As written.
    pub raw: String,
    /// Why, and the nearest valid value where there is one.
    pub why: String,
}

impl StopSignal {
    /// Reads `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`, …
    ///
    /// # Errors
    /// [`InvalidStopSignal`] when no runtime would accept it.
    pub fn parse(_raw: &str) -> Result<Self, InvalidStopSignal> {
        todo!()
    }

    /// As written.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The number on Linux.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.number
    }

    /// The canonical name: `SIGTERM`, `SIGRTMIN+3`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
