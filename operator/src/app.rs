//! Wiring: caches feed queues, queues feed reconciles. No decision is made here.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Parser;
use github::{Access, Connections};
use kube::Client;
use protocol::token::{KeyError, Signer};
use service::{Coalesce, Inner, Standing, events, kinds, kubernetes, server};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Admission,
    answers, build,
    context::{Apis, Caches, Context, Live, LiveBuilds, Queues},
    gauges, housekeeping, leader,
    metrics::Metrics,
    pressure::Pressure,
    queue::Queue,
    record::{GatewayError, Recorder, client::Records},
    report::{Pages, Reporter, links::PagesError},
    run::{self, job::Setup, ship::Shipping},
    specs,
    waiting::{KEY, KINDS, KUBERNETES, Waiting},
    watches,
    worker::notify::{Notifier, NotifyError},
};

/// Reconciles of one kind that are under way at a time.
const AT_A_TIME: usize = 64;

/// The least and the most of a log that may be kept.
const LOG_LIMIT_LEAST: u64 = 64 << 10;
const LOG_LIMIT_MOST: u64 = 16 << 30;

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
    /// Leave users and groups of build pods to the cluster, as OpenShift's SCC `restricted-v2` demands,
    /// instead of 65532. They are never root.
    #[arg(long, env = "PRBUILD_NO_FIXED_USER")]
    pub no_fixed_user: bool,
    /// Give every build pod a user namespace of its own, so that root in it is nobody on the node.
    /// Needs Linux 6.3, containerd 2.0 and runc 1.2 on every node; an older containerd ignores it.
    #[arg(long, env = "PRBUILD_USER_NAMESPACES")]
    pub user_namespaces: bool,
    /// Name servers of build pods, with commas between, instead of the cluster's own, which know what
    /// runs beside them.
    #[arg(long, env = "PRBUILD_BUILD_NAME_SERVERS", value_delimiter = ',')]
    pub build_name_servers: Vec<std::net::IpAddr>,
    /// PriorityClass of build pods: a low one, so that builds give way.
    #[arg(long, env = "PRBUILD_BUILD_PRIORITY_CLASS")]
    pub build_priority_class: Option<String>,
    /// Where the gateway takes logs and records, as build pods and this process reach it:
    /// http://prbuild-gateway.prbuild:8081. Without it logs stay in the pods. Needs --signing-key.
    #[arg(long, env = "PRBUILD_GATEWAY", value_name = "URL")]
    pub gateway: Option<String>,
    /// Where people open the gateway's pages: https://prbuild.example.org. Details on GitHub lead there.
    #[arg(long, env = "PRBUILD_PAGES", value_name = "URL")]
    pub pages: Option<String>,
    /// Private key in PEM, of `openssl genpkey -algorithm ed25519`, that signs what the gateway takes.
    #[arg(long, env = "PRBUILD_SIGNING_KEY", value_name = "FILE")]
    pub signing_key: Option<PathBuf>,
    /// Where to POST JSON when a worker is left alone because its machine ended several runs in a row.
    #[arg(long, env = "PRBUILD_NOTIFY_URL", value_name = "URL")]
    pub notify_url: Option<String>,
    /// Bytes of a run's log that are kept: its beginning and its end.
    #[arg(long, env = "PRBUILD_LOG_LIMIT", value_name = "BYTES", default_value_t = 128 << 20,
        value_parser = clap::value_parser!(u64).range(LOG_LIMIT_LEAST..=LOG_LIMIT_MOST))]
    pub log_limit: u64,
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
    /// No connections.
    #[error("{0}")]
    Connections(#[from] github::ConnectionError),
    /// The metrics address is taken.
    #[error("{0}; choose another with --metrics")]
    Listen(String),
    /// The gateway takes nothing that is not signed.
    #[error(
        "--gateway needs --signing-key: make one with `openssl genpkey -algorithm ed25519`, and give its public half to the gateway"
    )]
    NoSigningKey,
    /// The signing key cannot be read.
    #[error("the signing key {} cannot be read: {source}; correct --signing-key", path.display())]
    SigningKeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The signing key is none.
    #[error("{}: {source}", path.display())]
    SigningKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// The address of the gateway is none.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// Nobody can be told of workers.
    #[error(transparent)]
    Notify(#[from] NotifyError),
    /// The address of the pages is none.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// Leading ended.
    #[error(transparent)]
    Leader(#[from] leader::LeaderError),
}

/// Runs the operator until `stop`.
pub async fn run(args: Args, coalesce: Coalesce, stop: CancellationToken) -> Result<(), AppError> {
    let client = service::kubernetes::client().await?;
    let metrics = Arc::new(Metrics::default());
    let standing = Standing::awaiting(&[KUBERNETES, KINDS, GITHUB, KEY]);
    let told = events::tell(
        standing.clone(),
        client.clone(),
        "prbuild-operator",
        stop.clone(),
    );
    tokio::spawn(told);
    let connections = Connections::follow(&args.connections, Access::Report)?;
    let counted = (metrics.clone(), connections.clone());
    serve_metrics(&args, counted, standing.clone(), stop.clone()).await?;
    connections.spawn_reload(stop.clone());
    check(&args)?;
    // Work begins without GitHub: what is to be told waits until it is there.
    let (ready, ways) = (standing.clone(), connections.clone());
    tokio::spawn(async move { ready.until(GITHUB, || ways.greet()).await });
    let begin = async {
        let new_enough = || kubernetes::new_enough(&client);
        standing.until(KUBERNETES, new_enough).await;
        standing.until(KINDS, || kinds::fit(&client)).await;
        let outlet = || std::future::ready(outlet(&args));
        standing.until(KEY, outlet).await
    };
    let waiting = Waiting {
        client: &client,
        namespace: &args.namespace,
        identity: &args.identity,
        metrics: &metrics,
    };
    let outlet = tokio::select! {
        outlet = begin => outlet,
        never = waiting.tell(&standing) => match never {},
        () = stop.cancelled() => return Ok(()),
    };
    let (namespace, identity) = (args.namespace.clone(), args.identity.clone());
    let work = |stop| {
        let ctx = context(&args, &client, connections, outlet, metrics, &stop);
        operate(args, ctx, coalesce, stop)
    };
    leader::lead(client.clone(), &namespace, identity, stop, work).await?;
    Ok(())
}

/// What it needs to be ready, and begins without.
const GITHUB: &str = "a way to GitHub";

/// What no waiting mends: arguments that contradict each other.
fn check(args: &Args) -> Result<(), AppError> {
    args.pages.as_deref().map(Pages::at).transpose()?;
    if let Some(gateway) = &args.gateway {
        Records::new(gateway, Signer::from_seed(&[0; 32]))?;
        if args.signing_key.is_none() {
            return Err(AppError::NoSigningKey);
        }
    }
    Ok(())
}

/// Where logs and records go, and where people read them.
struct Outlet {
    records: Option<Arc<Records>>,
    pages: Option<Pages>,
    notifier: Option<Arc<Notifier>>,
}

fn outlet(args: &Args) -> Result<Outlet, AppError> {
    let pages = args.pages.as_deref().map(Pages::at).transpose()?;
    let notifier = args.notify_url.as_deref().map(Notifier::new).transpose()?;
    let notifier = notifier.map(Arc::new);
    let Some(gateway) = &args.gateway else {
        return Ok(Outlet {
            records: None,
            pages,
            notifier,
        });
    };
    let path = args.signing_key.clone().ok_or(AppError::NoSigningKey)?;
    let pem = std::fs::read_to_string(&path).map_err(|source| AppError::SigningKeyFile {
        path: path.clone(),
        source,
    })?;
    let signer = Signer::from_pem(&pem).map_err(|source| AppError::SigningKey { path, source })?;
    let records = Some(Arc::new(Records::new(gateway, signer)?));
    Ok(Outlet {
        records,
        pages,
        notifier,
    })
}

async fn serve_metrics(
    args: &Args,
    (metrics, connections): (Arc<Metrics>, Arc<Connections>),
    standing: Arc<Standing>,
    stop: CancellationToken,
) -> Result<(), AppError> {
    let listener = server::listen("metrics", args.metrics).await;
    let listener = listener.map_err(AppError::Listen)?;
    // A follower is ready too: it is ready to lead.
    let inner = Inner::new(standing, move || {
        metrics.set_calls(&connections.calls());
        metrics.text()
    });
    tokio::spawn(inner.serve(listener, stop));
    Ok(())
}

/// What everything works with, and who reports and records.
fn context(
    args: &Args,
    client: &Client,
    connections: Arc<Connections>,
    outlet: Outlet,
    metrics: Arc<Metrics>,
    stop: &CancellationToken,
) -> Arc<Context> {
    let reporter = Reporter::spawn(connections.clone(), stop.clone());
    metrics.with_registry(|registry| reporter.metrics().register(registry));
    let shipping = outlet.records.as_ref().map(|records| Shipping {
        gateway: records.address().to_owned(),
        log_limit: args.log_limit,
    });
    let recorder = outlet.records.map(|records| Recorder::spawn(records, stop));
    if let Some(recorder) = &recorder {
        metrics.with_registry(|registry| recorder.metrics().register(registry));
    }
    Arc::new(Context {
        api: Apis::new(client, &args.namespace, &args.build_namespace),
        cache: Caches::default(),
        queues: Queues::default(),
        pressure: Pressure::default(),
        admission: Admission::default(),
        live: Live::default(),
        live_builds: LiveBuilds::default(),
        probed: crate::specs::Probed::default(),
        setup: Setup {
            namespace: args.build_namespace.clone(),
            checkout_image: args.checkout_image.clone(),
            service_account: args.build_service_account.clone(),
            no_fixed_user: args.no_fixed_user,
            user_namespaces: args.user_namespaces,
            name_servers: args.build_name_servers.clone(),
            priority_class: args.build_priority_class.clone(),
            shipping,
        },
        connections,
        patience: Semaphore::new(AT_A_TIME / 2),
        acting: AtomicBool::new(false),
        reporter,
        recorder,
        pages: outlet.pages,
        notifier: outlet.notifier,
        client: client.clone(),
        metrics,
    })
}

/// Leads: reads everything anew, then acts.
async fn operate(args: Args, ctx: Arc<Context>, coalesce: Coalesce, stop: CancellationToken) {
    let (mut watches, mut workers) = (JoinSet::new(), JoinSet::new());
    let everything_read =
        watches::watch_all(&ctx, &args.namespace, &args.build_namespace, &mut watches);
    tokio::select! {
        () = stop.cancelled() => {}
        Some(_) = watches.join_next() => tracing::error!("a watch ended; this process ends"),
        _ = everything_read.wait() => {
            tracing::info!("everything is read");
            ctx.metrics.set_leader(true);
            ctx.acting.store(true, Ordering::Relaxed);
            coalesce.begin();
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
    tasks.spawn(specs::heed_refusals(ctx.clone(), stop.clone()));
    tasks.spawn(Admission::run(ctx.clone(), stop.clone()));
    tasks.spawn(gauges::run(ctx.clone(), stop.clone()));
    tasks.spawn(housekeeping::run(ctx.clone(), stop.clone()));
}
