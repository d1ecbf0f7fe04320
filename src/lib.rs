//! Hullmark.
pub mod admission;
pub mod api;
pub mod cli;
pub mod credential;
pub mod image;
pub mod inspect;
pub mod policy;
pub mod policy_files;
pub mod review;
mod text;
pub mod workload;
pub mod yaml;
