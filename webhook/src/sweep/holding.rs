//! Working for as long as a Lease is held.

use std::time::Duration;

use crate::lease::Holder;

/// A Lease that is held.
pub(super) trait Renew: Send {
    /// Holds it for longer; false where somebody else has it, or it is not to be had.
    fn renew(&mut self) -> impl Future<Output = bool> + Send;
}

/// The sweep's Lease, with the note that was in it when the look began.
pub(super) struct Held<'a> {
    pub(super) holder: &'a mut Holder,
    pub(super) marks: Option<String>,
}

impl Renew for Held<'_> {
    async fn renew(&mut self) -> bool {
        let held = self.holder.holds(self.marks.as_deref()).await;
        held.unwrap_or(false)
    }
}

/// Works, and renews a Lease again and again meanwhile: a look at many labels through a slow GitHub takes
/// longer than a Lease lasts. Whether the work came to its end; it stops where the Lease is lost.
pub(super) async fn holding(
    work: impl Future<Output = ()>,
    every: Duration,
    lease: &mut impl Renew,
) -> bool {
    tokio::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => return true,
            () = tokio::time::sleep(every) => {}
        }
        let renewed = tokio::select! {
            () = &mut work => return true,
            renewed = lease.renew() => renewed,
        };
        if !renewed {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    /// A Lease that can be renewed so often; then the work is done.
    struct Left<'a>(u32, &'a tokio::sync::Notify);

    impl Renew for Left<'_> {
        async fn renew(&mut self) -> bool {
            if self.0 == 1 {
                self.1.notify_one();
            }
            let left = self.0.checked_sub(1);
            self.0 = left.unwrap_or(0);
            left.is_some()
        }
    }

    #[tokio::test]
    async fn a_look_goes_on_while_its_lease_is_renewed_and_stops_when_it_is_lost() {
        let done = tokio::sync::Notify::new();
        let mut lease = Left(3, &done);
        assert!(holding(done.notified(), MOMENT, &mut lease).await);
        assert!(!holding(std::future::pending(), MOMENT, &mut lease).await);
    }
}
