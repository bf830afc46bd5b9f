//! Gives answers: what a person is told about an event that makes no build. Then the label comes
//! off, so that it can be added again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crds::{Answer, AnswerReason, AnswerStatus, BuilderRun, PrBuild, Repository, TriggerKind};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    build::{
        REPOSITORY_LOOKED_FOR_EVERY, has_object,
        summary::{phase_of, summarize},
    },
    cache::version_of,
    context::{Context, of_build, patch_status, trim},
    metrics::Verb,
    queue::Next,
    report::{
        LabelOutcome, Retry, TalkError, answer,
        pace::Cost,
        reply::{self, Build, Live},
        restraint::{self, Voice},
        sentence::House,
        settle_label,
    },
};

/// Pause before another try where a person has to change something first.
const SLOWLY: Duration = Duration::from_secs(300);

/// Why an answer could not be given yet. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// GitHub.
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// The status of the answer.
    #[error("the status of answer {name} could not be written: {source}")]
    Write {
        /// The answer.
        name: String,
        /// Why.
        source: kube::Error,
    },
}

/// Brings one answer further.
///
/// # Errors
/// A call that may succeed soon.
pub async fn reconcile(ctx: Arc<Context>, name: String) -> Result<Next, AnswerError> {
    let Some(answer) = ctx.cache.answers.get(&name) else {
        return Ok(Next::Wait);
    };
    let status = answer.status.clone().unwrap_or_default();
    if status.given.is_some() && status.label_settled {
        return Ok(Next::Wait);
    }
    match bring_further(&ctx, &answer, status.clone()).await {
        Err(AnswerError::Talk(error)) => match error.retry() {
            Retry::Soon => Err(error.into()),
            Retry::After(wait) => Ok(Next::After(wait)),
            Retry::Slowly => {
                tracing::warn!(answer = name, %error, "an answer could not be given; somebody has to look");
                Ok(Next::After(SLOWLY))
            }
            Retry::Never => {
                tracing::warn!(answer = name, %error, "an answer cannot be given; the pull request is gone");
                let given = status.given.or(Some(answer::given::FAILED.to_owned()));
                write(
                    &ctx,
                    &answer,
                    AnswerStatus {
                        given,
                        label_settled: true,
                        ..AnswerStatus::default()
                    },
                )
                .await?;
                forget(&ctx, &answer);
                Ok(Next::Wait)
            }
        },
        done => done,
    }
}

async fn bring_further(
    ctx: &Context,
    answer: &Answer,
    status: AnswerStatus,
) -> Result<Next, AnswerError> {
    let Some((repo, house)) = repo(ctx, answer) else {
        // Its Repository or the connection is away, perhaps for as long as somebody makes it anew: the
        // person is answered once it is back, and nobody after the days that answers are kept.
        return Ok(Next::After(REPOSITORY_LOOKED_FOR_EVERY));
    };
    let mut new = give(ctx, &repo, answer, &house, &status).await?;
    let spec = &answer.spec;
    let label = spec
        .trigger
        .label
        .as_ref()
        .filter(|_| spec.trigger.kind == TriggerKind::Label);
    if label.is_some() && new != status {
        // Before the label goes: the next labelling is compared with the time of this answer.
        write(ctx, answer, new.clone()).await?;
    }
    if let Some(label) = label {
        let handled = |event| {
            has_object(
                ctx,
                &spec.repository.name,
                spec.number,
                &spec.trigger,
                event,
            )
        };
        let outcome = settle_label(&repo, spec.number, label, handled).await?;
        if let LabelOutcome::LeftFor(event) = outcome {
            tracing::info!(
                answer = answer.name_any(),
                event,
                "the label was added again and stays for the gate"
            );
        }
    }
    new.label_settled = true;
    write(ctx, answer, new).await?;
    forget(ctx, answer);
    Ok(Next::Wait)
}

/// Forgets an answer of which nothing is left to say.
fn forget(ctx: &Context, answer: &Answer) {
    ctx.live_builds.forget(&answer.uid().unwrap_or_default());
}

/// Says it, where it is to be said and was not yet.
async fn give(
    ctx: &Context,
    repo: &github::Repo,
    answer: &Answer,
    house: &House,
    status: &AnswerStatus,
) -> Result<AnswerStatus, TalkError> {
    let connection = repo.connection().name();
    let first = match status.given {
        Some(_) => Voice::Silent,
        None => voice(ctx, connection, answer),
    };
    let cost = match first {
        Voice::Comment(_) => Cost::Answer,
        Voice::Reaction => Cost::Reaction,
        // Nobody waits for a turn to say nothing.
        Voice::Silent | Voice::Withheld => {
            if first == Voice::Withheld {
                ctx.reporter.metrics().withheld();
            }
            return answer::give(repo, answer, house, first, false).await;
        }
    };
    let uid = answer.uid().unwrap_or_default();
    let maybe_given = ctx
        .live_builds
        .update(&uid, |live| std::mem::replace(&mut live.maybe_posted, true));
    // After all that builds say, and within what GitHub allows.
    let mut turn = ctx.reporter.turn(connection, cost).await;
    // A newer one may have been given meanwhile.
    let voice = voice(ctx, connection, answer);
    let given = answer::give(repo, answer, house, voice, maybe_given).await;
    if let Err(error) = &given {
        turn.heard(&error.source);
    }
    given
}

/// How it is given, after what was said on this connection.
fn voice(ctx: &Context, connection: &str, answer: &Answer) -> Voice {
    let repositories = ctx.cache.repositories.all();
    let names: HashSet<String> = repositories
        .iter()
        .filter(|repository| repository.spec.connection == connection)
        .map(|repository| repository.name_any())
        .collect();
    let all = ctx.cache.answers.all();
    let others = all.iter().map(Arc::as_ref);
    restraint::voice(
        answer,
        others.filter(|other| names.contains(&other.spec.repository.name)),
    )
}

/// Where the answer is given, and how it is worded there.
fn repo(ctx: &Context, answer: &Answer) -> Option<(github::Repo, House)> {
    let repository = ctx.cache.repositories.get(&answer.spec.repository.name)?;
    let connection = ctx.connections.get(&repository.spec.connection)?;
    let (owner, name) = answer.spec.repository.full_name.split_once('/')?;
    let reply = match answer.spec.reason {
        AnswerReason::Help => Some(reply::help(&repository, &ctx.cache.builders.all())),
        AnswerReason::Status => Some(status(ctx, answer, &repository, connection.git_url())),
        _ => None,
    };
    let house = House {
        reply,
        ..House::of(&repository)
    };
    Some((connection.repo(owner, name), house))
}

/// How the builds of the answer's pull request stand, by what this process knows.
fn status(ctx: &Context, answer: &Answer, repository: &Repository, web: &str) -> String {
    let spec = &answer.spec;
    let builds = ctx.cache.builds.all();
    let ours = builds.iter().filter(|build| {
        let request = &build.spec.request;
        request.repository.id == spec.repository.id && request.number == spec.number
    });
    let builds = ours.map(|build| stands(ctx, build, web)).collect();
    let commands = &repository.spec.commands;
    reply::status(
        builds,
        repository.spec.paused,
        &commands.prefix,
        Timestamp::now(),
    )
}

fn stands(ctx: &Context, build: &PrBuild, web: &str) -> Build {
    let request = &build.spec.request;
    let uid = build.uid().unwrap_or_default();
    let runs = ctx.cache.runs.group(&of_build(&uid));
    let (attempts, missing) = ctx.live_builds.update(&uid, |live| {
        (live.attempts.clone(), live.missing_told.clone())
    });
    let status = build.status.as_ref();
    let is_complete = status.is_some_and(|status| status.result.is_some());
    // Runs are gone an hour after their build; its own sum stays.
    let totals = match runs.is_empty() {
        true => status.map_or_else(String::new, |status| status.summary.clone()),
        false => summarize(build, &runs, &attempts, &missing).line,
    };
    let comment = status.and_then(|status| status.comment_id).map(|id| {
        let (web, name) = (web.trim_end_matches('/'), &request.repository.full_name);
        format!("{web}/{name}/pull/{}#issuecomment-{id}", request.number)
    });
    let trigger = &request.trigger;
    Build {
        head_sha: request.head_sha.clone(),
        user: trigger.user.login.clone(),
        asked: trigger.label.clone().or_else(|| trigger.command.clone()),
        at: trigger.time.0,
        totals,
        is_complete,
        is_cancelled: build
            .spec
            .cancel
            .as_ref()
            .is_some_and(|cancel| !cancel.waiting_only),
        comment,
        live: runs.iter().filter_map(|run| live(ctx, run)).collect(),
    }
}

/// A run that waits or runs. What it waits for is known here more exactly than it is written down.
fn live(ctx: &Context, run: &BuilderRun) -> Option<Live> {
    let phase = phase_of(run);
    if phase.is_terminal() {
        return None;
    }
    let status = run.status.clone().unwrap_or_default();
    let known = ctx.live.get(&run.uid().unwrap_or_default()).waiting;
    let waiting = known.or(status.waiting);
    let since = status
        .started_at
        .or(waiting.as_ref().map(|waiting| waiting.since.clone()));
    Some(Live {
        builder: run.spec.task.display_name.clone(),
        phase,
        because: waiting.map_or_else(String::new, |waiting| waiting.reason),
        since: since
            .or_else(|| run.creation_timestamp())
            .map(|time| time.0),
    })
}

async fn write(ctx: &Context, answer: &Answer, status: AnswerStatus) -> Result<(), AnswerError> {
    ctx.metrics.wrote(Verb::Patch, "answers");
    let name = answer.name_any();
    match patch_status(&ctx.api.answers, answer, serde_json::json!(status)).await {
        Ok(written) => {
            ctx.cache
                .answers
                .learn(&name, version_of(&written), trim(written));
            Ok(())
        }
        Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(source) => Err(AnswerError::Write { name, source }),
    }
}
