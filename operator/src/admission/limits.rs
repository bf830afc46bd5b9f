//! Pure: which builds may run beside each other, where a Repository limits them.
//!
//! First come, first served: a build that has started keeps its place, and what is left goes to those
//! that came first. A build that waits for one of the two limits takes no place of the other.

use std::collections::HashMap;

use crate::report::Order;

/// A build that runs, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender {
    /// uid of the build.
    pub uid: String,
    /// Its place in time.
    pub order: Order,
    /// The pull request.
    pub number: i64,
    /// Numeric id of the person who asked.
    pub person: i64,
    /// Login of that person.
    pub login: String,
    /// A run of it has begun.
    pub started: bool,
}

/// `guards.buildsPerPullRequest` and `guards.buildsPerPerson`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Builds of one pull request at a time.
    pub per_pull_request: Option<i64>,
    /// Builds of one person at a time.
    pub per_person: Option<i64>,
}

impl Limits {
    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self.per_pull_request.is_none() && self.per_person.is_none()
    }
}

/// A build that waits for another one's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Why, and when it goes on.
    pub sentence: String,
    /// Builds before it that wait for the same.
    pub ahead: i32,
}

/// The builds that have to wait, by uid.
pub fn beyond(limits: Limits, mut all: Vec<Contender>) -> HashMap<String, Beyond> {
    if limits.is_none() {
        return HashMap::new();
    }
    all.sort_by(|a, b| (!a.started, &a.order).cmp(&(!b.started, &b.order)));
    let (mut of_pull, mut of_person) = (Tally::default(), Tally::default());
    let mut wait = HashMap::new();
    for one in all {
        let pull = of_pull.is_full(one.number, limits.per_pull_request);
        let person = of_person.is_full(one.person, limits.per_person);
        if one.started || (!pull && !person) {
            of_pull.take(one.number);
            of_person.take(one.person);
            continue;
        }
        let (says, running, ahead) = if person {
            let running = of_person.taken(one.person);
            let builds = builds(running);
            let says = format!("@{} has {builds} running here, the limit", one.login);
            (says, running, of_person.wait(one.person))
        } else {
            let running = of_pull.taken(one.number);
            let builds = builds(running);
            let says = format!("this pull request has {builds} running, the limit");
            (says, running, of_pull.wait(one.number))
        };
        let when = if running == 1 { "it" } else { "one of them" };
        let sentence = format!("{says}; goes on when {when} ends");
        wait.insert(one.uid, Beyond { sentence, ahead });
    }
    wait
}

fn builds(running: i64) -> String {
    match running {
        1 => "1 build".to_owned(),
        more => format!("{more} builds"),
    }
}

/// Places that are taken, and builds that wait for one, by pull request or person.
#[derive(Default)]
struct Tally {
    taken: HashMap<i64, i64>,
    waiting: HashMap<i64, i32>,
}

impl Tally {
    fn is_full(&self, of: i64, limit: Option<i64>) -> bool {
        limit.is_some_and(|limit| self.taken(of) >= limit)
    }

    fn taken(&self, of: i64) -> i64 {
        self.taken.get(&of).copied().unwrap_or(0)
    }

    fn take(&mut self, of: i64) {
        *self.taken.entry(of).or_default() += 1;
    }

    /// Joins the line; answers with how many were in it.
    fn wait(&mut self, of: i64) -> i32 {
        let line = self.waiting.entry(of).or_default();
        *line += 1;
        *line - 1
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const ADA: i64 = 1;
    const GRACE: i64 = 2;

    fn build(uid: &str, second: i64, number: i64, person: i64, started: bool) -> Contender {
        Contender {
            uid: uid.to_owned(),
            order: Order {
                build_created: Timestamp::from_second(second).unwrap(),
                build: uid.to_owned(),
                attempt: 0,
            },
            number,
            person,
            login: if person == ADA { "ada" } else { "grace" }.to_owned(),
            started,
        }
    }

    fn waits(limits: Limits, all: Vec<Contender>) -> Vec<(String, String, i32)> {
        let waiting = beyond(limits, all);
        let mut waiting: Vec<_> = waiting
            .into_iter()
            .map(|(uid, beyond)| (uid, beyond.sentence, beyond.ahead))
            .collect();
        waiting.sort();
        waiting
    }

    const PERSON: Limits = Limits {
        per_pull_request: None,
        per_person: Some(2),
    };
    const PULL: Limits = Limits {
        per_pull_request: Some(1),
        per_person: None,
    };

    #[test]
    fn a_persons_builds_beyond_the_limit_wait_and_say_when_they_go_on() {
        let says =
            "@ada has 2 builds running here, the limit; goes on when one of them ends".to_owned();
        let all = vec![
            build("d", 4, 4, ADA, false),
            build("c", 3, 3, ADA, false),
            build("a", 1, 1, ADA, true),
            build("b", 2, 2, ADA, false),
            build("g", 5, 5, GRACE, false),
        ];
        assert_eq!(
            waits(PERSON, all),
            [("c".into(), says.clone(), 0), ("d".into(), says, 1)]
        );
    }

    #[test]
    fn the_builds_of_a_pull_request_run_one_after_the_other_whoever_asked() {
        let says = "this pull request has 1 build running, the limit; goes on when it ends";
        let all = vec![
            build("a", 1, 7, ADA, false),
            build("b", 2, 7, GRACE, false),
            build("c", 3, 8, GRACE, false),
        ];
        assert_eq!(waits(PULL, all), [("b".into(), says.into(), 0)]);
    }

    #[test]
    fn a_build_that_has_started_keeps_its_place_before_an_older_one() {
        let all = vec![
            build("old", 1, 7, ADA, false),
            build("new", 2, 7, ADA, true),
        ];
        let waiting = waits(PULL, all);
        assert_eq!(waiting[0].0, "old");
    }

    #[test]
    fn who_waits_for_one_limit_takes_no_place_of_the_other() {
        let limits = Limits {
            per_pull_request: Some(1),
            per_person: Some(1),
        };
        let all = vec![
            build("a", 1, 7, ADA, true),
            build("b", 2, 7, GRACE, false),
            build("c", 3, 8, GRACE, false),
        ];
        let waiting: Vec<String> = waits(limits, all).into_iter().map(|one| one.0).collect();
        assert_eq!(waiting, ["b"], "grace's other build goes on");
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let all = vec![build("a", 1, 7, ADA, true), build("b", 2, 7, ADA, false)];
        assert_eq!(waits(Limits::default(), all), []);
    }
}
