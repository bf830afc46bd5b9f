//! What is said on the pull request when a build begins: one comment, and the label comes off.
//!
//! Both are done after the object exists and survive a crash between any two steps: the comment is
//! found again by its hidden marker, and a label that is gone already is gone.

use std::{sync::Arc, time::Duration};

use crds::{PrBuild, Trigger, TriggerKind, condition::kind, names};
use kube::ResourceExt;

use crate::{
    context::{Context, Said},
    queue::Next,
    report::{self, LabelOutcome, Retry, TalkError},
};

/// Pause before another try where a person has to change something first.
const SLOWLY: Duration = Duration::from_secs(300);

/// Says what is to be said about a build at its start.
///
/// # Errors
/// A call to GitHub that may succeed soon. One that needs a person first comes again every few
/// minutes, and is visible in the build's conditions.
pub async fn talk(ctx: Arc<Context>, name: String) -> Result<Next, TalkError> {
    let Some(build) = ctx.cache.builds.get(&name) else {
        return Ok(Next::Wait);
    };
    let uid = build.uid().unwrap_or_default();
    let live = ctx.live_builds.update(&uid, |live| live.clone());
    let status = build.status.clone().unwrap_or_default();
    if live.talked || super::reconcile::is_talked(&status) {
        return Ok(Next::Wait);
    }
    let Some(repo) = repo(&ctx, &build) else {
        let gone = "the Repository or its connection does not exist any more";
        say(
            &ctx,
            &uid,
            kind::ANNOUNCED,
            false,
            "Refused",
            gone.to_owned(),
        );
        say(
            &ctx,
            &uid,
            kind::LABEL_REMOVED,
            false,
            "Refused",
            gone.to_owned(),
        );
        return Ok(done(&ctx, &uid, &name));
    };
    // Both at once: neither has to wait for the other.
    let (announced, settled) = tokio::join!(
        announce(&ctx, &repo, &build, &uid),
        settle_label(&ctx, &repo, &build, &uid),
    );
    // Both are noted before either is tried again.
    let announced = outcome(&ctx, &uid, kind::ANNOUNCED, announced);
    let settled = outcome(&ctx, &uid, kind::LABEL_REMOVED, settled);
    match announced?.or(settled?) {
        Next::Wait => Ok(done(&ctx, &uid, &name)),
        later => {
            ctx.queues.builds.add(&name);
            Ok(later)
        }
    }
}

/// Notes what became of one thing that was to be said.
fn outcome(ctx: &Context, uid: &str, kind: &'static str, said: Told) -> Result<Next, TalkError> {
    match said {
        Ok(None) => Ok(Next::Wait),
        Ok(Some((holds, reason, message))) => {
            say(ctx, uid, kind, holds, reason, message);
            Ok(Next::Wait)
        }
        Err(error) => match error.retry() {
            Retry::Soon => Err(error),
            Retry::After(wait) => Ok(Next::After(wait)),
            Retry::Slowly => {
                say(ctx, uid, kind, false, error.reason(), error.to_string());
                Ok(Next::After(SLOWLY))
            }
            Retry::Never => {
                say(ctx, uid, kind, false, "Refused", error.to_string());
                Ok(Next::Wait)
            }
        },
    }
}

fn repo(ctx: &Context, build: &PrBuild) -> Option<github::Repo> {
    let request = &build.spec.request;
    let repository = ctx.cache.repositories.get(&request.repository.name)?;
    let connection = ctx.connections.get(&repository.spec.connection)?;
    let (owner, name) = request.repository.full_name.split_once('/')?;
    Some(connection.repo(owner, name))
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

fn is_said(ctx: &Context, build: &PrBuild, uid: &str, kind: &str) -> bool {
    let live = ctx.live_builds.update(uid, |live| {
        live.said.iter().any(|said| said.kind == kind && said.holds)
    });
    let status = build.status.as_ref();
    live || status.is_some_and(|status| crds::condition::is_true(&status.conditions, kind))
}

type Told = Result<Option<(bool, &'static str, String)>, TalkError>;

async fn announce(ctx: &Context, repo: &github::Repo, build: &PrBuild, uid: &str) -> Told {
    if is_said(ctx, build, uid, kind::ANNOUNCED) {
        return Ok(None);
    }
    let display = |name: &String| {
        let builder = ctx.cache.builders.get(name);
        builder.map_or_else(|| name.clone(), |found| found.spec.display_name.clone())
    };
    let names = build.spec.request.builders.iter();
    let builders: Vec<(String, String)> = names.map(|name| (name.clone(), display(name))).collect();
    let maybe = ctx.live_builds.update(uid, |live| live.maybe_posted);
    match report::announce(repo, build, &builders, maybe).await {
        Ok(comment) => Ok(Some((true, "CommentStands", format!("comment {comment}")))),
        Err(error) => {
            ctx.live_builds
                .update(uid, |live| live.maybe_posted |= error.is_uncertain());
            Err(error)
        }
    }
}

async fn settle_label(ctx: &Context, repo: &github::Repo, build: &PrBuild, uid: &str) -> Told {
    let request = &build.spec.request;
    let (TriggerKind::Label, Some(name)) = (request.trigger.kind, &request.trigger.label) else {
        return Ok(Some((
            false,
            "NotNeeded",
            "no label asked for this build".to_owned(),
        )));
    };
    if is_said(ctx, build, uid, kind::LABEL_REMOVED) {
        return Ok(None);
    }
    let handled = |event| {
        has_object(
            ctx,
            &request.repository.name,
            request.number,
            &request.trigger,
            event,
        )
    };
    let outcome = report::settle_label(repo, request.number, name, handled).await?;
    let (reason, message) = outcome.condition(name);
    Ok(Some((outcome == LabelOutcome::Removed, reason, message)))
}

/// Whether a `labeled` event has become a build or an answer already.
pub fn has_object(
    ctx: &Context,
    repository: &str,
    number: i64,
    like: &Trigger,
    event: i64,
) -> bool {
    let trigger = Trigger {
        kind: TriggerKind::Label,
        event_id: event,
        ..like.clone()
    };
    let name = names::event_name(repository, number, &trigger);
    ctx.cache.builds.get(&name).is_some() || ctx.cache.answers.get(&name).is_some()
}
