//! How registries are reached, and with which credentials; the same for every command.

use super::SharedCacheArgs;
use clap::Args;
use ipnet::IpNet;
use std::{path::PathBuf, str::FromStr};

/// What `private` stands for: addresses that are nobody's on the Internet (RFC 1918, RFC 6598, RFC 4193).
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];

/// How registries are reached; the same for every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Registries")]
pub struct RegistryArgs {
    /// Folder of registry settings, in containerd's form: `DIR/<host>/hosts.toml`. Read again when it changes.
    #[arg(long, value_name = "DIR", env = "HULLMARK_HOSTS_DIR")]
    pub hosts_dir: Option<PathBuf>,
    /// Ask these registries only, as the kubelet's matchImages: ghcr.io, *.acme.io:5000, docker.io/library. May
    /// be repeated.
    #[arg(
        long = "allow-registry",
        value_name = "PATTERN",
        env = "HULLMARK_ALLOW_REGISTRY",
        value_delimiter = ','
    )]
    pub allow_registries: Vec<String>,
    /// Never ask these registries. May be repeated.
    #[arg(
        long = "deny-registry",
        value_name = "PATTERN",
        env = "HULLMARK_DENY_REGISTRY",
        value_delimiter = ','
    )]
    pub deny_registries: Vec<String>,
    /// Allow a range of addresses that is refused by default (loopback, link-local, metadata). May be repeated.
    #[arg(
        long = "allow-address",
        value_name = "CIDR",
        env = "HULLMARK_ALLOW_ADDRESS",
        value_delimiter = ','
    )]
    pub allow_addresses: Vec<IpNet>,
    /// Refuse a range of addresses that is allowed by default; `private` is all of RFC 1918, 6598 and 4193. May
    /// be repeated.
    #[arg(
        long = "refuse-address",
        value_name = "CIDR|private",
        env = "HULLMARK_REFUSE_ADDRESS",
        value_delimiter = ','
    )]
    pub refuse_addresses: Vec<AddressRange>,
    /// The kubelet's `CredentialProviderConfig`, a file or a folder: plugins that know credentials.
    #[arg(
        long,
        value_name = "FILE|DIR",
        requires = "image_credential_provider_bin_dir",
        env = "HULLMARK_IMAGE_CREDENTIAL_PROVIDER_CONFIG"
    )]
    pub image_credential_provider_config: Option<PathBuf>,
    /// Folder of those plugins.
    #[arg(
        long,
        value_name = "DIR",
        requires = "image_credential_provider_config",
        env = "HULLMARK_IMAGE_CREDENTIAL_PROVIDER_BIN_DIR"
    )]
    pub image_credential_provider_bin_dir: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of a flag")]
    pub shared_cache: SharedCacheArgs,
}

/// A range of addresses, or the word for several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRange(pub Vec<IpNet>);

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let texts = if text == "private" { &PRIVATE[..] } else { &[text] };
        let ranges: Result<_, _> = texts.iter().map(|text| text.parse::<IpNet>()).collect();
        ranges.map(Self).map_err(|_| format!("{text:?} is neither a CIDR such as 10.0.0.0/8 nor private"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!("private".parse::<AddressRange>().unwrap().0.len(), PRIVATE.len());
        assert_eq!("10.1.0.0/16".parse::<AddressRange>().unwrap().0, ["10.1.0.0/16".parse().unwrap()]);
        for bad in ["", "public", "10.0.0.0", "10.0.0.0/33"] {
            assert!(bad.parse::<AddressRange>().is_err(), "{bad}");
        }
    }
}
