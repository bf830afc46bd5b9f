//! What an agent tells the executors that it starts, through their standard input. They are the same
//! program, so it is nobody else's format.

use std::{io, path::Path, time::Duration};

use protocol::{CheckoutReport, Source, Verdict, Work};
use serde::{Deserialize, Serialize};

use crate::{
    checkout::{self, FetchLimits},
    env, exec, frames, hand_over,
    log::Log,
    os::{self, Signals},
    plan,
};

/// Bytes of an order: a recipe has at most 50 steps of 16 KiB, and in all 64 KiB.
const LIMIT: u32 = 1 << 20;

/// Fetches the code.
#[derive(Debug, Serialize, Deserialize)]
pub struct FetchOrder {
    /// The commit.
    pub source: Source,
    /// Seconds that it may take.
    pub seconds: i64,
}

/// Runs a build.
#[derive(Debug, Serialize, Deserialize)]
pub struct BuildOrder {
    /// The commit and the steps.
    pub work: Work,
    /// Milliseconds from asking a process to end to killing it.
    pub grace_ms: u64,
}

/// `fetch`: fetches the commit that is ordered into a mirror, and lays it down for the build user.
pub fn fetch(mirrors: &Path, dir: &Path) -> io::Result<u8> {
    let (order, mut signals) = Signals::with_order(LIMIT)?;
    let mut log = Log::framed()?;
    let FetchOrder { source, seconds } = serde_json::from_slice(&order)?;
    let limits = FetchLimits::within(seconds);
    let report = hand_over::give(&source, mirrors, dir, limits, &mut signals, &mut log);
    log.say(&frames::checkout(&report));
    log.flush(&mut signals, Duration::from_secs(60));
    Ok(u8::from(report.error.is_some()))
}

/// `build`: checks the commit out, from what was laid down or from the network, and runs the steps.
pub fn build(dir: &Path, from: Option<&Path>) -> io::Result<u8> {
    os::hide_memory()?;
    let (order, mut signals) = Signals::with_order(LIMIT)?;
    let mut log = Log::framed()?;
    let BuildOrder { work, grace_ms } = serde_json::from_slice(&order)?;
    let checked_out = check_out(&work, dir, from, &mut signals, &mut log);
    log.say(&frames::checkout(&checked_out));
    let report = match checked_out.error {
        Some(error) => plan::error(&error, Vec::new()),
        None => {
            let image = env::of_image(std::env::vars_os());
            let grace = Duration::from_millis(grace_ms);
            exec::run(&work, dir, image, grace, &mut signals, &mut log)
        }
    };
    log.say(&frames::report(&report));
    log.flush(&mut signals, Duration::from_secs(60));
    Ok(u8::from(report.verdict != Verdict::Passed))
}

fn check_out(
    work: &Work,
    dir: &Path,
    from: Option<&Path>,
    signals: &mut Signals,
    log: &mut Log,
) -> CheckoutReport {
    let source = &work.source;
    let limits = FetchLimits::within(work.recipe.timeouts.checkout_seconds);
    let Some(from) = from else {
        return checkout::run(source, dir, None, limits, signals, log);
    };
    match hand_over::take(source, from, dir, limits, signals) {
        Ok(commit) => CheckoutReport {
            commit: source.commit.clone(),
            parents: commit.parents,
            tree: commit.tree,
            error: None,
        },
        Err(error) => checkout::failed(&error.to_string(), log),
    }
}
