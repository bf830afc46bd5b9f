//! What became of telling GitHub how a run ended, and what is written down of it.

use crds::BuilderRun;

use super::tell::PENDING;
use crate::report::Sent;

/// `report.sent` where GitHub will never take a state, or another run speaks.
pub(super) const SETTLED: &str = "settled";

/// What became of telling a final state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is settled; this is to be recorded.
    Recorded(Recorded),
    /// GitHub has not answered yet; the run comes back to its queue when it has.
    Later,
    /// There is nobody to tell, and why. They may come back.
    Nowhere(String),
}

/// What is recorded of a run that GitHub was told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// `report.sent`.
    pub sent: String,
    /// Why GitHub will never take it.
    pub refused: Option<String>,
}

impl Recorded {
    /// A state that GitHub took.
    pub fn sent(state: &str) -> Self {
        Self {
            sent: state.to_owned(),
            refused: None,
        }
    }
}

impl From<Sent> for Recorded {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Taken(state) => Self::sent(state.word()),
            Sent::Settled(why) => Self {
                sent: SETTLED.to_owned(),
                refused: Some(why),
            },
            Sent::Superseded => Self::sent(SETTLED),
        }
    }
}

/// Whether GitHub was told that another attempt follows a run, as far as that is written down.
pub(super) fn was_to_be_tried_again(run: &BuilderRun) -> bool {
    let status = run.status.clone().unwrap_or_default();
    let retryable = status.outcome.is_some_and(|outcome| outcome.retryable);
    let sent = status.report.and_then(|report| report.sent);
    retryable && sent.as_deref() == Some(PENDING)
}
