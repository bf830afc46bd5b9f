//! Every request that the forge got, for assertions and for the bench.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Whom the token of a request spoke for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// None was sent.
    None,
    /// An App's JWT.
    Jwt,
    /// An installation's token.
    Installation,
    /// A person's token.
    Personal,
    /// One that GitHub does not accept.
    Refused,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// GET, POST, ….
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// The query, empty when there is none.
    pub query: String,
    /// Status of the answer.
    pub status: u16,
    /// Time in the forge, faults included.
    pub took: Duration,
    /// Time since the forge started.
    pub at: Duration,
    /// Whom it spoke for.
    pub token: TokenKind,
    /// The connection that it came on: equal for requests that shared one.
    pub connection: u64,
}

/// The log of requests. Clones are handles to the same one.
#[derive(Clone, Debug, Default)]
pub struct RequestLog {
    entries: Arc<Mutex<Vec<Logged>>>,
    grown: watch::Sender<usize>,
}

impl RequestLog {
    pub(super) fn push(&self, entry: Logged) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry);
        self.grown.send_replace(entries.len());
    }

    /// The number of requests so far, to wait for more.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<usize> {
        self.grown.subscribe()
    }

    /// All requests, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Logged> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Requests after the first so many, oldest first.
    #[must_use]
    pub fn since(&self, seen: usize) -> Vec<Logged> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(seen..).unwrap_or_default().to_vec()
    }

    /// Number of requests that fit a pattern such as `GET /repos/*/*/pulls/*`.
    #[must_use]
    pub fn count(&self, pattern: &str) -> usize {
        self.matching(pattern).len()
    }

    /// Requests that fit a pattern such as `POST /repos/*/*/statuses/*`, oldest first.
    #[must_use]
    pub fn matching(&self, pattern: &str) -> Vec<Logged> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .iter()
            .filter(|entry| fits(pattern, &entry.method, &entry.path))
            .cloned()
            .collect()
    }

    /// Forgets what was logged so far.
    pub fn clear(&self) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Whether `METHOD /path` fits a pattern: `*` stands for one segment or for any method, a last `**`
/// for all that follows.
#[must_use]
pub fn fits(pattern: &str, method: &str, path: &str) -> bool {
    let (wanted, shape) = pattern.split_once(' ').unwrap_or(("*", pattern));
    if wanted != "*" && !wanted.eq_ignore_ascii_case(method) {
        return false;
    }
    let mut segments = path.split('/');
    for piece in shape.split('/') {
        if piece == "**" {
            return true;
        }
        match segments.next() {
            Some(segment) if piece == "*" || piece == segment => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_one_segment_and_two_stars_for_the_rest() {
        assert!(fits(
            "GET /repos/*/*/pulls/*",
            "GET",
            "/repos/octo/app/pulls/1"
        ));
        assert!(!fits(
            "GET /repos/*/*/pulls/*",
            "GET",
            "/repos/octo/app/pulls/1/reviews"
        ));
        assert!(fits(
            "* /repos/**",
            "DELETE",
            "/repos/octo/app/issues/1/labels/x"
        ));
        assert!(!fits("POST /repos/**", "GET", "/repos/octo/app"));
    }
}
