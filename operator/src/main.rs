//! `prbuild-operator`: see the crate's documentation.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use operator::{
    app::{self, Args},
    keys, make_keys, self_test,
};
use service::{Coalesce, logging, stop_on_signal};
use tokio_util::sync::CancellationToken;

// Of what a build costs, most is short-lived text and futures of some kilobytes, which the allocators of
// C libraries are slow at. Without optimization this one would be slower still.
#[cfg(any(target_env = "musl", not(debug_assertions)))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of the time, what it may be awake before it pauses: one part in so many. About four builds a second.
const PARTS: u32 = 50;
/// The longest pause between two turns. A build takes some six turns one after the other, and is not told of more often
/// than each two seconds.
const PAUSE: Duration = Duration::from_millis(140);

// One thread: a look is short and everything else waits for somebody. Two threads that wake each
// other took a tenth more processor time for the same work.
fn main() -> ExitCode {
    match Coalesce::runtime(PARTS, PAUSE) {
        Ok((runtime, coalesce)) => runtime.block_on(begin(coalesce)),
        Err(error) => {
            eprintln!("error: no event loop: {error}; are too many files open?");
            ExitCode::FAILURE
        }
    }
}

async fn begin(coalesce: Coalesce) -> ExitCode {
    let mut words = std::env::args_os();
    if words.nth(1).is_some_and(|word| word == "keys") {
        return print_keys(words);
    }
    github::install_tls_provider();
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == make_keys::COMMAND)
    {
        return make_signing_key().await;
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == self_test::COMMAND)
    {
        return test_itself().await;
    }
    let args = Args::parse();
    logging::start("info,kube_runtime=warn,kube_client=warn");
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    match app::run(args, coalesce, stop).await {
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

/// `prbuild-operator make-keys`: what the chart's hook runs once.
async fn make_signing_key() -> ExitCode {
    match make_keys::run(make_keys::Args::parse_from(std::env::args_os().skip(1))).await {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `prbuild-operator self-test`: what `helm test` runs.
async fn test_itself() -> ExitCode {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let args = self_test::Args::parse_from(std::env::args_os().skip(1));
    match self_test::run(args, stop).await {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Beside what was printed before: `helm test --logs` shows one stream.
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
