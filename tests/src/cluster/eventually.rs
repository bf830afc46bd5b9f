//! Waiting until something holds. No test sleeps by itself.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// What one look at the world showed.
pub type Progressing<T> = Result<T, String>;

/// Looks again and again until `look` answers `Ok`, and returns that. After `timeout` it panics with
/// what was waited for and what the last look showed.
///
/// ```no_run
/// # async fn example(pods: kube::Api<k8s_openapi::api::core::v1::Pod>) {
/// use std::time::Duration;
/// let pod = tests::cluster::eventually("the pod runs", Duration::from_secs(30), async || {
///     let pod = pods.get("a").await.map_err(|error| error.to_string())?;
///     let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
///     if phase == "Running" { Ok(pod) } else { Err(format!("its phase is {phase:?}")) }
/// }).await;
/// # }
/// ```
#[track_caller]
pub fn eventually<T, F>(
    what: impl fmt::Display,
    timeout: Duration,
    look: F,
) -> impl Future<Output = T>
where
    F: AsyncFnMut() -> Progressing<T>,
{
    let at = std::panic::Location::caller();
    async move {
        match until(timeout, look).await {
            Ok(value) => value,
            Err(last) => {
                panic!("{at}: not within {timeout:?}: {what}. The last look showed: {last}")
            }
        }
    }
}

/// Like [`eventually`], but gives back what the last look showed.
pub(super) async fn until<T, F>(timeout: Duration, mut look: F) -> Result<T, String>
where
    F: AsyncFnMut() -> Progressing<T>,
{
    let start = Instant::now();
    let deadline = start + timeout;
    let mut pause = Duration::from_millis(5);
    loop {
        let last = match look().await {
            Ok(value) => return Ok(value),
            Err(last) => last,
        };
        if Instant::now() + pause > deadline {
            return Err(last);
        }
        sleep(pause).await;
        // What comes soon is seen soon. Who waits longer asks less often: most looks are requests, and
        // many tests share one API server.
        let longest = match start.elapsed().as_secs() {
            0..2 => Duration::from_millis(100),
            2..6 => Duration::from_millis(200),
            _ => Duration::from_millis(400),
        };
        pause = (pause * 3 / 2).min(longest);
    }
}
