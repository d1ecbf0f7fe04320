//! Hullmark judges Pods by the configuration inside their container images, before they may sail.
//!
//! # The journey
//!
//! ```text
//! AdmissionReview ─┐                                            ┌─► AdmissionResponse
//! manifest file ───┼─► image uses ─► references ─► resolved ────┼─► log line, metrics, trace, Events
//! what runs ───────┤   workload      image         images       ├─► table, JSON, SARIF, JUnit
//! demo, test case ─┘                                            └─► survey: page, reports, gauges
//!                                                    │
//!                                                    ▼
//!                           containers as they will really run ─► verdict
//!                           workload                              policy
//! ```
//!
//! One pipeline, several front doors. Each step is a module, and the modules stand here in the order
//! in which data passes them:
//!
//! 1. [`admission`] reads an `AdmissionReview` without trust; [`yaml`] and [`check`] read manifests.
//! 2. [`workload`] lists every place in a Pod (or template) that names an image, and the platforms
//!    that the Pod may land on.
//! 3. [`image`] holds what an image is: references read as the kubelet reads them, digests, manifests,
//!    configs read as container runtimes read them.
//! 4. [`review`] is the one use case: resolve every image side by side, then judge once. It defines the
//!    two ports that edges implement: [`review::ResolveImage`] and [`review::FindCredentials`].
//! 5. [`registry`] resolves references over the distribution protocol; [`credential`] and
//!    [`auth_files`] say with which credentials.
//! 6. [`workload::EffectiveContainer`] lays the Pod's spec over the image's config.
//! 7. [`policy`] compiles what users write ([`api`]) and judges. Pure: the same subject always gives
//!    the same [`policy::Verdict`].
//! 8. [`admission::respond`] makes bytes of it, [`telemetry`] a log line, metrics and a trace, [`check`] and
//!    [`inspect`] something to read.
//!
//! # Core and edges
//!
//! `image`, `credential`, `workload`, `api`, `policy`, `admission`, `survey`, `certificate` and the small rooms that they
//! share (`text`, `nearest`, `yaml`, `junit`) are the core: values in, values out; no async, no I/O, no clock,
//! no log. Everything else is an edge. Edges use the core and the ports of `review`, never each other;
//! [`app`] wires them. `tests/it/layering.rs` holds us to it.
//!
//! In a cluster, [`cluster`] watches policies, namespaces and nodes, finds pull secrets, and keeps the
//! webhook's authority and configuration.
//!
//! [`scan`] takes the same journey for all that runs in a cluster, and [`survey`] is what that adds up to: a table, JSON,
//! SARIF, a page, and the metrics and reports of the replica that leads.
//!
//! Beside the journey stand [`policy_test`] (cases of policies, run without a network), [`crds`] and
//! [`policy_reference`] (what users read of [`api`]) and [`demo`].

pub mod admission;
pub mod api;
pub mod app;
pub mod auth_files;
pub mod certificate;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod crds;
pub mod credential;
pub mod credential_provider;
pub mod demo;
mod flight;
pub mod image;
pub mod inspect;
mod junit;
mod nearest;
pub mod policy;
pub mod policy_files;
pub mod policy_reference;
pub mod policy_test;
mod progress;
pub mod registry;
pub mod review;
pub mod scan;
pub mod server;
pub mod survey;
pub mod telemetry;
mod text;
pub mod workload;
pub mod yaml;
