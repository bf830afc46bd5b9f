//! `logs`: what a run printed, from its pod while there is one.

mod follow;
mod patience;
mod place;

use crds::{BuilderRun, PrBuild, RunPhase};
use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};

use crate::{Desk, PluginError, failed, out, words};

/// Containers whose output makes up a log, in their order.
const CONTAINERS: [&str; 2] = ["checkout", "build"];

/// Prints the log of a run as far as there is one; with `follow`, all of it to the end of the run.
pub(crate) async fn show(desk: &Desk, name: &str, follow: bool) -> Result<(), PluginError> {
    if follow {
        return follow::follow(desk, name).await;
    }
    let run = run_of(desk, name).await;
    let run = run.map_err(failed(format!("{name} cannot be read")))?;
    let run = run.ok_or_else(|| no_run(name))?;
    let builds = desk.builds().await;
    let pod = pod_of(desk, &builds, &run).await;
    let pod = pod.map_err(failed(format!("pods in {builds} cannot be listed")))?;
    let Some(pod) = pod else {
        let page = page(desk, &run).await;
        return out::line(&page.map_err(failed("its build cannot be read"))?);
    };
    let pods: Api<Pod> = Api::namespaced(desk.client.clone(), &builds);
    for container in CONTAINERS {
        print(&pods, &pod.name_any(), container).await?;
    }
    Ok(())
}

async fn run_of(desk: &Desk, name: &str) -> kube::Result<Option<BuilderRun>> {
    desk.api::<BuilderRun>().get_opt(name).await
}

fn no_run(name: &str) -> PluginError {
    PluginError::Nothing {
        what: format!("run {name}"),
        remedy: "kubectl prbuild status BUILD".to_owned(),
    }
}

fn phase(run: &BuilderRun) -> RunPhase {
    let status = run.status.as_ref();
    status.map(|status| status.phase).unwrap_or_default()
}

/// Prints what a container has printed by now.
async fn print(pods: &Api<Pod>, pod: &str, container: &str) -> Result<(), PluginError> {
    let params = LogParams {
        container: Some(container.to_owned()),
        ..LogParams::default()
    };
    let what = format!("the log of {container} in {pod} cannot be read");
    let mut log = match pods.log_stream(pod, &params).await {
        // It has not begun, or never will.
        Err(kube::Error::Api(status)) if status.code == 400 => return Ok(()),
        log => log.map_err(failed(&what))?,
    };
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = log.read(&mut buffer).await;
        let read = read.map_err(|error| PluginError::Api {
            what: what.clone(),
            because: error.to_string(),
        })?;
        if read == 0 {
            return Ok(());
        }
        out::bytes(&buffer[..read])?;
    }
}

/// The pod of a run's Job, in the namespace of builds.
async fn pod_of(desk: &Desk, builds: &str, run: &BuilderRun) -> kube::Result<Option<Pod>> {
    let uid = run.uid().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(desk.client.clone(), builds);
    let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name=run-{uid}"));
    let found = pods.list(&params).await?;
    Ok(found.items.into_iter().next_back())
}

/// Where the log of a run without a pod is shown, in words.
async fn page(desk: &Desk, run: &BuilderRun) -> kube::Result<String> {
    let build = desk
        .api::<PrBuild>()
        .get_opt(&run.spec.pr_build.name)
        .await?;
    let results = build
        .and_then(|build| build.status)
        .unwrap_or_default()
        .results;
    let builder = &run.spec.task.builder;
    let url = results
        .into_iter()
        .filter(|result| &result.builder == builder && result.attempt == run.spec.attempt)
        .find_map(|result| result.url);
    Ok(shown(run, url.as_deref()))
}

/// Where the log of a run without a pod is shown. A run that has not begun has a page, too, and no log yet.
/// Pure.
fn shown(run: &BuilderRun, url: Option<&str>) -> String {
    let about = || words::about_run(run).join("\n");
    match url {
        Some(url) if run.spec.task.worker.is_some() => format!("its log is at {url}"),
        Some(url) if matches!(phase(run), RunPhase::Queued | RunPhase::Dispatched) => {
            format!("{}\nits log will be at {url}", about())
        }
        Some(url) => format!("its pod is gone; the log is kept at {url}"),
        None => about(),
    }
}

#[cfg(test)]
mod tests {
    use crds::BuilderRunStatus;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_that_has_no_pod_yet_is_not_said_to_have_lost_it() {
        let sha = "a".repeat(40);
        let mut run: BuilderRun = serde_json::from_value(json!({
            "apiVersion": "prbuild.dev/v1alpha1", "kind": "BuilderRun",
            "metadata": { "name": "app-7-l1-linux-1" },
            "spec": { "prBuild": { "name": "app-7-l1", "uid": "u" }, "attempt": 1, "task": {
                "builder": "linux", "displayName": "Linux", "context": "c", "repository": "app",
                "requester": "ada", "requesterId": 3, "source": {
                    "repositoryId": 5, "repository": "octo/app", "cloneUrl": "https://x/y",
                    "pullRequest": 7, "commit": sha, "headSha": sha, "baseRef": "main",
                },
            }},
        }))
        .unwrap();
        let mut said = |phase| {
            let status = BuilderRunStatus::default();
            run.status = Some(BuilderRunStatus { phase, ..status });
            shown(&run, Some("https://p"))
        };
        for phase in [RunPhase::Queued, RunPhase::Dispatched] {
            let said = said(phase);
            assert!(said.ends_with("\nits log will be at https://p"), "{said}");
        }
        let gone = "its pod is gone; the log is kept at https://p";
        assert_eq!(said(RunPhase::Failed), gone);
    }
}
