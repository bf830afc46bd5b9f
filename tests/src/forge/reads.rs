//! What a story looks at in the end.

use super::Forge;
use super::model::{Id, PullRequest, Reaction, Repository, Status, World};

/// A comment as somebody reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentRead {
    /// Numeric id.
    pub id: Id,
    /// Login of the one who wrote it.
    pub by: String,
    /// The text as it is now.
    pub body: String,
    /// Whether it was changed after it was written.
    pub edited: bool,
}

impl Forge {
    /// Every status of a commit, oldest first.
    #[must_use]
    pub fn statuses(&self, full_name: &str, sha: &str) -> Vec<Status> {
        self.look(full_name, |_, repository| {
            repository.statuses.get(sha).cloned().unwrap_or_default()
        })
    }

    /// Every commit that has statuses, with them, oldest first.
    #[must_use]
    pub fn all_statuses(&self, full_name: &str) -> Vec<(String, Vec<Status>)> {
        self.look(full_name, |_, repository| {
            repository.statuses.clone().into_iter().collect()
        })
    }

    /// The comments of a pull request, oldest first.
    #[must_use]
    pub fn comments(&self, full_name: &str, number: u64) -> Vec<CommentRead> {
        self.look(full_name, |world, repository| {
            let of_pull = repository
                .comments
                .values()
                .filter(|comment| comment.number == number);
            of_pull
                .map(|comment| CommentRead {
                    id: comment.id,
                    by: world.login(comment.user).to_owned(),
                    body: comment.body.clone(),
                    edited: comment.updated_at != comment.created_at,
                })
                .collect()
        })
    }

    /// All that anybody wrote where people read it: comments, statuses and check runs of all
    /// repositories, as one text.
    #[must_use]
    pub fn written(&self) -> String {
        let world = self.inner.lock();
        let of = |repository: &Repository| {
            let (comments, checks) = (
                repository.comments.values(),
                repository.checks.runs.values(),
            );
            let comments: Vec<&str> = comments.map(|comment| comment.body.as_str()).collect();
            let checks: Vec<_> = checks.collect();
            format!("{comments:?}\n{:?}\n{checks:?}\n", repository.statuses)
        };
        world.repositories.values().map(of).collect()
    }

    /// The labels that are on a pull request now.
    #[must_use]
    pub fn labels(&self, full_name: &str, number: u64) -> Vec<String> {
        self.pull_request(full_name, number).labels
    }

    /// Reactions to a comment as `login content`, oldest first.
    #[must_use]
    pub fn reactions(&self, full_name: &str, comment: Id) -> Vec<String> {
        self.look(full_name, |world, repository| {
            let reactions = repository
                .comments
                .get(&comment)
                .map(|one| one.reactions.as_slice())
                .unwrap_or_default();
            reactions
                .iter()
                .map(|one: &Reaction| format!("{} {}", world.login(one.user), one.content))
                .collect()
        })
    }

    /// A pull request as GitHub knows it: head, timeline, test merge and all.
    ///
    /// # Panics
    /// If there is no such pull request.
    #[must_use]
    pub fn pull_request(&self, full_name: &str, number: u64) -> PullRequest {
        self.look(full_name, |_, repository| {
            match repository.pulls.get(&number) {
                Some(pull) => pull.clone(),
                None => panic!("forge: there is no pull request {full_name}#{number}"),
            }
        })
    }

    /// The numeric id of a repository.
    #[must_use]
    pub fn repository_id(&self, full_name: &str) -> Id {
        self.look(full_name, |_, repository| repository.id)
    }

    /// The commit that a branch points to.
    #[must_use]
    pub fn branch(&self, full_name: &str, branch: &str) -> Option<String> {
        self.look(full_name, |_, repository| {
            repository.branches.get(branch).cloned()
        })
    }

    pub(super) fn look<T>(
        &self,
        full_name: &str,
        read: impl FnOnce(&World, &Repository) -> T,
    ) -> T {
        let world = self.inner.lock();
        match world.repository(full_name) {
            Some(repository) => read(&world, repository),
            None => panic!("forge: there is no repository `{full_name}`"),
        }
    }
}
