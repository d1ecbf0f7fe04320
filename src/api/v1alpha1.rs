//! `hullmark.dev/v1alpha1`.
