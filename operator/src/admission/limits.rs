//! Pure: which builds may run beside each other, where a Repository limits them.
//!
//! First come, first served: a build that runs keeps its place, and what is left goes to those that
//! came first. A build that waits for one of the two limits takes no place of the other.
//!
//! A build takes a place while it has a machine. One whose last runs wait for a paused or full builder
//! lets others go on, and goes on itself when its builder lets it: it has waited for its place once.
//! One that has not begun and waits for a full builder keeps a place if it is the first to do so: else
//! newer ones might always be quicker.

use std::collections::{HashMap, HashSet};

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
    /// How far it is.
    pub stand: Stand,
}

/// How far a build is, for the places that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// A run of it has a machine, or has begun before and could have one now.
    Runs,
    /// It has begun, and what is left of it waits for builders that are paused or full.
    Idle,
    /// It has not begun and could.
    Ready,
    /// It has not begun, and its builders are full.
    Queued,
    /// It has not begun, and its builders are paused.
    Stuck,
}

/// What the builder of a waiting run could give it, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// It is paused.
    Paused,
    /// All its slots are taken.
    Full,
    /// It has a free slot, or no limit.
    Free,
}

/// How far a build is: whether it has begun, whether a run of it has a machine now, and the best that
/// the builders of its waiting runs could give.
pub fn stand(begun: bool, holds: bool, room: Option<Room>) -> Stand {
    match (begun, room) {
        _ if holds => Stand::Runs,
        (true, Some(Room::Free)) => Stand::Runs,
        (true, _) => Stand::Idle,
        (false, Some(Room::Free) | None) => Stand::Ready,
        (false, Some(Room::Full)) => Stand::Queued,
        (false, Some(Room::Paused)) => Stand::Stuck,
    }
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
    let runs = |one: &Contender| one.stand == Stand::Runs;
    all.sort_by(|a, b| (!runs(a), &a.order).cmp(&(!runs(b), &b.order)));
    let (mut of_pull, mut of_person) = (Tally::default(), Tally::default());
    let mut wait = HashMap::new();
    for one in all {
        if matches!(one.stand, Stand::Idle | Stand::Stuck) {
            continue;
        }
        let pull = of_pull.is_full(one.number, limits.per_pull_request);
        let person = of_person.is_full(one.person, limits.per_person);
        if runs(&one) || (!pull && !person) {
            // Each queue has one that is next.
            let queued = one.stand == Stand::Queued;
            let (next, first) = (of_pull.is_next(one.number), of_person.is_next(one.person));
            if !queued || (next && first) {
                of_pull.take(one.number, queued);
                of_person.take(one.person, queued);
            }
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
    /// Of which a place is kept for a build that waits for a full builder.
    kept: HashSet<i64>,
    waiting: HashMap<i64, i32>,
}

impl Tally {
    fn is_full(&self, of: i64, limit: Option<i64>) -> bool {
        limit.is_some_and(|limit| self.taken(of) >= limit)
    }

    fn taken(&self, of: i64) -> i64 {
        self.taken.get(&of).copied().unwrap_or(0)
    }

    fn is_next(&self, of: i64) -> bool {
        !self.kept.contains(&of)
    }

    fn take(&mut self, of: i64, queued: bool) {
        *self.taken.entry(of).or_default() += 1;
        if queued {
            self.kept.insert(of);
        }
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
            stand: if started { Stand::Runs } else { Stand::Ready },
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

    #[test]
    fn a_build_that_waits_for_a_paused_or_full_builder_keeps_nobody_from_running() {
        use Stand::{Idle, Queued, Ready, Runs, Stuck};
        // Builds of one pull request, oldest first; which of them wait.
        let table: [(i64, &[Stand], &[usize]); 11] = [
            (1, &[Idle, Ready], &[]),
            (1, &[Idle, Ready, Ready], &[2]),
            (1, &[Stuck, Ready], &[]),
            (1, &[Idle, Stuck, Runs, Ready], &[3]),
            // It goes on when its builder lets it, and nobody begins beside it.
            (1, &[Runs, Runs, Ready], &[2]),
            // Who is first keeps the place, so that it comes to its turn.
            (1, &[Queued, Ready], &[1]),
            (1, &[Ready, Queued], &[1]),
            (2, &[Queued, Ready], &[]),
            // One of them, not all.
            (2, &[Queued, Queued, Queued, Ready], &[]),
            (2, &[Queued, Queued, Ready, Ready], &[3]),
            (2, &[Stuck, Stuck, Idle, Ready, Ready], &[]),
        ];
        for (limit, stands, expected) in table {
            let limits = Limits {
                per_pull_request: Some(limit),
                per_person: None,
            };
            let all = stands.iter().zip(0..).map(|(stand, second)| Contender {
                stand: *stand,
                ..build(&second.to_string(), second, 7, ADA, false)
            });
            let waiting = waits(limits, all.collect());
            let waiting: Vec<usize> = waiting.iter().map(|one| one.0.parse().unwrap()).collect();
            assert_eq!(waiting, expected, "{limit}: {stands:?}");
        }
    }

    #[test]
    fn somebody_can_always_go_on_who_has_a_builder_to_run_on() {
        use Stand::{Idle, Queued, Ready, Runs, Stuck};
        let all = [Runs, Idle, Ready, Queued, Stuck];
        for number in 0..all.len().pow(4) {
            let stands = (0..4).map(|place| all[number / all.len().pow(place) % all.len()]);
            let builds: Vec<Contender> = stands
                .zip(0..)
                .map(|(stand, second)| Contender {
                    stand,
                    ..build(&second.to_string(), second, 7, ADA, false)
                })
                .collect();
            let waiting = beyond(PULL, builds.clone());
            let moves = |one: &&Contender| matches!(one.stand, Runs | Ready | Queued);
            let mut free = builds.iter().filter(|one| !waiting.contains_key(&one.uid));
            assert_eq!(
                free.any(|one| moves(&one)),
                builds.iter().any(|one| moves(&one)),
                "{builds:?}"
            );
        }
    }

    #[test]
    fn how_far_a_build_is_says_what_it_holds_and_what_it_could_get() {
        for (begun, holds, room, expected) in [
            (true, true, Some(Room::Paused), Stand::Runs),
            (true, false, Some(Room::Free), Stand::Runs),
            (true, false, Some(Room::Full), Stand::Idle),
            (true, false, Some(Room::Paused), Stand::Idle),
            (true, false, None, Stand::Idle),
            (false, false, Some(Room::Free), Stand::Ready),
            (false, false, Some(Room::Full), Stand::Queued),
            (false, false, Some(Room::Paused), Stand::Stuck),
        ] {
            assert_eq!(
                stand(begun, holds, room),
                expected,
                "{begun} {holds} {room:?}"
            );
        }
    }
}
