//! The platforms that a Pod may land on: nodeSelector, required node affinity, `spec.os`.
