//! How strict the answer to a request is: the webhook's own mode, unless the namespace or a broken
//! glass says otherwise.
//!
//! A namespace's label (`enforce`, `warn`, `audit`) takes the place of the webhook's mode; any other
//! value does not. The break-glass label of a Pod lets it through with a loud record, if whoever asks
//! is in one of the groups that may; for others it does nothing.

use super::{Mode, Request};
use crate::policy::Namespace;

/// What decides how strict an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stance {
    /// The webhook's own mode.
    pub mode: Mode,
    /// The label of namespaces that takes its place; none: namespaces have no say.
    pub namespace_label: Option<String>,
    /// Who may let a Pod through, and how; none: nobody.
    pub break_glass: Option<BreakGlass>,
}

/// Who may let a Pod through that would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// The label that the Pod has; its value is for people, and not read.
    pub label: String,
    /// Groups of the user who asks; one is enough.
    pub groups: Vec<String>,
}

impl From<Mode> for Stance {
    fn from(mode: Mode) -> Self {
        Self { mode, namespace_label: None, break_glass: None }
    }
}

impl Stance {
    /// The mode in which `request` is answered.
    #[must_use]
    pub fn mode(&self, request: &Request, namespace: Option<&Namespace>) -> Mode {
        if self.break_glass.as_ref().is_some_and(|glass| glass.is_broken_by(request)) {
            return Mode::BreakGlass;
        }
        let label = self.namespace_label.as_ref().zip(namespace);
        let value = label.and_then(|(label, namespace)| namespace.labels.get(label)).map(String::as_str);
        match value {
            Some("enforce") => Mode::Enforce,
            Some("warn") => Mode::Warn,
            Some("audit") => Mode::Audit,
            _ => self.mode,
        }
    }
}

impl BreakGlass {
    fn is_broken_by(&self, request: &Request) -> bool {
        let has_label =
            request.workload.as_ref().is_ok_and(|workload| workload.labels.contains_key(&self.label));
        let groups = request.attributes.pointer("/userInfo/groups").and_then(serde_json::Value::as_array);
        let mut groups = groups.into_iter().flatten().filter_map(serde_json::Value::as_str);
        has_label && groups.any(|group| self.groups.iter().any(|may| may == group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(labels: &serde_json::Value, groups: &[&str]) -> Request {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-1", "operation": "CREATE", "name": "web", "namespace": "shop",
                "kind": { "group": "", "version": "v1", "kind": "Pod" },
                "userInfo": { "username": "jane", "groups": groups },
                "object": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [{ "name": "app", "image": "nginx" }] },
                },
            },
        });
        Request::parse(&serde_json::to_vec(&review).unwrap()).unwrap()
    }

    fn namespace(mode: Option<&str>) -> Namespace {
        let labels = mode.map(|mode| ("hullmark.dev/mode".to_owned(), mode.to_owned()));
        Namespace { name: "shop".to_owned(), labels: labels.into_iter().collect(), ..Namespace::default() }
    }

    #[test]
    fn the_namespace_takes_the_place_of_the_webhooks_mode() {
        let request = request(&json!({}), &[]);
        for (name, mode, label, expected) in [
            ("nothing said", Mode::Enforce, None, Mode::Enforce),
            ("warn", Mode::Enforce, Some("warn"), Mode::Warn),
            ("audit", Mode::Enforce, Some("audit"), Mode::Audit),
            ("stricter", Mode::Audit, Some("enforce"), Mode::Enforce),
            ("no such mode", Mode::Enforce, Some("off"), Mode::Enforce),
        ] {
            let namespace = namespace(label);
            let stance = Stance { namespace_label: Some("hullmark.dev/mode".to_owned()), ..mode.into() };
            assert_eq!(stance.mode(&request, Some(&namespace)), expected, "{name}");
            assert_eq!(Stance::from(mode).mode(&request, Some(&namespace)), mode, "{name}, without a say");
        }
    }

    #[test]
    fn glass_is_broken_by_the_label_of_those_who_may() {
        let labelled = json!({ "hullmark.dev/break-glass": "INC-7" });
        for (name, labels, groups, expected) in [
            ("label and group", &labelled, &["dev", "on-call"][..], Mode::BreakGlass),
            ("another group", &labelled, &["dev"], Mode::Enforce),
            ("no label", &json!({}), &["on-call"], Mode::Enforce),
        ] {
            let break_glass = Some(BreakGlass {
                label: "hullmark.dev/break-glass".to_owned(),
                groups: vec!["on-call".to_owned()],
            });
            let stance = Stance { break_glass, ..Mode::Enforce.into() };
            assert_eq!(stance.mode(&request(labels, groups), None), expected, "{name}");
        }
    }
}
