//! What is said on the pull request when a build begins: one comment, and the label comes off.
//!
//! Both are done after the object exists and survive a crash between any two steps: the comment is
//! found again by its hidden marker, and a label that is gone already is gone.

use std::sync::Arc;

use crds::{PrBuild, Trigger, TriggerKind, condition::kind, names};
use kube::ResourceExt;

use crate::{
    context::{Context, Said},
    queue::Next,
    report::{announce, label},
};

/// Why talking did not succeed. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The comment.
    #[error("announcing build {build}: {source}")]
    Announce {
        /// The build.
        build: String,
        /// Why.
        source: announce::AnnounceError,
    },
    /// The label.
    #[error("taking the label of build {build} off: {source}")]
    Label {
        /// The build.
        build: String,
        /// Why.
        source: github::GithubError,
    },
}

/// Says what is to be said about a build at its start.
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
        say(&ctx, &uid, kind::ANNOUNCED, false, "Refused", gone.to_owned());
        say(&ctx, &uid, kind::LABEL_REMOVED, false, "Refused", gone.to_owned());
        return Ok(done(&ctx, &uid, &name));
    };
    let (announced, settled) = tokio::join!(
        announce(&ctx, &repo, &build, &uid),
        settle_label(&ctx, &repo, &build, &uid),
    );
    announced?;
    settled?;
    Ok(done(&ctx, &uid, &name))
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
        live.said.push(Said { kind, holds, reason, message });
    });
}

fn is_said(ctx: &Context, build: &PrBuild, uid: &str, kind: &str) -> bool {
    let live = ctx.live_builds.update(uid, |live| live.said.iter().any(|said| said.kind == kind && said.holds));
    let status = build.status.as_ref();
    live || status.is_some_and(|status| crds::condition::is_true(&status.conditions, kind))
}

async fn announce(ctx: &Context, repo: &github::Repo, build: &PrBuild, uid: &str) -> Result<(), TalkError> {
    if is_said(ctx, build, uid, kind::ANNOUNCED) {
        return Ok(());
    }
    let builders: Vec<(String, String)> = build
        .spec
        .request
        .builders
        .iter()
        .map(|name| {
            let builder = ctx.cache.builders.get(name);
            let display = builder.map_or_else(|| name.clone(), |found| found.spec.display_name.clone());
            (name.clone(), display)
        })
        .collect();
    let maybe = ctx.live_builds.update(uid, |live| std::mem::replace(&mut live.maybe_posted, true));
    match announce::announce(repo, build, &builders, maybe).await {
        Ok(comment) => {
            let message = format!("comment {comment}");
            say(ctx, uid, kind::ANNOUNCED, true, "CommentStands", message);
            Ok(())
        }
        Err(source) if source.is_refused() => {
            say(ctx, uid, kind::ANNOUNCED, false, "Refused", source.to_string());
            Ok(())
        }
        Err(source) => Err(TalkError::Announce { build: build.name_any(), source }),
    }
}

async fn settle_label(ctx: &Context, repo: &github::Repo, build: &PrBuild, uid: &str) -> Result<(), TalkError> {
    let request = &build.spec.request;
    let (TriggerKind::Label, Some(name)) = (request.trigger.kind, &request.trigger.label) else {
        say(ctx, uid, kind::LABEL_REMOVED, false, "NotNeeded", "no label asked for this build".to_owned());
        return Ok(());
    };
    if is_said(ctx, build, uid, kind::LABEL_REMOVED) {
        return Ok(());
    }
    let handled = |event| has_object(ctx, &request.repository.name, request.number, &request.trigger, event);
    match label::settle_label(repo, request.number, name, handled).await {
        Ok(outcome) => {
            let (holds, reason, message) = outcome.condition();
            say(ctx, uid, kind::LABEL_REMOVED, holds, reason, message);
            Ok(())
        }
        Err(source) => Err(TalkError::Label { build: build.name_any(), source }),
    }
}

/// Whether a `labeled` event has become a build or an answer already.
pub fn has_object(ctx: &Context, repository: &str, number: i64, like: &Trigger, event: i64) -> bool {
    let trigger = Trigger { kind: TriggerKind::Label, event_id: event, ..like.clone() };
    let name = names::event_name(repository, number, &trigger);
    ctx.cache.builds.get(&name).is_some() || ctx.cache.answers.get(&name).is_some()
}
