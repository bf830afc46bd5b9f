//! The buttons of check runs: "Re-run", "Re-run all checks", "Re-run failed", "Cancel".

use crds::{AnswerReason, Manner, RunPhase, TriggerKind};
use jiff::Timestamp;
use serde_json::Value;

use super::acts::fleet;
use super::*;
use RunPhase::{Failed, Running, Succeeded};
use tests::story::{GRACE, MALLORY};

/// A press of a button of ours as GitHub delivers it.
struct Press<'a> {
    event: &'a str,
    action: &'a str,
    identifier: Option<&'a str>,
    run: &'a str,
    head: &'a str,
    by: &'a str,
    /// When what is pressed had last changed.
    changed: Timestamp,
    /// Number of the delivery.
    delivery: u32,
}

impl Press<'_> {
    fn body(&self, town: &Town, app: &Value) -> Value {
        let changed = self.changed;
        let of = json!({
            "id": 1, "head_sha": self.head, "external_id": self.run, "app": { "id": app },
            "status": "completed", "updated_at": changed, "check_suite": { "updated_at": changed },
        });
        let user = town.story.forge.user_id(self.by);
        let mut body = json!({
            "action": self.action,
            "repository": { "id": town.story.forge.repository_id(REPO), "full_name": REPO },
            "sender": { "id": user, "login": self.by, "type": "User" },
        });
        body[self.event] = of;
        if let Some(identifier) = self.identifier {
            body["requested_action"] = json!({ "identifier": identifier });
        }
        body
    }
}

impl Town {
    /// The id of our App.
    fn app(&self) -> Value {
        let file = self.story.connections().unwrap().join("github/app-id");
        let id = std::fs::read_to_string(file).unwrap();
        json!(id.trim().parse::<u64>().unwrap())
    }

    /// Returns the status that GitHub gets.
    async fn press(&self, press: &Press<'_>) -> u16 {
        self.press_of(press, &self.app()).await
    }

    async fn press_of(&self, press: &Press<'_>, app: &Value) -> u16 {
        let body = serde_json::to_vec(&press.body(self, app)).unwrap();
        let signature = signed(&body);
        let id = format!("{:08}-0000-4000-8000-000000000000", press.delivery);
        let mut headers = headers(press.event, &signature);
        headers[2].1 = &id;
        self.post(&headers, &body).await.status
    }

    /// The build that stands for a press, which is the only one of a button.
    async fn pressed_builds(&self) -> Vec<PrBuild> {
        let mut builds = self.builds().await;
        builds.retain(|build| build.spec.request.trigger.kind == TriggerKind::Button);
        builds
    }
}

/// A town with one build, and a press of "Re-run" of its run on `linux`.
async fn built(name: &str) -> (Town, PrBuild, String) {
    let town = fleet(name, |_| {}).await;
    let number = town.pull_request().await;
    let build = town.label_builds(number).await;
    let run = crds::names::run_name(&build.name_any(), "linux", 1);
    (town, build, run)
}

fn press<'a>(action: &'a str, build: &'a PrBuild, run: &'a str) -> Press<'a> {
    Press {
        event: "check_run",
        action,
        identifier: None,
        run,
        head: &build.spec.request.head_sha,
        by: ADA,
        changed: build.spec.request.trigger.time.0,
        delivery: 1,
    }
}

#[tokio::test]
async fn each_button_repeats_the_builders_that_it_names_on_the_same_commits() {
    let (town, build, run) = built("wh-buttons").await;
    let results = [("linux", Failed), ("windows", Failed), ("z13", Succeeded)];
    town.stands(&build.name_any(), &results).await;
    town.push("b\n").await;
    let one = press("rerequested", &build, &run);
    let failed = Press {
        action: "requested_action",
        identifier: Some("rerun-failed"),
        delivery: 2,
        ..press("", &build, &run)
    };
    let all = Press {
        event: "check_suite",
        run: "",
        delivery: 3,
        ..press("rerequested", &build, &run)
    };
    for (n, (press, builders)) in [
        (one, &["linux"][..]),
        (failed, &["linux", "windows"]),
        (all, &["linux", "windows", "z13"]),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(town.press(&press).await, 202, "{builders:?}");
        let before: Vec<PrBuild> = town.pressed_builds().await;
        assert_eq!(before.len(), n + 1);
        let mut requests = before.iter().map(|build| &build.spec.request);
        let request = requests
            .find(|request| request.builders == builders)
            .unwrap();
        assert_eq!(request.head_sha, build.spec.request.head_sha);
        assert_eq!(request.merge_sha, build.spec.request.merge_sha);
        assert_eq!(request.rerun_of, build.metadata.name);
        assert_eq!(request.trigger.user.login, ADA);
        let failed: Vec<(&str, RunPhase)> = builders.iter().map(|b| (*b, Failed)).collect();
        let name = crds::names::event_name("app", request.number, &request.trigger);
        town.stands(&name, &failed).await;
        // Delivered once more, under whatever id, it is the same press.
        for delivery in [press.delivery, 100, 101] {
            town.press(&Press { delivery, ..press }).await;
            assert_eq!(town.pressed_builds().await.len(), n + 1);
        }
    }
    town.end().await;
}

#[tokio::test]
async fn two_presses_are_two_builds() {
    let (town, build, run) = built("wh-presses").await;
    town.stands(&build.name_any(), &[("linux", Failed)]).await;
    for seconds in [1, 2] {
        let press = Press {
            changed: build.spec.request.trigger.time.0 + Duration::from_secs(seconds),
            ..press("rerequested", &build, &run)
        };
        assert_eq!(town.press(&press).await, 202);
    }
    assert_eq!(town.pressed_builds().await.len(), 2);
    town.end().await;
}

#[tokio::test]
async fn the_cancel_button_stops_that_run() {
    let (town, build, run) = built("wh-cancel-button").await;
    let name = build.name_any();
    let all = ["linux", "windows", "z13"];
    town.stands(&name, &all.map(|name| (name, Running))).await;
    let cancel = Press {
        identifier: Some("cancel"),
        ..press("requested_action", &build, &run)
    };
    assert_eq!(town.press(&cancel).await, 202);
    let spec = town.build(&name).await.spec;
    assert_eq!(spec.cancel, None);
    let cancelled: Vec<&String> = spec.cancel_builders.keys().collect();
    assert_eq!(cancelled, ["linux"]);
    let answers = town.answers().await;
    assert_eq!(answers.len(), 1);
    assert_eq!(reason(&answers[0]), AnswerReason::Cancelled);
    assert_eq!(answers[0].spec.manner, Manner::Silent);
    town.press(&Press {
        delivery: 2,
        ..cancel
    })
    .await;
    assert_eq!(town.answers().await.len(), 1);
    town.end().await;
}

#[tokio::test]
async fn a_press_that_a_pause_refused_builds_when_it_is_pressed_again_afterwards() {
    let (town, build, run) = built("wh-paused-button").await;
    town.stands(&build.name_any(), &[("linux", Failed)]).await;
    town.story.repository(|spec| spec.paused = true).await;
    let number = u64::try_from(build.spec.request.number).unwrap();
    eventually("the webhook knows the pause", PATIENCE, async || {
        let (name, _) = town.said(number, ADA, "/prbuild rerun failed").await;
        match town.story.api::<Answer>().get_opt(&name).await.unwrap() {
            Some(answer) if reason(&answer) == AnswerReason::Paused => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let press = press("rerequested", &build, &run);
    assert_eq!(town.press(&press).await, 202);
    let answers = town.answers().await;
    let mut of_presses = answers
        .iter()
        .filter(|answer| answer.spec.trigger.kind == TriggerKind::Button);
    assert_eq!(reason(of_presses.next().unwrap()), AnswerReason::Paused);
    assert_eq!(town.pressed_builds().await.len(), 0);

    town.story.repository(|spec| spec.paused = false).await;
    let mut delivery = 1;
    eventually("the press builds", PATIENCE, async || {
        delivery += 1;
        town.press(&Press { delivery, ..press }).await;
        match town.pressed_builds().await.len() {
            1 => Ok(()),
            builds => Err(format!("{builds} builds")),
        }
    })
    .await;
    town.end().await;
}

#[tokio::test]
async fn a_press_by_a_stranger_or_on_what_is_not_ours_does_nothing() {
    let (town, build, run) = built("wh-foreign-button").await;
    town.stands(&build.name_any(), &[("linux", Failed)]).await;
    let stranger = Press {
        by: MALLORY,
        ..press("rerequested", &build, &run)
    };
    assert_eq!(town.press(&stranger).await, 202);
    let answers = town.answers().await;
    assert_eq!(reason(&answers[0]), AnswerReason::Permission);
    assert_eq!(answers[0].spec.manner, Manner::Silent);

    let ours = || press("rerequested", &build, &run);
    assert_eq!(
        town.press_of(&ours(), &json!(999_999)).await,
        200,
        "another App"
    );
    let zeros = "0".repeat(40);
    for (what, press) in [
        (
            "another commit",
            Press {
                head: &zeros,
                ..ours()
            },
        ),
        (
            "not a run",
            Press {
                run: "something",
                ..ours()
            },
        ),
        (
            "another repository's",
            Press {
                run: "other-1-l1-linux-1",
                ..ours()
            },
        ),
        (
            "another button",
            Press {
                action: "requested_action",
                identifier: Some("fix"),
                ..ours()
            },
        ),
        (
            "a commit never built",
            Press {
                event: "check_suite",
                head: &zeros,
                ..ours()
            },
        ),
        (
            "made",
            Press {
                action: "created",
                ..ours()
            },
        ),
    ] {
        let press = Press {
            delivery: 9,
            ..press
        };
        assert_eq!(town.press(&press).await, 200, "{what}");
    }
    assert!(town.pressed_builds().await.is_empty());
    assert_eq!(town.answers().await.len(), 1);
    town.end().await;
}

#[tokio::test]
async fn a_button_whose_build_is_gone_is_too_old() {
    let (town, build, _) = built("wh-old-button").await;
    let number = build.spec.request.number;
    let gone = format!("app-{number}-l1-linux-1");
    let press = Press {
        by: GRACE,
        ..press("rerequested", &build, &gone)
    };
    assert_eq!(town.press(&press).await, 202);
    let answers = town.answers().await;
    assert_eq!(reason(&answers[0]), AnswerReason::NoBuild);
    let detail = answers[0].spec.facts.detail.clone().unwrap();
    assert!(detail.contains("too old"), "{detail}");
    assert_eq!(town.builds().await.len(), 1);
    town.end().await;
}

#[tokio::test]
async fn each_press_of_a_person_is_one_of_its_own_and_each_body_of_github_is_one_press() {
    let (story, _, check) = presses::pressable("wh-press-each").await;
    let forge = &story.forge;
    // The body as somebody may have kept it.
    let body = forge.check_run_payload(REPO, check, "rerequested", ADA);
    // Nobody presses within the second in which the result came: GitHub's times are whole seconds.
    forge.clock().advance(Duration::from_secs(5));
    forge.press_rerun(REPO, check, ADA);
    let first = presses::one_is_pressed(&story).await;
    for _ in 0..3 {
        forge.deliver_forged(REPO, "check_run", &body);
    }
    forge.deliveries_settled().await;
    assert_eq!(
        presses::pressed(&story).await.len(),
        1,
        "under three other ids"
    );
    story.complete(&first.name_any()).await;
    forge.clock().advance(Duration::from_secs(5));
    forge.press_rerun(REPO, check, ADA);
    forge.deliveries_settled().await;
    assert_eq!(presses::pressed(&story).await.len(), 2, "pressed once more");
    forge.deliver_forged(REPO, "check_run", &body);
    forge.deliveries_settled().await;
    assert_eq!(presses::pressed(&story).await.len(), 2);
    story.end().await;
}

#[tokio::test]
async fn all_checks_are_those_of_each_label() {
    let label = |spec: &mut RepositorySpec| {
        let mut other = spec.labels[0].clone();
        other.name = "leaks".to_owned();
        other.builders = vec!["z13".to_owned()];
        spec.labels[0].builders = vec!["linux".to_owned()];
        spec.labels.push(other);
    };
    let town = fleet("wh-all-checks", label).await;
    let number = town.pull_request().await;
    let one = town.label_builds(number).await;
    town.story.forge.add_label(REPO, number, "leaks", ADA);
    assert_eq!(town.last_code().await, 202);
    let mut both = town.builds().await;
    assert_eq!(both.len(), 2);
    both.sort_by_key(|build| build.spec.request.trigger.time.0);
    for build in &both {
        let builder = build.spec.request.builders[0].as_str();
        town.stands(&build.name_any(), &[(builder, Failed)]).await;
    }
    let all = Press {
        event: "check_suite",
        run: "",
        changed: both[1].spec.request.trigger.time.0,
        ..press("rerequested", &one, "")
    };
    for delivery in [1, 2] {
        assert_eq!(town.press(&Press { delivery, ..all }).await, 202);
        let again = town.pressed_builds().await;
        let mut builders: Vec<&String> = again
            .iter()
            .flat_map(|build| &build.spec.request.builders)
            .collect();
        builders.sort();
        assert_eq!(builders, ["linux", "z13"]);
    }
    town.end().await;
}
