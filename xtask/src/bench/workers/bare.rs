//! Assignments without an operator: made by hand, and taken by agents through a gateway, or by hand, too.

use std::sync::atomic::{AtomicUsize, Ordering};

use crds::{Assignment, AssignmentSpec, BuildRef};
use futures::future::try_join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use protocol::worker::envelope::Envelope;
use protocol::worker::wire::LEASE_SECONDS;
use serde_json::json;
use tests::cluster::{Access, eventually};
use tests::story::{PATIENCE, Setting, Story};
use tokio::time::Instant;

use super::agents::{Agents, Habit};
use crate::Result;

/// Clients that make assignments.
const CLIENTS: usize = 8;

/// A namespace with a gateway and without an operator.
pub struct Bare {
    story: Story,
    signed: Envelope,
    made: AtomicUsize,
}

impl Bare {
    /// Namespaces and a gateway.
    pub async fn begin(access: &Access) -> Result<Self> {
        let mut story = Story::begin(access, "bare-workers", Setting::default()).await?;
        story.start_gateway().await?;
        Ok(Self {
            story,
            signed: signed(),
            made: AtomicUsize::new(0),
        })
    }

    /// Takes its namespaces down.
    pub async fn end(self) {
        self.story.end().await;
    }

    /// Assignments a second that are created and swapped by hand.
    pub async fn written(&self, count: usize) -> Result<f64> {
        let api = self.story.api::<Assignment>();
        let began = Instant::now();
        let clients = (0..CLIENTS).map(|client| {
            let api = &api;
            async move {
                for _ in 0..count.div_ceil(CLIENTS) {
                    let made = self.make(api, &format!("nobody-{client}")).await?;
                    take(api, &made).await?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }
        });
        try_join_all(clients).await?;
        Ok(count as f64 / began.elapsed().as_secs_f64())
    }

    /// Assignments a second that are created by hand and taken by agents through the gateway.
    pub async fn handed_out(&mut self, count: usize, workers: usize) -> Result<f64> {
        let agents = Agents::lend(&self.story, "taker", workers, Habit::Hoard).await?;
        let api = self.story.api::<Assignment>();
        let began = Instant::now();
        let clients = (0..CLIENTS).map(|client| {
            let (api, this) = (&api, &*self);
            async move {
                for n in 0..count.div_ceil(CLIENTS) {
                    let worker = format!("taker-{}", (client + n * CLIENTS) % workers);
                    this.make(api, &worker).await?;
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }
        });
        try_join_all(clients).await?;
        let all = count.div_ceil(CLIENTS) * CLIENTS;
        eventually(
            "all assignments are taken",
            PATIENCE,
            async || match agents.taken() {
                taken if taken >= all => Ok(()),
                taken => Err(format!("{taken} of {all}")),
            },
        )
        .await;
        Ok(all as f64 / began.elapsed().as_secs_f64())
    }

    async fn make(&self, api: &Api<Assignment>, worker: &str) -> Result<Assignment> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let uid = format!("00000000-0000-4000-8000-{number:012x}");
        let name = crds::names::assignment_name(&uid);
        let spec = AssignmentSpec {
            run: BuildRef {
                name: format!("bare-{number}"),
                uid,
            },
            builder: "bare".to_owned(),
            to: vec![worker.to_owned()],
            pool: false,
            signed: self.signed.clone(),
            log_token: None,
            cancel: None,
        };
        let assignment = Assignment::new(&name, spec);
        Ok(api.create(&PostParams::default(), &assignment).await?)
    }
}

/// What a gateway writes when somebody accepts.
async fn take(api: &Api<Assignment>, made: &Assignment) -> Result<()> {
    let now = Timestamp::now();
    let until = now + SignedDuration::from_secs(LEASE_SECONDS);
    let patch = json!({
        "metadata": { "resourceVersion": made.resource_version() },
        "status": { "worker": made.spec.to[0], "acceptedAt": Time(now), "leaseExpiresAt": Time(until) },
    });
    let (name, how) = (made.name_any(), PatchParams::default());
    api.patch_status(&name, &how, &Patch::Merge(patch)).await?;
    Ok(())
}

/// An envelope of the size of a real one. No agent of this bench opens it.
fn signed() -> Envelope {
    Envelope {
        payload: "eA==".repeat(500),
        key: "0".repeat(16),
        signature: "eA==".repeat(22),
    }
}
