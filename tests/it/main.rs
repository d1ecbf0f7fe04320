//! The one integration test binary.

mod lying;
