//! Wiring: caches feed queues, queues feed reconciles. No decision is made here.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use crds::{Answer, Builder, BuilderRun, PrBuild, Repository};
use github::{Access, Connections};
use kube::{Api, Client, ResourceExt, runtime::watcher::Config as Watch};
use tokio::{
    net::TcpListener,
    sync::{Barrier, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Admission,
    answers, build,
    cache::{Change, Guarded, follow},
    context::{Apis, Caches, Context, Live, LiveBuilds, Queues, of_uid, trim, trim_run},
    housekeeping, leader,
    metrics::{self, Metrics},
    queue::Queue,
    report::Reporter,
    run::{
        self,
        job::{LABEL, Setup},
        pod::PodView,
        slim::SlimPod,
    },
    specs,
};

/// Reconciles of one kind that are under way at a time.
const AT_A_TIME: usize = 64;

/// Pause after a change of a Builder before Repositories are looked at.
const SETTLE: Duration = Duration::from_millis(50);

/// The operator of PrBuild: turns PrBuilds into Jobs, and their outcomes into statuses on GitHub.
#[derive(Parser, Debug)]
#[command(name = "prbuild-operator", version)]
pub struct Args {
    /// Namespace of the objects: Repository, Builder, PrBuild …
    #[arg(long, env = "PRBUILD_NAMESPACE")]
    pub namespace: String,
    /// Namespace that Jobs run in.
    #[arg(long, env = "PRBUILD_BUILD_NAMESPACE")]
    pub build_namespace: String,
    /// Directory with one subdirectory a connection, as mounted from Secrets.
    #[arg(long, env = "PRBUILD_CONNECTIONS")]
    pub connections: PathBuf,
    /// Image with git and the agent, which checks the code out.
    #[arg(long, env = "PRBUILD_CHECKOUT_IMAGE")]
    pub checkout_image: String,
    /// ServiceAccount of build pods.
    #[arg(long, default_value = "prbuild-build")]
    pub build_service_account: String,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, default_value = "0.0.0.0:9090")]
    pub metrics: std::net::SocketAddr,
    /// Name of this process in the Lease.
    #[arg(long, env = "POD_NAME", default_value_t = identity())]
    pub identity: String,
}

/// Host name and process: in the cluster the host is the pod.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No cluster.
    #[error(
        "the Kubernetes API cannot be reached: {0}; check KUBECONFIG, or run inside the cluster"
    )]
    Client(#[from] kube::Error),
    /// No cluster configuration.
    #[error("there is no Kubernetes configuration: {0}; set KUBECONFIG, or run inside the cluster")]
    Config(#[from] kube::config::InferConfigError),
    /// No connections.
    #[error("{0}")]
    Connections(#[from] github::ConnectionError),
    /// The metrics address is taken.
    #[error("cannot listen on {address} for metrics: {source}; choose another with --metrics")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Leading ended.
    #[error(transparent)]
    Leader(#[from] leader::LeaderError),
}

/// Runs the operator until `stop`.
pub async fn run(args: Args, stop: CancellationToken) -> Result<(), AppError> {
    let client = Client::try_from(kube::Config::infer().await?)?;
    let connections = Connections::load(&args.connections, Access::Report)?;
    connections.spawn_reload(stop.clone());
    let metrics = Arc::new(Metrics::default());
    serve_metrics(&args, metrics.clone(), stop.clone()).await?;
    let (namespace, identity) = (args.namespace.clone(), args.identity.clone());
    let work = |stop| operate(args, client.clone(), connections, metrics, stop);
    leader::lead(client.clone(), &namespace, identity, stop, work).await?;
    Ok(())
}

async fn serve_metrics(
    args: &Args,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), AppError> {
    let address = args.metrics;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| AppError::Listen { address, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!("metrics on {address}");
    }
    let server = axum::serve(listener, metrics::router(metrics));
    tokio::spawn(async move {
        let _ = server.with_graceful_shutdown(stop.cancelled_owned()).await;
    });
    Ok(())
}

/// Leads: reads everything anew, then acts.
async fn operate(
    args: Args,
    client: Client,
    connections: Arc<Connections>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let reporter = Reporter::spawn(connections.clone(), stop.clone());
    metrics.with_registry(|registry| reporter.metrics().register(registry));
    let ctx = Arc::new(Context {
        api: Apis::new(&client, &args.namespace, &args.build_namespace),
        cache: Caches::default(),
        queues: Queues::default(),
        admission: Admission::default(),
        live: Live::default(),
        live_builds: LiveBuilds::default(),
        setup: Setup {
            namespace: args.build_namespace.clone(),
            checkout_image: args.checkout_image.clone(),
            service_account: args.build_service_account.clone(),
        },
        connections,
        patience: Semaphore::new(AT_A_TIME / 2),
        acting: AtomicBool::new(false),
        reporter,
        client: client.clone(),
        metrics,
    });
    let (mut watches, mut workers) = (JoinSet::new(), JoinSet::new());
    let everything_read = watch_all(&ctx, &client, &args, &mut watches);
    tokio::select! {
        () = stop.cancelled() => {}
        Some(_) = watches.join_next() => tracing::error!("a watch ended; this process ends"),
        _ = everything_read.wait() => {
            tracing::info!("everything is read");
            ctx.metrics.set_leader(true);
            ctx.acting.store(true, Ordering::Relaxed);
            work_on_queues(&ctx, &stop, &mut workers);
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = watches.join_next() => tracing::error!("a watch ended; this process ends"),
                Some(_) = workers.join_next() => tracing::error!("a worker ended; this process ends"),
            }
        }
    }
    ctx.metrics.set_leader(false);
    // What has begun is finished; `leader` sees to it that this does not take for ever.
    stop.cancel();
    while workers.join_next().await.is_some() {}
    watches.shutdown().await;
}

/// Starts a watch for each kind. The barrier opens when each has brought a complete list: nothing is
/// admitted before.
fn watch_all(
    ctx: &Arc<Context>,
    client: &Client,
    args: &Args,
    tasks: &mut JoinSet<()>,
) -> Arc<Barrier> {
    const KINDS: usize = 6;
    let barrier = Arc::new(Barrier::new(KINDS + 1));
    let objects = args.namespace.as_str();
    let builds = args.build_namespace.as_str();

    let (c, ready) = (ctx.clone(), opens(&barrier));
    let api = guarded::<Repository>(client, objects);
    tasks.spawn(async move {
        let changed = |change| repository_changed(&c, change);
        follow(
            api,
            Watch::default(),
            &c.cache.repositories,
            trim,
            ready,
            changed,
        )
        .await;
    });
    let (c, ready) = (ctx.clone(), opens(&barrier));
    let api = guarded::<Builder>(client, objects);
    tasks.spawn(async move {
        let changed = |change| builder_changed(&c, change);
        follow(
            api,
            Watch::default(),
            &c.cache.builders,
            trim,
            ready,
            changed,
        )
        .await;
    });
    let (c, ready) = (ctx.clone(), opens(&barrier));
    let api = guarded::<PrBuild>(client, objects);
    tasks.spawn(async move {
        let changed = |change| build_changed(&c, change);
        follow(api, Watch::default(), &c.cache.builds, trim, ready, changed).await;
    });
    let (c, ready) = (ctx.clone(), opens(&barrier));
    let api = guarded::<BuilderRun>(client, objects);
    tasks.spawn(async move {
        let changed = |change| run_changed(&c, change);
        follow(
            api,
            Watch::default(),
            &c.cache.runs,
            trim_run,
            ready,
            changed,
        )
        .await;
    });
    let (c, ready) = (ctx.clone(), opens(&barrier));
    let api = guarded::<Answer>(client, objects);
    tasks.spawn(async move {
        let changed = |change: Change<Answer>| answer_changed(&c, change);
        follow(
            api,
            Watch::default(),
            &c.cache.answers,
            trim,
            ready,
            changed,
        )
        .await;
    });
    let (c, ready) = (ctx.clone(), opens(&barrier));
    let api = guarded::<SlimPod>(client, builds);
    tasks.spawn(async move {
        let changed = |change| pod_changed(&c, change);
        let ours = Watch::default().labels(LABEL);
        follow(
            api,
            ours,
            &c.cache.pods,
            |pod| PodView::of(&pod.into()),
            ready,
            changed,
        )
        .await;
    });
    barrier
}

fn guarded<K>(client: &Client, namespace: &str) -> Api<Guarded<K>>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), namespace)
}

/// Passes the barrier once, when the first list is complete.
fn opens(barrier: &Arc<Barrier>) -> impl Fn() + use<> {
    let barrier = std::sync::Mutex::new(Some(barrier.clone()));
    move || {
        let first = barrier
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
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

fn repository_changed(ctx: &Context, change: Change<Repository>) {
    let spec = |one: &Option<Arc<Repository>>| one.as_ref().map(|one| one.metadata.generation);
    if spec(&change.old) != spec(&change.new) {
        enqueue(&ctx.queues.repositories, change.new.as_deref());
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

fn builder_changed(ctx: &Context, change: Change<Builder>) {
    enqueue(&ctx.queues.builders, change.new.as_deref());
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

fn build_changed(ctx: &Context, change: Change<PrBuild>) {
    match (&change.old, &change.new) {
        (old, Some(build)) => {
            if old.is_none() && build.status.is_none() && ctx.acting.load(Ordering::Relaxed) {
                let uid = build.uid().unwrap_or_default();
                // It was born under our eyes: no comment of ours can stand yet.
                ctx.live_builds
                    .update(&uid, |live| live.maybe_posted = false);
            }
            ctx.queues.builds.add(&build.name_any());
        }
        (Some(build), None) => housekeeping::after_build_deleted(ctx, build),
        (None, None) => {}
    }
}

fn answer_changed(ctx: &Context, change: Change<Answer>) {
    if let (None, Some(answer)) = (&change.old, &change.new)
        && answer.status.is_none()
        && ctx.acting.load(Ordering::Relaxed)
    {
        let uid = answer.uid().unwrap_or_default();
        ctx.live_builds
            .update(&uid, |live| live.maybe_posted = false);
    }
    enqueue(&ctx.queues.answers, change.new.as_deref());
}

fn run_changed(ctx: &Arc<Context>, change: Change<BuilderRun>) {
    match (&change.old, &change.new) {
        (_, Some(run)) => ctx.queues.runs.add(&run.name_any()),
        (Some(run), None) => {
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

fn pod_changed(ctx: &Context, change: Change<PodView>) {
    let Some(pod) = change.new.as_ref().or(change.old.as_ref()) else {
        return;
    };
    for run in ctx.cache.runs.group(&of_uid(&pod.run_uid)) {
        ctx.queues.runs.add(&run.name_any());
    }
    let held = |pod: &Option<Arc<PodView>>| pod.as_ref().is_some_and(|pod| !pod.has_ended());
    if held(&change.old) && !held(&change.new) {
        ctx.admission.wake();
    }
}

/// Starts the workers of every queue.
fn work_on_queues(ctx: &Arc<Context>, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    let worker = |queue: &Arc<Queue>| (queue.clone(), ctx.clone(), stop.clone());
    let (queue, c, s) = worker(&ctx.queues.builds);
    tasks.spawn(queue.run(AT_A_TIME, s, move |name| build::reconcile(c.clone(), name)));
    let (queue, c, s) = worker(&ctx.queues.talks);
    tasks.spawn(queue.run(AT_A_TIME, s, move |name| build::talk(c.clone(), name)));
    let (queue, c, s) = worker(&ctx.queues.runs);
    tasks.spawn(queue.run(AT_A_TIME, s, move |name| run::reconcile(c.clone(), name)));
    let (queue, c, s) = worker(&ctx.queues.answers);
    tasks.spawn(queue.run(8, s, move |name| answers::reconcile(c.clone(), name)));
    let (queue, c, s) = worker(&ctx.queues.repositories);
    tasks.spawn(queue.run(4, s, move |name| specs::repository(c.clone(), name)));
    let (queue, c, s) = worker(&ctx.queues.builders);
    tasks.spawn(queue.run(4, s, move |name| specs::builder(c.clone(), name)));
    tasks.spawn(Admission::run(ctx.clone(), stop.clone()));
    tasks.spawn(housekeeping::run(ctx.clone(), stop.clone()));
}
