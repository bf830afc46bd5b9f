//! One operator acts at a time. Losing the lease ends the process: whatever it believed is stale.

mod follow;

use std::{future::Future, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
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

/// A lease that this process holds, and the task that renews it.
struct Held {
    leads: watch::Receiver<bool>,
    renewing: JoinHandle<Result<LeaseManager, LeaseManagerError>>,
}

impl Held {
    /// Gives the lease back, so that the next leader need not wait for it to run out.
    async fn release(self) {
        drop(self.leads);
        // Closing the channel makes the manager release it.
        let _ = timeout(STOP_PATIENCE, self.renewing).await;
    }
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
    let Some(mut held) = take(&client, namespace, &identity, &stop).await? else {
        return Ok(());
    };
    tracing::info!("leading");
    let mut lost = false;
    let ending = stop.child_token();
    let work = work(ending.clone());
    tokio::pin!(work);
    tokio::select! {
        () = &mut work => {}
        () = stop.cancelled() => {
            let _ = timeout(STOP_PATIENCE, &mut work).await;
        }
        _ = held.leads.wait_for(|leads| !*leads) => lost = true,
        () = until_lost(&leases, &identity) => lost = true,
    }
    if lost {
        return Err(LeaderError::Lost);
    }
    held.release().await;
    Ok(())
}

/// Takes the lease as soon as it is free; none when it is to stop before.
///
/// The lease manager sleeps until the lease that it saw runs out, and would not notice that it was given
/// back. So the lease is watched, and the manager asked only once there is something to be had.
async fn take(
    client: &Client,
    namespace: &str,
    identity: &str,
    stop: &CancellationToken,
) -> Result<Option<Held>, LeaderError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = follow::until_free(&leases, identity) => {}
        }
        let manager = LeaseManagerBuilder::new(client.clone(), LEASE)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_duration(VALID_SECONDS)
            .with_grace(RENEW_SECONDS)
            .build()
            .await?;
        let (mut leads, renewing) = manager.watch().await;
        let taken = tokio::select! {
            () = stop.cancelled() => false,
            taken = timeout(TAKE_PATIENCE, leads.wait_for(|leads| *leads)) => {
                matches!(taken, Ok(Ok(_)))
            }
        };
        let held = Held { leads, renewing };
        if taken {
            return Ok(Some(held));
        }
        // Somebody else was faster.
        held.release().await;
        sleep(follow::PAUSE).await;
    }
}

/// How long taking a lease that is free may take: some requests, and up to a second that the manager
/// waits by itself, so that followers do not collide.
const TAKE_PATIENCE: Duration = Duration::from_secs(10);

/// Whether another process leads, or may do so: what cannot be read is left alone.
pub(crate) async fn somebody_leads(client: &Client, namespace: &str, identity: &str) -> bool {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    match leases.get_opt(LEASE).await {
        Ok(lease) => lease.is_some_and(|lease| follow::is_held(&lease, identity)),
        Err(_) => true,
    }
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
