//! What a follower does: it waits until the Lease is free. A watch of that one Lease tells of it at once, and
//! costs no request meanwhile; nothing tells that a holder is gone but the time of the Lease, which is kept here.

use std::{pin::pin, time::Duration};

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{WatchEvent, WatchParams},
};
use tokio::time::{sleep, timeout};

use super::{LEASE, LOOK_EVERY};

/// Before the next look, where the lease cannot be read or watched.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// A lease is believed to be valid for so much longer than it says: clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// Waits until the lease is free. Why it cannot be read at all is told by who takes it.
pub(super) async fn until_free(leases: &Api<Lease>, identity: &str) {
    loop {
        let held = match timeout(LOOK_EVERY, leases.get_opt(LEASE)).await {
            Ok(Ok(lease)) => lease.filter(|lease| is_held(lease, identity)),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => None,
            _ => {
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some(held) = held else {
            return;
        };
        let followed = follow(leases, held, identity).await;
        if let Err(error) = &followed {
            tracing::debug!(%error, "the lease cannot be watched, and is looked at twice a second");
        }
        // What a watch says may be old by now, and one that says nothing may be broken: the next look decides.
        if !matches!(followed, Ok(Followed::Worthwhile)) {
            sleep(PAUSE).await;
        }
    }
}

/// Why a lease is not watched any longer.
enum Followed {
    /// It was given back, or its time is over.
    Worthwhile,
    /// The API server ended the watch, or did not begin it in time.
    Ended,
}

/// Watches a lease from where it was read until a look at it is worthwhile.
async fn follow(
    leases: &Api<Lease>,
    mut lease: Lease,
    identity: &str,
) -> Result<Followed, kube::Error> {
    // With this selector the right to watch the one lease is enough.
    let only = WatchParams::default().fields(&format!("metadata.name={LEASE}"));
    let version = lease.metadata.resource_version.clone().unwrap_or_default();
    let Ok(events) = timeout(LOOK_EVERY, leases.watch(&only, &version)).await else {
        return Ok(Followed::Ended);
    };
    let mut events = pin!(events?);
    while let Some(left) = left(&lease, identity, Timestamp::now()) {
        let Ok(event) = timeout(left, events.try_next()).await else {
            return Ok(Followed::Worthwhile);
        };
        match event? {
            Some(WatchEvent::Added(now) | WatchEvent::Modified(now)) => lease = now,
            Some(WatchEvent::Bookmark(_)) => {}
            Some(WatchEvent::Deleted(_)) => return Ok(Followed::Worthwhile),
            Some(WatchEvent::Error(status)) => return Err(kube::Error::Api(status)),
            None => return Ok(Followed::Ended),
        }
    }
    Ok(Followed::Worthwhile)
}

/// Whether somebody else holds a lease.
pub(super) fn is_held(lease: &Lease, identity: &str) -> bool {
    left(lease, identity, Timestamp::now()).is_some()
}

/// How long somebody else still holds a lease; none where it may be taken: nobody holds it, it has run out, or it
/// is ours from before a restart. Pure.
fn left(lease: &Lease, identity: &str, now: Timestamp) -> Option<Duration> {
    let spec = lease.spec.as_ref()?;
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let (renewed, seconds) = (spec.renew_time.as_ref()?, spec.lease_duration_seconds?);
    if holder.is_empty() || holder == identity {
        return None;
    }
    let valid = SignedDuration::from_secs(i64::from(seconds)) + MARGIN;
    let left = valid.checked_sub(now.duration_since(renewed.0))?;
    let left = Duration::try_from(left).ok()?;
    (!left.is_zero()).then_some(left)
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
