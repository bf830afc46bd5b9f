//! Pure: whether the runs of a build may start at all, whatever their builders are doing.
//!
//! What is decided here holds for a whole build. The ordinary build passes without a question
//! ([`is_plain`]); the others are judged by [`judge`] in every pass of admission.

use crds::{PrBuild, Repository, TriggerKind, condition::kind};
use jiff::{SignedDuration, Timestamp};

use super::{checks::Checks, limits::Beyond};

/// Permission is looked up again for a build whose event is older than this, and then at most this
/// often.
pub const PERMISSION_HOLDS: SignedDuration = SignedDuration::from_mins(10);

/// Reasons of the condition `Admitted`.
pub mod reason {
    /// The Repository is paused.
    pub const PAUSED: &str = "Paused";
    /// Checks of the commit are not green yet.
    pub const CHECKS: &str = "WaitsForChecks";
    /// Other builds run, and no more may.
    pub const LIMIT: &str = "LimitReached";
    /// The permission of the person who asked is being looked up again.
    pub const PERMISSION: &str = "PermissionLookedUp";
    /// It will not start any more.
    pub const DROPPED: &str = "Dropped";
    /// Its runs may start.
    pub const OPEN: &str = "Open";

    /// Those that may take long and are no queue: queue timeouts do not count.
    pub const HELD: [&str; 3] = [PAUSED, CHECKS, LIMIT];
}

/// Why the runs of a build do not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// One of [`reason`].
    pub reason: &'static str,
    /// A sentence for people.
    pub sentence: String,
    /// Builds that wait for the same and come before it.
    pub ahead: i32,
    /// It counts as waiting in the queue, because it may never end: the queue timeouts go on.
    pub queues: bool,
}

impl Hold {
    /// A build that waits for something that no other build waits for before it.
    pub fn new(reason: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            reason,
            sentence: sentence.into(),
            ahead: 0,
            queues: !reason::HELD.contains(&reason),
        }
    }
}

/// Whether the runs of a build may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They may, as far as their builders let them.
    Go,
    /// Not yet.
    Wait(Hold),
    /// They will not: the waiting ones are cancelled, with this sentence.
    Drop(String),
}

/// Whether nothing has to be asked before a build's runs may start.
pub fn is_plain(build: &PrBuild, repository: Option<&Repository>, now: Timestamp) -> bool {
    let Some(repository) = repository else {
        return is_fresh(build, now);
    };
    let guards = &repository.spec.guards;
    !repository.spec.paused
        && guards.builds_per_pull_request.is_none()
        && guards.builds_per_person.is_none()
        && build.spec.request.after_checks.is_empty()
        && !is_denied(build, repository)
        && is_fresh(build, now)
}

/// Whether a build's status says that something keeps it.
pub fn is_kept(build: &PrBuild) -> bool {
    let admitted = build.condition(kind::ADMITTED);
    admitted.is_some_and(|admitted| admitted.status == "False")
}

/// Whether the permission that was found still counts. Who makes a build by hand was let in by the cluster,
/// and GitHub knows nothing of them.
pub fn is_fresh(build: &PrBuild, now: Timestamp) -> bool {
    let trigger = &build.spec.request.trigger;
    trigger.kind == TriggerKind::Manual || now.duration_since(trigger.time.0) < PERMISSION_HOLDS
}

fn is_denied(build: &PrBuild, repository: &Repository) -> bool {
    let denied = &repository.spec.authorization.denied_user_ids;
    denied.contains(&build.spec.request.trigger.user.id)
}

/// Judges a build of which some runs wait. `checks` is how the checks stand that it waits for, if it
/// waits for any: `None` when nobody knows yet. `limit` says that it is beyond one.
pub fn judge(
    build: &PrBuild,
    repository: Option<&Repository>,
    checks: Option<&Checks>,
    limit: Option<&Beyond>,
) -> Verdict {
    if let Some(repository) = repository {
        if is_denied(build, repository) {
            let login = &build.spec.request.trigger.user.login;
            return Verdict::Drop(format!("@{login} may not start builds here any more"));
        }
        if repository.spec.paused {
            let says = "builds of this repository are paused";
            return Verdict::Wait(Hold::new(reason::PAUSED, says));
        }
    }
    match checks {
        Some(Checks::Failed(why)) => return Verdict::Drop(why.clone()),
        Some(Checks::Waiting(why)) => {
            return Verdict::Wait(Hold::new(reason::CHECKS, why));
        }
        Some(Checks::Absent(why)) => {
            return Verdict::Wait(Hold {
                queues: true,
                ..Hold::new(reason::CHECKS, why)
            });
        }
        None if !build.spec.request.after_checks.is_empty() => {
            let says = "its commit's checks are being looked at";
            return Verdict::Wait(Hold::new(reason::CHECKS, says));
        }
        Some(Checks::Green) | None => {}
    }
    match limit {
        Some(Beyond { sentence, ahead }) => Verdict::Wait(Hold {
            ahead: *ahead,
            ..Hold::new(reason::LIMIT, sentence)
        }),
        None => Verdict::Go,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A build by @ada at second 0.
    pub(crate) fn build() -> PrBuild {
        let spec = json!({ "request": {
            "repository": { "name": "app", "id": 1, "fullName": "octo/app" },
            "number": 7, "headSha": "c".repeat(40), "baseRef": "main", "flavour": "default",
            "builders": ["debian"],
            "trigger": { "kind": "Label", "eventId": 1, "time": "1970-01-01T00:00:00Z", "label": "test",
                "user": { "id": 1, "login": "ada" }, "permission": "write" },
        }});
        PrBuild::new("app-7-l1", serde_json::from_value(spec).unwrap())
    }

    pub(crate) fn repository() -> Repository {
        let spec = json!({ "owner": "octo", "name": "app", "connection": "github", "labels": [{ "name": "test" }] });
        Repository::new("app", serde_json::from_value(spec).unwrap())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_ordinary_build_starts_without_a_question() {
        assert!(is_plain(&build(), Some(&repository()), at(1)));
        assert!(is_plain(&build(), None, at(1)));
        assert!(!is_plain(&build(), Some(&repository()), at(600)));
        let mut by_hand = build();
        by_hand.spec.request.trigger.kind = TriggerKind::Manual;
        assert!(is_plain(&by_hand, Some(&repository()), at(600)));
    }

    type Change = fn(&mut PrBuild, &mut Repository);

    #[test]
    fn whatever_has_to_be_asked_makes_a_build_wait() {
        let changes: [Change; 5] = [
            |_, repository| repository.spec.paused = true,
            |_, repository| repository.spec.authorization.denied_user_ids = vec![1],
            |_, repository| repository.spec.guards.builds_per_person = Some(1),
            |_, repository| repository.spec.guards.builds_per_pull_request = Some(1),
            |build, _| build.spec.request.after_checks = vec!["CI".to_owned()],
        ];
        for (number, change) in changes.iter().enumerate() {
            let (mut build, mut repository) = (build(), repository());
            change(&mut build, &mut repository);
            assert!(!is_plain(&build, Some(&repository), at(1)), "{number}");
        }
    }

    fn says(change: Change, checks: Option<Checks>, limit: Option<Beyond>) -> Verdict {
        let (mut build, mut repository) = (build(), repository());
        change(&mut build, &mut repository);
        judge(&build, Some(&repository), checks.as_ref(), limit.as_ref())
    }

    #[test]
    fn a_build_goes_waits_or_is_dropped_by_the_first_reason_that_holds() {
        let wait = |reason, sentence: &str| Verdict::Wait(Hold::new(reason, sentence));
        let failed = || Some(Checks::Failed("`CI` failed".to_owned()));
        let beyond = || {
            Some(Beyond {
                sentence: "the limit".to_owned(),
                ahead: 0,
            })
        };
        let paused = "builds of this repository are paused";
        let table: [(Change, Option<Checks>, Option<Beyond>, Verdict); 8] = [
            (|_, _| {}, None, None, Verdict::Go),
            (
                |_, repository| repository.spec.paused = true,
                failed(),
                None,
                wait(reason::PAUSED, paused),
            ),
            (
                |_, repository| {
                    repository.spec.paused = true;
                    repository.spec.authorization.denied_user_ids = vec![1];
                },
                None,
                None,
                Verdict::Drop("@ada may not start builds here any more".to_owned()),
            ),
            (
                |_, _| {},
                failed(),
                beyond(),
                Verdict::Drop("`CI` failed".to_owned()),
            ),
            (
                |build, _| build.spec.request.after_checks = vec!["CI".to_owned()],
                None,
                beyond(),
                wait(reason::CHECKS, "its commit's checks are being looked at"),
            ),
            (
                |_, _| {},
                Some(Checks::Waiting("not yet".to_owned())),
                beyond(),
                wait(reason::CHECKS, "not yet"),
            ),
            (
                |_, _| {},
                Some(Checks::Green),
                beyond(),
                wait(reason::LIMIT, "the limit"),
            ),
            (|_, _| {}, Some(Checks::Green), None, Verdict::Go),
        ];
        for (number, (change, checks, limit, expected)) in table.into_iter().enumerate() {
            assert_eq!(says(change, checks, limit), expected, "{number}");
        }
    }
}
