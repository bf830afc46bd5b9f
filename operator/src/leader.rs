//! One operator acts at a time. Losing the lease ends the process: whatever it believed is stale.

use std::{future::Future, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Name of the Lease.
pub const LEASE: &str = "prbuild-operator";
/// Seconds that a lease is valid without being renewed.
const VALID_SECONDS: u64 = 15;
/// Seconds before its end at which it is renewed.
const RENEW_SECONDS: u64 = 10;
/// How long the work gets to end after the process is asked to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Why leading ended.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// The lease could not be asked for.
    #[error(
        "the lease {LEASE} cannot be used: {0}; check that the ServiceAccount may get and patch it"
    )]
    Lease(#[from] LeaseManagerError),
    /// Another process leads now.
    #[error("the lease {LEASE} was lost; this process ends, and starts anew as a follower")]
    Lost,
}

/// Waits for the lease, then works until the work ends, `stop` is asked for, or the lease is lost.
/// On a stop the lease is given back, so that the next leader need not wait for it to run out.
pub async fn lead<F: Future<Output = ()>>(
    client: Client,
    namespace: &str,
    identity: String,
    stop: CancellationToken,
    work: impl FnOnce(CancellationToken) -> F,
) -> Result<(), LeaderError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let manager = LeaseManagerBuilder::new(client, LEASE)
        .with_namespace(namespace)
        .with_identity(identity.clone())
        .with_duration(VALID_SECONDS)
        .with_grace(RENEW_SECONDS)
        .build()
        .await?;
    let (mut leads, renewing) = manager.watch().await;
    let mut lost = false;
    tokio::select! {
        () = stop.cancelled() => {}
        held = leads.wait_for(|leads| *leads) => lost = held.is_err(),
    }
    if !lost && !stop.is_cancelled() {
        tracing::info!("leading");
        let ending = stop.child_token();
        let work = work(ending.clone());
        tokio::pin!(work);
        tokio::select! {
            () = &mut work => {}
            () = stop.cancelled() => {
                let _ = tokio::time::timeout(STOP_PATIENCE, &mut work).await;
            }
            _ = leads.wait_for(|leads| !*leads) => lost = true,
            () = until_lost(&leases, &identity) => lost = true,
        }
    }
    if lost {
        return Err(LeaderError::Lost);
    }
    drop(leads);
    // Closing the channel makes the manager release the lease.
    let _ = tokio::time::timeout(STOP_PATIENCE, renewing).await;
    Ok(())
}

/// How often a leader looks whether it still is one.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Ends when somebody else holds the lease, or when it could not be seen for as long as it is valid.
/// The lease manager itself goes on trying to renew after failures and does not say that it is late.
async fn until_lost(leases: &Api<Lease>, identity: &str) {
    let mut seen = Instant::now();
    while seen.elapsed() < Duration::from_secs(VALID_SECONDS) {
        sleep(LOOK_EVERY).await;
        let Ok(Ok(lease)) = timeout(LOOK_EVERY, leases.get_opt(LEASE)).await else {
            continue;
        };
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        if holder.as_deref() != Some(identity) {
            return;
        }
        seen = Instant::now();
    }
}
