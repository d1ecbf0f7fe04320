//! What is kept of images, for how long, and where.

use clap::Args;
use std::{path::PathBuf, time::Duration};

/// The cache that replicas, or runs, share; the same for every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Shared cache")]
pub struct SharedCacheArgs {
    /// Redis or Valkey that replicas share: `redis://HOST`, `rediss://HOST` (TLS), `redis-sentinel://HOST,HOST/MASTER`
    /// or `redis-cluster://HOST,HOST`. Give one with a password in the environment.
    #[arg(long, value_name = "URL", env = "HULLMARK_CACHE", hide_env_values = true)]
    pub cache: Option<String>,
    /// Certificates that its own is checked against (PEM), instead of the system's.
    #[arg(long, value_name = "FILE", requires = "cache", env = "HULLMARK_CACHE_CA")]
    pub cache_ca: Option<PathBuf>,
    /// The longest that a lookup waits for it.
    #[arg(long, value_name = "DURATION", default_value = "5ms", value_parser = super::duration, env = "HULLMARK_CACHE_TIMEOUT")]
    pub cache_timeout: Duration,
}

/// What `serve` keeps in memory.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cache")]
pub struct CacheArgs {
    /// Memory for what is known of images, as a quantity of Kubernetes.
    #[arg(long, value_name = "SIZE", default_value = "64Mi", value_parser = size, env = "HULLMARK_CACHE_SIZE")]
    pub cache_size: u64,
    /// How long it is believed what a tag points to; as long again it is used while it is asked about.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = super::duration, env = "HULLMARK_TAG_TTL")]
    pub tag_ttl: Duration,
    /// While a registry is out of reach, judge by what was known of an image for up to this long, where a policy's
    /// onResolutionFailure is Warn or Allow; 0s: never.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration_or_none, env = "HULLMARK_STALE_IF_ERROR")]
    pub stale_if_error: Duration,
    /// At the start, look at the images of the Pods that run already.
    #[arg(long, requires = "cluster", env = "HULLMARK_WARM_UP")]
    pub warm_up: bool,
    /// At the start, look at the images in this file, one a line.
    #[arg(long, value_name = "FILE", env = "HULLMARK_WARM_UP_IMAGES")]
    pub warm_up_images: Option<PathBuf>,
    /// How many Pods or images a second.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000), env = "HULLMARK_WARM_UP_RATE")]
    pub warm_up_rate: u16,
    /// Be ready only when that is done, or after this long; 0s: at once.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration_or_none, env = "HULLMARK_WARM_UP_WAIT")]
    pub warm_up_wait: Duration,
}

/// The least memory that is of any use: some hundreds of images.
const LEAST: u64 = 1 << 20;

fn size(text: &str) -> Result<u64, String> {
    match crate::policy::bytes(text)? {
        size @ LEAST.. => Ok(size),
        _ => Err(format!("{text} is too little: at least 1Mi")),
    }
}

fn duration_or_none(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { super::duration(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read() {
        assert_eq!(size("64Mi"), Ok(64 << 20));
        assert!(size("1000").unwrap_err().contains("at least 1Mi"));
        assert!(size("64MiB").unwrap_err().contains("not a size"));
        assert_eq!(duration_or_none("0s"), Ok(Duration::ZERO));
        assert_eq!(duration_or_none("1h"), Ok(Duration::from_hours(1)));
        assert!(duration_or_none("-1s").is_err() && duration_or_none("soon").is_err());
    }
}
