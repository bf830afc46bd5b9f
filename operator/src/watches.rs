//! What the API server tells: a watch for each kind feeds its cache, and every change the queues.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use crds::{Answer, Assignment, Builder, BuilderRun, PrBuild, Repository, Worker, condition::kind};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{events::EventType, watcher::Config as Watch},
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    build::summary::phase_of,
    cache::{Cache, Change, Lean, Parts, Unread, follow},
    context::{Caches, Context, of_uid, of_worker, trim_run},
    housekeeping,
    queue::Queue,
    run::{self, job::LABEL, pod::PodView, slim::SlimPod},
    worker::notify,
};

/// Pause after a change of a Builder before Repositories are looked at.
const SETTLE: Duration = Duration::from_millis(50);
/// Kinds that are watched.
const KINDS: usize = 8;

/// Starts a watch for each kind. The barrier opens when each has brought a complete list: nothing is
/// admitted before.
pub fn watch_all(
    ctx: &Arc<Context>,
    objects: &str,
    builds: &str,
    tasks: &mut JoinSet<()>,
) -> Arc<Barrier> {
    let barrier = Arc::new(Barrier::new(KINDS + 1));
    let mut watches = Watches {
        ctx,
        namespace: objects,
        barrier: &barrier,
        tasks,
    };
    watches.of::<Repository>(|all| &all.repositories, |one| one, repository_changed);
    watches.of::<Builder>(|all| &all.builders, |one| one, builder_changed);
    watches.of::<PrBuild>(|all| &all.builds, |one| one, build_changed);
    watches.of::<BuilderRun>(|all| &all.runs, trim_run, run_changed);
    watches.of::<Answer>(|all| &all.answers, |one| one, answer_changed);
    watches.of::<Worker>(|all| &all.workers, |one| one, worker_changed);
    watches.of::<Assignment>(|all| &all.assignments, |one| one, assignment_changed);
    watches.of_pods(builds);
    barrier
}

/// The watches that are being started.
struct Watches<'a> {
    ctx: &'a Arc<Context>,
    namespace: &'a str,
    barrier: &'a Arc<Barrier>,
    tasks: &'a mut JoinSet<()>,
}

impl Watches<'_> {
    /// Watches one of our kinds.
    fn of<K>(
        &mut self,
        cache: fn(&Caches) -> &Cache<K>,
        trim: fn(K) -> K,
        changed: fn(&Arc<Context>, Change<K>),
    ) where
        K: Parts + Resource<Scope = NamespaceResourceScope> + Debug + Send + Sync + 'static,
    {
        let (ctx, ready) = (self.ctx.clone(), opens(self.barrier));
        let api: Api<Unread<Lean<K>>> = Api::namespaced(ctx.client.clone(), self.namespace);
        self.tasks.spawn(async move {
            let (trim, changed) = (|Lean(one)| trim(one), |change| changed(&ctx, change));
            follow(
                api,
                Watch::default(),
                cache(&ctx.cache),
                trim,
                ready,
                changed,
            )
            .await;
        });
    }

    /// Watches the pods of our Jobs.
    fn of_pods(&mut self, namespace: &str) {
        let (ctx, ready) = (self.ctx.clone(), opens(self.barrier));
        let api: Api<Unread<SlimPod>> = Api::namespaced(ctx.client.clone(), namespace);
        self.tasks.spawn(async move {
            let changed = |change| pod_changed(&ctx, change);
            let ours = Watch::default().labels(LABEL);
            follow(api, ours, &ctx.cache.pods, PodView::of, ready, changed).await;
        });
    }
}

/// Passes the barrier once, when the first list is complete.
fn opens(barrier: &Arc<Barrier>) -> impl Fn() + use<> {
    let barrier = Mutex::new(Some(barrier.clone()));
    move || {
        let first = barrier
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(barrier) = first {
            tokio::spawn(async move { barrier.wait().await });
        }
    }
}

fn enqueue<K: ResourceExt>(queue: &Queue, object: Option<&K>) {
    if let Some(object) = object {
        queue.add(&object.name_any());
    }
}

fn repository_changed(ctx: &Arc<Context>, change: Change<Repository>) {
    let spec = |one: &Option<Arc<Repository>>| one.as_ref().map(|one| one.metadata.generation);
    if spec(&change.old) != spec(&change.new) {
        enqueue(&ctx.queues.repositories, change.new.as_deref());
        // Paused, somebody denied, a limit: what waits may go on, or not at all.
        ctx.admission.wake();
        // Runs that ended while it was gone have somebody to tell again.
        let untold = |run: &Arc<BuilderRun>| {
            let report = run
                .status
                .as_ref()
                .and_then(|status| status.report.as_ref());
            report.is_some_and(|report| report.error.is_some())
        };
        let runs = ctx.cache.runs.all();
        runs.iter()
            .filter(|run| untold(run))
            .for_each(|run| ctx.queues.runs.add(&run.name_any()));
        // So have builds of which a run was deleted.
        let builds = ctx.cache.builds.all();
        builds
            .iter()
            .filter(|build| !build.holds(kind::REPORTED))
            .for_each(|build| ctx.queues.builds.add(&build.name_any()));
    }
    if change.new.is_none() {
        // A duplicate may be the rightful one now.
        ctx.cache
            .repositories
            .all()
            .iter()
            .for_each(|other| ctx.queues.repositories.add(&other.name_any()));
    }
}

fn builder_changed(ctx: &Arc<Context>, change: Change<Builder>) {
    // What we wrote ourselves, its ledger above all, makes it no other Builder.
    if !change.echo {
        enqueue(&ctx.queues.builders, change.new.as_deref());
    }
    let spec = |builder: &Option<Arc<Builder>>| {
        builder.as_ref().map(|builder| builder.metadata.generation)
    };
    if spec(&change.old) != spec(&change.new) {
        // Display names are unique among builders, and labels select them.
        ctx.cache
            .builders
            .all()
            .iter()
            .for_each(|other| ctx.queues.builders.add(&other.name_any()));
        for repository in ctx.cache.repositories.all() {
            // A look asks GitHub: a fleet that is applied at once is one look.
            ctx.queues
                .repositories
                .add_after(&repository.name_any(), SETTLE);
        }
    }
    ctx.admission.wake();
}

fn build_changed(ctx: &Arc<Context>, change: Change<PrBuild>) {
    // Its status, as the look has just written it.
    if change.echo {
        return;
    }
    match (&change.old, &change.new) {
        (old, Some(build)) => {
            if old.is_none() && build.status.is_none() && ctx.acting.load(Ordering::Relaxed) {
                let uid = build.uid().unwrap_or_default();
                // It was born under our eyes: no comment of ours can stand yet.
                ctx.live_builds.update(&uid, |live| {
                    live.maybe_posted = false;
                    live.born_here = true;
                });
            }
            ctx.queues.builds.add(&build.name_any());
        }
        (Some(build), None) => housekeeping::after_build_deleted(ctx, build),
        (None, None) => {}
    }
}

fn answer_changed(ctx: &Arc<Context>, change: Change<Answer>) {
    if let (None, Some(answer)) = (&change.old, &change.new)
        && answer.status.is_none()
        && ctx.acting.load(Ordering::Relaxed)
    {
        let uid = answer.uid().unwrap_or_default();
        ctx.live_builds
            .update(&uid, |live| live.maybe_posted = false);
    }
    if let (Some(answer), None) = (&change.old, &change.new) {
        // It may never have been given: its Repository is gone.
        ctx.live_builds.forget(&answer.uid().unwrap_or_default());
    }
    enqueue(&ctx.queues.answers, change.new.as_deref());
}

fn run_changed(ctx: &Arc<Context>, change: Change<BuilderRun>) {
    match (&change.old, &change.new) {
        // Whoever made it has put it into the queue, and who wrote how it ended has seen to the rest.
        (_, Some(run)) if change.echo && (is_untouched(run) || phase_of(run).is_terminal()) => {}
        (_, Some(run)) => ctx.queues.runs.add(&run.name_any()),
        (Some(run), None) => {
            run::tell_followers(ctx, run);
            housekeeping::note_deleted(ctx, run);
            let (ctx, run) = (ctx.clone(), run.clone());
            tokio::spawn(async move {
                if let Err(error) = housekeeping::after_run_deleted(&ctx, &run).await {
                    tracing::warn!(run = run.name_any(), %error, "the Job of a deleted run could not be deleted; housekeeping comes by");
                }
            });
        }
        (None, None) => {}
    }
}

/// Whether nothing was written into a run since it was made.
fn is_untouched(run: &BuilderRun) -> bool {
    run.status.is_none() && run.spec.cancel.is_none()
}

fn worker_changed(ctx: &Arc<Context>, change: Change<Worker>) {
    let Some(worker) = change.new.as_ref().or(change.old.as_ref()) else {
        return;
    };
    let old = change.old.as_deref();
    if old.is_some_and(|old| {
        change
            .new
            .as_deref()
            .is_some_and(|new| stands_as_before(old, new))
    }) {
        return;
    }
    if let (Some(notifier), Some(new)) = (&ctx.notifier, &change.new)
        && let Some(news) = notify::news(change.old.as_deref(), new)
    {
        notifier.tell(news);
    }
    if let Some(new) = &change.new {
        let warnings = notify::warnings(change.old.as_deref(), new);
        let (ctx, new) = (ctx.clone(), new.clone());
        if !warnings.is_empty() {
            tokio::spawn(async move {
                for (reason, note) in warnings {
                    let about = new.as_ref();
                    ctx.event(about, EventType::Warning, reason, note).await;
                }
            });
        }
    }
    // It went away or came back: its runs say so, and others wait or begin.
    for assignment in ctx.cache.assignments.group(&of_worker(&worker.name_any())) {
        ctx.queues.runs.add(&assignment.spec.run.name);
    }
    ctx.admission.wake();
}

/// Whether a worker changed in nothing that a run or a person waits for: it opened its next session, or has other
/// runs in hand, which their assignments tell.
fn stands_as_before(old: &Worker, new: &Worker) -> bool {
    let of = |worker: &Worker| {
        let status = worker.status.clone().unwrap_or_default();
        (status.conditions, status.offline_since)
    };
    old.uid() == new.uid() && old.spec == new.spec && of(old) == of(new)
}

fn assignment_changed(ctx: &Arc<Context>, change: Change<Assignment>) {
    if let Some(assignment) = change.new.as_ref().or(change.old.as_ref()) {
        ctx.queues.runs.add(&assignment.spec.run.name);
        ctx.admission.wake();
    }
}

fn pod_changed(ctx: &Context, change: Change<PodView>) {
    // Most of what happens to a pod says nothing of its run: the Job controller lets go of it, say.
    if change.old == change.new {
        return;
    }
    let Some(pod) = change.new.as_ref().or(change.old.as_ref()) else {
        return;
    };
    let runs = ctx.cache.runs.group(&of_uid(&pod.run_uid));
    // What becomes of a pod after the end of its run is nobody's result.
    for run in runs.iter().filter(|run| !phase_of(run).is_terminal()) {
        ctx.queues.runs.add(&run.name_any());
    }
    let held = |pod: &Option<Arc<PodView>>| pod.as_ref().is_some_and(|pod| !pod.has_ended());
    if held(&change.old) && !held(&change.new) {
        ctx.admission.wake();
    }
}
