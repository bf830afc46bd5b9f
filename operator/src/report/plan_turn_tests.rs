//! Turns: results before pendings before texts, quotas of texts, and check runs that are made once.

use super::*;

impl Story {
    /// Sends or speaks, as far as requests may go out without an answer; in order.
    fn order(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            match self.plan.next(self.now()) {
                Next::Send(_, status, _) => all.push(status.description),
                Next::Talk(..) => all.push("a comment".to_owned()),
                Next::Wait(_) | Next::Idle => return all,
            }
        }
    }

    /// Speaks as much as goes now, each time with an answer. How much that was.
    fn talks(&mut self) -> usize {
        let mut said = 0;
        loop {
            let now = self.order().len();
            if now == 0 {
                return said;
            }
            said += now;
            for _ in 0..now {
                let at = self.now();
                self.plan.talked(at, "main", Some(&Reply::Taken));
            }
        }
    }

    fn stands(&mut self, context: &str, id: i64) -> Vec<(&'static str, Sent)> {
        self.done(context, Reply::Stands(id))
    }

    /// What is known of the check run that the next request is about.
    fn standing(&mut self) -> Standing {
        match self.plan.next(self.now()) {
            Next::Send(_, _, standing) => standing,
            other => panic!("there is nothing to send: {other:?}"),
        }
    }
}

#[test]
fn results_go_before_pendings_and_these_before_comments() {
    let mut story = Story::new();
    story.plan.ask("main", Cost::Comment);
    story.tell("a", (1, 1), Pending, "waits", "x");
    story.tell("b", (1, 1), Success, "passed", "x");
    assert_eq!(story.order(), ["passed", "waits", "a comment"]);
}

#[test]
fn what_graphql_says_neither_ends_an_outage_nor_begins_one() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Success, "passed", "x");
    story.plan.ask("main", Cost::Comment);
    assert_eq!(story.order(), ["passed", "a comment"]);
    story.done("a", Reply::Unavailable("away".to_owned()));
    let at = story.now();
    story.plan.talked(at, "main", None);
    assert_eq!(story.order(), Vec::<String>::new(), "nobody is released");
    assert!(story.wait() > Duration::ZERO);
}

#[test]
fn answers_and_reactions_keep_no_build_from_speaking() {
    let mut story = Story::new();
    for _ in 0..500 {
        story.plan.ask("main", Cost::Reaction);
        story.plan.ask("main", Cost::Answer);
    }
    story.plan.pace("main", Duration::ZERO, true);
    // An hour of them, as fast as they go.
    for _ in 0..60 {
        story.talks();
        story.pass(Duration::from_secs(59));
    }
    story.plan.ask("main", Cost::Comment);
    let said = story.order();
    assert_eq!(said, ["a comment"]);
}

#[test]
fn a_label_comes_off_though_no_text_is_left() {
    let mut story = Story::new();
    story.plan.pace("main", Duration::ZERO, true);
    for _ in 0..100 {
        story.plan.ask("main", Cost::Comment);
    }
    story.talks();
    story.plan.ask("main", Cost::Label);
    assert_eq!(story.order(), ["a comment"]);
}

#[test]
fn a_comment_that_is_too_much_for_the_minute_waits_and_results_do_not() {
    let mut story = Story::new();
    for _ in 0..100 {
        story.plan.ask("main", Cost::Comment);
    }
    story.plan.pace("main", Duration::ZERO, true);
    let said = story.talks();
    assert!((70..80).contains(&said), "{said}");
    story.tell("a", (1, 1), Success, "passed", "x");
    assert_eq!(story.order(), ["passed"]);
    story.done("a", Reply::Taken);
    assert_eq!(story.wait(), Duration::from_secs(60));
    assert_eq!(story.order()[0], "a comment");
}

#[test]
fn a_check_run_is_made_once_and_then_changed() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "waits", "x");
    assert_eq!(story.standing(), Standing::default());
    story.stands("a", 7);
    story.tell("a", (1, 1), Success, "passed", "x");
    assert_eq!(story.standing().id, Some(7));
}

#[test]
fn a_newer_build_takes_over_a_check_run_that_waits_and_not_one_that_ended() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "waits", "x");
    story.order();
    story.stands("a", 7);
    story.tell("a", (2, 1), Pending, "waits, too", "y");
    assert_eq!(story.standing().id, Some(7));
    story.stands("a", 7);
    story.tell("a", (2, 1), Success, "passed", "y");
    story.order();
    story.stands("a", 7);
    story.tell("a", (3, 1), Pending, "waits once more", "z");
    assert_eq!(story.standing(), Standing::default());
}

#[test]
fn a_check_run_that_may_have_been_made_is_looked_for() {
    let mut story = Story::new();
    story.tell("a", (1, 1), Pending, "waits", "x");
    assert!(!story.standing().unsure);
    story.done("a", away());
    story.wait();
    assert!(story.standing().unsure);
}

#[test]
fn what_is_known_from_before_a_restart_is_gone_by_once() {
    let mut story = Story::new();
    let known = Standing {
        id: Some(7),
        ..Standing::default()
    };
    story.plan.stands(&target("a"), &by((1, 1)), known);
    story.tell("a", (1, 1), Success, "passed", "x");
    assert_eq!(story.standing().id, Some(7));
    story.stands("a", 7);
    // What stands now is known better than from the object.
    let stale = Standing::default();
    story.plan.stands(&target("a"), &by((1, 1)), stale);
    assert_eq!(story.plan.check_id(&target("a")), Some(7));
}
