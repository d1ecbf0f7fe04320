//! The custom resources, and nothing else: what users write.

pub mod v1alpha1;
