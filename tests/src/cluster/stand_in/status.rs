//! The statuses that a kubelet writes, for a pod with a container `checkout` before its containers, and
//! perhaps a sidecar. Pure.

use k8s_openapi::api::core::v1::{Container, Pod};
use protocol::{CheckoutReport, Source};
use serde_json::{Value, json};

use super::Ending;

/// A pod seen as its statuses need it.
pub(super) struct Picture {
    /// Init containers that go on beside the others.
    sidecars: Vec<(String, String)>,
    init: Vec<(String, String)>,
    main: Vec<(String, String)>,
    checkout: String,
    now: String,
}

/// Whether a pod has ended.
pub(super) fn is_over(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

impl Picture {
    pub(super) fn of(pod: &Pod) -> Self {
        let spec = pod.spec.clone().unwrap_or_default();
        let init = spec.init_containers.unwrap_or_default();
        let pairs = |containers: &[Container]| {
            let pair = |one: &Container| (one.name.clone(), one.image.clone().unwrap_or_default());
            containers.iter().map(pair).collect()
        };
        let is_sidecar = |one: &Container| one.restart_policy.as_deref() == Some("Always");
        let (sidecars, init): (Vec<Container>, Vec<Container>) =
            init.into_iter().partition(is_sidecar);
        Self {
            sidecars: pairs(&sidecars),
            init: pairs(&init),
            main: pairs(&spec.containers),
            checkout: checkout_message(&init),
            now: k8s_openapi::jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
        }
    }

    /// The init containers run.
    pub(super) fn checking_out(&self) -> Value {
        let running = self.running();
        let waiting = waiting("PodInitializing", "");
        self.status(
            "Pending",
            false,
            list(&self.init, &running, false),
            list(&self.main, &waiting, false),
        )
    }

    /// The containers run.
    pub(super) fn building(&self) -> Value {
        self.status(
            "Running",
            true,
            self.checked_out(),
            list(&self.main, &self.running(), true),
        )
    }

    /// No node takes it.
    pub(super) fn unschedulable(&self, message: &str) -> Value {
        let condition = self.condition("PodScheduled", "False", "Unschedulable", message);
        json!({ "phase": "Pending", "conditions": [condition] })
    }

    /// It was deleted: its containers got SIGTERM.
    pub(super) fn killed(&self) -> Value {
        self.failed(143, "Error", "")
    }

    /// How it ends; nothing if it never does.
    pub(super) fn ended(&self, ending: &Ending) -> Option<Value> {
        let status = match ending {
            Ending::Exit { code: 0, message } => {
                let done = self.terminated(0, "Completed", message);
                self.status(
                    "Succeeded",
                    true,
                    self.checked_out(),
                    list(&self.main, &done, false),
                )
            }
            Ending::Exit { code, message } => self.failed(*code, "Error", message),
            Ending::CheckoutSays { message } => {
                let init = list(&self.init, &self.terminated(0, "Completed", message), true);
                let done = self.terminated(0, "Completed", r#"{"verdict":"Passed","exitCode":0}"#);
                self.status("Succeeded", true, init, list(&self.main, &done, false))
            }
            Ending::CheckoutFails { code, message } => {
                let init = list(&self.init, &self.terminated(*code, "Error", message), false);
                let waiting = waiting("PodInitializing", "");
                self.status("Failed", false, init, list(&self.main, &waiting, false))
            }
            Ending::OutOfMemory => self.failed(137, "OOMKilled", ""),
            Ending::Evicted { message } => {
                let mut status = self.failed(137, "Error", "");
                status["reason"] = "Evicted".into();
                status["message"] = message.as_str().into();
                self.disrupted(status, "TerminationByKubelet", message)
            }
            Ending::Preempted => {
                let main = list(&self.main, &waiting("PodInitializing", ""), false);
                let status = self.status("Failed", false, self.checked_out(), main);
                let message = "default-scheduler: preempting to accommodate a higher priority pod";
                self.disrupted(status, "PreemptionByScheduler", message)
            }
            Ending::ImagePullBackOff { message } => {
                let waiting = waiting("ImagePullBackOff", message);
                self.status(
                    "Pending",
                    true,
                    self.checked_out(),
                    list(&self.main, &waiting, false),
                )
            }
            Ending::Unschedulable { message } => self.unschedulable(message),
            Ending::NodeLost => {
                let mut status = self.building();
                status["reason"] = "NodeLost".into();
                status["message"] = "the node is not heard of any more".into();
                status
            }
            Ending::NodeRestarts => self.failed(255, "Unknown", ""),
            Ending::Never => return None,
        };
        Some(status)
    }

    fn failed(&self, code: i32, reason: &str, message: &str) -> Value {
        let done = self.terminated(code, reason, message);
        self.status(
            "Failed",
            true,
            self.checked_out(),
            list(&self.main, &done, false),
        )
    }

    /// A status with the condition that says who took the pod from its node.
    fn disrupted(&self, mut status: Value, reason: &str, message: &str) -> Value {
        let target = self.condition("DisruptionTarget", "True", reason, message);
        if let Some(conditions) = status["conditions"].as_array_mut() {
            conditions.push(target);
        }
        status
    }

    fn checked_out(&self) -> Value {
        list(
            &self.init,
            &self.terminated(0, "Completed", &self.checkout),
            true,
        )
    }

    fn running(&self) -> Value {
        json!({ "running": { "startedAt": self.now } })
    }

    fn terminated(&self, code: i32, reason: &str, message: &str) -> Value {
        json!({ "terminated": {
            "exitCode": code, "reason": reason, "message": message,
            "startedAt": self.now, "finishedAt": self.now,
        }})
    }

    fn status(&self, phase: &str, initialized: bool, init: Value, main: Value) -> Value {
        let initialized = if initialized { "True" } else { "False" };
        let ready = if phase == "Running" { "True" } else { "False" };
        let mut sidecars = self.sidecars(phase);
        if let (Some(all), Some(init)) = (sidecars.as_array_mut(), init.as_array()) {
            all.extend(init.iter().cloned());
        }
        json!({
            "phase": phase, "startTime": self.now,
            "conditions": [
                self.condition("PodScheduled", "True", "", ""),
                self.condition("Initialized", initialized, "", ""),
                self.condition("ContainersReady", ready, "", ""),
                self.condition("Ready", ready, "", ""),
            ],
            "initContainerStatuses": sidecars, "containerStatuses": main,
        })
    }

    /// Sidecars run as long as the pod does.
    fn sidecars(&self, phase: &str) -> Value {
        match phase {
            "Succeeded" | "Failed" => {
                list(&self.sidecars, &self.terminated(0, "Completed", ""), false)
            }
            _ => list(&self.sidecars, &self.running(), true),
        }
    }

    pub(super) fn has_sidecar(&self) -> bool {
        !self.sidecars.is_empty()
    }

    /// The build has ended, and a sidecar still runs.
    pub(super) fn lingering(&self, ended: &Value) -> Value {
        let mut status = ended.clone();
        let running = self.status("Running", true, json!([]), json!([]));
        for field in ["phase", "conditions"] {
            status[field] = running[field].clone();
        }
        let all = status["initContainerStatuses"].as_array_mut();
        for (slot, sidecar) in all.into_iter().flatten().zip(
            running["initContainerStatuses"]
                .as_array()
                .into_iter()
                .flatten(),
        ) {
            *slot = sidecar.clone();
        }
        status
    }

    fn condition(&self, kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": self.now,
        })
    }
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": message } })
}

/// The same state for each of these containers.
fn list(containers: &[(String, String)], state: &Value, ready: bool) -> Value {
    let one = |(name, image): &(String, String)| {
        json!({
            "name": name, "image": image, "imageID": image, "restartCount": 0, "ready": ready,
            "started": state.get("running").is_some(), "state": state,
        })
    };
    containers.iter().map(one).collect()
}

/// The report of a checkout that found what was asked for.
fn checkout_message(init: &[Container]) -> String {
    let checkout = init.iter().find(|container| container.name == "checkout");
    let variables = checkout.and_then(|container| container.env.as_ref());
    let source = variables.and_then(|env| env.iter().find(|one| one.name == "PRBUILD_SOURCE"));
    let source = source.and_then(|variable| variable.value.as_deref());
    let source: Option<Source> = source.and_then(|json| serde_json::from_str(json).ok());
    let Some(source) = source else {
        return String::new();
    };
    let report = CheckoutReport {
        commit: source.commit,
        parents: source.parents,
        tree: source.tree.unwrap_or_else(|| "0".repeat(40)),
        error: None,
    };
    serde_json::to_string(&report).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Pod {
        let source = json!({
            "repositoryId": 1, "repository": "o/r", "cloneUrl": "http://h/o/r.git", "pullRequest": 7,
            "commit": "a".repeat(40), "parents": ["b".repeat(40), "c".repeat(40)],
            "headSha": "c".repeat(40), "baseRef": "main",
        });
        serde_json::from_value(json!({ "spec": {
            "initContainers": [{ "name": "checkout", "image": "i",
                "env": [{ "name": "PRBUILD_SOURCE", "value": source.to_string() }] }],
            "containers": [{ "name": "build", "image": "j" }],
        }}))
        .unwrap()
    }

    #[test]
    fn the_checkout_reports_the_commit_that_the_pod_was_asked_for() {
        let status = Picture::of(&pod()).building();
        let message = &status["initContainerStatuses"][0]["state"]["terminated"]["message"];
        let report: CheckoutReport = serde_json::from_str(message.as_str().unwrap()).unwrap();
        assert_eq!(report.commit, "a".repeat(40));
        assert_eq!(report.parents.len(), 2);
    }

    #[test]
    fn a_sidecar_runs_until_the_pod_is_over_and_decides_nothing() {
        let mut pod = pod();
        let init = pod.spec.as_mut().unwrap().init_containers.as_mut().unwrap();
        let ship = json!({ "name": "ship", "image": "i", "restartPolicy": "Always" });
        init.insert(0, serde_json::from_value(ship).unwrap());
        let picture = Picture::of(&pod);
        let ended = picture.ended(&Ending::OutOfMemory).unwrap();
        let state = |status: &Value, at: usize, state: &str| {
            let all = &status["initContainerStatuses"];
            assert_eq!(all.as_array().unwrap().len(), 2);
            !all[at]["state"][state].is_null()
        };
        assert!(state(&ended, 0, "terminated") && state(&ended, 1, "terminated"));
        for status in [picture.building(), picture.lingering(&ended)] {
            assert!(state(&status, 0, "running") && state(&status, 1, "terminated"));
            assert_eq!(status["phase"], "Running");
        }
        let lingering = picture.lingering(&ended);
        assert_eq!(
            lingering["containerStatuses"][0]["state"]["terminated"]["reason"],
            "OOMKilled"
        );
    }

    #[test]
    fn every_ending_is_a_status_that_the_api_knows() {
        let text = || "words".to_owned();
        let endings = [
            (
                Ending::Exit {
                    code: 0,
                    message: text(),
                },
                "Succeeded",
            ),
            (
                Ending::Exit {
                    code: 3,
                    message: text(),
                },
                "Failed",
            ),
            (Ending::CheckoutSays { message: text() }, "Succeeded"),
            (
                Ending::CheckoutFails {
                    code: 1,
                    message: text(),
                },
                "Failed",
            ),
            (Ending::OutOfMemory, "Failed"),
            (Ending::Evicted { message: text() }, "Failed"),
            (Ending::ImagePullBackOff { message: text() }, "Pending"),
            (Ending::Unschedulable { message: text() }, "Pending"),
            (Ending::NodeLost, "Running"),
            (Ending::NodeRestarts, "Failed"),
        ];
        let picture = Picture::of(&pod());
        for (ending, phase) in endings {
            let status = picture.ended(&ending).unwrap();
            let pod: Pod = serde_json::from_value(json!({ "status": status })).unwrap();
            assert_eq!(
                pod.status.unwrap().phase.as_deref(),
                Some(phase),
                "{ending:?}"
            );
        }
        assert_eq!(picture.ended(&Ending::Never), None);
    }
}
