//! What the test makes in the cluster, looks at and removes. Its account may touch objects of these names
//! only; Repository, Builder, an empty Secret and the account itself come with `helm test` and go with it.

use std::time::Duration;

use crds::{Answer, BuildPhase, BuildResult, BuilderRun, PrBuild, Repository, TriggerKind, names};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Map, json};

use super::{NAME, NUMBER, SelfTestError, echo};

/// Between the end of a build and that of its run.
const PAUSE: Duration = Duration::from_secs(2);

/// The install that is tested.
pub(super) struct Cluster {
    secrets: Api<Secret>,
    repositories: Api<Repository>,
    builds: Api<PrBuild>,
    answers: Api<Answer>,
    runs: Api<BuilderRun>,
}

impl Cluster {
    /// With the account of this pod.
    pub(super) async fn open(namespace: &str) -> Result<Self, SelfTestError> {
        let config = kube::Config::infer().await;
        let config = config.map_err(|error| SelfTestError::Begin(error.to_string()))?;
        let client = Client::try_from(config);
        let client = client.map_err(|error| SelfTestError::Begin(error.to_string()))?;
        Ok(Self {
            secrets: Api::namespaced(client.clone(), namespace),
            repositories: Api::namespaced(client.clone(), namespace),
            builds: Api::namespaced(client.clone(), namespace),
            answers: Api::namespaced(client.clone(), namespace),
            runs: Api::namespaced(client, namespace),
        })
    }

    /// Fills the connection's Secret, which is there and empty.
    pub(super) async fn connect(&self, files: &[(&str, String)]) -> Result<(), String> {
        let files = files.iter();
        let files: Map<_, _> = files
            .map(|(name, text)| ((*name).to_owned(), text.as_str().into()))
            .collect();
        self.write(json!({ "stringData": files })).await
    }

    async fn write(&self, change: serde_json::Value) -> Result<(), String> {
        let how = PatchParams::default();
        let patched = self.secrets.patch(NAME, &how, &Patch::Merge(change)).await;
        patched
            .map(drop)
            .map_err(|error| format!("the Secret {NAME} cannot be written: {error}"))
    }

    /// Whether the operator asked the echo about the repository.
    pub(super) async fn knows_repository(&self) -> Result<(), String> {
        let found = self.repositories.get(NAME).await;
        let status = found.map_err(|error| error.to_string())?.status;
        let status = status.unwrap_or_default();
        if status.id == Some(echo::REPOSITORY_ID) && crds::condition::builds(&status.conditions) {
            return Ok(());
        }
        let ready = crds::condition::find(&status.conditions, crds::condition::kind::READY);
        Err(ready.map_or_else(
            || "no operator has looked at it".to_owned(),
            |ready| ready.message.clone(),
        ))
    }

    /// How the build ended: its summary, or why it did not pass. The outer error: it has not ended.
    pub(super) async fn build(&self) -> Result<Result<String, String>, String> {
        let found = self.builds.get_opt(&build_name()).await;
        let Some(build) = found.map_err(|error| error.to_string())? else {
            return self.refusal().await;
        };
        let status = build.status.unwrap_or_default();
        if status.phase == BuildPhase::Complete {
            return Ok(match status.result {
                Some(BuildResult::Passed) => Ok(status.summary),
                _ => Err(self.why(status.summary).await),
            });
        }
        Err(self.why(format!("{:?}", status.phase)).await)
    }

    /// Why there is no build.
    async fn refusal(&self) -> Result<Result<String, String>, String> {
        let answer = self.answers.get_opt(&build_name()).await;
        match answer.map_err(|error| error.to_string())? {
            Some(answer) => Ok(Err(format!("the gate refused: {:?}", answer.spec.reason))),
            None => Err("there is no build; the webhook's log says what came of the label".into()),
        }
    }

    /// What a run says of itself, else what the build says.
    async fn why(&self, otherwise: String) -> String {
        let run = self.runs.get_opt(&run_name()).await.ok().flatten();
        let status = run.and_then(|run| run.status).unwrap_or_default();
        let outcome = status.outcome.map(|outcome| outcome.reason);
        let waiting = status.waiting.map(|waiting| waiting.reason);
        outcome
            .or(waiting)
            .filter(|reason| !reason.is_empty())
            .unwrap_or(otherwise)
    }

    /// Removes the build and its run, whose Job the operator removes then, and what the webhook may have
    /// answered; and empties the Secret, which ends the connection.
    pub(super) async fn clear(&self) -> Result<(), String> {
        let built = gone(&self.builds, &build_name()).await?;
        gone(&self.answers, &build_name()).await?;
        if built {
            // The operator is to see first that the build is gone, and then that its run is.
            tokio::time::sleep(PAUSE).await;
        }
        gone(&self.runs, &run_name()).await?;
        self.write(json!({ "data": null })).await
    }
}

/// Deletes an object; whether there was one.
async fn gone<K>(api: &Api<K>, name: &str) -> Result<bool, String>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(format!("{name} cannot be removed: {error}")),
    }
}

/// Name of the build; the account may touch no other, so it stands in the chart, too.
pub(super) fn build_name() -> String {
    names::name_of(NAME, NUMBER, TriggerKind::Label, echo::EVENT)
}

/// Name of its only run. Its Builder has no attempts but the first.
pub(super) fn run_name() -> String {
    names::run_name(&build_name(), NAME, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_gives_rights_on_objects_of_these_names() {
        let chart = include_str!("../../../charts/prbuild/templates/tests/self-test.yaml");
        for name in [build_name(), run_name(), NAME.to_owned()] {
            assert!(chart.contains(&format!("[{name}]")), "{name}");
        }
    }
}
