//! Pull requests: their timeline, reviews, comments and GitHub's test merge.

use jiff::Timestamp;

use super::Id;

/// Whether a pull request is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullState {
    /// Open.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged.
    Merged,
}

/// A pull request.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// Numeric id; people use `number`.
    pub id: Id,
    /// Number in its repository.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Description.
    pub body: Option<String>,
    /// Who opened it.
    pub author: Id,
    /// Open, closed or merged.
    pub state: PullState,
    /// Whether it is a draft.
    pub draft: bool,
    /// The repository of the head branch, none when that one was deleted.
    pub head_repository: Option<Id>,
    /// Owner of the head branch, kept when the repository goes.
    pub head_owner: Id,
    /// Name of the head branch.
    pub head_ref: String,
    /// The head commit.
    pub head_sha: String,
    /// Name of the base branch.
    pub base_ref: String,
    /// The commit of the base branch when the head was last pushed.
    pub base_sha: String,
    /// Names of its labels, in the order in which they were set.
    pub labels: Vec<String>,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineEvent>,
    /// Answers about the timeline that still miss its newest event.
    pub timeline_lag: u32,
    /// Reviews, oldest first.
    pub reviews: Vec<Review>,
    /// GitHub's test merge.
    pub test_merge: TestMerge,
    /// Who merged it and the commit, when merged.
    pub merged_by: Option<(Id, String)>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When anything about it changed last.
    pub updated_at: Timestamp,
    /// When it was closed or merged.
    pub closed_at: Option<Timestamp>,
}

/// The test merge of a pull request, and how truthful the answers about it are.
#[derive(Clone, Debug, Default)]
pub struct TestMerge {
    /// The merge of today's head and base; none when they conflict.
    pub current: Option<MergeCommit>,
    /// The merge before the last push.
    pub previous: Option<MergeCommit>,
    /// So many answers say that it is not computed yet.
    pub unknown_answers: u32,
    /// So many answers tell of the merge before the last push.
    pub stale_answers: u32,
    /// Says that it conflicts, whatever git says.
    pub conflicting: bool,
}

/// A merge commit that git made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeCommit {
    /// The commit.
    pub oid: String,
    /// Its tree.
    pub tree: String,
    /// Base and head.
    pub parents: [String; 2],
}

/// One entry of the timeline.
#[derive(Clone, Debug)]
pub struct TimelineEvent {
    /// Numeric id; the key of a labelling.
    pub id: Id,
    /// What happened.
    pub kind: EventKind,
    /// Who did it.
    pub actor: Id,
    /// When.
    pub created_at: Timestamp,
    /// The App through which a person did it.
    pub via_app: Option<Id>,
}

/// What an entry of the timeline tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A label was set.
    Labeled(String),
    /// A label was taken away.
    Unlabeled(String),
    /// Closed.
    Closed,
    /// Open again.
    Reopened,
    /// Merged as this commit.
    Merged(String),
    /// The head branch was forced to another commit.
    HeadRefForcePushed(String),
    /// The head branch was deleted.
    HeadRefDeleted,
    /// The base is another branch: from this one to that one.
    BaseRefChanged(String, String),
    /// Became a draft.
    ConvertToDraft,
    /// Is a draft no more.
    ReadyForReview,
    /// A commit was pushed: no issue event, only on the timeline.
    Committed(String),
    /// A comment: no issue event, only on the timeline.
    Commented(Id),
    /// A review: no issue event, only on the timeline.
    Reviewed(Id),
}

impl EventKind {
    /// As the field `event` writes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Labeled(_) => "labeled",
            Self::Unlabeled(_) => "unlabeled",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
            Self::Merged(_) => "merged",
            Self::HeadRefForcePushed(_) => "head_ref_force_pushed",
            Self::HeadRefDeleted => "head_ref_deleted",
            Self::BaseRefChanged(..) => "base_ref_changed",
            Self::ConvertToDraft => "convert_to_draft",
            Self::ReadyForReview => "ready_for_review",
            Self::Committed(_) => "committed",
            Self::Commented(_) => "commented",
            Self::Reviewed(_) => "reviewed",
        }
    }

    /// Whether it stands in the list of issue events and not only on the timeline.
    #[must_use]
    pub fn is_issue_event(&self) -> bool {
        !matches!(
            self,
            Self::Committed(_) | Self::Commented(_) | Self::Reviewed(_)
        )
    }
}

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    /// The reviewer agrees.
    Approved,
    /// The reviewer asks for changes.
    ChangesRequested,
    /// Neither.
    Commented,
    /// Somebody dismissed it.
    Dismissed,
}

impl ReviewState {
    /// As the REST API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::ChangesRequested => "CHANGES_REQUESTED",
            Self::Commented => "COMMENTED",
            Self::Dismissed => "DISMISSED",
        }
    }
}

/// A review of one commit.
#[derive(Clone, Debug)]
pub struct Review {
    /// Numeric id.
    pub id: Id,
    /// The reviewer.
    pub user: Id,
    /// What it says.
    pub state: ReviewState,
    /// The commit that was reviewed.
    pub commit: String,
    /// Its text.
    pub body: String,
    /// When it was submitted.
    pub submitted_at: Timestamp,
}

/// A comment on a pull request.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Numeric id.
    pub id: Id,
    /// Number of the pull request.
    pub number: u64,
    /// Who wrote it.
    pub user: Id,
    /// Its text as it is now.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was written or edited last.
    pub updated_at: Timestamp,
    /// The App that wrote it.
    pub via_app: Option<Id>,
    /// Why it was folded away, if it was: `outdated`, `spam`, ….
    pub minimized: Option<String>,
    /// Reactions, oldest first.
    pub reactions: Vec<Reaction>,
}

/// A reaction to a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Numeric id.
    pub id: Id,
    /// Who reacted.
    pub user: Id,
    /// `+1`, `-1`, `laugh`, `confused`, `heart`, `hooray`, `rocket` or `eyes`.
    pub content: String,
    /// When.
    pub created_at: Timestamp,
}
