//! Pure: runs of other builds that do the same work, or newer work for the same status.
//!
//! Two builds of one commit may have a builder in common, as when two labels are added at once. It
//! runs once: the run that came second waits for the first and takes over its outcome. When the
//! builder or the test merge changed in between, the work is not the same: then the newer run goes on
//! alone, and the older one stops.

use crds::{BuilderRun, RunPhase, names};

use crate::{build::summary::phase_of, report::Order};

/// A run of another build that speaks for the same status.
#[derive(Clone, Copy, Debug)]
pub struct Other<'a> {
    /// The run.
    pub run: &'a BuilderRun,
    /// Its build's place in time.
    pub order: &'a Order,
    /// It takes the place of the run that is looked at, where it does something else.
    pub newer: bool,
    /// It may have a Job, or has one.
    pub begun: bool,
    /// Its build as a whole waits, or its run is not wanted any more.
    pub held: bool,
    /// It was cancelled, by itself or with its build.
    pub cancelled: bool,
}

/// What the others mean for a run that has not begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Relation<'a> {
    /// It runs by itself.
    Alone,
    /// That run does the same: it is waited for.
    Follows(&'a BuilderRun),
    /// That run is newer and does something else: this one stops.
    Overtaken(&'a BuilderRun),
}

/// What the runs that speak for the same status mean for a run that has not begun.
pub fn relation<'a>(own: &BuilderRun, order: &Order, others: &[Other<'a>]) -> Relation<'a> {
    let live = || {
        others
            .iter()
            .filter(|other| !other.cancelled && !phase_of(other.run).is_terminal())
    };
    let newer = live().filter(|other| {
        let valid = other.run.spec.task.invalid.is_none();
        valid && other.newer && !is_same(own, other.run)
    });
    if let Some(newest) = newer.max_by_key(|other| other.order) {
        return Relation::Overtaken(newest.run);
    }
    let first = live()
        .filter(|other| is_same(own, other.run) && followed(other.run).is_none())
        .filter(|other| other.begun || (other.order < order && !other.held))
        .min_by_key(|other| (!other.begun, other.order));
    first.map_or(Relation::Alone, |first| Relation::Follows(first.run))
}

/// Whether two runs do the same: the same builder as it was at dispatch, on the same tree.
pub fn is_same(one: &BuilderRun, other: &BuilderRun) -> bool {
    let (one, other) = (&one.spec.task, &other.spec.task);
    let valid = one.invalid.is_none() && other.invalid.is_none() && one.recipe.is_some();
    valid
        && one.builder == other.builder
        && one.source == other.source
        && one.recipe == other.recipe
        && one.kubernetes == other.kubernetes
        && one.worker == other.worker
}

/// The same of a run that has ended, whose steps are not at hand any more.
pub fn is_same_work(one: &BuilderRun, ended: &BuilderRun) -> bool {
    let (one, ended) = (&one.spec.task, &ended.spec.task);
    one.builder == ended.builder && one.source == ended.source
}

/// Name of the run that this one follows.
pub fn followed(run: &BuilderRun) -> Option<&str> {
    run.status.as_ref()?.same_as.as_deref()
}

/// A run as one of those that speak for a status.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// The run.
    pub run: &'a BuilderRun,
    /// It may have a Job of its own, or had one.
    pub begun: bool,
    /// It was cancelled, or will be.
    pub cancelled: bool,
}

/// Whether a newer run leaves the word to an older one, because it takes over what comes out of it, or
/// was cancelled before it did anything itself.
pub fn leaves_the_word(newer: Speaker<'_>, to: Speaker<'_>) -> bool {
    // The newer one runs by itself then.
    if to.cancelled && !newer.cancelled {
        return false;
    }
    if followed(newer.run).is_some() {
        return follows(newer.run, to.run);
    }
    match phase_of(newer.run) {
        RunPhase::Queued => !newer.begun && is_same(newer.run, to.run),
        RunPhase::Cancelled => {
            let same = is_same_work(newer.run, to.run) && !newer.begun;
            same || goes_on_after(to.run, newer.run)
        }
        _ => false,
    }
}

/// Whether a run that ended says nothing of that, because an older one brings the result of the same
/// work: it was cancelled and did nothing itself.
pub fn keeps_silent(newer: Speaker<'_>, beside: Speaker<'_>) -> bool {
    let idle = phase_of(newer.run) == RunPhase::Cancelled && !newer.begun;
    let bound = followed(newer.run).is_some();
    let awaited = bound || !phase_of(beside.run).is_terminal();
    idle && awaited && !beside.cancelled && leaves_the_word(newer, beside)
}

/// Whether a run had not ended when the other one did.
fn goes_on_after(run: &BuilderRun, ended: &BuilderRun) -> bool {
    let finished = |run: &BuilderRun| run.status.as_ref()?.finished_at.clone();
    finished(run).is_none_or(|at| finished(ended).is_some_and(|before| before < at))
}

/// Whether a run follows this one, or an earlier attempt of it.
fn follows(run: &BuilderRun, first: &BuilderRun) -> bool {
    let (build, builder) = (&first.spec.pr_build.name, &first.spec.task.builder);
    let is_own = first.metadata.name.as_deref() == followed(run);
    let mut before =
        (1..first.spec.attempt).map(|attempt| names::run_name(build, builder, attempt));
    is_own || before.any(|name| Some(name.as_str()) == followed(run))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn run(name: &str) -> BuilderRun {
        let task = crate::run::outcome::tests::task();
        let spec = crds::BuilderRunSpec {
            pr_build: crds::BuildRef::default(),
            attempt: 1,
            task,
            cancel: None,
        };
        let mut run = BuilderRun::new(name, spec);
        run.status.get_or_insert_default();
        run
    }

    fn at(second: i64) -> Order {
        Order {
            build_created: Timestamp::from_second(second).unwrap(),
            build: "app-7-l1".to_owned(),
            attempt: 0,
        }
    }

    /// The relation of a run of second 5 to one other, by name.
    fn to(change: impl FnOnce(&mut BuilderRun), second: i64, begun: bool, held: bool) -> String {
        let (own, mut run) = (run("own"), run("other"));
        change(&mut run);
        let order = at(second);
        let other = Other {
            run: &run,
            order: &order,
            newer: second > 5,
            begun,
            held,
            cancelled: run.spec.cancel.is_some(),
        };
        match relation(&own, &at(5), &[other]) {
            Relation::Alone => "alone".to_owned(),
            Relation::Follows(_) => "follows".to_owned(),
            Relation::Overtaken(_) => "overtaken".to_owned(),
        }
    }

    #[test]
    fn a_run_follows_an_older_one_that_does_the_same_or_one_that_has_begun() {
        assert_eq!(to(|_| {}, 1, false, false), "follows");
        assert_eq!(
            to(|_| {}, 9, false, false),
            "alone",
            "the newer one follows"
        );
        assert_eq!(
            to(|_| {}, 9, true, false),
            "follows",
            "it has begun already"
        );
        assert_eq!(to(|_| {}, 1, false, true), "alone", "it may not start yet");
        assert_eq!(to(|_| {}, 1, true, true), "follows", "it had begun before");
    }

    #[test]
    fn a_run_that_has_ended_or_is_cancelled_or_follows_is_not_followed() {
        let ended = |run: &mut BuilderRun| {
            run.status.get_or_insert_default().phase = RunPhase::Succeeded;
        };
        assert_eq!(to(ended, 1, true, false), "alone");
        let cancelled = |run: &mut BuilderRun| {
            run.spec.cancel = Some(crate::build::stop::ours(
                String::new(),
                crate::context::now(),
            ));
        };
        assert_eq!(to(cancelled, 1, true, false), "alone");
        let follows = |run: &mut BuilderRun| {
            run.status.get_or_insert_default().same_as = Some("third".to_owned());
        };
        assert_eq!(to(follows, 1, false, false), "alone");
    }

    #[test]
    fn other_work_of_a_newer_build_stops_an_older_run_and_of_an_older_build_nothing() {
        let changed = |run: &mut BuilderRun| {
            if let Some(recipe) = &mut run.spec.task.recipe {
                recipe.timeouts.run_seconds += 1;
            }
        };
        assert_eq!(to(changed, 9, false, false), "overtaken");
        assert_eq!(to(changed, 1, true, false), "alone");
        let elsewhere = |run: &mut BuilderRun| run.spec.task.source.commit = "f".repeat(40);
        assert_eq!(to(elsewhere, 9, true, false), "overtaken");
    }

    #[test]
    fn of_several_the_one_that_has_begun_is_followed_else_the_oldest() {
        let own = run("own");
        let (old, older, begun) = (run("old"), run("older"), run("begun"));
        let (second, first, third) = (at(2), at(1), at(3));
        let other = |run, order, begun| Other {
            run,
            order,
            newer: false,
            begun,
            held: false,
            cancelled: false,
        };
        let two = [other(&old, &second, false), other(&older, &first, false)];
        assert_eq!(relation(&own, &at(5), &two), Relation::Follows(&older));
        let three = [two[0], two[1], other(&begun, &third, true)];
        assert_eq!(relation(&own, &at(5), &three), Relation::Follows(&begun));
    }

    /// `leaves`, and `silent` where the newer run also says nothing of its end.
    fn word(
        newer: impl FnOnce(&mut BuilderRun),
        begun: bool,
        to: impl FnOnce(&mut BuilderRun),
    ) -> &'static str {
        let (mut one, mut other) = (run("newer"), run("older"));
        newer(&mut one);
        to(&mut other);
        let speaker = |run, begun| Speaker {
            run,
            begun,
            cancelled: phase_of(run) == RunPhase::Cancelled || run.spec.cancel.is_some(),
        };
        let (newer, to) = (speaker(&one, begun), speaker(&other, true));
        match (leaves_the_word(newer, to), keeps_silent(newer, to)) {
            (true, true) => "silent",
            (true, false) => "leaves",
            (false, false) => "speaks",
            (false, true) => "neither speaks",
        }
    }

    /// It ended so, if it ended, in second 5.
    fn ends(phase: RunPhase) -> impl Fn(&mut BuilderRun) {
        move |run| {
            let at = Timestamp::from_second(5).unwrap();
            let status = run.status.get_or_insert_default();
            status.phase = phase;
            status.finished_at = phase.is_terminal().then_some(Time(at));
        }
    }

    fn follower(phase: RunPhase) -> impl Fn(&mut BuilderRun) {
        move |run| {
            let status = run.status.get_or_insert_default();
            (status.phase, status.same_as) = (phase, Some("older".to_owned()));
        }
    }

    #[test]
    fn a_run_that_is_cancelled_and_never_began_leaves_the_word_to_the_one_that_brings_a_result() {
        use RunPhase::{Cancelled, Failed, Queued, Running, Succeeded};
        let late = |second| {
            move |run: &mut BuilderRun| {
                ends(Succeeded)(run);
                let at = Timestamp::from_second(second).unwrap();
                run.status.get_or_insert_default().finished_at = Some(Time(at));
            }
        };
        let stopped = |run: &mut BuilderRun| {
            let word = crate::build::stop::ours(String::new(), crate::context::now());
            run.spec.cancel = Some(word);
        };
        let both = |run: &mut BuilderRun| {
            follower(Queued)(run);
            stopped(run);
        };
        let elsewhere = |run: &mut BuilderRun| {
            run.spec.task.source.commit = "f".repeat(40);
            ends(Cancelled)(run);
        };
        for (told, expected) in [
            (word(follower(Cancelled), false, ends(Running)), "silent"),
            (word(follower(Cancelled), false, ends(Failed)), "silent"),
            (word(ends(Cancelled), false, ends(Running)), "silent"),
            (word(ends(Cancelled), false, ends(Succeeded)), "leaves"),
            (word(ends(Cancelled), true, ends(Running)), "leaves"),
            (word(ends(Cancelled), true, late(1)), "speaks"),
            (word(ends(Cancelled), true, late(9)), "leaves"),
            (word(elsewhere, false, ends(Running)), "silent"),
            (word(elsewhere, false, late(1)), "speaks"),
            (word(follower(Queued), false, ends(Succeeded)), "leaves"),
            (word(follower(Queued), false, ends(Cancelled)), "speaks"),
            (word(both, false, ends(Cancelled)), "leaves"),
            (word(follower(Cancelled), false, stopped), "leaves"),
            (word(follower(Succeeded), false, ends(Succeeded)), "leaves"),
            (word(ends(Running), true, ends(Running)), "speaks"),
        ]
        .into_iter()
        .enumerate()
        .map(|(number, (told, expected))| ((number, told), (number, expected)))
        {
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_run_that_follows_an_attempt_follows_those_that_come_after_it() {
        let (mut newer, mut second) = (run("newer"), run("second"));
        second.spec.pr_build.name = "app-7-l1".to_owned();
        second.spec.attempt = 2;
        let first = names::run_name("app-7-l1", &second.spec.task.builder, 1);
        newer.status.get_or_insert_default().same_as = Some(first);
        assert!(follows(&newer, &second));
        second.spec.pr_build.name = "app-8-l1".to_owned();
        assert!(!follows(&newer, &second));
    }
}
