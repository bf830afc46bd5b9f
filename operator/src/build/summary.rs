//! Pure: the sum of a build's runs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crds::{BuildResult, BuilderResult, BuilderRun, Counts, PrBuild, ReportMode, RunPhase};
use jiff::Timestamp;

use super::stop;

/// The last attempt of every builder that has one.
pub fn last_attempts(runs: &[Arc<BuilderRun>]) -> BTreeMap<String, Arc<BuilderRun>> {
    let mut last: BTreeMap<String, Arc<BuilderRun>> = BTreeMap::new();
    for run in runs {
        let newest = last
            .entry(run.spec.task.builder.clone())
            .or_insert_with(|| run.clone());
        if newest.spec.attempt < run.spec.attempt {
            *newest = run.clone();
        }
    }
    last
}

/// The runs that speak for their builders: the last attempts, as far as no later one was deleted.
pub fn speaking(
    runs: &[Arc<BuilderRun>],
    attempts: &HashMap<String, i64>,
) -> BTreeMap<String, Arc<BuilderRun>> {
    let mut last = last_attempts(runs);
    last.retain(|builder, run| {
        attempts
            .get(builder)
            .is_none_or(|made| run.spec.attempt >= *made)
    });
    last
}

/// Where a run stands.
pub fn phase_of(run: &BuilderRun) -> RunPhase {
    run.status
        .as_ref()
        .map(|status| status.phase)
        .unwrap_or_default()
}

/// Whether a run that ended in error is followed by another attempt: not when nothing more of its
/// builder is started in this build.
pub fn is_retried(run: &BuilderRun, is_over: bool) -> bool {
    let outcome = run
        .status
        .as_ref()
        .and_then(|status| status.outcome.as_ref());
    phase_of(run) == RunPhase::Error
        && outcome.is_some_and(|outcome| outcome.retryable)
        && run.spec.task.infra_retries > 0
        && run.spec.cancel.is_none()
        && !is_over
}

/// The sum of a build.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Builders by where they stand.
    pub counts: Counts,
    /// Each builder's last attempt.
    pub results: Vec<BuilderResult>,
    /// `93 passed, 2 failed, 1 running`.
    pub line: String,
    /// The result, when every builder has one.
    pub result: Option<BuildResult>,
    /// Why GitHub does not have the final status of every builder yet; none when it has.
    pub untold: Option<String>,
    /// Why GitHub will never have the result of a builder, where that is so.
    pub refused: Option<String>,
    /// When the last run ended.
    pub finished: Option<Timestamp>,
}

/// Sums up a build after its dispatch. A builder without a run had it taken away: it is cancelled.
/// `attempts` are the highest attempts that were made; `missing_told` are builders without a run, and whether GitHub knows that they were cancelled.
pub fn summarize(
    build: &PrBuild,
    runs: &[Arc<BuilderRun>],
    attempts: &HashMap<String, i64>,
    missing_told: &HashMap<String, bool>,
) -> Summary {
    let last = speaking(runs, attempts);
    let mut counts = Counts::default();
    let mut results = Vec::new();
    let (mut open, mut untold, mut refused, mut finished) = (0, None, None, None);
    for builder in &build.spec.request.builders {
        let run = last.get(builder);
        let retried = run.is_some_and(|run| is_retried(run, stop::is_over(build, builder)));
        let phase = match run {
            Some(_) if retried => RunPhase::Queued,
            Some(run) => phase_of(run),
            None => RunPhase::Cancelled,
        };
        count(&mut counts, phase);
        open += i32::from(!phase.is_terminal());
        untold = untold.or_else(|| match run {
            Some(run) => untold_because(run),
            None if missing_told.get(builder) == Some(&true) => None,
            None => Some("that a run was deleted is being told".to_owned()),
        });
        refused = refused.or_else(|| run.and_then(|run| refused_because(run)));
        finished = finished.max(run.and_then(|run| finished_at(run)));
        // Of one that is missing, too: after a restart nothing else tells that an earlier one is not the last.
        let made = || attempts.get(builder).copied().unwrap_or(1);
        let attempt = run.map_or_else(made, |run| run.spec.attempt);
        let (report_mode, context) = match run {
            Some(run) => {
                let task = &run.spec.task;
                // A word of a newer version is not ours to write.
                let known = task.report_mode != ReportMode::Unknown;
                (
                    known.then_some(task.report_mode),
                    Some(task.context.clone()),
                )
            }
            None => told_as(build, builder),
        };
        results.push(BuilderResult {
            builder: builder.clone(),
            attempt,
            phase,
            url: None,
            report_mode,
            context,
        });
    }
    Summary {
        line: line(&counts),
        result: (open == 0).then(|| result(&counts, by_what_ran(build))),
        untold,
        refused,
        finished: finished.filter(|_| open == 0),
        counts,
        results,
    }
}

/// How GitHub is told of a builder and under which context, as far as the build's status has it: that
/// outlives the runs.
pub fn told_as(build: &PrBuild, builder: &str) -> (Option<ReportMode>, Option<String>) {
    let results = build.status.iter().flat_map(|status| &status.results);
    let mut own = results.filter(|one| one.builder == builder);
    own.next()
        .map_or((None, None), |one| (one.report_mode, one.context.clone()))
}

fn finished_at(run: &BuilderRun) -> Option<Timestamp> {
    run.status.as_ref()?.finished_at.as_ref().map(|time| time.0)
}

/// Why GitHub will never take the result of a run, such as its limit of statuses; none when it did.
pub fn refused_because(run: &BuilderRun) -> Option<String> {
    let report = run.status.as_ref()?.report.as_ref()?;
    let settled = report.sent.as_deref() == Some("settled");
    report.error.clone().filter(|_| settled)
}

/// Why GitHub has no final status of a run yet; none when it has one, or never will.
fn untold_because(run: &BuilderRun) -> Option<String> {
    let report = run
        .status
        .as_ref()
        .and_then(|status| status.report.clone())
        .unwrap_or_default();
    match report.sent.as_deref() {
        None | Some("pending") => Some(
            report
                .error
                .unwrap_or_else(|| "it is being told".to_owned()),
        ),
        Some(_) => None,
    }
}

fn count(counts: &mut Counts, phase: RunPhase) {
    counts.total += 1;
    *match phase {
        RunPhase::Queued | RunPhase::Dispatched | RunPhase::Unknown => &mut counts.queued,
        RunPhase::Running | RunPhase::Lost => &mut counts.running,
        RunPhase::Succeeded => &mut counts.passed,
        RunPhase::Failed => &mut counts.failed,
        RunPhase::TimedOut => &mut counts.timed_out,
        RunPhase::Error => &mut counts.error,
        RunPhase::Cancelled => &mut counts.cancelled,
    } += 1;
}

/// Whether a build ends by what ran of it: somebody stopped only what had not started.
fn by_what_ran(build: &PrBuild) -> bool {
    let cancel = build.spec.cancel.as_ref();
    cancel.is_some_and(|cancel| cancel.waiting_only)
}

fn result(counts: &Counts, by_what_ran: bool) -> BuildResult {
    if counts.failed + counts.timed_out > 0 {
        BuildResult::Failed
    } else if counts.error > 0 {
        BuildResult::Error
    } else if counts.cancelled > 0 && !(by_what_ran && counts.passed > 0) {
        BuildResult::Cancelled
    } else {
        BuildResult::Passed
    }
}

fn line(counts: &Counts) -> String {
    let parts = [
        (counts.passed, "passed"),
        (counts.failed, "failed"),
        (counts.timed_out, "timed out"),
        (counts.error, "error"),
        (counts.cancelled, "cancelled"),
        (counts.running, "running"),
        (counts.queued, "waiting"),
    ];
    let said = parts.iter().filter(|(n, _)| *n > 0);
    said.map(|(n, word)| format!("{n} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use crds::{BuilderRunSpec, Outcome};
    use serde_json::json;

    use super::*;

    fn build(builders: &[&str]) -> PrBuild {
        let spec = json!({ "request": {
            "repository": { "name": "app", "id": 1, "fullName": "octo/app" },
            "number": 7, "headSha": "c".repeat(40), "baseRef": "main", "flavour": "default",
            "builders": builders,
            "trigger": { "kind": "Label", "eventId": 1, "time": "2026-01-01T00:00:00Z", "label": "test",
                "user": { "id": 1, "login": "ada" }, "permission": "write" },
        }});
        PrBuild::new("app-7-l1", serde_json::from_value(spec).unwrap())
    }

    fn run(builder: &str, attempt: i64, phase: RunPhase, sent: Option<&str>) -> Arc<BuilderRun> {
        let mut task = crate::run::outcome::tests::task();
        task.builder = builder.to_owned();
        let pr_build = crds::BuildRef::default();
        let spec = BuilderRunSpec {
            pr_build,
            attempt,
            task,
            cancel: None,
        };
        let mut run = BuilderRun::new(&format!("app-7-l1-{builder}-{attempt}"), spec);
        let status = run.status.get_or_insert_default();
        status.phase = phase;
        status.report = sent.map(|sent| crds::Report {
            sent: Some(sent.into()),
            ..crds::Report::default()
        });
        let retryable = phase == RunPhase::Error;
        status.outcome = Some(Outcome {
            retryable,
            ..Outcome::default()
        });
        Arc::new(run)
    }

    fn sum(build: &PrBuild, runs: &[Arc<BuilderRun>]) -> Summary {
        summarize(build, runs, &HashMap::new(), &HashMap::new())
    }

    #[test]
    fn the_last_attempt_speaks_and_one_that_will_be_tried_again_is_not_an_end() {
        let build = build(&["a"]);
        let first = run("a", 1, RunPhase::Error, Some("pending"));
        assert_eq!(sum(&build, std::slice::from_ref(&first)).result, None);
        let both = [first, run("a", 2, RunPhase::Succeeded, Some("success"))];
        let sum = sum(&build, &both);
        assert_eq!(
            (sum.result, sum.line.as_str()),
            (Some(BuildResult::Passed), "1 passed")
        );
        assert_eq!(sum.untold, None);
    }

    #[test]
    fn a_run_that_was_deleted_is_cancelled_and_untold_until_github_knows() {
        let build = build(&["a", "b"]);
        let runs = [run("a", 1, RunPhase::Succeeded, Some("success"))];
        let unsaid = sum(&build, &runs);
        assert_eq!(unsaid.result, Some(BuildResult::Cancelled));
        assert!(unsaid.untold.is_some());
        let told = HashMap::from([("b".to_owned(), true)]);
        assert_eq!(
            summarize(&build, &runs, &HashMap::new(), &told).untold,
            None
        );
    }

    #[test]
    fn how_a_builder_is_told_stays_in_the_status_when_its_run_is_gone() {
        let mut build = build(&["a"]);
        let run = run("a", 1, RunPhase::Running, Some("pending"));
        build.status.get_or_insert_default().results = sum(&build, &[run]).results;
        let task = crate::run::outcome::tests::task();
        let told = (Some(task.report_mode), Some(task.context));
        assert_eq!(told_as(&build, "a"), told);
        let gone = sum(&build, &[]).results.remove(0);
        assert_eq!((gone.report_mode, gone.context), told);
    }

    #[test]
    fn a_retry_that_was_deleted_does_not_bring_its_first_attempt_back() {
        let build = build(&["a"]);
        let runs = [run("a", 1, RunPhase::Error, Some("pending"))];
        let attempts = HashMap::from([("a".to_owned(), 2)]);
        let sum = summarize(&build, &runs, &attempts, &HashMap::new());
        assert_eq!(sum.result, Some(BuildResult::Cancelled));
        // All that a restart leaves of it is what the status says.
        let written = sum.results.into_iter();
        let written: HashMap<String, i64> = written.map(|one| (one.builder, one.attempt)).collect();
        let restarted = summarize(&build, &runs, &written, &HashMap::new());
        assert_eq!(restarted.result, Some(BuildResult::Cancelled));
    }

    #[test]
    fn failed_weighs_more_than_error_and_error_more_than_cancelled() {
        let build = build(&["a", "b", "c"]);
        let done = |a, b, c| {
            sum(
                &build,
                &[
                    run("a", 6, a, None),
                    run("b", 1, b, None),
                    run("c", 1, c, None),
                ],
            )
            .result
        };
        let (ok, bad, off) = (RunPhase::Succeeded, RunPhase::Failed, RunPhase::Cancelled);
        assert_eq!(done(ok, ok, ok), Some(BuildResult::Passed));
        assert_eq!(done(ok, bad, off), Some(BuildResult::Failed));
        assert_eq!(done(ok, RunPhase::TimedOut, off), Some(BuildResult::Failed));
        assert_eq!(done(ok, ok, off), Some(BuildResult::Cancelled));
    }
}
