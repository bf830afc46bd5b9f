//! Pure: which runs of a build are not wanted any more, and who said so.
//!
//! Two kinds of words stop a run. What stands in the PrBuild (`spec.cancel`, `spec.cancelBuilders`) is
//! the webhook's and people's, and each run reads it there. What the operator finds itself (a newer
//! build, a check that failed, a permission that is gone) it writes into the BuilderRun's own
//! `spec.cancel`, so that it stays true when its cause is forgotten.

use crds::{BuilderRun, Cancel, PrBuild, TriggerKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::report::Order;

/// Who cancels what PrBuild itself cancels.
pub const OURSELVES: &str = "prbuild";

/// What stops a run: its own word, then its build's. `started` says that its steps run: then a
/// cancellation of what waits does not concern it.
pub fn wanted(build: Option<&PrBuild>, run: &BuilderRun, started: bool) -> Option<Cancel> {
    let build = build.map(|build| &build.spec);
    let of_builder = build.and_then(|spec| spec.cancel_builders.get(&run.spec.task.builder));
    let all = [
        run.spec.cancel.as_ref(),
        of_builder,
        build.and_then(|spec| spec.cancel.as_ref()),
    ];
    let concerns = |cancel: &&Cancel| !(started && cancel.waiting_only);
    all.into_iter().flatten().find(concerns).cloned()
}

/// Whether nothing more of a builder is started: neither what waits nor another attempt.
pub fn is_over(build: &PrBuild, builder: &str) -> bool {
    build.spec.cancel.is_some() || build.spec.cancel_builders.contains_key(builder)
}

/// A build's place in time among others.
pub fn order(build: &PrBuild) -> Order {
    let created = build.creation_timestamp().map(|time| time.0);
    Order {
        build_created: created.unwrap_or_default(),
        build: build.name_any(),
        attempt: 0,
    }
}

/// The build that a build repeats, or itself.
pub fn family(build: &PrBuild) -> String {
    let repeats = build.spec.request.rerun_of.clone();
    repeats.unwrap_or_else(|| build.name_any())
}

/// Whether the runs of a build take the place of another build's runs that do something else for the
/// same statuses. A repetition is the newest of its own family only; beside others a family is as
/// old as the build that is repeated, of which `origin` knows the place in time.
pub fn takes_the_place(
    build: &PrBuild,
    of: &PrBuild,
    origin: impl Fn(&str) -> Option<Order>,
) -> bool {
    let (own, other) = (family(build), family(of));
    if own == other {
        return order(build) > order(of);
    }
    let placed = |build: &PrBuild, family: &str| match build.spec.request.rerun_of {
        None => Some(order(build)),
        Some(_) => origin(family),
    };
    // A family whose first build is gone is older than any that has one.
    placed(build, &own) > placed(of, &other)
}

/// The newest of the builds of a pull request that stops an older one: of another commit, and still
/// wanted. A repetition of an old commit is no step forward and stops nothing, and what was made by hand is
/// a repetition, or builds nothing.
pub fn newer<'a>(
    build: &PrBuild,
    of_pull_request: impl IntoIterator<Item = &'a PrBuild>,
) -> Option<&'a PrBuild> {
    let own = order(build);
    let request = &build.spec.request;
    let newer = of_pull_request.into_iter().filter(|other| {
        let asked = &other.spec.request;
        asked.repository.id == request.repository.id
            && asked.number == request.number
            && asked.head_sha != request.head_sha
            && asked.rerun_of.is_none()
            && asked.trigger.kind != TriggerKind::Manual
            && other.spec.cancel.is_none()
            && order(other) > own
    });
    newer.max_by_key(|other| order(other))
}

/// The word that a newer build of another commit was asked for.
pub fn by_newer_build(newer: &PrBuild, at: Time) -> Cancel {
    let login = &newer.spec.request.trigger.user.login;
    ours(
        format!("@{login} started a newer build of another commit"),
        at,
    )
}

/// The word that a newer build runs the same builder on the same commit in another way.
pub fn by_newer_run(newer: &BuilderRun, at: Time) -> Cancel {
    let login = &newer.spec.task.requester;
    ours(format!("@{login} started a newer build of this commit"), at)
}

/// A word of PrBuild's own.
pub fn ours(reason: String, at: Time) -> Cancel {
    Cancel {
        by: OURSELVES.to_owned(),
        reason: reason.chars().take(300).collect(),
        at,
        waiting_only: false,
    }
}

/// The sentence about a cancellation.
pub fn sentence(cancel: &Cancel) -> String {
    if cancel.by == OURSELVES {
        return cancel.reason.clone();
    }
    format!("by {}: {}", cancel.by, cancel.reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::guard::tests::build as base;

    fn cancel(by: &str, waiting_only: bool) -> Cancel {
        Cancel {
            by: by.to_owned(),
            reason: "why".to_owned(),
            at: Time(jiff::Timestamp::UNIX_EPOCH),
            waiting_only,
        }
    }

    fn run() -> BuilderRun {
        let mut task = crate::run::outcome::tests::task();
        task.builder = "debian".to_owned();
        let spec = crds::BuilderRunSpec {
            pr_build: crds::BuildRef::default(),
            attempt: 1,
            task,
            cancel: None,
        };
        BuilderRun::new("app-7-l1-debian-1", spec)
    }

    #[test]
    fn a_run_is_stopped_by_the_nearest_word_and_what_runs_not_by_one_about_what_waits() {
        type Change = fn(&mut PrBuild, &mut BuilderRun);
        let table: [(Change, Option<&str>, Option<&str>); 6] = [
            (|_, _| {}, None, None),
            (
                |build, _| build.spec.cancel = Some(cancel("all", false)),
                Some("all"),
                Some("all"),
            ),
            (
                |build, _| build.spec.cancel = Some(cancel("waiting", true)),
                Some("waiting"),
                None,
            ),
            (
                |build, _| {
                    let one = ("debian".to_owned(), cancel("one", false));
                    build.spec.cancel_builders.extend([one]);
                    build.spec.cancel = Some(cancel("waiting", true));
                },
                Some("one"),
                Some("one"),
            ),
            (
                |build, _| {
                    let other = ("fedora".to_owned(), cancel("other", false));
                    build.spec.cancel_builders.extend([other]);
                },
                None,
                None,
            ),
            (
                |build, run| {
                    build.spec.cancel = Some(cancel("all", false));
                    run.spec.cancel = Some(cancel("run", false));
                },
                Some("run"),
                Some("run"),
            ),
        ];
        for (number, (change, waits, runs)) in table.into_iter().enumerate() {
            let (mut build, mut run) = (base(), run());
            change(&mut build, &mut run);
            let by = |started| wanted(Some(&build), &run, started).map(|cancel| cancel.by);
            assert_eq!(by(false).as_deref(), waits, "{number}, waits");
            assert_eq!(by(true).as_deref(), runs, "{number}, runs");
        }
    }

    fn build(name: &str, second: i64, sha: char) -> PrBuild {
        let mut build = base();
        build.metadata.name = Some(name.to_owned());
        let created = jiff::Timestamp::from_second(second).unwrap();
        build.metadata.creation_timestamp = Some(Time(created));
        build.spec.request.head_sha = String::from(sha).repeat(40);
        build
    }

    #[test]
    fn a_repetition_takes_the_place_of_its_own_family_and_of_no_newer_one() {
        let repeats = |name: &str, second, of: &str| {
            let mut build = build(name, second, 'a');
            build.spec.request.rerun_of = Some(of.to_owned());
            build
        };
        let (first, second) = (build("app-7-l1", 1, 'a'), build("app-7-l2", 2, 'a'));
        let (of_first, of_second) = (
            repeats("app-7-b3", 3, "app-7-l1"),
            repeats("app-7-b4", 4, "app-7-l2"),
        );
        let again = repeats("app-7-b5", 5, "app-7-l1");
        let lost = repeats("app-7-b6", 6, "app-7-l0");
        let origin = |name: &str| {
            let all = [&first, &second];
            all.into_iter()
                .find(|build| build.name_any() == name)
                .map(order)
        };
        for (one, other, expected) in [
            (&second, &first, true),
            (&of_first, &first, true),
            (&again, &of_first, true),
            (&of_first, &second, false),
            (&second, &of_first, true),
            (&again, &of_second, false),
            (&of_second, &again, true),
            (&lost, &first, false),
            (&first, &lost, true),
        ] {
            let names = (one.name_any(), other.name_any());
            assert_eq!(takes_the_place(one, other, origin), expected, "{names:?}");
            let back = takes_the_place(other, one, origin);
            assert_ne!(back, expected, "{names:?}, the other way");
        }
    }

    #[test]
    fn the_newest_build_of_another_commit_of_the_pull_request_stops_the_older_ones() {
        let old = build("app-7-l1", 1, 'a');
        let stops = |others: &[PrBuild]| newer(&old, others).map(ResourceExt::name_any);
        let newest = build("app-7-l3", 3, 'c');
        assert_eq!(
            stops(&[build("app-7-l2", 2, 'b'), newest.clone()]).as_deref(),
            Some("app-7-l3")
        );
        assert_eq!(stops(&[build("app-7-l2", 2, 'a')]), None, "the same commit");
        assert_eq!(stops(&[build("app-7-l0", 0, 'b')]), None, "an older build");
        let mut elsewhere = newest.clone();
        elsewhere.spec.request.number = 8;
        let mut stopped = newest.clone();
        stopped.spec.cancel = Some(cancel("ada", false));
        let mut by_hand = newest.clone();
        by_hand.spec.request.trigger.kind = TriggerKind::Manual;
        let mut repeats = newest;
        repeats.spec.request.rerun_of = Some("app-7-l0".to_owned());
        assert_eq!(stops(&[elsewhere, stopped, by_hand, repeats]), None);
    }
}
