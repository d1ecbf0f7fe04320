//! What `serve` logs, and how.

use clap::{Args, ValueEnum};

/// The log of `serve`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// json, or text for a person; default: text on a terminal, else json.
    #[arg(long, value_enum, env = "HULLMARK_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
    /// error, warn, info, debug or trace, or a tracing filter.
    #[arg(long, default_value = "info", env = "HULLMARK_LOG")]
    pub log: String,
    /// Which part of the requests in which nothing was found is logged, from 0 (none) to 1 (all); what was found is
    /// always logged.
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = share, env = "HULLMARK_LOG_ADMITS")]
    pub log_admits: f64,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for a person.
    Text,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("{text:?} is not a number from 0 to 1, such as 0.01 for one in a hundred"))
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_numbers_from_none_to_all() {
        for (text, expected) in [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-06", 0.000_001)] {
            assert!((share(text).unwrap() - expected).abs() < 1e-12, "{text}");
        }
        for text in ["", "-0.1", "1.1", "NaN", "inf", "10%", "all"] {
            assert!(share(text).unwrap_err().contains("is not a number from 0 to 1"), "{text}");
        }
    }
}
