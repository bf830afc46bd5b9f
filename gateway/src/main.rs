//! `prbuild-gateway`: wiring only.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use gateway::app::App;
use gateway::cluster::Cluster;
use gateway::ingest::Ingest;
use gateway::logs::{LogOptions, Logs};
use gateway::metrics::Metrics;
use gateway::pages::{self, Site};
use gateway::records::Records;
use gateway::retention::{self, Keep};
use gateway::store::Store;
use gateway::worker::{Tickets, Workers, key_chain};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use kube::Client;
use protocol::token::PublicKeys;
use protocol::worker::keys::KeyChain;
use service::server::{HEADER_BYTES, HEADER_TIME, Places, WRITE_TIME, listen, serve};
use service::{Inner, Standing, events, kinds, kubernetes, logging, stop_on_signal};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Takes in logs and records, keeps them, and shows them as pages.
#[derive(Parser)]
#[command(name = "prbuild-gateway", version)]
struct Args {
    /// Namespace of PrBuild's objects. Without it, pages show only what is stored.
    #[arg(long)]
    namespace: Option<String>,
    /// Where logs and records are kept: a directory, or s3://, gs:// or az:// with a bucket and, if need be,
    /// a prefix. A bucket is reached as the environment says: AWS_REGION, AWS_ACCESS_KEY_ID and so on.
    #[arg(long, value_name = "PLACE")]
    store: String,
    /// Directory whose files say it instead of the environment, each by its name, as a Secret is mounted.
    #[arg(long, value_name = "DIRECTORY")]
    store_access: Option<PathBuf>,
    /// The operator's public keys in PEM, one or two.
    #[arg(long, value_name = "FILE")]
    operator_key: PathBuf,
    /// Where people read pages.
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Where build pods and the operator send logs and records.
    #[arg(long, default_value = "0.0.0.0:8081")]
    ingest: SocketAddr,
    /// Where agents of physical workers talk to the gateway, behind your TLS. Needs --namespace.
    #[arg(long, value_name = "ADDRESS", requires = "namespace")]
    workers: Option<SocketAddr>,
    /// At least 32 random bytes that all replicas share, to recognize each other's sessions of workers. Without it
    /// agents open new ones when this gateway restarts.
    #[arg(long, value_name = "FILE", requires = "workers")]
    session_key: Option<PathBuf>,
    /// The operator's key sets that took each other's place, as `prbuild-operator keys` writes them. Without it
    /// there is one set, with the keys of --operator-key.
    #[arg(long, value_name = "FILE", requires = "workers")]
    key_chain: Option<PathBuf>,
    /// Where `/healthz`, `/readyz` and `/metrics` are. Not for the outside.
    #[arg(long, default_value = "0.0.0.0:9090")]
    metrics: SocketAddr,
    /// Where people see repositories: the address of GitHub, or of a GitHub Enterprise Server.
    #[arg(long, default_value = "https://github.com")]
    github: String,
    /// Bytes of a log that are kept, as the operator and the agent are told.
    #[arg(long, value_name = "BYTES", default_value_t = 128 << 20,
          value_parser = clap::value_parser!(u64).range(1024..))]
    log_limit: u64,
    /// Days that logs and records are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 90,
          value_parser = clap::value_parser!(u32).range(1..=36500))]
    retention_days: u32,
    /// Bytes that the runs of one Repository may take, as stored; the oldest ones go first.
    #[arg(long, value_name = "BYTES", default_value_t = 20 << 30)]
    repository_limit: u64,
    /// Bytes that all runs may take, as stored; the oldest ones go first.
    #[arg(long, value_name = "BYTES")]
    store_limit: Option<u64>,
}

/// Connections at a time, and time for requests under way at the end.
const PAGES: Places = Places {
    connections: 4096,
    of_one_address: 4096,
    header_bytes: HEADER_BYTES,
    header_time: HEADER_TIME,
    write_time: WRITE_TIME,
    // Who follows a log comes back.
    grace: Duration::from_secs(2),
};
const INGEST: Places = Places {
    connections: 2048,
    // The code of a build reaches it from the address of its pod, and may not keep out the senders of others. Where
    // a node stands for its pods, it has at most as many.
    of_one_address: 256,
    header_bytes: HEADER_BYTES,
    header_time: HEADER_TIME,
    write_time: WRITE_TIME,
    grace: Duration::from_secs(9),
};
const AGENTS: Places = Places {
    connections: 4096,
    of_one_address: 4096,
    header_bytes: HEADER_BYTES,
    header_time: HEADER_TIME,
    write_time: WRITE_TIME,
    // Held polls are told to come again.
    grace: Duration::from_secs(5),
};

// Of the ingest no pod has more than a small part.
const _: () = assert!(INGEST.of_one_address <= INGEST.connections / 8);

/// What it waits for at its start.
const KEY: &str = "the operator's public key";
const TRUST: &str = "the keys for workers";
const STORE: &str = "the store";
const KUBERNETES: &str = "Kubernetes";
const KINDS: &str = "kinds in the cluster";

// Pieces of logs are short-lived and freed by another thread than the one that made them, which the
// allocators of C libraries are slow at. Without optimization this one would be slower still.
#[cfg(any(target_env = "musl", not(debug_assertions)))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads that wait for a disk: more than it does at once only take memory.
const BLOCKING_THREADS: usize = 16;
/// How long after a store took nothing at the start it is given something again.
const BEGIN_AGAIN: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(begin()),
        Err(error) => {
            eprintln!("error: no threads: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn begin() -> ExitCode {
    // The store and the cluster are reached by TLS; only a second provider could be in the way.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    logging::start("info,kube_runtime=warn,kube_client=warn,object_store=error");
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), String> {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let metrics = Arc::new(Metrics::default());
    // A store that is down later is no reason not to be ready: what is in memory is shown, and senders keep
    // what is not stored.
    let standing = Standing::awaiting(&[KEY, TRUST, STORE, KUBERNETES, KINDS]);
    let inner = listen("metrics", args.metrics).await?;
    let counted = metrics.clone();
    let answers = Inner::new(standing.clone(), move || counted.text());
    let inner = tokio::spawn(answers.serve(inner, stop.clone()));
    let cluster = Arc::new(Cluster::default());
    let client = client(args.namespace.as_deref()).await?;
    if let Some(client) = client.clone() {
        let (standing, stop) = (standing.clone(), stop.clone());
        tokio::spawn(events::tell(standing, client, "prbuild-gateway", stop));
    }
    let needed = tokio::select! {
        needed = Needed::await_all(&args, &metrics, client, &standing) => needed,
        () = stop.cancelled() => return Ok(()),
    };
    if let (Some(namespace), Some(client)) = (args.namespace.clone(), needed.client.clone()) {
        let cluster = cluster.clone();
        tokio::spawn(async move { cluster.follow(client, &namespace).await });
    }
    let store = needed.store.clone();
    tokio::spawn(async move {
        let moment = jiff::Timestamp::now().to_string();
        store.begin(&moment, BEGIN_AGAIN).await;
    });
    let app = app(&args, needed.store.clone(), metrics);
    tokio::spawn(retention::run(
        app.clone(),
        needed.store.clone(),
        stop.clone(),
    ));
    tokio::spawn(app.logs.clone().forget_idle(stop.clone()));
    let site = Site::new(app.clone(), cluster, &args.github);
    listen_to_all(&args, needed, &app, Arc::new(site), stop).await?;
    let _ = inner.await;
    Ok(())
}

/// What it cannot begin without.
struct Needed {
    keys: PublicKeys,
    trust: (Tickets, KeyChain),
    store: Store,
    client: Option<Client>,
}

impl Needed {
    /// Waits until all of it is there.
    async fn await_all(
        args: &Args,
        metrics: &Arc<Metrics>,
        client: Option<Client>,
        standing: &Standing,
    ) -> Self {
        let key = || std::future::ready(public_keys(&args.operator_key));
        let keys = standing.until(KEY, key).await;
        let trust = || std::future::ready(trust(args, &keys));
        let trust = standing.until(TRUST, trust).await;
        let access = args.store_access.as_deref();
        let store = || std::future::ready(Store::open(&args.store, access, metrics.clone()));
        let store = standing.until(STORE, store).await;
        fitting(client.as_ref(), standing).await;
        Self {
            keys,
            trust,
            store,
            client,
        }
    }
}

/// What pages and ingest have in common.
fn app(args: &Args, store: Store, metrics: Arc<Metrics>) -> Arc<App> {
    let options = LogOptions {
        log_limit: args.log_limit,
    };
    let keep = Keep {
        days: args.retention_days,
        repository: args.repository_limit,
        store: args.store_limit,
    };
    Arc::new(App {
        logs: Logs::new(store.clone(), options, metrics.clone()),
        records: Records::new(store),
        metrics,
        keep,
    })
}

/// Serves pages, takes logs and records in, and talks to agents, until it is stopped. What came in is stored
/// when this returns.
async fn listen_to_all(
    args: &Args,
    needed: Needed,
    app: &Arc<App>,
    site: Arc<Site>,
    stop: CancellationToken,
) -> Result<(), String> {
    let ingest = listen("ingest", args.ingest).await?;
    let open = listen("pages", args.listen).await?;
    let pages = tokio::spawn(serve_pages(open, site, stop.clone()));
    let taking = Arc::new(Ingest::new(app.clone(), needed.keys));
    let agents = match (args.workers, needed.client) {
        (Some(address), Some(client)) => {
            let shared = (taking.clone(), app.metrics.clone());
            let workers = workers(args, client, needed.trust, shared, &stop);
            let listener = listen("workers", address).await?;
            Some(tokio::spawn(serve_workers(listener, workers, stop.clone())))
        }
        _ => None,
    };
    serve_ingest(ingest, taking, stop).await;
    if let Some(agents) = agents {
        let _ = agents.await;
    }
    // Nothing more comes in: what did is stored before this ends.
    app.logs.stop().await;
    let _ = pages.await;
    Ok(())
}

fn public_keys(file: &Path) -> Result<PublicKeys, String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        format!(
            "cannot read the operator's keys {}: {error}",
            file.display()
        )
    })?;
    PublicKeys::from_pem(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// What sessions of workers are made with, and what their agents trust.
fn trust(args: &Args, keys: &PublicKeys) -> Result<(Tickets, KeyChain), String> {
    let tickets = match &args.session_key {
        None => Tickets::fresh()?,
        Some(file) => {
            let say = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
            let key = std::fs::read(file).map_err(|error| say(&error))?;
            Tickets::of(&key).map_err(|error| say(&error))?
        }
    };
    Ok((tickets, key_chain(args.key_chain.as_deref(), keys)?))
}

/// What agents of physical workers talk to.
fn workers(
    args: &Args,
    client: Client,
    (tickets, chain): (Tickets, KeyChain),
    (ingest, metrics): (Arc<Ingest>, Arc<Metrics>),
    stop: &CancellationToken,
) -> Arc<Workers> {
    let namespace = args.namespace.as_deref().unwrap_or_default();
    let stop = stop.clone();
    let workers = Workers::new(client, namespace, tickets, chain, ingest, stop, metrics);
    let workers = Arc::new(workers);
    tokio::spawn(workers.clone().run());
    workers
}

/// The API server, if there is a cluster to follow.
async fn client(namespace: Option<&str>) -> Result<Option<Client>, String> {
    if namespace.is_none() {
        return Ok(None);
    }
    let client = service::kubernetes::client().await;
    client
        .map(Some)
        .map_err(|error| format!("no way to the API server: {error}"))
}

/// Waits for a cluster that has what we need, if there is one to follow.
async fn fitting(client: Option<&Client>, standing: &Standing) {
    let Some(client) = client else {
        standing.has(KUBERNETES);
        standing.has(KINDS);
        return;
    };
    let new_enough = || kubernetes::new_enough(client);
    standing.until(KUBERNETES, new_enough).await;
    standing.until(KINDS, || kinds::fit(client)).await;
}

async fn serve_workers(listener: TcpListener, workers: Arc<Workers>, stop: CancellationToken) {
    let respond = move |request| workers.clone().respond(request);
    serve(listener, AGENTS, respond, stop).await;
}

async fn serve_ingest(listener: TcpListener, ingest: Arc<Ingest>, stop: CancellationToken) {
    let respond = move |request| {
        let ingest = ingest.clone();
        async move { ingest.respond(request).await }
    };
    serve(listener, INGEST, respond, stop).await;
}

async fn serve_pages(listener: TcpListener, site: Arc<Site>, stop: CancellationToken) {
    let service = TowerToHyperService::new(pages::router(site));
    let respond = move |request| {
        let answer = service.call(request);
        async move { answer.await.unwrap_or_else(|never| match never {}) }
    };
    serve(listener, PAGES, respond, stop).await;
}
