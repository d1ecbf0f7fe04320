//! Real parts for the tests: the CNCF registry, a token server it trusts, images, and commands.
//!
//! It is `support/mod.rs` so that `benches/` can use it too, by its path.
//!
//! Everything listens on loopback, on ports that the kernel picks, in folders of its own, and is
//! gone when the value is dropped. A part that is not installed fails the test with the line that
//! installs it; nothing is skipped.

mod balancer;
mod browser;
mod command;
mod control_plane;
mod images;
mod kubelet;
mod nginx;
pub(crate) mod process;
mod prometheus;
mod push;
mod redis;
mod registry;
mod service;
mod tls;
mod token_server;
mod webhook;

pub(crate) use balancer::Balancer;
pub(crate) use browser::Browser;
pub(crate) use command::{Hullmark, Output, skopeo_raw_config};
pub(crate) use control_plane::{API_SERVER, ControlPlane, ETCD, Namespace, own_address};
pub(crate) use images::{Entry, Image, Index, helm_chart};
pub(crate) use kubelet::Kubelet;
pub(crate) use nginx::Nginx;
pub(crate) use prometheus::{Prometheus, promtool};
pub(crate) use push::Pushed;
pub(crate) use push::trusting;
pub(crate) use redis::Redis;
pub(crate) use registry::{PASSWORD, Registry, USER};
pub(crate) use tls::{Authority, Leaf};
pub(crate) use token_server::{REFRESH_TOKEN, TokenRequest};
pub(crate) use webhook::Webhook;

/// What a test needs that cannot be built by cargo, and how to get it.
pub(crate) const INSTALL: &str = "run scripts/test, which installs it \
    (or: apt-get install -y --no-install-recommends docker-registry nginx-light redis-server skopeo \
    chromium chromium-driver prometheus; \
    export SECOND_REGISTRY=$(scripts/second-registry) REPORT_CRDS=$(scripts/report-crds))";
