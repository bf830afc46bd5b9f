//! The reporter's decisions, by stories in made-up time.

use std::{cell::Cell, rc::Rc};

use github::StatusState::{Error, Failure, Pending, Success};

use super::*;
use crate::report::target::Channel;

/// A waiter with a name.
impl Waiter for &'static str {
    fn gave_up(&self) -> bool {
        *self == "gone"
    }
}

struct Story {
    plan: Plan<&'static str>,
    start: Instant,
    now: Rc<Cell<Duration>>,
}

impl Story {
    fn new() -> Self {
        let now = Rc::new(Cell::new(Duration::ZERO));
        Self {
            plan: Plan::default(),
            start: Instant::now(),
            now,
        }
    }

    fn now(&self) -> Instant {
        self.start + self.now.get()
    }

    fn pass(&self, duration: Duration) {
        self.now.set(self.now.get() + duration);
    }

    fn tell(
        &mut self,
        context: &str,
        order: (i64, i64),
        state: github::StatusState,
        text: &str,
        who: &'static str,
    ) -> Vec<(&'static str, Sent)> {
        let status = CommitStatus {
            state,
            description: text.to_owned(),
            url: None,
            check: None,
        };
        self.plan
            .tell(self.now(), target(context), by(order), status, who)
    }

    /// What is sent now, as far as requests may go out without an answer.
    fn sends(&mut self) -> Vec<(Arc<Target>, String)> {
        let mut all = Vec::new();
        while let Next::Send(target, status, _) = self.plan.next(self.now()) {
            all.push((target, status.description));
        }
        all
    }

    fn said(&mut self) -> Vec<String> {
        self.sends().into_iter().map(|(_, text)| text).collect()
    }

    fn done(&mut self, context: &str, reply: Reply) -> Vec<(&'static str, Sent)> {
        let (now, target) = (self.now(), Arc::new(target(context)));
        self.plan.done(now, &target, reply)
    }

    /// Lets time pass until something can be sent.
    fn wait(&mut self) -> Duration {
        match self.plan.next(self.now()) {
            Next::Wait(at) => {
                let wait = at - self.now();
                self.pass(wait);
                wait
            }
            other => panic!("there is nothing to wait for: {other:?}"),
        }
    }
}

fn target(context: &str) -> Target {
    Target {
        connection: "main".to_owned(),
        owner: "o".to_owned(),
        name: "n".to_owned(),
        sha: "a".repeat(40),
        context: context.to_owned(),
        channel: Channel::Status,
    }
}

fn by((build, attempt): (i64, i64)) -> Order {
    let build_created = jiff::Timestamp::from_second(build).unwrap();
    Order {
        build_created,
        build: format!("n-1-l{build}"),
        attempt,
    }
}

fn away() -> Reply {
    Reply::Unavailable("502".to_owned())
}

#[test]
fn an_idle_reporter_sends_at_once() {
    let mut story = Story::new();
    assert_eq!(story.tell("a", (1, 1), Pending, "Waiting", "x"), []);
    assert_eq!(story.said(), ["Waiting"]);
    assert_eq!(story.done("a", Reply::Taken), [("x", Sent::Taken(Pending))]);
}

#[test]
fn a_pending_that_a_final_overtook_is_never_sent() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "Waiting", "x");
    assert_eq!(
        story.tell("a", (1, 1), Success, "Passed", "y"),
        [("x", Sent::Superseded)]
    );
    assert_eq!(story.said(), ["Passed"]);
    assert_eq!(story.done("a", Reply::Taken), [("y", Sent::Taken(Success))]);
    assert_eq!(
        story.tell("a", (1, 1), Pending, "late", "z"),
        [("z", Sent::Superseded)]
    );
    assert_eq!(story.said(), Vec::<String>::new());
}

#[test]
fn answers_for_one_target_do_not_overtake_each_other() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "Waiting", "x");
    assert_eq!(story.said(), ["Waiting"]);
    story.tell("a", (1, 1), Failure, "Failed", "y");
    assert_eq!(story.said(), Vec::<String>::new());
    assert_eq!(story.done("a", Reply::Taken), [("x", Sent::Taken(Pending))]);
    assert_eq!(story.said(), ["Failed"]);
}

#[test]
fn a_late_result_of_an_older_run_does_not_overwrite_a_newer_one() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "old", "x");
    assert_eq!(
        story.tell("a", (2, 1), Pending, "new", "y"),
        [("x", Sent::Superseded)]
    );
    assert_eq!(
        story.tell("a", (1, 1), Failure, "old", "x"),
        [("x", Sent::Superseded)]
    );
    assert_eq!(story.said(), ["new"]);
    story.done("a", Reply::Taken);
    story.tell("a", (2, 2), Success, "Passed", "y");
    assert_eq!(
        story.tell("a", (2, 1), Error, "old attempt", "x"),
        [("x", Sent::Superseded)]
    );
    assert_eq!(story.said(), ["Passed"]);
}

#[test]
fn the_same_state_is_not_sent_twice_and_a_moving_place_costs_nothing() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "3 ahead", "x");
    assert_eq!(story.tell("a", (1, 1), Pending, "2 ahead", "y"), []);
    assert_eq!(story.said(), ["2 ahead"]);
    assert_eq!(story.tell("a", (1, 1), Pending, "1 ahead", "z"), []);
    let taken = Sent::Taken(Pending);
    assert_eq!(
        story.done("a", Reply::Taken),
        [
            ("x", taken.clone()),
            ("y", taken.clone()),
            ("z", taken.clone())
        ]
    );
    assert_eq!(
        story.tell("a", (1, 1), Pending, "Running", "x"),
        [("x", taken)]
    );
    assert_eq!(story.said(), Vec::<String>::new());
    story.tell("a", (1, 2), Pending, "attempt 2", "x");
    assert_eq!(story.said(), ["attempt 2"]);
}

#[test]
fn waiters_that_gave_up_do_not_pile_up() {
    let mut story = Story::new();
    for _ in 0..1000 {
        story.tell("a", (1, 1), Pending, "Waiting", "gone");
    }
    story.said();
    assert!(story.done("a", Reply::Taken).len() < 3);
}

#[test]
fn finals_go_before_pendings() {
    let mut story = Story::new();
    for (context, state) in [
        ("a", Pending),
        ("b", Pending),
        ("c", Failure),
        ("d", Success),
    ] {
        story.tell(context, (1, 1), state, context, "x");
    }
    assert_eq!(story.said(), ["c", "d", "a", "b"]);
}

#[test]
fn a_pending_that_becomes_final_moves_up_in_the_line() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "a", "x");
    story.tell("b", (1, 1), Pending, "b", "x");
    story.tell("b", (1, 1), Success, "b!", "x");
    assert_eq!(story.said(), ["b!", "a"]);
}

#[test]
fn eight_requests_are_under_way_at_once_and_no_more() {
    let mut story = Story::new();
    for number in 0..20 {
        story.tell(&number.to_string(), (1, 1), Success, "Passed", "x");
    }
    assert_eq!(story.sends().len(), 8);
    story.done("0", Reply::Taken);
    assert_eq!(story.sends().len(), 1);
}

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
fn a_final_that_came_while_a_pending_failed_goes_instead() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "Waiting", "x");
    story.said();
    story.tell("a", (1, 1), Success, "Passed", "y");
    assert_eq!(story.done("a", away()), [("x", Sent::Superseded)]);
    story.wait();
    assert_eq!(story.said(), ["Passed"]);
}

#[test]
fn a_target_at_rest_is_forgotten_after_a_while_and_not_before() {
    let mut story = Story::new();
    story.tell("a", (2, 1), Success, "Passed", "x");
    story.said();
    story.done("a", Reply::Taken);
    story.pass(REMEMBER - Duration::from_secs(1));
    assert_eq!(
        story.tell("a", (1, 1), Failure, "old", "y"),
        [("y", Sent::Superseded)]
    );
    story.pass(REMEMBER);
    assert_eq!(story.plan.next(story.now()), Next::Idle);
    assert!(story.plan.is_empty());
}

#[test]
fn memory_is_bounded() {
    let mut story = Story::new();
    for number in 0..REMEMBER_MOST + 100 {
        story.tell(&number.to_string(), (1, 1), Success, "Passed", "x");
        for (target, _) in story.sends() {
            story.plan.done(story.now(), &target, Reply::Taken);
        }
    }
    story.said();
    assert!(
        story.plan.len() <= REMEMBER_MOST + 1,
        "{}",
        story.plan.len()
    );
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

#[path = "plan_turn_tests.rs"]
mod turns;
