//! What keeps the operator from its work, as a condition of every Repository: who looks there for why nothing builds
//! reads what the pod says of itself. Whoever leads later takes it back ([`health`](crate::health)).

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use crds::{Repository, condition};
use kube::{Api, Client, ResourceExt, api::ListParams};
use serde_json::json;
use service::Standing;
use tokio::time::sleep;

use crate::{
    api,
    context::now,
    leader,
    metrics::{Metrics, Verb},
};

/// What it waits for at its start.
pub(crate) const KUBERNETES: &str = "Kubernetes";
pub(crate) const KINDS: &str = "kinds in the cluster";
pub(crate) const KEY: &str = "the signing key";

/// Without which of these nothing is built, and the condition's reason. A way to GitHub is none of them: work begins
/// without, and a Repository's `Ready` says what is wrong with its own.
const NEEDED: [(&str, &str); 3] = [
    (KUBERNETES, "KubernetesDoesNotFit"),
    (KINDS, "KindsDoNotFit"),
    (KEY, "NoSigningKey"),
];

/// Between two looks. What is there a moment later is not worth a write.
const PAUSE: Duration = Duration::from_secs(5);

/// Who waits.
pub(crate) struct Waiting<'a> {
    pub(crate) client: &'a Client,
    pub(crate) namespace: &'a str,
    pub(crate) identity: &'a str,
    pub(crate) metrics: &'a Metrics,
}

impl Waiting<'_> {
    /// Writes down what is missing, for as long as somebody polls this.
    pub(crate) async fn tell(&self, standing: &Standing) -> Infallible {
        let repositories = Api::namespaced(self.client.clone(), self.namespace);
        loop {
            sleep(PAUSE).await;
            let Some((reason, message)) = finding(&standing.missing()) else {
                continue;
            };
            // During an upgrade another one works on.
            if leader::somebody_leads(self.client, self.namespace, self.identity).await {
                continue;
            }
            if let Err(error) = self.write(&repositories, reason, &message).await {
                tracing::debug!(%error, "Repositories could not be told what is missing");
            }
        }
    }

    async fn write(
        &self,
        repositories: &Api<Repository>,
        reason: &str,
        message: &str,
    ) -> kube::Result<()> {
        let all = repositories.list(&ListParams::default()).await?;
        for repository in all.items {
            let mut conditions = repository.status.clone().unwrap_or_default().conditions;
            let kind = condition::kind::OPERATOR_READY;
            if !condition::set(&mut conditions, kind, false, reason, message, now()) {
                continue;
            }
            self.metrics.wrote(Verb::Patch, "repositories");
            let (uid, version) = (repository.uid(), repository.resource_version());
            let as_seen = json!({ "uid": uid, "resourceVersion": version });
            let status = json!({ "conditions": conditions });
            match api::patch(repositories, &repository, as_seen, status).await {
                Ok(_) => {}
                // It is gone, or somebody else wrote it: the next look sees how it is.
                Err(kube::Error::Api(said)) if said.is_not_found() || said.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The first of what is needed and missing, as reason and sentence.
fn finding(missing: &BTreeMap<&'static str, String>) -> Option<(&'static str, String)> {
    NEEDED.iter().find_map(|(what, reason)| {
        let because = missing.get(what)?;
        Some((*reason, format!("the operator waits: {what}: {because}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_that_is_missing_is_said_and_github_is_left_to_ready() {
        let missing = |all: &[(&'static str, &str)]| -> BTreeMap<&'static str, String> {
            let all = all.iter();
            all.map(|(what, because)| (*what, (*because).to_owned()))
                .collect()
        };
        assert_eq!(finding(&missing(&[("a way to GitHub", "no answer")])), None);
        let (reason, said) = finding(&missing(&[
            (KEY, "there is no such file"),
            (KUBERNETES, "it is 1.32"),
        ]))
        .unwrap();
        assert_eq!(reason, "KubernetesDoesNotFit");
        assert_eq!(said, "the operator waits: Kubernetes: it is 1.32");
    }
}
