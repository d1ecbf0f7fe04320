//! A verdict as an `AdmissionReview`'s response: bounded, clean text, legal keys, honest codes.
//!
//! What surprises: a template is never refused, as Pods are where policies are enforced, so its
//! denials become warnings; in audit mode nothing is refused either, and what would have been is in
//! the audit annotations; and the code tells a policy's refusal (403) from an image that could not be
//! looked at (503, 504), because the API server counts refusals by code.

mod annotations;
mod message;

use super::Request;
use crate::text;
use crate::{
    image::UnresolvedKind,
    policy::{Decision, Enforcement, Fact, FindingKind, Remark, Verdict},
};
use annotations::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;

/// Causes listed in `status.details`, for programs; the message is for people.
const MAX_CAUSES: usize = 16;
/// Characters of a cause's message.
const MAX_CAUSE: usize = 512;
/// Characters of a name, as Kubernetes bounds them.
const MAX_NAME: usize = 253;
/// The longest wait that is passed on. The API server turns it into a `Retry-After` header, and
/// client-go then sleeps that long and tries again, up to ten times, with the user watching.
const MAX_RETRY_AFTER: u32 = 30;

/// Whether denials are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Denials refuse.
    Enforce,
    /// Denials warn, and nothing is blocked.
    Warn,
    /// Denials are recorded (audit annotations, log, metrics) and nothing is blocked.
    Audit,
    /// Somebody who may has broken the glass: denials warn, nothing is blocked, and it is told loudly.
    BreakGlass,
}

impl Mode {
    /// The mode as logs, metrics and annotations write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
            Self::Audit => "audit",
            Self::BreakGlass => "break-glass",
        }
    }

    /// What a warning says before a denial that is not carried out; none: it is not said.
    fn instead_of_refusing(self, is_template: bool) -> Option<&'static str> {
        match (self, is_template) {
            (Self::Audit, _) | (Self::Enforce, false) => None,
            (Self::Enforce | Self::BreakGlass, true) => Some("would be refused as a Pod"),
            (Self::Warn, _) => Some("would be refused if it were enforced"),
            (Self::BreakGlass, false) => Some("let through, for the glass was broken"),
        }
    }
}

/// What is sent back, and what it says: bytes for the API server, the rest for log and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The response's body: `admission.k8s.io/v1`, always for HTTP 200.
    pub body: Vec<u8>,
    /// Whether the request is admitted.
    pub allowed: bool,
    /// What is done: never `Deny` in audit mode or for a template.
    pub decision: Decision,
    /// What would be done if the mode were [`Mode::Enforce`].
    pub would_be: Decision,
    /// What would be done if, besides, `Deny` were the action of every policy that found something.
    pub if_enforced: Decision,
    /// `status.code`: 200 when admitted, 403 for a violation, 503 or 504 when the only reason is an
    /// image that could not be looked at, 500 when we failed.
    pub code: u16,
}

#[derive(Serialize)]
struct AdmissionReview<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<String, String>,
}

/// `metav1.Status`, as much of it as a refusal needs.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "`status.status` is the API's name")]
struct Status {
    status: &'static str,
    code: u16,
    reason: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    name: String,
    kind: String,
    causes: Vec<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

#[derive(Serialize)]
struct Cause {
    reason: &'static str,
    message: String,
    field: String,
}

/// The answer to a request that was judged.
///
/// `verdict` and `facts` are what the review of the request's workload gave. In audit mode, and for
/// templates, nothing is refused.
#[must_use]
pub fn respond(request: &Request, verdict: &Verdict, facts: &[Fact], mode: Mode) -> Answer {
    let is_template = is_template(request);
    let here = |decision| if is_template { Decision::min(decision, Decision::Warn) } else { decision };
    let (would_be, if_enforced) = (here(verdict.decision()), here(verdict.if_enforced()));
    let denials = Remark::all(verdict.with(Enforcement::Deny));
    let warns = Remark::all(verdict.with(Enforcement::Warn));
    let instead = mode.instead_of_refusing(is_template);
    let told = if instead.is_some() { denials.as_slice() } else { &[] };
    let decision = match (would_be, mode) {
        (Decision::Deny, Mode::Enforce) => Decision::Deny,
        _ if told.is_empty() && warns.is_empty() => Decision::Allow,
        _ => Decision::Warn,
    };
    let status = (decision == Decision::Deny).then(|| refusal(request, &denials));
    let outcome = Outcome { uid: &request.uid, decision, would_be, if_enforced, mode };
    answer(
        Response {
            uid: &request.uid,
            allowed: decision != Decision::Deny,
            warnings: message::warnings(instead.unwrap_or_default(), told, &warns),
            audit_annotations: annotations::of_verdict(outcome, verdict, facts),
            status,
        },
        outcome,
    )
}

/// The answer to a request in which there is nothing to judge, with the reason why.
#[must_use]
pub fn allow_unjudged(request: &Request, reason: &str) -> Answer {
    let outcome = Outcome {
        uid: &request.uid,
        decision: Decision::Allow,
        would_be: Decision::Allow,
        if_enforced: Decision::Allow,
        mode: Mode::Enforce,
    };
    let response = Response {
        uid: &request.uid,
        allowed: true,
        status: None,
        warnings: Vec::new(),
        audit_annotations: annotations::of_unjudged(outcome, reason),
    };
    answer(response, outcome)
}

/// The answer when judging itself failed: refused with code 500 in enforce mode (a Pod that was not
/// judged is not let through), admitted with a warning in audit mode and for templates. `detail` is
/// shown to the user: short, and without secrets.
#[must_use]
pub fn respond_failure(request: &Request, detail: &str, mode: Mode) -> Answer {
    let would_be = if is_template(request) { Decision::Warn } else { Decision::Deny };
    let decision = if mode == Mode::Enforce { would_be } else { Decision::Warn };
    let message = message::failure(request, detail);
    let refused = decision == Decision::Deny;
    let uid = &request.uid;
    let outcome = Outcome { uid, decision, would_be, if_enforced: would_be, mode };
    let response = Response {
        uid: &request.uid,
        allowed: !refused,
        warnings: if refused { Vec::new() } else { vec![message::one_warning(&message, "")] },
        audit_annotations: annotations::of_failure(outcome, detail),
        status: refused.then_some(Status {
            status: "Failure",
            code: 500,
            reason: "InternalError",
            message,
            details: None,
        }),
    };
    answer(response, outcome)
}

fn is_template(request: &Request) -> bool {
    request.workload.as_ref().is_ok_and(|workload| workload.is_template)
}

fn answer(response: Response<'_>, outcome: Outcome<'_>) -> Answer {
    let Outcome { decision, would_be, if_enforced, .. } = outcome;
    let allowed = response.allowed;
    let code = response.status.as_ref().map_or(200, |status| status.code);
    let review = AdmissionReview { api_version: super::API_VERSION, kind: "AdmissionReview", response };
    let body =
        serde_json::to_vec(&review).expect("strings, numbers and maps with string keys always serialise");
    Answer { body, allowed, decision, would_be, if_enforced, code }
}

fn refusal(request: &Request, denials: &[Remark<'_>]) -> Status {
    let (code, reason) = code_and_reason(denials);
    let causes = denials.iter().take(MAX_CAUSES).map(|remark| Cause {
        reason: match remark.finding.kind {
            FindingKind::Violation => "ImagePolicyViolation",
            FindingKind::Unresolved(_) | FindingKind::Stale(_) => "ImageUnresolved",
            FindingKind::EvaluationError => "PolicyEvaluationError",
        },
        message: message::remark(remark, MAX_CAUSE),
        field: text::clean(&remark.finding.field_path, MAX_CAUSE),
    });
    Status {
        status: "Failure",
        code,
        reason,
        message: message::refusal(request, denials),
        details: Some(Details {
            name: text::clean(&request.name, MAX_NAME),
            kind: text::clean(&request.kind, MAX_NAME),
            causes: causes.collect(),
            retry_after_seconds: retry_after(denials),
        }),
    }
}

/// 403 as soon as one denial is more than an image that could not be looked at; 504 when every one
/// ran out of time, else 503.
fn code_and_reason(denials: &[Remark<'_>]) -> (u16, &'static str) {
    let all = |test: fn(&FindingKind) -> bool| denials.iter().all(|remark| test(&remark.finding.kind));
    if !all(|kind| matches!(kind, FindingKind::Unresolved(_))) {
        (403, "Forbidden")
    } else if all(|kind| matches!(kind, FindingKind::Unresolved(UnresolvedKind::Timeout))) {
        (504, "Timeout")
    } else {
        (503, "ServiceUnavailable")
    }
}

/// The longest wait that a registry asked for, if waiting is all that it takes.
fn retry_after(denials: &[Remark<'_>]) -> Option<u32> {
    let mut longest = None;
    for remark in denials {
        match remark.finding.kind {
            FindingKind::Unresolved(UnresolvedKind::RateLimited { retry_after_seconds }) => {
                longest = longest.max(retry_after_seconds);
            }
            FindingKind::Unresolved(
                UnresolvedKind::Unreachable | UnresolvedKind::Timeout | UnresolvedKind::ServerError,
            ) => {}
            _ => return None,
        }
    }
    longest.filter(|seconds| (1..=MAX_RETRY_AFTER).contains(seconds))
}

#[cfg(test)]
mod tests;
