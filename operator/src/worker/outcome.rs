//! Pure: what a worker's signed result means for its run.
//!
//! As with Jobs: *green* needs a checkout of exactly the commit that was authorized, and a report that says
//! passed. *Error*, and with it another attempt, is concluded only from what the agent says of its machine. Who
//! stands between can withhold a result and can make none.

use crds::{Assignment, BuilderRun, RunPhase};
use jiff::{SignedDuration, Timestamp};
use protocol::log::{LogDigest, Stream};
use protocol::worker::completion::{Completion, RunEnd};
use protocol::worker::key::PublicKey;
use protocol::{CheckoutReport, ExecReport, Source, Verdict};

use crate::run::{
    claims,
    outcome::{Ending, one_line, same_commit},
};

/// The word with which a run is stopped that takes longer than it may.
pub const TOO_LONG: &str = "took longer than it may, and did not stop by itself";

/// How a run ended whose assignment has a result; none while it has none.
pub fn ending(run: &BuilderRun, assignment: &Assignment, keys: &[PublicKey]) -> Option<Ending> {
    let status = assignment.status.as_ref()?;
    let signed = status.result.as_ref()?;
    let worker = status.worker.as_deref().unwrap_or_default();
    let completion: Completion = match signed.open(keys) {
        Ok(completion) => completion,
        Err(error) => {
            let why = format!("the result of `{worker}` was not believed: {error}");
            return Some(Ending::infrastructure(why));
        }
    };
    if !is_about(run, assignment, worker, &completion) {
        let why = format!("the result of `{worker}` was not believed: it is another run's");
        return Some(Ending::infrastructure(why));
    }
    let mut ending = verdict(run, assignment, &completion);
    ending.outcome.logs = signed_logs(&completion.logs);
    let finished = status.ended_at.as_ref().map(|ended| ended.0);
    ending.finished = finished;
    let ran = SignedDuration::from_millis(completion.ran_ms.try_into().unwrap_or(i64::MAX));
    // The machine's clock proves nothing, and how long it took is for people.
    let accepted = status.accepted_at.as_ref().map(|accepted| accepted.0);
    let started = finished.and_then(|finished: Timestamp| finished.checked_sub(ran).ok());
    ending.started = started.max(accepted);
    Some(ending)
}

/// What was signed of each stream of the log. A worker can write anything there: what is no digest is left out, so
/// that the API server takes the end of the run, and its page says that the log is not signed.
fn signed_logs(said: &[LogDigest]) -> Vec<LogDigest> {
    let is_digest = |digest: &&LogDigest| {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_sha256 = digest.sha256.len() == 64 && digest.sha256.bytes().all(hex);
        is_sha256 && i64::try_from(digest.bytes).is_ok()
    };
    let of = |stream: Stream| {
        let mut of_stream = said.iter().filter(|digest| digest.stream == stream);
        of_stream.find(is_digest).cloned()
    };
    Stream::ALL.into_iter().filter_map(of).collect()
}

fn is_about(run: &BuilderRun, assignment: &Assignment, worker: &str, said: &Completion) -> bool {
    let uid = run.metadata.uid.as_deref().unwrap_or_default();
    let fence = assignment.metadata.uid.as_deref().unwrap_or_default();
    said.run == uid
        && said.attempt == run.spec.attempt
        && said.worker == worker
        && said.assignment == format!("{uid}.{fence}")
}

fn verdict(run: &BuilderRun, assignment: &Assignment, said: &Completion) -> Ending {
    match &said.result {
        RunEnd::Ran { checkout, report } => ran(&run.spec.task.source, checkout, report),
        RunEnd::NotRun { reason, machine } => {
            let why = format!("its worker could not run it: {}", one_line(reason));
            match machine {
                true => Ending::infrastructure(why),
                false => Ending::new(RunPhase::Error, why),
            }
        }
        RunEnd::Broken { reason } => {
            Ending::infrastructure(format!("its worker broke it off: {}", one_line(reason)))
        }
        RunEnd::Cancelled => match &assignment.spec.cancel {
            Some(cancel) if cancel.reason == TOO_LONG => Ending::new(RunPhase::TimedOut, TOO_LONG),
            Some(cancel) => Ending::new(RunPhase::Cancelled, &cancel.reason),
            None => Ending::infrastructure("its worker stopped it, and nobody had asked"),
        },
    }
}

fn ran(source: &Source, checkout: &CheckoutReport, report: &ExecReport) -> Ending {
    if let Some(error) = &checkout.error {
        let why = format!("the code could not be checked out: {}", one_line(error));
        return Ending::infrastructure(why);
    }
    if !same_commit(source, checkout) {
        let why = "another commit was checked out than the one that was authorized";
        return Ending::infrastructure(why);
    }
    let says = one_line(report.reason.as_deref().unwrap_or_default());
    let phase = match (report.verdict, report.exit_code) {
        (Verdict::Passed, 0) => RunPhase::Succeeded,
        (Verdict::TimedOut, _) => RunPhase::TimedOut,
        (Verdict::Error, _) => RunPhase::Error,
        (Verdict::Passed | Verdict::Failed | Verdict::Cancelled, _) => RunPhase::Failed,
    };
    let mut ending = Ending::new(phase, says);
    if ending.outcome.reason.is_empty() && phase != RunPhase::Succeeded {
        ending.outcome.reason = format!("ended with exit code {}", report.exit_code);
    }
    ending.outcome.exit_code = Some(report.exit_code);
    ending.outcome.warning = report.warning && phase == RunPhase::Succeeded;
    ending.outcome.commit = Some(checkout.commit.clone());
    ending.outcome.tree = Some(checkout.tree.clone());
    claims::copy(report.clone(), &mut ending.outcome);
    ending
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
