//! What a program is waiting for before it is ready.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// What is said of something until it was looked at.
const NOT_YET: &str = "not looked at yet";

/// How often something that is missing is looked for again.
pub const RETRY: Duration = Duration::from_secs(2);

/// What keeps a program from being ready. Begins with what it was told to await.
#[derive(Debug)]
pub struct Standing {
    lacking: Mutex<BTreeMap<&'static str, String>>,
    news: Notify,
}

impl Standing {
    /// A program that is ready when it has all of these.
    pub fn awaiting(what: &[&'static str]) -> Arc<Self> {
        let lacking = what.iter().map(|what| (*what, NOT_YET.to_owned()));
        Arc::new(Self {
            lacking: Mutex::new(lacking.collect()),
            news: Notify::new(),
        })
    }

    /// Notes that something is missing, and why. A sentence that is new is logged.
    pub fn lacks(&self, what: &'static str, because: impl Into<String>) {
        let because = because.into();
        let before = self.held().insert(what, because.clone());
        if before.as_ref() != Some(&because) {
            tracing::warn!(waiting_for = what, "not ready: {because}");
            self.news.notify_one();
        }
    }

    /// Notes that something is there.
    pub fn has(&self, what: &'static str) {
        if self.held().remove(what).is_some() {
            tracing::info!("{what}: there");
            self.news.notify_one();
        }
    }

    /// What was looked at and is missing, with why.
    pub fn missing(&self) -> BTreeMap<&'static str, String> {
        let mut lacking = self.held().clone();
        lacking.retain(|_, because| because != NOT_YET);
        lacking
    }

    /// Waits until something is missing for another reason, or is there. For one who waits.
    pub async fn changed(&self) {
        self.news.notified().await;
    }

    /// What is missing, as one line; none when nothing is.
    pub fn problem(&self) -> Option<String> {
        let lacking = self.held();
        let lines: Vec<String> = lacking
            .iter()
            .map(|(what, because)| format!("{what}: {because}"))
            .collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// Tries until it succeeds, every [`RETRY`], and says meanwhile what is missing.
    pub async fn until<T, E, F>(&self, what: &'static str, mut attempt: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, E>>,
        E: std::fmt::Display,
    {
        loop {
            match attempt().await {
                Ok(found) => {
                    self.has(what);
                    return found;
                }
                Err(error) => self.lacks(what, error.to_string()),
            }
            tokio::time::sleep(if cfg!(test) { Duration::ZERO } else { RETRY }).await;
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.lacking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_missing_is_named_until_it_is_there() {
        let standing = Standing::awaiting(&["the key", "GitHub"]);
        standing.has("GitHub");
        assert_eq!(
            standing.problem().as_deref(),
            Some("the key: not looked at yet")
        );
        let mut left = 2;
        let found = standing.until("the key", || {
            left -= 1;
            std::future::ready(if left == 0 {
                Ok("k")
            } else {
                Err("no such file")
            })
        });
        assert_eq!(found.await, "k");
        assert_eq!(standing.problem(), None);
        assert!(standing.missing().is_empty());
        standing.lacks("GitHub", "no answer");
        standing.changed().await;
        assert_eq!(standing.missing()["GitHub"], "no answer");
        assert_eq!(standing.problem().as_deref(), Some("GitHub: no answer"));
    }
}
