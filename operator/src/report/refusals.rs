//! What GitHub refuses a connection to write, and that it takes it again: news for whoever looks
//! Repositories over, so that what is missing stands in their conditions while people wait for it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use github::GithubError;
use tokio::sync::mpsc;

use super::{plan::Reply, target::Target};

/// News that wait for whoever looks; what comes on top is told by the next refusal.
const ROOM: usize = 64;

/// A refusal stands this long without another one: what is refused is tried at least every five
/// minutes, and what nobody tries any more says nothing.
const STANDS: Duration = Duration::from_secs(600);

/// GitHub refuses to take something, or takes it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The connection that writes.
    pub connection: String,
    /// `owner/name` of the repository, as it was written to.
    pub repository: String,
    /// Whether it is refused; else it is taken again.
    pub refused: bool,
}

/// A connection, and a repository as it was written to, in lower case.
type Place = (String, String);

/// The repositories that connections may not write to, as far as GitHub's answers tell.
pub(super) struct Refusals {
    refused: Mutex<HashSet<Place>>,
    /// Where a permission for statuses is missing, and when GitHub last said so.
    lacking: Mutex<HashMap<Place, Instant>>,
    news: mpsc::Sender<Refusal>,
    heard: tokio::sync::Mutex<mpsc::Receiver<Refusal>>,
}

impl Default for Refusals {
    fn default() -> Self {
        let (news, heard) = mpsc::channel(ROOM);
        Self {
            refused: Mutex::default(),
            lacking: Mutex::default(),
            news,
            heard: tokio::sync::Mutex::new(heard),
        }
    }
}

impl Refusals {
    /// Notes how GitHub answered to a status or check run.
    pub fn note(&self, target: &Target, reply: &Reply) {
        let repository = format!("{}/{}", target.owner, target.name);
        let key = place(&target.connection, &repository);
        let refused = {
            let mut all = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            match reply {
                Reply::Denied(_) | Reply::Missing(_) => {
                    all.insert(key);
                    true
                }
                Reply::Taken | Reply::Stands(_) if all.remove(&key) => false,
                _ => return,
            }
        };
        let refusal = Refusal {
            connection: target.connection.clone(),
            repository,
            refused,
        };
        // Without room there is enough to look at.
        let _ = self.news.try_send(refusal);
    }

    /// Notes what GitHub answered to a status: before [`note`](Self::note), whose news has somebody look.
    pub fn note_status(&self, target: &Target, answer: Result<(), &GithubError>, now: Instant) {
        let repository = format!("{}/{}", target.owner, target.name);
        let key = place(&target.connection, &repository);
        let mut all = self.lacking();
        match answer {
            // What a classic token has no scope for is not found.
            Err(GithubError::Forbidden { .. } | GithubError::NotFound { .. }) => {
                all.insert(key, now);
            }
            // It was not carried out, and nothing was said of permissions.
            Err(GithubError::RateLimited { .. } | GithubError::Unavailable { .. }) => {}
            Ok(()) | Err(_) => {
                all.remove(&key);
            }
        }
    }

    /// Whether a permission for statuses is missing in a repository, under one of its names.
    pub fn lacks_statuses<'a>(
        &self,
        connection: &str,
        names: impl IntoIterator<Item = &'a str>,
        now: Instant,
    ) -> bool {
        let mut all = self.lacking();
        all.retain(|_, at| now.saturating_duration_since(*at) < STANDS);
        let mut names = names.into_iter();
        names.any(|name| all.contains_key(&place(connection, name)))
    }

    fn lacking(&self) -> MutexGuard<'_, HashMap<Place, Instant>> {
        self.lacking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next news.
    pub async fn next(&self) -> Refusal {
        match self.heard.lock().await.recv().await {
            Some(refusal) => refusal,
            None => std::future::pending().await,
        }
    }
}

fn place(connection: &str, repository: &str) -> Place {
    (connection.to_owned(), repository.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Channel;

    fn target(channel: Channel) -> Target {
        Target {
            connection: "main".to_owned(),
            owner: "O".to_owned(),
            name: "n".to_owned(),
            sha: "a".to_owned(),
            context: "c".to_owned(),
            channel,
        }
    }

    #[test]
    fn a_missing_permission_for_statuses_stands_until_one_is_taken_or_none_is_tried() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let lacks = |names: &[&str], now| refusals.lacks_statuses("main", names.to_vec(), now);
        let call = || "POST /repos/O/n/statuses/a".to_owned();
        let forbidden = GithubError::Forbidden {
            call: call(),
            message: String::new(),
        };
        let absent = GithubError::NotFound { call: call() };
        let away = GithubError::Unavailable {
            call: call(),
            reason: String::new(),
        };
        let expired = GithubError::Unauthorized {
            call: call(),
            date: None,
        };
        let status = target(Channel::Status);
        let note = |answer: Result<(), &GithubError>| refusals.note_status(&status, answer, start);
        for error in [&forbidden, &absent] {
            note(Err(error));
            note(Err(&away));
            assert!(lacks(&["p/q", "o/N"], start), "{error}");
            assert!(!lacks(&["p/q"], start));
            assert!(!refusals.lacks_statuses("other", ["o/n"], start));
            note(Ok(()));
            assert!(!lacks(&["o/n"], start));
        }
        note(Err(&forbidden));
        note(Err(&expired));
        assert!(!lacks(&["o/n"], start), "the credential is at fault");
        note(Err(&forbidden));
        assert!(!lacks(&["o/n"], start + STANDS));
    }

    #[tokio::test]
    async fn a_refusal_is_told_each_time_and_its_end_once() {
        let refusals = Refusals::default();
        let target = target(Channel::Check);
        let denied = Reply::Denied("no permission".to_owned());
        for reply in [
            Reply::Taken,
            denied.clone(),
            Reply::Unavailable(String::new()),
            denied,
            Reply::Stands(7),
            Reply::Taken,
        ] {
            refusals.note(&target, &reply);
        }
        for refused in [true, true, false] {
            let news = refusals.next().await;
            assert_eq!((&*news.repository, news.refused), ("O/n", refused));
        }
        assert!(refusals.heard.lock().await.try_recv().is_err());
    }

    #[test]
    fn refusals_that_nobody_hears_are_bounded() {
        let refusals = Refusals::default();
        let target = target(Channel::Status);
        for _ in 0..10 * ROOM {
            refusals.note(&target, &Reply::Denied(String::new()));
        }
        assert_eq!(refusals.news.capacity(), 0);
    }
}
