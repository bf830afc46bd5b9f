//! Pure: what is kept of a build, and its entry in the history of its pull request.

use std::{collections::BTreeMap, sync::Arc};

use crds::{BuildResult, Builder, BuilderRun, PrBuild, RunPhase, Trigger, TriggerKind};
use kube::ResourceExt;
use protocol::record::{BuildRecord, BuildRun, Cell, PullBuild, PullHistory, PullRef, RunResult};

use super::run::{millis, pull, result};
use crate::{build::summary::Summary, report::text::code};

/// Failing tests of each builder that the record of a build names; its run's record has the rest.
const FAILURES: usize = 5;

/// What the record of a build is made from.
pub struct Complete<'a> {
    /// The build.
    pub build: &'a PrBuild,
    /// Its sum: every builder has a result.
    pub sum: &'a Summary,
    /// The run that speaks for each builder, where there is one still.
    pub speaking: &'a BTreeMap<String, Arc<BuilderRun>>,
    /// Where GitHub's pages are: `https://github.com`.
    pub web: &'a str,
}

/// The record of a build that is complete. `builder` finds a Builder by name.
pub fn record(
    complete: &Complete<'_>,
    builder: impl Fn(&str) -> Option<Arc<Builder>>,
) -> BuildRecord {
    let (build, sum) = (complete.build, complete.sum);
    let request = &build.spec.request;
    let runs = sum.results.iter().map(|one| {
        let name = || builder(&one.builder).map(|found| found.spec.display_name.clone());
        match complete.speaking.get(&one.builder) {
            Some(run) => of_run(run),
            None => BuildRun {
                builder: one.builder.clone(),
                display_name: name().unwrap_or_else(|| one.builder.clone()),
                run: String::new(),
                attempt: one.attempt,
                result: result(one.phase),
                warning: false,
                seconds: None,
                reason: match one.phase {
                    RunPhase::Cancelled => "its run was deleted".to_owned(),
                    _ => String::new(),
                },
                failures: Vec::new(),
            },
        }
    });
    let created = build.creation_timestamp().as_ref().map(millis);
    let ended = sum.finished.map(|finished| finished.as_second() * 1000);
    BuildRecord {
        name: build.name_any(),
        uid: build.uid().unwrap_or_default(),
        pull: pull_of(complete),
        requester: request.trigger.user.login.clone(),
        trigger: trigger(&request.trigger),
        flavour: request.flavour.clone(),
        commit: request
            .merge_sha
            .as_ref()
            .unwrap_or(&request.head_sha)
            .clone(),
        head_sha: request.head_sha.clone(),
        base_ref: request.base_ref.clone(),
        summary: sum.line.clone(),
        result: sum.result.map_or(RunResult::Unknown, worst),
        created_ms: created.unwrap_or_default(),
        finished_ms: ended.or(created),
        runs: runs.collect(),
        left_out: request
            .left_out
            .iter()
            .map(|left| (left.builder.clone(), left.reason.clone()))
            .collect(),
        rerun_of: request.rerun_of.clone(),
    }
}

/// What the history of a build's pull request says of it: one entry.
pub fn history(record: &BuildRecord) -> PullHistory {
    let cells = record.runs.iter().map(|run| Cell {
        name: run.display_name.clone(),
        run: run.run.clone(),
        result: run.result,
    });
    let entry = PullBuild {
        name: record.name.clone(),
        requester: record.requester.clone(),
        head_sha: record.head_sha.clone(),
        flavour: record.flavour.clone(),
        summary: record.summary.clone(),
        result: record.result,
        created_ms: record.created_ms,
        finished_ms: record.finished_ms.unwrap_or(record.created_ms),
        cells: cells.collect(),
    };
    let mut history = PullHistory {
        pull: record.pull.clone(),
        builds: Vec::new(),
    };
    history.add(entry);
    history
}

fn of_run(run: &BuilderRun) -> BuildRun {
    let (task, status) = (&run.spec.task, run.status.clone().unwrap_or_default());
    let outcome = status.outcome.unwrap_or_default();
    let times = status.started_at.as_ref().zip(status.finished_at.as_ref());
    BuildRun {
        builder: task.builder.clone(),
        display_name: task.display_name.clone(),
        run: run.uid().unwrap_or_default(),
        attempt: run.spec.attempt,
        result: result(status.phase),
        warning: outcome.warning,
        seconds: times.map(|(from, to)| (millis(to) - millis(from)).max(0) as f64 / 1000.0),
        reason: outcome.reason,
        failures: outcome.failures.into_iter().take(FAILURES).collect(),
    }
}

/// The pull request, as its runs know it; where there are none, as the request does.
fn pull_of(complete: &Complete<'_>) -> PullRef {
    let request = &complete.build.spec.request;
    match complete.speaking.values().next() {
        Some(run) => pull(&request.repository.name, &run.spec.task.source),
        None => PullRef {
            repository: request.repository.name.clone(),
            full_name: request.repository.full_name.clone(),
            url: format!(
                "{}/{}",
                complete.web.trim_end_matches('/'),
                request.repository.full_name
            ),
            number: request.number,
        },
    }
}

/// What started it, in words.
fn trigger(trigger: &Trigger) -> String {
    match (trigger.kind, &trigger.label, &trigger.command) {
        (_, Some(label), _) => format!("the label {}", code(label, 200)),
        (_, None, Some(command)) => format!("the command {}", code(command, 300)),
        (TriggerKind::Button, ..) => "a button on GitHub".to_owned(),
        _ => "an object made by hand".to_owned(),
    }
}

fn worst(result: BuildResult) -> RunResult {
    match result {
        BuildResult::Passed => RunResult::Passed,
        BuildResult::Failed => RunResult::Failed,
        BuildResult::Error => RunResult::Error,
        BuildResult::Cancelled => RunResult::Cancelled,
        BuildResult::Unknown => RunResult::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{super::run::tests::run, *};
    use crate::{admission::guard::tests::build as any_build, build::summary::summarize};

    fn complete(builders: &[&str], runs: &[BuilderRun]) -> BuildRecord {
        let mut build = any_build();
        build.spec.request.builders = builders.iter().map(|name| (*name).to_owned()).collect();
        let runs: Vec<Arc<BuilderRun>> = runs.iter().cloned().map(Arc::new).collect();
        let sum = summarize(&build, &runs, &HashMap::new(), &HashMap::new());
        let speaking = crate::build::summary::last_attempts(&runs);
        let complete = Complete {
            build: &build,
            sum: &sum,
            speaking: &speaking,
            web: "https://github.com",
        };
        record(&complete, |_| None)
    }

    #[test]
    fn the_record_of_a_build_has_every_builder_and_the_first_failing_tests() {
        let names: Vec<String> = (0..20).map(|at| format!("test_{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let record = complete(&["debian", "gone"], &[run(RunPhase::Failed, &names)]);
        assert_eq!(record.result, RunResult::Failed);
        assert_eq!(record.summary, "1 failed, 1 cancelled");
        assert_eq!(record.finished_ms, Some(70_000));
        let [debian, gone] = &record.runs[..] else {
            panic!("{:?}", record.runs)
        };
        assert_eq!((&*debian.run, debian.seconds), ("0b5c", Some(10.0)));
        assert_eq!(debian.failures.len(), FAILURES);
        assert_eq!((&*gone.run, gone.result), ("", RunResult::Cancelled));
        assert_eq!(record.pull.url, "https://github.com/octo/app");
    }

    #[test]
    fn a_pull_request_remembers_a_build_by_its_cells() {
        let record = complete(&["debian"], &[run(RunPhase::Succeeded, &[])]);
        let history = history(&record);
        assert_eq!(history.pull.number, record.pull.number);
        let [build] = &history.builds[..] else {
            panic!("{history:?}")
        };
        assert_eq!(build.cells[0].name, "Debian");
        assert_eq!(build.cells[0].result, RunResult::Passed);
    }
}
