//! How long a run may wait before it begins.

use std::time::Duration;

use crds::{BuilderRun, RunPhase, condition::kind};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::outcome::Ending;
use crate::{
    admission::guard::{Hold, reason},
    build::summary::phase_of,
    context::Context,
    queue::Next,
    report::text,
};

/// How often a run looks whether it is still held, if no event tells.
const HELD_LOOKED_AT_EVERY: Duration = Duration::from_secs(60);

/// How long checks of other systems may take before waiting for them is like any queue: they may
/// hang for ever, and no run may.
const CHECKS_TAKE: SignedDuration = SignedDuration::from_hours(24);

/// What the API server gives as the reason of a refusal, without the name of what it refused: that
/// is new each time.
pub(super) fn why_forbidden(message: &str) -> &str {
    message
        .split_once("is forbidden: ")
        .map_or(message, |(_, why)| why)
}

/// A run that has not begun within its builder's queue timeout ends in error.
pub(crate) fn waited_too_long(
    ctx: &Context,
    run: &BuilderRun,
    why: Option<&str>,
) -> Option<Ending> {
    if queue_left(ctx, run)? > SignedDuration::ZERO {
        return None;
    }
    let limit = queue_limit(run);
    let limit = text::duration(limit.unsigned_abs());
    let why = why.unwrap_or("its machine was still being prepared");
    // A Job that nobody has seen may be there all the same.
    Some(
        Ending::new(
            RunPhase::Error,
            format!("did not start within {limit}: {why}"),
        )
        .stopping(),
    )
}

fn queue_limit(run: &BuilderRun) -> SignedDuration {
    let recipe = run.spec.task.recipe.as_ref();
    SignedDuration::from_secs(recipe.map_or(0, |recipe| recipe.timeouts.queue_seconds))
}

/// What tells since when a run waits in its builder's queue.
#[derive(Clone, Copy, Debug, Default)]
struct Waits<'a> {
    /// It was created.
    created: Timestamp,
    /// What held it let it go, in whole seconds.
    let_go: Option<Timestamp>,
    /// It may have a Job.
    begun: bool,
    /// What holds its build.
    hold: Option<&'a Hold>,
    /// Its build was held since then, as far as is written down.
    written: Option<Timestamp>,
}

impl Waits<'_> {
    /// Since when it queues; none while it is held, which is no queue.
    fn queues_since(self) -> Option<Timestamp> {
        let since = self.let_go.unwrap_or(self.created);
        if self.begun {
            return Some(since);
        }
        let held = match self.hold {
            Some(hold) => !hold.queues,
            // After a restart nobody has looked yet.
            None => {
                let written = self.written;
                written.is_some_and(|held| self.let_go.is_none_or(|let_go| let_go < held))
            }
        };
        (!held).then_some(since)
    }
}

/// Since when a run queues; none while its build is held.
fn queues_since(ctx: &Context, run: &BuilderRun) -> Option<Timestamp> {
    let live = ctx
        .live
        .get(run.metadata.uid.as_deref().unwrap_or_default());
    let owner = &run.spec.pr_build;
    let hold = ctx.live_builds.update(&owner.uid, |live| live.hold.clone());
    let build = ctx.cache.builds.get(&owner.name);
    let admitted = build.as_ref();
    let admitted = admitted.and_then(|build| build.condition(kind::ADMITTED));
    let held = admitted
        .filter(|held| held.status == "False" && reason::HELD.contains(&held.reason.as_str()));
    let created = run.creation_timestamp().map(|time| time.0);
    Waits {
        created: created.unwrap_or_else(Timestamp::now),
        let_go: live.released.max(written(run)),
        begun: live.granted || phase_of(run) != RunPhase::Queued,
        hold: hold.as_ref(),
        written: held.map(|held| held.last_transition_time.0),
    }
    .queues_since()
}

fn written(run: &BuilderRun) -> Option<Timestamp> {
    let status = run.status.as_ref()?;
    status.queued_since.as_ref().map(|since| since.0)
}

/// Lets the queue timeout of a run begin, if its build was held until now.
pub fn let_go(ctx: &Context, run: &BuilderRun) {
    if queues_since(ctx, run).is_none() {
        let now = whole_second();
        let uid = run.metadata.uid.as_deref().unwrap_or_default();
        ctx.live.update(uid, |live| live.released = Some(now));
    }
}

/// Now, as precisely as it is written down.
pub(super) fn whole_second() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Since when a run queues, where that is known and not written down yet. A restart must not count
/// the time before.
pub(super) fn unwritten(ctx: &Context, run: &BuilderRun) -> Option<Time> {
    let uid = run.metadata.uid.as_deref().unwrap_or_default();
    let known = ctx.live.get(uid).released?;
    (written(run) < Some(known)).then_some(Time(known))
}

fn checks_given_up(ctx: &Context, run: &BuilderRun) -> Option<Timestamp> {
    let build = ctx.cache.builds.get(&run.spec.pr_build.name)?;
    let held = build.condition(kind::ADMITTED)?;
    given_up(&held.reason, held.last_transition_time.0)
}

/// From when the queue timeout counts of a run that is held for this reason since then.
fn given_up(held_for: &str, since: Timestamp) -> Option<Timestamp> {
    (held_for == reason::CHECKS).then(|| since + CHECKS_TAKE)
}

/// What is left of the queue timeout; none while it does not count.
fn queue_left(ctx: &Context, run: &BuilderRun) -> Option<SignedDuration> {
    let since = queues_since(ctx, run).or_else(|| checks_given_up(ctx, run))?;
    Some(queue_limit(run) - Timestamp::now().duration_since(since))
}

pub(super) fn queue_time_left(ctx: &Context, run: &BuilderRun) -> Next {
    let Some(left) = queue_left(ctx, run) else {
        return Next::After(HELD_LOOKED_AT_EVERY);
    };
    let left = Duration::try_from(left).unwrap_or_default();
    Next::After(left.max(Duration::from_millis(100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_that_hang_are_given_up_after_a_day_and_a_pause_never() {
        let held = Timestamp::from_second(1_000).unwrap();
        let a_day_later = Timestamp::from_second(1_000 + 86_400).unwrap();
        assert_eq!(given_up(reason::CHECKS, held), Some(a_day_later));
        assert_eq!(given_up(reason::PAUSED, held), None);
    }

    #[test]
    fn the_queue_timeout_counts_from_when_a_run_is_let_go_and_not_while_it_is_held() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let held = Hold::new(reason::LIMIT, "the limit");
        let absent = Hold {
            queues: true,
            ..Hold::new(reason::CHECKS, "has not begun yet")
        };
        let created = Waits {
            created: at(1),
            ..Waits::default()
        };
        let let_go = Waits {
            let_go: Some(at(50)),
            ..created
        };
        let since = |waits: Waits<'_>| waits.queues_since().map(Timestamp::as_second);
        let hold = |hold, waits| Waits {
            hold: Some(hold),
            ..waits
        };
        let written = |second, waits| Waits {
            written: Some(at(second)),
            ..waits
        };
        let begun = |waits| Waits {
            begun: true,
            ..waits
        };
        for (number, (waits, expected)) in [
            (created, Some(1)),
            (let_go, Some(50)),
            (hold(&held, created), None),
            (hold(&held, let_go), None),
            (hold(&absent, created), Some(1)),
            (hold(&absent, let_go), Some(50)),
            (begun(hold(&held, let_go)), Some(50)),
            // After a restart.
            (written(20, created), None),
            (written(20, let_go), Some(50)),
            (written(60, let_go), None),
            (begun(written(20, created)), Some(1)),
            (hold(&absent, written(20, created)), Some(1)),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(since(waits), expected, "{number}: {waits:?}");
        }
    }
}
