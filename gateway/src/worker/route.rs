//! What an address of the listener for agents is about. Pure.

use http::Method;

use crate::ingest::route::{Route as LogRoute, RunNames, route as log_route};

/// What a request is about. Ids are as they were sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// The operator's keys.
    Keys,
    /// A nonce.
    Nonce,
    /// A new session.
    Open,
    /// The end of a session.
    Close,
    /// Asks for work.
    Poll,
    /// Says what runs.
    Heartbeat,
    /// Takes an assignment.
    Accept(&'a str),
    /// Refuses one.
    Decline(&'a str),
    /// Ends one.
    Complete(&'a str),
    /// Bytes or the end of the log of the run of this uid.
    Log(&'a str),
    /// Nothing. Records are the operator's business, at another address.
    Unknown,
}

/// Finds what a request is about.
pub fn route<'a>(method: &Method, path: &'a str) -> Route<'a> {
    let Some(rest) = path.strip_prefix("/worker/v1/") else {
        return match log_route(method, path) {
            LogRoute::Log(RunNames { run, .. }, _) | LogRoute::End(RunNames { run, .. }) => {
                Route::Log(run)
            }
            _ => Route::Unknown,
        };
    };
    let parts: Vec<&str> = rest.split('/').take(4).collect();
    let post = *method == Method::POST;
    match *parts.as_slice() {
        ["keys"] if *method == Method::GET => Route::Keys,
        ["nonce"] if post => Route::Nonce,
        ["sessions"] if post => Route::Open,
        ["sessions", "close"] if post => Route::Close,
        ["poll"] if post => Route::Poll,
        ["heartbeat"] if post => Route::Heartbeat,
        ["assignments", id, "accept"] if post => Route::Accept(id),
        ["assignments", id, "decline"] if post => Route::Decline(id),
        ["assignments", id, "complete"] if post => Route::Complete(id),
        _ => Route::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_reach_their_own_addresses_and_logs_and_no_record() {
        let post = |path| route(&Method::POST, path);
        assert_eq!(post("/worker/v1/nonce"), Route::Nonce);
        assert_eq!(
            post("/worker/v1/assignments/a.b/accept"),
            Route::Accept("a.b")
        );
        assert_eq!(route(&Method::GET, "/worker/v1/keys"), Route::Keys);
        let run = "/v1/repositories/app/runs/0b1c";
        let put = |path: &str| route(&Method::PUT, path) != Route::Unknown;
        assert!(put(&format!("{run}/logs/log")) && put(&format!("{run}/logs/marks")));
        assert_eq!(
            post("/v1/repositories/app/runs/0b1c/logs/end"),
            Route::Log("0b1c")
        );
        for path in [
            format!("{run}/record"),
            "/v1/builders/debian/history".to_owned(),
            "/v1/repositories/app/pulls/7/history".to_owned(),
            "/".to_owned(),
            "/worker/v1/".to_owned(),
            "/worker/v1/assignments/a/accept/b".to_owned(),
        ] {
            for method in [Method::GET, Method::PUT, Method::POST] {
                assert_eq!(route(&method, &path), Route::Unknown, "{method} {path}");
            }
        }
    }
}
