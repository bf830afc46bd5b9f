//! Every request that the forge got, for assertions and for the bench.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
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
    /// The route as GitHub's description writes it, none for git and for what is not there.
    pub route: Option<&'static str>,
    /// Points that it uses of the secondary limits: 1 to read, 5 to write.
    pub points: u32,
    /// The mutations of a GraphQL request, in their order.
    pub mutations: Vec<String>,
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

/// What was asked of the API in some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// REST calls by method and route, such as `GET /repos/{owner}/{repo}/pulls/{pull_number}`.
    pub rest: BTreeMap<String, usize>,
    /// Points of the secondary limit that these use.
    pub rest_points: u32,
    /// GraphQL requests.
    pub graphql: usize,
    /// Points of the secondary limit that these use.
    pub graphql_points: u32,
    /// Mutations in them, by name.
    pub mutations: BTreeMap<String, usize>,
    /// Calls that were answered 304, which use nothing of the hourly budget.
    pub unchanged: usize,
    /// Connections whose first request falls into the time.
    pub connections: usize,
}

impl Usage {
    /// The number of REST calls.
    #[must_use]
    pub fn rest_calls(&self) -> usize {
        self.rest.values().sum()
    }

    /// The number of REST calls that write.
    #[must_use]
    pub fn writes(&self) -> usize {
        let writes = self
            .rest
            .iter()
            .filter(|(call, _)| !call.starts_with("GET "));
        writes.map(|(_, times)| times).sum()
    }

    fn add(&mut self, one: &Logged) {
        let Some(route) = one.route else {
            return;
        };
        if route == "/graphql" {
            self.graphql += 1;
            self.graphql_points += one.points;
            for name in &one.mutations {
                *self.mutations.entry(name.clone()).or_default() += 1;
            }
        } else {
            let call = format!("{} {route}", one.method);
            *self.rest.entry(call).or_default() += 1;
            self.rest_points += one.points;
        }
        self.unchanged += usize::from(one.status == 304);
    }
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

    /// What was asked of the API within some time of the forge's life ([`super::Forge::age`]). Git is
    /// not the API.
    #[must_use]
    pub fn usage(&self, within: Range<Duration>) -> Usage {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut usage, mut known) = (Usage::default(), HashMap::new());
        for entry in entries.iter().filter(|entry| entry.route.is_some()) {
            // Requests are written down when they are answered: not quite in the order of their coming.
            let first: &mut Duration = known.entry(entry.connection).or_insert(entry.at);
            *first = entry.at.min(*first);
            if within.contains(&entry.at) {
                usage.add(entry);
            }
        }
        let opened = known.values().filter(|first| within.contains(first));
        usage.connections = opened.count();
        usage
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
