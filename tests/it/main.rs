//! The one integration binary: the real `hullmark` against real parts, on loopback only.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod chart;
mod check;
mod cluster;
mod fronts;
mod inspect;
mod layering;
mod lying;
mod operate;
mod properties;
mod readme;
mod registry;
mod serve;
mod shared_cache;
mod support;
mod tracing;
