//! What GitHub refuses a connection to write, and that it takes it again: news for whoever looks
//! Repositories over, so that what is missing stands in their conditions while people wait for it.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use tokio::sync::mpsc;

use super::{plan::Reply, target::Target};

/// News that wait for whoever looks; what comes on top is told by the next refusal.
const ROOM: usize = 64;

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

/// The repositories that connections may not write to, as far as GitHub's answers tell.
pub(super) struct Refusals {
    refused: Mutex<HashSet<(String, String)>>,
    news: mpsc::Sender<Refusal>,
    heard: tokio::sync::Mutex<mpsc::Receiver<Refusal>>,
}

impl Default for Refusals {
    fn default() -> Self {
        let (news, heard) = mpsc::channel(ROOM);
        Self {
            refused: Mutex::default(),
            news,
            heard: tokio::sync::Mutex::new(heard),
        }
    }
}

impl Refusals {
    /// Notes how GitHub answered to a status or check run.
    pub fn note(&self, target: &Target, reply: &Reply) {
        let repository = format!("{}/{}", target.owner, target.name);
        let key = (target.connection.clone(), repository.clone());
        let refused = {
            let mut all = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            match reply {
                Reply::Denied(_) => {
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

    /// The next news.
    pub async fn next(&self) -> Refusal {
        match self.heard.lock().await.recv().await {
            Some(refusal) => refusal,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Channel;

    #[tokio::test]
    async fn a_refusal_is_told_each_time_and_its_end_once() {
        let refusals = Refusals::default();
        let target = Target {
            connection: "main".to_owned(),
            owner: "o".to_owned(),
            name: "n".to_owned(),
            sha: "a".to_owned(),
            context: "c".to_owned(),
            channel: Channel::Check,
        };
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
            assert_eq!((&*news.repository, news.refused), ("o/n", refused));
        }
        assert!(refusals.heard.lock().await.try_recv().is_err());
    }

    #[test]
    fn refusals_that_nobody_hears_are_bounded() {
        let refusals = Refusals::default();
        let target = Target {
            connection: "main".to_owned(),
            owner: "o".to_owned(),
            name: "n".to_owned(),
            sha: "a".to_owned(),
            context: "c".to_owned(),
            channel: Channel::Status,
        };
        for _ in 0..10 * ROOM {
            refusals.note(&target, &Reply::Denied(String::new()));
        }
        assert_eq!(refusals.news.capacity(), 0);
    }
}
