//! All that reconciles need of the gateway.

use std::{sync::Arc, time::Duration};

use crds::BuilderRun;
use jiff::Timestamp;
use protocol::record::{AlsoFailed, BuildRecord, BuilderHistory, PullHistory, RunRecord};
use protocol::worker::envelope::SealError;
use tokio_util::sync::CancellationToken;

use super::{
    build,
    client::{RecordError, Records},
    histories::Histories,
    metrics::RecordMetrics,
    run,
};
use crate::run::ship;
use crate::worker::{fleet::Choice, order};

/// Sends what is to be kept, and knows what was kept lately.
pub struct Recorder {
    records: Arc<Records>,
    builders: Arc<Histories<BuilderHistory>>,
    pulls: Arc<Histories<PullHistory>>,
}

impl Recorder {
    /// Starts the tasks that keep histories up to date; they end with `stop`.
    pub fn spawn(records: Arc<Records>, stop: &CancellationToken) -> Self {
        Self {
            builders: Histories::spawn(records.clone(), stop.clone()),
            pulls: Histories::spawn(records.clone(), stop.clone()),
            records,
        }
    }

    /// The token with which the sidecar of a run sends its log.
    pub fn log_token(&self, run: &BuilderRun) -> Result<String, serde_json::Error> {
        self.records.sign(&ship::claims(run, Timestamp::now()))
    }

    /// The signed Assignment of a run, with the token for its log.
    pub fn order(
        &self,
        run: &BuilderRun,
        choice: &Choice,
        log_limit: u64,
    ) -> Result<crds::Assignment, SealError> {
        let now = Timestamp::now();
        let assignment = order::assignment(run, choice, log_limit, now)?;
        let mut claims = ship::claims(run, now);
        claims.expires = order::log_until(run, now);
        let token = self.records.sign(&claims)?;
        let signed = self.records.seal(&assignment)?;
        Ok(order::object(run, choice, signed, token))
    }

    /// Stores the record of a run.
    pub async fn send_run(&self, record: &RunRecord) -> Result<(), RecordError> {
        let (repository, uid) = (&record.pull.repository, &record.uid);
        let path = format!("v1/repositories/{repository}/runs/{uid}/record");
        let body = serde_json::to_vec(record);
        self.records.put("run", &path, body).await.map(drop)
    }

    /// Stores the record of a build.
    pub async fn send_build(&self, record: &BuildRecord) -> Result<(), RecordError> {
        let (repository, name) = (&record.pull.repository, &record.name);
        let path = format!("v1/repositories/{repository}/builds/{name}/record");
        let body = serde_json::to_vec(record);
        self.records.put("build", &path, body).await.map(drop)
    }

    /// Sees to it that the history of its builder has a run that has ended. Doing it again costs nothing.
    pub fn remember_run(&self, run: &BuilderRun) {
        if let Some(news) = run::history(run) {
            self.builders.put(&builder_path(&news.builder), news);
        }
    }

    /// Sees to it that the history of its pull request has a build that is complete.
    pub fn remember_build(&self, record: &BuildRecord) {
        let (repository, number) = (&record.pull.repository, record.pull.number);
        let path = format!("v1/repositories/{repository}/pulls/{number}/history");
        self.pulls.put(&path, build::history(record));
    }

    /// Waits until it is known which tests fail elsewhere, too, if a run has failing tests; no longer
    /// than `patience`.
    pub async fn look_up(&self, run: &BuilderRun, patience: Duration) {
        if has_failures(run) {
            let path = builder_path(&run.spec.task.builder);
            self.builders.look_up(&path, patience).await;
        }
    }

    /// The failing tests of a run that failed in earlier runs of its builder on other pull requests, too,
    /// as far as that is known at this moment.
    pub fn also_failed(&self, run: &BuilderRun) -> Vec<(String, AlsoFailed)> {
        let history = has_failures(run)
            .then(|| self.builders.peek(&builder_path(&run.spec.task.builder)))
            .flatten();
        history.map_or_else(Vec::new, |history| run::also_failed(run, &history))
    }

    /// How long the gateway is not asked, because it did not answer.
    pub fn away_for(&self) -> Option<Duration> {
        self.records.away_for()
    }

    /// Whether people should hear that the gateway takes nothing. True once an outage.
    pub fn is_to_be_told(&self) -> bool {
        self.records.is_to_be_told()
    }

    /// What is counted of its requests.
    pub fn metrics(&self) -> &RecordMetrics {
        self.records.metrics()
    }
}

fn builder_path(builder: &str) -> String {
    format!("v1/builders/{builder}/history")
}

fn has_failures(run: &BuilderRun) -> bool {
    let outcome = run
        .status
        .as_ref()
        .and_then(|status| status.outcome.as_ref());
    outcome.is_some_and(|outcome| !outcome.failures.is_empty())
}
