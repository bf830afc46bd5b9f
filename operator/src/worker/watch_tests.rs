//! Assignments that wait, run, are lost and are over, in made-up time.

use serde_json::{Value, json};

use super::*;

const MADE: &str = "2026-01-14T12:00:00Z";

fn at(seconds: i64) -> Timestamp {
    let made: Timestamp = MADE.parse().unwrap();
    made + SignedDuration::from_secs(seconds)
}

fn assignment(pool: bool, status: Value) -> Assignment {
    let to = if pool {
        json!(["mac", "pi"])
    } else {
        json!(["mac"])
    };
    serde_json::from_value(json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Assignment",
        "metadata": { "name": "run-u", "uid": "f", "creationTimestamp": MADE },
        "spec": {
            "run": { "name": "r", "uid": "u" }, "builder": "mac", "to": to, "pool": pool,
            "signed": { "payload": "", "key": "", "signature": "" },
        },
        "status": status,
    }))
    .unwrap()
}

fn worker(offline_since: Option<Timestamp>) -> Worker {
    let (ready, message) = match offline_since {
        Some(_) => ("False", "offline since 12:05 UTC"),
        None => ("True", "it takes runs"),
    };
    serde_json::from_value(json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Worker", "metadata": { "name": "mac" },
        "spec": { "contact": "Ada" },
        "status": {
            "offlineSince": offline_since.map(|since| since.to_string()),
            "conditions": [{ "type": "Ready", "status": ready, "reason": "R", "message": message,
                "lastTransitionTime": MADE }],
        },
    }))
    .unwrap()
}

fn taken() -> Value {
    json!({ "worker": "mac", "acceptedAt": MADE, "leaseExpiresAt": at(900).to_string() })
}

fn look(assignment: &Assignment, worker: &Worker, seconds: i64) -> Stands {
    stands(assignment, Some(worker), 3_600, at(seconds))
}

#[test]
fn what_nobody_accepts_is_taken_back_after_ten_minutes_or_when_everybody_declined() {
    let online = worker(None);
    let fresh = assignment(false, json!({}));
    assert_eq!(
        look(&fresh, &online, 599),
        Stands::Offered { until: at(600) }
    );
    let back = Stands::TakeBack { declined: vec![] };
    assert_eq!(look(&fresh, &online, 600), back);
    assert_eq!(
        look(&fresh, &worker(Some(at(0))), 1),
        back,
        "its one worker is away"
    );
    let no = json!({ "worker": "mac", "code": "policy", "reason": "no", "at": MADE });
    let declined = vec![("mac".to_owned(), "no".to_owned())];
    let one = assignment(true, json!({ "declined": [no] }));
    assert_eq!(look(&one, &online, 1), Stands::Offered { until: at(600) });
    let all = assignment(false, json!({ "declined": [no] }));
    assert_eq!(look(&all, &online, 1), Stands::TakeBack { declined });
}

#[test]
fn a_pinned_run_is_lost_for_a_day_and_never_given_to_anybody_else_by_time_alone() {
    let run = assignment(false, taken());
    let away = worker(Some(at(300)));
    let Stands::Lost { sentence, .. } = look(&run, &away, 20 * 3_600) else {
        panic!("it is lost");
    };
    assert_eq!(sentence, "waiting for `mac`: offline since 12:05 UTC");
    let day = look(&run, &away, 300 + 24 * 3_600 + 1);
    assert!(
        matches!(day, Stands::Over { retried: false, .. }),
        "{day:?}"
    );
    let back = look(&run, &worker(None), 3_600);
    assert!(matches!(back, Stands::Running { .. }), "{back:?}");
}

#[test]
fn a_pools_run_is_given_up_a_minute_after_its_lease_and_not_before() {
    let run = assignment(true, taken());
    let away = worker(Some(at(10)));
    assert!(matches!(look(&run, &away, 959), Stands::Lost { .. }));
    assert!(matches!(
        look(&run, &away, 960),
        Stands::Over { retried: true, .. }
    ));
}

#[test]
fn what_its_worker_has_forgotten_may_be_tried_again_and_what_takes_too_long_is_stopped() {
    let mut status = taken();
    status["forgotten"] = json!(MADE);
    let gone = look(&assignment(false, status), &worker(None), 1);
    assert!(
        matches!(gone, Stands::Over { retried: true, .. }),
        "{gone:?}"
    );
    let run = assignment(false, taken());
    assert_eq!(look(&run, &worker(None), 3_600 + 7_201), Stands::TooLong);
    let mut status = taken();
    status["endedAt"] = json!(MADE);
    let waits = look(&assignment(false, status), &worker(None), 3_600 + 7_201);
    assert!(
        matches!(waits, Stands::Running { .. }),
        "only its log is long: {waits:?}"
    );
}

#[test]
fn what_has_ended_and_whose_end_never_comes_waits_for_a_day_and_is_tried_again() {
    let mut status = taken();
    status["leaseExpiresAt"] = json!(at(100_000).to_string());
    status["endedAt"] = json!(at(10).to_string());
    let day = 24 * 3_600;
    for pool in [false, true] {
        let run = assignment(pool, status.clone());
        let waits = look(&run, &worker(None), day);
        assert!(matches!(waits, Stands::Running { .. }), "{waits:?}");
        let reason = "`mac` says that it has ended, and delivers no end".to_owned();
        let over = Stands::Over {
            reason,
            retried: true,
        };
        assert_eq!(look(&run, &worker(None), day + 11), over);
    }
}

#[test]
fn a_run_whose_worker_was_deleted_is_over_at_once_and_says_so() {
    let run = assignment(false, taken());
    let reason = "`mac` cannot deliver its end: its Worker object was deleted".to_owned();
    let over = Stands::Over {
        reason,
        retried: false,
    };
    assert_eq!(stands(&run, None, 3_600, at(1)), over);
}

#[test]
fn what_was_told_to_stop_and_delivers_no_end_is_over_and_not_tried_again() {
    let mut run = assignment(false, taken());
    let told = 3_600 + 7_201;
    let cancel = json!({ "by": "prbuild", "reason": "too long", "at": at(told).to_string() });
    run.spec.cancel = Some(serde_json::from_value(cancel).unwrap());
    let stops = look(&run, &worker(None), told + 3_600);
    assert!(matches!(stops, Stands::Running { .. }), "{stops:?}");
    let reason = "`mac` was told to stop it and delivers no end: too long".to_owned();
    let over = Stands::Over {
        reason,
        retried: false,
    };
    assert_eq!(look(&run, &worker(None), told + 3_601), over);
    let away = look(&run, &worker(Some(at(told))), told + 3_601);
    assert!(
        matches!(away, Stands::Lost { .. }),
        "it may still come: {away:?}"
    );
}
