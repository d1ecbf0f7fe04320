//! Hullmark.
pub mod admission;
pub mod api;
pub mod auth_files;
pub mod cli;
pub mod crds;
pub mod credential;
pub mod image;
pub mod inspect;
pub mod policy;
pub mod policy_files;
pub mod registry;
pub mod review;
mod text;
pub mod server;
pub mod telemetry;
pub mod workload;
pub mod yaml;
