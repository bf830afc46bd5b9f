//! Pure: what the object of a worker says of it.

use std::time::Duration;

use crds::{Assignment, Failing, Slot, Worker, WorkerSpec, WorkerStatus, condition};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use protocol::worker::session::SESSION_SECONDS;
use protocol::worker::wire::REASON_LIMIT;

use super::cut;
use super::seen::{ANSWERED_WITHIN, Heard, MISSED_AFTER, SHOWN_FOR, Sight};

/// What people read of what somebody should look at.
const TWO_MACHINES: &str = "two machines use its key: give each its own with `prbuild-agent init`";
const WRONG_KEY: &str = "somebody speaks for it with a key that is not in publicKeys: if it is its owner, take what `prbuild-agent init` prints into the object";

/// Runs in a row that a machine may end before it is left alone for a while.
const TOO_MANY: i64 = 3;
/// The first pause, in minutes; each one more doubles it, up to the longest.
const FIRST_PAUSE: i64 = 10;
const LONGEST_PAUSE: i64 = 360;

/// What is known of a worker at one moment.
pub struct Facts<'a> {
    /// The object.
    pub worker: &'a Worker,
    /// What was heard of it.
    pub sight: &'a Sight,
    /// What it has taken and not ended.
    pub held: &'a [std::sync::Arc<Assignment>],
    /// Now.
    pub now: Timestamp,
}

/// How it stands.
struct Standing {
    ready: bool,
    reason: &'static str,
    message: String,
}

/// The status that a worker should have.
pub fn status(facts: &Facts<'_>) -> WorkerStatus {
    let mut status = facts.worker.status.clone().unwrap_or_default();
    match presence(facts) {
        Presence::Unknown => {}
        Presence::Missed => status.missed = Some(Time(facts.now)),
        Presence::Known(since) => {
            status.offline_since = since.map(Time);
            status.missed = None;
        }
    }
    show_all(&mut status, facts);
    if let Some(found) = standing(facts, &status) {
        status.observed_generation = facts.worker.metadata.generation;
        let (kind, now) = (condition::kind::READY, Time(facts.now));
        let (reason, message) = (found.reason, &found.message);
        let conditions = &mut status.conditions;
        condition::set(conditions, kind, found.ready, reason, message, now);
    }
    status.running = facts.held.iter().map(|held| slot(held)).collect();
    status.busy = facts.held.len().try_into().unwrap_or(i64::MAX);
    status
}

/// What somebody should look at.
fn show_all(status: &mut WorkerStatus, facts: &Facts<'_>) {
    let Facts { sight, now, .. } = facts;
    if let Some(heard) = &sight.heard {
        let kind = condition::kind::DISK_PRESSURE;
        // How much was free when it began: what changes all the time is no reason to write.
        let shown =
            condition::find(&status.conditions, kind).filter(|shown| shown.status == "True");
        let text = shown.map_or_else(|| disk_full(heard), |shown| shown.message.clone());
        let words = ("Full", "Enough", text.as_str());
        set(status, kind, heard.disk_full, words, *now);
    }
    let kind = condition::kind::DUPLICATE_IDENTITY;
    let words = ("TwoMachines", "OneMachine", TWO_MACHINES);
    show(status, kind, sight.duplicate, words, *now);
    let kind = condition::kind::KEY_REFUSED;
    let words = ("WrongKey", "NoneRefused", WRONG_KEY);
    show(status, kind, sight.wrong_key, words, *now);
    let until = quarantined_until(status, *now);
    let text = until.map_or_else(String::new, |until| quarantine(status, until));
    let words = ("Failing", "Working", text.as_str());
    let kind = condition::kind::QUARANTINED;
    set(status, kind, until.is_some(), words, *now);
}

/// Sets a condition: its reason when it holds, when it does not, and what it says when it does.
fn set(
    status: &mut WorkerStatus,
    kind: &str,
    holds: bool,
    (yes, no, message): (&str, &str, &str),
    now: Timestamp,
) {
    let (reason, message) = if holds { (yes, message) } else { (no, "") };
    let conditions = &mut status.conditions;
    condition::set(conditions, kind, holds, reason, message, Time(now));
}

/// Shows what this gateway has seen. What another one showed stays as long as it would have shown it.
fn show(
    status: &mut WorkerStatus,
    kind: &str,
    seen: bool,
    words: (&str, &str, &str),
    now: Timestamp,
) {
    let shown = condition::find(&status.conditions, kind).filter(|shown| shown.status == "True");
    let since = shown.map(|shown| shown.last_transition_time.0);
    let lately = since.is_some_and(|since| now.duration_since(since).unsigned_abs() < SHOWN_FOR);
    set(status, kind, seen || lately, words, now);
}

/// Whether a worker is there, as far as this gateway can tell.
enum Presence {
    /// Another gateway may know.
    Unknown,
    /// It is not heard of here any more. It may have gone over to another gateway, which is asked.
    Missed,
    /// It is there, or is not since then.
    Known(Option<Timestamp>),
}

fn presence(facts: &Facts<'_>) -> Presence {
    match &facts.sight.heard {
        Some(heard) if heard.left.is_some() => Presence::Known(Some(heard.time)),
        Some(heard) if is_silent(heard) => silent(facts, heard),
        Some(_) => Presence::Known(None),
        None => unheard(facts),
    }
}

/// Whether a worker has said nothing for so long that it is missed.
pub fn is_silent(heard: &Heard) -> bool {
    heard.at.elapsed() >= MISSED_AFTER
}

/// What is known of a worker that is not heard of here any more.
fn silent(facts: &Facts<'_>, heard: &Heard) -> Presence {
    let status = facts.worker.status.as_ref();
    if let Some(since) = status.and_then(|status| status.offline_since.as_ref()) {
        return Presence::Known(Some(since.0));
    }
    match status.and_then(|status| status.missed.as_ref()) {
        Some(missed) => {
            let asked_for = facts.now.duration_since(missed.0).unsigned_abs();
            match asked_for >= ANSWERED_WITHIN {
                true => Presence::Known(Some(heard.time)),
                false => Presence::Unknown,
            }
        }
        // Another gateway has said that it hears of it.
        None if facts.sight.asked.is_some() => Presence::Unknown,
        None => Presence::Missed,
    }
}

/// What is known of a worker that this gateway has not heard of since it began, or since another one knows better.
fn unheard(facts: &Facts<'_>) -> Presence {
    let status = facts.worker.status.as_ref();
    let session = status.and_then(|status| status.session.as_ref());
    let Some(session) = session else {
        return Presence::Known(None);
    };
    // It opens another session every ten minutes, here or elsewhere.
    let opened = Timestamp::from_millisecond(session.nonce).unwrap_or_default();
    let silence = SESSION_SECONDS + MISSED_AFTER.as_secs().cast_signed();
    // Who missed it has ended since, and nobody hears of it.
    let missed = status.and_then(|status| status.missed.as_ref());
    let is_long =
        |since: &Timestamp| facts.now.duration_since(*since).unsigned_abs() >= MISSED_AFTER;
    if let Some(since) = missed.map(|missed| missed.0).filter(is_long) {
        return Presence::Known(Some(since));
    }
    let known = status.and_then(|status| status.offline_since.as_ref());
    match (known, facts.now.duration_since(opened).as_secs() >= silence) {
        (Some(since), _) => Presence::Known(Some(since.0)),
        (None, true) => Presence::Known(Some(opened)),
        (None, false) => Presence::Unknown,
    }
}

/// Whether it takes runs; nothing where another gateway may know better.
fn standing(facts: &Facts<'_>, status: &WorkerStatus) -> Option<Standing> {
    let spec = &facts.worker.spec;
    if spec.public_keys.is_empty() {
        return Some(no("NoKey", "no public key stands in its spec.publicKeys"));
    }
    let has_never_been = status.session.is_none();
    if has_never_been || status.offline_since.is_some() {
        return Some(absent(facts, status));
    }
    let heard = facts.sight.heard.as_ref()?;
    let standing = kept_out(status, heard, facts.now)
        .or_else(|| closed_by_team(spec, facts.now))
        .unwrap_or_else(|| there(status));
    Some(standing)
}

fn no(reason: &'static str, message: impl Into<String>) -> Standing {
    Standing {
        ready: false,
        reason,
        message: message.into(),
    }
}

/// Why it is not there. Somebody who comes with a wrong key may be its owner, after a new installation.
fn absent(facts: &Facts<'_>, status: &WorkerStatus) -> Standing {
    let (reason, message) = match &status.offline_since {
        Some(since) if status.session.is_some() => ("Offline", offline(facts, since.0)),
        _ => ("NeverSeen", "its agent has never been here".to_owned()),
    };
    match condition::is_true(&status.conditions, condition::kind::KEY_REFUSED) {
        true => no("KeyRefused", format!("{message}; {WRONG_KEY}")),
        false => no(reason, message),
    }
}

/// Why one that is there takes nothing, because of its machine or its owner.
fn kept_out(status: &WorkerStatus, heard: &Heard, now: Timestamp) -> Option<Standing> {
    if let Some(until) = quarantined_until(status, now) {
        return Some(no("Quarantined", quarantine(status, until)));
    }
    if heard.disk_full {
        let shown = condition::find(&status.conditions, condition::kind::DISK_PRESSURE);
        let message = shown.map_or_else(|| disk_full(heard), |shown| shown.message.clone());
        return Some(no("DiskPressure", message));
    }
    let closed = heard.closed.as_deref();
    closed.map(|closed| no("Closed", closed))
}

fn disk_full(heard: &Heard) -> String {
    let full = "its disk is too full to take runs";
    match heard.disk_free_mb {
        Some(free) => format!("{full}: {:.1} GiB are free", free as f64 / 1024.0),
        None => full.to_owned(),
    }
}

/// Why the infrastructure team gives it nothing.
fn closed_by_team(spec: &WorkerSpec, now: Timestamp) -> Option<Standing> {
    if spec.drain {
        let message = "spec.drain is set: it gets no new runs";
        return Some(no("Draining", message));
    }
    if spec.paused {
        let message = "spec.paused is set: it gets no new runs";
        return Some(no("Paused", message));
    }
    spec.windows
        .iter()
        .find_map(|window| match window.closed_until(now) {
            Ok(None) => None,
            Ok(Some(until)) => {
                let until = until.strftime("%a %H:%M %Z");
                let message = format!("in a maintenance window until {until}");
                Some(no("Maintenance", message))
            }
            Err(zone) => {
                let message = format!("the time zone `{}` of a window does not exist", zone.0);
                Some(no("UnknownTimeZone", message))
            }
        })
}

/// It takes runs. What is odd about it all the same shows where people look first.
fn there(status: &WorkerStatus) -> Standing {
    let found = |kind| condition::find(&status.conditions, kind);
    let holds = |kind| found(kind).filter(|one| one.status == "True");
    let odd = [
        ("TwoMachines", condition::kind::DUPLICATE_IDENTITY),
        ("OfferRefused", condition::kind::OFFER_REFUSED),
    ];
    let mut odd = odd
        .into_iter()
        .filter_map(|(reason, kind)| Some((reason, holds(kind)?)));
    let (reason, message) = match odd.next() {
        Some((reason, odd)) => (reason, format!("it takes runs, but {}", odd.message)),
        None => ("Online", "it takes runs".to_owned()),
    };
    Standing {
        ready: true,
        reason,
        message,
    }
}

fn offline(facts: &Facts<'_>, since: Timestamp) -> String {
    let format = match facts.now.duration_since(since) > SignedDuration::from_hours(20) {
        true => "%Y-%m-%d %H:%M UTC",
        false => "%H:%M UTC",
    };
    let since = since.strftime(format);
    let left = facts
        .sight
        .heard
        .as_ref()
        .and_then(|heard| heard.left.as_deref());
    match left {
        Some(reason) => format!("offline since {since}: {reason}"),
        None => format!("offline since {since}"),
    }
}

fn slot(held: &Assignment) -> Slot {
    let status = held.status.clone().unwrap_or_default();
    Slot {
        run: held.spec.run.name.clone(),
        uid: held.spec.run.uid.clone(),
        since: status.accepted_at.unwrap_or(Time(Timestamp::UNIX_EPOCH)),
    }
}

/// The count after one more run that a machine ended.
pub fn failed_again(old: Option<&Failing>, reason: &str, now: Timestamp) -> Failing {
    let runs = old.map_or(0, |old| old.runs) + 1;
    let doubled = u32::try_from(runs - TOO_MANY)
        .ok()
        .map(|times| times.min(10));
    let until = doubled.map(|times| {
        let minutes = (FIRST_PAUSE << times).min(LONGEST_PAUSE);
        Time(now + SignedDuration::from_mins(minutes))
    });
    Failing {
        runs,
        reason: cut(reason, REASON_LIMIT),
        until,
    }
}

/// Until when a machine that failed too often is left alone; none where it is not, or not any more.
pub fn quarantined_until(status: &WorkerStatus, now: Timestamp) -> Option<Timestamp> {
    let until = status.failing.as_ref()?.until.as_ref()?.0;
    (until > now).then_some(until)
}

fn quarantine(status: &WorkerStatus, until: Timestamp) -> String {
    let failing = status.failing.as_ref();
    let (runs, reason) = failing.map_or((0, ""), |failing| (failing.runs, &failing.reason));
    let until = until.strftime("%H:%M UTC");
    format!("its machine ended {runs} runs in a row ({reason}); it is tried again at {until}")
}

/// How long until a worker has to be looked at again, where nothing is heard of it.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
