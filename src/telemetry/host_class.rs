//! Whose registry a host is: a closed set, as a label needs it. Anybody who writes a Pod can name any host.

use std::net::IpAddr;

/// Ends of the names of hosts that belong to the large public registries: the registry itself, its token
/// server, and where its blobs are.
const PUBLIC: [(&str, &str); 17] = [
    ("docker.io", "docker-hub"),
    ("docker.com", "docker-hub"),
    ("ghcr.io", "ghcr"),
    ("githubusercontent.com", "ghcr"),
    ("quay.io", "quay"),
    ("registry.k8s.io", "kubernetes"),
    ("mcr.microsoft.com", "microsoft"),
    ("azurecr.io", "azure"),
    ("blob.core.windows.net", "azure"),
    ("gcr.io", "google"),
    ("pkg.dev", "google"),
    ("googleapis.com", "google"),
    ("public.ecr.aws", "aws"),
    ("cloudfront.net", "aws"),
    ("amazonaws.com", "aws"),
    ("amazonaws.com.cn", "aws"),
    ("gitlab.com", "gitlab"),
];
/// Ends of names that no public DNS has.
const PRIVATE: [&str; 6] = ["localhost", "local", "internal", "svc", "lan", "corp"];

/// The class of `host` (with or without a port): `docker-hub`, `ghcr`, `quay`, `kubernetes`, `microsoft`,
/// `azure`, `google`, `aws`, `gitlab`; `private` for an address or a name that no public DNS has; else `other`.
pub(super) fn host_class(host: &str) -> &'static str {
    let name = name(host);
    let is_below =
        |end: &str| name.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    if let Some((_, class)) = PUBLIC.iter().find(|(end, _)| is_below(end)) {
        class
    } else if name.parse::<IpAddr>().is_ok() || !name.contains('.') || PRIVATE.into_iter().any(is_below) {
        "private"
    } else {
        "other"
    }
}

/// Without port and brackets.
fn name(host: &str) -> &str {
    if let Some(address) = host.strip_prefix('[') {
        return address.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::host_class;

    #[test]
    fn hosts_have_classes() {
        for (host, class) in [
            ("registry-1.docker.io", "docker-hub"),
            ("auth.docker.io", "docker-hub"),
            ("production.cloudflare.docker.com", "docker-hub"),
            ("ghcr.io", "ghcr"),
            ("pkg-containers.githubusercontent.com", "ghcr"),
            ("cdn01.quay.io", "quay"),
            ("registry.k8s.io", "kubernetes"),
            ("europe-docker.pkg.dev", "google"),
            ("eu.gcr.io:443", "google"),
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "aws"),
            ("acme.azurecr.io", "azure"),
            ("mcr.microsoft.com", "microsoft"),
            ("registry.gitlab.com", "gitlab"),
            ("127.0.0.1:5000", "private"),
            ("[::1]:5000", "private"),
            ("localhost:5000", "private"),
            ("registry", "private"),
            ("registry.tools.svc.cluster.local:443", "private"),
            ("registry.acme.io", "other"),
            ("notdocker.io", "other"),
            ("docker.io.evil.com", "other"),
            ("", "private"),
        ] {
            assert_eq!(host_class(host), class, "{host}");
        }
    }
}
