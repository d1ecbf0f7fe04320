//! The platforms that a Pod may land on: nodeSelector, required node affinity, `spec.os`.
//!
//! In goes a Pod spec, out comes a [`PlatformFilter`]: a Pod may land where any of its
//! alternatives allows it, as with the terms of a node affinity, and each alternative already holds
//! the nodeSelector and the os. Scheduling is read as
//! Kubernetes' `component-helpers/scheduling/corev1/nodeaffinity` does it.
//!
//! The surprising rule: **when in doubt, nothing is narrowed**, because a platform too many is only
//! judged for nothing, and one too few is a way round a policy. So an operator that says nothing of a
//! platform (`Exists`, `DoesNotExist`, `Gt`, `Lt`) is passed over, and a Pod that no node could ever
//! match is judged on every platform: labels of nodes change, a Pod does not.

use super::{InvalidWorkload, fields::Fields};
use crate::image::{Allowed, PlatformFilter, PlatformTerm};
use std::collections::BTreeSet;

/// Different alternatives that are told apart; there are fewer pairs of os and architecture in the
/// world. With more of them nothing is narrowed, so that no Pod can make us compare millions.
const MAX_TERMS: usize = 100;

/// The platforms that a Pod of this spec may land on.
pub(super) fn filter(spec: &Fields<'_>, os: Option<&str>) -> Result<PlatformFilter, InvalidWorkload> {
    let mut base = PlatformTerm::default();
    for (label, value) in spec.text_map("nodeSelector")? {
        if let Some(allowed) = dimension(&mut base, &label) {
            only(allowed, BTreeSet::from([value]));
        }
    }
    if let Some(os) = os {
        only(&mut base.os, BTreeSet::from([os.to_owned()]));
    }
    let mut terms = Vec::new();
    for term in alternatives(spec, base)? {
        if !is_possible(&term) || terms.contains(&term) {
            continue;
        }
        terms.push(term);
        if terms.len() > MAX_TERMS {
            terms.clear();
            break;
        }
    }
    // One alternative without limits allows everything, whatever the others say.
    if terms.contains(&PlatformTerm::default()) {
        terms.clear();
    }
    Ok(PlatformFilter { nodes: None, terms })
}

/// `base` and each term of the required node affinity; `base` alone where there is none.
fn alternatives(spec: &Fields<'_>, base: PlatformTerm) -> Result<Vec<PlatformTerm>, InvalidWorkload> {
    let affinity = spec.object("affinity")?.object("nodeAffinity")?;
    let required = affinity.object("requiredDuringSchedulingIgnoredDuringExecution")?;
    let mut terms = Vec::new();
    for term in required.objects("nodeSelectorTerms")? {
        let expressions = term.objects("matchExpressions")?;
        if expressions.is_empty() && term.objects("matchFields")?.is_empty() {
            continue; // An empty term matches no node.
        }
        let mut narrowed = base.clone();
        for expression in &expressions {
            narrow(&mut narrowed, expression)?;
        }
        terms.push(narrowed);
    }
    Ok(if terms.is_empty() { vec![base] } else { terms })
}

fn narrow(term: &mut PlatformTerm, expression: &Fields<'_>) -> Result<(), InvalidWorkload> {
    let Some(allowed) = dimension(term, expression.text("key")?.unwrap_or_default()) else { return Ok(()) };
    let values: BTreeSet<String> = expression.texts("values")?.into_iter().collect();
    match expression.text("operator")? {
        // `In` without values is refused by the API server.
        Some("In") if !values.is_empty() => only(allowed, values),
        Some("NotIn") => allowed.except.extend(values),
        _ => {}
    }
    Ok(())
}

/// What a node label says of a platform; none: nothing.
fn dimension<'a>(term: &'a mut PlatformTerm, label: &str) -> Option<&'a mut Allowed> {
    match label {
        "kubernetes.io/os" | "beta.kubernetes.io/os" => Some(&mut term.os),
        "kubernetes.io/arch" | "beta.kubernetes.io/arch" => Some(&mut term.architecture),
        _ => None,
    }
}

fn only(allowed: &mut Allowed, values: BTreeSet<String>) {
    allowed.only = Some(match allowed.only.take() {
        Some(before) => before.intersection(&values).cloned().collect(),
        None => values,
    });
}

fn is_possible(term: &PlatformTerm) -> bool {
    [&term.os, &term.architecture].into_iter().all(|allowed| {
        allowed.only.as_ref().is_none_or(|only| only.iter().any(|value| !allowed.except.contains(value)))
    })
}

#[cfg(test)]
mod tests;
