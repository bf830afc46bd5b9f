//! Pure: from the objects of a build to what its comment says.

use std::{collections::BTreeMap, sync::Arc};

use crds::{
    BuildPhase, Builder, BuilderRun, Commands, PrBuild, PrBuildStatus, ReportMode, Reporting,
    Repository, RunPhase, condition,
};
use kube::ResourceExt;
use protocol::StepResult;

use super::{
    comment::{BuilderFacts, CommentFacts},
    fault::Also,
    links::Pages,
    template::Wording,
    text::{between, code},
};
use crate::build::{
    stop::is_over,
    summary::{is_retried, refused_because},
};

/// What the comment of a build says, from its objects.
///
/// `speaking` is the run that speaks for each builder, by the builder's name, see
/// [`speaking`](crate::build::summary::speaking). `repository` is absent when it was deleted: then
/// the comment has the wording of a Repository that says nothing. `builder` finds a Builder by name,
/// for the display names of those that have no run yet.
pub fn facts(
    build: &PrBuild,
    speaking: &BTreeMap<String, Arc<BuilderRun>>,
    repository: Option<&Repository>,
    builder: impl Fn(&str) -> Option<Arc<Builder>>,
    around: &Surroundings<'_>,
) -> CommentFacts {
    let request = &build.spec.request;
    let status = build.status.clone().unwrap_or_default();
    let spec = repository.map(|repository| &repository.spec);
    let reporting = spec.map_or_else(Reporting::default, |spec| spec.reporting.clone());
    let commands = spec.map_or_else(Commands::default, |spec| spec.commands.clone());
    // A builder without a run waits for its dispatch; after that its run was taken away.
    let dispatched = condition::is_true(&status.conditions, condition::kind::DISPATCHED);
    let builders = request
        .builders
        .iter()
        .map(|name| match speaking.get(name) {
            Some(run) => of_run(run, is_over(build, name), around),
            None => without_run(
                builder(name).map_or_else(|| name.clone(), |found| found.spec.display_name.clone()),
                dispatched,
                ended(&status, name),
            ),
        });
    let runs = speaking.values();
    let mut modes = runs.map(|run| run.spec.task.report_mode);
    CommentFacts {
        uid: build.uid().unwrap_or_default(),
        web: around.web.to_owned(),
        page: around.pages.map(|pages| pages.of_build(build)),
        repository: request.repository.full_name.clone(),
        number: request.number,
        trigger: request.trigger.clone(),
        flavour: request.flavour.clone(),
        head_sha: request.head_sha.clone(),
        base_sha: request.base_sha.clone(),
        merge_sha: request.merge_sha.clone(),
        base_ref: request.base_ref.clone(),
        is_rerun: request.rerun_of.is_some(),
        builders: builders.collect(),
        left_out: request.left_out.clone(),
        cancel: build.spec.cancel.clone(),
        duration: status.duration,
        refused: speaking.values().find_map(|run| refused_because(run)),
        mode: modes.next().unwrap_or(reporting.mode),
        wording: Wording::of(&reporting, &commands),
        prefix: commands.prefix,
    }
}

/// What is known beside the objects of a build.
pub struct Surroundings<'a> {
    /// Where GitHub's pages are: `https://github.com`.
    pub web: &'a str,
    /// Where our own are.
    pub pages: Option<&'a Pages>,
    /// The failing tests of a run that failed in earlier runs, too.
    pub also_failed: &'a dyn Fn(&BuilderRun) -> Vec<Also>,
}

fn of_run(run: &BuilderRun, is_over: bool, around: &Surroundings<'_>) -> BuilderFacts {
    let task = &run.spec.task;
    let status = run.status.clone().unwrap_or_default();
    let outcome = status.outcome.clone().unwrap_or_default();
    let retried = is_retried(run, is_over);
    let times = status.started_at.as_ref().zip(status.finished_at.as_ref());
    let check = status.report.as_ref().and_then(|report| report.id);
    let web = around.web.trim_end_matches('/');
    let check = check.filter(|_| task.report_mode == ReportMode::Checks);
    BuilderFacts {
        name: task.display_name.clone(),
        phase: if retried {
            RunPhase::Queued
        } else {
            status.phase
        },
        warning: outcome.warning,
        because: because(run, retried),
        took: times.and_then(|(start, end)| between(start.0, end.0)),
        link: match around.pages {
            Some(pages) => Some(pages.of_run(run)),
            None => check.map(|id| format!("{web}/{}/runs/{id}", task.source.repository)),
        },
        also: (around.also_failed)(run),
        failures_total: usize::try_from(outcome.failures_total).unwrap_or(0),
        failures: outcome.failures,
    }
}

/// How a builder ended in a build that has been complete for so long that its runs are gone.
fn ended(status: &PrBuildStatus, builder: &str) -> Option<RunPhase> {
    let complete = status.phase == BuildPhase::Complete;
    let mut results = status.results.iter().filter(|_| complete);
    let found = results.find(|result| result.builder == builder)?;
    Some(found.phase)
}

fn without_run(name: String, dispatched: bool, ended: Option<RunPhase>) -> BuilderFacts {
    let (phase, because) = match (ended, dispatched) {
        (Some(phase), _) if phase != RunPhase::Cancelled => (phase, ""),
        (Some(_), _) | (None, true) => (RunPhase::Cancelled, "its run was deleted"),
        (None, false) => (RunPhase::Queued, ""),
    };
    BuilderFacts {
        name,
        phase,
        warning: false,
        because: because.to_owned(),
        took: None,
        link: None,
        also: Vec::new(),
        failures: Vec::new(),
        failures_total: 0,
    }
}

/// What a run waits for, or why it ended as it did; empty where that is plain.
fn because(run: &BuilderRun, retried: bool) -> String {
    let status = run.status.clone().unwrap_or_default();
    let outcome = status.outcome.clone().unwrap_or_default();
    let failed = outcome
        .steps
        .iter()
        .find(|step| step.result == StepResult::Failed);
    let because = match (status.phase, failed) {
        (RunPhase::Queued | RunPhase::Dispatched | RunPhase::Lost, _) => {
            // The builder's name stands beside it.
            let own = format!(" on {}", code(&run.spec.task.display_name, 80));
            status
                .waiting
                .map(|waiting| waiting.reason.replace(&own, ""))
        }
        (RunPhase::Running | RunPhase::Succeeded | RunPhase::Unknown, _) => None,
        (RunPhase::Failed, Some(step)) => {
            let code_of = step.exit_code.or(outcome.exit_code);
            let exit = code_of.map_or_else(String::new, |code| format!(" (exit code {code})"));
            Some(format!("step {}{exit}", code(&step.name, 60)))
        }
        (RunPhase::Cancelled, _) if outcome.reason.is_empty() => {
            run.spec.cancel.as_ref().map(|cancel| cancel.reason.clone())
        }
        (RunPhase::Error, _) if outcome.reason.is_empty() => run.spec.task.invalid.clone(),
        _ => Some(outcome.reason),
    };
    let because = because.unwrap_or_default();
    let because = because.trim().trim_end_matches('.');
    match run.spec.attempt {
        attempt if retried => format!("error: {because}; attempt {} is queued", attempt + 1),
        attempt if attempt > 1 && status.phase == RunPhase::Error => {
            format!("{because}; this was attempt {attempt}, the last")
        }
        _ => because.to_owned(),
    }
}
