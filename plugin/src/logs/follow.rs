//! `logs -f`: to the end of a run, whatever is cut or begins anew meanwhile.

use std::time::Duration;

use crds::BuilderRun;
use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::LogParams;
use kube::{Api, ResourceExt};

use super::patience::{Patience, Trouble, trouble};
use super::place::Place;
use super::{CONTAINERS, page, phase, pod_of, run_of};
use crate::{Desk, PluginError, out, words};

/// Pause between two looks at something that is about to begin, or to end.
const SOON: Duration = Duration::from_millis(500);

/// Prints the log of a run until the run has ended and all of it is printed.
pub(super) async fn follow(desk: &Desk, name: &str) -> Result<(), PluginError> {
    let mut reader = Reader {
        desk,
        name,
        builds: desk.builds().await,
        container: 0,
        place: Place::default(),
        patience: Patience::new(),
    };
    loop {
        match reader.step().await {
            Ok(true) => return Ok(()),
            Ok(false) => {
                reader.patience.well();
                tokio::time::sleep(SOON).await;
            }
            Err(trouble) => reader.patience.after(trouble).await?,
        }
    }
}

/// Who follows.
struct Reader<'a> {
    desk: &'a Desk,
    name: &'a str,
    builds: String,
    /// Which container's log is read.
    container: usize,
    place: Place,
    patience: Patience,
}

impl Reader<'_> {
    /// Prints what there is, to where the stream ends for whatever reason. Whether that was all.
    async fn step(&mut self) -> Result<bool, Trouble> {
        let run = run_of(self.desk, self.name).await;
        let run = run.map_err(trouble(format!("{} cannot be read", self.name)))?;
        let run = run.ok_or_else(|| Trouble::Stays(super::no_run(self.name)))?;
        let pod = pod_of(self.desk, &self.builds, &run).await;
        let pod = pod.map_err(trouble(format!("pods in {} cannot be listed", self.builds)))?;
        let over = phase(&run).is_terminal();
        let Some(&container) = CONTAINERS.get(self.container) else {
            if over {
                eprintln!("{}", words::in_a_line(&run));
            }
            return Ok(over);
        };
        let Some(pod) = pod else {
            // A run on a worker never has one.
            return match over || run.spec.task.worker.is_some() {
                true => self.shown_elsewhere(&run).await.map(|()| true),
                false => Ok(false),
            };
        };
        // Looked at before its log is read: then that is all of it.
        let ended = over || has_ended(&pod, container);
        self.print(&pod, container, !ended).await?;
        if ended {
            self.container += 1;
            self.place = Place::default();
        }
        Ok(false)
    }

    async fn shown_elsewhere(&self, run: &BuilderRun) -> Result<(), Trouble> {
        let page = page(self.desk, run).await;
        let page = page.map_err(trouble("its build cannot be read"))?;
        out::line(&page).map_err(Trouble::Stays)
    }

    async fn print(&mut self, pod: &Pod, container: &str, follow: bool) -> Result<(), Trouble> {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let pods: Api<Pod> = Api::namespaced(self.desk.client.clone(), &namespace);
        let params = LogParams {
            container: Some(container.to_owned()),
            follow,
            since_time: self.place.since(),
            timestamps: true,
            ..LogParams::default()
        };
        let what = format!("the log of {container} in {name} cannot be read");
        let mut log = match pods.log_stream(&name, &params).await {
            // It is in the queue behind others of its pod, its image is on the way, or it never began.
            Err(kube::Error::Api(status)) if status.code == 400 => return Ok(()),
            log => log.map_err(trouble(&what))?,
        };
        self.place.begin();
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = log.read(&mut buffer).await;
            let read = read.map_err(|error| {
                let because = error.to_string();
                let what = what.clone();
                Trouble::Passes(PluginError::Api { what, because })
            })?;
            if read == 0 {
                return Ok(());
            }
            self.patience.well();
            out::bytes(&self.place.take(&buffer[..read])).map_err(Trouble::Stays)?;
        }
    }
}

/// Whether a container prints no more.
fn has_ended(pod: &Pod, container: &str) -> bool {
    let Some(status) = &pod.status else {
        return false;
    };
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return true;
    }
    let both = [&status.init_container_statuses, &status.container_statuses];
    let mut all = both.into_iter().flatten().flatten();
    let found = all.find(|one| one.name == container);
    let state = found.and_then(|one: &ContainerStatus| one.state.as_ref());
    state.is_some_and(|state| state.terminated.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "status": status })).unwrap()
    }

    #[test]
    fn a_container_has_ended_when_it_or_its_pod_has() {
        let ended = json!({ "terminated": { "exitCode": 0 } });
        let of = |name: &str, state: &serde_json::Value| {
            json!([{ "name": name, "state": state, "ready": false, "restartCount": 0,
                "image": "i", "imageID": "i" }])
        };
        let running = json!({ "running": {} });
        let both = pod(json!({ "phase": "Running",
            "initContainerStatuses": of("checkout", &ended),
            "containerStatuses": of("build", &running) }));
        assert!(has_ended(&both, "checkout"));
        assert!(!has_ended(&both, "build"));
        assert!(!has_ended(&both, "another"));
        assert!(has_ended(&pod(json!({ "phase": "Failed" })), "build"));
        assert!(!has_ended(&pod(json!({ "phase": "Pending" })), "build"));
        assert!(!has_ended(&Pod::default(), "build"));
    }
}
