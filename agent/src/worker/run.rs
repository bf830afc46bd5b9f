//! One run on this machine, from its record to its signed end.

use std::{io, sync::Arc, thread, time::Duration};

use protocol::{
    CheckoutReport, ExecReport, Verdict,
    log::LogLimits,
    worker::{
        completion::{Completion, RunEnd},
        envelope::Envelope,
    },
};

use super::{
    builder::{self, Builder, End, Started},
    clock::steady,
    config::Config,
    held::{Executor, Record, Stage},
    identity,
    layout::Layout,
    policy,
    shipping::Spools,
    turns::{Turn, Turns},
};
use crate::{
    frames::{self, Frame},
    order::{BuildOrder, FetchOrder},
    spool::Spool,
};

pub use super::stop::{Stop, Why};

/// What a shell says of a program that was killed.
const KILLED: i32 = 137;

/// Time beyond its grace that an executor has to kill what it runs and to end itself.
const SLACK: Duration = Duration::from_secs(10);

/// What all runs of this machine share.
pub struct Site {
    /// The owner's configuration.
    pub config: Config,
    /// Where things are.
    pub layout: Layout,
    /// Who starts builds.
    pub builder: Builder,
    /// Held by the one fetch that works in the mirrors.
    fetching: Arc<Turns>,
}

impl Site {
    /// A machine on which nothing runs yet.
    pub fn new(config: Config, layout: Layout, builder: Builder) -> Self {
        Self {
            config,
            layout,
            builder,
            fetching: Arc::default(),
        }
    }

    /// What stops a run on this machine.
    pub fn stop(&self) -> Stop {
        Stop::waiting(self.fetching.clone())
    }

    /// Waits until no other run fetches; nothing where this one is stopped before.
    fn turn(&self, stop: &Stop) -> Option<Turn<'_>> {
        self.fetching.take(|| stop.why().is_some())
    }
}

/// What the executors said.
#[derive(Default)]
struct Heard {
    checkout: Option<CheckoutReport>,
    report: Option<ExecReport>,
    /// No machine could check out what was ordered.
    nowhere: bool,
    began: Option<u64>,
}

/// How a run ended, and whether the machine is to blame.
pub struct Finished {
    /// The result.
    pub result: RunEnd,
    /// Milliseconds until its first step, where one began.
    pub prepared_ms: Option<u64>,
    /// Milliseconds from there to its end.
    pub ran_ms: u64,
    /// What is wrong with the machine, if anything.
    pub trouble: Option<String>,
}

/// How much of a run's log is kept here.
pub fn log_limits(config: &Config, record: &Record) -> LogLimits {
    LogLimits::of(record.assignment.log_limit.min(config.limits.log.0))
}

/// Runs it: fetch, build, clean up. The record is kept as it goes on.
pub fn run(site: &Site, record: &mut Record, stop: &Stop) -> Finished {
    let (accepted, mut heard) = (steady(), Heard::default());
    let ran = carry_out(site, record, stop, &mut heard);
    let clean = site.builder.clean(&site.layout, record.slot);
    let trouble = match (&ran, clean) {
        (Err(error), _) => Some(error.to_string()),
        (_, Err(unclean)) => Some(unclean.to_string()),
        (Ok(()), Ok(())) => None,
    };
    let result = result(record, stop, &mut heard, ran);
    let began = heard.began.unwrap_or_else(steady);
    Finished {
        trouble: trouble.or_else(|| trouble_in(&result, stop)),
        prepared_ms: heard.began.map(|began| began.saturating_sub(accepted)),
        ran_ms: steady().saturating_sub(began),
        result,
    }
}

fn carry_out(site: &Site, record: &mut Record, stop: &Stop, heard: &mut Heard) -> io::Result<()> {
    let limits = log_limits(&site.config, record);
    let spools = Spools::of(&site.layout, &record.id);
    if site.builder.isolated() {
        let mut spool = Spool::new(&spools.checkout, limits).map_err(io::Error::other)?;
        if let Some(_turn) = site.turn(stop) {
            let started = builder::start_fetch(&site.layout, record.slot)?;
            let order = serde_json::to_vec(&fetch_order(record))?;
            follow(site, record, started, &order, stop, &mut |_, frame| {
                hear(frame, &mut spool, heard)
            })?;
        }
        spool.end().map_err(io::Error::other)?;
        let is_there = |report: &CheckoutReport| report.error.is_none();
        if stop.why().is_some() || !heard.checkout.as_ref().is_some_and(is_there) {
            return Ok(());
        }
    }
    let mut spool = Spool::new(&spools.build, limits).map_err(io::Error::other)?;
    let started = site.builder.start(&site.layout, record.slot)?;
    let order = serde_json::to_vec(&order(site, record))?;
    follow(site, record, started, &order, stop, &mut |record, frame| {
        let is_checkout = matches!(&frame, Frame::Checkout(report) if report.error.is_none());
        if is_checkout {
            // Written down before the first step can have done anything that matters.
            record.stage = Stage::Steps;
            record.save(&site.layout).map_err(io::Error::other)?;
            heard.began = Some(steady());
        }
        hear(frame, &mut spool, heard)
    })?;
    spool.end().map_err(io::Error::other)
}

/// The order for the executor that fetches.
fn fetch_order(record: &Record) -> FetchOrder {
    let work = &record.assignment.work;
    FetchOrder {
        source: work.source.clone(),
        seconds: work.recipe.timeouts.checkout_seconds,
    }
}

/// The order for the executor. The owner may allow less time than the project.
fn order(site: &Site, record: &Record) -> BuildOrder {
    let mut work = record.assignment.work.clone();
    policy::shorten(&site.config.policy, &mut work.recipe.timeouts);
    let grace_ms = grace_of(site, record).as_millis();
    let grace_ms = u64::try_from(grace_ms).unwrap_or(u64::MAX);
    BuildOrder { work, grace_ms }
}

/// Tells an executor what to do, and takes what it says until it is gone.
fn follow(
    site: &Site,
    record: &mut Record,
    started: Started,
    order: &[u8],
    stop: &Stop,
    take: &mut dyn FnMut(&mut Record, Frame) -> io::Result<()>,
) -> io::Result<()> {
    let Started {
        mut leash,
        mut output,
        process,
        end,
    } = started;
    let told = Executor::note(&site.layout, &record.id, process)
        .map_err(io::Error::other)
        .and_then(|()| leash.order(order));
    if told.is_err() {
        drop(leash);
        end.wait();
        return told;
    }
    stop.hold(leash);
    let by_user = matches!(end, End::Told(_));
    let (layout, slot, patience) = (&site.layout, record.slot, grace_of(site, record) + SLACK);
    thread::scope(|scope| {
        scope.spawn(move || {
            // The code of a build runs as its executor's user, and may hold it (`SIGSTOP`).
            if stop.is_overdue(patience) {
                // What is left then is found again by the clean-up of the slot.
                let _ = match by_user {
                    true => site.builder.clean(layout, slot),
                    false => site.builder.reap(process, Duration::ZERO),
                };
            }
        });
        let taken = take_all(&mut output, record, take);
        stop.let_go();
        drop(output);
        end.wait();
        stop.gone();
        taken
    })
}

/// Takes frames until there are no more.
fn take_all(
    output: &mut io::PipeReader,
    record: &mut Record,
    take: &mut dyn FnMut(&mut Record, Frame) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        match frames::read(output) {
            Ok(Some(frame)) => take(record, frame)?,
            Ok(None) => return Ok(()),
            // It was killed in the middle of a word.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn hear(frame: Frame, spool: &mut Spool, heard: &mut Heard) -> io::Result<()> {
    match frame {
        Frame::Log(bytes) => spool.write(&bytes).map_err(io::Error::other)?,
        Frame::Mark(what) => spool.mark(what).map_err(io::Error::other)?,
        // The first one is that of the agent's own user, where there are two. One that failed beside it
        // says why no step began.
        Frame::Checkout(report) if report.error.is_some() => heard.checkout = Some(report),
        Frame::Checkout(report) => drop(heard.checkout.get_or_insert(report)),
        Frame::Nowhere => heard.nowhere = true,
        Frame::Report(report) => heard.report = Some(report),
    }
    Ok(())
}

/// What it all means. Of an executor that was stopped, its own word counts only where it had finished.
fn result(record: &Record, stop: &Stop, heard: &mut Heard, ran: io::Result<()>) -> RunEnd {
    let report = heard.report.take();
    let is_over = |report: &ExecReport| report.verdict != Verdict::Cancelled;
    let has_steps = record.stage == Stage::Steps;
    let ours = |reason: String| match has_steps {
        true => RunEnd::Broken { reason },
        false => RunEnd::NotRun {
            reason,
            machine: true,
        },
    };
    match (
        stop.why(),
        report.filter(|_| has_steps),
        heard.checkout.take(),
    ) {
        (_, Some(report), Some(checkout)) if is_over(&report) => RunEnd::Ran { checkout, report },
        (Some(Why::Cancelled), ..) => RunEnd::Cancelled,
        (Some(Why::Machine(reason)), ..) => ours(reason),
        (
            None,
            _,
            Some(CheckoutReport {
                error: Some(reason),
                ..
            }),
        ) => RunEnd::NotRun {
            reason,
            machine: !heard.nowhere,
        },
        // The code runs as the executor's user: what happens to the executor beside it is the code's doing.
        (None, _, Some(checkout)) if has_steps && ran.is_ok() => {
            let report = ExecReport {
                reason: Some("was killed before it could tell its result".to_owned()),
                ..ExecReport::new(Verdict::Failed, KILLED)
            };
            RunEnd::Ran { checkout, report }
        }
        _ => ours(match ran {
            Err(error) => format!("the machine failed: {error}"),
            Ok(()) => "the executor ended without a result; something killed it".into(),
        }),
    }
}

fn trouble_in(result: &RunEnd, stop: &Stop) -> Option<String> {
    match result {
        RunEnd::NotRun {
            reason,
            machine: true,
        }
        | RunEnd::Broken { reason }
            if stop.why().is_none() =>
        {
            Some(reason.clone())
        }
        _ => None,
    }
}

/// Signs the end of a run and keeps it, wherever its log is.
pub fn sign(site: &Site, record: &mut Record, completion: Completion) -> io::Result<()> {
    let limits = log_limits(&site.config, record);
    let logs = Spools::of(&site.layout, &record.id).digests(limits);
    let key = identity::load_key(&site.layout).map_err(io::Error::other)?;
    let sealed = Envelope::seal(&Completion { logs, ..completion }, &key);
    record.completion = Some(sealed.map_err(io::Error::other)?);
    record.save(&site.layout).map_err(io::Error::other)
}

/// How long the processes of a run get to end, also one of an earlier start of the agent.
pub fn grace_of(site: &Site, record: &Record) -> Duration {
    policy::grace(&site.config.limits, record.assignment.to.is_pool())
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
