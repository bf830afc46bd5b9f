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

#[path = "plan_trouble_tests.rs"]
mod trouble;
#[path = "plan_turn_tests.rs"]
mod turns;
