//! One replica sweeps: whoever holds the Lease. Losing it costs nothing but a second look, because
//! what the sweep creates is named by its event. A note in the Lease tells the next one what was seen.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;

/// Name of the Lease.
pub const NAME: &str = "prbuild-sweep";
/// The annotation with the note.
const NOTE: &str = "prbuild.dev/swept";
/// A holder that was not heard of for this long is gone.
const DURATION: Duration = Duration::from_secs(45);

/// This replica's view of the Lease.
pub struct Holder {
    api: Api<Lease>,
    identity: String,
    /// The version that was seen last, and when by our own clock: clocks of replicas may differ.
    seen: Option<(String, Instant)>,
    note: String,
}

impl Holder {
    /// A replica with this unique name.
    pub fn new(client: &Client, namespace: &str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            identity,
            seen: None,
            note: String::new(),
        }
    }

    /// What the Lease said when it was last looked at.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Takes or renews the Lease, if it is free or ours. Call it several times in its duration. A note
    /// replaces the one that is there.
    ///
    /// # Errors
    /// The API server's; the caller holds nothing then.
    pub async fn holds(&mut self, note: Option<&str>) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(NAME).await? else {
            return self.create().await;
        };
        let noted = lease.metadata.annotations.unwrap_or_default();
        self.note = noted.get(NOTE).cloned().unwrap_or_default();
        let version = lease.metadata.resource_version.unwrap_or_default();
        let holder = lease.spec.and_then(|spec| spec.holder_identity);
        let ours = holder.as_deref() == Some(self.identity.as_str());
        let free = holder.is_none_or(|holder| holder.is_empty());
        if !ours && !free && !self.is_stale(&version) {
            return Ok(false);
        }
        let identity = self.identity.clone();
        self.write(&version, &identity, note.filter(|_| ours)).await
    }

    /// Gives the Lease back, so that the next one need not wait. A note replaces the one that is there.
    pub async fn release(&mut self, note: Option<&str>) {
        let Ok(Some(lease)) = self.api.get_opt(NAME).await else {
            return;
        };
        let holder = lease.spec.and_then(|spec| spec.holder_identity);
        if holder.as_deref() != Some(self.identity.as_str()) {
            return;
        }
        let version = lease.metadata.resource_version.unwrap_or_default();
        // Failing means that it runs out by itself.
        let _ = self.write(&version, "", note).await;
    }

    fn is_stale(&mut self, version: &str) -> bool {
        match &self.seen {
            Some((seen, since)) if seen == version => since.elapsed() > DURATION,
            _ => {
                self.seen = Some((version.to_owned(), Instant::now()));
                false
            }
        }
    }

    async fn create(&self) -> Result<bool, kube::Error> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(self.spec(&self.identity)),
        };
        won(self.api.create(&PostParams::default(), &lease).await)
    }

    /// A patch that holds only for the version that was read.
    async fn write(
        &self,
        version: &str,
        identity: &str,
        note: Option<&str>,
    ) -> Result<bool, kube::Error> {
        let mut patch = serde_json::json!({
            "metadata": { "resourceVersion": version },
            "spec": self.spec(identity),
        });
        if let Some(note) = note {
            patch["metadata"]["annotations"] = serde_json::json!({ NOTE: note });
        }
        let params = PatchParams::default();
        won(self.api.patch(NAME, &params, &Patch::Merge(patch)).await)
    }

    fn spec(&self, identity: &str) -> LeaseSpec {
        let seconds = i32::try_from(DURATION.as_secs()).unwrap_or(i32::MAX);
        LeaseSpec {
            holder_identity: Some(identity.to_owned()),
            lease_duration_seconds: Some(seconds),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }
    }
}

/// Somebody else was faster: not an error.
fn won(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
