//! Fetches one commit by its SHA, and tries again while that may help.

use std::time::{Duration, Instant};

use protocol::{Source, Timeouts};

use super::{CheckoutError, LOCAL, last_words};
use crate::{
    git::{self, FetchFailure, Git, GitError, GitOutput},
    log::Log,
    os::{self, Signals},
    text::{duration, one_line, short},
};

/// The most that a Builder can allow.
const MOST_SECONDS: i64 = 3600;

/// How long fetching may take.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// All tries together.
    pub total: Duration,
    /// One try.
    pub one: Duration,
    /// Tries.
    pub tries: u32,
    /// Pause after the first try; it doubles.
    pub pause: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self::within(Timeouts::default().checkout_seconds)
    }
}

impl FetchLimits {
    /// Those of a Builder's `timeouts.checkoutSeconds`. A try that hangs leaves time for another.
    pub fn within(seconds: i64) -> Self {
        let total = Duration::from_secs(seconds.clamp(1, MOST_SECONDS).unsigned_abs());
        Self {
            total,
            one: total / 2,
            tries: 5,
            pause: Duration::from_secs(1),
        }
    }

    /// How long one command may take that moves the whole code about on the disk.
    pub(crate) fn on_disk(self) -> Duration {
        LOCAL.max(self.one)
    }
}

/// Fetches the commit, and tries again while that may help and there is time.
pub(crate) fn fetch(
    git: &Git,
    source: &Source,
    limits: FetchLimits,
    signals: &mut Signals,
    log: &mut Log,
) -> Result<(), CheckoutError> {
    let started = Instant::now();
    for attempt in 1.. {
        let left = limits.total.saturating_sub(started.elapsed());
        let again = if attempt == 1 { "" } else { " again" };
        let sha = short(&source.commit);
        log.line(&format!("fetching {sha} from {}{again}", source.clone_url));
        let arguments = git::fetch_of(&source.clone_url, &source.commit);
        let output = git.run(&arguments, left.min(limits.one), signals)?;
        if output.ok {
            break;
        }
        for line in output.text.lines().take(20) {
            log.line(&format!("  {}", one_line(line, 300)));
        }
        let failure = FetchFailure::of(&output.text);
        let pause = limits.pause * 2u32.saturating_pow(attempt - 1);
        let has_time = started.elapsed() + pause < limits.total;
        if !failure.may_pass() || attempt >= limits.tries || !has_time {
            return Err(fetch_error(
                failure,
                source,
                &output,
                attempt,
                started.elapsed(),
            ));
        }
        rest(pause, signals)?;
    }
    Ok(())
}

fn fetch_error(
    failure: FetchFailure,
    source: &Source,
    output: &GitOutput,
    tries: u32,
    took: Duration,
) -> CheckoutError {
    match failure {
        FetchFailure::Missing => CheckoutError::Missing(short(&source.commit).into()),
        FetchFailure::NoRepository => CheckoutError::NoRepository(source.repository.clone()),
        FetchFailure::Refused => CheckoutError::Refused(last_words(output)),
        FetchFailure::DiskFull => CheckoutError::DiskFull,
        FetchFailure::Network => CheckoutError::Network {
            tries,
            took: duration(took),
            last: match output.late {
                true => {
                    "it took longer than `timeouts.checkoutSeconds` of the builder allows".into()
                }
                false => last_words(output),
            },
        },
    }
}

/// Waits, unless somebody asks to stop.
fn rest(pause: Duration, signals: &mut Signals) -> Result<(), CheckoutError> {
    let end = Instant::now() + pause;
    while Instant::now() < end {
        if signals.stopping() {
            return Err(GitError::Cancelled.into());
        }
        os::wait(
            signals,
            None,
            None,
            end.saturating_duration_since(Instant::now()),
        )?;
    }
    Ok(())
}
