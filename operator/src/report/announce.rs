//! What is said on a pull request about a build: one comment, which is written once and edited, and
//! the label comes off.
//!
//! The comment's hidden marker holds the uid of the build, and whoever is not sure whether it was
//! written looks for that first. A look and one request that does both are all that the beginning of
//! a build takes, by GraphQL; the edits are REST.

use crds::Trigger;
use github::{GithubError, Repo, Saying};
use jiff::{SignedDuration, Timestamp};

use super::{
    label::{self, LabelOutcome, Look, settle_label},
    talk::{TalkError, while_doing},
};

/// How far before the event it is looked for a comment that may have been posted. Both times are
/// GitHub's.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(1);

/// What is to be said when a build begins.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Number of the pull request.
    pub number: i64,
    /// The comment; none where it stands already.
    pub comment: Option<Draft<'a>>,
    /// The labelling that asked, and its label; none where the label is settled or there is none.
    pub label: Option<(&'a Trigger, &'a str)>,
}

/// A comment that is to stand once.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// What it begins with, and no other comment.
    pub marker: &'a str,
    /// The whole text.
    pub text: &'a str,
    /// It may have been written since then: after a restart, and after an answer that was lost.
    pub maybe_posted: Option<Timestamp>,
}

/// What became of it; none for what was not asked for.
#[derive(Debug)]
pub struct Opened {
    /// The comment's id.
    pub comment: Option<Result<i64, TalkError>>,
    /// The label.
    pub label: Option<Result<LabelOutcome, TalkError>>,
}

/// Writes the comment and takes the label off. `handled` says whether a labelling has an object.
///
/// Safe to repeat with what did not succeed. When the error of the comment [is
/// uncertain](TalkError::is_uncertain), the next try has to say `maybe_posted`.
pub async fn open(repo: &Repo, opening: &Opening<'_>, handled: impl Fn(i64) -> bool) -> Opened {
    let number = opening.number;
    let found = match &opening.comment {
        Some(draft) => find(repo, number, draft).await.transpose(),
        None => None,
    };
    let text = opening.comment.filter(|_| found.is_none());
    let text = text.map(|draft| draft.text);
    let mut opened = Opened {
        comment: found,
        label: None,
    };
    if text.is_none() && opening.label.is_none() {
        return opened;
    }
    let speaking = while_doing("speaking on", repo, number);
    let fail = |mut opened: Opened, error: GithubError| {
        opened.comment = opened
            .comment
            .or_else(|| text.map(|_| Err(speaking(error.clone()))));
        opened.label = opening.label.map(|_| Err(speaking(error)));
        opened
    };
    let seen = match repo.conversation(number).await {
        Ok(seen) => seen.value,
        Err(error) => return fail(opened, error),
    };
    let looked = opening
        .label
        .map(|(trigger, label)| label::look(&seen, label, trigger));
    let saying = Saying {
        comment: text,
        unlabel: match &looked {
            Some(Look::Ours(id)) => Some(id),
            _ => None,
        },
    };
    if saying.comment.is_some() || saying.unlabel.is_some() {
        let said = match repo.say(&seen.id, &saying).await {
            Ok(said) => said,
            Err(error) => return fail(opened, error),
        };
        let announcing = while_doing("announcing the build on", repo, number);
        let removing = while_doing("taking the label off", repo, number);
        let posted = said.comment.map(|posted| posted.map_err(announcing));
        opened.comment = opened.comment.or(posted);
        let off = said.unlabelled.map(|off| off.map_err(removing));
        opened.label = off.map(|off| off.map(|()| LabelOutcome::Removed));
    }
    match (looked, opening.label) {
        (Some(Look::Off), _) => opened.label = Some(Ok(LabelOutcome::Removed)),
        (Some(Look::Unclear), Some((_, label))) => {
            opened.label = Some(settle_label(repo, number, label, handled).await);
        }
        _ => {}
    }
    opened
}

/// The comment that may stand already.
async fn find(repo: &Repo, number: i64, draft: &Draft<'_>) -> Result<Option<i64>, TalkError> {
    let Some(since) = draft.maybe_posted else {
        return Ok(None);
    };
    let looking = while_doing("looking for the announcement on", repo, number);
    let comments = repo.comments_since(number, since - LOOK_BACK).await;
    let comments = comments.map_err(looking)?;
    // The uid is not known to anybody before the comment stands; a later quotation is not it.
    let ours = comments
        .iter()
        .filter(|comment| comment.body.starts_with(draft.marker));
    Ok(ours.map(|comment| comment.id).min())
}

/// Replaces the text of a build's comment.
///
/// # Errors
/// A call that GitHub did not take. Safe to repeat.
pub async fn edit(repo: &Repo, number: i64, comment: i64, text: &str) -> Result<(), TalkError> {
    let editing = while_doing("editing the comment on", repo, number);
    let edited = repo.update_comment(comment, text).await;
    edited.map(drop).map_err(editing)
}
