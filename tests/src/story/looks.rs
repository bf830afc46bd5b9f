//! What a story waits for and looks at.

use super::*;

impl Story {
    /// Waits until a build is complete and GitHub knows every result.
    pub async fn complete(&self, build: &str) -> PrBuild {
        self.complete_within(build, PATIENCE).await
    }

    /// The same, with another patience.
    pub async fn complete_within(&self, build: &str, patience: Duration) -> PrBuild {
        let api = self.api::<PrBuild>();
        eventually(
            format!("{build} is complete and reported"),
            patience,
            async || {
                let found = api.get(build).await.map_err(|error| error.to_string())?;
                let status = found.status.clone().unwrap_or_default();
                let reported = condition::is_true(&status.conditions, condition::kind::REPORTED);
                let complete = status.phase == crds::BuildPhase::Complete && reported;
                if complete {
                    Ok(found)
                } else {
                    Err(serde_json::to_string(&status).unwrap_or_default())
                }
            },
        )
        .await
    }

    /// Waits until an object looks as it should.
    pub async fn eventually_in<K, T>(
        &self,
        what: &str,
        name: &str,
        look: impl Fn(&K) -> Result<T, String>,
    ) -> T
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api = self.api::<K>();
        eventually(what, PATIENCE, async || {
            let found = api.get(name).await.map_err(|error| error.to_string())?;
            look(&found)
        })
        .await
    }

    /// The runs of a build, by builder and attempt.
    pub async fn runs(&self, build: &str) -> Vec<BuilderRun> {
        let all = self.api::<BuilderRun>().list(&ListParams::default()).await;
        let mut runs = all.map(|all| all.items).unwrap_or_default();
        runs.retain(|run| run.spec.pr_build.name == build);
        runs.sort_by_key(ResourceExt::name_any);
        runs
    }

    /// Waits for the answer to an event.
    pub async fn answered(&self, name: &str) -> Answer {
        self.eventually_in(
            &format!("the answer {name} is given"),
            name,
            |answer: &Answer| {
                let status = answer.status.clone().unwrap_or_default();
                match status.given {
                    Some(_) => Ok(answer.clone()),
                    None => Err(format!("{status:?}")),
                }
            },
        )
        .await
    }

    /// The last status of every context on the head of a pull request, as `context: state`.
    pub fn last_statuses(&self, number: u64) -> Vec<(String, String, String)> {
        self.last_statuses_of(&self.forge.pull_request(REPO, number).head_sha)
    }

    /// The last status of every context on a commit.
    pub fn last_statuses_of(&self, sha: &str) -> Vec<(String, String, String)> {
        let mut last: Vec<(String, String, String)> = Vec::new();
        for status in self.forge.statuses(REPO, sha) {
            last.retain(|(context, ..)| *context != status.context);
            let description = status.description.clone().unwrap_or_default();
            last.push((status.context.clone(), status.state.clone(), description));
        }
        last.sort();
        last
    }
}
