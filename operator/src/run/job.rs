//! Pure: the Job that executes a BuilderRun. A function of the run and of how this install is set
//! up; hardening as the Pod Security standard `restricted` asks, and more.

use std::collections::BTreeMap;

use crds::{BuilderRun, Kubernetes, PullPolicy, names};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Capabilities, Container, EmptyDirVolumeSource, EnvVar, PodSecurityContext, PodSpec,
            PodTemplateSpec, ResourceRequirements, SeccompProfile, SecurityContext, Toleration,
            Volume, VolumeMount,
        },
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{ResourceExt, api::ObjectMeta};
use protocol::Work;

/// Name of the container that fetches and verifies the commit.
pub const CHECKOUT: &str = "checkout";
/// Name of the container that runs the steps.
pub const BUILD: &str = "build";
/// Label that every Job and pod of ours carries; the operator watches by it.
pub const LABEL: &str = "prbuild.dev/run";

/// uid and gid of both containers. A number that nobody has an account for.
const USER: i64 = 65532;
/// Seconds that a build gets to end after SIGTERM.
const GRACE_SECONDS: i64 = 10;
/// Seconds after which a lost node's pods are given up, instead of Kubernetes' 300.
const NODE_LOST_SECONDS: i64 = 60;
/// Seconds that Job and pod, and with them `kubectl logs`, stay after the end.
const KEEP_SECONDS: i32 = 3600;
/// Seconds that checkout and image pull may add to a run before the Job's own deadline, a backstop.
const DEADLINE_SLACK_SECONDS: i64 = 3600;

/// How this install runs Jobs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Namespace of the Jobs.
    pub namespace: String,
    /// Image with git and the agent.
    pub checkout_image: String,
    /// ServiceAccount of the pods; bound to nothing.
    pub service_account: String,
}

/// Why a run cannot have a Job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The run says itself that it cannot run.
    #[error("{0}")]
    Invalid(String),
    /// The task does not serialize, which only a broken number could cause.
    #[error("the task of {run} cannot be written down: {source}; make the Builder anew")]
    Unwritable {
        /// The run.
        run: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// The Job of a run.
pub fn job(run: &BuilderRun, setup: &Setup) -> Result<Job, JobError> {
    let task = &run.spec.task;
    if let Some(invalid) = &task.invalid {
        return Err(JobError::Invalid(invalid.clone()));
    }
    let (Some(recipe), Some(machine)) = (&task.recipe, &task.kubernetes) else {
        let builder = &task.builder;
        return Err(JobError::Invalid(format!(
            "the builder `{builder}` names no way to run"
        )));
    };
    let timeouts = recipe.timeouts;
    let labels = labels(run);
    Ok(Job {
        metadata: ObjectMeta {
            name: Some(names::job_name(&run.uid().unwrap_or_default())),
            namespace: Some(setup.namespace.clone()),
            labels: Some(labels.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            completions: Some(1),
            parallelism: Some(1),
            pod_replacement_policy: Some("Failed".to_owned()),
            ttl_seconds_after_finished: Some(KEEP_SECONDS),
            active_deadline_seconds: Some(
                timeouts.queue_seconds + timeouts.run_seconds + DEADLINE_SLACK_SECONDS,
            ),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(run, recipe, machine, setup)?),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    })
}

/// Labels for people and for `kubectl -l`. Nothing is decided by them.
fn labels(run: &BuilderRun) -> BTreeMap<String, String> {
    let task = &run.spec.task;
    BTreeMap::from([
        (LABEL.to_owned(), run.uid().unwrap_or_default()),
        ("prbuild.dev/builder".to_owned(), task.builder.clone()),
        (
            "prbuild.dev/pull-request".to_owned(),
            task.source.pull_request.to_string(),
        ),
        (
            "app.kubernetes.io/managed-by".to_owned(),
            "prbuild".to_owned(),
        ),
    ])
}

fn pod(
    run: &BuilderRun,
    recipe: &protocol::Recipe,
    machine: &Kubernetes,
    setup: &Setup,
) -> Result<PodSpec, JobError> {
    let task = &run.spec.task;
    let unwritable = |source| JobError::Unwritable {
        run: run.name_any(),
        source,
    };
    let work = Work {
        source: task.source.clone(),
        recipe: recipe.clone(),
    };
    let source = serde_json::to_string(&task.source).map_err(unwritable)?;
    let work = serde_json::to_string(&work).map_err(unwritable)?;
    Ok(PodSpec {
        restart_policy: Some("Never".to_owned()),
        service_account_name: Some(setup.service_account.clone()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        runtime_class_name: machine.runtime_class.clone(),
        node_selector: Some(machine.node_selector.clone()).filter(|labels| !labels.is_empty()),
        tolerations: Some(vec![
            gives_up_on("node.kubernetes.io/not-ready"),
            gives_up_on("node.kubernetes.io/unreachable"),
        ]),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        init_containers: Some(vec![checkout(source, machine, setup)]),
        containers: vec![build(work, machine)],
        volumes: Some(vec![
            scratch("build", &machine.resources.disk),
            scratch("tmp", &machine.resources.disk),
            scratch("agent", "64Mi"),
        ]),
        ..PodSpec::default()
    })
}

/// Fetches the commit and puts the agent where the build finds it. Runs no code of the pull request.
fn checkout(source: String, machine: &Kubernetes, setup: &Setup) -> Container {
    Container {
        name: CHECKOUT.to_owned(),
        image: Some(setup.checkout_image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec!["prbuild-agent".to_owned()]),
        args: Some(
            ["checkout", "--dir", "/build", "--install", "/prbuild/agent"]
                .into_iter()
                .chain(["--message", "/dev/termination-log"])
                .map(str::to_owned)
                .collect(),
        ),
        env: Some(vec![env("PRBUILD_SOURCE", source)]),
        resources: Some(resources(machine)),
        security_context: Some(confined()),
        volume_mounts: Some(vec![
            mount("build", "/build", false),
            mount("tmp", "/tmp", false),
            mount("agent", "/prbuild", false),
        ]),
        ..Container::default()
    }
}

/// Runs the steps in the user's image, with the agent mounted read-only.
fn build(work: String, machine: &Kubernetes) -> Container {
    let policy = match machine.image_pull_policy {
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Always | PullPolicy::Unknown => "Always",
        PullPolicy::Never => "Never",
    };
    Container {
        name: BUILD.to_owned(),
        image: Some(machine.image.clone()),
        image_pull_policy: Some(policy.to_owned()),
        command: Some(vec!["/prbuild/agent".to_owned()]),
        args: Some(
            [
                "exec",
                "--dir",
                "/build",
                "--message",
                "/dev/termination-log",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        working_dir: Some("/build".to_owned()),
        env: Some(vec![env("PRBUILD_WORK", work)]),
        resources: Some(resources(machine)),
        security_context: Some(confined()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(vec![
            mount("build", "/build", false),
            mount("tmp", "/tmp", false),
            mount("agent", "/prbuild", true),
        ]),
        ..Container::default()
    }
}

fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        privileged: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

/// Request and limit are the same: a run takes nothing from its neighbours.
fn resources(machine: &Kubernetes) -> ResourceRequirements {
    let amounts = BTreeMap::from([
        ("cpu".to_owned(), Quantity(machine.resources.cpu.clone())),
        (
            "memory".to_owned(),
            Quantity(machine.resources.memory.clone()),
        ),
    ]);
    ResourceRequirements {
        limits: Some(amounts.clone()),
        requests: Some(amounts),
        ..ResourceRequirements::default()
    }
}

fn scratch(name: &str, size: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(size.to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(read_only),
        ..VolumeMount::default()
    }
}

fn env(name: &str, value: String) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        // Kubernetes would expand `$(NAME)`; `$$` stands for one dollar sign.
        value: Some(value.replace('$', "$$")),
        ..EnvVar::default()
    }
}

fn gives_up_on(taint: &str) -> Toleration {
    Toleration {
        key: Some(taint.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: Some(NODE_LOST_SECONDS),
        ..Toleration::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::outcome::tests::task;

    fn setup() -> Setup {
        Setup {
            namespace: "builds".into(),
            checkout_image: "prbuild/checkout:1".into(),
            service_account: "prbuild-build".into(),
        }
    }

    fn run(task: crds::Task) -> BuilderRun {
        let pr_build = crds::BuildRef {
            name: "app-7-l1".into(),
            uid: "build".into(),
        };
        let spec = crds::BuilderRunSpec {
            pr_build,
            attempt: 1,
            task,
            cancel: None,
        };
        let mut run = BuilderRun::new("app-7-l1-debian-1", spec);
        run.metadata.uid = Some("0b5c".into());
        run
    }

    #[test]
    fn the_job_of_a_run_is_named_by_it_and_is_never_repeated_by_kubernetes() {
        let job = job(&run(task()), &setup()).unwrap();
        assert_eq!(job.metadata.name.as_deref(), Some("run-0b5c"));
        let spec = job.spec.unwrap();
        assert_eq!(spec.backoff_limit, Some(0));
        assert_eq!(
            spec.template.spec.unwrap().restart_policy.as_deref(),
            Some("Never")
        );
    }

    #[test]
    fn s24_a_pod_has_no_token_no_rights_and_nothing_that_the_pull_request_chose() {
        let pod = job(&run(task()), &setup())
            .unwrap()
            .spec
            .unwrap()
            .template
            .spec
            .unwrap();
        assert_eq!(pod.automount_service_account_token, Some(false));
        assert_eq!(pod.enable_service_links, Some(false));
        let identity = pod.security_context.unwrap();
        assert_eq!(
            (identity.run_as_non_root, identity.run_as_user),
            (Some(true), Some(USER))
        );
        for container in pod.init_containers.unwrap().iter().chain(&pod.containers) {
            let context = container.security_context.as_ref().unwrap();
            assert_eq!(context.allow_privilege_escalation, Some(false));
            assert_eq!(context.read_only_root_filesystem, Some(true));
            let dropped = context
                .capabilities
                .as_ref()
                .unwrap()
                .drop
                .as_ref()
                .unwrap();
            assert_eq!(dropped, &["ALL"]);
            assert!(container.env_from.is_none());
            let resources = container.resources.as_ref().unwrap();
            assert_eq!(resources.limits, resources.requests);
        }
        let volumes = pod.volumes.unwrap();
        assert!(
            volumes.iter().all(|volume| volume.empty_dir.is_some()),
            "{volumes:?}"
        );
        let build = &pod.containers[0];
        let agent = build
            .volume_mounts
            .as_ref()
            .unwrap()
            .iter()
            .find(|mount| mount.name == "agent");
        assert_eq!(agent.unwrap().read_only, Some(true));
    }

    #[test]
    fn kubernetes_expands_nothing_in_a_script() {
        let mut task = task();
        let step = protocol::Step {
            run: "echo $(HOME) $HOME $$".into(),
            ..protocol::Step::default()
        };
        task.recipe.as_mut().unwrap().steps = vec![step];
        let pod = job(&run(task), &setup())
            .unwrap()
            .spec
            .unwrap()
            .template
            .spec
            .unwrap();
        let value = pod.containers[0].env.as_ref().unwrap()[0]
            .value
            .clone()
            .unwrap();
        assert!(value.contains("echo $$(HOME) $$HOME $$$$"), "{value}");
    }

    #[test]
    fn a_run_that_cannot_run_has_no_job_and_says_why() {
        let mut invalid = task();
        invalid.invalid = Some("the builder `debian` does not exist any more".into());
        let error = job(&run(invalid), &setup()).unwrap_err().to_string();
        assert_eq!(error, "the builder `debian` does not exist any more");
    }
}
