//! What is said on the pull request about a build: one comment, which is edited when it is worth it
//! and at the end, and the label comes off.
//!
//! All of it is done after the object exists and survives a crash between any two steps: the comment
//! is found again by its hidden marker, and a label that is gone already is gone.

mod editing;
mod opening;

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
    place::{REPOSITORY_LOOKED_FOR_EVERY, nowhere, repo},
    status::{FIRST_WRITE_AFTER, is_settled, is_talked},
    summary::{self, Summary, summarize},
};
use crate::{
    context::{Context, Said, of_build},
    queue::Next,
    report::{
        Retry, TalkError, comment,
        comment_due::{Due, News, due, is_last},
        text,
    },
};

/// Pause before another try where a person has to change something first.
const SLOWLY: Duration = Duration::from_secs(300);
/// Reason of the conditions while there is none.
const NO_REPOSITORY: &str = "NoRepository";

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
    let unwritten = PrBuildStatus::default();
    let status = build.status.as_ref().unwrap_or(&unwritten);
    let uid = build.uid().unwrap_or_default();
    let talked = ctx.live_builds.update(&uid, |live| live.talked);
    if is_over(status) || !(talked || is_talked(status)) {
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
    let unwritten = PrBuildStatus::default();
    let status = build.status.as_ref().unwrap_or(&unwritten);
    let Some((repo, connection)) = repo(&ctx, &build) else {
        return Ok(wait_for_repository(&ctx, &build, &uid));
    };
    let speaker = Speaker {
        ctx: &ctx,
        repo,
        connection,
        build: &build,
        uid: &uid,
    };
    let talked = ctx.live_builds.update(&uid, |live| live.talked);
    let opened = match talked || is_talked(status) {
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

/// The Repository of a build or its connection is away, perhaps for as long as somebody makes it anew: what
/// is still to be said waits for it, and says so.
fn wait_for_repository(ctx: &Context, build: &PrBuild, uid: &str) -> Next {
    if build.status.as_ref().is_some_and(is_over) {
        return Next::Wait;
    }
    let gone = nowhere(&build.spec.request.repository.name);
    let why = format!("{gone}; it is looked for again");
    for kind in unsaid(build) {
        let said = ctx.live_builds.update(uid, |live| live.said.clone());
        // What this process has said already is only not written down yet.
        if !said.iter().any(|said| said.kind == kind) {
            say(ctx, uid, kind, false, NO_REPOSITORY, why.clone());
            ctx.queues.builds.add(&build.name_any());
        }
    }
    ctx.live_builds.update(uid, |live| {
        live.comment.not_before = Some(Instant::now() + REPOSITORY_LOOKED_FOR_EVERY);
    });
    Next::After(REPOSITORY_LOOKED_FOR_EVERY)
}

/// What is to be said at the start of a build and was not, by its status.
fn unsaid(build: &PrBuild) -> Vec<&'static str> {
    let trigger = &build.spec.request.trigger;
    let has_label = trigger.kind == TriggerKind::Label && trigger.label.is_some();
    let mut unsaid = vec![kind::ANNOUNCED];
    unsaid.extend(has_label.then_some(kind::LABEL_REMOVED));
    unsaid.retain(|kind| !build.condition(kind).is_some_and(is_settled));
    unsaid
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

    fn sum(&self) -> Summary {
        let (attempts, missing_told) = self.ctx.live_builds.family(self.uid);
        let runs = self.ctx.cache.runs.group(&of_build(self.uid));
        summarize(self.build, &runs, &attempts, &missing_told)
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
        let around = comment::Surroundings {
            web: self.repo.connection().git_url(),
            pages: ctx.pages.as_ref(),
            also_failed: &|run| {
                let recorder = ctx.recorder.as_ref();
                recorder.map_or_else(Vec::new, |known| known.also_failed(run))
            },
        };
        let mut facts = comment::facts(
            self.build,
            &speaking,
            repository.as_deref(),
            builder,
            &around,
        );
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
        live || self.build.holds(kind)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Notes that the beginning is said, and has the build looked at. Where nothing of it is written yet and it
/// goes on, that can wait for its first status, which then holds what was said, too.
fn done(ctx: &Context, uid: &str, name: &str) -> Next {
    let waits = ctx.live_builds.update(uid, |live| {
        live.talked = true;
        live.written.is_none() && live.ended.is_none()
    });
    match waits {
        true => ctx.queues.builds.add_after(name, FIRST_WRITE_AFTER),
        false => ctx.queues.builds.add(name),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admission::guard::tests::build as labelled, context::now};

    fn with(conditions: &[(&str, bool, &str)]) -> PrBuild {
        let mut build = labelled();
        let all = &mut build.status.get_or_insert_default().conditions;
        for (kind, holds, reason) in conditions {
            condition::set(all, kind, *holds, reason, "", now());
        }
        build
    }

    #[test]
    fn what_waits_for_a_repository_is_given_up_no_more_than_what_waits_for_a_permission() {
        let both = [kind::ANNOUNCED, kind::LABEL_REMOVED];
        assert_eq!(unsaid(&labelled()), both);
        for reason in [NO_REPOSITORY, "PermissionMissing"] {
            let waits = with(&both.map(|kind| (kind, false, reason)));
            assert_eq!(unsaid(&waits), both, "{reason}");
            assert!(!is_talked(&waits.status.unwrap()), "{reason}");
        }
    }

    #[test]
    fn what_was_said_or_will_never_be_is_not_said_anew() {
        let announced = (kind::ANNOUNCED, true, announced::STANDS);
        assert_eq!(unsaid(&with(&[announced])), [kind::LABEL_REMOVED]);
        for label in [(true, "Removed"), (false, "AddedAgain"), (false, "Refused")] {
            let label = (kind::LABEL_REMOVED, label.0, label.1);
            assert_eq!(unsaid(&with(&[announced, label])), [""; 0], "{label:?}");
        }
        let mut commented = labelled();
        commented.spec.request.trigger.kind = TriggerKind::Comment;
        assert_eq!(unsaid(&commented), [kind::ANNOUNCED]);
    }
}
