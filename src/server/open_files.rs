//! How many connections the limit on open files leaves room for.
//!
//! In goes what Linux says of this process, out come numbers of connections. Each connection is an open
//! file, and so is each one to a registry. Container runtimes allow as few as 1024; with all of them
//! taken, `/livez` could not be answered, and the kubelet would end us for what a caller did.

use std::fs;

/// What is assumed where the system does not say.
const USUAL: usize = 1024;

/// Connections at the same time, on each of the two ports; more wait in the backlog of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) webhook: usize,
    pub(super) health: usize,
}

impl Connections {
    /// As many as this process may have.
    pub(super) fn allowed() -> Self {
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Self::within(soft_limit(&limits).unwrap_or(USUAL))
    }

    /// The rest is for registries, policies and certificates.
    fn within(files: usize) -> Self {
        Self { webhook: (files / 2).clamp(8, 4096), health: (files / 8).clamp(4, 256) }
    }
}

/// The soft limit in `proc_pid_limits(5)`; none: there is no such line.
fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_says() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             7                    7                    processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(limits), Some(1024));
        assert_eq!(soft_limit(&limits.replace("1024  ", "unlimited")), Some(usize::MAX));
        assert_eq!(soft_limit(""), None);
        assert_eq!(soft_limit("Max open files"), None);
    }

    #[test]
    fn leaves_room_for_health_and_for_registries() {
        for (files, webhook, health) in
            [(usize::MAX, 4096, 256), (20_000, 4096, 256), (1024, 512, 128), (256, 128, 32), (0, 8, 4)]
        {
            assert_eq!(Connections::within(files), Connections { webhook, health }, "{files}");
        }
    }
}
