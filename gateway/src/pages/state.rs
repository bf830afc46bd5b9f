//! Where a build or a run stands, in the words, signs and colours that every page uses.

use crds::{BuildPhase, BuildResult, RunPhase};
use maud::{Markup, html};
use protocol::record::RunResult;
use serde::Serialize;

/// Where a build or a run stands; what needs a look comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// The code's doing.
    Failed,
    /// The steps took too long.
    TimedOut,
    /// The infrastructure's doing.
    Error,
    /// Its steps run, or some of its builders do.
    Running,
    /// Has a machine, and its steps have not begun.
    Starting,
    /// Waits for a slot, or for what must come before.
    Waiting,
    /// Written by a newer version.
    Unknown,
    /// Stopped on request.
    Cancelled,
    /// Passed.
    Passed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Failed,
        Self::TimedOut,
        Self::Error,
        Self::Running,
        Self::Starting,
        Self::Waiting,
        Self::Unknown,
        Self::Cancelled,
        Self::Passed,
    ];

    /// As people say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Error => "error",
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Passed => "passed",
        }
    }

    /// The sign that says it without colour.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Failed | Self::TimedOut => "✕",
            Self::Error => "▲",
            Self::Running => "◐",
            Self::Starting | Self::Waiting => "○",
            Self::Unknown => "?",
            Self::Cancelled => "–",
            Self::Passed => "●",
        }
    }

    /// The class that has its colour in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Failed | Self::TimedOut => "failed",
            Self::Error => "error",
            Self::Running => "running",
            Self::Starting | Self::Waiting | Self::Unknown => "waiting",
            Self::Cancelled => "cancelled",
            Self::Passed => "passed",
        }
    }

    /// Its colour on white, for the icon of the page: style sheets do not reach there.
    fn colour(self) -> &'static str {
        match self.class() {
            "failed" => "cf222e",
            "error" => "9a6700",
            "running" => "0969da",
            "passed" => "1a7f37",
            _ => "6e7781",
        }
    }

    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Running | Self::Starting | Self::Waiting)
    }

    /// The sign, for the eye only: the word stands beside it.
    pub fn mark(self) -> Markup {
        html! { span class={ "sign " (self.class()) } aria-hidden="true" { (self.sign()) } }
    }

    /// Sign and word.
    pub fn told(self) -> Markup {
        html! { span class={ "state " (self.class()) } { (self.mark()) " " (self.word()) } }
    }

    /// The icon of a page, as an address that needs no request. A shape of its own for each colour.
    pub fn icon(self) -> String {
        let shape = match self.class() {
            "failed" => {
                "<path d='M3 3l10 10M13 3L3 13' stroke='#C' stroke-width='3' stroke-linecap='round'/>"
            }
            "error" => "<path d='M8 2l7 12H1z' fill='#C'/>",
            "running" => {
                "<circle cx='8' cy='8' r='6' fill='none' stroke='#C' stroke-width='2'/><path d='M8 2a6 6 0 0 0 0 12z' fill='#C'/>"
            }
            "passed" => "<circle cx='8' cy='8' r='7' fill='#C'/>",
            "cancelled" => {
                "<path d='M3 8h10' stroke='#C' stroke-width='3' stroke-linecap='round'/>"
            }
            _ => "<circle cx='8' cy='8' r='6' fill='none' stroke='#C' stroke-width='2'/>",
        };
        let shape = shape.replace('C', self.colour());
        let svg =
            format!("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>{shape}</svg>");
        let escaped = svg
            .replace('#', "%23")
            .replace('<', "%3C")
            .replace('>', "%3E");
        format!("data:image/svg+xml,{escaped}")
    }
}

impl From<RunPhase> for State {
    fn from(phase: RunPhase) -> Self {
        match phase {
            RunPhase::Queued => Self::Waiting,
            RunPhase::Dispatched => Self::Starting,
            RunPhase::Running | RunPhase::Lost => Self::Running,
            RunPhase::Succeeded => Self::Passed,
            RunPhase::Failed => Self::Failed,
            RunPhase::TimedOut => Self::TimedOut,
            RunPhase::Cancelled => Self::Cancelled,
            RunPhase::Error => Self::Error,
            RunPhase::Unknown => Self::Unknown,
        }
    }
}

impl From<RunResult> for State {
    fn from(result: RunResult) -> Self {
        match result {
            RunResult::Passed => Self::Passed,
            RunResult::Failed => Self::Failed,
            RunResult::TimedOut => Self::TimedOut,
            RunResult::Cancelled => Self::Cancelled,
            RunResult::Error => Self::Error,
            RunResult::Unknown => Self::Unknown,
        }
    }
}

impl From<BuildResult> for State {
    fn from(result: BuildResult) -> Self {
        match result {
            BuildResult::Passed => Self::Passed,
            BuildResult::Failed => Self::Failed,
            BuildResult::Error => Self::Error,
            BuildResult::Cancelled => Self::Cancelled,
            BuildResult::Unknown => Self::Unknown,
        }
    }
}

/// Where a build stands, by its phase and what it has for a result.
pub fn of_build(status: Option<&crds::PrBuildStatus>) -> State {
    let Some(status) = status else {
        return State::Waiting;
    };
    match (status.phase, status.result) {
        (BuildPhase::Complete, Some(result)) => result.into(),
        (BuildPhase::Complete | BuildPhase::Unknown, _) => State::Unknown,
        (BuildPhase::Accepted, _) => State::Waiting,
        (BuildPhase::Running | BuildPhase::Cancelling, _) if status.counts.running > 0 => {
            State::Running
        }
        (BuildPhase::Running | BuildPhase::Cancelling, _) => State::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_states_of_one_colour_and_sign_mean_different_things_to_the_reader() {
        for state in State::ALL {
            assert!(state.told().into_string().contains(state.word()));
            let icon = state.icon();
            assert!(icon.starts_with("data:image/svg+xml,%3Csvg") && !icon.contains(['#', '"']));
        }
        assert!(State::Failed < State::Passed && State::Failed < State::Error);
    }
}
