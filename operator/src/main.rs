//! `prbuild-operator`: see the crate's documentation.

use std::process::ExitCode;

use clap::Parser;
use operator::{
    app::{self, Args},
    keys,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

// One thread: a look is short and everything else waits for somebody. Two threads that wake each
// other took a tenth more processor time for the same work.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args_os();
    if words.nth(1).is_some_and(|word| word == "keys") {
        return print_keys(words);
    }
    github::install_tls_provider();
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,kube_runtime=warn,kube_client=warn"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .init();
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    match app::run(args, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `prbuild-operator keys`, with the words behind it.
fn print_keys(words: std::env::ArgsOs) -> ExitCode {
    let name = std::ffi::OsString::from("prbuild-operator keys");
    let args = keys::Args::parse_from(std::iter::once(name).chain(words));
    match keys::run(&args) {
        Ok(printed) => {
            println!("{}", printed.chain);
            eprintln!("{}", printed.note);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// SIGTERM from Kubernetes, Ctrl-C from a person.
async fn stop_on_signal(stop: CancellationToken) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    stop.cancel();
}
