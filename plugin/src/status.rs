//! `status` and `explain`.

use crds::{Answer, BuilderRun, PrBuild, RunPhase};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::{Desk, PluginError, failed, out, words};

/// Builds, those of one pull request, or the runs of one build.
pub(crate) async fn show(desk: &Desk, what: Option<&str>) -> Result<(), PluginError> {
    let number = what.and_then(number);
    if let (Some(name), None) = (what, number) {
        return runs_of(desk, name).await;
    }
    let builds = builds_of(desk, number).await?;
    let table = words::table(&words::builds(&builds, Timestamp::now()));
    out::bytes(table.as_bytes())
}

/// The number of a pull request, as people write it.
fn number(what: &str) -> Option<i64> {
    what.trim_start_matches('#').parse().ok()
}

/// The builds of a pull request, or all.
async fn builds_of(desk: &Desk, number: Option<i64>) -> Result<Vec<PrBuild>, PluginError> {
    let all = desk.api::<PrBuild>().list(&ListParams::default()).await;
    let mut builds = all.map_err(failed("builds cannot be listed"))?.items;
    builds.retain(|build| number.is_none_or(|number| build.spec.request.number == number));
    Ok(builds)
}

/// The runs of a build.
async fn runs(desk: &Desk, build: &str) -> Result<Vec<BuilderRun>, PluginError> {
    let runs = desk.api::<BuilderRun>().list(&ListParams::default()).await;
    let mut runs = runs.map_err(failed("runs cannot be listed"))?.items;
    runs.retain(|run| run.spec.pr_build.name == build);
    Ok(runs)
}

async fn runs_of(desk: &Desk, name: &str) -> Result<(), PluginError> {
    let build = desk.api::<PrBuild>().get_opt(name).await;
    let build = build.map_err(failed(format!("{name} cannot be read")))?;
    let build = build.ok_or_else(|| nothing(format!("build {name}")))?;
    out::line(&words::about_build(&build).join("\n"))?;
    let runs = runs(desk, name).await?;
    out::bytes(format!("\n{}", words::table(&words::runs(&runs))).as_bytes())
}

/// Why something is as it is.
pub(crate) async fn explain(desk: &Desk, name: &str) -> Result<(), PluginError> {
    if let Some(number) = number(name) {
        return explain_pull_request(desk, number).await;
    }
    let what = || failed(format!("{name} cannot be read"));
    let build = desk.api::<PrBuild>().get_opt(name).await.map_err(what())?;
    let run = desk
        .api::<BuilderRun>()
        .get_opt(name)
        .await
        .map_err(what())?;
    let answer = desk.api::<Answer>().get_opt(name).await.map_err(what())?;
    let lines = match (build, run, answer) {
        (Some(build), ..) => about_build(desk, &build).await?,
        (_, Some(run), _) => words::about_run(&run),
        (.., Some(answer)) => words::about_answer(&answer),
        _ => return Err(nothing(format!("build, run or answer {name}"))),
    };
    out::line(&lines.join("\n"))
}

/// All that was asked for there and what became of it, the oldest first.
async fn explain_pull_request(desk: &Desk, number: i64) -> Result<(), PluginError> {
    let mut told = Vec::new();
    for build in builds_of(desk, Some(number)).await? {
        let lines = about_build(desk, &build).await?;
        told.push((build.creation_timestamp(), lines));
    }
    let answers = desk.api::<Answer>().list(&ListParams::default()).await;
    let answers = answers.map_err(failed("answers cannot be listed"))?.items;
    let here = answers.iter().filter(|answer| answer.spec.number == number);
    told.extend(here.map(|answer| (answer.creation_timestamp(), words::about_answer(answer))));
    if told.is_empty() {
        return Err(nothing(format!("build or answer of #{number}")));
    }
    told.sort_by_key(|(asked, _)| asked.clone());
    let paragraphs: Vec<String> = told
        .into_iter()
        .map(|(_, lines)| lines.join("\n"))
        .collect();
    out::line(&paragraphs.join("\n\n"))
}

/// What became of a build, and of each run of it that has not passed.
async fn about_build(desk: &Desk, build: &PrBuild) -> Result<Vec<String>, PluginError> {
    let mut lines = words::about_build(build);
    let runs = runs(desk, &build.name_any()).await?;
    let passed = |run: &&BuilderRun| {
        let status = run.status.as_ref();
        status.is_some_and(|status| status.phase == RunPhase::Succeeded)
    };
    let others = runs.iter().filter(|run| !passed(run));
    lines.extend(others.map(words::in_a_line));
    Ok(lines)
}

fn nothing(what: String) -> PluginError {
    PluginError::Nothing {
        what,
        remedy: "kubectl prbuild status, or kubectl get prbuild -A".to_owned(),
    }
}
