//! What expressions mean, what is refused when they are loaded, and what hostile ones come to.

mod hostile;
mod language;
mod refusals;
mod variables;

use super::{Evaluation, Expression, Scope, Wanted, value::Value};
use crate::{
    image::{Digest, PlatformFilter},
    policy::{Namespace, Subject},
    workload::{ImageUse, Overrides, Security, UseKind, Workload},
};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// A subject without an image: what the language itself needs.
pub(super) struct World {
    pub(super) workload: Workload,
    pub(super) request: Json,
    pub(super) namespace: Namespace,
    pub(super) usage: ImageUse,
}

impl World {
    pub(super) fn new() -> Self {
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "web", "labels": { "team": "blue" } },
            "spec": {
                "hostNetwork": null,
                "containers": [{ "name": "app", "image": "nginx", "resources": { "limits": { "nvidia.com/gpu": "1" } } }],
            },
        });
        Self {
            workload: Workload {
                api_version: "v1".into(),
                kind: "Pod".into(),
                name: "web".into(),
                namespace: Some("shop".into()),
                labels: [("team".to_owned(), "blue".to_owned())].into(),
                annotations: [].into(),
                is_template: false,
                pull_secrets: vec![],
                service_account: None,
                security: Security::default(),
                host_users: None,
                os: None,
                platforms: PlatformFilter::default(),
                uses: vec![],
                object: Arc::new(object),
            },
            request: json!({
                "uid": "u-1", "operation": "CREATE", "namespace": "shop", "name": "web",
                "kind": { "group": "", "version": "v1", "kind": "Pod" },
                "resource": { "group": "", "version": "v1", "resource": "pods" },
                "userInfo": { "username": "ada", "groups": ["dev", "system:authenticated"] },
                "options": { "fieldManager": "kubectl" },
            }),
            namespace: Namespace {
                name: "shop".into(),
                labels: [("team".to_owned(), "blue".to_owned())].into(),
                object: Json::Null,
            },
            usage: ImageUse {
                kind: UseKind::Container,
                name: "app".into(),
                field_path: "spec.containers[0].image".into(),
                image: "nginx".into(),
                reference: Err(crate::image::InvalidReference("not parsed here".into())),
                overrides: Overrides::default(),
            },
        }
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            workload: &self.workload,
            facts: &[],
            request: &self.request,
            old_object: &Json::Null,
            namespace: Some(&self.namespace),
            now: "2026-11-01T00:00:00Z".parse().unwrap(),
        }
    }
}

/// Compiles a chain of variables and one expression over them.
pub(super) fn compiled(
    variables: &[(&str, &str)],
    source: &str,
    wanted: Wanted,
) -> Result<(Vec<(String, Expression)>, Expression), String> {
    let mut scope = Scope::validations();
    let mut done = Vec::new();
    for (name, source) in variables {
        let expression = Expression::compile(source, &scope, Wanted::Any)?;
        scope.declare_variable(name, &expression)?;
        done.push(((*name).to_owned(), expression));
    }
    Ok((done, Expression::compile(source, &scope, wanted)?))
}

/// What an expression comes to without an image.
pub(super) fn run(variables: &[(&str, &str)], source: &str) -> Result<Value, String> {
    let (variables, expression) = compiled(variables, source, Wanted::Any)?;
    let world = World::new();
    let subject = world.subject();
    Evaluation::validations(&subject, &world.usage, None, &variables).value(&expression)
}

/// Why an expression is not compiled.
pub(super) fn refusal(source: &str) -> String {
    match Expression::compile(source, &Scope::validations(), Wanted::Any) {
        Ok(expression) => panic!("{source} compiles: {expression:?}"),
        Err(why) => why,
    }
}

pub(super) fn assert_true(name: &str, source: &str) {
    match run(&[], source) {
        Ok(Value::Bool(true)) => {}
        other => panic!("{name}: {source} gave {other:?}"),
    }
}

pub(super) fn digest(letter: &str) -> Digest {
    format!("sha256:{}", letter.repeat(64)).parse().unwrap()
}
