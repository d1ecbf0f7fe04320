//! The one integration binary: the real `hullmark` against real parts, on loopback only.

mod check;
mod inspect;
mod layering;
mod lying;
mod registry;
mod serve;
mod support;
