//! All that the page of a run says.

use std::time::Duration;

use jiff::Timestamp;
use protocol::StepResult;
use serde::Serialize;

use super::{
    facts::Facts, marks::Section, reports::Report, search::Found, signed::Signed, window::Window,
};
use crate::{logs::View, pages::state::State};

/// The page of a run.
pub struct Model {
    /// What is known of the run.
    pub facts: Facts,
    /// Its log, as far as it is asked for.
    pub log: Log,
    /// What keeps some of the log away.
    pub held: Held,
    /// The moment that times are relative to.
    pub now: Timestamp,
    /// What is kept for how long, as a sentence.
    pub keeps: String,
}

/// What keeps the end of a log that goes on from where it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The store is away or full.
    pub store_is_down: bool,
    /// It has all that is sent before the end of the run.
    pub end_later: bool,
}

impl Held {
    /// Where a run stands and why, and what keeps some of its log away, in a line.
    pub fn told(self, facts: &Facts) -> String {
        let mut told = facts.told();
        if self.store_is_down {
            told.push_str("; the store of logs is away or full");
        }
        if self.end_later {
            told.push_str("; the end of the log comes later");
        }
        told
    }
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
    /// Whether it is the one that its worker signed, where one ran it and that can be told.
    pub signed: Option<Signed>,
    /// Its steps.
    pub sections: Vec<Section>,
    /// What the page has of their summaries.
    pub reports: Vec<Report>,
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
    /// The store does not answer, or takes nothing.
    StoreIsDown,
}

impl Missing {
    /// What people read in its place.
    pub fn sentence(self, state: State, keeps: &str) -> String {
        let sentence = match self {
            Self::NotYet if state == State::Waiting => {
                "The log begins here once the run has a machine."
            }
            Self::NotYet => {
                "The run has printed nothing yet. Its log appears here as it is written."
            }
            Self::Never => "The run ended before it printed anything, so there is no log.",
            Self::Elsewhere => "The log is that of the run whose outcome this one took over.",
            Self::OnItsWay => "The run has ended, and its log is on its way.",
            Self::Gone => {
                return format!(
                    "There is no log any more: it is kept no longer, or it never arrived. {keeps}"
                );
            }
            Self::StoreIsDown => "The log cannot be shown now.",
        };
        sentence.to_owned()
    }

    /// Why a run has no log. One that is being sent is not there either where the store takes nothing.
    pub fn of(facts: &Facts, store_is_down: bool, now: Timestamp) -> Self {
        match facts {
            _ if facts.same_as.is_some() => Self::Elsewhere,
            _ if facts.state == State::Waiting => Self::NotYet,
            _ if !facts.is_over() && store_is_down => Self::StoreIsDown,
            _ if !facts.is_over() => Self::NotYet,
            _ if facts.started_ms.is_none() => Self::Never,
            _ if facts.ended_lately(now) && store_is_down => Self::StoreIsDown,
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
    /// Whether what was printed may be missing because the store is away or full.
    pub fn store_is_down(&self) -> bool {
        match &self.log {
            Log::Shown(shown) => shown.view.store_is_down,
            Log::Missing(missing) => *missing == Missing::StoreIsDown,
        }
    }

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
    end_later: bool,
    store_is_down: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<Signed>,
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
                    end_later: self.held.end_later,
                    store_is_down: self.store_is_down(),
                    signed: shown.signed,
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
                    end_later: false,
                    store_is_down: self.store_is_down(),
                    signed: None,
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
