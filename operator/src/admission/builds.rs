//! Which builds may start at all: what [`guard`](super::guard) needs to know is brought together, and
//! what it decides is carried out.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crds::{BuilderRun, PrBuild, Repository};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    checks::{self, Checks},
    guard::{self, Hold, Verdict, reason},
    ledger,
    limits::{self, Beyond, Contender, Limits, Room, Stand},
    poll::Commit,
    rights::Right,
    set_waiting,
};
use crate::{
    build::{cancel, stop, summary},
    context::{Context, LiveBuild, now, of_build, of_live_builds},
    run::patience,
};

/// A build of which runs wait.
struct Candidate {
    build: Arc<PrBuild>,
    repository: Option<Arc<Repository>>,
    checks: Option<Checks>,
    runs: Vec<Arc<BuilderRun>>,
}

/// Of the runs that wait those whose builds may start. The others learn what they wait for, or are
/// cancelled.
pub(super) async fn may_start(
    ctx: &Arc<Context>,
    waiting: Vec<Arc<BuilderRun>>,
) -> Vec<Arc<BuilderRun>> {
    let candidates = candidates(ctx, waiting);
    let beyond = beyond_limits(ctx, &candidates);
    let mut open = Vec::new();
    for candidate in candidates {
        let limit = beyond.get(candidate.build.metadata.uid.as_deref().unwrap_or_default());
        match verdict(ctx, &candidate, limit) {
            Verdict::Go => {
                let runs = &candidate.runs;
                runs.iter().for_each(|run| patience::let_go(ctx, run));
                note(ctx, &candidate.build, None);
                open.extend(candidate.runs);
            }
            // Nobody is told of a look that takes a moment.
            Verdict::Wait(hold) if hold.reason == reason::CHECKS && candidate.checks.is_none() => {}
            Verdict::Wait(hold) => hold_runs(ctx, &candidate, hold),
            Verdict::Drop(why) => drop_runs(ctx, &candidate, why).await,
        }
    }
    open
}

/// Brings the waiting runs together by build, with what is known of each. Commits that nobody waits
/// for are not looked at any more.
fn candidates(ctx: &Arc<Context>, waiting: Vec<Arc<BuilderRun>>) -> Vec<Candidate> {
    let mut by_build: BTreeMap<String, Vec<Arc<BuilderRun>>> = BTreeMap::new();
    for run in waiting {
        let name = run.spec.pr_build.name.clone();
        by_build.entry(name).or_default().push(run);
    }
    let mut commits = HashSet::new();
    let mut all = Vec::with_capacity(by_build.len());
    for (name, runs) in by_build {
        let Some(build) = ctx.cache.builds.get(&name) else {
            // Each finds out that its build is gone.
            runs.iter()
                .for_each(|run| ctx.queues.runs.add(&run.name_any()));
            continue;
        };
        let request = &build.spec.request;
        let repository = ctx.cache.repositories.get(&request.repository.name);
        let active = repository.as_ref().filter(|found| !found.spec.paused);
        let checks = match active {
            Some(found) if !request.after_checks.is_empty() => {
                look(ctx, &build, found, &mut commits)
            }
            _ => None,
        };
        all.push(Candidate {
            build,
            repository,
            checks,
            runs,
        });
    }
    ctx.admission.polls.retain(&commits);
    all
}

/// How the checks stand that a build waits for; none when nobody knows yet.
fn look(
    ctx: &Arc<Context>,
    build: &PrBuild,
    repository: &Repository,
    commits: &mut HashSet<Commit>,
) -> Option<Checks> {
    let Some((commit, known)) = ctx.admission.polls.look(ctx, build, repository) else {
        let says = "nobody can look at its commit's checks: the connection to GitHub is gone";
        return Some(Checks::Absent(says.to_owned()));
    };
    commits.insert(commit);
    let judged = known
        .said
        .map(|said| checks::judge(&build.spec.request.after_checks, &said));
    match (judged, known.trouble) {
        (Some(Checks::Waiting(_)), Some(trouble)) => Some(Checks::Waiting(trouble)),
        (None | Some(Checks::Absent(_)), Some(trouble)) => Some(Checks::Absent(trouble)),
        (judged, _) => judged,
    }
}

fn verdict(ctx: &Context, candidate: &Candidate, limit: Option<&Beyond>) -> Verdict {
    let (build, repository) = (&candidate.build, candidate.repository.as_deref());
    let verdict = guard::judge(build, repository, candidate.checks.as_ref(), limit);
    if verdict != Verdict::Go {
        return verdict;
    }
    match ctx.admission.rights.of(build, repository, Timestamp::now()) {
        // Asked when a slot could be taken.
        Right::Holds | Right::Ask => Verdict::Go,
        Right::Unknown(hold) => Verdict::Wait(hold),
        Right::Lost(why) => Verdict::Drop(why),
    }
}

/// The builds that their Repository's limits keep waiting, by uid.
fn beyond_limits(ctx: &Context, candidates: &[Candidate]) -> HashMap<String, Beyond> {
    let mut of_repository: BTreeMap<String, (Limits, HashMap<String, Contender>)> = BTreeMap::new();
    for candidate in candidates {
        let Some(repository) = &candidate.repository else {
            continue;
        };
        let guards = &repository.spec.guards;
        let limits = Limits {
            per_pull_request: guards.builds_per_pull_request,
            per_person: guards.builds_per_person,
        };
        if limits.is_none() {
            continue;
        }
        let (_, contenders) = of_repository
            .entry(repository.name_any())
            .or_insert_with(|| (limits, begun(ctx, &repository.name_any())));
        let uid = candidate.build.uid().unwrap_or_default();
        let known = contenders.get(&uid).map(|one| one.stand);
        if known.is_some() || verdict(ctx, candidate, None) == Verdict::Go {
            let room = room(ctx, &candidate.runs);
            let stand = limits::stand(known.is_some(), known == Some(Stand::Runs), room);
            contenders.insert(uid, contender(&candidate.build, stand));
        }
    }
    of_repository
        .into_values()
        .flat_map(|(limits, all)| limits::beyond(limits, all.into_values().collect()))
        .collect()
}

/// The builds of a Repository that have begun and are not over, by uid.
fn begun(ctx: &Context, repository: &str) -> HashMap<String, Contender> {
    let builds = ctx.cache.builds.group(&of_live_builds(repository));
    let begun = builds.iter().filter_map(|build| {
        let runs = ctx
            .cache
            .runs
            .group(&of_build(&build.uid().unwrap_or_default()));
        let begun = runs.iter().any(|run| super::has_had_job(ctx, run));
        let last = summary::last_attempts(&runs);
        let holds = last.values().any(|run| holds(ctx, build, run));
        begun.then(|| contender(build, limits::stand(true, holds, None)))
    });
    begun.map(|one| (one.uid.clone(), one)).collect()
}

/// Whether the last attempt of a builder has a machine, or another attempt is about to be made.
fn holds(ctx: &Context, build: &PrBuild, run: &BuilderRun) -> bool {
    let over = stop::is_over(build, &run.spec.task.builder);
    let runs = !summary::phase_of(run).is_terminal() && super::has_had_job(ctx, run);
    runs || summary::is_retried(run, over)
}

/// The best that the builders of waiting runs could give.
fn room(ctx: &Context, runs: &[Arc<BuilderRun>]) -> Option<Room> {
    let builders = runs
        .iter()
        .filter_map(|run| ctx.cache.builders.get(&run.spec.task.builder));
    let rooms = builders.map(|builder| {
        let limit = builder.spec.max_concurrent;
        match limit.map(|limit| limit - ledger::taken(ctx, &builder)) {
            _ if builder.spec.paused => Room::Paused,
            Some(left) if left <= 0 => Room::Full,
            _ => Room::Free,
        }
    });
    rooms.max()
}

fn contender(build: &PrBuild, stand: Stand) -> Contender {
    let request = &build.spec.request;
    Contender {
        uid: build.uid().unwrap_or_default(),
        order: stop::order(build),
        number: request.number,
        person: request.trigger.user.id,
        login: request.trigger.user.login.clone(),
        stand,
    }
}

/// Notes what keeps a build, or that nothing does, and lets it tell when that is new.
pub(super) fn note(ctx: &Context, build: &PrBuild, hold: Option<&Hold>) {
    let uid = build.uid().unwrap_or_default();
    let is_kept = guard::is_kept(build);
    let news = ctx.live_builds.update(&uid, |live| {
        let news = is_news(live, hold, is_kept);
        live.opened |= news && hold.is_none();
        live.hold = hold.cloned();
        news
    });
    if news {
        ctx.queues.builds.add(&build.name_any());
    }
}

/// Whether it is new to this process what keeps a build, or, after a restart, that nothing does any more of which is
/// written down that it is kept.
fn is_news(live: &LiveBuild, hold: Option<&Hold>, is_kept: bool) -> bool {
    let is_open = hold.is_none() && is_kept && !live.opened;
    live.hold.as_ref() != hold || is_open
}

fn hold_runs(ctx: &Context, candidate: &Candidate, hold: Hold) {
    if hold.queues {
        // What held them until now may have been no queue.
        let runs = &candidate.runs;
        runs.iter().for_each(|run| patience::let_go(ctx, run));
    }
    note(ctx, &candidate.build, Some(&hold));
    for run in &candidate.runs {
        let uid = run.uid().unwrap_or_default();
        set_waiting(ctx, run, &uid, hold.sentence.clone(), hold.ahead);
    }
}

/// Cancels what waits of a build. What runs goes on.
async fn drop_runs(ctx: &Context, candidate: &Candidate, why: String) {
    let hold = Hold::new(reason::DROPPED, why.clone());
    note(ctx, &candidate.build, Some(&hold));
    cancel::runs(ctx, &candidate.runs, &stop::ours(why, now())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_before_a_restart_and_is_not_any_more_is_news_once() {
        let mut live = LiveBuild::default();
        assert!(!is_news(&live, None, false), "nothing kept it");
        assert!(is_news(&live, None, true));
        live.opened = true;
        assert!(!is_news(&live, None, true), "it will be written down");
        let hold = Hold::new(reason::PAUSED, "why");
        assert!(is_news(&live, Some(&hold), true));
        live.hold = Some(hold.clone());
        assert!(!is_news(&live, Some(&hold), true));
        assert!(is_news(&live, None, true));
    }
}
