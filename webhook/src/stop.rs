//! Why builds of a pull request stop before their end: what happened to it since they were asked
//! for. Pure.

use crds::{Cancel, CancelOn, Request};
use github::PullRequest;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A pull request as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// What GitHub says.
    pub pull: &'a PullRequest,
    /// When it was last turned into a draft, where that matters and is known.
    pub drafted_at: Option<Timestamp>,
    /// Its head before the push that a delivery told of.
    pub before: Option<&'a str>,
}

/// What happened to a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was merged.
    Merged,
    /// It was closed without being merged.
    Closed,
    /// Its head is another commit.
    Pushed,
    /// It goes to another branch: this one.
    Retargeted(String),
    /// It was turned into a draft.
    Drafted,
}

/// Why a build stops now, if it does. What GitHub shows must be newer than the request: a replica
/// that lags behind shows the head before the one that was authorized. And it must be of the same
/// repository, which may have left its name to another one.
pub fn cause(on: &CancelOn, now: &Now<'_>, request: &Request) -> Option<Cause> {
    let pull = now.pull;
    if pull.base.repo.id != request.repository.id || pull.updated_at <= request.trigger.time.0 {
        return None;
    }
    if pull.state != "open" {
        return on.close.then_some(match pull.merged_at {
            Some(_) => Cause::Merged,
            None => Cause::Closed,
        });
    }
    if on.push && pull.head.sha != request.head_sha && is_overtaken(now, request) {
        return Some(Cause::Pushed);
    }
    if on.push && pull.base.branch != request.base_ref {
        return Some(Cause::Retargeted(pull.base.branch.clone()));
    }
    let drafted = now
        .drafted_at
        .is_some_and(|drafted| drafted > request.trigger.time.0);
    (on.draft && pull.draft && drafted).then_some(Cause::Drafted)
}

/// A repetition is of a commit that somebody asked for although newer ones may have been there: it
/// stops only by a push onto that very commit.
fn is_overtaken(now: &Now<'_>, request: &Request) -> bool {
    request.rerun_of.is_none() || now.before == Some(request.head_sha.as_str())
}

impl Cause {
    /// What is written into the build. `by` is who did it, where that is known.
    pub fn cancel(&self, by: Option<&str>, at: Timestamp) -> Cancel {
        Cancel {
            by: by.unwrap_or("prbuild").chars().take(100).collect(),
            reason: self.sentence().chars().take(300).collect(),
            at: Time(at),
            waiting_only: *self == Self::Merged,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Merged => "The pull request was merged.".to_owned(),
            Self::Closed => "The pull request was closed.".to_owned(),
            Self::Pushed => "The pull request has newer commits.".to_owned(),
            Self::Retargeted(base) => format!("The pull request goes to `{base}` now."),
            Self::Drafted => "The pull request was turned into a draft.".to_owned(),
        }
    }

    /// A word for metrics and log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Closed => "closed",
            Self::Pushed => "pushed",
            Self::Retargeted(_) => "retargeted",
            Self::Drafted => "drafted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: CancelOn = CancelOn {
        push: true,
        close: true,
        draft: true,
        newer_build: true,
    };
    const NONE: CancelOn = CancelOn {
        push: false,
        close: false,
        draft: false,
        newer_build: false,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// Commit `a` on `main`, asked for at second 100.
    fn request() -> Request {
        let value = serde_json::json!({
            "repository": { "name": "app", "id": 1, "fullName": "o/r" },
            "number": 7, "headSha": "a", "baseRef": "main", "flavour": "default",
            "builders": ["linux"],
            "trigger": {
                "kind": "Label", "eventId": 1, "time": at(100), "label": "test",
                "user": { "id": 2, "login": "ada" }, "permission": "write",
            },
        });
        serde_json::from_value(value).expect("a request")
    }

    /// As it was when it was asked for, and changed at second 200.
    fn pull() -> PullRequest {
        let value = serde_json::json!({
            "number": 7, "state": "open", "user": null, "updated_at": at(200),
            "head": { "sha": "a", "ref": "topic", "repo": null },
            "base": { "ref": "main", "repo": { "id": 1, "full_name": "o/r" } },
        });
        serde_json::from_value(value).expect("a pull request")
    }

    fn why(on: &CancelOn, pull: &PullRequest) -> Option<Cause> {
        let now = Now {
            pull,
            drafted_at: Some(at(150)),
            before: None,
        };
        cause(on, &now, &request())
    }

    #[test]
    fn a_build_stops_for_what_happened_since_and_each_cause_is_a_setting() {
        let changed = |change: fn(&mut PullRequest)| {
            let mut pull = pull();
            change(&mut pull);
            pull
        };
        for (pull, expected) in [
            (changed(|_| {}), None),
            (changed(|p| p.head.sha = "b".into()), Some(Cause::Pushed)),
            (changed(|p| p.state = "closed".into()), Some(Cause::Closed)),
            (
                changed(|p| {
                    p.state = "closed".into();
                    p.head.sha = "b".into();
                    p.merged_at = Some(p.updated_at);
                }),
                Some(Cause::Merged),
            ),
            (
                changed(|p| p.base.branch = "3.x".into()),
                Some(Cause::Retargeted("3.x".to_owned())),
            ),
            (changed(|p| p.draft = true), Some(Cause::Drafted)),
        ] {
            assert_eq!(why(&ALL, &pull), expected, "{pull:?}");
            assert_eq!(why(&NONE, &pull), None, "{pull:?}");
        }
    }

    #[test]
    fn a_draft_that_was_one_before_the_label_is_built() {
        let mut draft = pull();
        draft.draft = true;
        for drafted_at in [None, Some(at(99)), Some(at(100))] {
            let now = Now {
                pull: &draft,
                drafted_at,
                before: None,
            };
            assert_eq!(cause(&ALL, &now, &request()), None, "{drafted_at:?}");
        }
    }

    #[test]
    fn a_state_from_before_the_request_stops_nothing() {
        let mut stale = pull();
        stale.head.sha = "older".into();
        stale.updated_at = at(100);
        assert_eq!(why(&ALL, &stale), None);
    }

    #[test]
    fn a_pull_request_of_whoever_took_the_name_of_the_repository_stops_nothing() {
        let mut foreign = pull();
        foreign.state = "closed".into();
        foreign.base.repo.id = 2;
        assert_eq!(why(&ALL, &foreign), None);
    }

    #[test]
    fn a_repetition_of_an_older_commit_goes_on() {
        let mut repeated = request();
        repeated.rerun_of = Some("app-7-l1".to_owned());
        let mut newer = pull();
        newer.head.sha = "b".into();
        let stops = |before| {
            let now = Now {
                pull: &newer,
                drafted_at: None,
                before,
            };
            cause(&ALL, &now, &repeated)
        };
        assert_eq!(stops(None), None);
        assert_eq!(stops(Some("x")), None);
        assert_eq!(stops(Some("a")), Some(Cause::Pushed));
    }

    #[test]
    fn after_a_merge_what_runs_finishes() {
        assert!(Cause::Merged.cancel(None, at(1)).waiting_only);
        let closed = Cause::Closed.cancel(Some("ada"), at(1));
        assert!(!closed.waiting_only);
        assert_eq!(closed.by, "ada");
        assert_eq!(Cause::Pushed.cancel(None, at(1)).by, "prbuild");
    }
}
