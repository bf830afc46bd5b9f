//! Check runs: one for a builder, which ends, whatever was lost between.

use std::sync::Arc;

use github::StatusState::{Pending, Success};
use github::{CheckOutput, CheckRun, CheckState, Conclusion, StatusState};
use operator::report::{Channel, CommitStatus, Order, Reporter, Sent, Standing, Target};
use tests::forge::Fault;

use super::{APP, Scene, signed, until};

const CREATE: &str = "POST /repos/octo/app/check-runs";
const UPDATE: &str = "PATCH /repos/octo/app/check-runs/*";
const LIST: &str = "GET /repos/octo/app/commits/*/check-runs";

const SURE: Standing = Standing {
    id: None,
    unsure: false,
    uncounted: false,
};
const UNSURE: Standing = Standing {
    id: None,
    unsure: true,
    uncounted: false,
};

fn check(scene: &Scene) -> Target {
    Target {
        connection: "main".to_owned(),
        owner: "octo".to_owned(),
        name: "app".to_owned(),
        sha: scene.head.clone(),
        context: "prbuild/a".to_owned(),
        channel: Channel::Check,
    }
}

fn by(build: i64) -> Order {
    Order {
        build_created: jiff::Timestamp::from_second(build).unwrap(),
        build: format!("app-1-l{build}"),
        attempt: 1,
    }
}

/// What the run `attempt` of a build says.
fn says(build: i64, attempt: i64, state: StatusState) -> CommitStatus {
    let completed = CheckState::Completed(Conclusion::Success);
    let run = CheckRun {
        name: "prbuild/a".to_owned(),
        external_id: format!("app-1-l{build}-a-{attempt}"),
        state: match state {
            Pending => CheckState::Queued,
            _ => completed,
        },
        details_url: None,
        started_at: None,
        completed_at: None,
        output: CheckOutput {
            title: format!("{state:?}"),
            summary: "A summary.".to_owned(),
            annotations: Vec::new(),
        },
        actions: Vec::new(),
    };
    CommitStatus {
        state,
        description: format!("{state:?}"),
        url: None,
        check: Some(Arc::new(run)),
    }
}

async fn tell(
    scene: &Scene,
    reporter: &Reporter,
    build: i64,
    state: StatusState,
    standing: Standing,
) -> Sent {
    reporter
        .tell_beside(check(scene), by(build), says(build, 1, state), standing)
        .await
}

impl Scene {
    /// The check runs that stand, oldest first: (what we find it by, state).
    fn checks(&self) -> Vec<(String, String)> {
        let all = self.forge.check_runs(APP, &self.head).into_iter();
        all.map(|one| (one.external_id, one.conclusion.unwrap_or(one.status)))
            .collect()
    }

    fn check_calls(&self) -> [usize; 3] {
        [CREATE, UPDATE, LIST].map(|call| self.forge.log().count(call))
    }
}

fn row(external_id: &str, state: &str) -> (String, String) {
    (external_id.to_owned(), state.to_owned())
}

async fn scene() -> Scene {
    Scene::granted("checks", "write").await
}

#[tokio::test]
async fn a_builder_takes_two_calls_from_queued_to_its_conclusion() {
    let scene = scene().await;
    let (reporter, _stop) = scene.reporter();
    for _ in 0..3 {
        let sent = tell(&scene, &reporter, 2, Pending, SURE).await;
        assert_eq!(sent, Sent::Taken(Pending));
    }
    let id = reporter.check_id(&check(&scene)).unwrap();
    let stands = scene
        .forge
        .check_run(APP, &scene.head, "prbuild/a")
        .unwrap();
    assert_eq!(signed(stands.id), id);
    assert_eq!(
        tell(&scene, &reporter, 2, Success, SURE).await,
        Sent::Taken(Success)
    );
    assert_eq!(scene.checks(), [row("app-1-l2-a-1", "success")]);
    assert_eq!(scene.check_calls(), [1, 1, 0]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_check_run_whose_answer_was_lost_is_found_and_not_made_twice() {
    for fault in [Fault::AnswerLost(502), Fault::Cut, Fault::Malformed] {
        let scene = scene().await;
        let (reporter, _stop) = scene.reporter();
        scene.forge.faults().next(1, CREATE, fault);
        let sent = tell(&scene, &reporter, 2, Pending, SURE).await;
        assert_eq!(sent, Sent::Taken(Pending));
        tell(&scene, &reporter, 2, Success, SURE).await;
        assert_eq!(scene.checks(), [row("app-1-l2-a-1", "success")]);
        scene.forge.finish().await;
    }
}

#[tokio::test]
async fn a_crash_between_making_a_check_run_and_storing_its_id_leaves_none_that_waits() {
    let scene = scene().await;
    let (before, crash) = scene.reporter();
    tell(&scene, &before, 2, Pending, SURE).await;
    drop(crash);
    let (reporter, _stop) = scene.reporter();
    // The object has no id, and the process does not know what the one before it did.
    tell(&scene, &reporter, 2, Success, UNSURE).await;
    assert_eq!(scene.checks(), [row("app-1-l2-a-1", "success")]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_id_that_was_stored_is_gone_on_with_after_a_crash() {
    let scene = scene().await;
    let (before, crash) = scene.reporter();
    tell(&scene, &before, 2, Pending, SURE).await;
    let id = before.check_id(&check(&scene));
    drop(crash);
    let (reporter, _stop) = scene.reporter();
    let stored = Standing { id, ..SURE };
    tell(&scene, &reporter, 2, Success, stored).await;
    assert_eq!(scene.checks(), [row("app-1-l2-a-1", "success")]);
    assert_eq!(scene.check_calls(), [1, 1, 0]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_newer_build_takes_over_what_waits_and_the_older_says_nothing_more() {
    let scene = scene().await;
    let (reporter, _stop) = scene.reporter();
    tell(&scene, &reporter, 2, Pending, SURE).await;
    tell(&scene, &reporter, 3, Pending, SURE).await;
    assert_eq!(scene.checks(), [row("app-1-l3-a-1", "queued")]);
    let late = tell(&scene, &reporter, 2, Success, SURE).await;
    assert_eq!(late, Sent::Superseded);
    tell(&scene, &reporter, 3, Success, SURE).await;
    assert_eq!(scene.checks(), [row("app-1-l3-a-1", "success")]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_build_after_one_that_has_ended_gets_a_check_run_of_its_own() {
    let scene = scene().await;
    let (reporter, _stop) = scene.reporter();
    tell(&scene, &reporter, 2, Success, SURE).await;
    tell(&scene, &reporter, 3, Pending, SURE).await;
    let expected = [
        row("app-1-l2-a-1", "success"),
        row("app-1-l3-a-1", "queued"),
    ];
    assert_eq!(scene.checks(), expected);
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_attempt_after_an_error_goes_on_with_the_same_check_run() {
    let scene = scene().await;
    let (reporter, _stop) = scene.reporter();
    tell(&scene, &reporter, 2, Pending, SURE).await;
    let second = by(2).next_attempt();
    for state in [Pending, Success] {
        let said = says(2, 2, state);
        reporter
            .tell_beside(check(&scene), second.clone(), said, SURE)
            .await;
    }
    assert_eq!(scene.checks(), [row("app-1-l2-a-2", "success")]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_pending_check_run_that_a_result_overtakes_is_never_made() {
    let scene = scene().await;
    let (reporter, _stop) = scene.reporter();
    let down = scene.forge.faults().on(CREATE, Fault::Status(502));
    let pending = reporter.tell_beside(check(&scene), by(2), says(2, 1, Pending), SURE);
    until("a try", || scene.forge.log().count(CREATE) > 0).await;
    let result = reporter.tell_beside(check(&scene), by(2), says(2, 1, Success), SURE);
    assert_eq!(pending.await, Sent::Superseded);
    scene.forge.faults().off(down);
    assert_eq!(result.await, Sent::Taken(Success));
    assert_eq!(scene.checks(), [row("app-1-l2-a-1", "success")]);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_check_run_on_a_commit_that_is_gone_settles() {
    let scene = scene().await;
    let (reporter, _stop) = scene.reporter();
    let gone = Target {
        sha: "1".repeat(40),
        ..check(&scene)
    };
    let sent = reporter
        .tell_beside(gone, by(2), says(2, 1, Success), SURE)
        .await;
    assert!(matches!(sent, Sent::Settled(_)), "{sent:?}");
}

#[tokio::test]
async fn an_app_that_may_not_write_checks_yet_says_so_and_goes_on_when_it_may() {
    let scene = Scene::granted("checks", "read").await;
    let repo = scene.repo();
    repo.warm_up().await.unwrap();
    assert!(!repo.writes_checks(), "new runs are told by statuses");
    let missing = repo
        .missing_permissions_with(&[("checks", "write")])
        .await
        .unwrap();
    assert_eq!(missing, ["checks: write"]);
    let (reporter, _stop) = scene.reporter();
    let target = check(&scene);
    let ticket = reporter.tell_beside(target.clone(), by(2), says(2, 1, Success), SURE);
    until("the first try", || reporter.trouble(&target).is_some()).await;
    drop(ticket);
    assert_eq!(scene.checks(), []);
}
