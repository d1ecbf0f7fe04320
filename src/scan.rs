//! `hullmark scan`: judges what runs in a cluster, by its policies or by ones that are not installed yet.
//!
//! In go the Pods and templates that are there; out comes a [`Survey`], told to a person (a table, a page) or to a
//! program (JSON, SARIF). Each object goes through the same review as at admission, as if it were created now. What
//! surprises: every image is looked at, needed by a policy or not, since drift and age are told too; and a template
//! that a controller made (a `ReplicaSet` of a `Deployment`) is passed over, since its owner is looked at.

use crate::{
    admission,
    cli::{ScanArgs, ScanOutput},
    policy::{Fact, PolicySet},
    progress::Progress,
    review::{Circumstances, FindCredentials, KnowNamespaces, ResolveImage, Reviewer},
    survey::{self, ObjectRef, Policy, Survey, Surveyed},
    text::count,
    workload::{ImageUse, Overrides, Workload},
};
use anyhow::{Result, bail};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value;
use std::{collections::HashMap, io::Write, pin::pin, process::ExitCode, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A Pod that would be refused now.
const DENIED: u8 = 1;
/// Objects that are judged side by side; their images share what is asked of a registry.
const SIDE_BY_SIDE: usize = 8;
/// Controllers of controllers; more is a circle.
const MAX_OWNERS: usize = 8;

/// By what, and with what known, objects are judged.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The policies.
    pub policies: &'a PolicySet,
    /// Where they come from: `cluster`, or a folder.
    pub policy_source: String,
    /// The cluster, as people know it.
    pub cluster: String,
    /// The namespaces with their labels.
    pub namespaces: &'a dyn KnowNamespaces,
    /// Namespaces that are not judged.
    pub exempt: &'a Exempt,
    /// Since when the webhook is called.
    pub called: Called,
    /// What could not be seen.
    pub notes: Vec<String>,
    /// The wall clock.
    pub now: Timestamp,
    /// How long an object's images may take.
    pub patience: Duration,
    /// How many objects are looked at: each is kept until the end.
    pub most: usize,
}

/// Namespaces that are not judged, as the webhook configuration selects them.
#[derive(Clone, Debug, Default)]
pub struct Exempt {
    /// Their names.
    pub names: Vec<String>,
    /// A label of others; none: no label does that.
    pub label: Option<String>,
}

/// Since when the webhook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// Since this time.
    Since(Timestamp),
    /// It is not.
    Never,
    /// It is not known.
    Unknown,
}

/// Objects of one kind, by its plural; or why that kind cannot be listed.
pub type Page = (String, Result<Vec<Value>, String>);

/// Looks at everything in `pages`, templates before Pods; `progress` is a terminal to tell how far it is.
///
/// # Errors
/// When the Pods cannot be listed; for other kinds that is a note.
pub async fn look<R: ResolveImage, C: FindCredentials>(
    reviewer: &Reviewer<R, C>,
    scene: Scene<'_>,
    pages: impl Stream<Item = Page>,
    progress: Option<&mut (dyn Write + Send)>,
) -> Result<Survey> {
    let mut pages = pin!(pages);
    let mut owners = Owners::default();
    let mut progress = Progress::new(progress, 0, "object");
    let (mut objects, mut notes, mut exempt, mut left_out) = (Vec::new(), scene.notes.clone(), 0, 0);
    while let Some((kind, page)) = pages.next().await {
        let page = match page {
            Ok(page) => page,
            Err(why) if kind == "pods" => bail!(why),
            Err(why) => {
                notes.push(why);
                continue;
            }
        };
        owners.add(&page);
        let (passed_over, mut judged) = scene.judged(page);
        exempt += passed_over;
        let room = scene.most.saturating_sub(objects.len());
        left_out += judged.len().saturating_sub(room);
        judged.truncate(room);
        progress.expect(judged.len());
        let mut reviews = stream::iter(judged)
            .map(|object| judge(reviewer, &scene, &owners, object))
            .buffer_unordered(SIDE_BY_SIDE);
        while let Some(one) = reviews.next().await {
            progress.add(1);
            match one {
                Ok(one) => objects.extend(one),
                Err(note) => notes.push(note),
            }
        }
    }
    progress.clear();
    if left_out > 0 {
        let more = count(left_out, "object");
        notes.push(format!("{more} more than the {} that are kept at once were not looked at", scene.most));
    }
    objects.sort_by(|a, b| key(a).cmp(&key(b)));
    Ok(Survey {
        at: scene.now,
        cluster: scene.cluster,
        policy_source: scene.policy_source,
        policies: Policy::of(scene.policies),
        objects,
        exempt,
        notes,
    })
}

impl Scene<'_> {
    fn is_exempt(&self, namespace: &str) -> bool {
        let has = |label: &String| self.namespaces.namespace(namespace).labels.contains_key(label);
        self.exempt.names.iter().any(|one| one == namespace) || self.exempt.label.as_ref().is_some_and(has)
    }

    /// How many of `page` are in exempt namespaces, and those that are judged: a template that a controller made is
    /// passed over.
    fn judged(&self, page: Vec<Value>) -> (usize, Vec<Value>) {
        let is_exempt = |object: &Value| {
            object["metadata"]["namespace"].as_str().is_some_and(|name| self.is_exempt(name))
        };
        let (exempt, judged): (Vec<_>, Vec<_>) = page
            .into_iter()
            .filter(|object| object["kind"] == "Pod" || survey::controller(object).is_none())
            .partition(is_exempt);
        (exempt.len(), judged)
    }
}

fn key(one: &Surveyed) -> (&Option<String>, &str, &str) {
    (&one.object.namespace, &one.object.kind, &one.object.name)
}

/// None: an object without a Pod.
///
/// # Errors
/// What is wrong with an object that cannot be read; the API server would not have taken it.
async fn judge<R: ResolveImage, C: FindCredentials>(
    reviewer: &Reviewer<R, C>,
    scene: &Scene<'_>,
    owners: &Owners,
    object: Value,
) -> Result<Option<Surveyed>, String> {
    let object = &object;
    let named = ObjectRef::of(object);
    let read =
        Workload::from_object(object).map_err(|invalid| format!("{named} cannot be read: {invalid}"))?;
    let Some(workload) = read else { return Ok(None) };
    let namespace = workload.namespace.as_deref().map(|name| scene.namespaces.namespace(name));
    let circumstances = Circumstances {
        request: &admission::creation(&workload),
        old_object: &Value::Null,
        namespace: namespace.as_deref(),
        now: scene.now,
        deadline: Instant::now() + scene.patience,
    };
    let review = reviewer.review_whole(&workload, scene.policies, circumstances).await;
    let created: Option<Timestamp> =
        object["metadata"]["creationTimestamp"].as_str().and_then(|text| text.parse().ok());
    let is_older = match scene.called {
        Called::Since(since) => created.is_some_and(|created| created < since),
        Called::Never => true,
        Called::Unknown => false,
    };
    Ok(Some(Surveyed {
        owners: owners.of_object(object),
        is_template: workload.is_template,
        created,
        never_judged: !workload.is_template && is_older,
        verdict: review.verdict,
        facts: review.facts.into_iter().map(slim).collect(),
        running: survey::running(object),
        object: named,
    }))
}

/// What a container lays over its image was needed to judge; of many Pods it would be most of what is kept.
fn slim(fact: Fact) -> Fact {
    let usage = ImageUse { overrides: Overrides::default(), ..ImageUse::clone(&fact.usage) };
    Fact { usage: Arc::new(usage), ..fact }
}

/// The controllers of objects, by the objects' uid.
#[derive(Default)]
struct Owners(HashMap<String, ObjectRef>);

impl Owners {
    fn add(&mut self, objects: &[Value]) {
        // Pods own nothing.
        let others = objects.iter().filter(|object| object["kind"] != "Pod");
        self.0.extend(others.filter_map(|object| {
            Some((object["metadata"]["uid"].as_str()?.to_owned(), survey::controller(object)?))
        }));
    }

    /// The controller first, then its controller.
    fn of_object(&self, object: &Value) -> Vec<ObjectRef> {
        let of = |owner: &ObjectRef| self.0.get(owner.uid.as_ref()?).cloned();
        std::iter::successors(survey::controller(object), of).take(MAX_OWNERS).collect()
    }
}

/// Prints a survey as `args` say; the exit code tells whether a Pod would be refused now.
///
/// # Errors
/// When `out` cannot be written.
pub fn print(args: &ScanArgs, survey: &Survey, out: &mut dyn Write) -> Result<ExitCode> {
    let text = match args.output {
        ScanOutput::Table => survey::table::text(survey),
        ScanOutput::Json => serde_json::to_string_pretty(&survey::json::document(survey))? + "\n",
        ScanOutput::Html => survey::page::html(&survey::json::document(survey)),
        ScanOutput::Sarif => serde_json::to_string_pretty(&survey::sarif::of_survey(survey))? + "\n",
    };
    out.write_all(text.as_bytes())?;
    let fails = !args.exit_zero && survey.summary().denied > 0;
    Ok(if fails { ExitCode::from(DENIED) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        credential::{Access, Credentials},
        image::{PlatformFilter, Reference, ResolvedImage, Unresolved, UnresolvedKind},
        policy::Namespace,
        review,
    };
    use serde_json::json;

    fn owned(kind: &str, name: &str, uid: &str, owner: Option<(&str, &str, &str)>) -> Value {
        let owners = owner.map(|(kind, name, uid)| {
            json!([{ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true }])
        });
        json!({ "apiVersion": "apps/v1", "kind": kind,
                "metadata": { "name": name, "namespace": "shop", "uid": uid, "ownerReferences": owners } })
    }

    #[test]
    fn owners_are_followed_to_what_a_person_wrote() {
        let objects = [
            owned("ReplicaSet", "web-1", "rs", Some(("Deployment", "web", "d"))),
            owned("Deployment", "web", "d", None),
            owned("ReplicaSet", "a", "a", Some(("ReplicaSet", "b", "b"))),
            owned("ReplicaSet", "b", "b", Some(("ReplicaSet", "a", "a"))),
        ];
        let mut owners = Owners::default();
        owners.add(&objects);
        let names = |owner| {
            let pod = owned("Pod", "pod", "p", owner);
            owners.of_object(&pod).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(None), [""; 0]);
        assert_eq!(
            names(Some(("ReplicaSet", "web-1", "rs"))),
            ["ReplicaSet shop/web-1", "Deployment shop/web"]
        );
        assert_eq!(
            names(Some(("Rollout", "new", "r"))),
            ["Rollout shop/new"],
            "of a kind that was not listed"
        );
        assert_eq!(names(Some(("ReplicaSet", "a", "a"))).len(), MAX_OWNERS, "a circle ends");
    }

    /// No image is there, and nobody has credentials.
    struct Nothing;

    impl ResolveImage for Nothing {
        async fn resolve(
            &self,
            _: &Reference,
            _: &PlatformFilter,
            _: &Access,
            _: Instant,
        ) -> Result<Arc<ResolvedImage>, Unresolved> {
            let kind = UnresolvedKind::NotFound;
            Err(Unresolved { kind, host: None, status: None, detail: "gone".to_owned() })
        }
    }

    impl FindCredentials for Nothing {
        async fn find(&self, _: &Reference, _: Option<&Workload>) -> Vec<Credentials> {
            Vec::new()
        }
    }

    /// One namespace has the label.
    #[derive(Debug)]
    struct Labelled;

    impl KnowNamespaces for Labelled {
        fn namespace(&self, name: &str) -> Arc<Namespace> {
            let mut namespace = Namespace::named(name);
            if name == "ignored" {
                namespace.labels.insert("hullmark.dev/ignore".to_owned(), String::new());
            }
            Arc::new(namespace)
        }
    }

    #[tokio::test]
    async fn what_is_too_much_or_cannot_be_seen_is_told() {
        let pod = |name: &str, namespace: &str| {
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": namespace },
                    "spec": { "containers": [{ "name": "app", "image": "nginx", "command": ["x"] }] } })
        };
        let odd = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "odd" }, "spec": 7 });
        let pages: [Page; 3] = [
            ("cronjobs".to_owned(), Err("cronjobs cannot be listed: forbidden".to_owned())),
            ("pods".to_owned(), Ok(vec![pod("b", "shop"), odd, pod("dns", "kube-system")])),
            (
                "pods".to_owned(),
                Ok(vec![pod("a", "shop"), pod("c", "shop"), pod("d", "shop"), pod("e", "ignored")]),
            ),
        ];
        let reviewer = Reviewer { images: Nothing, credentials: Nothing, nodes: review::nodes(None) };
        let policies = PolicySet::default();
        let scene = Scene {
            policies: &policies,
            policy_source: String::new(),
            cluster: String::new(),
            namespaces: &Labelled,
            exempt: &Exempt {
                names: vec!["kube-system".to_owned()],
                label: Some("hullmark.dev/ignore".to_owned()),
            },
            called: Called::Unknown,
            notes: vec!["no node".to_owned()],
            now: Timestamp::UNIX_EPOCH,
            patience: Duration::from_secs(1),
            most: 2,
        };
        let survey = look(&reviewer, scene, stream::iter(pages), None).await.unwrap();
        let names: Vec<&str> = survey.objects.iter().map(|one| one.object.name.as_str()).collect();
        assert_eq!((names, survey.exempt), (vec!["a", "b"], 2));
        let expected = [
            "no node",
            "cronjobs cannot be listed: forbidden",
            "Pod odd cannot be read: spec: expected an object, found a number",
            "2 objects more than the 2 that are kept at once were not looked at",
        ];
        assert_eq!(survey.notes, expected);
        let fact = &survey.objects[0].facts[0];
        assert!(matches!(fact.image, Some(Err(_))), "every image is looked at");
        assert_eq!(fact.usage.overrides, Overrides::default(), "what is no longer needed is not kept");
    }
}
