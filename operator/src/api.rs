//! Clients for the kinds, and the writes that every run takes. Of an answer no more is read than is
//! needed: who wrote which field makes most of its text.

use crds::{Answer, Assignment, Builder, BuilderRun, PrBuild, Repository, Worker};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Event as CoreEvent, Pod},
        events::v1::Event,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    core::Request,
    runtime::events::EventType,
};
use serde::Serialize;
use serde_json::{Value, json};
use service::events;

use crate::cache::{Lean, Parts};

/// Who writes Events.
const EVENT_SOURCE: &str = "prbuild-operator";

/// One client a kind.
pub struct Apis {
    /// Repositories.
    pub repositories: Api<Repository>,
    /// Builders.
    pub builders: Api<Builder>,
    /// Builds.
    pub builds: Api<PrBuild>,
    /// Runs.
    pub runs: Api<BuilderRun>,
    /// Answers.
    pub answers: Api<Answer>,
    /// Workers.
    pub workers: Api<Worker>,
    /// Runs handed to workers.
    pub assignments: Api<Assignment>,
    /// Jobs, in the build namespace.
    pub jobs: Api<Job>,
    /// Pods, in the build namespace.
    pub pods: Api<Pod>,
    /// Events of the Job controller, in the build namespace.
    pub events: Api<CoreEvent>,
}

impl Apis {
    /// Clients for an object namespace and a build namespace.
    pub fn new(client: &Client, objects: &str, builds: &str) -> Self {
        Self {
            repositories: Api::namespaced(client.clone(), objects),
            builders: Api::namespaced(client.clone(), objects),
            builds: Api::namespaced(client.clone(), objects),
            runs: Api::namespaced(client.clone(), objects),
            answers: Api::namespaced(client.clone(), objects),
            workers: Api::namespaced(client.clone(), objects),
            assignments: Api::namespaced(client.clone(), objects),
            jobs: Api::namespaced(client.clone(), builds),
            pods: Api::namespaced(client.clone(), builds),
            events: Api::namespaced(client.clone(), builds),
        }
    }
}

/// Creates an object of ours.
///
/// # Errors
/// What the API server says.
pub async fn create<K: Parts + Serialize>(api: &Api<K>, object: &K) -> kube::Result<K> {
    let request = creation(api.resource_url(), object)?;
    let Lean(created) = api.clone().into_client().request(request).await?;
    Ok(created)
}

/// Creates an object and does not read the answer, which repeats it.
///
/// # Errors
/// What the API server says.
pub async fn create_unread<K: Resource + Clone + Serialize>(
    api: &Api<K>,
    object: &K,
) -> kube::Result<()> {
    let request = creation(api.resource_url(), object)?;
    let answer = api.clone().into_client().request_text(request).await;
    answer.map(drop)
}

/// The request that creates an object at this path.
fn creation(path: &str, object: &impl Serialize) -> kube::Result<http::Request<Vec<u8>>> {
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    let request = Request::new(path).create(&PostParams::default(), body);
    request.map_err(kube::Error::BuildRequest)
}

/// A JSON merge patch of a status. It names the uid, so that an object which was made anew under
/// the same name is not written to.
///
/// # Errors
/// What the API server says.
pub async fn patch_status<K: Parts>(api: &Api<K>, object: &K, status: Value) -> kube::Result<K> {
    patch(api, object, json!({ "uid": object.meta().uid }), status).await
}

/// A JSON merge patch of a status, if the object's metadata still says this.
///
/// # Errors
/// What the API server says.
pub async fn patch<K: Parts>(
    api: &Api<K>,
    object: &K,
    metadata: Value,
    status: Value,
) -> kube::Result<K> {
    let patch = Patch::Merge(json!({ "metadata": metadata, "status": status }));
    let name = object.meta().name.as_deref().unwrap_or_default();
    let request = Request::new(api.resource_url()).patch_subresource(
        "status",
        name,
        &PatchParams::default(),
        &patch,
    );
    let request = request.map_err(kube::Error::BuildRequest)?;
    let Lean(patched) = api.clone().into_client().request(request).await?;
    Ok(patched)
}

/// Publishes an Event about an object. It is never merged with an earlier one: kube's recorder takes
/// a second Event of the same reason for a repetition, and keeps the first one's words.
///
/// # Errors
/// What the API server says.
pub async fn publish<K: Resource<DynamicType = ()>>(
    client: &Client,
    about: &K,
    kind: EventType,
    reason: &str,
    note: String,
) -> kube::Result<()> {
    let event = event(about, kind, reason, &note);
    let namespace = about.namespace().unwrap_or_default();
    let request = creation(&Event::url_path(&(), Some(&namespace)), &event)?;
    client.request_text(request).await.map(drop)
}

fn event<K: Resource<DynamicType = ()>>(
    about: &K,
    kind: EventType,
    reason: &str,
    note: &str,
) -> Event {
    let (now, regarding) = (Timestamp::now(), about.object_ref(&()));
    let kind = match kind {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    };
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", about.name_any(), now.as_nanosecond())),
            namespace: Some(about.namespace().unwrap_or_default()),
            ..ObjectMeta::default()
        },
        type_: Some(kind.to_owned()),
        reason: Some(reason.to_owned()),
        action: Some(reason.to_owned()),
        note: Some(events::cut(note).to_owned()),
        event_time: Some(MicroTime(now)),
        regarding: Some(regarding),
        reporting_controller: Some(EVENT_SOURCE.to_owned()),
        reporting_instance: Some(EVENT_SOURCE.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_about_labels_in_any_script_is_no_longer_than_kubernetes_takes() {
        let spec = serde_json::json!({
            "apiVersion": "prbuild.dev/v1alpha1", "kind": "Repository",
            "metadata": { "name": "app", "namespace": "prbuild" },
            "spec": { "owner": "o", "name": "r", "connection": "main", "labels": [] },
        });
        let repository: Repository = serde_json::from_value(spec).unwrap();
        let told = |note: &str| {
            let event = event(&repository, EventType::Warning, "SameLabel", note);
            event.note.unwrap()
        };
        assert_eq!(told("two labels are one"), "two labels are one");
        let long = told(&"проверь ".repeat(100));
        // Kubernetes counts bytes.
        assert!(long.len() <= 1024, "{}", long.len());
        assert!(long.len() > 900 && long.starts_with("проверь "), "{long}");
    }
}
