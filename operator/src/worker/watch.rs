//! Pure: what the state of an assignment means, before it has a result.

use crds::{Assignment, Worker, condition};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::order::ACCEPTED_WITHIN;

/// How long after the end of its lease a pool's run is given up: clocks differ, and the agent stopped it before.
const LEASE_SLACK: SignedDuration = SignedDuration::from_secs(60);
/// How long a run waits for the one worker that has it and is away.
pub const LOST_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How much longer than its steps may take a run may be on its worker, which stops them itself.
const SLACK: SignedDuration = SignedDuration::from_hours(2);

/// How long a worker that is there may take to stop a run and to deliver its end.
const STOPPED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// How long a worker that is there may take to deliver the end of what it says has ended: one that was away comes
/// back within as much.
const DELIVERED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// What an assignment without a result needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Nobody has taken it yet.
    Offered {
        /// When it is taken back.
        until: Timestamp,
    },
    /// It is to be taken back: why, and who declined it.
    TakeBack {
        /// Workers with their reasons.
        declined: Vec<(String, String)>,
    },
    /// A worker has it.
    Running {
        /// Which one.
        worker: String,
        /// Since when.
        since: Timestamp,
    },
    /// The worker that has it is away; the sentence says since when.
    Lost {
        /// Which one.
        worker: String,
        /// Since when it runs there.
        since: Timestamp,
        /// What people read.
        sentence: String,
    },
    /// It has to be stopped on its worker: it takes longer than it may.
    TooLong,
    /// It will never end: why. Nobody runs it any more, or nobody says so.
    Over {
        /// A sentence.
        reason: String,
        /// Another attempt may be made.
        retried: bool,
    },
}

/// What an assignment without a result needs. `worker` is the one that has it, or the only one that may.
pub fn stands(
    assignment: &Assignment,
    worker: Option<&Worker>,
    run_seconds: i64,
    now: Timestamp,
) -> Stands {
    let status = assignment.status.clone().unwrap_or_default();
    let Some(holder) = status.worker else {
        return unaccepted(assignment, worker, now);
    };
    let since = status.accepted_at.map_or(now, |accepted| accepted.0);
    if status.forgotten.is_some() {
        let reason = format!("`{holder}` was back and knew nothing of it any more");
        return over(reason, true);
    }
    if assignment.spec.pool
        && let Some(until) = &status.lease_expires_at
        && now >= until.0 + LEASE_SLACK
    {
        let reason = format!("`{holder}` was not heard of until its lease had ended");
        return over(reason, true);
    }
    let Some(away) = away(worker, now) else {
        let longest = SignedDuration::from_secs(run_seconds) + SLACK;
        return match (&assignment.spec.cancel, &status.ended_at) {
            (None, None) if now > since + longest => Stands::TooLong,
            (None, Some(ended)) if now > ended.0 + DELIVERED_WITHIN => {
                let reason = format!("`{holder}` says that it has ended, and delivers no end");
                over(reason, true)
            }
            (Some(cancel), _) if now > cancel.at.0 + STOPPED_WITHIN => {
                let reason = format!(
                    "`{holder}` was told to stop it and delivers no end: {}",
                    cancel.reason
                );
                over(reason, false)
            }
            _ => Stands::Running {
                worker: holder,
                since,
            },
        };
    };
    if away.long {
        let reason = match worker {
            Some(_) => format!(
                "`{holder}` has been away for more than a day: {}",
                away.message
            ),
            None => format!("`{holder}` cannot deliver its end: {}", away.message),
        };
        return over(reason, false);
    }
    let sentence = format!("waiting for `{holder}`: {}", away.message);
    Stands::Lost {
        worker: holder,
        since,
        sentence,
    }
}

fn over(reason: String, retried: bool) -> Stands {
    Stands::Over { reason, retried }
}

fn unaccepted(assignment: &Assignment, worker: Option<&Worker>, now: Timestamp) -> Stands {
    let status = assignment.status.clone().unwrap_or_default();
    let to = &assignment.spec.to;
    let has_declined = |name: &String| status.declined.iter().any(|by| by.worker == *name);
    let all_declined = to.iter().all(has_declined);
    let created = assignment.creation_timestamp().map_or(now, |time| time.0);
    let until = created + SignedDuration::from_secs(ACCEPTED_WITHIN);
    // The one worker that may take it is away, or takes nothing: it waits with that reason instead.
    let pinned_away = !assignment.spec.pool && worker.is_some_and(|worker| !takes_runs(worker));
    if all_declined || pinned_away || now >= until {
        let declined = status.declined.into_iter();
        return Stands::TakeBack {
            declined: declined.map(|by| (by.worker, by.reason)).collect(),
        };
    }
    Stands::Offered { until }
}

fn takes_runs(worker: &Worker) -> bool {
    let status = worker.status.as_ref();
    let conditions = status.map_or([].as_slice(), |status| &status.conditions);
    condition::is_true(conditions, condition::kind::READY)
}

struct Away {
    message: String,
    long: bool,
}

/// Whether a worker is not heard of.
fn away(worker: Option<&Worker>, now: Timestamp) -> Option<Away> {
    let Some(worker) = worker else {
        let message = "its Worker object was deleted".to_owned();
        return Some(Away {
            message,
            long: true,
        });
    };
    let status = worker.status.as_ref()?;
    let since = status.offline_since.as_ref()?.0;
    let ready = condition::find(&status.conditions, condition::kind::READY);
    let message = ready.map_or_else(|| "offline".to_owned(), |ready| ready.message.clone());
    Some(Away {
        message,
        long: now > since + LOST_FOR,
    })
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
