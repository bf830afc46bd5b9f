//! Authorized → PrBuild, Refused → Answer: one create, and what it means that the name is taken.

use std::sync::Arc;

use crds::{Answer, PrBuild, TriggerKind};
use kube::api::PostParams;
use kube::core::Request;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::done::{Deed, Done};
use crate::gate::{Authorized, Refused};
use crate::metrics::Metrics;

/// Writes what the gate decided.
#[derive(Clone)]
pub struct Submit {
    builds: Api<PrBuild>,
    answers: Api<Answer>,
    done: Arc<Done>,
    metrics: Arc<Metrics>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The object is new.
    New,
    /// The same was stored before.
    Before,
    /// The same was stored before, and somebody deleted it.
    Deleted,
}

/// An object that could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The API server did not take it now.
    #[error("cannot store {name}: {source}")]
    Kube {
        /// Name of the object.
        name: String,
        /// Why not.
        source: Box<kube::Error>,
    },
    /// Something else is stored under the name of this event.
    #[error("{name} exists and is about something else; look at it and at who may create PrBuilds")]
    Taken {
        /// Name of the object.
        name: String,
    },
}

impl Submit {
    /// Into this namespace.
    pub fn new(client: &Client, namespace: &str, done: Arc<Done>, metrics: Arc<Metrics>) -> Self {
        Self {
            builds: Api::namespaced(client.clone(), namespace),
            answers: Api::namespaced(client.clone(), namespace),
            done,
            metrics,
        }
    }

    /// Stores a build. The same event stored before is success. A command or press whose build was
    /// deleted stays without one; a label that is still on is there to be built.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn build(&self, authorized: Authorized) -> Result<Stored, SubmitError> {
        let build = authorized.into_object();
        let name = build.name_any();
        let trigger = &build.spec.request.trigger;
        let stays = trigger.kind != TriggerKind::Label;
        if stays && self.done.knows(Deed::Built(&name)) && !self.is_built(&name).await? {
            return Ok(Stored::Deleted);
        }
        let note = || {
            if stays {
                self.done.note(Deed::Built(&name), trigger.time.0);
            }
        };
        self.metrics.wrote("create", "prbuilds");
        let error = match create(&self.builds, &build).await {
            Ok(()) => {
                note();
                return Ok(Stored::New);
            }
            Err(error) => error,
        };
        if !is_taken(&error) {
            return Err(failed(name, error));
        }
        let stored = self.builds.get(&name).await;
        let stored = stored.map_err(|error| failed(name.clone(), error))?;
        match is_same(&stored.spec.request, &build.spec.request) {
            true => {
                note();
                Ok(Stored::Before)
            }
            false => Err(SubmitError::Taken { name }),
        }
    }

    /// Stores an answer, unless the event built after all or was answered before.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn answer(&self, refused: Refused) -> Result<Stored, SubmitError> {
        let answer = refused.into_object();
        let name = answer.name_any();
        let build = self.builds.get_metadata_opt(&name).await;
        if build
            .map_err(|error| failed(name.clone(), error))?
            .is_some()
        {
            return Ok(Stored::Before);
        }
        if self.done.knows(Deed::Built(&name)) {
            return Ok(Stored::Deleted);
        }
        let trigger = &answer.spec.trigger;
        self.metrics.wrote("create", "answers");
        let error = match create(&self.answers, &answer).await {
            Ok(()) => {
                // A button that is pressed again after a refusal is a new wish.
                if trigger.kind == TriggerKind::Comment {
                    self.done.note(Deed::Answered(&name), trigger.time.0);
                }
                return Ok(Stored::New);
            }
            Err(error) => error,
        };
        if !is_taken(&error) {
            return Err(failed(name, error));
        }
        let stored = self.answers.get_opt(&name).await;
        let stored = stored.map_err(|error| failed(name.clone(), error))?;
        // The first look counts; what it found may be another reason. Gone meanwhile: it was there.
        match stored.is_none_or(|stored| is_of_same_event(&stored.spec, &answer.spec)) {
            true => Ok(Stored::Before),
            false => Err(SubmitError::Taken { name }),
        }
    }

    /// Whether a build of that name exists.
    ///
    /// # Errors
    /// [`SubmitError::Kube`].
    pub async fn is_built(&self, name: &str) -> Result<bool, SubmitError> {
        let found = self.builds.get_metadata_opt(name).await;
        Ok(found
            .map_err(|error| failed(name.to_owned(), error))?
            .is_some())
    }
}

/// Creates an object, and reads nothing of the answer but whether it says yes.
async fn create<K: Resource + Serialize>(api: &Api<K>, object: &K) -> kube::Result<()>
where
    Api<K>: Clone,
{
    let writer = PostParams {
        field_manager: Some("prbuild-webhook".to_owned()),
        ..PostParams::default()
    };
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    let request = Request::new(api.resource_url()).create(&writer, body);
    let request = request.map_err(kube::Error::BuildRequest)?;
    let client = api.clone().into_client();
    client.request::<IgnoredAny>(request).await.map(drop)
}

fn failed(name: String, source: kube::Error) -> SubmitError {
    SubmitError::Kube {
        name,
        source: Box::new(source),
    }
}

fn is_taken(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_already_exists())
}

/// Whether two requests are about the same event, by what that alone determines. Head, builders and the
/// test merge may have changed between two looks at one event; the first look counts.
fn is_same(stored: &crds::Request, request: &crds::Request) -> bool {
    stored.repository.id == request.repository.id
        && stored.number == request.number
        && stored.trigger.kind == request.trigger.kind
        && stored.trigger.event_id == request.trigger.event_id
        && stored.trigger.user.id == request.trigger.user.id
}

fn is_of_same_event(stored: &crds::AnswerSpec, answer: &crds::AnswerSpec) -> bool {
    stored.repository.id == answer.repository.id
        && stored.number == answer.number
        && stored.trigger.kind == answer.trigger.kind
        && stored.trigger.event_id == answer.trigger.event_id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str, event: i64, user: i64) -> crds::Request {
        let value = serde_json::json!({
            "repository": { "name": "app", "id": 1, "fullName": "o/r" },
            "number": 7, "headSha": head, "baseRef": "main", "flavour": "default",
            "builders": ["linux"],
            "trigger": {
                "kind": "Comment", "eventId": event, "time": "2026-01-01T00:00:00Z",
                "command": "/prbuild run", "user": { "id": user, "login": "ada" },
                "permission": "write",
            },
        });
        serde_json::from_value(value).expect("a request")
    }

    #[test]
    fn an_event_that_is_looked_at_again_after_a_push_is_still_the_same() {
        let first = request("a", 55, 2);
        assert!(is_same(&first, &request("b", 55, 2)));
        assert!(!is_same(&first, &request("a", 56, 2)));
        assert!(!is_same(&first, &request("a", 55, 3)));
    }
}
