//! What a run on a worker needs next. I/O: the decisions are in [`watch`](super::watch), [`outcome`](super::outcome)
//! and [`fleet`](super::fleet).

use std::sync::Arc;
use std::time::Duration;

use crds::{Assignment, BuilderRun, RunPhase, Waiting, Worker};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use protocol::worker::key::PublicKey;
use serde_json::json;
use tokio::time::Instant;

use super::capacity::{self, DECLINED_FOR, is_there};
use super::object::{cancel_there, delete, find, learn};
use super::outcome;
use super::watch::{Stands, stands};
use crate::build::{stop, summary::phase_of};
use crate::context::{Context, now};
use crate::live::DeclinedBy;
use crate::metrics::Verb;
use crate::queue::Next;
use crate::run::outcome::Ending;
use crate::run::{RunError, end, failed, tell, waited_too_long, write_waiting};

/// How soon the watch brings an object that was just made.
const EXPECTED_AFTER: Duration = Duration::from_secs(5);
/// How often a run on a worker is looked at, whatever happens.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often what waits for a worker, and has a slot of its builder, asks again.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// That a worker has a run is written when it has lasted this long, by a time that has no parts of a second: a run
/// that ends at once takes one write less.
const RUNNING_WRITTEN_AFTER: Duration = Duration::from_secs(2);

/// Signs and creates the Assignment of a run that may begin. Its name is the run's uid, so that doing it twice meets
/// the first one.
pub async fn begin(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, RunError> {
    let chosen = ctx
        .live
        .get(uid)
        .chosen
        .map_or_else(|| capacity::admit(ctx, run), Ok);
    let choice = match chosen {
        Ok(choice) => choice,
        Err(why) => return wait(ctx, run, uid, why).await,
    };
    let (Some(recorder), Some(shipping)) = (&ctx.recorder, &ctx.setup.shipping) else {
        let why = "its builder runs on a worker, and this operator has no gateway: set --gateway and --signing-key";
        return end(ctx, run, uid, Ending::new(RunPhase::Error, why)).await;
    };
    let ordered = recorder.order(run, &choice, shipping.log_limit);
    let assignment = match ordered {
        Ok(assignment) => assignment,
        Err(error) => {
            let why = format!("its assignment cannot be signed: {error}");
            return end(ctx, run, uid, Ending::new(RunPhase::Error, why)).await;
        }
    };
    ctx.metrics.wrote(Verb::Create, "assignments");
    match crate::api::create(&ctx.api.assignments, &assignment).await {
        Ok(made) => {
            ctx.admitted(run);
            learn(ctx, made);
        }
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => return Err(failed("creating its Assignment", run)(error)),
    }
    // What is promised stands in the Assignment from here on, once it is known.
    let chosen = (!is_there(ctx, uid)).then_some(choice);
    ctx.live.update(uid, |live| {
        live.granted = true;
        live.chosen = chosen;
        live.job_since = Some(Instant::now());
    });
    Ok(Next::After(EXPECTED_AFTER))
}

/// Says what a run waits for that may begin and finds no worker.
async fn wait(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    why: String,
) -> Result<Next, RunError> {
    if let Some(ending) = waited_too_long(ctx, run, Some(&why)) {
        return end(ctx, run, uid, ending).await;
    }
    let waiting = waiting(ctx, uid, why);
    let next = write_waiting(ctx, run, uid, &waiting, RunPhase::Queued).await?;
    Ok(next.or(Next::After(ASK_EVERY)))
}

/// A run that has, or had, an Assignment.
pub async fn follow(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, RunError> {
    let Some(assignment) = find(ctx, run, uid).await? else {
        return without(ctx, run, uid).await;
    };
    let status = assignment.status.as_ref();
    let holder = status.and_then(|status| status.worker.clone());
    let named = holder.as_ref().or(assignment.spec.to.first());
    let worker = match named {
        Some(name) => worker(ctx, run, name).await?,
        None => None,
    };
    let keys = worker.as_deref().map_or_else(Vec::new, keys_of);
    if let Some(ending) = outcome::ending(run, &assignment, &keys) {
        let mut run = run.clone();
        run.status.get_or_insert_default().worker = holder;
        return end(ctx, &run, uid, ending).await;
    }
    let longest = run.spec.task.recipe.as_ref();
    let longest = longest.map_or(0, |recipe| recipe.timeouts.run_seconds);
    match stands(&assignment, worker.as_deref(), longest, Timestamp::now()) {
        Stands::Offered { .. } => offered(ctx, run, uid, &assignment).await,
        Stands::TakeBack { declined } => take_back(ctx, run, uid, &assignment, declined).await,
        Stands::Running { worker, since } => {
            let first = ctx.pressure.courtesy(RUNNING_WRITTEN_AFTER);
            let lasted = Timestamp::now().duration_since(since);
            let lasted = Duration::try_from(lasted).unwrap_or_default();
            if lasted < first && !matches!(phase_of(run), RunPhase::Running | RunPhase::Lost) {
                return Ok(Next::After(first - lasted));
            }
            runs(ctx, run, RunPhase::Running, &worker, since, None).await
        }
        Stands::Lost {
            worker,
            since,
            sentence,
        } => {
            let waiting = waiting(ctx, uid, sentence);
            runs(ctx, run, RunPhase::Lost, &worker, since, Some(waiting)).await
        }
        Stands::TooLong => {
            let cancel = stop::ours(outcome::TOO_LONG.to_owned(), now());
            cancel_there(ctx, run, &assignment, &cancel).await?;
            Ok(Next::After(LOOK_EVERY))
        }
        Stands::Over { reason, retried } => {
            // What is not tried again is stopped when its worker comes back; else the object goes, and is the fence.
            if !retried {
                let ending = Ending::new(RunPhase::Error, reason).stopping();
                return end(ctx, run, uid, ending).await;
            }
            match delete(ctx, run, &assignment).await? {
                true => end(ctx, run, uid, Ending::infrastructure(reason)).await,
                false => Ok(Next::After(Duration::from_secs(1))),
            }
        }
    }
}

/// A run whose Assignment is gone.
async fn without(ctx: &Arc<Context>, run: &BuilderRun, uid: &str) -> Result<Next, RunError> {
    match phase_of(run) {
        RunPhase::Running | RunPhase::Lost => {
            let ending = Ending::infrastructure("its Assignment was deleted");
            end(ctx, run, uid, ending).await
        }
        _ => queue_again(ctx, run, uid, "its Assignment was deleted".to_owned()).await,
    }
}

async fn offered(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    assignment: &Assignment,
) -> Result<Next, RunError> {
    let why = match assignment.spec.to.as_slice() {
        [one] => format!("offered to `{one}`"),
        several => format!("offered to {} workers", several.len()),
    };
    let waiting = waiting(ctx, uid, why);
    let next = write_waiting(ctx, run, uid, &waiting, RunPhase::Dispatched).await?;
    Ok(next.or(Next::After(LOOK_EVERY)))
}

/// Takes an assignment back that nobody accepted: unless somebody accepts it at this moment.
async fn take_back(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    assignment: &Assignment,
    declined: Vec<(String, String)>,
) -> Result<Next, RunError> {
    if !delete(ctx, run, assignment).await? {
        return Ok(Next::After(Duration::from_secs(1)));
    }
    let why = match declined.first() {
        Some((worker, reason)) => format!("`{worker}` declined: {reason}"),
        None => "nobody took it".to_owned(),
    };
    // Else it would be offered to the next one, and the next, for ever: who keeps its slot begins at once.
    if let Some(ending) = waited_too_long(ctx, run, Some(&why)) {
        return end(ctx, run, uid, ending).await;
    }
    ctx.live.update(uid, |live| {
        note(&mut live.declined, declined, Instant::now())
    });
    queue_again(ctx, run, uid, why).await
}

/// Notes who declined a run, and forgets those who may be asked again: a run can wait for a week.
fn note(known: &mut Vec<DeclinedBy>, declined: Vec<(String, String)>, at: Instant) {
    known.retain(|by| at.duration_since(by.at) < DECLINED_FOR);
    let declined = declined.into_iter();
    known.extend(declined.map(|(worker, reason)| DeclinedBy { worker, reason, at }));
}

/// A run waits again. A slot of its builder that is written down stays its own.
async fn queue_again(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    uid: &str,
    why: String,
) -> Result<Next, RunError> {
    ctx.live.update(uid, |live| {
        live.job_since = None;
        live.chosen = None;
        live.waiting_written = None;
    });
    crate::run::give_back(ctx, run, uid);
    let waiting = waiting(ctx, uid, why);
    if phase_of(run) != RunPhase::Queued {
        let status = json!({ "phase": RunPhase::Queued, "waiting": waiting });
        let written = ctx.patch_run(run, status).await;
        written.map_err(failed("writing that it waits again", run))?;
        ctx.queues.builds.add(&run.spec.pr_build.name);
    }
    ctx.admission.wake();
    Ok(Next::After(Duration::ZERO))
}

/// Writes down that a run is on a worker, and whether that is heard of.
async fn runs(
    ctx: &Arc<Context>,
    run: &BuilderRun,
    phase: RunPhase,
    worker: &str,
    since: Timestamp,
    waiting: Option<Waiting>,
) -> Result<Next, RunError> {
    let status = run.status.clone().unwrap_or_default();
    let said = status.waiting.as_ref().map(|waiting| &waiting.reason);
    let same = said == waiting.as_ref().map(|waiting| &waiting.reason);
    if status.phase == phase && same && status.worker.as_deref() == Some(worker) {
        return Ok(Next::After(LOOK_EVERY));
    }
    let patch = json!({
        "phase": phase,
        "worker": worker,
        "startedAt": Time(since),
        "waiting": waiting,
        "report": tell::pending_report(ctx, run),
    });
    let written = ctx.patch_run(run, patch).await;
    written.map_err(failed("writing that it runs", run))?;
    ctx.queues.builds.add(&run.spec.pr_build.name);
    Ok(Next::After(LOOK_EVERY))
}

async fn worker(
    ctx: &Context,
    run: &BuilderRun,
    name: &str,
) -> Result<Option<Arc<Worker>>, RunError> {
    if let Some(found) = ctx.cache.workers.get(name) {
        return Ok(Some(found));
    }
    let found = ctx.api.workers.get_opt(name).await;
    Ok(found
        .map_err(failed("looking at its Worker", run))?
        .map(Arc::new))
}

fn keys_of(worker: &Worker) -> Vec<PublicKey> {
    let keys = worker.spec.public_keys.iter();
    keys.filter_map(|key| PublicKey::parse(key).ok()).collect()
}

/// What a run waits for, since when it is that.
fn waiting(ctx: &Context, uid: &str, reason: String) -> Waiting {
    ctx.live.update(uid, |live| {
        let known = live.waiting.take().filter(|known| known.reason == reason);
        let waiting = known.unwrap_or_else(|| Waiting {
            reason,
            ahead: 0,
            since: now(),
        });
        live.waiting = Some(waiting.clone());
        waiting
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_declined_is_remembered_until_they_are_asked_again_and_no_longer() {
        let by = |worker: &str| vec![(worker.to_owned(), "its disk is full".to_owned())];
        let (mut known, start) = (Vec::new(), Instant::now());
        let second = Duration::from_secs(1);
        note(&mut known, by("one"), start);
        note(&mut known, by("two"), start + DECLINED_FOR - second);
        assert_eq!(known.len(), 2);
        for round in 1..100 {
            note(&mut known, by("one"), start + DECLINED_FOR * round);
            assert!(known.len() <= 2, "{known:?}");
        }
        assert_eq!(known.len(), 1, "{known:?}");
    }
}
