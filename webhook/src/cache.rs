//! What the webhook keeps of the cluster: Repositories, Builders without their steps, and which
//! Answers exist. A watch each, so that a delivery costs the API server one create.

use std::sync::Arc;

use crds::{Answer, AnswerReason, Builder, Repository, TriggerKind, condition};
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
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
        let repositories: Api<DeserializeGuard<Repository>> =
            Api::namespaced(client.clone(), namespace);
        let builders: Api<DeserializeGuard<Builder>> = Api::namespaced(client.clone(), namespace);
        let answers: Api<DeserializeGuard<Answer>> = Api::namespaced(client.clone(), namespace);
        Self {
            repositories: Kept::follow(watcher(repositories, config()), |_| {}, stop),
            // Steps are most of a Builder, and nothing here reads them.
            builders: Kept::follow(
                watcher(builders, config()),
                |builder| builder.spec.steps = Vec::new(),
                stop,
            ),
            answers: Kept::follow(watcher(answers, config()), lean, stop),
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
        let mut all = self.repositories.all();
        all.sort_by_key(|repository| repository.name_any());
        all
    }

    /// All Builders.
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

/// What was found and what was said is most of an Answer, and nothing here reads it.
fn lean(answer: &mut Answer) {
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
