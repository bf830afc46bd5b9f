//! All that the page of a run says.

use std::time::Duration;

use jiff::Timestamp;
use protocol::StepResult;
use serde::Serialize;

use super::{facts::Facts, marks::Section, search::Found, window::Window};
use crate::logs::View;

/// The page of a run.
pub struct Model {
    /// What is known of the run.
    pub facts: Facts,
    /// Its log, as far as it is asked for.
    pub log: Log,
    /// The moment that times are relative to.
    pub now: Timestamp,
    /// What is kept for how long, as a sentence.
    pub keeps: String,
}

/// The log of a run.
pub enum Log {
    /// There is one.
    Shown(Box<Shown>),
    /// There is none to show.
    Missing(Missing),
}

/// A log of which some is shown.
pub struct Shown {
    /// How long it is.
    pub view: View,
    /// Its steps.
    pub sections: Vec<Section>,
    /// Which of them is open.
    pub open: usize,
    /// Lines of that one.
    pub window: Window,
    /// Offset from which more is to be expected; none where the log has ended.
    pub live_from: Option<u64>,
    /// What was searched for, and found.
    pub search: Option<(String, Found)>,
}

/// Why there is no log to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The run has printed nothing yet.
    NotYet,
    /// The run ended before it printed anything.
    Never,
    /// It took over the outcome of another run, which has the log.
    Elsewhere,
    /// The run ended a moment ago, and its log is on its way.
    OnItsWay,
    /// It is kept no longer, or never arrived.
    Gone,
    /// The store does not answer.
    StoreIsDown,
}

impl Missing {
    /// Why a run has no log.
    pub fn of(facts: &Facts, now: Timestamp) -> Self {
        match facts {
            _ if facts.same_as.is_some() => Self::Elsewhere,
            _ if !facts.is_over() => Self::NotYet,
            _ if facts.started_ms.is_none() => Self::Never,
            _ if facts.ended_lately(now) => Self::OnItsWay,
            _ => Self::Gone,
        }
    }

    /// Whether there may be one soon though the run is over.
    pub fn is_awaited(self) -> bool {
        matches!(self, Self::StoreIsDown | Self::OnItsWay)
    }

    /// For programs.
    fn code(self) -> &'static str {
        match self {
            Self::NotYet => "notYet",
            Self::Never => "never",
            Self::Elsewhere => "elsewhere",
            Self::OnItsWay => "onItsWay",
            Self::Gone => "gone",
            Self::StoreIsDown => "storeIsDown",
        }
    }
}

impl Model {
    /// After how much time a page about this is to be loaded again where no script follows the run.
    pub fn again(&self) -> Option<Duration> {
        let is_live = match &self.log {
            Log::Shown(shown) => shown.live_from.is_some(),
            Log::Missing(missing) => missing.is_awaited(),
        };
        (is_live || !self.facts.is_over()).then_some(Duration::from_secs(5))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    steps: Vec<JsonStep<'a>>,
    log: JsonLog,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonStep<'a> {
    step: Option<u32>,
    name: &'a str,
    result: Option<StepResult>,
    exit_code: Option<i32>,
    began_ms: Option<i64>,
    seconds: Option<f64>,
    from: u64,
    to: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonLog {
    state: &'static str,
    size: u64,
    lines: u64,
    left_out: u64,
    unfinished: bool,
    text: String,
}

impl Serialize for Model {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = format!(
            "/r/{}/runs/{}.txt",
            self.facts.pull.repository, self.facts.uid
        );
        let (steps, log) = match &self.log {
            Log::Shown(shown) => {
                let log = JsonLog {
                    state: if shown.view.ended { "ended" } else { "live" },
                    size: shown.view.size,
                    lines: shown.view.lines,
                    left_out: shown.view.left_out,
                    unfinished: shown.view.unfinished,
                    text,
                };
                (shown.sections.iter().map(json_step).collect(), log)
            }
            Log::Missing(missing) => {
                let state = missing.code();
                let log = JsonLog {
                    state,
                    size: 0,
                    lines: 0,
                    left_out: 0,
                    unfinished: false,
                    text,
                };
                (Vec::new(), log)
            }
        };
        let facts = &self.facts;
        Json { facts, steps, log }.serialize(serializer)
    }
}

fn json_step(section: &Section) -> JsonStep<'_> {
    JsonStep {
        step: section.step,
        name: &section.name,
        result: section.result,
        exit_code: section.exit,
        began_ms: section.began_ms,
        seconds: section.seconds(),
        from: section.from,
        to: section.to,
    }
}
