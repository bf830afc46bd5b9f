//! How many requests were sent, by what they ask for and how they were answered: for metrics. Counting
//! takes no lock and allocates nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;

/// What requests ask for; the first stands for everything else.
const ENDPOINTS: [&str; 21] = [
    "other",
    "activity",
    "app",
    "check_runs",
    "comments",
    "commits",
    "deliveries",
    "events",
    "graphql",
    "hooks",
    "installation",
    "labels",
    "people",
    "permission",
    "pulls",
    "rate_limit",
    "reactions",
    "repository",
    "reviews",
    "statuses",
    "tokens",
];

/// How requests are answered; the first is that they are not. `304` costs nothing of a budget.
const ANSWERS: [&str; 6] = ["none", "2xx", "304", "3xx", "4xx", "5xx"];

/// Requests of one sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// What they ask for, one word of a closed set: `statuses`, `graphql`, `tokens` …
    pub endpoint: &'static str,
    /// How they were answered: `2xx`, `304`, `3xx`, `4xx`, `5xx`, or `none`.
    pub status: &'static str,
    /// How many there were since the process began.
    pub count: u64,
}

/// Counts of a process.
#[derive(Debug, Default)]
pub(crate) struct Calls([[AtomicU64; ANSWERS.len()]; ENDPOINTS.len()]);

impl Calls {
    /// Counts a request by its name, as `GET /repos/o/r/pulls/1`.
    pub fn count(&self, name: &str, answer: Option<StatusCode>) {
        let word = endpoint(name);
        let row = ENDPOINTS.iter().position(|endpoint| *endpoint == word);
        let row = self.0.get(row.unwrap_or_default());
        if let Some(count) = row.and_then(|row| row.get(column(answer))) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// All that were counted.
    pub fn all(&self) -> Vec<Called> {
        let rows = ENDPOINTS.into_iter().zip(&self.0);
        let all = rows.flat_map(|(endpoint, row)| {
            let counts = ANSWERS.into_iter().zip(row);
            counts.map(move |(status, count)| Called {
                endpoint,
                status,
                count: count.load(Relaxed),
            })
        });
        all.filter(|called| called.count > 0).collect()
    }
}

/// Where answers of this sort stand in [`ANSWERS`].
fn column(answer: Option<StatusCode>) -> usize {
    match answer.map(|status| status.as_u16()) {
        Some(304) => 2,
        Some(200..300) => 1,
        Some(300..400) => 3,
        Some(400..500) => 4,
        Some(500..) => 5,
        // Below 200 is no answer.
        Some(_) | None => 0,
    }
}

/// The word for what a request asks for, by its method and path.
fn endpoint(name: &str) -> &'static str {
    let path = name.split_once(' ').map_or(name, |(_, path)| path);
    let mut parts = path.split('/').skip(1);
    match parts.next() {
        Some("repos") => of_repository(parts.nth(2), parts),
        Some("repositories") => of_repository(parts.nth(1), parts),
        Some("graphql") => "graphql",
        Some("rate_limit") => "rate_limit",
        Some("user" | "orgs") => "people",
        Some("app") => match (parts.next(), parts.nth(1)) {
            (Some("installations"), Some("access_tokens")) => "tokens",
            (Some("installations"), _) => "installation",
            (Some("hook"), _) if path.contains("/deliveries") => "deliveries",
            _ => "app",
        },
        _ => "other",
    }
}

/// The same for what stands behind `/repos/owner/name/` or `/repositories/id/`.
fn of_repository<'a>(first: Option<&str>, mut more: impl Iterator<Item = &'a str>) -> &'static str {
    match first {
        None => "repository",
        Some("activity") => "activity",
        Some("check-runs") => "check_runs",
        Some("collaborators") => "permission",
        Some("commits") => "commits",
        Some("hooks") => match more.nth(1) {
            Some("deliveries") => "deliveries",
            _ => "hooks",
        },
        Some("installation") => "installation",
        Some("issues") => match (more.next(), more.next(), more.next()) {
            (Some("comments"), _, Some("reactions")) => "reactions",
            (Some("comments"), ..) | (_, Some("comments"), _) => "comments",
            (_, Some("events"), _) => "events",
            (_, Some("labels"), _) => "labels",
            _ => "other",
        },
        Some("pulls") => match more.nth(1) {
            Some("reviews") => "reviews",
            _ => "pulls",
        },
        Some("statuses") => "statuses",
        Some(_) => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_word_of_the_closed_set() {
        let cases = [
            ("GET /repos/o/r", "repository"),
            ("GET /repos/o/r/pulls/7", "pulls"),
            ("GET /repos/o/r/pulls", "pulls"),
            ("GET /repos/o/r/pulls/7/reviews", "reviews"),
            ("GET /repos/o/r/issues/7/events", "events"),
            ("DELETE /repos/o/r/issues/7/labels/test", "labels"),
            ("POST /repos/o/r/issues/7/comments", "comments"),
            ("PATCH /repos/o/r/issues/comments/9", "comments"),
            ("GET /repos/o/r/issues/comments", "comments"),
            ("POST /repos/o/r/issues/comments/9/reactions", "reactions"),
            ("POST /repos/o/r/statuses/abc", "statuses"),
            ("POST /repos/o/r/check-runs", "check_runs"),
            ("PATCH /repos/o/r/check-runs/5", "check_runs"),
            ("GET /repos/o/r/commits/abc/status", "commits"),
            ("GET /repos/o/r/collaborators/ada/permission", "permission"),
            ("GET /repositories/7/activity", "activity"),
            ("GET /repositories/7", "repository"),
            ("GET /repos/o/r/hooks", "hooks"),
            ("GET /repos/o/r/hooks/3/deliveries", "deliveries"),
            ("GET /repos/o/r/installation", "installation"),
            ("GET /app", "app"),
            ("GET /app/hook/config", "app"),
            ("GET /app/hook/deliveries/8", "deliveries"),
            ("GET /app/installations/1", "installation"),
            ("POST /app/installations/1/access_tokens", "tokens"),
            ("POST /graphql", "graphql"),
            ("GET /rate_limit", "rate_limit"),
            ("GET /user/2", "people"),
            ("GET /orgs/o/teams/t/memberships/ada", "people"),
            ("GET /somewhere/else", "other"),
            ("", "other"),
        ];
        for (name, word) in cases {
            assert_eq!(endpoint(name), word, "{name}");
            assert!(ENDPOINTS.contains(&word), "{word}");
        }
        let seen = cases.map(|(_, word)| word);
        for word in ENDPOINTS {
            assert!(seen.contains(&word), "nothing is counted as {word}");
        }
    }

    #[test]
    fn calls_are_counted_by_the_class_of_their_answer() {
        let calls = Calls::default();
        let statuses = [200, 201, 304, 302, 404, 429, 502];
        for status in statuses {
            calls.count("POST /graphql", StatusCode::from_u16(status).ok());
        }
        calls.count("POST /graphql", None);
        let found = calls.all().into_iter();
        let found: Vec<_> = found.map(|it| (it.endpoint, it.status, it.count)).collect();
        let expected = [
            ("none", 1),
            ("2xx", 2),
            ("304", 1),
            ("3xx", 1),
            ("4xx", 2),
            ("5xx", 1),
        ];
        assert_eq!(
            found,
            expected.map(|(word, count)| ("graphql", word, count))
        );
    }
}
