//! What the object of a worker says, story by story.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::seen::Heard;
use super::*;

const NOON: &str = "2026-01-14T12:00:00Z";

fn now() -> Timestamp {
    NOON.parse().unwrap()
}

fn worker(spec: Value, status: Value) -> Worker {
    let mut object = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Worker", "metadata": { "name": "mac" },
        "spec": { "contact": "Ada", "publicKeys": ["ed25519:A"] }, "status": status,
    });
    for (field, value) in spec.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn session() -> Value {
    json!({ "session": { "epoch": 1, "nonce": now().as_millisecond() - 1_000 } })
}

fn heard() -> Heard {
    Heard {
        at: Instant::now(),
        time: now(),
        who: "i b".to_owned(),
        left: None,
        closed: None,
        disk_full: false,
        disk_free_mb: None,
    }
}

/// Status and reason of Ready, and its message.
fn ready(worker: &Worker, heard: Option<Heard>) -> (String, String) {
    let sight = Sight {
        heard,
        ..Sight::default()
    };
    let facts = Facts {
        worker,
        sight: &sight,
        held: &[],
        now: now(),
    };
    let status = status(&facts);
    let ready = condition::find(&status.conditions, condition::kind::READY);
    ready.map_or_else(Default::default, |ready| {
        (
            format!("{} {}", ready.status, ready.reason),
            ready.message.clone(),
        )
    })
}

#[test]
fn a_worker_says_whether_it_takes_runs_and_why_not() {
    let known = |spec: Value| worker(spec, session());
    let window = json!({ "windows": [{ "from": "11:00", "to": "13:00", "timeZone": "UTC" }] });
    for (worker, heard, expected) in [
        (known(json!({})), Some(heard()), "True Online"),
        (
            known(json!({ "publicKeys": [] })),
            Some(heard()),
            "False NoKey",
        ),
        (worker(json!({}), json!({})), None, "False NeverSeen"),
        (
            known(json!({ "paused": true })),
            Some(heard()),
            "False Paused",
        ),
        (
            known(json!({ "drain": true })),
            Some(heard()),
            "False Draining",
        ),
        (known(window), Some(heard()), "False Maintenance"),
    ] {
        assert_eq!(ready(&worker, heard).0, expected);
    }
    let full = Heard {
        disk_full: true,
        ..heard()
    };
    assert_eq!(ready(&known(json!({})), Some(full)).0, "False DiskPressure");
    let closed = Heard {
        closed: Some("its owner sleeps".to_owned()),
        ..heard()
    };
    let (word, message) = ready(&known(json!({})), Some(closed));
    assert_eq!(
        (word.as_str(), message.as_str()),
        ("False Closed", "its owner sleeps")
    );
}

/// Status, reason and message of Ready where this was seen lately.
fn ready_with(worker: &Worker, sight: Sight) -> (String, String) {
    let facts = Facts {
        worker,
        sight: &sight,
        held: &[],
        now: now(),
    };
    let status = status(&facts);
    let ready = condition::find(&status.conditions, condition::kind::READY).unwrap();
    let word = format!("{} {}", ready.status, ready.reason);
    (word, ready.message.clone())
}

#[test]
fn a_wrong_key_a_second_machine_and_a_refused_offer_show_where_people_look_first() {
    let wrong_key = || Sight {
        wrong_key: true,
        ..Sight::default()
    };
    let (word, message) = ready_with(&worker(json!({}), json!({})), wrong_key());
    assert_eq!(word, "False KeyRefused");
    assert!(message.starts_with("its agent has never been here; somebody speaks"));
    let left = Heard {
        left: Some("bye".to_owned()),
        ..heard()
    };
    let known = worker(json!({}), session());
    let away = Sight {
        heard: Some(left),
        ..wrong_key()
    };
    let (word, message) = ready_with(&known, away);
    assert_eq!(word, "False KeyRefused");
    assert!(message.starts_with("offline since 12:00 UTC: bye; somebody speaks"));
    // Whoever knows its name can try a key: one that works is not spoken ill of.
    let here = Sight {
        heard: Some(heard()),
        ..wrong_key()
    };
    assert_eq!(ready_with(&known, here).0, "True Online");
    let two = Sight {
        heard: Some(heard()),
        duplicate: true,
        ..Sight::default()
    };
    let (word, message) = ready_with(&known, two);
    assert_eq!(word, "True TwoMachines");
    assert!(message.starts_with("it takes runs, but two machines use its key"));
    let mut refused = session();
    refused["conditions"] = json!([{
        "type": "OfferRefused", "status": "True", "reason": "Invalid",
        "message": "it declined `r`: it is not signed", "lastTransitionTime": NOON,
    }]);
    let here = Sight {
        heard: Some(heard()),
        ..Sight::default()
    };
    let (word, message) = ready_with(&worker(json!({}), refused), here);
    assert_eq!(word, "True OfferRefused");
    assert_eq!(
        message,
        "it takes runs, but it declined `r`: it is not signed"
    );
}

#[test]
fn who_said_good_bye_is_off_line_at_once_and_who_is_silent_after_a_while() {
    let known = worker(json!({}), session());
    let left = Heard {
        left: Some("the machine shuts down".to_owned()),
        ..heard()
    };
    let (word, message) = ready(&known, Some(left));
    assert_eq!(word, "False Offline");
    assert_eq!(message, "offline since 12:00 UTC: the machine shuts down");
    let mut old = session();
    old["session"]["nonce"] = json!(now().as_millisecond() - 1_000_000);
    assert_eq!(ready(&worker(json!({}), old), None).0, "False Offline");
    // Another gateway may hear of it.
    assert_eq!(ready(&known, None).0, "");
}

#[test]
fn who_went_over_to_another_gateway_is_not_off_line_and_who_nobody_hears_is_after_seconds() {
    let silent = || {
        Some(Heard {
            at: Instant::now().checked_sub(MISSED_AFTER).unwrap(),
            ..heard()
        })
    };
    let is_here = || Some(heard());
    let look = |worker: &Worker, heard: Option<Heard>, asked: bool, seconds: i64| {
        let sight = Sight {
            heard,
            asked: asked.then_some(Duration::from_secs(3)),
            ..Sight::default()
        };
        status(&Facts {
            worker,
            sight: &sight,
            held: &[],
            now: now() + SignedDuration::from_secs(seconds),
        })
    };
    let mut known = worker(json!({}), session());
    let fresh = look(&known, is_here(), false, 0);
    known.status = Some(fresh.clone());
    let asks = look(&known, silent(), false, 0);
    let missed = WorkerStatus {
        missed: Some(Time(now())),
        ..fresh.clone()
    };
    assert_eq!(asks, missed, "it is only asked for");
    known.status = Some(missed.clone());
    assert_eq!(look(&known, silent(), true, 4), missed);
    assert_eq!(
        look(&known, is_here(), false, 4),
        fresh,
        "it is heard of here"
    );
    // Who asked has ended: nobody else hurries.
    assert_eq!(look(&known, None, false, 74), missed);
    let late = look(&known, None, false, 75);
    assert_eq!((late.offline_since, late.missed), (Some(Time(now())), None));
    let gone = look(&known, silent(), true, 5);
    assert_eq!(
        (gone.offline_since.clone(), gone.missed.clone()),
        (Some(Time(now())), None)
    );
    known.status = Some(gone.clone());
    assert_eq!(look(&known, silent(), true, 60), gone);
    known.status = Some(fresh.clone());
    assert_eq!(look(&known, silent(), true, 5), fresh, "another one hears");
}

#[test]
fn a_machine_that_fails_three_times_is_left_alone_ever_longer_until_it_works() {
    let mut failing = None;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let next = failed_again(failing.as_ref(), "no disk", now());
        let until = next
            .until
            .as_ref()
            .map(|until| until.0.duration_since(now()).as_mins());
        pauses.push(until);
        failing = Some(next);
    }
    let expected = [
        None,
        None,
        Some(10),
        Some(20),
        Some(40),
        Some(80),
        Some(160),
        Some(320),
        Some(360),
    ];
    assert_eq!(pauses, expected);
    let mut status = session();
    status["failing"] = json!({ "runs": 3, "reason": "no disk", "until": "2026-01-14T12:10:00Z" });
    let (word, message) = ready(&worker(json!({}), status), Some(heard()));
    assert_eq!(word, "False Quarantined");
    assert_eq!(
        message,
        "its machine ended 3 runs in a row (no disk); it is tried again at 12:10 UTC"
    );
}

#[test]
fn a_full_disk_says_how_much_was_free_and_is_not_written_again_when_that_changes() {
    let mut known = worker(json!({}), session());
    let look = |worker: &Worker, free: u64| {
        let full = Heard {
            disk_full: true,
            disk_free_mb: Some(free),
            ..heard()
        };
        let sight = Sight {
            heard: Some(full),
            ..Sight::default()
        };
        status(&Facts {
            worker,
            sight: &sight,
            held: &[],
            now: now(),
        })
    };
    let first = look(&known, 3_174);
    let said = condition::find(&first.conditions, condition::kind::READY).unwrap();
    let expected = "its disk is too full to take runs: 3.1 GiB are free";
    assert_eq!(
        (said.reason.as_str(), said.message.as_str()),
        ("DiskPressure", expected)
    );
    known.status = Some(first.clone());
    assert_eq!(look(&known, 2_000), first);
}

#[test]
fn a_status_that_is_right_is_not_written_again() {
    let mut known = worker(json!({}), session());
    let sight = Sight {
        heard: Some(heard()),
        ..Sight::default()
    };
    let look = |worker: &Worker, now: Timestamp| {
        status(&Facts {
            worker,
            sight: &sight,
            held: &[],
            now,
        })
    };
    let first = look(&known, now());
    known.status = Some(first.clone());
    assert_eq!(look(&known, now() + SignedDuration::from_mins(5)), first);
    known.metadata.generation = Some(2);
    assert_eq!(look(&known, now()).observed_generation, Some(2));
}
