//! Reports, written where the cluster has a kind for them. For one writer at a time: the leader.
//!
//! Each time that reports are written, it is looked which kind there is; our reports of the other kind go. What is
//! there is listed by its metadata alone, and only a report that says something else than before is read and written,
//! so a cluster that does not change costs a list.

use super::{ClusterError, why};
use crate::survey::report::{Form, Report};
use futures_util::{StreamExt, stream};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};
use tokio::time::timeout;

/// Who applies them.
const FIELD_MANAGER: &str = "hullmark";
/// Reports that are listed at once.
const PAGE: u32 = 500;
/// Reports that are written side by side: nobody waits for them.
const SIDE_BY_SIDE: usize = 4;
/// How long the API server may take for one request.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes reports.
#[derive(Clone)]
pub struct Reports {
    client: Client,
}

/// What became of the reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Their kind; none: the cluster has no kind for them, and nothing was written.
    pub form: Option<Form>,
    /// New, or with other content.
    pub written: usize,
    /// As they were.
    pub unchanged: usize,
    /// Of what complies, or is gone.
    pub deleted: usize,
    /// How many could not be written or deleted, and why not the first of them.
    pub failed: usize,
    /// See there.
    pub error: Option<String>,
}

/// A report by its namespace and name.
type Place = (String, String);

/// What came of one report.
enum One {
    Written,
    Deleted,
    Failed(String),
}

impl Reports {
    /// With this client's rights: get, list, create, patch and delete reports.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The kind of reports that the cluster has; none: it has none.
    ///
    /// # Errors
    /// [`ClusterError`] when the API server does not say.
    pub async fn form(&self) -> Result<Option<Form>, ClusterError> {
        for form in Form::ALL {
            if self.has(form).await? {
                return Ok(Some(form));
            }
        }
        Ok(None)
    }

    /// Writes these reports, which must be all that there are: what was written before and is not among them is
    /// deleted. What fails for one report does not keep the others.
    ///
    /// # Errors
    /// [`ClusterError`] when it cannot be seen which reports there are: then nothing is written.
    pub async fn write(&self, reports: Vec<Report>) -> Result<Written, ClusterError> {
        let form = self.form().await?;
        let mut written = Written { form, ..Written::default() };
        // Of the kind that was used before its successor came.
        if form == Some(Form::OpenReports) && self.has(Form::PolicyReport).await? {
            let old = self.fingerprints(Form::PolicyReport).await?;
            self.delete(Form::PolicyReport, old.into_keys(), &mut written).await;
        }
        let Some(form) = form else { return Ok(written) };
        let there = self.fingerprints(form).await?;
        let wanted: BTreeSet<Place> = reports.iter().map(place).collect();
        let is_new = |report: &Report| {
            there.get(&place(report)).is_none_or(|there| *there != Some(report.fingerprint(form)))
        };
        let changed: Vec<Report> = reports.into_iter().filter(is_new).collect();
        written.unchanged = wanted.len() - changed.len();
        let writing = stream::iter(changed).map(|report| self.apply(form, report));
        written.add(writing.buffer_unordered(SIDE_BY_SIDE).collect().await);
        let gone: BTreeSet<Place> = there.into_keys().filter(|place| !wanted.contains(place)).collect();
        self.delete(form, gone, &mut written).await;
        Ok(written)
    }

    /// Whether the cluster has this kind.
    async fn has(&self, form: Form) -> Result<bool, ClusterError> {
        let [group, version, _, plural] = form.names();
        let api_version = format!("{group}/{version}");
        match in_time(self.client.list_api_group_resources(&api_version)).await {
            Ok(found) => Ok(found.resources.iter().any(|resource| resource.name == plural)),
            Err(Failure::Api(kube::Error::Api(status))) if status.code == 404 => Ok(false),
            Err(failure) => {
                Err(ClusterError(format!("cannot see whether there are {plural}.{group}: {failure}")))
            }
        }
    }

    /// The fingerprint of each of our reports.
    async fn fingerprints(&self, form: Form) -> Result<BTreeMap<Place, Option<String>>, ClusterError> {
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource(form));
        let mut page = ListParams::default().labels(Form::SELECTOR).limit(PAGE);
        let mut found = BTreeMap::new();
        loop {
            let list = in_time(all.list_metadata(&page)).await.map_err(|failure| {
                let [group, _, _, plural] = form.names();
                ClusterError(format!("cannot list {plural}.{group}: {failure}"))
            })?;
            for one in list.items {
                let annotations = one.metadata.annotations.unwrap_or_default();
                let place =
                    (one.metadata.namespace.unwrap_or_default(), one.metadata.name.unwrap_or_default());
                found.insert(place, annotations.get(Report::FINGERPRINT).cloned());
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    async fn apply(&self, form: Form, report: Report) -> One {
        let of_namespace = self.of_namespace(form, &report.namespace);
        let name = report.name();
        let written = async {
            let before = in_time(of_namespace.get_opt(&name)).await?;
            let before = before.and_then(|before| serde_json::to_value(before).ok());
            let document: Value = report.document(form, before.as_ref());
            let params = PatchParams::apply(FIELD_MANAGER).force();
            in_time(of_namespace.patch(&name, &params, &Patch::Apply(document))).await
        };
        match written.await {
            Ok(_) => One::Written,
            Err(failure) => One::Failed(format!("{}/{name}: {failure}", report.namespace)),
        }
    }

    async fn delete(&self, form: Form, places: impl IntoIterator<Item = Place>, written: &mut Written) {
        let deleting = stream::iter(places).map(|(namespace, name)| async move {
            let of_namespace = self.of_namespace(form, &namespace);
            match in_time(of_namespace.delete(&name, &DeleteParams::default())).await {
                Ok(_) => One::Deleted,
                // With its owner, by the garbage collector.
                Err(Failure::Api(kube::Error::Api(status))) if status.code == 404 => One::Deleted,
                Err(failure) => One::Failed(format!("{namespace}/{name}: {failure}")),
            }
        });
        written.add(deleting.buffer_unordered(SIDE_BY_SIDE).collect().await);
    }

    fn of_namespace(&self, form: Form, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(form))
    }
}

impl Written {
    fn add(&mut self, all: Vec<One>) {
        for one in all {
            match one {
                One::Written => self.written += 1,
                One::Deleted => self.deleted += 1,
                One::Failed(error) => {
                    self.failed += 1;
                    self.error.get_or_insert(error);
                }
            }
        }
    }
}

fn place(report: &Report) -> Place {
    (report.namespace.clone(), report.name())
}

fn resource(form: Form) -> ApiResource {
    let [group, version, kind, plural] = form.names();
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", why(.0))]
    Api(kube::Error),
    #[error("the API server does not answer")]
    Silence,
}

async fn in_time<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    timeout(PATIENCE, asked).await.map_err(|_| Failure::Silence)?.map_err(Failure::Api)
}
