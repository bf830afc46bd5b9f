//! Pure: the runs of a build.

use crds::{
    BuildRef, Builder, BuilderRun, BuilderRunSpec, PrBuild, ReportMode, Reporting, Repository,
    Request, Task, condition, names,
};
use kube::{ResourceExt, api::ObjectMeta};
use protocol::{Recipe, Source};

use crate::health::builder::RECIPE_LIMIT;

/// A task has at most this many bytes: the steps that a Builder may have, and as much again for the commits,
/// the machine and its names. So a Builder that is ready can run.
const TASK_LIMIT: usize = 2 * RECIPE_LIMIT;

/// Characters that a task's context and its `invalid` may have.
const CONTEXT_LIMIT: usize = 255;
const INVALID_LIMIT: usize = 500;

/// What a run is made from.
pub struct Materials<'a> {
    /// The build.
    pub build: &'a PrBuild,
    /// Its repository, if that still exists.
    pub repository: Option<&'a Repository>,
    /// Where the code is fetched from.
    pub clone_url: &'a str,
    /// Check runs can be written there: the connection is an App that was granted it.
    pub writes_checks: bool,
}

/// The first attempt of one builder. A builder that is gone or not valid gets a run too, which ends
/// in error with that reason: what was asked for is answered.
pub fn first_attempt(
    from: &Materials<'_>,
    name: &str,
    builder: Result<&Builder, String>,
) -> BuilderRun {
    let builder = builder.and_then(|builder| match from.repository.and_then(unusable) {
        Some(why) => Err(why),
        None => Ok(builder),
    });
    let task = match (builder, from.clone_url) {
        (Err(why), _) => invalid(from, name, name, why),
        (Ok(builder), "") => {
            let why = format!(
                "the Repository `{}` or its connection does not exist any more",
                from.build.spec.request.repository.name
            );
            invalid(from, name, &builder.spec.display_name, why)
        }
        (Ok(builder), _) => task(from, name, builder),
    };
    run(from.build, name, 1, task)
}

/// The next attempt after one that failed for reasons of the infrastructure: the same task.
pub fn next_attempt(build: &PrBuild, failed: &BuilderRun) -> BuilderRun {
    let mut task = failed.spec.task.clone();
    task.infra_retries = (task.infra_retries - 1).max(0);
    let name = task.builder.clone();
    run(build, &name, failed.spec.attempt + 1, task)
}

/// A run in place of one that the API server did not take.
pub fn not_taken(mut run: BuilderRun, why: &str) -> BuilderRun {
    let task = &mut run.spec.task;
    task.recipe = None;
    task.kubernetes = None;
    task.worker = None;
    task.infra_retries = 0;
    task.context = task.context.chars().take(CONTEXT_LIMIT).collect();
    let why = format!("the cluster does not take its run: {why}");
    task.invalid = Some(why.chars().take(INVALID_LIMIT).collect());
    run
}

/// Why nothing of a Repository may be built any more. That GitHub cannot be reached is no such reason.
fn unusable(repository: &Repository) -> Option<String> {
    let conditions = &repository.status.as_ref()?.conditions;
    let ready = condition::find(conditions, condition::kind::READY)?;
    let for_good = [
        "Private",
        "Replaced",
        "Duplicate",
        "NoConnection",
        "NotFound",
    ];
    let holds = ready.status == "False" && for_good.contains(&ready.reason.as_str());
    holds.then(|| {
        format!(
            "the Repository `{}` is not usable: {}",
            repository.name_any(),
            ready.message
        )
    })
}

/// The sentence about a builder that was deleted.
pub fn gone(builder: &str) -> String {
    format!("the builder `{builder}` does not exist any more")
}

fn run(build: &PrBuild, builder: &str, attempt: i64, task: Task) -> BuilderRun {
    let name = build.name_any();
    BuilderRun {
        metadata: ObjectMeta {
            name: Some(names::run_name(&name, builder, attempt)),
            namespace: build.namespace(),
            ..ObjectMeta::default()
        },
        spec: BuilderRunSpec {
            pr_build: BuildRef {
                name,
                uid: build.uid().unwrap_or_default(),
            },
            attempt,
            task,
            cancel: None,
        },
        status: None,
    }
}

fn task(from: &Materials<'_>, name: &str, builder: &Builder) -> Task {
    let display_name = &builder.spec.display_name;
    let task = Task {
        recipe: Some(recipe(builder)),
        infra_retries: builder.spec.infra_retries,
        kubernetes: builder.spec.kubernetes.clone(),
        worker: builder.spec.worker.clone(),
        ..invalid(from, name, display_name, String::new())
    };
    let task = Task {
        invalid: None,
        ..task
    };
    let size = serde_json::to_string(&task).map_or(usize::MAX, |text| text.len());
    if size <= TASK_LIMIT {
        return task;
    }
    let why = format!(
        "the steps of `{display_name}` take {size} bytes of the {TASK_LIMIT} that a task may have"
    );
    invalid(from, name, display_name, why)
}

fn invalid(from: &Materials<'_>, name: &str, display_name: &str, why: String) -> Task {
    let request = &from.build.spec.request;
    Task {
        builder: name.to_owned(),
        display_name: display_name.to_owned(),
        report_mode: report_mode(from),
        context: context(from.repository, display_name),
        repository: request.repository.name.clone(),
        requester: request.trigger.user.login.clone(),
        requester_id: request.trigger.user.id,
        source: source(request, from.clone_url),
        recipe: None,
        infra_retries: 0,
        kubernetes: None,
        worker: None,
        evidence: request.trigger.evidence,
        invalid: Some(why.chars().take(INVALID_LIMIT).collect()),
    }
}

/// How the run is told, for as long as it lives. Where check runs cannot be written, a status says
/// more than nothing.
fn report_mode(from: &Materials<'_>) -> ReportMode {
    let asked = from.repository.map(|found| found.spec.reporting.mode);
    match asked {
        Some(ReportMode::Checks) if from.writes_checks => ReportMode::Checks,
        _ => ReportMode::Statuses,
    }
}

fn context(repository: Option<&Repository>, display_name: &str) -> String {
    let default = Reporting::default();
    let reporting = repository.map_or(&default, |repository| &repository.spec.reporting);
    reporting.context.replace("{builder}", display_name)
}

fn recipe(builder: &Builder) -> Recipe {
    Recipe {
        steps: builder.spec.steps.clone(),
        exit_codes: builder.spec.exit_codes.clone(),
        timeouts: builder.spec.timeouts,
        tests: builder.spec.tests.clone(),
    }
}

/// The pinned test merge where there is one, else the bare head.
fn source(request: &Request, clone_url: &str) -> Source {
    let merge = request.merge_sha.as_ref().zip(request.base_sha.as_ref());
    let (commit, parents) = match merge {
        Some((merge, base)) => (merge.clone(), vec![base.clone(), request.head_sha.clone()]),
        None => (request.head_sha.clone(), Vec::new()),
    };
    Source {
        repository_id: request.repository.id,
        repository: request.repository.full_name.clone(),
        clone_url: clone_url.to_owned(),
        pull_request: request.number,
        commit,
        parents,
        tree: request.merge_tree.clone(),
        head_sha: request.head_sha.clone(),
        base_ref: request.base_ref.clone(),
    }
}
