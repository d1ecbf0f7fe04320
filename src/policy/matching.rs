//! Which policies could be for a workload, found by its namespace and the registries of its images: of a thousand
//! policies that teams have for their own, most are never looked at.

use super::{glob::domains, selector::Selector};
use crate::workload::{ImageUse, Workload};
use std::collections::HashMap;

/// Positions of policies, each under the narrowest thing that it must have.
#[derive(Debug, Default)]
pub(super) struct Index {
    count: usize,
    /// For any namespace and registry.
    everywhere: Vec<usize>,
    /// By their own namespace.
    by_namespace: HashMap<String, Vec<usize>>,
    /// By each registry that their globs name in full, in lower case.
    by_registry: HashMap<String, Vec<usize>>,
}

impl Index {
    pub(super) fn new<'a>(selectors: impl Iterator<Item = &'a Selector>) -> Self {
        let mut index = Self::default();
        for (at, selector) in selectors.enumerate() {
            index.count = at + 1;
            if let Some(namespace) = selector.namespace() {
                index.by_namespace.entry(namespace.to_owned()).or_default().push(at);
            } else if let Some(registries) = selector.registries() {
                for registry in registries {
                    let under = index.by_registry.entry(registry).or_default();
                    if under.last() != Some(&at) {
                        under.push(at);
                    }
                }
            } else {
                index.everywhere.push(at);
            }
        }
        index
    }

    /// The policies that could be for one of these uses, in their order, each once; perhaps more.
    pub(super) fn candidates<'a>(
        &self,
        workload: &Workload,
        namespace: Option<&str>,
        uses: impl Iterator<Item = &'a ImageUse>,
    ) -> Vec<usize> {
        // Where the namespace or a name is not known, any policy may be for it.
        let (Some(namespace), true) = (namespace.or(workload.namespace.as_deref()), self.has_narrow()) else {
            return (0..self.count).collect();
        };
        let mut found = self.everywhere.clone();
        found.extend(self.by_namespace.get(namespace).into_iter().flatten());
        for usage in uses {
            let Ok(reference) = &usage.reference else { return (0..self.count).collect() };
            let domain = reference.domain().to_ascii_lowercase();
            let under = domains(&domain).filter_map(|domain| self.by_registry.get(domain));
            found.extend(under.flatten());
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn has_narrow(&self) -> bool {
        self.everywhere.len() < self.count
    }
}
