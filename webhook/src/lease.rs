//! One replica sweeps: whoever holds the Lease. Losing it costs nothing but a second look, because
//! what the sweep creates is named by its event. A note in the Lease tells the next one what was seen;
//! another one, which every replica adds to, what was done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;

use crate::done::Done;
use crate::metrics::Metrics;

/// Name of the Lease.
pub const NAME: &str = "prbuild-sweep";
/// The annotation with the note of what was seen.
const NOTE: &str = "prbuild.dev/swept";
/// The annotation with what was done.
const DONE: &str = "prbuild.dev/done";
/// Tries to write, where another replica writes at the same moment.
const TRIES: u32 = 5;
/// A holder that was not heard of for this long is gone.
const DURATION: Duration = Duration::from_secs(45);

/// This replica's view of the Lease.
pub struct Holder {
    api: Api<Lease>,
    identity: String,
    done: Arc<Done>,
    metrics: Arc<Metrics>,
    seen: Seen,
    note: String,
}

/// What the holder wrote last, and since when by our own clock: clocks of replicas may differ. Others add
/// what was done at any time, which does not show that it is alive.
#[derive(Default)]
struct Seen(Option<(LeaseSpec, Instant)>);

impl Seen {
    fn is_stale(&mut self, spec: &LeaseSpec, now: Instant) -> bool {
        match &self.0 {
            Some((seen, since)) if seen == spec => now.duration_since(*since) > DURATION,
            _ => {
                self.0 = Some((spec.clone(), now));
                false
            }
        }
    }
}

/// A Lease that was read.
struct Read {
    version: String,
    spec: LeaseSpec,
    ours: bool,
    free: bool,
    /// What was done, where it does not say all of it.
    news: Option<String>,
}

impl Holder {
    /// A replica with this unique name.
    pub fn new(
        client: &Client,
        namespace: &str,
        identity: String,
        done: Arc<Done>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            identity,
            done,
            metrics,
            seen: Seen::default(),
            note: String::new(),
        }
    }

    /// What the Lease said when it was last looked at.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Takes or renews the Lease, if it is free or ours. Call it several times in its duration. A note
    /// replaces the one that is there. What was done is shared with the other replicas, whoever holds it.
    ///
    /// # Errors
    /// The API server's; the caller holds nothing then.
    pub async fn holds(&mut self, note: Option<&str>) -> Result<bool, kube::Error> {
        for _ in 0..TRIES {
            let Some(lease) = self.api.get_opt(NAME).await? else {
                return self.create().await;
            };
            let lease = self.read(lease);
            let is_to_be_had =
                lease.ours || lease.free || self.seen.is_stale(&lease.spec, Instant::now());
            let written = match (is_to_be_had, &lease.news) {
                (true, _) => {
                    let identity = Some(self.identity.as_str());
                    let note = note.filter(|_| lease.ours);
                    self.write(&lease, identity, note).await?
                }
                (false, Some(_)) => self.write(&lease, None, None).await?,
                (false, None) => true,
            };
            if written {
                return Ok(is_to_be_had);
            }
        }
        Ok(false)
    }

    /// Gives the Lease back, so that the next one need not wait, and says what was done, whoever holds it.
    /// A note replaces the one that is there.
    pub async fn release(&mut self, note: Option<&str>) {
        for _ in 0..TRIES {
            let Ok(Some(lease)) = self.api.get_opt(NAME).await else {
                return;
            };
            let lease = self.read(lease);
            let written = match (lease.ours, &lease.news) {
                (true, _) => self.write(&lease, Some(""), note).await,
                (false, Some(_)) => self.write(&lease, None, None).await,
                (false, None) => return,
            };
            // Failing means that it runs out by itself.
            if written.unwrap_or(true) {
                return;
            }
        }
    }

    /// What the Lease says, and what is to be added to it.
    fn read(&mut self, lease: Lease) -> Read {
        let mut noted = lease.metadata.annotations.unwrap_or_default();
        self.note = noted.remove(NOTE).unwrap_or_default();
        let done = noted.remove(DONE).unwrap_or_default();
        let spec = lease.spec.unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        Read {
            version: lease.metadata.resource_version.unwrap_or_default(),
            ours: holder == self.identity,
            free: holder.is_empty(),
            news: self.done.share(&done, Timestamp::now()),
            spec,
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
        self.metrics.wrote("create", "leases");
        won(self.api.create(&PostParams::default(), &lease).await)
    }

    /// A patch that holds only for the version that was read: what was done, a note, and who holds the
    /// Lease from now on. False: somebody else was faster.
    async fn write(
        &self,
        lease: &Read,
        identity: Option<&str>,
        note: Option<&str>,
    ) -> Result<bool, kube::Error> {
        let notes = [(DONE, lease.news.as_deref()), (NOTE, note)];
        let notes = notes
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)));
        let notes: BTreeMap<&str, &str> = notes.collect();
        let mut patch = serde_json::json!({
            "metadata": { "resourceVersion": lease.version, "annotations": notes },
        });
        if let Some(identity) = identity {
            patch["spec"] = serde_json::json!(self.spec(identity));
        }
        let params = PatchParams::default();
        self.metrics.wrote("patch", "leases");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn renewed(second: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some("one".to_owned()),
            renew_time: Some(MicroTime(Timestamp::from_second(second).expect("a time"))),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_holder_is_gone_when_it_has_renewed_nothing_for_a_while() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!seen.is_stale(&renewed(1), start));
        assert!(!seen.is_stale(&renewed(2), after(40)));
        assert!(!seen.is_stale(&renewed(2), after(80)));
        assert!(seen.is_stale(&renewed(2), after(86)));
        assert!(!seen.is_stale(&renewed(3), after(87)), "it came back");
    }
}
