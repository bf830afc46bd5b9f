//! Whether a run may begin on this machine, as its owner wants it. Pure, but for the owner's own
//! program, which is asked beforehand.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use protocol::{
    Timeouts,
    worker::{
        assignment::{Assignment, EventKind, Evidence as Shown},
        wire::DeclineCode,
    },
};

use super::config::{Bytes, Config, Event, Evidence, Limits, Policy, QuietHours};

/// The longest grace of a run whose lease counts. With what killing takes it is over within the minute and a
/// half before the lease ends, after which another worker may get the run.
const LEASED: Duration = Duration::from_secs(60);

/// Why no run begins: for programs, and as a sentence for owner and requester.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct No {
    /// For programs.
    pub code: DeclineCode,
    /// For people.
    pub reason: String,
}

impl No {
    /// A refusal with its words.
    pub fn new(code: DeclineCode, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code, reason }
    }
}

/// What is known of the machine now.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The time by the machine's own clock: quiet hours are its owner's.
    pub now: Timestamp,
    /// Load average of the last minute.
    pub load: Option<f64>,
    /// Free bytes where builds run.
    pub free_disk: u64,
    /// Builds that were begun in the last 24 hours.
    pub builds_today: usize,
    /// What the owner's program says against it.
    pub busy: Option<String>,
    /// Why the owner or the agent closed it: paused, resting.
    pub closed: Option<String>,
}

/// Why the machine takes nothing now, whatever it is.
pub fn closed(config: &Config, machine: &Machine) -> Result<(), No> {
    let policy = &config.policy;
    let busy = |reason: String| Err(No::new(DeclineCode::Busy, reason));
    if policy.events.is_empty() {
        return Err(No::new(
            DeclineCode::Policy,
            "its owner has not opened it for builds yet",
        ));
    }
    if let Some(reason) = &machine.closed {
        return busy(reason.clone());
    }
    if machine.free_disk < config.limits.min_free_disk.0 {
        let (free, least) = (Bytes(machine.free_disk), config.limits.min_free_disk);
        let reason = format!("its disk has {free} free and its owner wants {least}");
        return Err(No::new(DeclineCode::Disk, reason));
    }
    if let Some(hours) = policy
        .quiet_hours
        .iter()
        .find(|hours| is_quiet(hours, machine.now))
    {
        return busy(format!("its owner wants it quiet until {}", until(hours)));
    }
    if let (Some(most), Some(load)) = (policy.max_load, machine.load)
        && load > most
    {
        return busy(format!(
            "it is busy: a load of {load:.1}, and its owner allows {most:.1}"
        ));
    }
    if let Some(most) = policy.max_builds_per_day
        && machine.builds_today >= most as usize
    {
        return busy(format!(
            "its owner allows {most} builds in 24 hours, and they were run"
        ));
    }
    match &machine.busy {
        Some(reason) => busy(reason.clone()),
        None => Ok(()),
    }
}

/// Whether the owner's policy takes this run at all.
pub fn takes(policy: &Policy, assignment: &Assignment) -> Result<(), No> {
    let no = |reason: String| Err(No::new(DeclineCode::Policy, reason));
    let source = &assignment.work.source;
    let event = match assignment.event {
        EventKind::PullRequest => Some(Event::PullRequest),
        EventKind::Unknown => None,
    };
    if !event.is_some_and(|event| policy.events.contains(&event)) {
        return no("its owner does not take runs of this kind".into());
    }
    let is_same = |name: &String| name.eq_ignore_ascii_case(&source.repository);
    if !policy.repositories.is_empty() && !policy.repositories.iter().any(is_same) {
        return no(format!(
            "its owner does not take runs of `{}`",
            source.repository
        ));
    }
    let requester = &assignment.requester;
    if !policy.requesters.is_empty() && !policy.requesters.contains(&requester.id) {
        return no("its owner does not take runs that this person asked for".into());
    }
    let (asked, words) = match policy.evidence {
        Evidence::Label => (Shown::Label, "a label"),
        Evidence::ExactSha => (Shown::ExactSha, "the full SHA, typed"),
        Evidence::Review => (Shown::Review, "a review that approves exactly this commit"),
    };
    match assignment.evidence.meets(asked) {
        true => Ok(()),
        false => no(format!("its owner asks for {words}")),
    }
}

/// Shortens what a build may take to what its owner allows; never the other way.
pub fn shorten(policy: &Policy, timeouts: &mut Timeouts) {
    if let Some(minutes) = policy.max_build_minutes {
        timeouts.run_seconds = timeouts.run_seconds.min(i64::from(minutes) * 60);
    }
}

/// How long the processes of a run get to end: as its owner wants it, but not until another worker may have
/// the run.
pub fn grace(limits: &Limits, is_pool: bool) -> Duration {
    let own = Duration::from_secs(limits.grace_seconds);
    match is_pool {
        true => own.min(LEASED),
        false => own,
    }
}

fn is_quiet(hours: &QuietHours, now: Timestamp) -> bool {
    let now = now.to_zoned(hours.tz.clone());
    let (time, today) = (now.time(), now.weekday().to_monday_one_offset());
    let begins_on = |day: i8| hours.days.is_empty() || hours.days.contains(&day);
    let yesterday = if today == 1 { 7 } else { today - 1 };
    if hours.from < hours.to {
        return begins_on(today) && time >= hours.from && time < hours.to;
    }
    (begins_on(today) && time >= hours.from) || (begins_on(yesterday) && time < hours.to)
}

fn until(hours: &QuietHours) -> String {
    let time = hours.to.strftime("%H:%M");
    match hours.tz.iana_name() {
        Some(zone) if hours.tz != TimeZone::system() => format!("{time} ({zone})"),
        _ => format!("{time} by its own clock"),
    }
}

/// What the owner takes, as a sentence for the project's people.
pub fn in_words(config: &Config) -> String {
    let policy = &config.policy;
    if policy.events.is_empty() {
        return "takes nothing yet".into();
    }
    let mut words = vec!["takes pull requests".to_owned()];
    if !policy.repositories.is_empty() {
        let names: Vec<&str> = policy.repositories.iter().map(String::as_str).collect();
        words.push(format!("of {}", names.join(", ")));
    }
    if !policy.requesters.is_empty() {
        words.push(format!("asked for by {} people", policy.requesters.len()));
    }
    match policy.evidence {
        Evidence::Label => {}
        Evidence::ExactSha => words.push("with the SHA typed".into()),
        Evidence::Review => words.push("with an approving review".into()),
    }
    if !policy.quiet_hours.is_empty() {
        words.push("outside of quiet hours".into());
    }
    if let Some(most) = policy.max_builds_per_day {
        words.push(format!("at most {most} in 24 hours"));
    }
    if let Some(minutes) = policy.max_build_minutes {
        words.push(format!("for at most {minutes} min"));
    }
    words.join(" ")
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
