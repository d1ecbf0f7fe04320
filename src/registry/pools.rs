//! Connections: one pool for each way of making them.

use super::{address::AddressGuard, hosts::ConnectionProfile, proxy::Proxies};
use reqwest::{Certificate, Client, redirect::Policy};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Longest list of headers taken over HTTP/2.
const HEADER_LIST_LIMIT: u32 = 16 * 1024;
/// Load balancers close idle connections after a minute or more; we close first.
const POOL_IDLE: Duration = Duration::from_secs(55);
/// Idle connections kept for one host.
const POOL_SIZE: usize = 16;

/// The pools.
pub(super) struct Pools {
    guard: AddressGuard,
    proxies: Proxies,
    connect_timeout: Duration,
    idle_timeout: Duration,
    clients: Mutex<BTreeMap<ConnectionProfile, Client>>,
}

impl Pools {
    pub(super) fn new(
        guard: AddressGuard,
        proxies: Proxies,
        connect_timeout: Duration,
        idle_timeout: Duration,
    ) -> Self {
        // reqwest asks for the process's provider; another caller may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { guard, proxies, connect_timeout, idle_timeout, clients: Mutex::default() }
    }

    /// Lets go of every idle connection.
    pub(super) fn clear(&self) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The pool of one way of connecting.
    ///
    /// Roots are the system's (the platform verifier finds them, `SSL_CERT_FILE` included) and the
    /// profile's. A system without any is an error only where no others are given.
    pub(super) fn client(&self, profile: &ConnectionProfile) -> Result<Client, String> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(profile) {
            return Ok(client.clone());
        }
        let roots = Certificate::from_pem_bundle(&profile.roots).map_err(|e| e.to_string())?;
        let mut builder = Client::builder();
        if let Some(identity) = &profile.identity {
            let identity = reqwest::Identity::from_pem(&identity.0);
            builder = builder.identity(identity.map_err(|_| "its `client` cannot be used".to_owned())?);
        }
        let client = builder
            .user_agent(concat!("hullmark/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .proxy(self.proxies.for_client())
            .dns_resolver(self.guard.clone())
            .connect_timeout(profile.dial_timeout.unwrap_or(self.connect_timeout))
            .read_timeout(profile.idle_timeout.unwrap_or(self.idle_timeout))
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .http2_max_header_list_size(HEADER_LIST_LIMIT)
            .tls_certs_merge(roots)
            .tls_danger_accept_invalid_certs(profile.skip_verify)
            .build()
            .map_err(|e| {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                cause.unwrap_or_else(|| e.to_string())
            })?;
        clients.insert(profile.clone(), client.clone());
        Ok(client)
    }
}
