//! `logs`: what a run printed, from its pod while there is one.

use std::io::Write;
use std::time::Duration;

use crds::{BuilderRun, PrBuild, RunPhase};
use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};

use crate::{Desk, PluginError, failed};

/// Containers whose output makes up a log, in their order.
const CONTAINERS: [&str; 2] = ["checkout", "build"];

/// Pause between two looks at something that is about to begin.
const SOON: Duration = Duration::from_millis(500);

/// Prints the log of a run. Who follows it waits for what has not begun.
pub(crate) async fn show(desk: &Desk, name: &str, follow: bool) -> Result<(), PluginError> {
    let (run, pod) = loop {
        let run = run_of(desk, name).await?;
        let pod = pod_of(desk, &run).await?;
        // A run on a worker never has one.
        let has_none = phase(&run).is_terminal() || run.spec.task.worker.is_some();
        if pod.is_some() || has_none || !follow {
            break (run, pod);
        }
        tokio::time::sleep(SOON).await;
    };
    let Some(pod) = pod else {
        return page(desk, &run).await;
    };
    let pods: Api<Pod> = Api::namespaced(desk.client.clone(), &pod.namespace().unwrap_or_default());
    for container in CONTAINERS {
        print(&pods, &pod.name_any(), container, follow).await?;
    }
    Ok(())
}

async fn run_of(desk: &Desk, name: &str) -> Result<BuilderRun, PluginError> {
    let run = desk.api::<BuilderRun>().get_opt(name).await;
    let run = run.map_err(failed(format!("{name} cannot be read")))?;
    run.ok_or_else(|| PluginError::Nothing {
        what: format!("run {name}"),
        remedy: "kubectl prbuild status BUILD".to_owned(),
    })
}

fn phase(run: &BuilderRun) -> RunPhase {
    let status = run.status.as_ref();
    status.map(|status| status.phase).unwrap_or_default()
}

async fn print(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    follow: bool,
) -> Result<(), PluginError> {
    let params = LogParams {
        container: Some(container.to_owned()),
        follow,
        ..LogParams::default()
    };
    let what = format!("the log of {container} in {pod} cannot be read");
    let mut log = loop {
        match pods.log_stream(pod, &params).await {
            // It is in the queue behind others of its pod, or its image is on the way.
            Err(kube::Error::Api(status)) if status.code == 400 && follow => {
                if !may_begin(pods, pod).await {
                    return Ok(());
                }
                tokio::time::sleep(SOON).await;
            }
            log => break log.map_err(failed(&what))?,
        }
    };
    let mut buffer = vec![0; 16 << 10];
    let because = |error: std::io::Error| PluginError::Api {
        what: what.clone(),
        because: error.to_string(),
    };
    loop {
        let read = log.read(&mut buffer).await.map_err(because)?;
        if read == 0 {
            return Ok(());
        }
        let mut out = std::io::stdout();
        out.write_all(&buffer[..read]).map_err(because)?;
        out.flush().map_err(because)?;
    }
}

/// Whether a container of this pod can still begin.
async fn may_begin(pods: &Api<Pod>, pod: &str) -> bool {
    let Ok(Some(pod)) = pods.get_opt(pod).await else {
        return false;
    };
    let phase = pod.status.and_then(|status| status.phase);
    phase.is_none_or(|phase| phase == "Pending" || phase == "Running")
}

/// The pod of a run's Job, in whichever namespace builds run.
async fn pod_of(desk: &Desk, run: &BuilderRun) -> Result<Option<Pod>, PluginError> {
    let uid = run.uid().unwrap_or_default();
    let builds = desk.builds().await;
    let pods: Api<Pod> = Api::namespaced(desk.client.clone(), &builds);
    let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name=run-{uid}"));
    let found = pods.list(&params).await;
    let found = found.map_err(failed(format!("pods in {builds} cannot be listed")))?;
    Ok(found.items.into_iter().next_back())
}

/// Where the log of a run without a pod is shown.
async fn page(desk: &Desk, run: &BuilderRun) -> Result<(), PluginError> {
    let build = desk.api::<PrBuild>().get_opt(&run.spec.pr_build.name).await;
    let build = build.map_err(failed("its build cannot be read"))?;
    let results = build
        .and_then(|build| build.status)
        .unwrap_or_default()
        .results;
    let builder = &run.spec.task.builder;
    let url = results
        .into_iter()
        .filter(|result| &result.builder == builder && result.attempt == run.spec.attempt)
        .find_map(|result| result.url);
    match url {
        Some(url) if run.spec.task.worker.is_some() => println!("its log is at {url}"),
        Some(url) => println!("its pod is gone; the log is kept at {url}"),
        None => println!("{}", crate::words::about_run(run).join("\n")),
    }
    Ok(())
}
