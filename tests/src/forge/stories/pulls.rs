//! Pull requests: opened, labelled, discussed, reviewed, closed and merged.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::movement::{Moved, show_refs};
use super::{repository, user};
use crate::forge::Forge;
use crate::forge::model::{self, ActivityType, EventKind, PullState, TestMerge, World};
use crate::forge::wire::Wire;

/// A pull request to be opened.
#[derive(Clone, Copy, Debug)]
pub struct PullRequest<'a> {
    /// Title.
    pub title: &'a str,
    /// Who opens it.
    pub author: &'a str,
    /// `owner:branch`, or the name of a branch of the base repository.
    pub head: &'a str,
    /// The base branch.
    pub base: &'a str,
    /// Whether it is a draft.
    pub draft: bool,
}

impl Default for PullRequest<'_> {
    fn default() -> Self {
        Self {
            title: "Change",
            author: "",
            head: "",
            base: "main",
            draft: false,
        }
    }
}

/// How truthful the answers about a test merge are. Each replaces the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestMergeSwitch {
    /// Right at once.
    Truthful,
    /// So many answers say that it is not computed yet.
    Late(u32),
    /// So many answers tell of the merge before the last push.
    Stale(u32),
    /// It conflicts, whatever git says.
    Conflicting,
}

impl Forge {
    /// Opens a pull request. Returns its number.
    pub async fn open_pull_request(&self, full_name: &str, new: PullRequest<'_>) -> u64 {
        let turn = self.inner.git_turn.lock().await;
        let (mut pull, store, base) = {
            let world = self.inner.lock();
            let one = &world.repositories[&repository(&world, full_name)];
            let Some(base) = one.branches.get(new.base).cloned() else {
                panic!("forge: `{full_name}` has no branch `{}`", new.base)
            };
            (
                new_pull(&world, one, &new, &base, self.inner.clock.now()),
                self.inner.store(one),
                base,
            )
        };
        let merge = store
            .merge(&base, &pull.head_sha, self.inner.clock.now())
            .await;
        let number = self.inner.edit(|world| {
            let id = repository(world, full_name);
            (pull.id, pull.number) = (world.id("pull"), world.repositories[&id].next_number());
            let (number, author, event) = (pull.number, pull.author, world.id("event"));
            pull.test_merge.current = merge.clone();
            let (head, at) = (pull.head_sha.clone(), pull.created_at);
            pull.add(event, EventKind::Committed(head), author, at, None);
            if let (Some(merge), network) = (&merge, world.repositories[&id].network) {
                world.commits.insert((network, merge.oid.clone()));
            }
            show_refs(&store, number, &pull.head_sha, merge.as_ref());
            if let Some(repository) = world.repositories.get_mut(&id) {
                repository.pulls.insert(number, pull);
            }
            self.inner
                .tell(world, "opened", id, number, author, Value::Null);
            number
        });
        drop(turn);
        number
    }

    /// Somebody closes a pull request without a merge.
    pub fn close(&self, full_name: &str, number: u64, by: &str) {
        self.inner.edit(|world| {
            let (repository, by) = (repository(world, full_name), user(world, by));
            self.inner.close_pull(world, repository, number, by);
        });
    }

    /// Somebody opens a closed pull request again.
    ///
    /// # Panics
    /// If it was merged: that is for ever.
    pub fn reopen(&self, full_name: &str, number: u64, by: &str) {
        self.inner.edit(|world| {
            let (repository, by) = (repository(world, full_name), user(world, by));
            let pull = pull_mut(world, full_name, number);
            assert!(
                pull.state != PullState::Merged,
                "forge: {full_name}#{number} is merged and cannot be opened again"
            );
            (pull.state, pull.closed_at) = (PullState::Open, None);
            self.inner
                .happen(world, repository, number, EventKind::Reopened, by, None);
            self.inner
                .tell(world, "reopened", repository, number, by, Value::Null);
        });
    }

    /// Somebody makes a draft of a pull request, or ends that.
    pub fn set_draft(&self, full_name: &str, number: u64, draft: bool, by: &str) {
        self.inner.edit(|world| {
            let (repository, by) = (repository(world, full_name), user(world, by));
            pull_mut(world, full_name, number).draft = draft;
            let (kind, action) = match draft {
                true => (EventKind::ConvertToDraft, "converted_to_draft"),
                false => (EventKind::ReadyForReview, "ready_for_review"),
            };
            self.inner.happen(world, repository, number, kind, by, None);
            self.inner
                .tell(world, action, repository, number, by, Value::Null);
        });
    }

    /// Somebody gives a pull request another title.
    pub fn edit_title(&self, full_name: &str, number: u64, title: &str, by: &str) {
        self.inner.edit(|world| {
            let (repository, by) = (repository(world, full_name), user(world, by));
            let pull = pull_mut(world, full_name, number);
            let old = std::mem::replace(&mut pull.title, title.to_owned());
            pull.updated_at = self.inner.clock.now();
            let changes = json!({"changes": {"title": {"from": old}}});
            self.inner
                .tell(world, "edited", repository, number, by, changes);
        });
    }

    /// Somebody lets a pull request go to another branch.
    ///
    /// # Panics
    /// If there is no such branch.
    pub async fn change_base(&self, full_name: &str, number: u64, base: &str, by: &str) {
        let turn = self.inner.git_turn.lock().await;
        let (id, store, tip, head) = {
            let world = self.inner.lock();
            let id = repository(&world, full_name);
            let one = &world.repositories[&id];
            let Some(tip) = one.branches.get(base).cloned() else {
                panic!("forge: `{full_name}` has no branch `{base}`")
            };
            let head = one.pulls.get(&number).map(|pull| pull.head_sha.clone());
            (id, self.inner.store(one), tip, head.unwrap_or_default())
        };
        let merge = store.merge(&tip, &head, self.inner.clock.now()).await;
        show_refs(&store, number, &head, merge.as_ref());
        self.inner.edit(|world| {
            let (by, network) = (user(world, by), world.repositories[&id].network);
            let made = merge.iter().map(|merge| (network, merge.oid.clone()));
            world.commits.extend(made);
            let pull = pull_mut(world, full_name, number);
            let old_ref = std::mem::replace(&mut pull.base_ref, base.to_owned());
            let old_sha = std::mem::replace(&mut pull.base_sha, tip);
            pull.test_merge.previous = pull.test_merge.current.take();
            pull.test_merge.current = merge;
            let kind = EventKind::BaseRefChanged(old_ref.clone(), base.to_owned());
            self.inner.happen(world, id, number, kind, by, None);
            let changes = json!({"base": {"ref": {"from": old_ref}, "sha": {"from": old_sha}}});
            let changes = json!({"changes": changes});
            self.inner.tell(world, "edited", id, number, by, changes);
        });
        drop(turn);
    }

    /// Somebody merges a pull request; whatever its statuses and checks say, for none is required. Returns the merge commit, to which the base branch moved.
    ///
    /// # Panics
    /// If it conflicts.
    pub async fn merge(&self, full_name: &str, number: u64, by: &str) -> String {
        let turn = self.inner.git_turn.lock().await;
        let now = self.inner.clock.now();
        let (id, store, branch, base, head, by) = {
            let world = self.inner.lock();
            let id = repository(&world, full_name);
            let one = &world.repositories[&id];
            let Some(pull) = one.pulls.get(&number) else {
                panic!("forge: there is no {full_name}#{number}")
            };
            let base = one
                .branches
                .get(&pull.base_ref)
                .cloned()
                .unwrap_or_default();
            (
                id,
                self.inner.store(one),
                pull.base_ref.clone(),
                base,
                pull.head_sha.clone(),
                user(&world, by),
            )
        };
        let Some(made) = store.merge(&base, &head, now).await else {
            panic!("forge: {full_name}#{number} conflicts with {branch}")
        };
        store.set_ref(&format!("refs/heads/{branch}"), &made.oid);
        self.inner.edit(|world| {
            self.inner.happen(
                world,
                id,
                number,
                EventKind::Merged(made.oid.clone()),
                by,
                None,
            );
            self.inner
                .happen(world, id, number, EventKind::Closed, by, None);
            let pull = pull_mut(world, full_name, number);
            (pull.state, pull.closed_at, pull.merged_by) =
                (PullState::Merged, Some(now), Some((by, made.oid.clone())));
            self.inner
                .tell(world, "closed", id, number, by, Value::Null);
        });
        let kind = ActivityType::PrMerge;
        self.inner
            .moved(Moved {
                repository: id,
                branch: &branch,
                before: base,
                after: made.oid.clone(),
                kind,
                actor: Some(by),
            })
            .await;
        drop(turn);
        made.oid
    }

    /// Makes answers about a test merge late, stale, conflicting, or truthful again.
    pub fn set_test_merge(&self, full_name: &str, number: u64, switch: TestMergeSwitch) {
        self.inner.edit(|world| {
            let merge = &mut pull_mut(world, full_name, number).test_merge;
            (
                merge.unknown_answers,
                merge.stale_answers,
                merge.conflicting,
            ) = match switch {
                TestMergeSwitch::Truthful => (0, 0, false),
                TestMergeSwitch::Late(answers) => (answers, 0, false),
                TestMergeSwitch::Stale(answers) => (0, answers, false),
                TestMergeSwitch::Conflicting => (0, 0, true),
            };
        });
    }

    /// So many answers about events and timeline still miss the newest entry.
    pub fn set_timeline_lag(&self, full_name: &str, number: u64, answers: u32) {
        self.inner
            .edit(|world| pull_mut(world, full_name, number).timeline_lag = answers);
    }

    /// The payload of a `labeled` delivery as GitHub would send it now, to be forged with
    /// [`Forge::deliver_forged`].
    #[must_use]
    pub fn labeled_payload(&self, full_name: &str, number: u64, label: &str, by: &str) -> Value {
        let world = self.inner.lock();
        let (id, by) = (repository(&world, full_name), user(&world, by));
        let mut payload = self
            .inner
            .pull_payload(&world, "labeled", id, number, by, Value::Null);
        let wire = Wire {
            world: &world,
            base: &self.inner.base,
        };
        payload["label"] = wire.label(&world.repositories[&id], label);
        payload
    }
}

fn new_pull(
    world: &World,
    one: &model::Repository,
    new: &PullRequest<'_>,
    base: &str,
    now: Timestamp,
) -> model::PullRequest {
    let (owner, branch) = match new.head.split_once(':') {
        Some((owner, branch)) => (user(world, owner), branch),
        None => (one.owner, new.head),
    };
    let head = world.repositories.values().find(|known| {
        known.owner == owner && known.network == one.network && known.branches.contains_key(branch)
    });
    let Some(head) = head else {
        panic!(
            "forge: no fork has the branch `{}`; push it first",
            new.head
        )
    };
    let author = if new.author.is_empty() {
        owner
    } else {
        user(world, new.author)
    };
    model::PullRequest {
        id: 0,
        number: 0,
        title: new.title.to_owned(),
        body: Some(String::new()),
        author,
        state: PullState::Open,
        draft: new.draft,
        head_repository: Some(head.id),
        head_owner: owner,
        head_ref: branch.to_owned(),
        head_sha: head.branches[branch].clone(),
        base_ref: new.base.to_owned(),
        base_sha: base.to_owned(),
        labels: Vec::new(),
        timeline: Vec::new(),
        timeline_lag: 0,
        reviews: Vec::new(),
        test_merge: TestMerge::default(),
        merged_by: None,
        created_at: now,
        updated_at: now,
        closed_at: None,
    }
}

pub(super) fn pull_mut<'w>(
    world: &'w mut World,
    full_name: &str,
    number: u64,
) -> &'w mut model::PullRequest {
    match world
        .repository_mut(full_name)
        .and_then(|one| one.pulls.get_mut(&number))
    {
        Some(pull) => pull,
        None => panic!("forge: there is no pull request {full_name}#{number}"),
    }
}
