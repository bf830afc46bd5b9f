//! Conditions: one small setter, so that a condition which did not change is not written again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Condition types that PrBuild writes.
pub mod kind {
    /// Repository, Builder: can be used.
    pub const READY: &str = "Ready";
    /// Repository: the operator works. Set only where something kept it from working.
    pub const OPERATOR_READY: &str = "OperatorReady";
    /// PrBuild: every first attempt exists.
    pub const DISPATCHED: &str = "Dispatched";
    /// PrBuild: its runs may start. Set only where something kept them.
    pub const ADMITTED: &str = "Admitted";
    /// PrBuild: the comment stands on the pull request.
    pub const ANNOUNCED: &str = "Announced";
    /// PrBuild: the label was taken off, or stays for a newer event.
    pub const LABEL_REMOVED: &str = "LabelRemoved";
    /// PrBuild: GitHub knows every final status.
    pub const REPORTED: &str = "Reported";
    /// PrBuild: the gateway has stored the record of how it ended. Set only where there is a gateway.
    pub const RECORDED: &str = "Recorded";
    /// Worker: builds run as another user than the agent.
    pub const ISOLATED: &str = "Isolated";
    /// Worker: its disk is too full to take runs.
    pub const DISK_PRESSURE: &str = "DiskPressure";
    /// Worker: it gets no runs for a while, because its machine ended several in a row.
    pub const QUARANTINED: &str = "Quarantined";
    /// Worker: two machines use its key.
    pub const DUPLICATE_IDENTITY: &str = "DuplicateIdentity";
    /// Worker: somebody speaks for it with a key that is not its.
    pub const KEY_REFUSED: &str = "KeyRefused";
    /// Worker: its agent did not believe the last offer, or had begun that run before.
    pub const OFFER_REFUSED: &str = "OfferRefused";
}

/// Whether the condition `kind` is `True`.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|found| found.status == "True")
}

/// The condition `kind`.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|found| found.type_ == kind)
}

/// Reasons for which a Repository is not `Ready` and builds all the same: what works of it goes on,
/// what does not is answered for each request, and what no delivery tells of is found by the sweep.
pub const BUILDS_ALL_THE_SAME: [&str; 8] = [
    "ImpossibleSelector",
    "SameLabel",
    "InvalidPattern",
    "InvalidTemplate",
    "EventMissing",
    "WebhookOff",
    "WebhookSecret",
    "WebhookSilent",
];

/// Whether a Repository with these conditions starts builds.
pub fn builds(conditions: &[Condition]) -> bool {
    find(conditions, kind::READY).is_none_or(|ready| {
        ready.status == "True" || BUILDS_ALL_THE_SAME.contains(&ready.reason.as_str())
    })
}

/// Sets a condition and says whether anything changed. The transition time moves only when the
/// status does, as Kubernetes' API conventions ask; otherwise a reconcile would wake itself for ever.
pub fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    holds: bool,
    reason: &str,
    message: &str,
    now: Time,
) -> bool {
    let status = if holds { "True" } else { "False" };
    set_to(conditions, kind, status, reason, message, now)
}

/// The same, to `True`, `False` or `Unknown`.
pub fn set_to(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: Time,
) -> bool {
    let old = conditions.iter_mut().find(|found| found.type_ == kind);
    match old {
        Some(old) if old.status == status && old.reason == reason && old.message == message => {
            false
        }
        Some(old) => {
            if old.status != status {
                old.last_transition_time = now;
            }
            old.status = status.to_owned();
            old.reason = reason.to_owned();
            old.message = message.to_owned();
            true
        }
        None => {
            conditions.push(Condition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message: message.to_owned(),
                last_transition_time: now,
                observed_generation: None,
            });
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time(jiff::Timestamp::from_second(seconds).unwrap())
    }

    #[test]
    fn a_condition_that_did_not_change_is_not_written_again() {
        let mut all = Vec::new();
        assert!(set(&mut all, kind::READY, true, "Valid", "", at(1)));
        assert!(!set(&mut all, kind::READY, true, "Valid", "", at(2)));
        assert!(set(&mut all, kind::READY, true, "Valid", "more", at(3)));
        assert_eq!(all[0].last_transition_time, at(1));
        assert!(set(&mut all, kind::READY, false, "Gone", "", at(4)));
        assert_eq!(all[0].last_transition_time, at(4));
        assert!(!is_true(&all, kind::READY));
    }
}
