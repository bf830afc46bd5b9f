//! Which worker gets a run, and what is said where none does.

use serde_json::{Value, json};

use super::*;

const NOON: &str = "2026-01-14T12:00:00Z";

fn worker(name: &str, spec: Value) -> Worker {
    let ready = json!({ "type": "Ready", "status": "True", "reason": "Online", "message": "it takes runs",
        "lastTransitionTime": NOON });
    let isolated = json!({ "type": "Isolated", "status": "True", "reason": "OwnUser", "message": "",
        "lastTransitionTime": NOON });
    let mut object = json!({
        "apiVersion": "prbuild.dev/v1alpha1", "kind": "Worker", "metadata": { "name": name },
        "spec": { "contact": "Ada", "labels": { "os": "mac" } },
        "status": { "conditions": [ready, isolated] },
    });
    for (field, value) in spec.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn offline(mut worker: Worker) -> Worker {
    let status = worker.status.as_mut().unwrap();
    status.conditions[0].status = "False".to_owned();
    status.conditions[0].message = "offline since 14:05 UTC".to_owned();
    worker
}

fn shared(mut worker: Worker) -> Worker {
    worker.status.as_mut().unwrap().conditions[1].status = "False".to_owned();
    worker
}

fn machine(worker: &Worker) -> Machine<'_> {
    Machine {
        worker,
        taken: 0,
        declined: None,
    }
}

fn on(value: Value) -> OnWorker {
    serde_json::from_value(value).unwrap()
}

fn choose_on(on: &OnWorker, promised: i64, machines: &[Machine<'_>]) -> Result<Choice, String> {
    let wish = Wish {
        on,
        repository: "app",
        promised,
        now: NOON.parse().unwrap(),
    };
    choose(&wish, machines)
}

#[test]
fn a_run_that_is_pinned_waits_for_its_worker_and_says_why() {
    let mac = on(json!({ "name": "mac" }));
    let why = |worker: Worker| choose_on(&mac, 0, &[machine(&worker)]).unwrap_err();
    let with = |spec: Value| worker("mac", spec);
    let night = json!({ "windows": [{ "from": "11:00", "to": "13:30", "timeZone": "UTC" }] });
    for (worker, expected) in [
        (worker("pi", json!({})), "there is no such worker"),
        (offline(with(json!({}))), "offline since 14:05 UTC"),
        (with(json!({ "paused": true })), "it is paused"),
        (with(json!({ "drain": true })), "it is being drained"),
        (with(night), "in a maintenance window until Wed 13:30 UTC"),
        (
            with(json!({ "repositories": ["other"] })),
            "it does not take builds of `app`",
        ),
        (
            shared(with(json!({}))),
            "its builds run as the same user as its agent, which this builder does not allow",
        ),
    ] {
        assert_eq!(why(worker), format!("waiting for `mac`: {expected}"));
    }
    let mac_alone = worker("mac", json!({}));
    let busy = Machine {
        taken: 1,
        ..machine(&mac_alone)
    };
    assert_eq!(
        choose_on(&mac, 0, &[busy]).unwrap_err(),
        "waiting for `mac`: it is busy"
    );
    let declined = Machine {
        declined: Some("its owner takes no pull requests"),
        ..machine(&mac_alone)
    };
    let said = choose_on(&mac, 0, &[declined]).unwrap_err();
    assert_eq!(
        said,
        "waiting for `mac`: it declined: its owner takes no pull requests"
    );
}

#[test]
fn a_run_goes_to_whichever_fits_and_no_more_are_promised_than_there_are_slots() {
    let (a, b) = (worker("a", json!({})), worker("b", json!({ "slots": 2 })));
    let away = offline(worker("c", json!({})));
    let other = worker("d", json!({ "labels": { "os": "linux" } }));
    let machines = [machine(&b), machine(&a), machine(&away), machine(&other)];
    let macs = on(json!({ "selector": { "os": "mac" } }));
    let both = Choice {
        to: vec!["a".to_owned(), "b".to_owned()],
        pool: true,
    };
    assert_eq!(choose_on(&macs, 0, &machines), Ok(both.clone()));
    assert_eq!(choose_on(&macs, 2, &machines), Ok(both));
    let full = choose_on(&macs, 3, &machines).unwrap_err();
    assert_eq!(
        full,
        "waiting for a worker: the 2 that fit have enough to do"
    );
    let none = choose_on(&macs, 0, &machines[2..]).unwrap_err();
    assert_eq!(none, "waiting for a worker: `c`: offline since 14:05 UTC");
    let amigas = on(json!({ "selector": { "os": "amiga" } }));
    let none = choose_on(&amigas, 0, &machines).unwrap_err();
    assert_eq!(none, "waiting for a worker with os=amiga: there is none");
}

#[test]
fn a_shared_machine_gets_only_what_allows_it() {
    let mac = shared(worker("mac", json!({})));
    let allowed = on(json!({ "name": "mac", "allowShared": true }));
    assert!(choose_on(&allowed, 0, &[machine(&mac)]).is_ok());
}
