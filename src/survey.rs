//! What a scan of a cluster found, told.

pub mod page;
