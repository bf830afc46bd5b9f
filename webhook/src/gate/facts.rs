//! What the gate knows about a request. Every fact is optional: what is missing is asked for when
//! the verdict turns on it.

use std::collections::HashMap;

use crds::{AnswerReason, Movement, PrBuild};
use jiff::Timestamp;

use super::people::Right;
use super::verdict::{Go, Stop};
use crate::command::Command;

/// Why nothing is done where GitHub shows no such pull request.
pub const PULL_REQUEST_GONE: &str = "pull_request_gone";

/// What is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// GitHub's clock, by the newest answer.
    pub now: Option<Timestamp>,
    /// The pull request as it is now.
    pub pull: Option<github::PullRequest>,
    /// There is no such pull request: it is an issue, or gone.
    pub pull_gone: bool,
    /// The newest events of the pull request.
    pub events: Option<github::LabelEvents>,
    /// Times that the events were asked for.
    pub events_asked: u32,
    /// The comment with the command, as it is now.
    pub comment: Option<Heard>,
    /// The comment was deleted.
    pub comment_gone: bool,
    /// Rights by numeric user id. An id that stands here with nothing has no right.
    pub rights: HashMap<i64, Right>,
    /// Whether the person of this login is an active member of the team that the repository asks for.
    pub team: Option<(String, bool)>,
    /// The movements of a branch, by whose repository and which branch.
    pub movements: Option<Seen>,
    /// The same, asked without a credential.
    pub anonymous: Option<Seen>,
    /// The reviews.
    pub reviews: Option<github::Reviews>,
    /// The test merge.
    pub merge: Option<github::TestMerge>,
    /// Times that the test merge was asked for.
    pub merge_asked: u32,
    /// What was refused on this pull request before.
    pub refusals: Option<Vec<Refusal>>,
    /// The builds of the pull request.
    pub builds: Option<Vec<PrBuild>>,
    /// An Answer stands for this event already.
    pub answered: Option<(String, bool)>,
}

impl Facts {
    /// Takes over GitHub's clock.
    pub fn seen_at(&mut self, date: Timestamp) {
        self.now = self.now.max(Some(date));
    }

    /// The pull request, or the question for it.
    pub(super) fn pull(&self) -> Go<&github::PullRequest> {
        match &self.pull {
            Some(pull) => Ok(pull),
            None if self.pull_gone => Err(Stop::Nothing(PULL_REQUEST_GONE)),
            None => Err(Stop::Ask(Question::Pull)),
        }
    }

    /// Whoever takes a name that a renamed repository left may do everything in what is found there. Nothing
    /// is built that was not asked for in the repository itself: the pull request tells which one it is.
    pub(super) fn are_of(&self, repository: i64) -> Go<()> {
        match &self.pull {
            Some(pull) if pull.base.repo.id != repository => Err(Stop::Retry(
                "GitHub shows another repository under this name",
            )),
            _ => Ok(()),
        }
    }

    /// Whether this is known, so that nobody has to be asked.
    pub fn answers(&self, question: &Question) -> bool {
        match question {
            Question::Pull => self.pull.is_some() || self.pull_gone,
            Question::Events => self.events.is_some(),
            Question::Comment => self.comment.is_some() || self.comment_gone,
            Question::Right(users) => users.iter().all(|user| self.rights.contains_key(&user.id)),
            Question::Team { login, .. } => {
                let of_login = self.team.as_ref();
                of_login.is_some_and(|(of, _)| of == login)
            }
            Question::Movements { .. } => self.movements.is_some(),
            Question::Anonymous { .. } => self.anonymous.is_some(),
            Question::Reviews => self.reviews.is_some(),
            Question::Refusals => self.refusals.is_some(),
            Question::Builds => self.builds.is_some(),
            Question::Merge => self.merge.is_some(),
            Question::Answered(_) | Question::MergeAgain | Question::EventsAgain => false,
        }
    }

    /// What the next command of the same comment needs not ask again: all but what the one before may
    /// have changed itself.
    pub fn handed_on(self) -> Self {
        Self {
            refusals: None,
            builds: None,
            answered: None,
            ..self
        }
    }
}

/// A comment, and the commands in it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub comment: github::Comment,
    pub said: Vec<Command>,
}

/// The movements of one branch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    /// Numeric id of the repository, and the branch, that were asked about. A fork's owner may give its name
    /// to another one at any time.
    pub of: (i64, String),
    /// What GitHub said; empty where it would not say.
    pub list: MovementList,
}

/// Movements, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MovementList {
    pub entries: Vec<Entry>,
    /// The page was full: older ones may be missing.
    pub full: bool,
}

/// One movement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub after: String,
    pub at: Timestamp,
    pub by: Option<github::User>,
}

/// Something that was refused before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub reason: AnswerReason,
    /// Who was refused.
    pub user: i64,
    /// When the answer was given, by GitHub's clock.
    pub given_at: Timestamp,
    /// The movement that it was about.
    pub movement: Movement,
}

/// Something that the verdict turns on and that is not known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Question {
    Pull,
    Events,
    Comment,
    Answered(String),
    Right(Vec<github::User>),
    Team {
        organization: String,
        slug: String,
        login: String,
    },
    Movements {
        repository: i64,
        branch: String,
    },
    Anonymous {
        repository: i64,
        branch: String,
    },
    Reviews,
    Refusals,
    Builds,
    Merge,
    /// The test merge again: GitHub is computing it.
    MergeAgain,
    /// The events again: the newest is not there yet.
    EventsAgain,
}

impl Question {
    /// Whether GitHub may need a moment before the answer is another one.
    pub fn is_computed(&self) -> bool {
        matches!(self, Self::MergeAgain | Self::EventsAgain)
    }

    /// What is not known, for the log.
    pub fn why(&self) -> String {
        match self {
            Self::Pull => "the pull request",
            Self::Events => "its events",
            Self::EventsAgain => "the label event is not in the timeline yet",
            Self::Comment => "the comment",
            Self::Answered(_) => "whether it was answered before",
            Self::Right(_) => "a person's permission",
            Self::Team { .. } => "the team membership",
            Self::Movements { .. } | Self::Anonymous { .. } => "the movements of the head",
            Self::Reviews => "the reviews",
            Self::Refusals => "earlier refusals",
            Self::Builds => "the builds of the pull request",
            Self::Merge => "the test merge",
            Self::MergeAgain => "GitHub has not computed the test merge yet",
        }
        .to_owned()
    }
}
