//! The one integration binary: the real `hullmark` against real parts, on loopback only.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod chart;
mod check;
mod cluster;
mod decision_log;
mod fronts;
mod inspect;
mod layering;
mod leader;
mod lying;
mod monitoring;
mod operate;
mod page;
mod properties;
mod readme;
mod registry;
mod reports;
mod scan;
mod serve;
mod shared_cache;
mod support;
