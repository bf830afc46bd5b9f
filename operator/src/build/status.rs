//! Pure: the status of a build.

use std::{sync::Arc, time::Duration};

use crds::{
    BuildPhase, BuilderResult, BuilderRun, Cancel, PrBuild, PrBuildStatus, RunPhase,
    condition::{self, kind},
    names,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    stop,
    summary::{self, Summary},
};
use crate::{
    admission::guard::reason as held,
    context::{LiveBuild, now},
    pressure::Pressure,
    report::{Pages, text},
};

/// The first status of a build is written this long after its first look, so that what happens at
/// once takes one write.
pub(super) const FIRST_WRITE_AFTER: Duration = Duration::from_millis(300);
/// Later ones come at most this often.
const WRITE_EVERY: Duration = Duration::from_secs(2);
/// A complete build waits this long for its comment and label, to be written once.
const TALK_PATIENCE: Duration = Duration::from_secs(1);

/// Whether what is to be said on the pull request at the start was said.
pub(super) fn is_talked(status: &PrBuildStatus) -> bool {
    [kind::ANNOUNCED, kind::LABEL_REMOVED]
        .iter()
        .all(|kind| condition::find(&status.conditions, kind).is_some_and(is_settled))
}

/// Whether a condition holds, or will not come to hold.
pub(super) fn is_settled(found: &Condition) -> bool {
    found.status == "True"
        || ["NotNeeded", "Refused", "AddedAgain"].contains(&found.reason.as_str())
}

/// When a changed status is to be written. On a busy cluster that is later, see [`Pressure`].
pub(super) fn due(live: &LiveBuild, talked: bool, pressure: &Pressure) -> Instant {
    match (live.ended, talked) {
        (Some(_), true) => Instant::now(),
        (Some(ended), false) => {
            let since = live.written.map_or(ended, |written| written.max(ended));
            since + pressure.courtesy(TALK_PATIENCE)
        }
        (None, _) => match live.written {
            Some(written) => written + pressure.courtesy(WRITE_EVERY),
            None => live.seen + pressure.courtesy(FIRST_WRITE_AFTER),
        },
    }
}

/// The status that a build should have.
pub(super) fn status(
    build: &PrBuild,
    old: &PrBuildStatus,
    sum: &Summary,
    runs: &[Arc<BuilderRun>],
    live: &LiveBuild,
    pages: Option<&Pages>,
) -> PrBuildStatus {
    let conditions = conditions(build, old, sum, live);
    let comment_id = live.comment.id.or(old.comment_id);
    if old.phase == BuildPhase::Complete {
        // Its runs are collected after a while; what they said stays.
        return PrBuildStatus {
            conditions,
            comment_id,
            ..old.clone()
        };
    }
    let created = build.creation_timestamp().map(|time| time.0);
    PrBuildStatus {
        phase: match (sum.result, &build.spec.cancel) {
            (Some(_), _) => BuildPhase::Complete,
            (None, Some(cancel)) if !cancel.waiting_only => BuildPhase::Cancelling,
            (None, _) => BuildPhase::Running,
        },
        result: sum.result,
        counts: sum.counts,
        short_sha: names::short_sha(&build.spec.request.head_sha),
        summary: sum.line.clone(),
        reason: reason(build, runs, live),
        completed_at: sum.result.map(|_| sum.finished.map_or_else(now, Time)),
        duration: created
            .zip(sum.finished)
            .and_then(|(from, to)| text::between(from, to)),
        results: pages.map_or_else(|| sum.results.clone(), |pages| linked(sum, runs, pages)),
        conditions,
        comment_id,
    }
}

/// Each builder's last attempt, with its page.
fn linked(sum: &Summary, runs: &[Arc<BuilderRun>], pages: &Pages) -> Vec<BuilderResult> {
    let last = summary::last_attempts(runs);
    let linked = sum.results.iter().map(|result| {
        let run = last.get(&result.builder);
        let run = run.filter(|run| run.spec.attempt == result.attempt);
        BuilderResult {
            url: run.map(|run| pages.of_run(run)),
            ..result.clone()
        }
    });
    linked.collect()
}

/// What is said of a build that was cancelled, and of its runs.
pub(super) const CANCELLED: &str = "cancelled";

/// Why it ended as it did, or does not begin: the cancellation, what it waits for, the first error,
/// the first run that was cancelled.
fn reason(build: &PrBuild, runs: &[Arc<BuilderRun>], live: &LiveBuild) -> Option<String> {
    if let Some(cancel) = &build.spec.cancel {
        return Some(cancelled(cancel));
    }
    if let Some(hold) = live
        .hold
        .as_ref()
        .filter(|hold| hold.reason != held::DROPPED)
    {
        return Some(hold.sentence.clone());
    }
    let last = summary::last_attempts(runs);
    let mut why_cancelled = None;
    for run in last.values() {
        let outcome = run
            .status
            .as_ref()
            .and_then(|status| status.outcome.as_ref());
        match (summary::phase_of(run), outcome) {
            (RunPhase::Error, Some(outcome)) => return Some(outcome.reason.clone()),
            (RunPhase::Cancelled, Some(outcome)) if why_cancelled.is_none() => {
                why_cancelled = Some(outcome.reason.clone());
            }
            (phase, _) if !phase.is_terminal() && why_cancelled.is_none() => {
                why_cancelled = run.spec.cancel.as_ref().map(stop::sentence);
            }
            _ => {}
        }
    }
    let why = why_cancelled.or_else(|| live.hold.as_ref().map(|hold| hold.sentence.clone()));
    why.map(|why| format!("{CANCELLED}: {why}"))
}

fn cancelled(cancel: &Cancel) -> String {
    let Cancel { by, reason, .. } = cancel;
    match cancel.waiting_only {
        true => format!("{CANCELLED} what had not started, by {by}: {reason}"),
        false => format!("{CANCELLED} by {by}: {reason}"),
    }
}

/// Whether the runs of a build may start, where that is or was in question.
fn admitted<'a>(
    old: &PrBuildStatus,
    sum: &Summary,
    live: &'a LiveBuild,
) -> Option<(bool, &'static str, &'a str)> {
    if let Some(hold) = &live.hold {
        return Some((false, hold.reason, &hold.sentence));
    }
    let before = condition::find(&old.conditions, kind::ADMITTED)?;
    // After a restart nobody knows what kept it, but it has begun.
    let begun = sum.counts.running + sum.counts.passed + sum.counts.failed > 0;
    let open = before.status == "False" && before.reason != held::DROPPED && (live.opened || begun);
    open.then_some((true, held::OPEN, "its runs may start"))
}

fn conditions(
    build: &PrBuild,
    old: &PrBuildStatus,
    sum: &Summary,
    live: &LiveBuild,
) -> Vec<Condition> {
    let mut all = old.conditions.clone();
    let total = build.spec.request.builders.len();
    let dispatched = match total {
        1 => "1 run was made".to_owned(),
        more => format!("{more} runs were made"),
    };
    condition::set(
        &mut all,
        kind::DISPATCHED,
        true,
        "RunsExist",
        &dispatched,
        now(),
    );
    for said in &live.said {
        condition::set(
            &mut all,
            said.kind,
            said.holds,
            said.reason,
            &said.message,
            now(),
        );
    }
    if let Some((holds, reason, message)) = admitted(old, sum, live) {
        // Checks are waited for so long and no longer: what kept the build before them does not count.
        all.retain(|found| found.type_ != kind::ADMITTED || found.reason == reason);
        condition::set(&mut all, kind::ADMITTED, holds, reason, message, now());
    }
    let reported = condition::is_true(&old.conditions, kind::REPORTED);
    if sum.result.is_some() && !reported {
        let (reason, message) = match (&sum.untold, &sum.refused) {
            (None, Some(why)) => (
                "NotAllTaken",
                format!("GitHub does not take every result: {why}"),
            ),
            (None, None) => (
                "AllTaken",
                "GitHub has the result of every builder".to_owned(),
            ),
            (Some(why), _) => (
                "Waiting",
                format!("GitHub has not taken every result yet: {why}"),
            ),
        };
        condition::set(
            &mut all,
            kind::REPORTED,
            sum.untold.is_none(),
            reason,
            &message,
            now(),
        );
    }
    all
}

/// A merge patch of what changed. A field that is gone becomes null.
pub(super) fn changed(old: &PrBuildStatus, new: &PrBuildStatus) -> serde_json::Value {
    let object = |status: &PrBuildStatus| match serde_json::to_value(status) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, mut new) = (object(old), object(new));
    let gone: Vec<String> = old
        .keys()
        .filter(|field| !new.contains_key(*field))
        .cloned()
        .collect();
    new.retain(|field, value| old.get(field) != Some(value));
    new.extend(
        gone.into_iter()
            .map(|field| (field, serde_json::Value::Null)),
    );
    serde_json::Value::Object(new)
}

#[cfg(test)]
mod tests {
    use crds::Counts;

    use super::*;
    use crate::admission::guard::{Hold, tests::build};

    /// The condition of a build that is kept for this reason.
    fn kept(reason: &'static str, old: &PrBuildStatus) -> Condition {
        let sum = Summary {
            counts: Counts::default(),
            results: Vec::new(),
            line: String::new(),
            result: None,
            untold: None,
            refused: None,
            finished: None,
        };
        let live = LiveBuild {
            hold: Some(Hold::new(reason, "why")),
            ..LiveBuild::default()
        };
        let all = conditions(&build(), old, &sum, &live);
        assert_eq!(all.len(), 2, "{all:?}");
        condition::find(&all, kind::ADMITTED).cloned().unwrap()
    }

    #[test]
    fn since_when_checks_are_waited_for_counts_no_pause_before_them() {
        let (mut paused, long_ago) = (PrBuildStatus::default(), Time(jiff::Timestamp::UNIX_EPOCH));
        let all = &mut paused.conditions;
        condition::set(
            all,
            kind::ADMITTED,
            false,
            held::PAUSED,
            "why",
            long_ago.clone(),
        );
        let still = kept(held::PAUSED, &paused);
        assert_eq!(still.last_transition_time, long_ago);
        let checks = kept(held::CHECKS, &paused);
        assert_eq!(checks.reason, held::CHECKS);
        assert!(checks.last_transition_time.0 > long_ago.0);
    }
}
