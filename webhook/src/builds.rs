//! The PrBuilds that exist: finding those that a command is about, and writing into them that they
//! shall stop. Nothing else of a build can be changed; the schema sees to that.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{Cancel, PrBuild};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use service::stored::Stored;

use crate::kept::readable;
use crate::metrics::Metrics;

/// Selects what has not ended.
const GOES_ON: &str = "status.phase!=Complete";

/// The PrBuilds of one namespace.
#[derive(Clone)]
pub struct Builds {
    api: Api<PrBuild>,
    stored: Api<Stored<PrBuild>>,
    metrics: Arc<Metrics>,
}

/// What came of a request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It is written.
    Now,
    /// It was written before, by whomever.
    Before,
    /// There is no such build any more.
    Gone,
}

impl Builds {
    /// In this namespace.
    pub fn new(client: &Client, namespace: &str, metrics: Arc<Metrics>) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            stored: Api::namespaced(client.clone(), namespace),
            metrics,
        }
    }

    /// The builds of a pull request, past any cache.
    ///
    /// # Errors
    /// The API server's.
    pub async fn of_pull_request(
        &self,
        repository: i64,
        number: i64,
    ) -> Result<Vec<PrBuild>, kube::Error> {
        self.list(repository, &format!("spec.request.number={number}"))
            .await
    }

    /// The builds of a commit that was labelled, past any cache.
    ///
    /// # Errors
    /// The API server's.
    pub async fn of_head(&self, repository: i64, sha: &str) -> Result<Vec<PrBuild>, kube::Error> {
        if !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Vec::new());
        }
        self.list(repository, &format!("spec.request.headSha={sha}"))
            .await
    }

    async fn list(&self, repository: i64, selector: &str) -> Result<Vec<PrBuild>, kube::Error> {
        let selected = ListParams::default().fields(selector);
        let found = self.stored.list(&selected).await?.items.into_iter();
        let mut builds: Vec<PrBuild> = found.filter_map(readable).collect();
        builds.retain(|build| build.spec.request.repository.id == repository);
        Ok(builds)
    }

    /// The builds of a pull request that go on and were not asked to stop.
    ///
    /// # Errors
    /// The API server's.
    pub async fn live_of_pull_request(
        &self,
        repository: i64,
        number: i64,
    ) -> Result<Vec<PrBuild>, kube::Error> {
        let selector = format!("spec.request.number={number},{GOES_ON}");
        let mut builds = self.list(repository, &selector).await?;
        builds.retain(|build| build.spec.cancel.is_none());
        Ok(builds)
    }

    /// The builds of a repository that go on and were not asked to stop.
    ///
    /// # Errors
    /// The API server's.
    pub async fn live(&self, repository: i64) -> Result<Vec<PrBuild>, kube::Error> {
        let mut builds = self.list(repository, GOES_ON).await?;
        builds.retain(|build| build.spec.cancel.is_none());
        Ok(builds)
    }

    /// Stops a whole build.
    ///
    /// # Errors
    /// The API server's.
    pub async fn cancel(&self, name: &str, cancel: &Cancel) -> Result<Stopped, kube::Error> {
        let patch = json!({ "spec": { "cancel": cancel } });
        self.write(name, patch, |build| build.spec.cancel.is_some())
            .await
    }

    /// Stops single builders of a build.
    ///
    /// # Errors
    /// The API server's.
    pub async fn cancel_builders(
        &self,
        name: &str,
        builders: &[String],
        cancel: &Cancel,
    ) -> Result<Stopped, kube::Error> {
        let mut left: Vec<&String> = builders.iter().collect();
        loop {
            let marks: BTreeMap<&String, &Cancel> =
                left.iter().map(|builder| (*builder, cancel)).collect();
            let patch = json!({ "spec": { "cancelBuilders": marks } });
            let Err(error) = self.patch(name, patch).await else {
                return Ok(Stopped::Now);
            };
            let Some((build, error)) = self.stands(name, error).await? else {
                return Ok(Stopped::Gone);
            };
            let asked = left.len();
            left.retain(|builder| !build.spec.cancel_builders.contains_key(*builder));
            match left.len() {
                0 => return Ok(Stopped::Before),
                // Somebody else stopped some of them at the same moment.
                fewer if fewer < asked => {}
                _ => return Err(error),
            }
        }
    }

    async fn write(
        &self,
        name: &str,
        patch: Value,
        stands: impl Fn(&PrBuild) -> bool,
    ) -> Result<Stopped, kube::Error> {
        let Err(error) = self.patch(name, patch).await else {
            return Ok(Stopped::Now);
        };
        match self.stands(name, error).await? {
            None => Ok(Stopped::Gone),
            Some((build, _)) if stands(&build) => Ok(Stopped::Before),
            Some((_, error)) => Err(error),
        }
    }

    async fn patch(&self, name: &str, patch: Value) -> Result<PrBuild, kube::Error> {
        let how = PatchParams {
            field_manager: Some("prbuild-webhook".to_owned()),
            ..PatchParams::default()
        };
        self.metrics.wrote("patch", "prbuilds");
        self.api.patch(name, &how, &Patch::Merge(patch)).await
    }

    /// The build as it stands after a patch was not taken; None when it is gone. What is written stays,
    /// so that a patch may fail only because somebody else was first.
    async fn stands(
        &self,
        name: &str,
        error: kube::Error,
    ) -> Result<Option<(PrBuild, kube::Error)>, kube::Error> {
        match &error {
            kube::Error::Api(status) if status.is_not_found() => Ok(None),
            kube::Error::Api(status) if status.code == 422 => {
                let build = self.api.get_opt(name).await?;
                Ok(build.map(|build| (build, error)))
            }
            _ => Err(error),
        }
    }
}
