//! Pure: which runs of a build are not wanted any more, and who said so.
//!
//! Two kinds of words stop a run. What stands in the PrBuild (`spec.cancel`, `spec.cancelBuilders`) is
//! the webhook's and people's, and each run reads it there. What the operator finds itself (a newer
//! build, a check that failed, a permission that is gone) it writes into the BuilderRun's own
//! `spec.cancel`, so that it stays true when its cause is forgotten.

use crds::{BuilderRun, Cancel, PrBuild};
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

/// The newest of the builds of a pull request that stops an older one: of another commit, and still
/// wanted. A repetition of an old commit is no step forward and stops nothing.
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
        let mut repeats = newest;
        repeats.spec.request.rerun_of = Some("app-7-l0".to_owned());
        assert_eq!(stops(&[elsewhere, stopped, repeats]), None);
    }
}
