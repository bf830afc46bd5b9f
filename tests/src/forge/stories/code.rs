//! Repositories, forks and pushes.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::movement::Moved;
use super::people::ensure_user;
use super::{repository, user};
use crate::forge::Forge;
use crate::forge::git::{NO_COMMIT, NewCommit, Store};
use crate::forge::model::{ActivityType, Checks, Id, Repository, Role, UserType, World};

/// Who pushes to organizations when a story does not say.
const MAINTAINER: &str = "maintainer";

/// A push, for stories that [`Forge::push`] is too plain for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Push<'a> {
    /// `owner/name`.
    pub repository: &'a str,
    /// The branch; made from the default branch if it is not there.
    pub branch: &'a str,
    /// Paths and contents that change.
    pub files: &'a [(&'a str, &'a str)],
    /// Who pushes; the owner when empty.
    pub by: &'a str,
    /// Replaces the branch by one commit on the default branch, as a force-push does.
    pub force: bool,
    /// The message.
    pub message: &'a str,
    /// What the commit says of its own age; the forge's time when none.
    pub commit_time: Option<Timestamp>,
    /// GitHub does not tell who pushed.
    pub anonymous: bool,
}

impl Forge {
    /// Makes a public repository with one commit on `main`. Its owner is an organization unless a user
    /// of that name is there already; for an organization the user `maintainer` commits, with role admin.
    ///
    /// # Panics
    /// If the repository is there already.
    pub async fn add_repository(&self, full_name: &str, files: &[(&str, &str)]) -> Id {
        let Some((owner, name)) = full_name.split_once('/') else {
            panic!("forge: `{full_name}` is not owner/name")
        };
        let store = self.inner.edit(|world| {
            assert!(
                world.repository(full_name).is_none(),
                "forge: `{full_name}` is there already"
            );
            let owner = ensure_user(world, owner, UserType::Organization);
            let network = world.id("network");
            let mut one = self.new_repository(world, owner, name, network);
            if world
                .users
                .get(&owner)
                .is_some_and(|user| user.kind == UserType::Organization)
            {
                let maintainer = ensure_user(world, MAINTAINER, UserType::User);
                one.permissions.insert(maintainer, (Role::Admin, None));
            }
            let (id, store) = (one.id, self.inner.store(&one));
            world.repositories.insert(id, one);
            (id, store)
        });
        let (id, store) = store;
        if let Err(error) = Store::create(store.dir.clone(), store.objects.clone()) {
            panic!("forge: cannot make {}: {error}", store.dir.display());
        }
        self.push_with(Push {
            repository: full_name,
            branch: "main",
            files,
            message: "Start",
            ..Push::default()
        })
        .await;
        id
    }

    fn new_repository(&self, world: &mut World, owner: Id, name: &str, network: Id) -> Repository {
        let (id, now) = (world.id("repository"), self.inner.clock.now());
        Repository {
            id,
            owner,
            name: name.to_owned(),
            private: false,
            fork_of: None,
            network,
            dir: self
                .inner
                .dir
                .join("repositories")
                .join(format!("{id}.git")),
            default_branch: "main".to_owned(),
            branches: BTreeMap::new(),
            activity: Vec::new(),
            permissions: HashMap::new(),
            labels: Vec::new(),
            pulls: BTreeMap::new(),
            issues: BTreeMap::new(),
            comments: BTreeMap::new(),
            statuses: HashMap::new(),
            checks: Checks::default(),
            created_at: now,
            pushed_at: now,
        }
    }

    /// Forks a repository with its default branch. Returns the fork's id.
    pub async fn fork(&self, full_name: &str, by: &str) -> Id {
        let (id, store, branch, tip) = self.inner.edit(|world| {
            let (parent, owner) = (repository(world, full_name), user(world, by));
            let Some(parent) = world.repositories.get(&parent).cloned() else {
                panic!("forge: `{full_name}` is gone")
            };
            let mut one = self.new_repository(world, owner, &parent.name, parent.network);
            let tip = parent
                .branches
                .get(&parent.default_branch)
                .cloned()
                .unwrap_or_default();
            one.fork_of = Some(parent.id);
            one.branches
                .insert(parent.default_branch.clone(), tip.clone());
            let (id, store) = (one.id, self.inner.store(&one));
            world.repositories.insert(id, one);
            (id, store, parent.default_branch, tip)
        });
        match Store::create(store.dir.clone(), store.objects.clone()) {
            Ok(store) => store.set_ref(&format!("refs/heads/{branch}"), &tip),
            Err(error) => panic!("forge: cannot make {}: {error}", store.dir.display()),
        }
        id
    }

    /// Makes a repository invisible to strangers, or visible.
    pub fn set_private(&self, full_name: &str, private: bool) {
        self.inner.edit(|world| {
            if let Some(repository) = world.repository_mut(full_name) {
                repository.private = private;
            }
        });
    }

    /// The owner pushes a commit onto a branch, which is made from the default branch if it is not
    /// there. Returns the commit's SHA. Open pull requests from that branch follow.
    pub async fn push(&self, full_name: &str, branch: &str, files: &[(&str, &str)]) -> String {
        self.push_with(Push {
            repository: full_name,
            branch,
            files,
            ..Push::default()
        })
        .await
    }

    /// The owner replaces a branch by one commit on the default branch. Returns its SHA.
    pub async fn force_push(
        &self,
        full_name: &str,
        branch: &str,
        files: &[(&str, &str)],
    ) -> String {
        self.push_with(Push {
            repository: full_name,
            branch,
            files,
            force: true,
            ..Push::default()
        })
        .await
    }

    /// Pushes in any way. Returns the commit's SHA.
    pub async fn push_with(&self, push: Push<'_>) -> String {
        let turn = self.inner.git_turn.lock().await;
        let now = self.inner.clock.now();
        let (id, store, tip, trunk, pusher) = {
            let world = self.inner.lock();
            let id = repository(&world, push.repository);
            let one = &world.repositories[&id];
            let trunk = one.branches.get(&one.default_branch).cloned();
            (
                id,
                self.inner.store(one),
                one.branches.get(push.branch).cloned(),
                trunk,
                pusher(&world, one, push.by),
            )
        };
        let parent = if push.force {
            trunk.clone()
        } else {
            tip.clone().or(trunk)
        };
        let login = self.inner.lock().login(pusher).to_owned();
        let new = NewCommit {
            branch: push.branch,
            parent: parent.as_deref(),
            files: push.files,
            message: if push.message.is_empty() {
                "Change"
            } else {
                push.message
            },
            author: &login,
            time: push.commit_time.unwrap_or(now),
        };
        let after = store.commit(&new).await;
        let kind = match (&tip, push.force) {
            (None, _) => ActivityType::BranchCreation,
            (_, true) => ActivityType::ForcePush,
            _ => ActivityType::Push,
        };
        let before = tip.unwrap_or_else(|| NO_COMMIT.to_owned());
        let actor = (!push.anonymous).then_some(pusher);
        self.inner
            .moved(Moved {
                repository: id,
                branch: push.branch,
                before,
                after: after.clone(),
                kind,
                actor,
            })
            .await;
        drop(turn);
        after
    }

    /// Moves a branch to a commit that the network knows already: forward, back, or elsewhere.
    pub async fn move_branch(&self, full_name: &str, branch: &str, sha: &str, by: &str) {
        let turn = self.inner.git_turn.lock().await;
        let (id, store, tip, actor) = {
            let world = self.inner.lock();
            let id = repository(&world, full_name);
            let one = &world.repositories[&id];
            (
                id,
                self.inner.store(one),
                one.branches.get(branch).cloned(),
                pusher(&world, one, by),
            )
        };
        assert!(
            store.has_commit(sha).await,
            "forge: `{full_name}` and its forks have no commit {sha}"
        );
        let kind = match &tip {
            None => ActivityType::BranchCreation,
            Some(tip) if store.is_forward(tip, sha).await => ActivityType::Push,
            Some(_) => ActivityType::ForcePush,
        };
        store.set_ref(&format!("refs/heads/{branch}"), sha);
        let before = tip.unwrap_or_else(|| NO_COMMIT.to_owned());
        self.inner
            .moved(Moved {
                repository: id,
                branch,
                before,
                after: sha.to_owned(),
                kind,
                actor: Some(actor),
            })
            .await;
        drop(turn);
    }

    /// Deletes a branch; open pull requests from it are closed.
    pub async fn delete_branch(&self, full_name: &str, branch: &str, by: &str) {
        let turn = self.inner.git_turn.lock().await;
        let (id, store, tip, actor) = {
            let world = self.inner.lock();
            let id = repository(&world, full_name);
            let one = &world.repositories[&id];
            let Some(tip) = one.branches.get(branch).cloned() else {
                panic!("forge: `{full_name}` has no branch `{branch}`")
            };
            (id, self.inner.store(one), tip, pusher(&world, one, by))
        };
        store.remove_ref(&format!("refs/heads/{branch}"));
        let kind = ActivityType::BranchDeletion;
        self.inner
            .moved(Moved {
                repository: id,
                branch,
                before: tip,
                after: NO_COMMIT.to_owned(),
                kind,
                actor: Some(actor),
            })
            .await;
        drop(turn);
    }

    /// Deletes a fork. Pull requests from it stay, without a head repository; its commits stay in the
    /// network.
    pub fn delete_fork(&self, full_name: &str) {
        self.inner.edit(|world| {
            let id = repository(world, full_name);
            world.repositories.remove(&id);
            for repository in world.repositories.values_mut() {
                for pull in repository
                    .pulls
                    .values_mut()
                    .filter(|pull| pull.head_repository == Some(id))
                {
                    pull.head_repository = None;
                }
            }
        });
    }
}

/// Who pushes: the one that the story names, else the owner, else the organization's maintainer.
fn pusher(world: &World, repository: &Repository, by: &str) -> Id {
    if !by.is_empty() {
        return user(world, by);
    }
    match world.users.get(&repository.owner) {
        Some(owner) if owner.kind == UserType::Organization => user(world, MAINTAINER),
        _ => repository.owner,
    }
}
