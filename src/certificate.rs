//! Certificates of our own: an authority, the short-lived leaves that it signs, and how long any
//! certificate is valid.
//!
//! Values in, values out, but for the randomness of new keys.

mod authority;
mod validity;

pub use authority::{Authority, AuthorityPem, CertificateError, Leaf};
pub use validity::Validity;
