//! What the webhook keeps of the cluster: Repositories, what selects Builders, and which Answers exist.
//! A watch each, so that a delivery costs the API server one create.

use std::sync::Arc;

use crds::{Answer, AnswerReason, Builder, Repository, TriggerKind, condition};
use kube::runtime::watcher;
use kube::{Api, Client};
use service::stored::Stored;
use tokio_util::sync::CancellationToken;

use crate::kept::Kept;

/// The objects that the webhook follows. Clones share them.
#[derive(Clone)]
pub struct Cache {
    repositories: Kept<Repository>,
    builders: Kept<Builder>,
    answers: Kept<Answer>,
}

/// What a body's repository is to us.
#[derive(Clone, Debug)]
pub enum Known {
    /// Configured, and ready.
    Ready(Arc<Repository>),
    /// Configured, but its id is not known yet, or something is wrong with it.
    NotReady,
    /// Not ours.
    Unknown,
}

impl Cache {
    /// Starts the watches; they end with the token.
    pub fn start(client: &Client, namespace: &str, stop: &CancellationToken) -> Self {
        let config = || watcher::Config::default().any_semantic();
        let repositories: Api<Stored<Repository>> = Api::namespaced(client.clone(), namespace);
        let builders: Api<Stored<Builder>> = Api::namespaced(client.clone(), namespace);
        let answers: Api<Stored<Answer>> = Api::namespaced(client.clone(), namespace);
        Self {
            repositories: Kept::follow(watcher(repositories, config()), |_| {}, stop),
            builders: Kept::follow(watcher(builders, config()), trim_builder, stop),
            answers: Kept::follow(watcher(answers, config()), trim_answer, stop),
        }
    }

    /// Waits until every watch has its first list.
    pub async fn ready(&self) {
        self.repositories.wait_until_ready().await;
        self.builders.wait_until_ready().await;
        self.answers.wait_until_ready().await;
    }

    /// The repository that a body names, among those of the connections that signed it.
    pub fn find(&self, id: i64, full_name: &str, is_by: impl Fn(&str) -> bool) -> Known {
        let mut known = Known::Unknown;
        for repository in self.repositories() {
            let ours = match repository.status.as_ref().and_then(|status| status.id) {
                Some(found) => found == id,
                None => same_name(&repository, full_name),
            };
            if !ours || !is_by(&repository.spec.connection) {
                continue;
            }
            if is_ready(&repository) {
                return Known::Ready(repository);
            }
            known = Known::NotReady;
        }
        known
    }

    /// All Repositories, by name.
    pub fn repositories(&self) -> Vec<Arc<Repository>> {
        self.repositories.all()
    }

    /// All Builders, by name.
    pub fn builders(&self) -> Vec<Arc<Builder>> {
        self.builders.all()
    }

    /// Whether an event was answered. A press of a button that was refused for what can pass is not: the
    /// next press of the same button has the same name, and is a new wish.
    pub fn is_answered(&self, name: &str) -> bool {
        self.answers.get(name).is_some_and(|answer| {
            answer.spec.trigger.kind != TriggerKind::Button || !may_pass(answer.spec.reason)
        })
    }
}

/// Whether somebody who was refused for this may be granted the same a little later.
fn may_pass(reason: AnswerReason) -> bool {
    use AnswerReason::{Closed, NoBuild, Paused, Permission, Team};
    matches!(reason, Closed | NoBuild | Paused | Permission | Team)
}

/// Steps are most of a Builder, and its slots change with every run. Nothing here reads them.
fn trim_builder(builder: &mut Builder) {
    builder.spec.steps = Vec::new();
    builder.status = None;
}

/// What was found and what was said is most of an Answer, and nothing here reads it.
fn trim_answer(answer: &mut Answer) {
    answer.spec.facts = Default::default();
    answer.status = None;
}

/// Whether builds of a repository can be started: the operator found it, and nothing that is wrong
/// keeps it from building.
pub fn is_ready(repository: &Repository) -> bool {
    let Some(status) = &repository.status else {
        return false;
    };
    status.id.is_some() && condition::builds(&status.conditions)
}

fn same_name(repository: &Repository, full_name: &str) -> bool {
    full_name.split_once('/').is_some_and(|(owner, name)| {
        repository.spec.owner.eq_ignore_ascii_case(owner)
            && repository.spec.name.eq_ignore_ascii_case(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_takes_a_slot_changes_nothing_of_a_builder_as_it_is_kept() {
        let kept = |running: serde_json::Value| -> Builder {
            let stored = serde_json::json!({
                "metadata": { "name": "linux" },
                "spec": { "displayName": "Linux", "tags": ["fast"], "steps": [{ "run": "make" }] },
                "status": { "running": running },
            });
            let mut builder = serde_json::from_value(stored).expect("a Builder");
            trim_builder(&mut builder);
            builder
        };
        let free = kept(serde_json::json!([]));
        let slot =
            serde_json::json!({ "run": "app-1", "uid": "u", "since": "2026-01-01T00:00:00Z" });
        let taken = kept(serde_json::json!([slot]));
        assert_eq!(
            serde_json::to_value(&free).expect("JSON"),
            serde_json::to_value(&taken).expect("JSON")
        );
        assert_eq!(free.spec.tags, ["fast"]);
        assert!(free.spec.steps.is_empty());
    }
}
