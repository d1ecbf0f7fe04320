//! The parts of the line that have structure, each within its share of the line.

use super::action;
use crate::{
    admission::Request,
    image::{Freshness, ResolvedImage},
    policy::{Excepted, Fact, Finding, FindingKind},
    text::{clean, cut_bytes},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Bytes of a name: Kubernetes has none that is longer.
pub(super) const MAX_NAME: usize = 253;
/// Bytes of a user: a service account's name with its namespace.
pub(super) const MAX_USER: usize = 400;
/// Bytes of a sentence, of what was found or wanted, and of an image's name.
const MAX_MESSAGE: usize = 400;
const MAX_DETAIL: usize = 200;
const MAX_IMAGE: usize = 300;
/// Bytes of a platform, and of a container's name.
const MAX_PLATFORM: usize = 50;
const MAX_CONTAINER: usize = 63;
/// Bytes of each list.
const MAX_FINDINGS: usize = 5 * 1024;
const MAX_IMAGES: usize = 4 * 1024;
const MAX_EXCEPTED: usize = 2 * 1024;
/// Platforms of one image or finding, and containers that one image is for; the rest is counted.
const MAX_ITEMS: usize = 8;

/// `text` on one line, without control characters, in at most `max` bytes.
pub(super) fn short(text: &str, max: usize) -> String {
    cut_bytes(clean(text, max), max)
}

/// `ReplicaSet/web-5d9c`: who keeps the object that is judged.
pub(super) fn owner(request: &Request) -> Option<String> {
    let controller = request.workload.as_ref().ok()?.controller()?;
    Some(short(&format!("{}/{}", controller.kind, controller.name), MAX_NAME))
}

pub(super) fn sub_resource(request: &Request) -> Option<String> {
    (!request.sub_resource.is_empty()).then(|| short(&request.sub_resource, 64))
}

/// What was found, denials first.
pub(super) fn findings(all: &[Finding]) -> Value {
    bounded(all.iter().map(finding), all.len(), MAX_FINDINGS)
}

/// What exceptions let pass; none if nothing.
pub(super) fn excepted(all: &[Excepted]) -> Option<String> {
    let items = all.iter().map(|one| {
        let mut value = finding(&one.finding);
        value["exception"] = short(&one.exception, MAX_NAME).into();
        value
    });
    (!all.is_empty()).then(|| bounded(items, all.len(), MAX_EXCEPTED).to_string())
}

fn finding(finding: &Finding) -> Value {
    let mut value = json!({
        "policy": short(&finding.policy, MAX_NAME),
        "rule": short(&finding.rule, MAX_DETAIL),
        "kind": finding.kind.as_str(),
        "action": action(finding.enforcement),
        "if_enforced": action(finding.if_enforced),
        "container": short(&finding.container, MAX_CONTAINER),
        "field": short(&finding.field_path, MAX_DETAIL),
        "image": short(&finding.image, MAX_IMAGE),
        "found": short(&finding.found, MAX_DETAIL),
        "wanted": short(&finding.wanted, MAX_DETAIL),
        "message": short(&finding.message, MAX_MESSAGE),
    });
    if let FindingKind::Unresolved(reason) | FindingKind::Stale(reason) = finding.kind {
        value["reason"] = reason.as_str().into();
    }
    if !finding.platforms.is_empty() {
        let platforms =
            finding.platforms.iter().map(|platform| short(&platform.to_string(), MAX_PLATFORM).into());
        value["platforms"] = some(platforms, finding.platforms.len());
    }
    value
}

/// Every image that is named, once, in the order of the names.
pub(super) fn images(facts: &[Fact]) -> Value {
    let mut all: BTreeMap<String, Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        // What cannot be read has no other name than what was written.
        let reference = fact.usage.reference.as_ref();
        let name = reference.map_or_else(|_| fact.usage.image.clone(), ToString::to_string);
        all.entry(name).or_default().push(fact);
    }
    let items = all.iter().map(|(name, facts)| {
        let mut value = facts.first().map_or_else(|| json!({}), |fact| image(fact));
        let containers = facts.iter().map(|fact| short(&fact.usage.name, MAX_CONTAINER).into());
        value["containers"] = some(containers, facts.len());
        value["name"] = short(name, MAX_IMAGE).into();
        value
    });
    bounded(items, all.len(), MAX_IMAGES)
}

fn image(fact: &Fact) -> Value {
    match &fact.image {
        None => json!({ "from": "unneeded" }),
        Some(Err(why)) => json!({
            "from": "unresolved",
            "reason": why.kind.as_str(),
            "detail": short(&why.detail, MAX_MESSAGE),
        }),
        Some(Ok(image)) => resolved(image),
    }
}

fn resolved(image: &ResolvedImage) -> Value {
    let platforms = image.platforms.iter().map(|one| {
        let mut value = json!({ "digest": one.manifest_digest.to_string() });
        if let Some(platform) = &one.platform {
            value["platform"] = short(&platform.to_string(), MAX_PLATFORM).into();
        }
        value
    });
    let mut value = json!({
        "from": image.freshness.as_str(),
        "auth": image.auth.as_str(),
        "digest": image.digest.to_string(),
        "digest_of": if image.media_type.is_index() { "index" } else { "manifest" },
        "platforms": some(platforms, image.platforms.len()),
    });
    if let Some(age) = image.freshness.age() {
        value["age_s"] = age.as_secs().into();
    }
    if let Freshness::Stale { failure, .. } = &image.freshness {
        value["reason"] = failure.kind.as_str().into();
    }
    value
}

/// The first [`MAX_ITEMS`], then how many are missing.
fn some(items: impl Iterator<Item = Value>, total: usize) -> Value {
    let more = total.saturating_sub(MAX_ITEMS);
    items.take(MAX_ITEMS).chain((more > 0).then(|| json!({ "more": more }))).collect()
}

/// As many items as fit into a JSON list of `max` bytes, then how many are missing.
fn bounded(items: impl Iterator<Item = Value>, total: usize, max: usize) -> Value {
    let (mut list, mut left) = (Vec::new(), max - json!([{ "more": total }]).to_string().len());
    for item in items {
        let size = item.to_string().len() + 1;
        if size > left {
            list.push(json!({ "more": total - list.len() }));
            break;
        }
        left -= size;
        list.push(item);
    }
    Value::Array(list)
}
