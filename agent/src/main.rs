//! `prbuild-agent`: the executor in a pod, and the agent of a physical machine.

#[cfg(feature = "worker")]
mod cli;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use agent::{
    checkout::{self, FetchLimits},
    env, exec,
    log::Log,
    message,
    os::{self, Signals},
    plan,
    process::GRACE,
    ship::{self, Shipment, client::Destination},
};
use clap::{Args, Parser, Subcommand};
use protocol::{Source, Work, log::LogLimits};

/// The agent of PrBuild: checks one commit out and runs the steps of a builder on it, in a pod or on a
/// machine that somebody lends.
///
/// Exits with 0, with 1 when something went wrong, with 2 when it was called wrongly; commands that
/// exit otherwise say so.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch, verify and check out the commit that PRBUILD_SOURCE describes.
    ///
    /// Exits with 0 or 1.
    Checkout {
        #[command(flatten)]
        common: Common,
        /// Copy this program there, for the container that runs the steps.
        #[arg(long, value_name = "FILE")]
        install: Option<PathBuf>,
    },
    /// Run the steps that PRBUILD_WORK describes.
    ///
    /// Exits with 0 when they passed, with the code of the step that failed, 124 when they took too
    /// long, 143 when cancelled, and 125 when the executor itself could not go on.
    Exec {
        #[command(flatten)]
        common: Common,
    },
    /// Send the logs that the other two spool to the gateway, with the token in PRBUILD_LOG_TOKEN.
    ///
    /// Ends after SIGTERM, when everything is sent or the grace is over. Exits with 0 also when nothing
    /// could be sent: no build is failed for its log.
    Ship(Ship),
    #[cfg(feature = "worker")]
    #[command(flatten)]
    Worker(cli::Command),
}

#[derive(Args)]
struct Ship {
    /// The checkout's spool.
    #[arg(long, value_name = "DIR")]
    checkout: PathBuf,
    /// The spool of the steps.
    #[arg(long, value_name = "DIR")]
    build: PathBuf,
    /// A directory for what has to be remembered when this program is started again.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// The gateway, http:// and nothing else.
    #[arg(long, value_name = "URL")]
    to: String,
    /// Name of the Repository.
    #[arg(long, value_name = "NAME")]
    repository: String,
    /// Uid of the run.
    #[arg(long, value_name = "UID")]
    run: String,
    /// For how long the rest of the log is sent after SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 100)]
    grace: u64,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Args)]
struct Common {
    /// The directory of the run; the checkout is `src` in it.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where the report is written, as JSON.
    #[arg(long, value_name = "FILE")]
    message: PathBuf,
    /// A directory for what is printed, for `ship` to read.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    #[command(flatten)]
    kept: Kept,
}

/// How much of a log is kept.
#[derive(Args)]
struct Kept {
    /// How much of the log is kept: three quarters of it from the beginning, one from the end.
    #[arg(long, value_name = "BYTES", default_value_t = 128 << 20,
          value_parser = clap::value_parser!(u64).range(1024..))]
    log_limit: u64,
}

impl Common {
    fn log(&self) -> io::Result<Log> {
        let mut log = Log::stdout()?;
        if let Some(directory) = &self.spool {
            log.keep_in(directory, self.kept.limits());
        }
        Ok(log)
    }
}

impl Kept {
    fn limits(&self) -> LogLimits {
        LogLimits::of(self.log_limit)
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Checkout { common, install } => run_checkout(&common, install.as_deref()),
        Command::Exec { common } => run_exec(&common),
        Command::Ship(asked) => run_ship(asked),
        #[cfg(feature = "worker")]
        Command::Worker(command) => Ok(command.run().unwrap_or_else(|problem| {
            eprintln!("{problem}");
            1
        })),
    };
    ExitCode::from(done.unwrap_or_else(|error| {
        eprintln!("error: prbuild-agent could not begin\n  because {error}");
        125
    }))
}

fn run_checkout(common: &Common, install: Option<&Path>) -> io::Result<u8> {
    let (mut signals, mut log) = (Signals::of_this_process()?, common.log()?);
    let asked = read::<Source>("PRBUILD_SOURCE").and_then(|source| Ok((source, limits()?)));
    let report = match asked {
        Ok((source, limits)) => checkout::run(
            &source,
            &common.dir,
            install,
            limits,
            &mut signals,
            &mut log,
        ),
        Err(why) => checkout::failed(&why, &mut log),
    };
    let text = serde_json::to_string(&report)?;
    leave(common, &text, &mut signals, &mut log);
    Ok(u8::from(report.error.is_some()))
}

/// How long the checkout may take; an older operator does not say.
fn limits() -> Result<FetchLimits, String> {
    const NAME: &str = "PRBUILD_CHECKOUT_SECONDS";
    match std::env::var_os(NAME) {
        Some(_) => read(NAME).map(FetchLimits::within),
        None => Ok(FetchLimits::default()),
    }
}

fn run_exec(common: &Common) -> io::Result<u8> {
    // The steps run as the same user, and the work is none of their business.
    os::hide_memory()?;
    let (mut signals, mut log) = (Signals::of_this_process()?, common.log()?);
    let report = match read::<Work>("PRBUILD_WORK") {
        Ok(work) => {
            let image = env::of_image(std::env::vars_os());
            exec::run(&work, &common.dir, image, GRACE, &mut signals, &mut log)
        }
        Err(why) => {
            log.line(&format!("▲ Error: {why}"));
            plan::error(&why, Vec::new())
        }
    };
    leave(common, &report.to_message(), &mut signals, &mut log);
    Ok(plan::exit_code(&report))
}

fn run_ship(asked: Ship) -> io::Result<u8> {
    os::hide_memory()?;
    let mut signals = Signals::of_this_process()?;
    let token = std::env::var("PRBUILD_LOG_TOKEN")
        .map_err(|error| io::Error::other(format!("PRBUILD_LOG_TOKEN cannot be read: {error}")))?;
    let shipment = Shipment {
        checkout: asked.checkout,
        build: asked.build,
        state: asked.state,
        to: Destination {
            gateway: asked.to,
            repository: asked.repository,
            run: asked.run,
            ..Destination::default()
        },
        token,
        limits: asked.kept.limits(),
        grace: Duration::from_secs(asked.grace.min(86_400)),
    };
    ship::run(shipment, &mut signals).map_err(io::Error::other)?;
    Ok(0)
}

/// Reads what the operator asks for from a variable.
fn read<T: for<'a> serde::Deserialize<'a>>(name: &str) -> Result<T, String> {
    let text = std::env::var(name).map_err(|error| format!("{name} cannot be read: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{name} is not valid: {error}"))
}

/// Leaves the report and the last lines of the log. A report that cannot be written is told in the
/// log; the exit code still says how it ended.
fn leave(common: &Common, report: &str, signals: &mut Signals, log: &mut Log) {
    if let Err(error) = message::write(&common.message, report) {
        let path = common.message.display();
        log.line(&format!(
            "▲ the report could not be written to {path}: {error}"
        ));
    }
    log.end();
    log.flush(signals, Duration::from_secs(3));
}
