//! What is said on the pull request about a build: one comment, which is edited when it is worth it
//! and at the end, and the label comes off.
//!
//! All of it is done after the object exists and survives a crash between any two steps: the comment
//! is found again by its hidden marker, and a label that is gone already is gone.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use crds::{
    PrBuild, PrBuildStatus, TriggerKind,
    condition::{self, kind},
};
use github::Repo;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    place::{has_object, repo},
    status::is_talked,
    summary::{self, Summary, summarize},
};
use crate::{
    context::{Context, Said, of_build},
    queue::Next,
    report::{
        Draft, LabelOutcome, Opening, Retry, TalkError, announce,
        comment::{self, marker},
        comment_due::{Due, News, due, is_last},
        pace::Cost,
        text,
    },
};

/// Pause before another try where a person has to change something first.
const SLOWLY: Duration = Duration::from_secs(300);

/// Reasons of the condition `Announced`.
mod announced {
    /// The comment stands and does not show the result yet.
    pub const STANDS: &str = "CommentStands";
    /// It shows the result.
    pub const RESULT: &str = "ResultStands";
    /// Somebody deleted it.
    pub const GONE: &str = "CommentDeleted";
}

/// Whether all was said that is to be said about a build, or will never be.
pub(super) fn is_over(status: &PrBuildStatus) -> bool {
    let announced = condition::find(&status.conditions, kind::ANNOUNCED);
    let last = announced.is_some_and(|found| {
        found.status != "True" || [announced::RESULT, announced::GONE].contains(&&*found.reason)
    });
    last && is_talked(status)
}

/// Has the comment of a build edited when that is due.
pub(super) fn follow_up(ctx: &Context, build: &PrBuild, sum: &Summary) {
    let status = build.status.clone().unwrap_or_default();
    let uid = build.uid().unwrap_or_default();
    let talked = ctx.live_builds.update(&uid, |live| live.talked);
    if is_over(&status) || !(talked || is_talked(&status)) {
        return;
    }
    let shown = ctx.live_builds.update(&uid, |live| {
        if sum.result.is_some() {
            live.comment.ended.get_or_insert_with(Instant::now);
        }
        live.comment
    });
    match due(&shown, news(sum), Instant::now()) {
        Due::Not => {}
        Due::Now => ctx.queues.talks.add(&build.name_any()),
        Due::After(_) => ctx.queues.talks.add_new(&build.name_any()),
    }
}

fn news(sum: &Summary) -> News {
    News {
        unhappy: sum.counts.failed + sum.counts.timed_out + sum.counts.error,
        result: sum.result.is_some(),
        told: sum.untold.is_none(),
    }
}

/// Says what is to be said about a build now.
///
/// # Errors
/// A call to GitHub that may succeed soon. One that needs a person first comes again every few
/// minutes, and is visible in the build's conditions.
pub async fn talk(ctx: Arc<Context>, name: String) -> Result<Next, TalkError> {
    let Some(build) = ctx.cache.builds.get(&name) else {
        return Ok(Next::Wait);
    };
    let uid = build.uid().unwrap_or_default();
    let status = build.status.clone().unwrap_or_default();
    let Some((repo, connection)) = repo(&ctx, &build) else {
        let gone = "the Repository or its connection does not exist any more";
        for kind in [kind::ANNOUNCED, kind::LABEL_REMOVED] {
            say(&ctx, &uid, kind, false, "Refused", gone.to_owned());
        }
        return Ok(done(&ctx, &uid, &name));
    };
    let speaker = Speaker {
        ctx: &ctx,
        repo,
        connection,
        build: &build,
        uid: &uid,
    };
    let talked = ctx.live_builds.update(&uid, |live| live.talked);
    let opened = match talked || is_talked(&status) {
        true => Next::Wait,
        false => {
            let opened = speaker.open().await?;
            if opened != Next::Wait {
                ctx.queues.builds.add(&name);
                return Ok(opened);
            }
            done(&ctx, &uid, &name)
        }
    };
    Ok(opened.or(speaker.keep_up().await?))
}

/// Somebody who speaks about one build.
struct Speaker<'a> {
    ctx: &'a Arc<Context>,
    repo: Repo,
    connection: String,
    build: &'a PrBuild,
    uid: &'a str,
}

type Told = Result<Option<(bool, &'static str, String)>, TalkError>;

impl Speaker<'_> {
    /// Writes the comment and takes the label off.
    async fn open(&self) -> Result<Next, TalkError> {
        let (ctx, request) = (self.ctx, &self.build.spec.request);
        let announced = self.is_said(kind::ANNOUNCED);
        let label = match (request.trigger.kind, &request.trigger.label) {
            (TriggerKind::Label, Some(label)) => Some(label.as_str()),
            _ => {
                let why = "no label asked for this build".to_owned();
                say(ctx, self.uid, kind::LABEL_REMOVED, false, "NotNeeded", why);
                None
            }
        };
        let label = label.filter(|_| !self.is_said(kind::LABEL_REMOVED));
        let cost = if announced {
            Cost::Label
        } else {
            Cost::Comment
        };
        let mut turn = ctx.reporter.turn(&self.connection, cost).await;
        let (text, news) = self.text();
        let maybe = ctx.live_builds.update(self.uid, |live| live.maybe_posted);
        let marker = marker(self.uid);
        let draft = Draft {
            marker: &marker,
            text: &text,
            maybe_posted: maybe.then_some(request.trigger.time.0),
        };
        let opening = Opening {
            number: request.number,
            comment: (!announced).then_some(draft),
            label: label.map(|label| (&request.trigger, label)),
        };
        let handled = |event| {
            let (repository, number) = (&request.repository.name, request.number);
            has_object(ctx, repository, number, &request.trigger, event)
        };
        let opened = announce::open(&self.repo, &opening, handled).await;
        for error in [
            opened.comment.as_ref().and_then(|it| it.as_ref().err()),
            opened.label.as_ref().and_then(|it| it.as_ref().err()),
        ]
        .into_iter()
        .flatten()
        {
            turn.heard(&error.source);
        }
        drop(turn);
        let comment = opened.comment.map_or(Ok(None), |posted| {
            self.posted(posted, &text, news).map(Some)
        });
        let label = match (opened.label, label) {
            (Some(outcome), Some(label)) => outcome.map(|outcome| {
                let (reason, message) = outcome.condition(label);
                Some((outcome == LabelOutcome::Removed, reason, message))
            }),
            _ => Ok(None),
        };
        // Both are noted before either is tried again.
        let comment = self.outcome(kind::ANNOUNCED, comment);
        let label = self.outcome(kind::LABEL_REMOVED, label);
        Ok(comment?.or(label?))
    }

    /// Notes that the comment stands and what it shows.
    fn posted(
        &self,
        posted: Result<i64, TalkError>,
        text: &str,
        news: News,
    ) -> Result<(bool, &'static str, String), TalkError> {
        let live = &self.ctx.live_builds;
        let id = posted.inspect_err(|error| {
            live.update(self.uid, |live| live.maybe_posted |= error.is_uncertain());
        })?;
        let found = live.update(self.uid, |live| {
            live.comment.id = Some(id);
            live.maybe_posted
        });
        if found {
            // It may be an older text that stands there.
            return Ok((true, announced::STANDS, format!("comment {id}")));
        }
        Ok(self.shows(id, text, news))
    }

    /// Notes what the comment shows now.
    fn shows(&self, id: i64, text: &str, news: News) -> (bool, &'static str, String) {
        let last = self.ctx.live_builds.update(self.uid, |live| {
            live.comment.text = Some(hash(text));
            live.comment.unhappy = news.unhappy;
            live.comment.result = is_last(&live.comment, news, Instant::now());
            live.comment.result
        });
        match last {
            true => {
                let message = format!("comment {id} shows the result");
                (true, announced::RESULT, message)
            }
            false => (true, announced::STANDS, format!("comment {id}")),
        }
    }

    /// Edits the comment when that is due.
    async fn keep_up(&self) -> Result<Next, TalkError> {
        let status = self.build.status.clone().unwrap_or_default();
        let shown = self.ctx.live_builds.update(self.uid, |live| live.comment);
        let Some(id) = shown.id.or(status.comment_id) else {
            return Ok(Next::Wait);
        };
        if is_over(&status) {
            return Ok(Next::Wait);
        }
        match due(&shown, news(&self.sum()), Instant::now()) {
            Due::Not => return Ok(Next::Wait),
            Due::After(wait) => return Ok(Next::After(wait)),
            Due::Now => {}
        }
        let (text, news) = self.text();
        if shown.text != Some(hash(&text)) {
            let mut turn = self.ctx.reporter.turn(&self.connection, Cost::Edit).await;
            // While it waited for its turn, there may be more to say.
            let (text, news) = self.text();
            let number = self.build.spec.request.number;
            let edited = announce::edit(&self.repo, number, id, &text).await;
            if let Err(error) = &edited {
                turn.heard(&error.source);
            }
            drop(turn);
            self.ctx.live_builds.update(self.uid, |live| {
                live.comment.edited = Some(Instant::now());
            });
            let said = edited.map(|()| Some(self.shows(id, &text, news)));
            return self.edited(id, said);
        }
        let said = self.shows(id, &text, news);
        self.edited(id, Ok(Some(said)))
    }

    /// Notes what became of an edit.
    fn edited(&self, id: i64, edited: Told) -> Result<Next, TalkError> {
        let live = &self.ctx.live_builds;
        let next = match edited {
            Err(error) if error.retry() == Retry::Never => {
                let message = format!("comment {id} was deleted, and shows no result");
                live.update(self.uid, |live| live.comment.result = true);
                let gone = announced::GONE;
                say(self.ctx, self.uid, kind::ANNOUNCED, true, gone, message);
                Next::Wait
            }
            Err(error) if error.retry() == Retry::Slowly => {
                let build = self.build.name_any();
                tracing::warn!(build, %error, "the comment of a build cannot be edited; somebody has to look");
                Next::After(SLOWLY)
            }
            edited => self.outcome(kind::ANNOUNCED, edited)?,
        };
        if let Next::After(wait) = next {
            live.update(self.uid, |live| {
                live.comment.not_before = Some(Instant::now() + wait);
            });
            return Ok(next);
        }
        self.ctx.queues.builds.add(&self.build.name_any());
        // There may be more by now.
        let shown = live.update(self.uid, |live| live.comment);
        Ok(match due(&shown, news(&self.sum()), Instant::now()) {
            Due::Now => Next::After(Duration::ZERO),
            Due::After(wait) => Next::After(wait),
            Due::Not => Next::Wait,
        })
    }

    fn sum(&self) -> Summary {
        let live = self.ctx.live_builds.update(self.uid, |live| live.clone());
        let runs = self.ctx.cache.runs.group(&of_build(self.uid));
        summarize(self.build, &runs, &live.attempts, &live.missing_told)
    }

    /// The comment as it should stand now, and what it shows.
    fn text(&self) -> (String, News) {
        let (ctx, request) = (self.ctx, &self.build.spec.request);
        let sum = self.sum();
        let attempts = ctx
            .live_builds
            .update(self.uid, |live| live.attempts.clone());
        let runs = ctx.cache.runs.group(&of_build(self.uid));
        let speaking = summary::speaking(&runs, &attempts);
        let repository = ctx.cache.repositories.get(&request.repository.name);
        let builder = |name: &str| ctx.cache.builders.get(name);
        let web = self.repo.connection().git_url();
        let mut facts = comment::facts(self.build, &speaking, repository.as_deref(), builder, web);
        let created = self.build.creation_timestamp().map(|time| time.0);
        let took = created.zip(sum.finished);
        // The status may not be written yet.
        let took = took.and_then(|(from, to)| text::between(from, to));
        facts.duration = took.or(facts.duration);
        (comment::render(&facts), news(&sum))
    }

    /// Notes what became of one thing that was to be said.
    fn outcome(&self, kind: &'static str, said: Told) -> Result<Next, TalkError> {
        let say = |holds, reason, message| say(self.ctx, self.uid, kind, holds, reason, message);
        match said {
            Ok(None) => Ok(Next::Wait),
            Ok(Some((holds, reason, message))) => {
                say(holds, reason, message);
                Ok(Next::Wait)
            }
            Err(error) => match error.retry() {
                Retry::Soon => Err(error),
                Retry::After(wait) => Ok(Next::After(wait)),
                Retry::Slowly => {
                    say(false, error.reason(), error.to_string());
                    Ok(Next::After(SLOWLY))
                }
                Retry::Never => {
                    say(false, "Refused", error.to_string());
                    Ok(Next::Wait)
                }
            },
        }
    }

    fn is_said(&self, kind: &str) -> bool {
        let live = self.ctx.live_builds.update(self.uid, |live| {
            live.said.iter().any(|said| said.kind == kind && said.holds)
        });
        let status = self.build.status.as_ref();
        live || status.is_some_and(|status| condition::is_true(&status.conditions, kind))
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn done(ctx: &Context, uid: &str, name: &str) -> Next {
    ctx.live_builds.update(uid, |live| live.talked = true);
    ctx.queues.builds.add(name);
    Next::Wait
}

fn say(
    ctx: &Context,
    uid: &str,
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
) {
    ctx.live_builds.update(uid, |live| {
        live.said.retain(|said| said.kind != kind);
        live.said.push(Said {
            kind,
            holds,
            reason,
            message,
        });
    });
}
