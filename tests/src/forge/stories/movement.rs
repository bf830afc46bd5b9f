//! A branch moved: activity, the pull requests that follow it, their test merges, and webhooks.

use std::sync::Arc;

use serde_json::json;

use crate::forge::Inner;
use crate::forge::git::{NO_COMMIT, Store};
use crate::forge::model::{
    Activity, ActivityType, EventKind, Id, MergeCommit, PullState, Repository, World,
};

/// A branch that moved.
pub(super) struct Moved<'a> {
    pub repository: Id,
    pub branch: &'a str,
    pub before: String,
    pub after: String,
    pub kind: ActivityType,
    pub actor: Option<Id>,
}

impl Inner {
    pub(super) fn store(&self, repository: &Repository) -> Store {
        let objects = self
            .dir
            .join("networks")
            .join(repository.network.to_string());
        Store {
            dir: repository.dir.clone(),
            objects,
        }
    }

    /// Makes known that a branch moved: activity, pull requests that follow it, their test merges, and
    /// webhooks.
    pub(super) async fn moved(self: &Arc<Self>, moved: Moved<'_>) {
        let touched = self.touched(&moved);
        let mut merges = Vec::new();
        for (repository, number, store, base, head) in touched {
            let merge = store.merge(&base, &head, self.clock.now()).await;
            show_refs(&store, number, &head, merge.as_ref());
            merges.push((repository, number, merge));
        }
        self.edit(|world| self.record(world, &moved, merges));
    }

    /// Open pull requests whose head or base moved: their repository, and what is to be merged.
    fn touched(&self, moved: &Moved<'_>) -> Vec<(Id, u64, Store, String, String)> {
        let world = self.lock();
        if moved.after == NO_COMMIT {
            return Vec::new();
        }
        let mut found = Vec::new();
        for repository in world.repositories.values() {
            for pull in repository
                .pulls
                .values()
                .filter(|pull| pull.state == PullState::Open)
            {
                let head =
                    pull.head_repository == Some(moved.repository) && pull.head_ref == moved.branch;
                let base = repository.id == moved.repository && pull.base_ref == moved.branch;
                let tip = repository
                    .branches
                    .get(&pull.base_ref)
                    .unwrap_or(&pull.base_sha);
                let base_sha = if base { &moved.after } else { tip };
                let head_sha = if head { &moved.after } else { &pull.head_sha };
                if head || base {
                    found.push((
                        repository.id,
                        pull.number,
                        self.store(repository),
                        base_sha.clone(),
                        head_sha.clone(),
                    ));
                }
            }
        }
        found
    }

    fn record(
        self: &Arc<Self>,
        world: &mut World,
        moved: &Moved<'_>,
        merges: Vec<(Id, u64, Option<MergeCommit>)>,
    ) {
        let (now, id) = (self.clock.now(), world.id("activity"));
        let Some(one) = world.repositories.get_mut(&moved.repository) else {
            return;
        };
        let network = one.network;
        one.pushed_at = now;
        if moved.after == NO_COMMIT {
            one.branches.remove(moved.branch);
        } else {
            one.branches
                .insert(moved.branch.to_owned(), moved.after.clone());
            world.commits.insert((network, moved.after.clone()));
        }
        one.activity.push(Activity {
            id,
            before: moved.before.clone(),
            after: moved.after.clone(),
            reference: format!("refs/heads/{}", moved.branch),
            timestamp: now,
            kind: moved.kind,
            actor: moved.actor,
        });
        for (repository, number, merge) in merges {
            if let Some(merge) = &merge {
                world.commits.insert((network, merge.oid.clone()));
            }
            self.follow(world, moved, repository, number, merge);
        }
        if moved.after == NO_COMMIT {
            self.close_pulls_of(world, moved);
        } else {
            let pusher = moved.actor.unwrap_or_default();
            self.request_suites(world, moved.repository, &moved.after, pusher);
        }
    }

    /// A pull request follows its head or base.
    fn follow(
        self: &Arc<Self>,
        world: &mut World,
        moved: &Moved<'_>,
        repository: Id,
        number: u64,
        merge: Option<MergeCommit>,
    ) {
        let (now, event) = (self.clock.now(), world.id("event"));
        let base_tip = world
            .repositories
            .get(&repository)
            .and_then(|one| one.branches.get(&one.pulls.get(&number)?.base_ref).cloned());
        let Some(pull) = world
            .repositories
            .get_mut(&repository)
            .and_then(|one| one.pulls.get_mut(&number))
        else {
            return;
        };
        pull.test_merge.previous = pull.test_merge.current.take();
        pull.test_merge.current = merge;
        if pull.head_repository != Some(moved.repository) || pull.head_ref != moved.branch {
            return;
        }
        pull.head_sha = moved.after.clone();
        pull.updated_at = now;
        if let Some(tip) = base_tip {
            pull.base_sha = tip;
        }
        let kind = match moved.kind {
            ActivityType::ForcePush => EventKind::HeadRefForcePushed(moved.after.clone()),
            _ => EventKind::Committed(moved.after.clone()),
        };
        let actor = moved.actor.unwrap_or_default();
        pull.add(event, kind, actor, now, None);
        let more = json!({"before": moved.before, "after": moved.after});
        self.tell(world, "synchronize", repository, number, actor, more);
    }

    fn close_pulls_of(self: &Arc<Self>, world: &mut World, moved: &Moved<'_>) {
        let mut closed = Vec::new();
        for repository in world.repositories.values() {
            let of_branch = repository.pulls.values().filter(|pull| {
                pull.state == PullState::Open
                    && pull.head_repository == Some(moved.repository)
                    && pull.head_ref == moved.branch
            });
            closed.extend(of_branch.map(|pull| (repository.id, pull.number)));
        }
        for (repository, number) in closed {
            let actor = moved.actor.unwrap_or_default();
            self.happen(
                world,
                repository,
                number,
                EventKind::HeadRefDeleted,
                actor,
                None,
            );
            self.close_pull(world, repository, number, actor);
        }
    }
}

/// The refs of a pull request that GitHub shows in the base repository.
pub(super) fn show_refs(store: &Store, number: u64, head: &str, merge: Option<&MergeCommit>) {
    store.set_ref(&format!("refs/pull/{number}/head"), head);
    if let Some(merge) = merge {
        store.set_ref(&format!("refs/pull/{number}/merge"), &merge.oid);
    }
}
