//! Pure: the Job that executes a BuilderRun. A function of the run and of how this install is set
//! up. What its pod is like is in [`template`](super::template).

use std::{collections::BTreeMap, net::IpAddr};

use crds::{BuilderRun, names};
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::PodTemplateSpec,
};
use kube::{ResourceExt, api::ObjectMeta};

use super::{
    ship::{Ship, Shipping},
    template::pod,
};

/// Name of the container that fetches and verifies the commit.
pub const CHECKOUT: &str = "checkout";
/// Name of the container that runs the steps.
pub const BUILD: &str = "build";
/// Name of the sidecar that sends the log to the gateway.
pub const SHIP: &str = "ship";
/// Label that every Job and pod of ours carries; the operator watches by it.
pub const LABEL: &str = "prbuild.dev/run";

/// Seconds that Job and pod, and with them `kubectl logs`, stay after the end.
const KEEP_SECONDS: i32 = 3600;
/// Seconds that checkout and image pull may add to a run before the Job's own deadline, a backstop.
const DEADLINE_SLACK_SECONDS: i64 = 3600;

/// How this install runs Jobs.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Namespace of the Jobs.
    pub namespace: String,
    /// Image with git and the agent.
    pub checkout_image: String,
    /// ServiceAccount of the pods; bound to nothing.
    pub service_account: String,
    /// Leave the numbers of users and groups to the cluster, which has some for each namespace.
    pub no_fixed_user: bool,
    /// Give every pod a user namespace of its own: root in it is nobody on the node.
    pub user_namespaces: bool,
    /// Name servers of the pods, instead of the cluster's, which knows what runs beside them.
    pub name_servers: Vec<IpAddr>,
    /// PriorityClass of the pods.
    pub priority_class: Option<String>,
    /// Where their logs go; none where no gateway keeps them.
    pub shipping: Option<Shipping>,
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

/// The longest that the Job of a run may take, in seconds: a backstop, for the agent and the operator
/// end it before.
pub fn deadline_seconds(run: &BuilderRun) -> i64 {
    let timeouts = run.spec.task.recipe.as_ref().map(|recipe| recipe.timeouts);
    let limits = timeouts.map_or(0, |limits| limits.queue_seconds + limits.run_seconds);
    limits + DEADLINE_SLACK_SECONDS
}

/// The Job of a run. `token` lets its sidecar, and nothing else, send the log of this run; without one
/// there is no sidecar.
pub fn job(run: &BuilderRun, setup: &Setup, token: Option<&str>) -> Result<Job, JobError> {
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
    let ship = setup.shipping.as_ref().zip(token);
    let ship = ship.map(|(shipping, token)| Ship {
        run,
        shipping,
        token,
    });
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
            active_deadline_seconds: Some(deadline_seconds(run)),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(run, recipe, machine, setup, ship.as_ref())?),
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

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
