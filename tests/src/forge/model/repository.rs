//! A repository: its branches, what moved them, its labels and commit statuses.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use jiff::Timestamp;

use super::{Checks, Comment, Id, Issue, PullRequest, Role};

/// A repository and all that belongs to it.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Numeric id.
    pub id: Id,
    /// The user or organization that owns it.
    pub owner: Id,
    /// The name without the owner.
    pub name: String,
    /// Whether strangers cannot see it.
    pub private: bool,
    /// The repository that it was forked from. Stays when that one is deleted.
    pub fork_of: Option<Id>,
    /// Repositories of one network share their objects.
    pub network: Id,
    /// The bare repository on disk.
    pub dir: PathBuf,
    /// The branch that pull requests go to when nothing else is said.
    pub default_branch: String,
    /// Branch → commit.
    pub branches: BTreeMap<String, String>,
    /// What moved the branches, oldest first.
    pub activity: Vec<Activity>,
    /// Grants: role and, for a custom role, its name.
    pub permissions: HashMap<Id, (Role, Option<String>)>,
    /// Labels that exist here.
    pub labels: Vec<Label>,
    /// Pull requests by number.
    pub pulls: BTreeMap<u64, PullRequest>,
    /// Issues by number.
    pub issues: BTreeMap<u64, Issue>,
    /// Comments on pull requests and issues by id.
    pub comments: BTreeMap<Id, Comment>,
    /// Commit statuses by commit, oldest first.
    pub statuses: HashMap<String, Vec<Status>>,
    /// Check suites and check runs.
    pub checks: Checks,
    /// When it was made.
    pub created_at: Timestamp,
    /// When any branch was pushed last.
    pub pushed_at: Timestamp,
}

impl Repository {
    /// The number of the next pull request or issue.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        let pull = self.pulls.last_key_value().map_or(0, |(number, _)| *number);
        let issue = self.issues.last_key_value();
        issue.map_or(0, |(number, _)| *number).max(pull) + 1
    }
}

/// One movement of one branch.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Numeric id.
    pub id: Id,
    /// The commit before, forty zeros when the branch is new.
    pub before: String,
    /// The commit after, forty zeros when the branch is gone.
    pub after: String,
    /// `refs/heads/…`.
    pub reference: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// How it moved.
    pub kind: ActivityType,
    /// Who moved it, if GitHub tells.
    pub actor: Option<Id>,
}

/// How a branch moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityType {
    /// Forward.
    Push,
    /// To a commit that does not contain the one before.
    ForcePush,
    /// It is new.
    BranchCreation,
    /// It is gone.
    BranchDeletion,
    /// A pull request was merged into it.
    PrMerge,
}

impl ActivityType {
    /// As the API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::ForcePush => "force_push",
            Self::BranchCreation => "branch_creation",
            Self::BranchDeletion => "branch_deletion",
            Self::PrMerge => "pr_merge",
        }
    }
}

/// A label of a repository.
#[derive(Clone, Debug)]
pub struct Label {
    /// Numeric id.
    pub id: Id,
    /// Its name, unique whatever its case.
    pub name: String,
}

/// One status of one commit. They are never changed, only followed by newer ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Numeric id.
    pub id: Id,
    /// `error`, `failure`, `pending` or `success`.
    pub state: String,
    /// What tells statuses of one commit apart.
    pub context: String,
    /// One line for people.
    pub description: Option<String>,
    /// Where details are.
    pub target_url: Option<String>,
    /// Who wrote it.
    pub creator: Id,
    /// When it was written.
    pub created_at: Timestamp,
}
