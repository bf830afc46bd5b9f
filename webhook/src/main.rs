//! `prbuild-webhook`: wiring only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use github::{Access, Connections};
use kube::{Api, Client};
use service::server::{Places, WRITE_TIME, listen, serve};
use service::{Coalesce, Inner, Standing, events, kinds, kubernetes, logging, stop_on_signal};
use tokio_util::sync::CancellationToken;
use webhook::builds::Builds;
use webhook::cache::Cache;
use webhook::done::{Deed, Done};
use webhook::gate::Gate;
use webhook::handle::App;
use webhook::lease::Holder;
use webhook::metrics::Metrics;
use webhook::receive::Entrance;
use webhook::submit::Submit;
use webhook::{cache, sweep};

/// Turns labels on pull requests into PrBuilds.
#[derive(Parser)]
#[command(name = "prbuild-webhook", version)]
struct Args {
    /// Namespace of PrBuild's objects.
    #[arg(long)]
    namespace: String,
    /// Directory with one subdirectory a connection.
    #[arg(long)]
    connections: PathBuf,
    /// Where GitHub's deliveries arrive, as `/webhook`.
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are. Not for the outside.
    #[arg(long, default_value = "0.0.0.0:9090")]
    metrics: SocketAddr,
    /// Do not look for labels, commands, buttons and changes that no delivery told of.
    #[arg(long)]
    no_sweep: bool,
    /// Seconds between two looks at a repository.
    #[arg(long, default_value_t = 75, value_parser = clap::value_parser!(u64).range(1..))]
    sweep_seconds: u64,
}

/// What it waits for at its start.
const KUBERNETES: &str = "Kubernetes";
const KINDS: &str = "kinds in the cluster";
const GITHUB: &str = "a way to GitHub";
const OBJECTS: &str = "Repositories and Builders";

/// GitHub is one of many that knock. An address that is not a proxy's has at most half of the places, so
/// that no single one keeps GitHub waiting; a proxy's half is enough for all that can be decided at a time.
const DELIVERIES: Places = Places {
    connections: 512,
    of_one_address: 256,
    header_bytes: 16 << 10,
    header_time: Duration::from_secs(5),
    write_time: WRITE_TIME,
    grace: Duration::from_secs(9),
};

// Of what a build costs, most is short-lived text and futures of some kilobytes, which the allocators of
// C libraries are slow at. Without optimization this one would be slower still.
#[cfg(any(target_env = "musl", not(debug_assertions)))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of the time, what it may be awake before it pauses: one part in so many. About four builds a second.
const PARTS: u32 = 100;
/// The longest pause between two turns. A delivery takes some six turns, and GitHub waits ten seconds.
const PAUSE: Duration = Duration::from_millis(70);

// One thread: everything waits for somebody, and two that wake each other take more processor time for
// the same work.
fn main() -> ExitCode {
    let (runtime, coalesce) = match Coalesce::runtime(PARTS, PAUSE) {
        Ok(both) => both,
        Err(error) => {
            eprintln!("error: no event loop: {error}; are too many files open?");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        github::install_tls_provider();
        logging::start("info,kube_runtime=warn,kube_client=warn");
        match run(Args::parse(), coalesce).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!(error, "cannot start");
                ExitCode::FAILURE
            }
        }
    })
}

async fn run(args: Args, coalesce: Coalesce) -> Result<(), String> {
    let stop = CancellationToken::new();
    let client = service::kubernetes::client()
        .await
        .map_err(|error| format!("no way to the API server: {error}"))?;
    let deliveries = listen("deliveries", args.listen).await?;
    let inner = listen("metrics", args.metrics).await?;

    let metrics = Arc::new(Metrics::default());
    let standing = Standing::awaiting(&[KUBERNETES, KINDS, GITHUB, OBJECTS]);
    let connections =
        Connections::follow(&args.connections, Access::Read).map_err(|error| error.to_string())?;
    let (counted, called) = (metrics.clone(), connections.clone());
    let answers = Inner::new(standing.clone(), move || {
        counted.calls(&called.calls());
        counted.text()
    });
    let inner = tokio::spawn(answers.serve(inner, stop.clone()));
    tokio::spawn(stop_on_signal(stop.clone()));
    let told = events::tell(
        standing.clone(),
        client.clone(),
        "prbuild-webhook",
        stop.clone(),
    );
    tokio::spawn(told);

    connections.spawn_reload(stop.clone());
    // Deliveries are answered without GitHub, too: that it is away, and that they shall come again.
    let (ready, ways) = (standing.clone(), connections.clone());
    tokio::spawn(async move { ready.until(GITHUB, || ways.greet()).await });
    let cache = tokio::select! {
        cache = follow(&standing, &client, &args.namespace, &stop) => cache,
        () = stop.cancelled() => return Ok(()),
    };
    let app = app(&client, &args.namespace, connections, cache, metrics);
    tokio::spawn(keep_warm(app.clone(), stop.clone()));
    let answered_all = CancellationToken::new();
    let sweeping = (!args.no_sweep).then(|| {
        let holder = Holder::new(
            &client,
            &args.namespace,
            identity(),
            app.done.clone(),
            app.metrics.clone(),
        );
        let every = Duration::from_secs(args.sweep_seconds);
        let (stop, answered_all) = (stop.clone(), answered_all.clone());
        tokio::spawn(sweep::run(app.clone(), holder, every, stop, answered_all))
    });
    standing.has(OBJECTS);
    coalesce.begin();
    let address = deliveries.local_addr().map_err(|error| error.to_string())?;
    tracing::info!("listening on {address}");

    let entrance = Arc::new(Entrance::new(app));
    let respond = move |request| {
        let entrance = entrance.clone();
        async move { entrance.respond(request).await }
    };
    serve(deliveries, DELIVERIES, respond, stop.clone()).await;
    answered_all.cancel();
    if let Some(sweeping) = sweeping {
        let _ = sweeping.await;
    }
    let _ = inner.await;
    Ok(())
}

/// Waits for a cluster that fits, and follows its objects.
async fn follow(
    standing: &Standing,
    client: &Client,
    namespace: &str,
    stop: &CancellationToken,
) -> Cache {
    let new_enough = || kubernetes::new_enough(client);
    standing.until(KUBERNETES, new_enough).await;
    standing.until(KINDS, || kinds::fit(client)).await;
    let cache = Cache::start(client, namespace, stop);
    cache.ready().await;
    cache
}

/// Puts together what handles events.
fn app(
    client: &Client,
    namespace: &str,
    connections: Arc<Connections>,
    cache: Cache,
    metrics: Arc<Metrics>,
) -> Arc<App> {
    let done = Arc::new(Done::default());
    let (answered, known) = (cache.clone(), done.clone());
    let builds = Builds::new(client, namespace, metrics.clone());
    Arc::new(App {
        connections,
        gate: Gate::new(
            Api::namespaced(client.clone(), namespace),
            builds.clone(),
            move |name| answered.is_answered(name) || known.knows(Deed::Answered(name)),
        ),
        submit: Submit::new(client, namespace, done.clone(), metrics.clone()),
        builds,
        done,
        metrics,
        cache,
    })
}

/// Fetches installation tokens before they are needed, so that no delivery waits for one.
async fn keep_warm(app: Arc<App>, stop: CancellationToken) {
    loop {
        for repository in app.cache.repositories() {
            let spec = &repository.spec;
            let connection = app.connections.get(&spec.connection);
            if let Some(connection) = connection.filter(|_| cache::is_ready(&repository))
                && let Err(error) = connection.repo(&spec.owner, &spec.name).warm_up().await
            {
                tracing::warn!(%error, "no token yet");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(60)) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// A name that no other replica has.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "webhook".to_owned());
    let started = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default();
    format!("{host}-{}-{}", std::process::id(), started.as_millis())
}
