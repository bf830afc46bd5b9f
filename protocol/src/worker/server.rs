//! What becomes of one assignment, seen from the gateway. Pure: the truth is an object in the cluster, and
//! what these functions allow is written there by compare-and-swap before it is answered.

use super::{
    assignment::Audience,
    fault::FaultCode,
    wire::{Action, RunningState},
};

/// What the cluster says of an assignment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Who may take it.
    pub to: &'a Audience,
    /// Who took it.
    pub holder: Option<&'a str>,
    /// It is to be stopped.
    pub cancelled: bool,
    /// Digest of the completion that was taken.
    pub completion: Option<&'a str>,
}

/// What to do with a request that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write it down, and answer when that is done.
    Write,
    /// It is written down already: answer the same again.
    Again,
}

/// Whether an assignment may be offered to a worker.
pub fn may_offer(view: &View<'_>, worker: &str) -> bool {
    view.holder.is_none() && !view.cancelled && view.to.has(worker)
}

/// Whether a worker may take an assignment.
pub fn accept(view: Option<&View<'_>>, worker: &str) -> Result<Step, FaultCode> {
    let view = view.ok_or(FaultCode::Gone)?;
    match view.holder {
        Some(holder) if holder == worker => match view.completion {
            None => Ok(Step::Again),
            Some(_) => Err(FaultCode::Completed),
        },
        Some(_) => Err(FaultCode::Taken),
        None if !view.to.has(worker) => Err(FaultCode::Taken),
        None if view.cancelled => Err(FaultCode::Cancelled),
        None => Ok(Step::Write),
    }
}

/// Whether a completion with this digest is taken.
pub fn complete(view: Option<&View<'_>>, worker: &str, digest: &str) -> Result<Step, FaultCode> {
    let view = view.ok_or(FaultCode::Gone)?;
    if view.holder != Some(worker) {
        return Err(FaultCode::Taken);
    }
    match view.completion {
        None => Ok(Step::Write),
        Some(taken) if taken == digest => Ok(Step::Again),
        Some(_) => Err(FaultCode::Completed),
    }
}

/// What a worker does with an assignment that it holds, or believes to hold.
pub fn instruct(view: Option<&View<'_>>, worker: &str, state: RunningState) -> Action {
    let Some(view) = view else {
        return Action::Kill;
    };
    match view.holder {
        Some(holder) if holder == worker => match (view.completion, state) {
            (Some(_), _) => Action::Forget,
            (None, RunningState::Running) if view.cancelled => Action::Cancel,
            (None, _) => Action::Continue,
        },
        Some(_) => Action::Kill,
        // It is about to be accepted.
        None if view.to.has(worker) && !view.cancelled => Action::Continue,
        None => Action::Kill,
    }
}
