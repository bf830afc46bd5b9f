//! Giving an answer: the comment or reaction for an event that makes no build.
//!
//! At most one answer a cause and pull request: a later one replaces the text of the earlier. The
//! marker holds the uid of the answer, which nobody can know before it stands; a comment of somebody
//! else is never taken for ours.

use crds::{Answer, AnswerStatus};
use github::{Comment, Dated, GithubError, Reaction, Repo};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{
    restraint::Voice,
    sentence::{House, kind, sentence},
    talk::{Sort, TalkError, sort, while_doing},
    text::is_login,
};

/// How far before the event it is looked for a comment that may have been posted. Both times are
/// GitHub's.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(1);

/// What an answer's `status.given` says.
pub mod given {
    /// A comment stands.
    pub const COMMENT: &str = "Comment";
    /// A reaction stands.
    pub const REACTION: &str = "Reaction";
    /// Only the audit knows.
    pub const SILENT: &str = "Silent";
    /// GitHub would not take it: no permission, a locked conversation, a pull request that is gone.
    pub const FAILED: &str = "Failed";
}

/// Gives an answer and says what to write into its status; the label is settled afterwards, with
/// [`settle_label`](super::settle_label).
///
/// `house` is how answers are worded there, `voice` how this one is given; `maybe_given` says that an
/// earlier try may have been carried out: after a restart, and after an answer that was lost.
///
/// # Errors
/// A call that may succeed later. What GitHub refuses for good is no error but `Failed`.
pub async fn give(
    repo: &Repo,
    answer: &Answer,
    house: &House,
    voice: Voice,
    maybe_given: bool,
) -> Result<AnswerStatus, TalkError> {
    let before = answer.status.clone().unwrap_or_default();
    if before.given.is_some() {
        return Ok(before);
    }
    let status = AnswerStatus {
        sentence: Some(sentence(&answer.spec, house)),
        ..before
    };
    let number = answer.spec.number;
    match voice {
        Voice::Silent | Voice::Withheld => Ok(AnswerStatus {
            given: Some(given::SILENT.to_owned()),
            ..status
        }),
        Voice::Reaction => {
            let reacted = repo
                .add_reaction(
                    crds::names::comment_of(answer.spec.trigger.event_id),
                    Reaction::Confused,
                )
                .await;
            let reacting = while_doing("reacting to a comment on", repo, number);
            let taken = for_good(reacted).map_err(reacting)?;
            let given = if taken.is_some() {
                given::REACTION
            } else {
                given::FAILED
            };
            Ok(AnswerStatus {
                given: Some(given.to_owned()),
                ..status
            })
        }
        Voice::Comment(previous) => {
            let answering = while_doing("answering on", repo, number);
            let taken = for_good(comment(repo, answer, house, previous, maybe_given).await)
                .map_err(answering)?;
            Ok(match taken {
                Some(comment) => AnswerStatus {
                    given: Some(given::COMMENT.to_owned()),
                    given_at: Some(Time(comment.date)),
                    comment_id: Some(comment.value),
                    ..status
                },
                None => AnswerStatus {
                    given: Some(given::FAILED.to_owned()),
                    ..status
                },
            })
        }
    }
}

/// Writes the comment, over the previous one where that still stands. Answers with its id.
async fn comment(
    repo: &Repo,
    answer: &Answer,
    house: &House,
    previous: Option<i64>,
    maybe_given: bool,
) -> Result<Dated<i64>, GithubError> {
    let id = |comment: Dated<Comment>| comment.map(|comment| comment.id);
    let body = body(answer, house);
    if let Some(previous) = previous {
        match repo.update_comment(previous, &body).await {
            // Somebody deleted it.
            Err(GithubError::NotFound { .. }) => {}
            other => return other.map(id),
        }
    }
    if maybe_given {
        let since = answer.spec.trigger.time.0 - LOOK_BACK;
        let comments = repo.comments_since(answer.spec.number, since).await?;
        let marker = marker(answer);
        let ours = comments
            .into_iter()
            .find(|comment| comment.body.starts_with(&marker));
        if let Some(found) = ours {
            return Ok(Dated {
                value: found.id,
                date: found.created_at,
            });
        }
    }
    repo.create_comment(answer.spec.number, &body).await.map(id)
}

/// The hidden first line.
fn marker(answer: &Answer) -> String {
    let (kind, uid) = (kind(answer.spec.reason), answer.uid().unwrap_or_default());
    format!("<!-- prbuild-answer:{kind} {uid} -->")
}

/// The text: the person who asked is the only one who is mentioned.
fn body(answer: &Answer, house: &House) -> String {
    let marker = marker(answer);
    let user = &answer.spec.trigger.user;
    let to = match user.login.as_str() {
        // An account that is gone has the id 0, and its login may be somebody else's.
        login if user.id != 0 && is_login(login) => format!("@{login}: "),
        _ => String::new(),
    };
    match &house.reply {
        Some(reply) => format!("{marker}\n{to}{}\n", reply.trim_end()),
        None => format!("{marker}\n{to}{}\n", sentence(&answer.spec, house)),
    }
}

/// Tells what GitHub refuses for good from what may succeed later. Not to be allowed is for good
/// here: nobody waits a week for a sentence, and a label must not stay because of it.
fn for_good<T>(result: Result<T, GithubError>) -> Result<Option<T>, GithubError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ GithubError::Unauthorized { .. }) => Err(error),
        Err(error) => match sort(&error) {
            Sort::NotAllowed | Sort::NotThere | Sort::Refused => {
                tracing::warn!(%error, "GitHub does not take an answer");
                Ok(None)
            }
            Sort::Limited(_) | Sort::NoAnswer => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{
        AnswerReason, AnswerSpec, Evidence, Facts, Manner, Person, RepositoryRef, Trigger,
        TriggerKind,
    };

    fn answer(name: &str, number: i64, second: i64, reason: AnswerReason) -> Answer {
        let spec = AnswerSpec {
            repository: RepositoryRef {
                name: "n".into(),
                id: 1,
                full_name: "o/n".into(),
            },
            number,
            trigger: Trigger {
                kind: TriggerKind::Label,
                event_id: 1,
                time: Time(jiff::Timestamp::from_second(second).unwrap()),
                label: Some("test".to_owned()),
                command: None,
                user: Person {
                    id: 1,
                    login: "b".to_owned(),
                },
                permission: "write".to_owned(),
                evidence: Evidence::Label,
            },
            reason,
            manner: Manner::Comment,
            facts: Facts::default(),
        };
        let mut answer = Answer::new(name, spec);
        answer.metadata.uid = Some(format!("uid-{name}"));
        answer
    }

    #[test]
    fn only_the_person_who_asked_is_mentioned() {
        let mut this = answer("this", 7, 100, AnswerReason::Closed);
        let text = body(&this, &House::default());
        assert!(text.starts_with("<!-- prbuild-answer:closed uid-this -->\n@b: This pull request"));
        this.spec.trigger.user.login = "x `@python`".to_owned();
        assert!(!body(&this, &House::default()).contains('@'));
    }
}
