//! Commit statuses by a GitHub that fails, limits and loses answers.

use std::time::{Duration, Instant};

use github::StatusState::{Failure, Pending, Success};
use operator::report::{Channel, CommitStatus, Order, Reporter, Sent, Target};
use tests::forge::{Elsewhere, Fault};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{APP, Scene, until};

const STATUSES: &str = "POST /repos/octo/app/statuses/*";

impl Scene {
    /// A reporter that ends with the story.
    pub fn reporter(&self) -> (Reporter, DropGuard) {
        let stop = CancellationToken::new();
        (
            Reporter::spawn(self.connections.clone(), stop.clone()),
            stop.drop_guard(),
        )
    }

    fn target(&self, context: &str) -> Target {
        Target {
            connection: "main".to_owned(),
            owner: "octo".to_owned(),
            name: "app".to_owned(),
            sha: self.head.clone(),
            context: context.to_owned(),
            channel: Channel::Status,
        }
    }

    /// What stands on the commit, oldest first: (context, state, description).
    fn stands(&self) -> Vec<(String, String, String)> {
        let all = self.forge.statuses(APP, &self.head).into_iter();
        all.map(|one| (one.context, one.state, one.description.unwrap_or_default()))
            .collect()
    }
}

fn by(build: i64) -> Order {
    let build_created = jiff::Timestamp::from_second(build).unwrap();
    Order {
        build_created,
        build: format!("app-1-l{build}"),
        attempt: 1,
    }
}

fn status(state: github::StatusState, text: &str) -> CommitStatus {
    CommitStatus {
        state,
        description: text.to_owned(),
        url: None,
        check: None,
    }
}

fn row(context: &str, state: &str, text: &str) -> (String, String, String) {
    (context.to_owned(), state.to_owned(), text.to_owned())
}

/// The reporter's numbers as Prometheus reads them.
fn numbers(reporter: &Reporter) -> String {
    let mut registry = prometheus_client::registry::Registry::default();
    reporter.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

#[tokio::test]
async fn an_emoji_in_the_name_of_a_failing_test_leaves_no_status_pending() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    for (state, text) in [
        (Pending, "Running since 14:05 UTC"),
        (Failure, "Failed: 1 test (`test_🐍`)"),
    ] {
        let target = scene.target("prbuild/a");
        let sent = reporter.tell(target, by(1), status(state, text)).await;
        assert_eq!(sent, Sent::Taken(state));
    }
    let last = scene.stands().pop();
    let told = row("prbuild/a", "failure", "Failed: 1 test (`test_\u{FFFD}`)");
    assert_eq!(last, Some(told));
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_run_has_two_statuses_however_often_it_tells_them() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    for place in ["3 ahead", "2 ahead", "1 ahead"] {
        let sent = reporter
            .tell(scene.target("prbuild/a"), by(1), status(Pending, place))
            .await;
        assert_eq!(sent, Sent::Taken(Pending));
    }
    for _ in 0..3 {
        let sent = reporter
            .tell(
                scene.target("prbuild/a"),
                by(1),
                status(Success, "Passed in 38 min"),
            )
            .await;
        assert_eq!(sent, Sent::Taken(Success));
    }
    let expected = [
        row("prbuild/a", "pending", "3 ahead"),
        row("prbuild/a", "success", "Passed in 38 min"),
    ];
    assert_eq!(scene.stands(), expected);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_github_that_is_down_for_a_while_loses_nothing() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    let down = scene.forge.faults().on(STATUSES, Fault::Status(502));
    let tickets: Vec<_> = (0..20)
        .map(|n| {
            reporter.tell(
                scene.target(&format!("prbuild/{n}")),
                by(1),
                status(Success, "Passed"),
            )
        })
        .collect();
    until("a few tries", || scene.forge.log().count(STATUSES) >= 10).await;
    assert_eq!(scene.stands(), []);
    assert!(
        reporter
            .trouble(&scene.target("prbuild/0"))
            .is_some_and(|why| why.contains("502"))
    );
    scene.forge.faults().off(down);
    for ticket in tickets {
        assert_eq!(ticket.await, Sent::Taken(Success));
    }
    assert_eq!(scene.stands().len(), 20);
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_limit_with_retry_after_is_waited_for_by_all_statuses() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    scene.forge.faults().next(
        1,
        STATUSES,
        Fault::RateLimited {
            status: 429,
            retry_after: Some(2),
        },
    );
    let start = Instant::now();
    let limited = reporter.tell(scene.target("prbuild/a"), by(1), status(Success, "Passed"));
    until("the limit", || scene.forge.log().count(STATUSES) == 1).await;
    let other = reporter.tell(scene.target("prbuild/b"), by(1), status(Success, "Passed"));
    assert_eq!(
        (limited.await, other.await),
        (Sent::Taken(Success), Sent::Taken(Success))
    );
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert_eq!(
        scene.forge.log().count(STATUSES),
        3,
        "no call before the limit was over"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn an_older_build_never_overwrites_a_newer_one() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    // The older one's request is still under way when the newer build speaks.
    scene
        .forge
        .faults()
        .next(1, STATUSES, Fault::Latency(Duration::from_millis(300)));
    let old = reporter.tell(scene.target("prbuild/a"), by(1), status(Pending, "old"));
    until("the old one's request", || {
        numbers(&reporter).contains("github_statuses_under_way 1")
    })
    .await;
    let new = reporter.tell(scene.target("prbuild/a"), by(2), status(Success, "new"));
    let late = reporter.tell(scene.target("prbuild/a"), by(1), status(Failure, "late"));
    assert_eq!(late.await, Sent::Superseded);
    assert_eq!(
        (old.await, new.await),
        (Sent::Taken(Pending), Sent::Taken(Success))
    );
    assert_eq!(
        scene.stands(),
        [
            row("prbuild/a", "pending", "old"),
            row("prbuild/a", "success", "new")
        ]
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_commit_that_is_gone_settles_its_statuses() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    let gone = Target {
        sha: "1".repeat(40),
        ..scene.target("prbuild/a")
    };
    let Sent::Settled(why) = reporter
        .tell(gone.clone(), by(1), status(Pending, "Waiting"))
        .await
    else {
        panic!("it has to be settled");
    };
    assert!(why.contains("No commit found"), "{why}");
    assert!(matches!(
        reporter.tell(gone, by(1), status(Success, "Passed")).await,
        Sent::Settled(_)
    ));
    assert_eq!(
        scene.forge.log().count(STATUSES),
        1,
        "what GitHub will never take is asked for once"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn a_context_that_has_its_thousand_statuses_settles_and_says_why() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    let ada = scene.forge.clone();
    for _ in 0..1000 {
        ada.other_status(APP, &scene.head, "ada", "prbuild/a", Elsewhere::Pending);
    }
    let sent = reporter
        .tell(scene.target("prbuild/a"), by(1), status(Success, "Passed"))
        .await;
    assert!(
        matches!(&sent, Sent::Settled(why) if why.contains("maximum number of statuses")),
        "{sent:?}"
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn shortly_before_the_thousandth_status_only_results_are_sent() {
    let scene = Scene::new().await;
    scene.forge.limits().turn_off();
    let (reporter, _stop) = scene.reporter();
    let (mut build, mut results) = (0, 0);
    // Two statuses a build, as long as there is room for both.
    while results < 2 {
        build += 1;
        let pending = reporter
            .tell(
                scene.target("prbuild/a"),
                by(build),
                status(Pending, "Waiting"),
            )
            .await;
        results += i32::from(pending == Sent::Superseded);
        let result = reporter
            .tell(
                scene.target("prbuild/a"),
                by(build),
                status(Success, &build.to_string()),
            )
            .await;
        assert_eq!(result, Sent::Taken(Success));
    }
    let sent = scene.stands().len();
    assert!((900..1000).contains(&sent), "{sent} statuses");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_and_the_state_stands() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    scene
        .forge
        .faults()
        .next(1, STATUSES, Fault::AnswerLost(502));
    scene.forge.faults().next(1, STATUSES, Fault::Cut);
    let sent = reporter
        .tell(scene.target("prbuild/a"), by(1), status(Success, "Passed"))
        .await;
    assert_eq!(sent, Sent::Taken(Success));
    assert!(
        scene
            .stands()
            .iter()
            .all(|one| *one == row("prbuild/a", "success", "Passed"))
    );
    scene.forge.finish().await;
}

#[tokio::test]
async fn the_numbers_tell_how_reporting_goes() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    scene.forge.faults().next(1, STATUSES, Fault::Status(502));
    reporter
        .tell(scene.target("prbuild/a"), by(1), status(Success, "Passed"))
        .await;
    let text = numbers(&reporter);
    for line in [
        r#"github_status_calls_total{connection="main",result="unavailable"} 1"#,
        r#"github_status_calls_total{connection="main",result="taken"} 1"#,
        "github_status_seconds_count 1",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}

#[tokio::test]
async fn an_app_that_is_not_granted_statuses_yet_keeps_trying_and_says_why() {
    let scene = Scene::granted("statuses", "read").await;
    let (reporter, _stop) = scene.reporter();
    let target = scene.target("prbuild/a");
    let ticket = reporter.tell(target.clone(), by(1), status(Success, "Passed"));
    until("the first try", || reporter.trouble(&target).is_some()).await;
    let why = reporter.trouble(&target).unwrap();
    assert!(why.contains("permissions"), "{why}");
    assert!(numbers(&reporter).contains(r#"result="denied"} 1"#));
    let settled = tokio::time::timeout(std::time::Duration::ZERO, ticket).await;
    assert!(settled.is_err(), "it is neither taken nor settled");
}

#[tokio::test]
async fn many_statuses_are_under_way_at_once() {
    let scene = Scene::new().await;
    let (reporter, _stop) = scene.reporter();
    let latency = Duration::from_millis(50);
    scene.forge.faults().on(STATUSES, Fault::Latency(latency));
    let tickets: Vec<_> = (0..100)
        .map(|n| {
            let target = scene.target(&format!("prbuild/{n}"));
            reporter.tell(target, by(1), status(Pending, "Waiting"))
        })
        .collect();
    for ticket in tickets {
        assert_eq!(ticket.await, Sent::Taken(Pending));
    }
    let calls = scene.forge.log().matching(STATUSES);
    let at_once = |now: Duration| {
        let under_way = |call: &&tests::forge::Logged| call.at <= now && now < call.at + call.took;
        calls.iter().filter(under_way).count()
    };
    let most = calls.iter().map(|call| at_once(call.at)).max();
    assert!(most > Some(4), "at most {most:?} at once");
    scene.forge.finish().await;
}

#[tokio::test]
async fn two_hundred_results_at_once_never_meet_githubs_secondary_limits() {
    let scene = Scene::new().await;
    scene.forge.limits().enforce_secondary(true);
    let (reporter, _stop) = scene.reporter();
    let tickets: Vec<_> = (0..200)
        .map(|n| {
            let target = scene.target(&format!("prbuild/{n}"));
            reporter.tell(target, by(1), status(Success, "Passed"))
        })
        .collect();
    until("a minute's worth", || scene.stands().len() >= 160).await;
    let refused = scene.forge.log().matching(STATUSES);
    assert!(refused.iter().all(|call| call.status == 201));
    assert!(scene.stands().len() < 180, "the gate has to read, too");
    drop(tickets);
}
