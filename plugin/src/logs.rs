//! `logs`: what a run printed, from its pod while there is one.

use std::io::Write;

use crds::{BuilderRun, PrBuild};
use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};

use crate::{Desk, PluginError, failed};

/// Containers whose output makes up a log, in their order.
const CONTAINERS: [&str; 2] = ["checkout", "build"];

/// Prints the log of a run.
pub(crate) async fn show(desk: &Desk, name: &str, follow: bool) -> Result<(), PluginError> {
    let run = desk.api::<BuilderRun>().get_opt(name).await;
    let run = run.map_err(failed(format!("{name} cannot be read")))?;
    let run = run.ok_or_else(|| PluginError::Nothing {
        what: format!("run {name}"),
        remedy: "kubectl prbuild status BUILD".to_owned(),
    })?;
    let Some(pod) = pod_of(desk, &run).await? else {
        return page(desk, &run).await;
    };
    let pods: Api<Pod> = Api::namespaced(desk.client.clone(), &pod.namespace().unwrap_or_default());
    for container in CONTAINERS {
        print(&pods, &pod.name_any(), container, follow).await?;
    }
    Ok(())
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
    let mut log = pods.log_stream(pod, &params).await.map_err(failed(&what))?;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = log.read(&mut buffer).await;
        let because = |error: std::io::Error| PluginError::Api {
            what: what.clone(),
            because: error.to_string(),
        };
        match read.map_err(because)? {
            0 => return Ok(()),
            read => std::io::stdout()
                .write_all(&buffer[..read])
                .map_err(because)?,
        }
    }
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
        Some(url) => println!("its pod is gone; the log is kept at {url}"),
        None => println!("{}", crate::words::about_run(run).join("\n")),
    }
    Ok(())
}
