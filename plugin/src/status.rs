//! `status` and `explain`.

use crds::{Answer, BuilderRun, PrBuild};
use jiff::Timestamp;
use kube::api::ListParams;

use crate::{Desk, PluginError, failed, words};

/// Builds, those of one pull request, or the runs of one build.
pub(crate) async fn show(desk: &Desk, what: Option<&str>) -> Result<(), PluginError> {
    let number = what.and_then(|what| what.trim_start_matches('#').parse::<i64>().ok());
    if let (Some(name), None) = (what, number) {
        return runs_of(desk, name).await;
    }
    let all = desk.api::<PrBuild>().list(&ListParams::default()).await;
    let mut builds = all.map_err(failed("builds cannot be listed"))?.items;
    builds.retain(|build| number.is_none_or(|number| build.spec.request.number == number));
    print!(
        "{}",
        words::table(&words::builds(&builds, Timestamp::now()))
    );
    Ok(())
}

async fn runs_of(desk: &Desk, name: &str) -> Result<(), PluginError> {
    let build = desk.api::<PrBuild>().get_opt(name).await;
    let build = build.map_err(failed(format!("{name} cannot be read")))?;
    let build = build.ok_or_else(|| nothing(format!("build {name}")))?;
    for line in words::about_build(&build) {
        println!("{line}");
    }
    let runs = desk.api::<BuilderRun>().list(&ListParams::default()).await;
    let mut runs = runs.map_err(failed("runs cannot be listed"))?.items;
    runs.retain(|run| run.spec.pr_build.name == name);
    print!("\n{}", words::table(&words::runs(&runs)));
    Ok(())
}

/// Why something is as it is.
pub(crate) async fn explain(desk: &Desk, name: &str) -> Result<(), PluginError> {
    let what = || failed(format!("{name} cannot be read"));
    let build = desk.api::<PrBuild>().get_opt(name).await.map_err(what())?;
    let run = desk
        .api::<BuilderRun>()
        .get_opt(name)
        .await
        .map_err(what())?;
    let answer = desk.api::<Answer>().get_opt(name).await.map_err(what())?;
    let lines = match (build, run, answer) {
        (Some(build), ..) => words::about_build(&build),
        (_, Some(run), _) => words::about_run(&run),
        (.., Some(answer)) => words::about_answer(&answer),
        _ => return Err(nothing(format!("build, run or answer {name}"))),
    };
    println!("{}", lines.join("\n"));
    Ok(())
}

fn nothing(what: String) -> PluginError {
    PluginError::Nothing {
        what,
        remedy: "kubectl prbuild status, or kubectl get prbuild -A".to_owned(),
    }
}
