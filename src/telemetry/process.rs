//! What the kernel knows of this process, under the names that Prometheus' own clients use ("Process
//! metrics"). Where there is no `/proc`, there are none.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode_registry},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use std::{fmt, fs};

/// Ticks of the kernel's clocks a second, as it tells them to processes: the same on every
/// architecture that Linux has today.
const TICKS: f64 = 100.0;

/// Writes the metrics of this process, without an end mark.
pub(super) fn encode(text: &mut String) -> fmt::Result {
    let mut registry = Registry::default();
    if let Some(process) = Process::of_us() {
        registry.register_collector(Box::new(process));
    }
    encode_registry(text, &registry)
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    cpu_seconds: f64,
    resident_bytes: u64,
    open_fds: u64,
    max_fds: u64,
    /// Since 1970.
    start_seconds: f64,
}

impl Process {
    fn of_us() -> Option<Self> {
        let read = |file: &str| fs::read_to_string(file).ok();
        // The folder that is being read is one of them.
        let open_fds = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        Self::parse(
            &read("/proc/self/stat")?,
            &read("/proc/self/status")?,
            &read("/proc/self/limits")?,
            &read("/proc/stat")?,
            open_fds as u64,
        )
    }

    /// From `stat`, `status` and `limits` of a process, and `stat` of the machine (proc(5)).
    fn parse(stat: &str, status: &str, limits: &str, machine: &str, open_fds: u64) -> Option<Self> {
        // The second field is the program's name in parentheses, which may hold anything; the third follows.
        let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let (user, system, started) = (ticks(14)?, ticks(15)?, ticks(22)?);
        let after = |text: &str, name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let booted: f64 =
            machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(Self {
            cpu_seconds: (user + system) / TICKS,
            resident_bytes: after(status, "VmRSS:")? * 1024,
            open_fds,
            // "unlimited" is no number.
            max_fds: after(limits, "Max open files").unwrap_or(u64::MAX),
            start_seconds: booted + started / TICKS,
        })
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let rows: [(&str, &str, Option<Unit>, &dyn EncodeMetric); 5] = [
            (
                "process_cpu",
                "Processor time, of the program and of the kernel for it",
                Some(Unit::Seconds),
                &ConstCounter::new(self.cpu_seconds),
            ),
            (
                "process_resident_memory",
                "Memory that it has",
                Some(Unit::Bytes),
                &ConstGauge::new(self.resident_bytes),
            ),
            (
                "process_start_time",
                "When it started, since 1970",
                Some(Unit::Seconds),
                &ConstGauge::new(self.start_seconds),
            ),
            (
                "process_open_fds",
                "Files and connections that are open",
                None,
                &ConstGauge::new(self.open_fds),
            ),
            ("process_max_fds", "How many may be open", None, &ConstGauge::new(self.max_fds)),
        ];
        for (name, help, unit, metric) in rows {
            metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), metric.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\thullmark\nVmHWM:\t   99 kB\nVmRSS:\t    20 kB\nThreads:\t3\n";
    const LIMITS: &str = "Limit    Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
    const MACHINE: &str = "cpu  1 2 3\nbtime 1700000000\nprocesses 5\n";

    fn stat(name: &str) -> String {
        format!("42 ({name}) S 1 42 42 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 3 0 1050 7 5")
    }

    #[test]
    fn what_the_kernel_says_is_read() {
        let expected = Process {
            cpu_seconds: 3.0,
            resident_bytes: 20 * 1024,
            open_fds: 7,
            max_fds: 1024,
            start_seconds: 1_700_000_010.5,
        };
        for name in ["hullmark", "a) R 1 2 (b"] {
            assert_eq!(Process::parse(&stat(name), STATUS, LIMITS, MACHINE, 7), Some(expected), "{name}");
        }
        let unlimited = LIMITS.replace("1024", "unlimited");
        let read = Process::parse(&stat("x"), STATUS, &unlimited, MACHINE, 7).unwrap();
        assert_eq!(read.max_fds, u64::MAX);
        for (stat, status) in [("", STATUS), ("42 (x) S", STATUS), (stat("x").as_str(), "Name:\tx\n")] {
            assert_eq!(Process::parse(stat, status, LIMITS, MACHINE, 7), None, "{stat} {status}");
        }
    }

    #[test]
    fn this_process_is_shown() {
        let mut text = String::new();
        encode(&mut text).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().unwrap()
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 1e5);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        // Started after the day on which this was written.
        assert!(value("process_start_time_seconds") > 1.76e9);
    }
}
