//! The addresses that are never dialled unless `--allow-address` says so.
//!
//! Image names come from whoever may create a Pod, so an image name must not make Hullmark talk to
//! its own pod, its node or a cloud's metadata service. Names are checked after DNS, on the very
//! addresses that are dialled. Literal addresses bypass the resolver of the HTTP client, so every
//! URL is checked too. IPv4 addresses inside IPv6 ones are unwrapped first.

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use url::{Host, Url};

/// Alibaba Cloud's metadata service; those of other clouds are link-local or [`METADATA_V6`].
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// The metadata service of AWS over IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// The well-known prefix of NAT64 (RFC 6052), `64:ff9b::/96`.
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Decides which addresses may be dialled.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressGuard {
    allowed: Arc<[IpNet]>,
    refused: Arc<[IpNet]>,
    /// Names that are the operator's own choice.
    trusted: Arc<[String]>,
}

/// An address that was refused; its text names the flag that would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    host: String,
    address: IpAddr,
    class: &'static str,
}

impl AddressGuard {
    /// `refused` ranges come to those that always are; `allowed` ones are excepted from all; `trusted` names may
    /// be anywhere.
    pub(super) fn new(allowed: Vec<IpNet>, refused: Vec<IpNet>, trusted: Vec<String>) -> Self {
        Self { allowed: allowed.into(), refused: refused.into(), trusted: trusted.into() }
    }

    /// Checks a literal address in a URL; names pass, for they are checked when they are resolved.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), Refused> {
        match url.host() {
            Some(Host::Ipv4(ip)) => self.check(&ip.to_string(), ip.into()),
            Some(Host::Ipv6(ip)) => self.check(&ip.to_string(), ip.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Checks where a name leads that a proxy will look up. What is not known here is left to the proxy.
    pub(super) async fn check_name(&self, url: &Url) -> Result<(), Refused> {
        let Some(Host::Domain(host)) = url.host() else { return Ok(()) };
        match tokio::net::lookup_host((host, 0)).await {
            Ok(found) => self.filter(host, found).map(drop),
            Err(_) => Ok(()),
        }
    }

    fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let address = unwrap(address);
        let configured = || {
            let is_refused = self.refused.iter().any(|net| net.contains(&address));
            is_refused.then_some("an address that --refuse-address names")
        };
        match class(address).or_else(configured) {
            Some(class) if !self.allowed.iter().any(|net| net.contains(&address)) => {
                Err(Refused { host: host.to_owned(), address, class })
            }
            _ => Ok(()),
        }
    }

    /// Keeps the addresses that may be dialled; an error if that leaves none.
    fn filter(
        &self,
        host: &str,
        found: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Refused> {
        let mut refused = None;
        let kept: Vec<_> = found
            .filter(|address| match self.check(host, address.ip()) {
                Ok(()) => true,
                Err(e) => {
                    refused.get_or_insert(e);
                    false
                }
            })
            .collect();
        match refused {
            Some(refused) if kept.is_empty() => Err(refused),
            _ => Ok(kept),
        }
    }
}

/// The IPv4 address inside an IPv4-mapped, IPv4-compatible or NAT64 address.
fn unwrap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    let embedded = segments[..6] == NAT64 || (segments[..6] == [0; 6] && segments[6] != 0);
    match v6.to_ipv4_mapped() {
        Some(v4) => v4.into(),
        None if embedded => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        None => address,
    }
}

/// Why an address is refused, if it is.
fn class(address: IpAddr) -> Option<&'static str> {
    let metadata = match address {
        IpAddr::V4(ip) => ip == METADATA_V4 || ip == Ipv4Addr::new(169, 254, 169, 254),
        IpAddr::V6(ip) => ip == METADATA_V6,
    };
    let link_local = match address {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    // On Linux all of 0.0.0.0/8 is "this host".
    let unspecified = match address {
        IpAddr::V4(ip) => ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    [
        (metadata, "a cloud's metadata service"),
        (link_local, "a link-local address"),
        (address.is_loopback(), "a loopback address"),
        (unspecified, "the unspecified address"),
        (address.is_multicast() || broadcast, "a multicast address"),
    ]
    .into_iter()
    .find_map(|(is, class)| is.then_some(class))
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, class } = self;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if *host == address.to_string() {
            write!(f, "{address} is {class}, which is not dialled")?;
        } else {
            write!(f, "{host} is at {address}, {class}, which is not dialled")?;
        }
        if address.is_loopback() {
            f.write_str(" (in a cluster it means Hullmark's own pod, not the node)")?;
        }
        write!(f, "; --allow-address {address}/{bits} would allow it")
    }
}

impl std::error::Error for Refused {}

/// A name without any address.
#[derive(Debug, thiserror::Error)]
#[error("{host} has no address: {reason}")]
pub(super) struct LookupFailed {
    host: String,
    reason: String,
}

impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let failed = |reason: String| LookupFailed { host: host.to_owned(), reason };
            // The port is the URL's business; the connector puts it in.
            let found = tokio::net::lookup_host((host, 0)).await.map_err(|e| failed(e.to_string()))?;
            let is_trusted = guard.trusted.iter().any(|name| name.eq_ignore_ascii_case(host));
            let kept = if is_trusted { found.collect() } else { guard.filter(host, found)? };
            if kept.is_empty() {
                return Err(failed("the name has no addresses".to_owned()).into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(nets: &[&str]) -> Vec<IpNet> {
        nets.iter().map(|net| net.parse().expect("a network")).collect()
    }

    fn refused(url: &str, allowed: &[&str]) -> Option<String> {
        let guard = AddressGuard::new(nets(allowed), Vec::new(), Vec::new());
        guard.check_url(&url.parse().expect("a URL")).err().map(|e| e.to_string())
    }

    #[test]
    fn literal_addresses_are_classified() {
        let rows = [
            ("loopback", "https://127.0.0.1/", Some("loopback")),
            ("all of 127/8", "https://127.8.8.8:5000/", Some("loopback")),
            ("hexadecimal", "https://0x7f.1/", Some("loopback")),
            ("one number", "https://2130706433/", Some("loopback")),
            ("IPv6 loopback", "https://[::1]/", Some("loopback")),
            ("mapped", "https://[::ffff:127.0.0.1]/", Some("loopback")),
            ("compatible", "https://[::127.0.0.1]/", Some("loopback")),
            ("NAT64", "https://[64:ff9b::a9fe:a9fe]/", Some("metadata")),
            ("metadata", "http://169.254.169.254/latest", Some("metadata")),
            ("metadata, mapped", "http://[::ffff:a9fe:a9fe]/", Some("metadata")),
            ("metadata of AWS over IPv6", "http://[fd00:ec2::254]/", Some("metadata")),
            ("metadata of Alibaba", "http://100.100.100.200/", Some("metadata")),
            ("link-local", "https://169.254.1.1/", Some("link-local")),
            ("IPv6 link-local", "https://[fe80::1]/", Some("link-local")),
            ("unspecified", "https://0.0.0.0/", Some("unspecified")),
            ("this network", "https://0.1.2.3/", Some("unspecified")),
            ("IPv6 unspecified", "https://[::]/", Some("unspecified")),
            ("multicast", "https://224.0.0.1/", Some("multicast")),
            ("IPv6 multicast", "https://[ff02::1]/", Some("multicast")),
            ("broadcast", "https://255.255.255.255/", Some("multicast")),
            ("private", "https://10.0.0.1/", None),
            ("public", "https://192.0.2.7/", None),
            ("IPv6", "https://[2001:db8::1]/", None),
            ("a name", "https://localhost/", None),
        ];
        for (name, url, expected) in rows {
            let found = refused(url, &[]);
            assert_eq!(found.is_some(), expected.is_some(), "{name}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{name}");
        }
    }

    #[test]
    fn allowed_ranges_are_dialled() {
        assert_eq!(refused("https://127.0.0.1/", &["127.0.0.0/8"]), None);
        assert_eq!(refused("https://[::ffff:127.0.0.1]/", &["127.0.0.1/32"]), None);
        assert_eq!(refused("https://[::1]/", &["::1/128"]), None);
        assert!(refused("https://[::1]/", &["127.0.0.0/8"]).is_some());
    }

    #[test]
    fn further_ranges_are_refused_but_for_those_that_are_allowed() {
        let guard = AddressGuard::new(nets(&["10.1.0.0/16"]), nets(&["10.0.0.0/8", "fc00::/7"]), Vec::new());
        let refused = |url: &str| guard.check_url(&url.parse().expect("a URL")).err().map(|e| e.to_string());
        for url in ["https://10.2.0.1/", "https://[fd00::1]/", "https://[::ffff:10.2.0.1]/"] {
            assert!(refused(url).expect(url).contains("that --refuse-address names"), "{url}");
        }
        assert_eq!((refused("https://10.1.0.1/"), refused("https://192.0.2.1/")), (None, None));
        assert!(refused("https://127.0.0.1/").is_some(), "what is always refused still is");
    }

    #[test]
    fn the_text_names_the_flag() {
        let text = refused("https://[::1]/", &[]).expect("refused");
        assert!(text.contains("--allow-address ::1/128") && text.contains("own pod"), "{text}");
    }

    #[tokio::test]
    async fn names_are_checked_after_resolution() {
        let resolve =
            |guard: AddressGuard| async move { guard.resolve("localhost".parse().expect("a name")).await };
        let refused = resolve(AddressGuard::default()).await.err().expect("refused");
        assert!(refused.downcast_ref::<Refused>().is_some(), "{refused}");
        assert!(refused.to_string().contains("localhost is at"), "{refused}");
        let both = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().expect("a network"));
        assert!(resolve(AddressGuard::new(both.to_vec(), Vec::new(), Vec::new())).await.is_ok());
        let proxy = AddressGuard::new(Vec::new(), Vec::new(), vec!["localhost".to_owned()]);
        assert!(resolve(proxy).await.is_ok(), "a proxy is where the operator says");
    }

    #[test]
    fn of_several_addresses_the_good_ones_are_kept() {
        let found = ["127.0.0.1:0", "192.0.2.7:0"].map(|a| a.parse().expect("an address"));
        let kept = AddressGuard::default().filter("x.io", found.into_iter()).expect("one is left");
        assert_eq!(kept, [found[1]]);
    }
}
