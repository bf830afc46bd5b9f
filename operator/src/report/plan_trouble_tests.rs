//! What the reporter does about a GitHub that is away, sets limits or refuses.

use super::*;

#[test]
fn ten_minutes_without_github_lose_nothing() {
    let mut story = Story::new();
    for number in 0..100 {
        story.tell(&number.to_string(), (1, 1), Success, "Passed", "x");
    }
    let mut requests = 0;
    while story.now.get() < Duration::from_secs(600) {
        for (target, _) in story.sends() {
            requests += 1;
            assert_eq!(story.plan.done(story.now(), &target, away()), []);
        }
        story.wait();
    }
    assert!(
        requests < 60,
        "{requests} requests to a GitHub that is down"
    );
    let back = story.now.get();
    let mut taken = 0;
    while taken < 100 {
        let sends = story.sends();
        for (target, _) in &sends {
            taken += story.plan.done(story.now(), target, Reply::Taken).len();
        }
        if sends.is_empty() {
            story.wait();
        }
    }
    assert!(
        story.now.get() - back <= Duration::from_secs(30),
        "all is told soon afterwards"
    );
}

#[test]
fn one_target_that_fails_does_not_hold_up_the_others() {
    let mut story = Story::new();
    story.tell("bad", (1, 1), Success, "bad", "x");
    story.said();
    story.done("bad", away());
    story.tell("good", (1, 1), Success, "good", "y");
    assert!(story.wait() <= Duration::from_millis(500));
    let said = story.said();
    assert!(said == ["good"] || said == ["bad"], "{said:?}");
}

#[test]
fn a_limit_holds_back_everything_of_its_connection_until_it_is_over() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Success, "a", "x");
    story.tell("b", (1, 1), Success, "b", "y");
    assert_eq!(story.sends().len(), 2);
    assert_eq!(
        story.done("a", Reply::Limited(Duration::from_secs(120), "429".into())),
        []
    );
    assert_eq!(story.done("b", Reply::Taken), [("y", Sent::Taken(Success))]);
    story.tell("c", (1, 1), Success, "c", "z");
    assert_eq!(story.said(), Vec::<String>::new());
    assert_eq!(story.plan.trouble(&target("a")), Some("429"));
    assert_eq!(story.wait(), Duration::from_secs(120));
    assert_eq!(story.said().len(), 1, "one at a time after a limit");
}

#[test]
fn after_a_limit_the_pace_is_a_request_a_second_and_then_recovers() {
    let mut story = Story::new();
    for number in 0..200 {
        story.tell(&number.to_string(), (1, 1), Success, "Passed", "x");
    }
    let (first, _) = story.sends().swap_remove(0);
    story.plan.done(
        story.now(),
        &first,
        Reply::Limited(Duration::from_secs(10), "403".into()),
    );
    for number in 1..8 {
        story.done(&number.to_string(), Reply::Taken);
    }
    story.wait();
    let mut starts = Vec::new();
    for _ in 0..150 {
        let sends = story.sends();
        for (target, _) in &sends {
            starts.push(story.now.get());
            story.plan.done(story.now(), target, Reply::Taken);
        }
        if matches!(story.plan.next(story.now()), Next::Wait(_)) {
            story.wait();
        }
    }
    assert!(starts[1] - starts[0] > Duration::from_millis(500));
    let last = starts.len() - 1;
    assert_eq!(starts[last], starts[last - 1], "full speed again");
}

#[test]
fn a_budget_that_runs_low_spaces_the_requests() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Success, "a", "x");
    story.said();
    story.plan.pace("main", Duration::from_millis(720), true);
    story.done("a", Reply::Taken);
    story.tell("b", (1, 1), Success, "b", "x");
    assert_eq!(story.wait(), Duration::from_millis(720));
    assert_eq!(story.said(), ["b"]);
}

#[test]
fn a_status_that_github_will_never_take_is_settled_for_that_run_only() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "Waiting", "x");
    story.said();
    let why = "No commit found for SHA";
    let never = Sent::Settled(why.to_owned());
    assert_eq!(
        story.done("a", Reply::Never(why.to_owned())),
        [("x", never.clone())]
    );
    assert_eq!(
        story.tell("a", (1, 1), Success, "Passed", "y"),
        [("y", never)]
    );
    assert_eq!(story.said(), Vec::<String>::new());
    story.tell("a", (2, 1), Success, "Passed", "z");
    assert_eq!(story.said(), ["Passed"]);
}

#[test]
fn a_missing_permission_is_tried_again_slowly_and_is_seen() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Success, "Passed", "x");
    for tries in 0..10 {
        assert_eq!(story.said(), ["Passed"]);
        assert_eq!(
            story.done("a", Reply::Denied("statuses: write is missing".into())),
            []
        );
        assert_eq!(
            story.plan.trouble(&target("a")),
            Some("statuses: write is missing")
        );
        let wait = story.wait();
        assert!(
            wait >= Duration::from_secs(15) && wait <= Duration::from_secs(300),
            "{tries}"
        );
    }
    story.said();
    assert_eq!(story.done("a", Reply::Taken), [("x", Sent::Taken(Success))]);
    assert_eq!(story.plan.trouble(&target("a")), None);
}

#[test]
fn a_repository_that_stays_away_is_given_up_after_an_hour() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Success, "Passed", "x");
    let gone = Reply::Missing("not found".to_owned());
    loop {
        assert_eq!(story.said(), ["Passed"]);
        let resolved = story.done("a", gone.clone());
        if !resolved.is_empty() {
            assert_eq!(resolved, [("x", Sent::Settled("not found".to_owned()))]);
            break;
        }
        story.wait();
    }
    let hour = story.now.get().as_secs();
    assert!((2_700..5_400).contains(&hour), "{hour} s");
}

#[test]
fn not_found_is_not_believed_at_once_because_github_refused_or_was_away_before() {
    for before in [
        Reply::Denied("statuses: write is missing".to_owned()),
        away(),
    ] {
        let mut story = Story::new();
        story.tell("a", (1, 1), Success, "Passed", "x");
        for _ in 0..2 * MISSING_TRIES {
            assert_eq!(story.said(), ["Passed"]);
            assert_eq!(story.done("a", before.clone()), []);
            story.wait();
        }
        assert_eq!(story.said(), ["Passed"]);
        let gone = Reply::Missing("not found".to_owned());
        assert_eq!(story.done("a", gone), [], "after {before:?}");
        story.wait();
        assert_eq!(story.said(), ["Passed"]);
        assert_eq!(story.done("a", Reply::Taken), [("x", Sent::Taken(Success))]);
    }
}

#[test]
fn a_result_is_told_although_the_repository_was_away_for_hours_before_it() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "Waiting", "x");
    let gone = Reply::Missing("not found".to_owned());
    for _ in 0..3 * MISSING_TRIES {
        assert_eq!(story.said(), ["Waiting"]);
        assert_eq!(story.done("a", gone.clone()), []);
        story.wait();
    }
    assert_eq!(
        story.tell("a", (1, 1), Success, "Passed", "y"),
        [("x", Sent::Superseded)]
    );
    assert_eq!(story.said(), ["Passed"]);
    assert_eq!(story.done("a", gone), []);
    story.wait();
    assert_eq!(story.said(), ["Passed"]);
    assert_eq!(story.done("a", Reply::Taken), [("y", Sent::Taken(Success))]);
}

#[test]
fn a_final_that_came_while_a_pending_failed_goes_instead() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "Waiting", "x");
    story.said();
    story.tell("a", (1, 1), Success, "Passed", "y");
    assert_eq!(story.done("a", away()), [("x", Sent::Superseded)]);
    story.wait();
    assert_eq!(story.said(), ["Passed"]);
}
