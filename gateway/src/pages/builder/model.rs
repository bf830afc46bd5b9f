//! What is said of one builder. Pure.

use std::collections::{HashMap, HashSet};

use crds::{Builder, Resources};
use protocol::{
    Timeouts,
    record::{BUILDER_HISTORY, BuilderHistory, HistoryRun},
};
use serde::Serialize;

use crate::pages::{
    builders::Row,
    state::State,
    strip::{self, Past},
    text::Foreign,
};

/// Tests that are named as those that fail most.
const MOST_TESTS: usize = 5;

/// What the page of a builder says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderPage {
    /// Why it may be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Name of the Builder object.
    pub name: String,
    /// The name that people read.
    pub display_name: Foreign,
    /// What the list of builders says of it; absent where the Builder is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Row>,
    /// How it builds; absent where the Builder is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Its last runs in numbers.
    pub numbers: Numbers,
    /// Tests that failed most often in these runs.
    pub failing: Vec<Failing>,
    /// Its last runs, newest first. All of them are of pull requests.
    pub runs: Vec<Run>,
}

/// How a builder builds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    /// The image that its steps run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Foreign>,
    /// CPU, memory and disk that a run gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Limits in time.
    pub timeouts: Timeouts,
    /// New attempts after the infrastructure failed.
    pub infra_retries: i64,
    /// Base branches that it builds; empty: all.
    pub base_branches: Vec<Foreign>,
    /// Its steps.
    pub steps: Vec<StepOf>,
}

/// A step of a builder.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepOf {
    /// Its title.
    pub title: Foreign,
    /// Its script.
    pub run: String,
}

/// The last runs of a builder in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// Runs that were looked at.
    pub runs: usize,
    /// Runs that passed.
    pub passed: usize,
    /// Runs that failed or timed out.
    pub failed: usize,
    /// Runs that ended in error.
    pub error: usize,
    /// Runs that were cancelled.
    pub cancelled: usize,
    /// How many of a hundred runs that passed or failed passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_percent: Option<u32>,
    /// Median of the seconds of runs that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds: Option<f64>,
    /// Nine of ten runs that passed took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ninetieth_seconds: Option<f64>,
}

/// A test that failed in several runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// Its name.
    pub test: Foreign,
    /// Runs in which it failed.
    pub runs: usize,
    /// Pull requests of these runs.
    pub pulls: usize,
}

/// A run of a builder.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// What a strip shows of it.
    #[serde(flatten)]
    pub past: Past,
    /// The labelled head.
    pub head_sha: String,
    /// The base branch.
    pub base_ref: Foreign,
    /// Failing tests, the first ones.
    pub failures: Vec<Foreign>,
}

/// The page, of what there is.
pub fn page(
    name: &str,
    object: Option<&Builder>,
    row: Option<Row>,
    history: &BuilderHistory,
) -> BuilderPage {
    let known_as = row.as_ref().map(|row| row.display_name.clone());
    let was_called = Some(history.display_name.as_str()).filter(|name| !name.is_empty());
    let display_name = known_as.unwrap_or_else(|| was_called.unwrap_or(name).into());
    let runs: Vec<Run> = history.runs.iter().take(BUILDER_HISTORY).map(run).collect();
    BuilderPage {
        note: None,
        name: name.to_owned(),
        display_name,
        now: row,
        way: object.map(way),
        numbers: numbers(&runs),
        failing: failing(&history.runs),
        runs,
    }
}

fn run(run: &HistoryRun) -> Run {
    Run {
        past: Past::of(run),
        head_sha: run.head_sha.clone(),
        base_ref: run.base_ref.as_str().into(),
        failures: run
            .failures
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
    }
}

fn way(builder: &Builder) -> Way {
    let spec = &builder.spec;
    let kubernetes = spec.kubernetes.as_ref();
    let step = |step: &protocol::Step| StepOf {
        title: step.title().into(),
        run: step.run.clone(),
    };
    Way {
        image: kubernetes.map(|kubernetes| kubernetes.image.as_str().into()),
        resources: kubernetes.map(|kubernetes| kubernetes.resources.clone()),
        timeouts: spec.timeouts,
        infra_retries: spec.infra_retries,
        base_branches: spec
            .base_branches
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
        steps: spec.steps.iter().map(step).collect(),
    }
}

fn numbers(runs: &[Run]) -> Numbers {
    let pasts: Vec<Past> = runs.iter().map(|run| run.past.clone()).collect();
    let count = |states: &[State]| {
        let is_one = |past: &&Past| states.contains(&past.state);
        pasts.iter().filter(is_one).count()
    };
    let passed = count(&[State::Passed]);
    let failed = count(&[State::Failed, State::TimedOut]);
    Numbers {
        runs: pasts.len(),
        passed,
        failed,
        error: count(&[State::Error]),
        cancelled: count(&[State::Cancelled]),
        pass_percent: (passed * 100)
            .checked_div(passed + failed)
            .map(|n| n as u32),
        median_seconds: strip::median(strip::passed_seconds(&pasts)),
        ninetieth_seconds: strip::quantile(strip::passed_seconds(&pasts), 0.9),
    }
}

/// Tests that failed in more than one run, those of the most pull requests first: they are hardly the fault
/// of one.
fn failing(runs: &[HistoryRun]) -> Vec<Failing> {
    type Pulls<'a> = HashSet<(&'a str, i64)>;
    let mut found: HashMap<&str, (usize, Pulls<'_>)> = HashMap::new();
    for run in runs {
        for test in &run.failures {
            let entry = found.entry(test).or_default();
            entry.0 += 1;
            entry.1.insert((&run.repository, run.number));
        }
    }
    let several = found.into_iter().filter(|(_, (runs, _))| *runs > 1);
    let told = several.map(|(test, (runs, pulls))| Failing {
        test: test.into(),
        runs,
        pulls: pulls.len(),
    });
    let mut told: Vec<Failing> = told.collect();
    told.sort_by(|a, b| (b.pulls, b.runs, &a.test).cmp(&(a.pulls, a.runs, &b.test)));
    told.truncate(MOST_TESTS);
    told
}
